"""The definition in ball arithmetic: rigorous enclosures of the exact real result, by python-flint.

Arrays are NumPy object arrays of ``flint.arb``, at the working precision of the surrounding ``flint.ctx.workprec``.
``numpy.maximum`` and ``numpy.clip`` are not used: on a ball that straddles a corner they choose a side without proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from flint import arb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Balls = NDArray[np.object_]

_lift = np.frompyfunc(lambda value: arb(float(value)), 1, 1)


def _clip_to_unit(ball: arb) -> arb:
    if ball < 0:
        return arb(0)
    if ball > 1:
        return arb(1)
    return ball.max(arb(0)).min(arb(1))


def _relu(ball: arb) -> arb:
    if ball >= 0:
        return ball
    return arb(0) if ball <= 0 else ball.max(arb(0))


def _hard_sigmoid(ball: arb) -> arb:
    # (x + 5/2) / 5 is exact up to the division, so that a corner reached exactly is decided
    return _clip_to_unit((ball + arb(2.5)) / 5)


_ACTIVATIONS: dict[str, Callable[[arb], arb]] = {
    "tanh": lambda ball: ball.tanh(),
    "sigmoid": lambda ball: 1 / (1 + (-ball).exp()),
    "hard_sigmoid": _hard_sigmoid,
    "relu": _relu,
    "linear": lambda ball: ball,
}
_UFUNCS = {name: np.frompyfunc(function, 1, 1) for name, function in _ACTIVATIONS.items()}


def _step(*, above: bool, below: bool) -> arb:
    """Return a step from 0 to 1: on one side, on the other, or undecided."""
    if above:
        return arb(1)
    return arb(0) if below else arb(0.5, 0.5)


_SLOPES: dict[str, Callable[[arb, arb], arb]] = {
    "tanh": lambda _, y: 1 - y * y,
    "sigmoid": lambda _, y: y * (1 - y),
    "hard_sigmoid": lambda a, _: _step(above=abs(a) <= arb(2.5), below=abs(a) > arb(2.5)) / 5,
    "relu": lambda a, _: _step(above=a > 0, below=a <= 0),
    "linear": lambda _, __: arb(1),
}
_SLOPE_UFUNCS = {name: np.frompyfunc(function, 2, 1) for name, function in _SLOPES.items()}


def _blend_balls(update: arb, state: arb, candidate: arb) -> arb:
    if update.is_exact():
        return update * state + (1 - update) * candidate  # exact at 0 and 1, whatever the other side encloses
    return candidate + update * (state - candidate)  # the update gate stands once: the tighter enclosure


_blend = np.frompyfunc(_blend_balls, 3, 1)


class BallNumbers:
    """Enclosures at the current working precision."""

    def lift(self, values: NDArray[np.float64]) -> Balls:
        """Return the values as exact balls."""
        return np.asarray(_lift(values), dtype=object)

    def zeros(self, shape: tuple[int, ...]) -> Balls:
        """Return exact zeros."""
        return self.lift(np.zeros(shape))

    def select(self, condition: NDArray[np.bool_], chosen: Balls, other: Balls) -> Balls:
        """Return ``chosen`` where the condition holds, else ``other``; the condition is certain."""
        return np.where(condition, chosen, other)

    def activation(self, name: str, preactivation: Balls) -> Balls:
        """Enclose an activation."""
        return np.asarray(_UFUNCS[name](preactivation), dtype=object)

    def blend(self, update: Balls, state: Balls, candidate: Balls) -> Balls:
        """Enclose ``z h + (1 - z) n``."""
        return np.asarray(_blend(update, state, candidate), dtype=object)

    def pull_to_preactivation(self, cotangent: Balls, name: str, preactivation: Balls, activated: Balls) -> Balls:
        """Enclose the cotangent times the derivative; at a corner that is not met exactly, times all that it can be."""
        return np.asarray(cotangent * _SLOPE_UFUNCS[name](preactivation, activated), dtype=object)

    def pull_to_update(self, cotangent: Balls, _: Balls, state: Balls, candidate: Balls) -> Balls:
        """Enclose ``g (h - n)``."""
        return np.asarray(cotangent * (state - candidate), dtype=object)

    def pull_to_state(self, cotangent: Balls, update: Balls, _: Balls, __: Balls) -> Balls:
        """Enclose ``g z``."""
        return np.asarray(cotangent * update, dtype=object)

    def pull_to_candidate(self, cotangent: Balls, update: Balls, _: Balls, __: Balls) -> Balls:
        """Enclose ``g (1 - z)``."""
        return np.asarray(cotangent * (1 - update), dtype=object)

    def transposed(self, array: Balls) -> Balls:
        """Return the last two axes swapped."""
        return array.swapaxes(-1, -2)

    def over_rows(self, array: Balls) -> Balls:
        """Enclose the sum over the first axis."""
        return self.zeros((1, *array.shape[1:])) if not len(array) else np.asarray(array.sum(axis=0, keepdims=True))

    def absolute(self, array: Balls) -> Balls:
        """Enclose magnitudes."""
        return np.asarray(abs(array), dtype=object)

    def total(self, arrays: Sequence[Balls]) -> Balls:
        """Enclose the sum of all elements."""
        found = self.zeros((1, 1, 1))
        for array in arrays:
            found = found + array.sum()
        return found

    def divided(self, array: Balls, divisor: int) -> Balls:
        """Enclose quotients."""
        return np.asarray(array / divisor, dtype=object)

    def named(self, cotangent: Balls) -> Balls:
        """Return the cotangent."""
        return cotangent
