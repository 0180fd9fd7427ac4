"""The definition over values that carry the worst rounding error of any conforming implementation.

An :class:`ErrorArray` stands for every value that an implementation within the arithmetic contract may have computed:

    computed = value + u (sum_i coefficients_i e_i + rest d),   every |e_i| <= 1 and |d| <= 1,

with ``u`` the unit roundoff. This is affine arithmetic in units of u: each e_i is the rounding error of one earlier
state element, the same wherever it goes, so that errors cancel and contract as they do in reality; ``rest`` collects
what has no name yet. The bound on the error is ``sum |coefficients| + rest``, and the definition run over error arrays
yields the amplification ``kappa`` of every output.

Three things make the bound hold for *any* conforming implementation and keep it sharp:

- A sum stays *pending*, as the number of its non-zero terms and the sum of their magnitudes; the roundings of every
  possible order of summation are charged once, when the sum is used [arithmetic-sums].
- Exactness is tracked: the value is a multiple of the power of two ``grid``, and arithmetic whose partial sums all fit
  the significand is charged nothing. A bound of zero is a proof that every implementation gets the value exactly.
- Terms of second order are kept in ``rest``, by the extreme of the second derivative of each activation.

Everything is computed in float64 without directed rounding; :func:`gruspec.numerics.store_bound` adds the margin that
pays for this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.numerics import Format

Array: TypeAlias = "NDArray[np.float64]"

EXACT_ZERO_GRID = np.inf
"""Zero is a multiple of everything."""

INEXACT_GRID = 0.0

_NOTHING_LEFT = 2.0**-300
"""What a sum keeps of its accuracy where it has as many terms as the format has numbers: too little to judge it."""


class Precision:
    """The format that errors are bounded for, and the largest magnitude met so far.

    Parameters
    ----------
    format_
        The format.
    gradual
        Whether subnormal results are kept. If not, each operation may lose up to the smallest normal number
        [arithmetic-underflow].

    Attributes
    ----------
    names
        Number of errors that have a name.
    peak
        Largest finite sum of magnitudes, errors included, of any intermediate result [admission].
    infinite
        Whether any intermediate result was infinite.
    """

    def __init__(self, format_: Format, *, gradual: bool = False) -> None:
        self.unit_roundoff = format_.unit_roundoff
        self.capacity = 2.0**format_.bits
        self.finest_grid = format_.smallest_subnormal if gradual else format_.smallest_normal
        self.underflow = (
            format_.smallest_subnormal / 2 if gradual else format_.smallest_normal
        ) / format_.unit_roundoff
        self.names = 0
        self.peak = 0.0
        self.infinite = False

    def fits(self, magnitude: Array, grid: Array) -> NDArray[np.bool_]:
        """Return where sums of multiples of ``grid`` up to ``magnitude`` are exact in any order."""
        return (grid >= self.finest_grid) & (magnitude <= self.capacity * grid)

    def note(self, magnitude: Array) -> None:
        """Remember the largest finite magnitude, and whether there was an infinite one."""
        finite = magnitude[np.isfinite(magnitude)]
        self.peak = max(self.peak, float(finite.max(initial=0.0)))
        self.infinite = self.infinite or bool(np.isinf(magnitude).any())


@dataclass(frozen=True)
class Pending:
    """A sum whose roundings are not charged yet.

    Attributes
    ----------
    terms
        Number of terms that can be non-zero.
    magnitude
        Sum of the magnitudes of the terms, errors included.
    products
        Whether terms are products, which round too.
    """

    terms: Array
    magnitude: Array
    products: bool


@dataclass(frozen=True, eq=False)
class ErrorArray:
    """Values with the errors of all conforming implementations; shapes (B, 1, n) or (1, m, n).

    Attributes
    ----------
    precision
        The format that errors are counted in.
    value
        The exact value, to float64 accuracy.
    coefficients
        (N, *shape): signed first-order effect of each of N earlier errors, in units of u.
    rest
        All other error, in units of u.
    grid
        ``value`` is known exactly and a multiple of this power of two; infinite for an exact zero, 0 if inexact.
    pending
        The sum that is not rounded yet, or None.
    """

    precision: Precision
    value: Array
    coefficients: Array
    rest: Array
    grid: Array
    pending: Pending | None = None

    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.value.shape

    @cached_property
    def error(self) -> Array:
        """Bound on the error so far, pending roundings aside, in units of u."""
        bound: Array = np.abs(self.coefficients).sum(axis=0) + self.rest
        return bound

    @cached_property
    def reach(self) -> Array:
        """Largest magnitude that a computed value can have."""
        return np.abs(self.value) + self.precision.unit_roundoff * self.error

    @cached_property
    def nonzero(self) -> Array:
        """1 where a computed value can be other than zero, else 0."""
        possible: Array = ((self.value != 0) | (self.error > 0)).astype(np.float64)
        return possible

    def settled(self) -> ErrorArray:
        """Charge the pending roundings, whatever the order of the sum was."""
        if self.pending is None:
            return self
        precision, terms, magnitude = self.precision, self.pending.terms, self.pending.magnitude
        precision.note(magnitude)
        roundings = np.where(terms > 0, terms - 1 + self.pending.products, 0.0)
        worst_order = roundings / np.maximum(1 - roundings * precision.unit_roundoff, _NOTHING_LEFT) * magnitude
        charge = np.where(roundings == 1, self.reach, worst_order) + roundings * precision.underflow
        exact = precision.fits(magnitude, self.grid) | (roundings == 0)
        rest = self.rest + np.where(exact, 0.0, charge)
        grid = np.where(exact, self.grid, INEXACT_GRID)
        return finite_errors(precision, self.value, self.coefficients, rest, grid)

    def __add__(self, other: ErrorArray) -> ErrorArray:
        """Add to the pending sum."""
        a, b = self.as_sum(), other.as_sum()
        return ErrorArray(
            self.precision,
            self.value + other.value,
            add_coefficients(self.coefficients, other.coefficients),
            self.rest + other.rest,
            np.minimum(self.grid, other.grid),
            Pending(a.terms + b.terms, a.magnitude + b.magnitude, products=a.products or b.products),
        )

    def __neg__(self) -> ErrorArray:
        """Change the sign, which is exact."""
        return replace(self, value=-self.value, coefficients=-self.coefficients)

    def __mul__(self, other: ErrorArray) -> ErrorArray:
        """Multiply; the rounding of the product is pending."""
        a, b = self.settled(), other.settled()
        terms = a.nonzero * b.nonzero
        return ErrorArray(
            a.precision,
            a.value * b.value,
            add_coefficients(a.coefficients * b.value, b.coefficients * a.value),
            np.abs(a.value) * b.rest + np.abs(b.value) * a.rest + a.precision.unit_roundoff * a.error * b.error,
            _product_grid(a.grid, b.grid, terms),
            Pending(terms, a.reach * b.reach, products=True),
        )

    def __matmul__(self, other: ErrorArray) -> ErrorArray:
        """Multiply (B, 1, m) by (1, m, n); the roundings of the inner products are pending."""
        a, b = self.settled(), other.settled()
        second_order = a.precision.unit_roundoff * (a.error @ b.error)
        factors = _product_grid(a.grid.swapaxes(-1, -2), b.grid, a.nonzero.swapaxes(-1, -2) * b.nonzero)
        return ErrorArray(
            a.precision,
            a.value @ b.value,
            add_coefficients(a.coefficients @ b.value, a.value @ b.coefficients),
            a.rest @ np.abs(b.value) + np.abs(a.value) @ b.rest + second_order,
            factors.min(axis=-2, keepdims=True, initial=EXACT_ZERO_GRID),
            Pending(a.nonzero @ b.nonzero, a.reach @ b.reach, products=True),
        )

    def as_sum(self) -> Pending:
        """Return the pending sum; of a settled value, the sum of itself alone."""
        return self.pending or Pending(self.nonzero, self.reach, products=False)


def finite_errors(precision: Precision, value: Array, coefficients: Array, rest: Array, grid: Array) -> ErrorArray:
    """Return an array without errors at infinities and NaN: there they mean nothing, and must not spread."""
    finite = np.isfinite(value)
    return ErrorArray(precision, value, np.where(finite, coefficients, 0.0), np.where(finite, rest, 0.0), grid)


def _product_grid(a: Array, b: Array, nonzero: Array) -> Array:
    finite_a, finite_b = (np.where(np.isinf(grid), 1.0, grid) for grid in (a, b))
    return np.where(nonzero > 0, finite_a * finite_b, EXACT_ZERO_GRID)


def add_coefficients(a: Array, b: Array) -> Array:
    """Add coefficients of the same errors; the shorter list lacks the latest ones."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = np.zeros((len(longer), *np.broadcast_shapes(longer.shape[1:], shorter.shape[1:])))
    total += longer
    total[: len(shorter)] += shorter
    return total


