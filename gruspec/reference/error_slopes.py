"""Derivatives of the activations and of the update, with the worst rounding of any permitted form.

A derivative is a function of a value that the implementation holds, so its error has the sign of that value's error.
What a form of its own adds is bounded here, in units of u, by the worst of the forms that the contract permits
[arithmetic-gradients].
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gruspec.reference.error_arrays import (
    EXACT_ZERO_GRID,
    INEXACT_GRID,
    Array,
    ErrorArray,
    Pending,
    add_coefficients,
    finite_errors,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags: TypeAlias = NDArray[np.bool_]

HARD_SIGMOID_SLOPE_ULPS = 0.1
"""0.2 rounded to the format is off by u / 4 of it in float32, by u / 2 in float64; bounds hold for these two."""

UNDECIDED = 2.0**300
"""Error of a slope whose side of a corner rounding decides: too much to judge whatever a cotangent makes of it.

It is no multiple of the unit roundoff: an implementation in float64 may be on the wrong side as well.
"""


def slope(name: str, preactivation: ErrorArray, activated: ErrorArray) -> ErrorArray:
    """Return the derivative of an activation."""
    if name in _FROM_VALUE:
        return _FROM_VALUE[name](activated.settled())
    return _FROM_PREACTIVATION[name](preactivation.settled())


def _curved(y: ErrorArray, value: Array, *, change: Array, local: Array) -> ErrorArray:
    """Return a polynomial of second degree in ``y`` with leading coefficient -1, whose own derivative is ``change``."""
    unit = y.precision.unit_roundoff
    exact_zero = (y.value == 0) & (y.error == 0)
    local = np.where(exact_zero, 0.0, local + 8 * unit * y.error + 3 * y.precision.underflow)
    rest = np.abs(change) * y.rest + unit * y.error * y.error + local
    grid = np.where(exact_zero, np.where(value == 0, EXACT_ZERO_GRID, 1.0), INEXACT_GRID)
    return finite_errors(y.precision, value, y.coefficients * change, rest, grid)


def _tanh(y: ErrorArray) -> ErrorArray:
    """Return 1 - y^2, formed so, as (1 - y)(1 + y), or with the cotangent g as (g + g y)(1 - y)."""
    size, value = np.abs(y.value), 1 - y.value * y.value
    squared, factored = size * size + np.abs(value), size * np.abs(1 - y.value) + 3 * np.abs(value)
    return _curved(y, value, change=-2 * y.value, local=np.maximum(squared, factored))


def _sigmoid(s: ErrorArray) -> ErrorArray:
    """Return s - s^2, formed so or as s (1 - s)."""
    value = s.value * (1 - s.value)
    local = np.abs(value) + np.maximum(s.value * s.value, np.abs(value))
    return _curved(s, value, change=1 - 2 * s.value, local=local)


def _decided(a: ErrorArray, slope_: float, inside: Flags, outside: Flags, local: float) -> ErrorArray:
    """Return a slope that is certain, certainly none, or undecided."""
    rest = np.where(outside, 0.0, np.where(inside, local, UNDECIDED))
    grid = np.where(outside, EXACT_ZERO_GRID, np.where(inside & (local == 0), slope_, INEXACT_GRID))
    value = np.where(inside, slope_, 0.0)
    return ErrorArray(a.precision, value, np.zeros((0, *value.shape)), rest, grid)


def _hard_sigmoid(a: ErrorArray) -> ErrorArray:
    """Return 0.2 between the corners.

    Close to a corner, rounding decides whether an implementation clips, so nothing is certain there; nor at -2.5, where
    fusing 0.2 x + 0.5 decides. At 2.5, met exactly, every form gives 1, which is not clipped.
    """
    unit = a.precision.unit_roundoff
    slack = unit * a.error + 5 * unit * (0.4 * np.abs(a.value) + 1.5)
    distance = np.abs(a.value) - 2.5
    corner = (a.value == 2.5) & (a.error == 0)
    return _decided(a, 0.2, (distance < -slack) | corner, distance > slack, HARD_SIGMOID_SLOPE_ULPS)


def _relu(a: ErrorArray) -> ErrorArray:
    error = a.precision.unit_roundoff * a.error
    return _decided(a, 1.0, a.value - error > 0, a.value + error <= 0, 0.0)


def _linear(a: ErrorArray) -> ErrorArray:
    ones = np.ones(a.shape)
    return ErrorArray(a.precision, ones, np.zeros((0, *a.shape)), np.zeros(a.shape), ones)


_FROM_VALUE = {"tanh": _tanh, "sigmoid": _sigmoid}
_FROM_PREACTIVATION = {"hard_sigmoid": _hard_sigmoid, "relu": _relu, "linear": _linear}


def pull_to_preactivation(cotangent: ErrorArray, slope: ErrorArray) -> ErrorArray:
    """Return the product of a cotangent and a slope.

    Where the cotangent g comes into the slope, as in (g + g y)(1 - y), two more results may underflow, of which at most
    twice as much is left in the product.
    """
    product = cotangent * slope
    return _also_lost(product, 4 * product.precision.underflow * (slope.grid == INEXACT_GRID))


def pull_to_update(cotangent: ErrorArray, state: ErrorArray, candidate: ErrorArray) -> ErrorArray:
    """Return ``g h - g n``: as the sum of two products it costs at least as much as ``g (h - n)``.

    But an underflow of h - n counts g times.
    """
    g, h, n = cotangent.settled(), state.settled(), candidate.settled()
    difference_rounds = ~g.precision.fits(h.reach + n.reach, np.minimum(h.grid, n.grid))
    return _also_lost(g * h + -(g * n), g.reach * g.precision.underflow * difference_rounds)


def _also_lost(array: ErrorArray, error: Array) -> ErrorArray:
    """Return a pending sum with more error, if it has terms at all."""
    lost = np.where(array.as_sum().terms > 0, error, 0.0)
    return replace(array, rest=array.rest + lost, grid=np.where(lost > 0, INEXACT_GRID, array.grid))


def pull_to_state(cotangent: ErrorArray, update: ErrorArray) -> ErrorArray:
    """Return ``g z``, or ``g - g (1 - z)`` as the form h + (1 - z)(n - h) has it, two terms of the sum it goes into."""
    g, z = cotangent.settled(), update.settled()
    product = g * z
    kept = np.abs(1 - z.value) + z.precision.unit_roundoff * z.error
    rounded = np.where(_complement_is_exact(z), 0.0, g.reach * kept)
    return ErrorArray(
        g.precision,
        product.value,
        product.coefficients,
        product.rest + rounded,
        _terms_grid(g, z),
        Pending(2 * g.nonzero, g.reach * np.maximum(1 + kept, z.reach), products=True),
    )


def pull_to_candidate(cotangent: ErrorArray, update: ErrorArray) -> ErrorArray:
    """Return ``g (1 - z)``, or ``g - g z`` as the form n + z (h - n) has it."""
    g, z = cotangent.settled(), update.settled()
    unit, kept = g.precision.unit_roundoff, 1 - z.value
    kept_reach = np.abs(kept) + unit * z.error
    rounding = g.reach * (kept_reach + np.maximum(kept_reach, z.reach)) + 2 * g.precision.underflow
    grid = _terms_grid(g, z)
    magnitude = g.reach * (1 + np.maximum(z.reach, kept_reach))
    exact = g.precision.fits(magnitude, grid)
    g.precision.note(magnitude)
    rest = g.rest * np.abs(kept) + np.abs(g.value) * z.rest + unit * g.error * z.error
    return finite_errors(
        g.precision,
        g.value * kept,
        add_coefficients(g.coefficients * kept, z.coefficients * -g.value),
        rest + np.where(exact, 0.0, rounding),
        np.where(exact, grid, INEXACT_GRID),
    )


def _terms_grid(g: ErrorArray, z: ErrorArray) -> Array:
    """Return the grid of all of ``g``, ``g z`` and ``g (1 - z)``: any of them may be a term of a sum."""
    grid = np.where(np.isinf(g.grid), 1.0, g.grid) * np.minimum(z.grid, 1.0)
    return np.where(g.nonzero > 0, np.where(_complement_is_exact(z), grid, INEXACT_GRID), EXACT_ZERO_GRID)


def _complement_is_exact(z: ErrorArray) -> Flags:
    return z.precision.fits(1 + z.reach, np.minimum(z.grid, 1.0))
