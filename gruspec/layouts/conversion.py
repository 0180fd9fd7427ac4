"""Conversion between layouts: exact, or folded where that is allowed, or refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import RefusedConversion, SpecTypeError, UsageError, listed
from gruspec.layouts.declared import LAYOUTS, layout_named
from gruspec.layouts.folding import Folding, folding_of
from gruspec.layouts.layout import INPUT_BIAS, RECURRENT_BIAS, SUMMED_BIAS, Block
from gruspec.layouts.shapes import form_shapes
from gruspec.layouts.weights import DTYPES, Weights, unpack, write, zero_bits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gruspec.layouts.layout import Cell, Form, Layout

COMPLEMENTABLE = ("sigmoid", "hard_sigmoid")
"""Activations a with 1 - a(x) = a(-x)."""

_TITLES = {"z": "update gate", "r": "reset gate", "h": "candidate"}


class Exactness(StrEnum):
    """How the numbers of a conversion relate to those it was given; what cannot be held is refused."""

    EXACT = "exact"
    """Bit for bit: the way back gives the same bits."""
    FOLDED = "folded"
    """Input and recurrent biases were added and rounded where the target keeps one for both."""
    ROUNDED = "rounded"
    """A narrower dtype was asked for, in which some values are others."""


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
    dtype: str | None = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
) -> Plan:
    """Decide how weights go into a layout.

    Raises
    ------
    RefusedConversion
        If the layout cannot hold them.
    SpecTypeError
        If the dtype is not one of weights, or cannot hold a value.
    """
    form, problems, folds = _best_form(weights, target, activation, recurrent_activation)
    if problems or (folds and not allow_folding):
        raise RefusedConversion(
            target.name,
            (*problems, *(() if allow_folding else folds)),
            could=[
                other.name
                for other in LAYOUTS.values()
                if other is not target and not any(_best_form(weights, other, activation, recurrent_activation)[1:])
            ],
            foldable=bool(folds) and not problems,
        )
    wanted = _dtype(dtype, weights)
    exactness = Exactness.EXACT
    if folds:
        exactness = Exactness.FOLDED
    elif not _keeps(weights, wanted):
        exactness = Exactness.ROUNDED
    return Plan(
        weights,
        target,
        form,
        form_shapes(target, form, weights.sizes),
        wanted,
        exactness,
        tuple(_notes(weights, target, form, activation, recurrent_activation)),
        folding_of(weights, form, activation, recurrent_activation) if folds else None,
    )


def convert(
    arrays: Mapping[str, NDArray[Any]],
    source: str,
    target: str,
    *,
    reset_after: bool | None = None,
    allow_folding: bool = False,
    dtype: str | None = None,
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
        Names of layouts, as ``gruspec.layouts.LAYOUTS`` has them.
    reset_after
        The variant. Needed where the arrays do not tell it, as without bias.
    allow_folding
        Whether an input and a recurrent bias may be added, and rounded, where the target keeps one for both.
    dtype
        Of the result; that of the arrays unless given.
    activation, recurrent_activation
        Those of the GRU, if they are known: a target that cannot compute with them refuses.
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
        If the arrays are not what the source has.
    UsageError
        If a layout is unknown, or an argument is needed.

    Examples
    --------
    >>> import numpy as np
    >>> keras = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((4, 12)), "bias": np.ones((2, 12))}
    >>> result = convert(keras, "keras", "torch")
    >>> sorted(result.arrays), result.exactness.value, result.reset_after
    (['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0'], 'exact', True)
    """
    weights = unpack(
        arrays, layout_named(source), reset_after=reset_after, units=units, layers=layers, directions=directions
    )
    planned = plan(
        weights,
        layout_named(target),
        allow_folding=allow_folding,
        dtype=dtype,
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    written = {name: np.empty(shape, planned.dtype) for name, shape in planned.shapes.items()}
    planned.write(written)
    return Conversion(written, planned.exactness, planned.notes, source, target, weights.reset_after, planned.folding)


def _best_form(
    weights: Weights, target: Layout, activation: str | None, recurrent_activation: str | None
) -> tuple[Form, list[str], list[str]]:
    """Return the form that fits best, what it cannot hold, and the biases that it would fold."""
    general = list(_general_problems(weights, target, activation, recurrent_activation))
    forms = [form for form in target.forms if weights.reset_after in form.reset_after]
    if not forms:
        (only,) = target.reset_after
        return target.forms[0], [f"reset_after={weights.reset_after}: it has reset_after={only} only", *general], []
    preferred = [form for form in forms if form.has_bias == weights.use_bias] or forms
    judged = [(form, *_bias_problems(weights, form)) for form in preferred]
    form, problems, folds = min(judged, key=lambda entry: (len(entry[1]), len(entry[2])))
    return form, general + problems, folds


def _general_problems(
    weights: Weights, target: Layout, activation: str | None, recurrent_activation: str | None
) -> Iterator[str]:
    sizes = weights.sizes
    if sizes.layers > 1 and not target.stacked:
        yield f"layers={sizes.layers}: it holds one layer"
    if sizes.directions > 1 and not target.bidirectional:
        yield f"directions={sizes.directions}: it holds one direction"
    widths = {sizes.inputs_of(layer) for layer in range(sizes.layers)}
    if target.equal_inputs and len(widths) > 1:
        yield f"input sizes of the layers {listed(sorted(widths))}: it needs the same for all"
    for name, value, allowed in (
        ("activation", activation, target.activations),
        ("recurrent_activation", recurrent_activation, target.recurrent_activations),
    ):
        if value is not None and allowed and value not in allowed:
            yield f"{name}={value!r}: it computes with {' or '.join(allowed)}"
    if target.complement and recurrent_activation not in (None, *COMPLEMENTABLE):
        yield (
            f"the sign of the update gate: it weights the candidate, and with recurrent_activation="
            f"{recurrent_activation!r} no weights of the gate give its complement"
        )


def _bias_problems(weights: Weights, form: Form) -> tuple[list[str], list[str]]:
    """Return the biases that a form cannot hold at all, and those that it can hold only added up."""
    problems: list[str] = []
    folds: list[str] = []
    for (cell, part, gate), values in weights.blocks.items():
        if part not in (INPUT_BIAS, RECURRENT_BIAS) or (part, gate) in form.parts:
            continue
        if (SUMMED_BIAS, gate) not in form.parts:
            if not zero_bits(values):
                problems.append(f"{_named_bias(weights, cell, part, gate, values)}: it has no place for it")
        elif part == RECURRENT_BIAS and not zero_bits(values):
            if _summable(weights, gate):
                folds.append(
                    f"{_named_bias(weights, cell, part, gate, values)}: it keeps one bias for the sum with the input bias"
                )
            else:
                problems.append(
                    f"{_named_bias(weights, cell, part, gate, values)}: it keeps one bias for the {_TITLES[gate]}, but the "
                    "reset gate scales this one and not the other, so that no sum does the same"
                )
    return problems, folds


def _summable(weights: Weights, gate: str) -> bool:
    """Whether only the sum of the two biases of a gate matters."""
    return gate != "h" or not weights.reset_after


def _named_bias(weights: Weights, cell: Cell, part: str, gate: str, values: NDArray[Any]) -> str:
    bits = values.view(np.dtype(f"u{values.dtype.itemsize}"))
    unit = int(np.flatnonzero(bits)[0])
    where = f" of layer {cell.layer}" if weights.sizes.layers > 1 else ""
    where += " backward" if cell.direction else ""
    title = f"{'input' if part == INPUT_BIAS else 'recurrent'} bias of the {_TITLES[gate]}{where}"
    return f"{title} is not zero ({values[unit]!s} at unit {unit})"


def _dtype(dtype: str | None, weights: Weights) -> np.dtype[Any]:
    if dtype is None or dtype == weights.dtype.name:
        return weights.dtype
    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r}: expected one of {listed(DTYPES)}")
    return named_dtype(dtype)


