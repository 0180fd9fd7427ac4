"""Activations as functions that write into their argument, and their slopes, computed in the argument's dtype.

Every constant is a Python number, which NumPy takes in the dtype of the array beside it. A slope is the derivative at
``x``, given ``x`` and the activated ``y``. At a kink it is the smaller of the one-sided derivatives, except for
``hard_sigmoid``, whose slope is 0.2 on the closed interval. At infinities every function gives what its formula gives
in IEEE arithmetic, so that ``softsign``, ``swish``, ``gelu`` and ``mish`` have NaN where infinity meets zero or itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Apply: TypeAlias = Callable[[Array], None]
    Slope: TypeAlias = Callable[[Array, Array], Array]
    Pullback: TypeAlias = Callable[[Array, Array, Array], Array]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""Klambauer et al. 2017, https://arxiv.org/abs/1706.02515, equation 14."""

_erfc = np.frompyfunc(math.erfc, 1, 1)


def pullback_of(slope: Slope) -> Pullback:
    """Return the pullback (x, y, cotangent) of an element-wise function from its slope (x, y)."""

    def pullback(x: Array, y: Array, cotangent: Array) -> Array:
        return np.multiply(cotangent, slope(x, y), dtype=cotangent.dtype)

    return pullback


def tanh(x: Array) -> None:
    """Replace ``x`` by tanh(x)."""
    np.tanh(x, out=x)


def tanh_slope(_x: Array, y: Array) -> Array:
    """Return 1 - y y."""
    slope: Array = 1 - y * y
    return slope


