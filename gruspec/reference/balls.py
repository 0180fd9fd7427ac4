"""The definition in ball arithmetic: rigorous enclosures of the exact real result, by python-flint.

Arrays are NumPy object arrays of ``flint.arb``, at the working precision of the surrounding ``flint.ctx.workprec``.
``numpy.maximum`` and ``numpy.clip`` are not used: on a ball that straddles a corner they choose a side without proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from flint import arb

if TYPE_CHECKING:
    from collections.abc import Callable

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
