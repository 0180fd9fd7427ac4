"""Bounds for the activations of tf_keras that the specification does not name, where one element depends on one.

The contract's rule for a function f outside the specification: at an exact argument the error is at most
``8 u (|f(x)| + |x f'(x)|)``. Where what is shipped does not keep this rule, ``excess`` says by how much more an
implementation may be off, and why. Its derivative is treated alike, with f' in the place of f.

An argument carries an error of its own. To first order the slope at the exact value passes it on; what is left of the
true function is bounded by the largest second derivative, and by the jump of the slope where a corner is in reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gruspec.reference.error_arrays import EXACT_ZERO_GRID, INEXACT_GRID, Array, ErrorArray, finite_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    Function: TypeAlias = Callable[[Array], Array]
    Bounds: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]

ULPS = 8.0
"""Allowed error of a function, in units of u, relative to ``|f(x)| + |x f'(x)|``."""

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
LEAKY_SLOPE = 0.2

CORNER_SLACK = 4.0
"""Arguments so near to 0, in units of u, may be taken for 0 by what forms exp(x) - 1."""


def constant_bounds(steepest: float, curved: float, third: float) -> Bounds:
    """Return bounds on the first three derivatives that hold everywhere."""
    return lambda highest: (
        np.full(highest.shape, steepest),
        np.full(highest.shape, curved),
        np.full(highest.shape, third),
    )


def nothing(x: Array) -> Array:
    """Return zeros."""
    return np.zeros_like(x)


@dataclass(frozen=True)
class Smooth:
    """A function that is smooth but for a corner at 0.

    Parameters
    ----------
    value, slope, curvature
        The function and its first two derivatives, over float64.
    bounds
        Takes the largest argument in reach and returns the largest magnitudes of the first three derivatives.
    excess, slope_excess
        What the errors of function and derivative may be beyond the rule, in units of u; the larger of the values at
        both ends of what is in reach counts.
    kink, bend
        By how much the first and the second derivative jump at 0.
    vanishes
        Whether f(0) is 0, exactly so in every implementation.
    """

    value: Function
    slope: Function
    curvature: Function
    bounds: Bounds
    excess: Function = nothing
    slope_excess: Function = nothing
    kink: float = 0.0
    bend: float = 0.0
    vanishes: bool = True

    def apply(self, a: ErrorArray) -> ErrorArray:
        """Return the function of a settled array."""
        x, unit, reach = a.value, a.precision.unit_roundoff, a.precision.unit_roundoff * a.error
        value, slope = self.value(x), self.slope(x)
        steepest, curved, _ = self.bounds(x + reach)
        crossed = np.abs(x) <= reach
        remainder = np.minimum(curved / 2 * unit * a.error**2, 2 * steepest * a.error) + crossed * self.kink * a.error
        local = (
            ULPS * (np.abs(value) + np.abs(x * slope))
            + ULPS * reach * (2 * steepest + (np.abs(x) + reach) * curved)
            + self._worst(self.excess, x, reach)
            + _underflow(a)
        )
        zero = (x == 0) & (a.error == 0) & self.vanishes
        rest = a.rest * np.abs(slope) + remainder + np.where(zero, 0.0, local)
        grid = np.where(zero, EXACT_ZERO_GRID, INEXACT_GRID)
        return finite_errors(a.precision, value, a.coefficients * slope, rest, grid)

    def derivative(self, a: ErrorArray) -> ErrorArray:
        """Return the derivative at a settled array."""
        x, unit, reach = a.value, a.precision.unit_roundoff, a.precision.unit_roundoff * a.error
        slope, curvature = self.slope(x), self.curvature(x)
        _, curved, third = self.bounds(x + reach)
        crossed = np.abs(x) <= reach + CORNER_SLACK * unit
        remainder = np.minimum(third / 2 * unit * a.error**2, 2 * curved * a.error) + crossed * self.bend * a.error
        local = (
            ULPS * (np.abs(slope) + np.abs(x * curvature))
            + ULPS * reach * (2 * curved + (np.abs(x) + reach) * third)
            + self._worst(self.slope_excess, x, reach)
            + crossed * self.kink / unit
            + _underflow(a)
        )
        rest = a.rest * np.abs(curvature) + remainder + local
        return finite_errors(a.precision, slope, a.coefficients * curvature, rest, np.full(x.shape, INEXACT_GRID))

    @staticmethod
    def _worst(excess: Function, x: Array, reach: Array) -> Array:
        worst: Array = np.maximum(excess(x - reach), excess(x + reach))
        return worst