def sigmoid(x: Array) -> None:
    """Replace ``x`` by 1 / (1 + exp(-x)), as 0.5 + 0.5 tanh(0.5 x): within 2 u of it, and no overflow on the way."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


def sigmoid_slope(_x: Array, y: Array) -> Array:
    """Return y (1 - y)."""
    slope: Array = y * (1 - y)
    return slope


def hard_sigmoid(x: Array) -> None:
    """Replace ``x`` by 0.2 x + 0.5 clipped to [0, 1]; NaN stays NaN."""
    x *= 0.2
    x += 0.5
    np.maximum(x, 0.0, out=x)
    np.minimum(x, 1.0, out=x)


def hard_sigmoid_slope(x: Array, _y: Array) -> Array:
    """Return 0.2 where 0.2 x + 0.5, as computed, is in the closed interval [0, 1], else 0."""
    line = 0.2 * x + 0.5
    return np.where((line >= 0) & (line <= 1), 0.2, 0.0)


def relu(x: Array) -> None:
    """Replace ``x`` by max(x, 0); NaN stays NaN."""
    np.maximum(x, 0.0, out=x)


def relu_slope(x: Array, _y: Array) -> Array:
    """Return 1 where x > 0, else 0."""
    slope: Array = x > 0
    return slope


def linear(x: Array) -> None:
    """Leave ``x`` as it is."""


def linear_slope(x: Array, _y: Array) -> Array:
    """Return 1."""
    return np.ones_like(x)


def rectifier(x: Array, *, slope: float = 0.0, maximum: float = math.inf, threshold: float = 0.0) -> None:
    """Replace ``x`` by min(x, maximum) where it exceeds ``threshold``, elsewhere by slope (x - threshold)."""
    low = slope * (x - threshold) if slope else np.zeros_like(x)
    x[...] = np.where(x <= threshold, low, np.minimum(x, maximum))


def rectifier_slope(
    x: Array, _y: Array, *, slope: float = 0.0, maximum: float = math.inf, threshold: float = 0.0
) -> Array:
    """Return 1 between ``threshold`` and ``maximum``, 0 from there on, and ``slope`` elsewhere."""
    return np.where(x > threshold, (x < maximum) | (maximum == math.inf), slope)


def elu(x: Array, *, alpha: float = 1.0) -> None:
    """Replace ``x`` by alpha (exp(x) - 1) where it is negative."""
    x[...] = np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def elu_slope(x: Array, _y: Array, *, alpha: float = 1.0) -> Array:
    """Return alpha exp(x) where x <= 0, else 1."""
    return np.where(x <= 0, alpha * np.exp(np.minimum(x, 0)), 1.0)


def selu(x: Array) -> None:
    """Replace ``x`` by SELU_SCALE elu(x) with alpha = SELU_ALPHA."""
    elu(x, alpha=SELU_ALPHA)
    x *= SELU_SCALE


def selu_slope(x: Array, _y: Array) -> Array:
    """Return SELU_SCALE SELU_ALPHA exp(x) where x < 0, else SELU_SCALE."""
    return np.where(x < 0, SELU_SCALE * SELU_ALPHA * np.exp(np.minimum(x, 0)), SELU_SCALE)


def exponential(x: Array) -> None:
    """Replace ``x`` by exp(x)."""
    np.exp(x, out=x)


def exponential_slope(_x: Array, y: Array) -> Array:
    """Return y."""
    return y


def softplus(x: Array) -> None:
    """Replace ``x`` by log(1 + exp(x))."""
    np.logaddexp(x, 0, out=x)


def softplus_slope(x: Array, _y: Array) -> Array:
    """Return the sigmoid of x."""
    return _logistic(x)


def softsign(x: Array) -> None:
    """Replace ``x`` by x / (1 + |x|)."""
    x /= 1 + np.abs(x)


def softsign_slope(x: Array, _y: Array) -> Array:
    """Return 1 / (1 + |x|)^2."""
    root: Array = 1 / (1 + np.abs(x))
    return root * root


def swish(x: Array) -> None:
    """Replace ``x`` by x sigmoid(x)."""
    x /= 1 + np.exp(-x)


def swish_slope(x: Array, _y: Array) -> Array:
    """Return s (1 + x (1 - s)), s the sigmoid of x."""
    s = _logistic(x)
    slope: Array = s * (1 + x * (1 - s))
    return slope


def mish(x: Array) -> None:
    """Replace ``x`` by x tanh(log(1 + exp(x)))."""
    x *= np.tanh(np.logaddexp(x, 0))


def mish_slope(x: Array, _y: Array) -> Array:
    """Return t + x (1 - t t) s, with t = tanh(log(1 + exp(x))) and s the sigmoid of x."""
    t = np.tanh(np.logaddexp(x, 0))
    slope: Array = t + x * (1 - t * t) * _logistic(x)
    return slope


def gelu(x: Array) -> None:
    """Replace ``x`` by x P(N <= x), N normal with mean 0 and variance 1."""
    x *= _normal_probability(x)


def gelu_slope(x: Array, _y: Array) -> Array:
    """Return P(N <= x) + x times the density of N at x."""
    slope: Array = _normal_probability(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return slope


def softmax(x: Array, *, axis: int | tuple[int, ...] = -1) -> None:
    """Replace ``x`` by exp(x) over its sum along ``axis``."""
    x -= x.max(axis=axis, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=axis, keepdims=True)


def softmax_pullback(_x: Array, y: Array, cotangent: Array, *, axis: int | tuple[int, ...] = -1) -> Array:
    """Return the cotangent of x: y (c - the sum of c y along ``axis``), c the cotangent of y."""
    pulled: Array = y * (cotangent - (cotangent * y).sum(axis=axis, keepdims=True))
    return pulled


def log_softmax(x: Array) -> None:
    """Replace ``x`` by the logarithm of its softmax along the last axis."""
    x -= x.max(axis=-1, keepdims=True)
    x -= np.log(np.exp(x).sum(axis=-1, keepdims=True))


def log_softmax_pullback(_x: Array, y: Array, cotangent: Array) -> Array:
    """Return the cotangent of x: c - exp(y) times the sum of c along the last axis, c the cotangent of y."""
    pulled: Array = cotangent - np.exp(y) * cotangent.sum(axis=-1, keepdims=True)
    return pulled


def _logistic(x: Array) -> Array:
    """Return the sigmoid of x, accurate relative to it also where it is small."""
    value: Array = 1 / (1 + np.exp(-x))
    return value


def _normal_probability(x: Array) -> Array:
    """Return P(N <= x), accurate relative to it also where it is small."""
    complement = np.asarray(_erfc(x.astype(float) / -math.sqrt(2)), x.dtype)
    return 0.5 * complement
