"""Arithmetic as unkind as the contract permits, in rational numbers: a number system for the definition.

Every decision that the contract leaves open is taken afresh for every element: the order of a sum, which products are
fused into it, the form of the update and of derivatives, how far and in which direction a result is off. Nothing here
knows the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from gruspec.reference import Definition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gruspec.numerics import Format

    Objects = NDArray[np.object_]
    Terms = tuple[tuple[Fraction, ...], ...]
    Pull = Callable[[Fraction], Terms]

HALF, ONE = Fraction(1, 2), Fraction(1)
_CORNER = Fraction(5, 2)
_EXACT_FACTORS = {ONE, Fraction(2)}
TANH_ULPS, SIGMOID_ULPS = 8, 4
_LOWEST_EXPONENT = -2000
_mp = mpmath.MPContext()
_mp.prec = 200


class Choices:
    """Decisions, the same for the same seed; ``directions`` of errors can be given instead of drawn."""

    def __init__(self, *seed: int, directions: Sequence[int] | None = None) -> None:
        self._ways, self._signs = (np.random.default_rng([*seed, stream]) for stream in (0, 1))
        self._given = directions
        self.errors = 0

    def one_of(self, count: int) -> int:
        return int(self._ways.integers(count))

    def direction(self) -> int:
        self.errors += 1
        if self._given is None:
            return 2 * int(self._signs.integers(2)) - 1
        return self._given[self.errors - 1] if self.errors <= len(self._given) else 1


@dataclass(frozen=True, eq=False)
class Sums:
    """Elements that are sums of products, not yet formed."""

    numbers: PermittedNumbers
    terms: Objects

    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.terms.shape

    @cached_property
    def values(self) -> Objects:
        """The sums, formed once: an element is one number wherever it is used."""
        return _elementwise(self.numbers.formed, self.terms)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.numbers, _elementwise(lambda a, b: a + b, self.terms, other.terms))

    def __mul__(self, other: Sums) -> Sums:
        return Sums(self.numbers, _products(self.values, other.values))

    def __matmul__(self, other: Sums) -> Sums:
        products = _products(self.values.swapaxes(-1, -2), other.values)
        total = np.empty((len(products), 1, products.shape[-1]), dtype=object)
        for row, _, column in np.ndindex(total.shape):
            total[row, 0, column] = tuple(term for terms in products[row, :, column] for term in terms)
        return Sums(self.numbers, total)


def _elementwise(function: Any, *arrays: NDArray[Any]) -> Objects:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)


def _products(a: Objects, b: Objects) -> Objects:
    return _elementwise(lambda x, y: ((x, y),), a, b)


class PermittedNumbers:
    """The arithmetic of one implementation that conforms, and only just.

    Parameters
    ----------
    format_
        The format to compute in.
    choices
        Everything that is left open.
    extended
        Carry results of more precision than the format, each off by all that is allowed; else round to the format.
    flush
        Replace subnormal results by zero.
    """

    def __init__(self, format_: Format, choices: Choices, *, extended: bool = False, flush: bool = False) -> None:
        self.format = format_
        self.choices = choices
        self.extended = extended
        self.flush = flush
        self.unit = Fraction(format_.unit_roundoff)

    def lift(self, values: NDArray[np.float64]) -> Sums:
        terms = _elementwise(lambda value: ((Fraction(float(value)),),), values)
        return Sums(self, terms)

    def zeros(self, shape: tuple[int, ...]) -> Sums:
        return self.lift(np.zeros(shape))

    def select(self, condition: NDArray[np.bool_], chosen: Sums, other: Sums) -> Sums:
        return self._known(np.where(condition, chosen.values, other.values))

    def activation(self, name: str, preactivation: Sums) -> Sums:
        return self._known(_elementwise(getattr(self, f"_{name}"), preactivation.values))

    def blend(self, update: Sums, state: Sums, candidate: Sums) -> Sums:
        return self._known(_elementwise(self._blend, update.values, state.values, candidate.values))

    def pull_to_preactivation(self, cotangent: Sums, name: str, preactivation: Sums, activated: Sums) -> Sums:
        pull = partial(self._to_preactivation, name)
        return Sums(self, _elementwise(pull, cotangent.values, preactivation.values, activated.values))

    def pull_to_update(self, cotangent: Sums, _: Sums, state: Sums, candidate: Sums) -> Sums:
        return Sums(self, _elementwise(self._to_update, cotangent.values, state.values, candidate.values))

    def pull_to_state(self, cotangent: Sums, update: Sums, _: Sums, __: Sums) -> Sums:
        return Sums(self, _elementwise(self._to_state, cotangent.values, update.values))

    def pull_to_candidate(self, cotangent: Sums, update: Sums, _: Sums, __: Sums) -> Sums:
        return Sums(self, _elementwise(self._to_candidate, cotangent.values, update.values))

    def transposed(self, array: Sums) -> Sums:
        return self._known(array.values.swapaxes(-1, -2))

    def over_rows(self, array: Sums) -> Sums:
        total = np.empty((1, *array.shape[1:]), dtype=object)
        for index in np.ndindex(total.shape):
            rows: Any = array.terms[(slice(None), *index[1:])]
            total[index] = tuple(chain.from_iterable(rows))
        return Sums(self, total)

    def absolute(self, array: Sums) -> Sums:
        return self._known(abs(array.values))

    def total(self, arrays: Sequence[Sums]) -> Sums:
        total = np.empty((1, 1, 1), dtype=object)
        total[0, 0, 0] = tuple(term for array in arrays for terms in array.terms.ravel().tolist() for term in terms)
        return Sums(self, total)

    def divided(self, array: Sums, divisor: int) -> Sums:
        return self._known(_elementwise(lambda value: self.rounded(value / divisor), array.values))

    def named(self, cotangent: Sums) -> Sums:
        return self._known(cotangent.values)

    def _known(self, values: Objects) -> Sums:
        return Sums(self, _elementwise(lambda value: ((value,),), values))

    def formed(self, terms: Terms) -> Fraction:
        """Form a sum in some order, fusing some products into it. Zeros drop out."""
        left = [term for term in terms if all(term)]
        while len(left) > 1:
            a, b = (left.pop(self.choices.one_of(len(left))) for _ in range(2))
            if len(a) == len(b) == 2 or self.choices.one_of(2):
                a = (self.product(*a),)
            if len(b) == 2 and len(a) == 1 and self.choices.one_of(2):
                b = (self.product(*b),)
            left += [(total,)] if (total := self.rounded(_value(a) + _value(b))) else []
        return self.product(*left[0]) if left else Fraction(0)

    def product(self, a: Fraction, b: Fraction = ONE) -> Fraction:
        return a * b if {abs(a), abs(b)} & _EXACT_FACTORS else self.rounded(a * b)

    def rounded(self, exact: Fraction) -> Fraction:
        """Return the result of an operation: exact where that is a number of the format, else off by up to u."""
        nearest = self.nearest(exact)
        if nearest == exact or abs(exact) < Fraction(self.format.smallest_normal) or not self.extended:
            return nearest
        return _short(exact + self.choices.direction() * self.unit * abs(exact))

    def nearest(self, exact: Fraction) -> Fraction:
        if self.flush and abs(exact) < Fraction(self.format.smallest_normal):
            return Fraction(0)
        step = self.step(exact)
        return round(exact / step) * step

    def step(self, exact: Fraction) -> Fraction:
        """Return the distance of numbers of the format around a number."""
        numerator, denominator = abs(exact.numerator), exact.denominator
        exponent = numerator.bit_length() - denominator.bit_length()
        if numerator < denominator * Fraction(2) ** exponent:
            exponent -= 1
        lowest = self.format.lowest if exact else exponent
        return Fraction(2) ** (max(exponent, lowest) - self.format.bits + 1)

    def within(self, exact: Fraction, slack: Fraction) -> Fraction:
        """Return a result that is off by nearly all of a slack."""
        direction = self.choices.direction()
        if self.extended:
            return _short(exact + direction * slack * (1 - Fraction(2) ** -40))
        step = self.step(exact)
        farthest = (exact + direction * slack) / step
        found: Fraction = (farthest.__floor__() if direction > 0 else farthest.__ceil__()) * step
        return found if abs(found - exact) <= slack else self.nearest(exact)

    def _tanh(self, a: Fraction) -> Fraction:
        exact = _real(_mp.tanh(_mp.mpf(a.numerator) / a.denominator))
        return self.within(exact, TANH_ULPS * self.unit * abs(exact)) if a else a

    def _sigmoid(self, a: Fraction) -> Fraction:
        exact = _real(1 / (1 + _mp.exp(-_mp.mpf(a.numerator) / a.denominator)))
        return self.within(exact, SIGMOID_ULPS * self.unit)

    def _hard_sigmoid(self, a: Fraction) -> Fraction:
        return min(max(self._line(a), Fraction(0)), ONE)

    def _line(self, a: Fraction) -> Fraction:
        """Return what hard_sigmoid clips."""
        slope = self.nearest(Fraction(1, 5))
        # the rounding of 0.2 decides a corner met exactly: no number of the format is within u on its other side
        at_corner = abs(a) == _CORNER
        return self.nearest(self.nearest(slope * a) + HALF) if at_corner else self.formed(((slope, a), (HALF,)))

    @staticmethod
    def _relu(a: Fraction) -> Fraction:
        return max(a, Fraction(0))

    @staticmethod
    def _linear(a: Fraction) -> Fraction:
        return a

    def _blend(self, z: Fraction, h: Fraction, n: Fraction) -> Fraction:
        form = self.choices.one_of(3)
        if form == 1:
            return self.formed(((n,), (z, self.formed(((h,), (-n,))))))
        kept = self.rounded(1 - z)
        if form == 2:
            return self.formed(((h,), (kept, self.formed(((n,), (-h,))))))
        return self.formed(((z, h), (kept, n)))

    def _to_preactivation(self, name: str, g: Fraction, a: Fraction, y: Fraction) -> Terms:
        forms = {"tanh": self._through_tanh, "sigmoid": self._through_sigmoid}
        if name in forms:
            return forms[name](g, y)
        if name == "hard_sigmoid":
            return ((g, self.nearest(Fraction(1, 5)) if self._between_corners(a) else Fraction(0)),)
        return ((g, ONE if name == "linear" or a > 0 else Fraction(0)),)

    def _between_corners(self, a: Fraction) -> bool:
        """Return whether clipping leaves a pre-activation alone: decided by itself, or by the line that is clipped."""
        return abs(a) <= _CORNER if self.choices.one_of(2) else 0 <= self._line(a) <= 1

    def _through_tanh(self, g: Fraction, n: Fraction) -> Terms:
        form = self.choices.one_of(3)
        if form == 1:
            return ((g, self.product(self.rounded(1 - n), self.rounded(1 + n))),)
        if form == 2:
            return ((self.formed(((g,), (g, n))), self.rounded(1 - n)),)
        return ((g, self.formed(((ONE,), (-n, n)))),)

    def _through_sigmoid(self, g: Fraction, s: Fraction) -> Terms:
        form = self.choices.one_of(4)
        if form == 0:
            return ((g, self.formed(((s,), (-s, s)))),)
        kept = self.rounded(1 - s)
        if form == 1:
            return ((g, self.product(s, kept)),)
        return ((self.product(g, s), kept),) if form == 2 else ((self.product(g, kept), s),)

    def _to_update(self, g: Fraction, h: Fraction, n: Fraction) -> Terms:
        form = self.choices.one_of(3)
        if form == 1:
            return ((g, self.formed(((h,), (-n,)))),)
        if form == 2:
            return ((-g, self.formed(((n,), (-h,)))),)
        return ((g, h), (-g, n))

    def _to_state(self, g: Fraction, z: Fraction) -> Terms:
        return ((g,), (-g, self.rounded(1 - z))) if self.choices.one_of(3) == 2 else ((g, z),)

    def _to_candidate(self, g: Fraction, z: Fraction) -> Terms:
        return ((g,), (-g, z)) if self.choices.one_of(3) == 1 else ((g, self.rounded(1 - z)),)


def _value(term: tuple[Fraction, ...]) -> Fraction:
    return term[0] * term[1] if len(term) == 2 else term[0]


def _short(number: Fraction) -> Fraction:
    """Keep about 100 bits, so that numbers do not grow from step to step."""
    scale = Fraction(2) ** (100 + number.denominator.bit_length() - abs(number.numerator).bit_length())
    return Fraction(round(number * scale)) / scale


def _real(number: Any) -> Fraction:
    sign, mantissa, exponent, _ = number._mpf_
    magnitude = int(mantissa) * Fraction(2) ** max(int(exponent), _LOWEST_EXPONENT)
    return -magnitude if sign else magnitude


class StateDroppedFirst(Definition[Any]):
    """The same function with the dropout mask of the candidate on the state itself instead of on its gated value."""

    def candidate(self, inputs: Any, state: Any, reset: Any) -> Any:
        dropped = state if self.spec.reset_after else super().dropped("recurrent_h", state)
        return super().candidate(inputs, dropped, reset)

    def dropped(self, name: str, values: Any) -> Any:
        return values if name == "recurrent_h" and not self.spec.reset_after else super().dropped(name, values)
