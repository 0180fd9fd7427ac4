"""Conversion between layouts: exact, or folded where that is allowed, or refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import RefusedConversion, listed
from gruspec.layouts.casting import keeps_every_bit, named_dtype
from gruspec.layouts.declared import LAYOUTS, check_activation, layout_named
from gruspec.layouts.fitting import GATE_TITLES, Activations, best_fit
from gruspec.layouts.folding import Folding, folding_of
from gruspec.layouts.layout import RECURRENT_BIAS, Layout
from gruspec.layouts.shapes import form_shapes
from gruspec.layouts.weights import Weights, unpack, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import DTypeLike, NDArray

    from gruspec.layouts.fitting import Fit
    from gruspec.layouts.layout import Form

__all__ = ["Conversion", "Exactness", "Plan", "convert", "named_dtype", "plan"]


class Exactness(StrEnum):
    """How the numbers of a conversion relate to those it was given; what cannot be held is refused."""

    EXACT = "exact"
    """Bit for bit: the way back gives the same bits."""
    FOLDED = "folded"
    """Input and recurrent biases were added and rounded where the target keeps one for both."""
    ROUNDED = "rounded"
    """Another dtype was asked for, in which some values are others."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """Weights in another layout.

    Parameters
    ----------
    arrays
        By the names of the target, C-contiguous.
    exactness
        See :class:`Exactness`.
    notes
        What a reader of the arrays must know: zeros that were written, variants and activations that arrays do not
        tell.
    source, target
        Names of the layouts.
    reset_after
        The variant.
    folding
        The effect of folded biases; None where none was folded.
    """

    arrays: dict[str, NDArray[Any]]
    exactness: Exactness
    notes: tuple[str, ...]
    source: str
    target: str
    reset_after: bool
    folding: Folding | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """A conversion that is known to be possible and has not written anything yet.

    Parameters
    ----------
    weights
        What is converted.
    layout, form
        What to.
    shapes
        Of the arrays to write, by name.
    dtype
        Of the arrays to write.
    exactness, notes, folding
        As of the :class:`Conversion`.
    """

    weights: Weights
    layout: Layout
    form: Form
    shapes: dict[str, tuple[int, ...]]
    dtype: np.dtype[Any]
    exactness: Exactness
    notes: tuple[str, ...]
    folding: Folding | None

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write into arrays of these shapes and this dtype, C-contiguous; all or some, and they may be mapped files."""
        with np.errstate(all="ignore"):
            write(self.weights, self.layout, self.form, arrays)


def plan(
    weights: Weights,
    target: Layout,
    *,
    allow_folding: bool = False,
    dtype: DTypeLike | None = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
) -> Plan:
    """Decide how weights go into a layout.

    Raises
    ------
    RefusedConversion
        If the layout cannot hold them.
    SpecTypeError
        If the dtype cannot hold a value.
    UsageError
        If the dtype is not one of weights.
    """
    activations = Activations(activation, recurrent_activation)
    fit = best_fit(weights, target, activations)
    if not fit.holds(allow_folding=allow_folding):
        raise RefusedConversion(
            target.name,
            (*fit.problems, *(() if allow_folding else fit.folds)),
            could=[
                other.name
                for other in LAYOUTS.values()
                if other is not target and best_fit(weights, other, activations).holds(allow_folding=allow_folding)
            ],
            foldable=bool(fit.folds) and not fit.problems,
        )
    wanted = weights.dtype if dtype is None else named_dtype(dtype)
    kept = keeps_every_bit(weights, fit.form, wanted)
    exactness = Exactness.FOLDED if fit.folds else Exactness.EXACT if kept else Exactness.ROUNDED
    return Plan(
        weights,
        target,
        fit.form,
        form_shapes(target, fit.form, weights.sizes),
        wanted,
        exactness,
        tuple(_notes(weights, target, fit, activations, None if kept else wanted)),
        folding_of(weights, fit.form, activations) if fit.folds else None,
    )


