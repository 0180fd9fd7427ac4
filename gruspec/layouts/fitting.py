"""What a layout can hold of weights, and in which of its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.errors import UsageError
from gruspec.layouts.activations import HARD_SIGMOID_6
from gruspec.layouts.layout import INPUT_BIAS, RECURRENT_BIAS, SUMMED_BIAS, Block
from gruspec.layouts.weights import bits_of, stored, zero_bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gruspec.layouts.layout import Cell, Form, Layout
    from gruspec.layouts.weights import Weights

COMPLEMENTABLE = ("sigmoid", "hard_sigmoid", HARD_SIGMOID_6)
"""Activations a with 1 - a(x) = a(-x); the last is the hard sigmoid of Keras 3."""

GATE_TITLES = {"z": "update gate", "r": "reset gate", "h": "candidate"}
_BIASES = (INPUT_BIAS, RECURRENT_BIAS)


class Activations(NamedTuple):
    """The activations of a GRU; None where they are not known."""

    activation: str | None = None
    recurrent_activation: str | None = None

    def of(self, layout: Layout) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
        """Yield the argument, its value, and the values that the owner of a layout can compute with (none: any)."""
        allowed = (layout.activations, layout.recurrent_activations)
        return zip(self._fields, self, allowed, strict=True)

    def in_layout(self, layout: Layout) -> Activations:
        """Return what is known once it is known which layout the weights are in.

        Raises
        ------
        UsageError
            If a GRU with this layout cannot have these activations.
        """
        for name, value, allowed in self.of(layout):
            if value is not None and allowed and value not in allowed:
                raise UsageError(f"{name}={value!r}: {layout.title} computes with {' or '.join(allowed)}")
        return Activations(
            *(allowed[0] if value is None and len(allowed) == 1 else value for _, value, allowed in self.of(layout))
        )


class Fit(NamedTuple):
    """How weights go into a form.

    Parameters
    ----------
    form
        Of the target.
    problems
        What it cannot hold.
    folds
        Biases that it can hold only added up.
    filled
        Biases that it has and the weights have not: zeros are written there.
    """

    form: Form
    problems: tuple[str, ...]
    folds: tuple[str, ...]
    filled: tuple[tuple[str, str], ...] = ()

    def holds(self, *, allow_folding: bool) -> bool:
        """Whether everything has a place."""
        return not self.problems and (allow_folding or not self.folds)


def best_fit(weights: Weights, target: Layout, activations: Activations) -> Fit:
    """Return the form of a layout that holds weights best, the first (fullest) of several as good.

    Weights with a bias go into a form with biases though they be zeros: a layer that has biases would keep its own.
    """
    general = tuple(_general_problems(weights, target, activations))
    forms = [form for form in target.forms if weights.reset_after in form.reset_after]
    if not forms:
        (only,) = target.reset_after
        variant = f"reset_after={weights.reset_after}: it has reset_after={only} only"
        return Fit(target.forms[0], (variant, *general), ())
    fit = min(
        (_fit(weights, form) for form in forms),
        key=lambda each: (len(each.problems), len(each.folds), each.form.has_bias != weights.use_bias),
    )
    return fit._replace(problems=(*general, *fit.problems))


def _general_problems(weights: Weights, target: Layout, activations: Activations) -> Iterator[str]:
    sizes = weights.sizes
    if sizes.layers > 1 and not target.stacked:
        yield f"layers={sizes.layers}: it holds one layer"
    if sizes.directions > 1 and not target.bidirectional:
        yield f"directions={sizes.directions}: it holds one direction"
    if sizes.layers > 1 and sizes.directions > 1 and not target.bidirectional_stacks:
        yield f"layers={sizes.layers} with directions=2: there each direction is a stack of its own"
    if target.equal_inputs and sizes.input_sizes_differ:
        yield f"input sizes of the layers {sizes.input_size}, {sizes.inputs_of(1)}: it needs the same for all"
    for name, value, allowed in activations.of(target):
        if value is not None and allowed and value not in allowed:
            yield f"{name}={value!r}: it computes with {' or '.join(allowed)}"
    recurrent = activations.recurrent_activation
    if target.complement and recurrent not in (None, *COMPLEMENTABLE):
        yield (
            f"the sign of the update gate: it weights the candidate, and with recurrent_activation={recurrent!r} no "
            "weights of the gate give its complement"
        )


def _fit(weights: Weights, form: Form) -> Fit:
    held = {(block.part, block.gate) for block in weights.blocks}
    filled = tuple((part, gate) for part, gate in sorted(form.parts) if part in _BIASES and (part, gate) not in held)
    problems: list[str] = []
    folds: list[str] = []
    for part, gate in sorted(held):
        summed = (SUMMED_BIAS, gate) in form.parts
        if part not in _BIASES or (part, gate) in form.parts or (summed and part == INPUT_BIAS):
            continue
        blocks = [Block(cell, part, gate) for cell in weights.sizes.cells()]
        blocks = [block for block in blocks if block in weights.blocks and not zero_bits(weights.blocks[block])]
        if blocks:
            foldable, reason = _without_place(weights, blocks, summed=summed)
            (folds if foldable else problems).append(f"{_title(weights, blocks)}: {reason}")
    return Fit(form, tuple(problems), tuple(folds), filled)


def _without_place(weights: Weights, blocks: list[Block], *, summed: bool) -> tuple[bool, str]:
    """Return whether a bias that has no place of its own can be folded, and what of it is lost.

    Parameters
    ----------
    weights
        Of the GRU.
    blocks
        The bias in every cell where it is not +0.
    summed
        Whether there is a place for the sum with the input bias.
    """
    recurrent, gate = blocks[0].part == RECURRENT_BIAS, blocks[0].gate
    only_the_sum_matters = gate != "h" or not weights.reset_after
    if summed and only_the_sum_matters:
        overflow = next((unit for block in blocks if (unit := _overflow(weights, block.cell, gate)) is not None), None)
        if overflow is not None:
            return False, f"its sum with the input bias overflows {weights.dtype.name} at unit {overflow}"
        return True, "it keeps one bias for the sum with the input bias"
    if recurrent and not any(_nonzero(weights.blocks[block]).size for block in blocks):
        return True, "it has no place for it, and the sign of its zeros would be lost"
    if recurrent and not only_the_sum_matters:
        return False, (
            "it has no place for it, and the reset gate, which scales it, would not scale it in the input bias: no sum "
            "does the same"
        )
    return False, "it has no place for it"


def _title(weights: Weights, blocks: list[Block]) -> str:
    """Return the name of a bias, and a value of it."""
    block = next((block for block in blocks if _nonzero(weights.blocks[block]).size), blocks[0])
    values = weights.blocks[block]
    unit = int((*_nonzero(values), *np.flatnonzero(bits_of(values)))[0])
    where = f" of layer {block.cell.layer}" if weights.sizes.layers > 1 else ""
    where += " of the backward direction" if block.cell.direction else ""
    more = f", and so in {len(blocks) - 1} other cells" if len(blocks) > 1 else ""
    title = f"{'input' if block.part == INPUT_BIAS else 'recurrent'} bias of the {GATE_TITLES[block.gate]}{where}"
    return f"{title} is not zero ({values[unit]!s} at unit {unit}{more})"


def _nonzero(values: NDArray[Any]) -> NDArray[Any]:
    """Return the units at which values are neither +0 nor -0; by their bits, since a signalling NaN warns."""
    return np.flatnonzero(bits_of(values) << 1)


def _overflow(weights: Weights, cell: Cell, gate: str) -> int | None:
    """Return the first unit at which the sum of two finite biases is infinite."""
    total = stored(weights, cell, SUMMED_BIAS, gate)
    finite = [
        np.isfinite(weights.blocks[Block(cell, part, gate)])
        for part in _BIASES
        if Block(cell, part, gate) in weights.blocks
    ]
    lost = np.logical_and.reduce(finite) & ~np.isfinite(0.0 if total is None else total)
    return int(np.flatnonzero(lost)[0]) if lost.any() else None