def exact_array(precision: Precision, values: Array) -> ErrorArray:
    """Return values that every implementation holds exactly."""
    mantissa, exponent = np.frexp(np.where(np.isfinite(values), values, 1.0))
    integer = np.ldexp(mantissa, 53).astype(np.int64)
    lowest_bit = (integer & -integer).astype(np.float64)
    grid = np.where(integer == 0, EXACT_ZERO_GRID, np.ldexp(lowest_bit, exponent - 53))
    return ErrorArray(precision, values, np.zeros((0, *values.shape)), np.zeros(values.shape), grid)


def with_fresh_errors(array: ErrorArray) -> ErrorArray:
    """Give the unnamed error of every element a name of its own, so that it too propagates with its sign.

    Rows of a batch never meet, so one name serves the same unit of every row. A name is never given twice: in a
    backward pass, errors of cotangents meet those of states that the cotangents do not depend on.
    """
    precision, units = array.precision, array.shape[-1]
    named = np.eye(units)[:, None, None, :] * array.rest[None]
    coefficients = np.concatenate([_with_names(array.coefficients, precision.names), named])
    precision.names += units
    return ErrorArray(precision, array.value, coefficients, np.zeros(array.shape), array.grid)


def choose(condition: NDArray[np.bool_], chosen: ErrorArray, other: ErrorArray) -> ErrorArray:
    """Return ``chosen`` where the condition holds, else ``other``; a pending sum stays pending."""
    a, b = chosen, other
    names = max(len(a.coefficients), len(b.coefficients))
    coefficients = (_with_names(a.coefficients, names), _with_names(b.coefficients, names))
    pending = None
    if a.pending is not None or b.pending is not None:
        p, q = a.as_sum(), b.as_sum()
        terms, magnitude = np.where(condition, p.terms, q.terms), np.where(condition, p.magnitude, q.magnitude)
        pending = Pending(terms, magnitude, products=p.products or q.products)
    return ErrorArray(
        a.precision,
        np.where(condition, a.value, b.value),
        np.where(condition, *coefficients),
        np.where(condition, a.rest, b.rest),
        np.where(condition, a.grid, b.grid),
        pending,
    )


def transposed(array: ErrorArray) -> ErrorArray:
    """Return the last two axes swapped."""
    a = array.settled()
    value, coefficients, rest, grid = (part.swapaxes(-1, -2) for part in (a.value, a.coefficients, a.rest, a.grid))
    return ErrorArray(a.precision, value, coefficients, rest, grid)


def _with_names(coefficients: Array, names: int) -> Array:
    return np.concatenate([coefficients, np.zeros((names - len(coefficients), *coefficients.shape[1:]))])