@dataclass(frozen=True)
class Broken:
    """A continuous function made of straight lines.

    Parameters
    ----------
    corners
        Where lines meet, rising.
    slopes
        Of the lines, one more than corners; each line but the first starts where the one before it ends, and the first
        ends in the value 0.
    """

    corners: tuple[float, ...]
    slopes: tuple[float, ...]

    def apply(self, a: ErrorArray) -> ErrorArray:
        """Return the function of a settled array; a slope other than 0 and 1 is rounded, and its product too."""
        x = a.value
        value, slope = self._value(x), self._slope(x)
        rounded = np.where((slope == 0) | (slope == 1), 0.0, 2 * np.abs(value) + 2 * np.abs(slope) * a.error)
        jump = self._jump(a)
        local = np.where(a.nonzero > 0, rounded + _underflow(a) * (rounded > 0), 0.0)
        rest = a.rest * slope + jump * a.error + local
        grid = np.where((value == 0) & (rest == 0), EXACT_ZERO_GRID, np.where(slope == 1, a.grid, INEXACT_GRID))
        return finite_errors(a.precision, value, a.coefficients * slope, rest, np.where(jump > 0, INEXACT_GRID, grid))

    def derivative(self, a: ErrorArray) -> ErrorArray:
        """Return the slope at a settled array, which is anything between those that are in reach."""
        slope = self._slope(a.value)
        rest = np.where((slope == 0) | (slope == 1), 0.0, slope) + self._jump(a) / a.precision.unit_roundoff
        grid = np.where(rest > 0, INEXACT_GRID, np.where(slope == 0, EXACT_ZERO_GRID, 1.0))
        return ErrorArray(a.precision, slope, np.zeros((0, *slope.shape)), rest, grid)

    def _value(self, x: Array) -> Array:
        value = _line(self.slopes[0], np.minimum(x - self.corners[0], 0.0))
        ends = (*self.corners[1:], math.inf)
        for start, end, slope in zip(self.corners, ends, self.slopes[1:], strict=True):
            value = value + _line(slope, np.clip(x, start, end) - start)
        return np.where(np.isnan(x), np.nan, value)

    def _slope(self, x: Array) -> Array:
        return np.asarray(self.slopes)[np.searchsorted(self.corners, x)]

    def _jump(self, a: ErrorArray) -> Array:
        reach = a.precision.unit_roundoff * a.error
        steps = zip(self.corners, self.slopes, self.slopes[1:], strict=False)
        jump = [
            np.where(np.abs(a.value - corner) <= reach, abs(after - before), 0.0) for corner, before, after in steps
        ]
        total: Array = np.sum(jump, axis=0)
        return total


def _line(slope: float, distance: Array) -> Array:
    """Return the product, which is 0 also at an infinite distance if the line is level."""
    return slope * distance if slope else np.zeros_like(distance)


def _underflow(a: ErrorArray) -> Array:
    """Return what flushing intermediate results to zero may cost, before a product with the argument."""
    cost: Array = 4 * a.precision.underflow * (1 + a.reach)
    return cost


def _sigmoid(x: Array) -> Array:
    value: Array = 1 / (1 + np.exp(-x))
    return value


def _normal_density(x: Array) -> Array:
    density: Array = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return density


_normal_share = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), otypes=[np.float64])


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _elu_slope(x: Array) -> Array:
    return np.where(x > 0, 1.0, np.exp(np.minimum(x, 0)))


def _elu_curvature(x: Array) -> Array:
    return np.where(x > 0, 0.0, np.exp(np.minimum(x, 0)))


def _elu_excess(x: Array) -> Array:
    """Forming exp(x) - 1 costs an ulp of exp(x), where the rule would have one of x."""
    return np.where(x > 0, 0.0, 2 * np.exp(np.minimum(x, 0)))


def _elu_slope_excess(x: Array) -> Array:
    """The derivative is y + 1 of the value y, and inherits its error."""
    return ULPS * (np.abs(_elu(x)) + np.abs(x * _elu_slope(x))) * (x <= 0) + _elu_excess(x) + 1


def _selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _selu_slope(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0)))


def _selu_curvature(x: Array) -> Array:
    return SELU_SCALE * SELU_ALPHA * _elu_curvature(x)


def _selu_excess(x: Array) -> Array:
    """As of elu."""
    return SELU_SCALE * SELU_ALPHA * _elu_excess(x)


def _selu_slope_excess(x: Array) -> Array:
    """The derivative is y + scale alpha of the value y."""
    return SELU_SCALE * SELU_ALPHA * (_elu_slope_excess(x) + 1)


def _gelu(x: Array) -> Array:
    value: Array = x * _normal_share(x)
    return value


