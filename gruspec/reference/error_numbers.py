"""Activations, the update and the rest of the number system of error arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from gruspec.reference import error_slopes
from gruspec.reference.error_arrays import (
    EXACT_ZERO_GRID,
    INEXACT_GRID,
    Array,
    ErrorArray,
    Precision,
    add_coefficients,
    choose,
    exact_array,
    finite_errors,
    transposed,
    with_fresh_errors,
)
from gruspec.reference.error_sums import absolute, divided, over_rows, total
from gruspec.reference.ieee import FLOAT64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TANH_ULPS = 8.0
"""Relative error that the contract allows tanh, in units of u [arithmetic-functions]."""

SIGMOID_ULPS = 4.0
"""Absolute error that the contract allows sigmoid, in units of u [arithmetic-functions]."""

_TANH_CURVATURE = 0.3850
"""Half the largest second derivative of tanh, 4 / (3 sqrt 3) / 2."""

_SIGMOID_CURVATURE = 0.0482
"""Half the largest second derivative of sigmoid, 1 / (6 sqrt 3) / 2."""


class ErrorNumbers:
    """Worst-case rounding errors for one format.

    Parameters
    ----------
    precision
        The format; its ``peak`` is updated.
    """

    def __init__(self, precision: Precision) -> None:
        self.precision = precision

    def lift(self, values: NDArray[np.float64]) -> ErrorArray:
        """Return values without error."""
        return exact_array(self.precision, values)

    def zeros(self, shape: tuple[int, ...]) -> ErrorArray:
        """Return exact zeros."""
        return exact_array(self.precision, np.zeros(shape))

    def select(self, condition: NDArray[np.bool_], chosen: ErrorArray, other: ErrorArray) -> ErrorArray:
        """Return ``chosen`` where the condition holds, else ``other``."""
        return choose(condition, chosen, other)

    def activation(self, name: str, preactivation: ErrorArray) -> ErrorArray:
        """Apply an activation to a settled sum."""
        return _ACTIVATIONS[name](preactivation.settled())

    def blend(self, update: ErrorArray, state: ErrorArray, candidate: ErrorArray) -> ErrorArray:
        """Combine state and candidate by the worst of the three permitted forms [arithmetic-update]."""
        z, h, n = update.settled(), state.settled(), candidate.settled()
        kept, difference = 1 - z.value, h.value - n.value
        propagated = (
            np.abs(difference) * z.rest
            + np.abs(z.value) * h.rest
            + np.abs(kept) * n.rest
            + self.precision.unit_roundoff * z.error * (h.error + n.error)
        )
        from_state = add_coefficients(z.coefficients * difference, h.coefficients * z.value)
        exact = finite_errors(
            self.precision,
            z.value * h.value + kept * n.value,
            add_coefficients(from_state, n.coefficients * kept),
            propagated,
            _update_grid(z, h, n),
        )
        rounded = np.where(exact.grid > 0, 0.0, _update_rounding(z, h, n, exact))
        rest = exact.rest + np.where(np.isfinite(exact.value), rounded, 0.0)
        return with_fresh_errors(ErrorArray(self.precision, exact.value, exact.coefficients, rest, exact.grid))

    def slope(self, name: str, preactivation: ErrorArray, activated: ErrorArray) -> ErrorArray:
        """Return the derivative of an activation."""
        return error_slopes.slope(name, preactivation, activated)

    def pull_to_preactivation(
        self, cotangent: ErrorArray, name: str, preactivation: ErrorArray, activated: ErrorArray
    ) -> ErrorArray:
        """Return the cotangent times the derivative of an activation by the worst permitted form."""
        return error_slopes.pull_to_preactivation(cotangent, self.slope(name, preactivation, activated))

    def pull_to_update(
        self, cotangent: ErrorArray, _: ErrorArray, state: ErrorArray, candidate: ErrorArray
    ) -> ErrorArray:
        """Return ``g (h - n)`` by the worst permitted form."""
        return error_slopes.pull_to_update(cotangent, state, candidate)

    def pull_to_state(self, cotangent: ErrorArray, update: ErrorArray, _: ErrorArray, __: ErrorArray) -> ErrorArray:
        """Return ``g z`` by the worst permitted form."""
        return error_slopes.pull_to_state(cotangent, update)

    def pull_to_candidate(self, cotangent: ErrorArray, update: ErrorArray, _: ErrorArray, __: ErrorArray) -> ErrorArray:
        """Return ``g (1 - z)`` by the worst permitted form."""
        return error_slopes.pull_to_candidate(cotangent, update)

    def transposed(self, array: ErrorArray) -> ErrorArray:
        """Return the last two axes swapped."""
        return transposed(array)

    def over_rows(self, array: ErrorArray) -> ErrorArray:
        """Return the sum over the first axis, in any order."""
        return over_rows(array)

    def absolute(self, array: ErrorArray) -> ErrorArray:
        """Return magnitudes."""
        return absolute(array)

    def total(self, arrays: Sequence[ErrorArray]) -> ErrorArray:
        """Return the sum of all elements, in any order."""
        return total(self.precision, arrays)

    def divided(self, array: ErrorArray, divisor: int) -> ErrorArray:
        """Return quotients."""
        return divided(array, divisor)

    def named(self, cotangent: ErrorArray) -> ErrorArray:
        """Form the sum of a cotangent and give its error names."""
        return with_fresh_errors(cotangent.settled())


def _update_grid(z: ErrorArray, h: ErrorArray, n: ErrorArray) -> Array:
    """Return the grid of ``z h + (1 - z) n`` where all three permitted forms are exact, else 0."""
    fits, z_grid, operands = z.precision.fits, np.minimum(z.grid, 1.0), np.minimum(h.grid, n.grid)
    both_zero = np.isinf(operands)
    grid = z_grid * np.where(both_zero, 1.0, operands)
    magnitude = (1 + z.reach + np.abs(1 - z.value)) * (h.reach + n.reach)
    exact = fits(1 + z.reach, z_grid) & fits(magnitude, grid)
    return np.where(both_zero, EXACT_ZERO_GRID, np.where(exact, grid, INEXACT_GRID))


def _update_rounding(z: ErrorArray, h: ErrorArray, n: ErrorArray, result: ErrorArray) -> Array:
    """Bound the rounding errors of the worst permitted form of the update, in units of u.

    An operation is charged only where it rounds: not where a factor is exactly 0, 1 or -1, nor where a term of a sum is
    exactly zero.
    """
    precision = z.precision
    unit = precision.unit_roundoff
    z_zero, h_zero, n_zero = _is(z, 0), _is(h, 0), _is(n, 0)
    z_one = _is(z, 1)
    z_plain = z_zero | z_one | _is(z, -1)
    h_plain, n_plain = (_is(array, 1) | _is(array, -1) for array in (h, n))
    kept = np.abs(1 - z.value) + unit * z.error
    difference = np.abs(h.value - n.value) + unit * (h.error + n.error)
    kept_rounds = ~precision.fits(1 + z.reach, np.minimum(z.grid, 1.0))
    difference_rounds = ~(h_zero | n_zero)
    difference_plain = (h_zero & n_plain) | (n_zero & h_plain)
    left, right = z.reach * h.reach, kept * n.reach
    for terms in (left + right, h.reach + n.reach, n.reach + z.reach * difference, h.reach + kept * difference):
        precision.note(terms)

    convex = (
        ~(z_plain | h_zero | h_plain) * left
        + kept_rounds * right
        + ~(z_plain | n_zero | n_plain) * right
        + ~(z_zero | h_zero | z_one | n_zero) * result.reach
    )
    step = z.reach * difference
    from_candidate = difference_rounds * step + ~(z_plain | difference_plain) * step + ~(n_zero | z_zero) * result.reach
    step = kept * difference
    from_state = (
        kept_rounds * step
        + difference_rounds * step
        + ~(z_plain | difference_plain) * step
        + ~(h_zero | z_one) * result.reach
    )
    worst: Array = np.maximum(convex, np.maximum(from_candidate, from_state))
    underflows = 2 + np.maximum(1.0, np.maximum(z.reach, kept))  # that of h - n counts as often as it is multiplied
    return worst + np.where(worst > 0, underflows * precision.underflow, 0.0)


def _is(array: ErrorArray, number: float) -> NDArray[np.bool_]:
    """Return where the value is exactly the number in every implementation."""
    known: NDArray[np.bool_] = (array.value == number) & (array.error == 0)
    return known


def _smooth(a: ErrorArray, value: Array, *, slope: Array, curvature: float, reach: float, local: Array) -> ErrorArray:
    """Propagate through an activation with bounded second derivative.

    The first-order term follows the slope at the exact value. What is left of the true function is at most
    ``curvature * error**2``, and at most ``reach * error`` where the error is large.
    """
    unit = a.precision.unit_roundoff
    error = a.error
    remainder = np.minimum(curvature * unit * error * error, reach * error)
    rest = a.rest * slope + remainder + local
    grid = np.where((value == 0) & (rest == 0), EXACT_ZERO_GRID, INEXACT_GRID)
    return finite_errors(a.precision, value, a.coefficients * slope, rest, grid)


def _tanh(a: ErrorArray) -> ErrorArray:
    value = np.tanh(a.value)
    local = TANH_ULPS * np.minimum(np.abs(value) + a.precision.unit_roundoff * a.error, 1.0)
    local = np.where(_is(a, 0), 0.0, local + np.where(np.abs(value) < 1, a.precision.underflow, 0.0))
    return _smooth(a, value, slope=1 - value * value, curvature=_TANH_CURVATURE, reach=2.0, local=local)


def _sigmoid(a: ErrorArray) -> ErrorArray:
    value = np.asarray(FLOAT64.activation("sigmoid", a.value), dtype=np.float64)
    slope, local = value * (1 - value), np.full(value.shape, SIGMOID_ULPS)
    return _smooth(a, value, slope=slope, curvature=_SIGMOID_CURVATURE, reach=0.5, local=local)


def _linear(a: ErrorArray) -> ErrorArray:
    return a


def _piecewise(
    a: ErrorArray,
    value: Array,
    *,
    slope: float,
    inside: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    local: Array,
    grid: Array,
) -> ErrorArray:
    """Propagate through a slope that is certain, certainly none, or anything between."""
    undecided = ~(inside | outside)
    slopes = np.where(outside, 0.0, np.where(inside, slope, slope / 2))
    rest = a.rest * slopes + np.where(undecided, slope / 2 * a.error, 0.0) + local
    return finite_errors(a.precision, value, a.coefficients * slopes, rest, grid)


def _relu(a: ErrorArray) -> ErrorArray:
    error = a.precision.unit_roundoff * a.error
    value = np.maximum(a.value, 0.0)
    outside = (a.value + error <= 0) & ~np.isnan(a.value)
    inside = a.value - error >= 0
    grid = np.where(outside, EXACT_ZERO_GRID, a.grid)
    return _piecewise(a, value, slope=1.0, inside=inside, outside=outside, local=np.zeros(value.shape), grid=grid)


def _hard_sigmoid(a: ErrorArray) -> ErrorArray:
    """Apply clip(0.2 x + 0.5, 0, 1).

    The constant 0.2 is rounded to the format, by u / 4 in float32 and bfloat16, u / 2 in float64 and float16; the
    product and the sum round: ``1.5 |0.2 x| + |0.2 x + 0.5|`` units. A value is certain to be clipped only farther from
    the corner than these errors reach; a corner met exactly is clipped in every form if 0.2 rounds upwards, as it does
    in all of these but float16.
    """
    unit = a.precision.unit_roundoff
    error = unit * a.error
    scaled = np.abs(0.2 * a.value) + 0.2 * error
    local = 1.5 * scaled + np.minimum(np.clip(0.2 * a.value + 0.5, 0.0, 1.0) + 0.2 * error, 1.0)
    slack = error + 5 * unit * (2 * scaled + 1.5)
    distance = np.abs(a.value) - 2.5
    clipped_corner = (error == 0) & (distance == 0) & _rounds_up(Fraction(1, 5), a.precision)
    outside = (distance > slack) | np.isinf(distance) | clipped_corner
    inside = distance < -error
    value = np.where(outside, (a.value > 0).astype(np.float64), FLOAT64.activation("hard_sigmoid", a.value))
    grid = np.where(outside, np.where(a.value > 0, 1.0, EXACT_ZERO_GRID), INEXACT_GRID)
    local = np.where(outside, 0.0, np.where(np.isnan(value), 0.0, local))
    return _piecewise(a, value, slope=0.2, inside=inside, outside=outside, local=local, grid=grid)


def _rounds_up(number: Fraction, precision: Precision) -> bool:
    """Return whether the nearest number of the format is greater than one between 1/8 and 1/4."""
    scaled = 4 * Fraction(precision.capacity) * number
    return round(scaled) > scaled


_ACTIVATIONS = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "relu": _relu,
    "linear": _linear,
}
