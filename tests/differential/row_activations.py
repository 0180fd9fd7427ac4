"""Bounds for softmax and log-softmax along the last axis, through their Jacobians.

Both are invariant under a shift of a row, so that implementations subtract the largest element first. The subtraction
rounds, exp is within the contract's rule for functions outside the specification, and the sum of n terms rounds n - 1
times: an element y with Jacobian J is off by at most

    8 (|y_i| + sum_j |J_ij| |x_j - max|) + n |y_i|   (softmax),   8 (...) + n + 8   (log-softmax)

units, the last terms for the sum and its logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from smooth_activations import ELEMENTWISE, ULPS

from gruspec.reference.error_arrays import INEXACT_GRID, Array, ErrorArray, exact_array, finite_errors

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, eq=False)
class Pullback(ErrorArray):
    """The transposed Jacobian of a row, in the place of a slope: a cotangent times it is pulled back.

    As a subclass of its left operand's class it has the product to itself.
    """

    pull: Callable[[ErrorArray], ErrorArray] | None = None

    def __rmul__(self, cotangent: ErrorArray) -> ErrorArray:
        """Return the cotangent of the argument."""
        if self.pull is None:
            raise TypeError("a pullback without a function")
        return self.pull(cotangent)


def softmax(a: ErrorArray) -> ErrorArray:
    """Return the softmax of a settled array; second-order errors are at most twice the largest error squared."""
    value = _shares(a.value)
    jacobian = value[..., :, None] * (np.eye(a.shape[-1]) - value[..., None, :])
    widest = a.precision.unit_roundoff * a.error.max(axis=-1, keepdims=True)
    curved = 2 * np.minimum(1.0, value * np.exp(2 * widest))
    return _through(a, value, jacobian, curvature=curved, summed=a.shape[-1] * value)


def log_softmax(a: ErrorArray) -> ErrorArray:
    """Return the log-softmax of a settled array; second-order errors are at most half the largest error squared."""
    shares = _shares(a.value)
    shifted = a.value - a.value.max(axis=-1, keepdims=True)
    value = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    jacobian = np.eye(a.shape[-1]) - shares[..., None, :]
    count = np.full(value.shape, a.shape[-1] + ULPS)
    return _through(a, value, jacobian, curvature=np.full(value.shape, 0.5), summed=count)


def pullback(name: str, y: ErrorArray) -> Pullback:
    """Return the pullback of softmax or log-softmax where its value is known."""
    pull = {"softmax": _pull_softmax, "log_softmax": _pull_log_softmax}[name]
    return Pullback(y.precision, y.value, y.coefficients, y.rest, y.grid, pull=lambda cotangent: pull(cotangent, y))


def _pull_softmax(cotangent: ErrorArray, y: ErrorArray) -> ErrorArray:
    """Return y (g - sum of g y)."""
    g = cotangent.settled()
    pulled: ErrorArray = y * (g + -_row_sum((g * y).settled()))
    return pulled


def _pull_log_softmax(cotangent: ErrorArray, y: ErrorArray) -> ErrorArray:
    """Return g - exp(y) times the sum of g."""
    g = cotangent.settled()
    return g + -(_row_sum(g) * ELEMENTWISE["exponential"].apply(y))


def _row_sum(array: ErrorArray) -> ErrorArray:
    """Return the sum along the last axis, in every place of it."""
    units = array.shape[-1]
    summed: ErrorArray = array @ exact_array(array.precision, np.ones((1, units, units)))
    return summed.settled()


def _shares(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _through(a: ErrorArray, value: Array, jacobian: Array, *, curvature: Array, summed: Array) -> ErrorArray:
    sizes = np.abs(jacobian)
    widest = a.error.max(axis=-1, keepdims=True)
    below = np.abs(a.value - a.value.max(axis=-1, keepdims=True)) + 2 * a.precision.unit_roundoff * widest
    remainder = curvature * a.precision.unit_roundoff * widest**2
    largest = np.abs(value) + np.einsum("...ij,...j->...i", sizes, below)
    local = (ULPS * largest + summed) * (1 + 8 * a.precision.unit_roundoff * widest) + 4 * a.precision.underflow
    rest = np.einsum("...ij,...j->...i", sizes, a.rest) + remainder + local
    coefficients = np.einsum("...ij,n...j->n...i", jacobian, a.coefficients)
    return finite_errors(a.precision, value, coefficients, rest, np.full(value.shape, INEXACT_GRID))