def _gelu_slope(x: Array) -> Array:
    slope: Array = _normal_share(x) + x * _normal_density(x)
    return slope


def _gelu_curvature(x: Array) -> Array:
    curvature: Array = (2 - x * x) * _normal_density(x)
    return curvature


def _gelu_slope_excess(x: Array) -> Array:
    """The terms P + x d of distribution and density are of opposite signs below 0, and each has errors of its own."""
    excess: Array = 4 * (_normal_share(x) + np.abs(x) * _normal_density(x))
    return excess


def _swish(x: Array) -> Array:
    value: Array = x * _sigmoid(x)
    return value


def _swish_slope(x: Array) -> Array:
    s = _sigmoid(x)
    slope: Array = s * (1 + x * (1 - s))
    return slope


def _swish_curvature(x: Array) -> Array:
    s = _sigmoid(x)
    curvature: Array = s * (1 - s) * (2 + x * (1 - 2 * s))
    return curvature


def _swish_slope_excess(x: Array) -> Array:
    """In s (1 + x (1 - s)), s the sigmoid, an error of 4 u in 1 - s, and the sum where its terms cancel."""
    excess: Array = 4 * _sigmoid(x) * (1 + np.abs(x))
    return excess


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def _mish(x: Array) -> Array:
    value: Array = x * np.tanh(_softplus(x))
    return value


def _mish_slope(x: Array) -> Array:
    t = np.tanh(_softplus(x))
    slope: Array = t + x * (1 - t * t) * _sigmoid(x)
    return slope


def _mish_curvature(x: Array) -> Array:
    s, t = _sigmoid(x), np.tanh(_softplus(x))
    curvature: Array = (1 - t * t) * s * (2 + x * (1 - s - 2 * t * s))
    return curvature


def _mish_slope_excess(x: Array) -> Array:
    """In t + x (1 - t t) s, t the tanh, an error of 8 u of t counts twice in 1 - t t, and the terms may cancel."""
    t = np.tanh(_softplus(x))
    excess: Array = 8 * t + np.abs(x) * _sigmoid(x) * (16 * t * t + 2)
    return excess


def _softplus_curvature(x: Array) -> Array:
    s = _sigmoid(x)
    curvature: Array = s * (1 - s)
    return curvature


def _softsign(x: Array) -> Array:
    value: Array = x / (1 + np.abs(x))
    return value


def _softsign_slope(x: Array) -> Array:
    slope: Array = 1 / (1 + np.abs(x)) ** 2
    return slope


def _softsign_curvature(x: Array) -> Array:
    curvature: Array = -2 * np.sign(x) / (1 + np.abs(x)) ** 3
    return curvature


def _exponential_bounds(highest: Array) -> tuple[Array, Array, Array]:
    largest = np.exp(highest)
    return largest, largest, largest


ELEMENTWISE: dict[str, Smooth | Broken] = {
    "elu": Smooth(_elu, _elu_slope, _elu_curvature, constant_bounds(1, 1, 1), _elu_excess, _elu_slope_excess, bend=1.0),
    "selu": Smooth(
        _selu,
        _selu_slope,
        _selu_curvature,
        constant_bounds(1.76, 1.76, 1.76),
        _selu_excess,
        _selu_slope_excess,
        kink=SELU_SCALE * (SELU_ALPHA - 1),
        bend=SELU_SCALE * SELU_ALPHA,
    ),
    "gelu": Smooth(
        _gelu, _gelu_slope, _gelu_curvature, constant_bounds(1.13, 0.8, 0.78), slope_excess=_gelu_slope_excess
    ),
    "swish": Smooth(
        _swish, _swish_slope, _swish_curvature, constant_bounds(1.1, 0.5, 0.31), slope_excess=_swish_slope_excess
    ),
    "mish": Smooth(
        _mish, _mish_slope, _mish_curvature, constant_bounds(1.09, 0.65, 0.59), slope_excess=_mish_slope_excess
    ),
    "softplus": Smooth(_softplus, _sigmoid, _softplus_curvature, constant_bounds(1, 0.25, 0.0963), vanishes=False),
    "softsign": Smooth(_softsign, _softsign_slope, _softsign_curvature, constant_bounds(1, 2, 6), bend=4.0),
    "exponential": Smooth(np.exp, np.exp, np.exp, _exponential_bounds, vanishes=False),
    "leaky_relu": Broken((0.0,), (LEAKY_SLOPE, 1.0)),
    "relu6": Broken((0.0, 6.0), (0.0, 1.0, 0.0)),
}
ELEMENTWISE["silu"] = ELEMENTWISE["swish"]
"""By the names that tf_keras resolves."""
