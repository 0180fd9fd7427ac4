"""Element-wise activations [activations], written into a given array and computed in its dtype.

Every constant is a Python number, which NumPy takes in the dtype of the array beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Activation: TypeAlias = Callable[[Array], None]


def tanh(x: Array) -> None:
    """Replace ``x`` by tanh(x)."""
    np.tanh(x, out=x)


def sigmoid(x: Array) -> None:
    """Replace ``x`` by 1 / (1 + exp(-x)), as 0.5 + 0.5 tanh(0.5 x): within 2 u of it, and no overflow on the way."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


def hard_sigmoid(x: Array) -> None:
    """Replace ``x`` by 0.2 x + 0.5 clipped to [0, 1]; NaN stays NaN."""
    x *= 0.2
    x += 0.5
    np.maximum(x, 0.0, out=x)
    np.minimum(x, 1.0, out=x)


def relu(x: Array) -> None:
    """Replace ``x`` by max(x, 0); NaN stays NaN."""
    np.maximum(x, 0.0, out=x)


def linear(x: Array) -> None:
    """Leave ``x`` as it is."""


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
    "linear": linear,
}
"""By the names of :data:`gruspec.spec.ACTIVATIONS`."""
