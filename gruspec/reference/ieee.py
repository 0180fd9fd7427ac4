"""The definition in IEEE arithmetic, in each form that the contract permits.

One form in float64 is the everyday reference. All forms together decide which elements of a case with NaN or infinities
have a result that every conforming implementation must give [nonfinite].
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    Array = NDArray[np.floating[Any]]

_BLENDS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "convex": lambda z, h, n: z * h + (1 - z) * n,
    "from-candidate": lambda z, h, n: n + z * (h - n),
    "from-state": lambda z, h, n: h + (1 - z) * (n - h),
}


def _hard_sigmoid(a: Array) -> Array:
    slope, offset = a.dtype.type(0.2), a.dtype.type(0.5)
    return np.clip(slope * a + offset, 0, 1)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hard_sigmoid": _hard_sigmoid,
    "relu": lambda a: np.maximum(a, 0),
    "linear": lambda a: a,
}


_SLOPES: dict[str, Callable[[Array, Array], Array]] = {
    "tanh": lambda _, y: 1 - y * y,
    "sigmoid": lambda _, y: y * (1 - y),
    "hard_sigmoid": lambda a, _: np.where(np.abs(a) <= 2.5, a.dtype.type(0.2), a.dtype.type(0)),
    "relu": lambda a, _: (a > 0).astype(a.dtype),
    "linear": lambda a, _: np.ones_like(a),
}

_PULLS_TO_UPDATE: dict[str, Callable[[Array, Array, Array], Array]] = {
    "convex": lambda g, h, n: g * h - g * n,
    "from-candidate": lambda g, h, n: g * (h - n),
    "from-state": lambda g, h, n: -(g * (n - h)),
}


@dataclass(frozen=True)
class IEEENumbers:
    """IEEE arithmetic in one dtype, with one permitted form of the update."""

    dtype: DTypeLike = np.float64
    form: str = "convex"

    def lift(self, values: NDArray[np.float64]) -> Array:
        """Return the values in the dtype; they are expected to be exact there."""
        return values.astype(self.dtype)

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Return exact zeros."""
        return np.zeros(shape, self.dtype)

    def select(self, condition: NDArray[np.bool_], chosen: Array, other: Array) -> Array:
        """Return ``chosen`` where the condition holds, else ``other``."""
        return np.where(condition, chosen, other)

    def activation(self, name: str, preactivation: Array) -> Array:
        """Apply an activation."""
        with np.errstate(over="ignore"):
            return _ACTIVATIONS[name](preactivation)

    def blend(self, update: Array, state: Array, candidate: Array) -> Array:
        """Combine state and candidate."""
        return _BLENDS[self.form](update, state, candidate)

    def pull_to_preactivation(self, cotangent: Array, name: str, preactivation: Array, activated: Array) -> Array:
        """Return the cotangent times the derivative of an activation."""
        return cotangent * _SLOPES[name](preactivation, activated)

    def pull_to_update(self, cotangent: Array, _: Array, state: Array, candidate: Array) -> Array:
        """Return ``g (h - n)``."""
        return _PULLS_TO_UPDATE[self.form](cotangent, state, candidate)

    def pull_to_state(self, cotangent: Array, update: Array, _: Array, __: Array) -> Array:
        """Return ``g z``."""
        return cotangent - cotangent * (1 - update) if self.form == "from-state" else cotangent * update

    def pull_to_candidate(self, cotangent: Array, update: Array, _: Array, __: Array) -> Array:
        """Return ``g (1 - z)``."""
        return cotangent - cotangent * update if self.form == "from-candidate" else cotangent * (1 - update)

    def transposed(self, array: Array) -> Array:
        """Return the last two axes swapped."""
        return array.swapaxes(-1, -2)

    def over_rows(self, array: Array) -> Array:
        """Return the sum over the first axis."""
        return np.asarray(array.sum(axis=0, keepdims=True))

    def absolute(self, array: Array) -> Array:
        """Return magnitudes."""
        return np.abs(array)

    def total(self, arrays: Sequence[Array]) -> Array:
        """Return the sum of all elements."""
        sums = np.array([array.sum() for array in arrays], self.dtype)
        return np.full((1, 1, 1), sums.sum())

    def divided(self, array: Array, divisor: int) -> Array:
        """Return quotients."""
        return array / array.dtype.type(divisor)

    def named(self, cotangent: Array) -> Array:
        """Return the cotangent."""
        return cotangent


FLOAT64 = IEEENumbers()
PERMITTED_FORMS = tuple(IEEENumbers(dtype, form) for dtype, form in product((np.float32, np.float64), _BLENDS))
"""Every form of the update in float32 and float64."""