def named_dtype(name: str) -> np.dtype[Any]:
    """Return a dtype of weights by name; bfloat16 needs ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _keeps(weights: Weights, dtype: np.dtype[Any]) -> bool:
    """Return whether every value is the same in a dtype.

    Raises
    ------
    SpecTypeError
        If a finite value would become infinite.
    """
    if dtype == weights.dtype:
        return True
    kept = True
    with np.errstate(all="ignore"):
        for (cell, part, gate), values in weights.blocks.items():
            cast = values.astype(dtype)
            if not np.array_equal(np.isfinite(cast.astype(np.float64)), np.isfinite(values.astype(np.float64))):
                worst = np.nanmax(
                    np.abs(np.where(np.isfinite(values.astype(np.float64)), values.astype(np.float64), 0))
                )
                raise SpecTypeError(
                    f"dtype={dtype.name!r}: {part} of the {_TITLES[gate]} of layer {cell.layer} holds {worst:g}, which "
                    f"is infinite there; keep {weights.dtype.name}"
                )
            back = cast.astype(weights.dtype)
            kept = kept and bool(np.array_equal(back, values, equal_nan=True))
    return kept


def _notes(
    weights: Weights, target: Layout, form: Form, activation: str | None, recurrent_activation: str | None
) -> Iterator[str]:
    yield from target.notes
    if form.has_bias and not weights.use_bias:
        yield f"there is no bias, and {target.name} always has one: zeros were written"
    if len(form.reset_after) > 1:
        yield f"the arrays do not tell the variant: it is reset_after={weights.reset_after}"
    for name, value, allowed in (
        ("activation", activation, target.activations),
        ("recurrent_activation", recurrent_activation, target.recurrent_activations),
    ):
        if value is None and allowed:
            yield f"{target.title} computes with {name} {' or '.join(allowed)}; the arrays do not tell that of the source"
