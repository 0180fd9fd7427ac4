"""Sums in which errors of different rows or elements meet, and the arithmetic of losses, over error arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gruspec.reference.error_arrays import (
    EXACT_ZERO_GRID,
    INEXACT_GRID,
    ErrorArray,
    Pending,
    Precision,
    exact_array,
    finite_errors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def over_rows(array: ErrorArray) -> ErrorArray:
    """Return the sum over the first axis, pending.

    One name stands for a different error in every row, so that errors of rows that meet cannot cancel.
    """
    total = array.as_sum()
    value = array.value.sum(axis=0, keepdims=True)
    return ErrorArray(
        array.precision,
        value,
        np.zeros((0, *value.shape)),
        array.error.sum(axis=0, keepdims=True),
        array.grid.min(axis=0, keepdims=True, initial=EXACT_ZERO_GRID),
        Pending(
            total.terms.sum(axis=0, keepdims=True),
            total.magnitude.sum(axis=0, keepdims=True),
            products=total.products,
        ),
    )


def total(precision: Precision, arrays: Sequence[ErrorArray]) -> ErrorArray:
    """Return the sum of all elements of all arrays, (1, 1, 1), pending."""
    found = exact_array(precision, np.zeros((1, 1, 1)))
    for array in arrays:
        pending = array.as_sum()
        flat = ErrorArray(
            precision,
            array.value.reshape(-1, 1, 1),
            np.zeros((0, array.value.size, 1, 1)),
            array.error.reshape(-1, 1, 1),
            np.broadcast_to(array.grid, array.shape).reshape(-1, 1, 1),
            replace(pending, terms=pending.terms.reshape(-1, 1, 1), magnitude=pending.magnitude.reshape(-1, 1, 1)),
        )
        found = found + over_rows(flat)
    return found


def absolute(array: ErrorArray) -> ErrorArray:
    """Return magnitudes, which is exact; where the sign is uncertain, errors lose theirs."""
    a = array.settled()
    certain = np.abs(a.value) > a.precision.unit_roundoff * a.error
    coefficients = np.where(certain, a.coefficients * np.sign(a.value), 0.0)
    return ErrorArray(a.precision, np.abs(a.value), coefficients, np.where(certain, a.rest, a.error), a.grid)


def divided(array: ErrorArray, divisor: int) -> ErrorArray:
    """Return quotients by a positive integer; by a power of two they are exact."""
    a = array.settled()
    power_of_two = divisor & (divisor - 1) == 0
    grid = np.where(np.isinf(a.grid), EXACT_ZERO_GRID, a.grid / divisor if power_of_two else INEXACT_GRID)
    exact = a.precision.fits(a.reach / divisor, grid)
    rounding = np.where(exact, 0.0, a.reach / divisor + a.precision.underflow)
    rest = a.rest / divisor + rounding
    return finite_errors(
        a.precision, a.value / divisor, a.coefficients / divisor, rest, np.where(exact, grid, INEXACT_GRID)
    )
