"""How far outputs can move where an input and a recurrent bias were added and rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gruspec.layouts.activations import HARD_SIGMOID_6
from gruspec.layouts.casting import panels
from gruspec.layouts.layout import (
    INPUT_BIAS,
    KERNEL,
    RECURRENT_BIAS,
    RECURRENT_KERNEL,
    SUMMED_BIAS,
    Block,
)
from gruspec.spec import GATES

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from gruspec.layouts.fitting import Activations
    from gruspec.layouts.layout import Cell, Form
    from gruspec.layouts.weights import Weights

_GATE_SLOPES = {"sigmoid": 0.25, "hard_sigmoid": 0.2, HARD_SIGMOID_6: 1 / 6}
"""The largest slope of each activation whose values stay within [0, 1]."""
_SLOPES = {"tanh": 1.0, **_GATE_SLOPES}
"""The largest slope of each activation whose values stay within [-1, 1]."""
_MARGIN = 1 + 2.0**-20
"""Pays for the rounding errors of computing the bound."""


@dataclass(frozen=True)
class _CellNorms:
    """What the recursion of a cell needs: by gate, the largest absolute column sums, rounding errors, and biases."""

    kernel: dict[str, float]
    recurrent_kernel: dict[str, float]
    rounding: dict[str, float]
    recurrent_candidate_bias: float

    @property
    def finite(self) -> bool:
        """Whether there is no NaN and no infinity among the weights that count."""
        sums = (*self.kernel.values(), *self.recurrent_kernel.values(), self.recurrent_candidate_bias)
        return all(math.isfinite(number) for number in sums)


@dataclass(frozen=True)
class Folding:
    """What folding did.

    Parameters
    ----------
    largest_rounding
        The largest distance between a folded bias and the exact sum; 0 where all sums were exact.
    activation, recurrent_activation
        That the bound is for.
    """

    largest_rounding: float
    activation: str
    recurrent_activation: str
    _cells: tuple[tuple[_CellNorms, ...], ...]
    _reset_after: bool

    def bound(self, steps: int) -> float:
        """Return how far any output can move within a number of timesteps, for any inputs and any |initial state| <= 1.

        Parameters
        ----------
        steps
            Timesteps, at least 1.

        Returns
        -------
        float
            An upper bound of the difference of exact outputs, at most 2; infinite where outputs can be larger than 1 or
            a weight is not finite.
        """
        if self.largest_rounding == 0:
            return 0.0
        if self.activation not in _SLOPES or self.recurrent_activation not in _GATE_SLOPES:
            return math.inf
        if not all(norms.finite for directions in self._cells for norms in directions):
            return math.inf
        moved = 0.0
        for directions in self._cells:
            moved = max(self._moved(norms, moved, steps) for norms in directions)
        return moved

    def _moved(self, norms: _CellNorms, inputs: float, steps: int) -> float:
        """Return how far the state of a cell moves while its inputs move by ``inputs``.

        With e the distance of the states before a step: a gate moves by its slope times what its sum moves, the
        candidate likewise; z h + (1 - z) n moves by at most max(e, that of n) + |h - n| times that of z.
        """
        gate_slope, slope = _GATE_SLOPES[self.recurrent_activation], _SLOPES[self.activation]
        state = 0.0
        for _ in range(steps):
            sums = {
                gate: norms.kernel[gate] * inputs + norms.recurrent_kernel[gate] * state + norms.rounding[gate]
                for gate in "zr"
            }
            z, r = (min(1.0, gate_slope * sums[gate]) for gate in "zr")
            recurrent = norms.recurrent_kernel["h"]
            product = recurrent * state + r * recurrent
            if self._reset_after:
                product += r * norms.recurrent_candidate_bias
            candidate = slope * (norms.kernel["h"] * inputs + norms.rounding["h"] + product)
            state = min(2.0, (max(state, candidate) + 2.0 * z) * _MARGIN)
        return state


def folding_of(weights: Weights, form: Form, activations: Activations) -> Folding:
    """Return what folding the biases of weights into a form does; activations not known are tanh and sigmoid."""
    cells: dict[int, list[_CellNorms]] = {}
    with np.errstate(all="ignore"):
        for cell in weights.sizes.cells():
            cells.setdefault(cell.layer, []).append(_norms(weights, form, cell))
    return Folding(
        max(max(norms.rounding.values()) for directions in cells.values() for norms in directions),
        activations.activation or "tanh",
        activations.recurrent_activation or "sigmoid",
        tuple(tuple(directions) for directions in cells.values()),
        weights.reset_after,
    )


def _norms(weights: Weights, form: Form, cell: Cell) -> _CellNorms:
    candidate = weights.blocks.get(Block(cell, RECURRENT_BIAS, "h"))
    return _CellNorms(
        {gate: _column_sums(weights.blocks[Block(cell, KERNEL, gate)]) for gate in GATES},
        {gate: _column_sums(weights.blocks[Block(cell, RECURRENT_KERNEL, gate)]) for gate in GATES},
        {gate: _rounding(weights, cell, gate) if (SUMMED_BIAS, gate) in form.parts else 0.0 for gate in GATES},
        0.0 if candidate is None else float(np.max(np.abs(candidate.astype(np.float64)))),
    )


def _column_sums(kernel: NDArray[Any]) -> float:
    """Return the largest sum of absolute values of a column; NaN where one is NaN."""
    sums = np.zeros(kernel.shape[1])
    for panel in panels(kernel):
        sums += np.abs(panel.astype(np.float64)).sum(axis=0)
    return float(sums.max())


def _rounding(weights: Weights, cell: Cell, gate: str) -> float:
    """Return the largest rounding error of adding both biases of a gate (Knuth, TAOCP 2, 4.2.2, theorem B).

    What is infinite or NaN already stays so, without error.
    """
    first, second = (weights.blocks.get(Block(cell, part, gate)) for part in (INPUT_BIAS, RECURRENT_BIAS))
    if first is None or second is None:
        return 0.0
    total = first + second
    taken = total - first
    errors = (first - (total - taken)) + (second - taken)
    return float(np.max(np.abs(errors.astype(np.float64)), where=np.isfinite(total), initial=0.0))