def convert(
    arrays: Mapping[str, NDArray[Any]],
    source: str | Layout,
    target: str | Layout,
    *,
    reset_after: bool | None = None,
    allow_folding: bool = False,
    dtype: DTypeLike | None = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    units: int | None = None,
    layers: int | None = None,
    directions: int | None = None,
) -> Conversion:
    """Convert the weights of a GRU from one layout to another, exactly or not at all.

    Parameters
    ----------
    arrays
        By the names that the source has: ``kernel``, ``recurrent_kernel``, ``bias``; ``weight_ih_l0`` ...; ``W``,
        ``R``, ``B``. float16, bfloat16, float32 or float64.
    source, target
        Names of layouts, as ``gruspec.layouts.LAYOUTS`` has them; or layouts.
    reset_after
        The variant. Needed where the arrays do not tell it, as without bias.
    allow_folding
        Whether an input and a recurrent bias may be added, and rounded, where the target keeps one for both.
    dtype
        Of the result; that of the arrays unless given.
    activation, recurrent_activation
        Those of the GRU, if they are known: a target that cannot compute with them refuses. Where the owner of the
        source computes with one only, they need not be given.
    units, layers, directions
        Needed where the source keeps everything in one vector.

    Returns
    -------
    Conversion
        The arrays, and how exact they are.

    Raises
    ------
    RefusedConversion
        If the target cannot hold these weights: the message names what, and who could.
    SpecError, SpecTypeError
        If the arrays are not what the source has, an argument is of the wrong type, or the dtype cannot hold a value.
    UsageError
        If a layout or an activation is unknown, an argument is needed, or a GRU of the source cannot have these
        activations.

    Examples
    --------
    >>> import numpy as np
    >>> keras = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((4, 12)), "bias": np.ones((2, 12))}
    >>> result = convert(keras, "keras", "torch")
    >>> sorted(result.arrays), result.exactness.value, result.reset_after
    (['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0'], 'exact', True)
    """
    for name, value in (("activation", activation), ("recurrent_activation", recurrent_activation)):
        check_activation(name, value)
    read, wanted = (each if isinstance(each, Layout) else layout_named(each) for each in (source, target))
    weights = unpack(arrays, read, reset_after=reset_after, units=units, layers=layers, directions=directions)
    known = Activations(activation, recurrent_activation).in_layout(read)
    planned = plan(weights, wanted, allow_folding=allow_folding, dtype=dtype, **known._asdict())
    written = {name: np.empty(shape, planned.dtype) for name, shape in planned.shapes.items()}
    planned.write(written)
    return Conversion(
        written,
        planned.exactness,
        planned.notes,
        read.name,
        wanted.name,
        weights.reset_after,
        planned.folding,
    )


def _notes(
    weights: Weights, target: Layout, fit: Fit, activations: Activations, rounded: np.dtype[Any] | None
) -> Iterator[str]:
    yield from target.notes
    if fit.filled and not weights.use_bias:
        yield f"there is no bias, and {target.name} always has one: zeros were written"
    elif fit.filled:
        parts = dict.fromkeys(
            f"{'recurrent' if part == RECURRENT_BIAS else 'input'} bias of the {GATE_TITLES[gate]}"
            for part, gate in fit.filled
        )
        yield f"there is no {listed(parts)}: zeros were written"
    if rounded is not None and fit.folds:
        yield f"values were rounded to {rounded.name} too, which the bound of the folded biases does not count"
    if len(fit.form.reset_after) > 1:
        yield f"the arrays do not tell the variant: it is reset_after={weights.reset_after}"
    unknown = [
        f"{name} {allowed[0]}" for name, value, allowed in activations.of(target) if value is None and len(allowed) == 1
    ]
    if unknown:
        yield f"{target.title} computes with {' and '.join(unknown)}; the arrays do not tell those of the source"
