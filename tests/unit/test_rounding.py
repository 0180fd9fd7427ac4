"""Balls are rounded to the nearest float64 or not at all."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from gruspec.numerics import nearest_float

TINY = Fraction(1, 2**1074)
LARGEST = Fraction(2**1024 - 2**971)
OVERFLOW = Fraction(2**1024 - 2**970)
"""Halfway between the largest float64 and 2**1024: from here on numbers round to infinity."""


def ball(number: Fraction, radius: Fraction | int = 0, bits: int = 4000) -> Any:
    """Return a ball around a dyadic number."""
    with ctx.workprec(bits):
        return arb(_exact(number), _exact(Fraction(radius)))


def _exact(number: Fraction) -> Any:
    return arb((number.numerator, 1 - number.denominator.bit_length()))


def rational(exact: Any) -> Fraction:
    mantissa, exponent = (int(part) for part in exact.man_exp())
    return mantissa * Fraction(2) ** exponent


def rounded(number: Fraction, radius: Fraction | int = 0) -> float | None:
    with ctx.workprec(4000):
        return nearest_float(ball(number, radius))


dyadic = st.builds(
    lambda mantissa, exponent: Fraction(mantissa) * Fraction(2) ** exponent,
    st.integers(-(2**60), 2**60),
    st.integers(-1140, 960),
)


@given(dyadic)
def test_exact_balls_round_like_rational_numbers(number: Fraction) -> None:
    assert rounded(number) == float(number)


@given(dyadic, st.integers(1, 2000))
def test_balls_round_only_where_both_ends_agree(number: Fraction, bits: int) -> None:
    around = ball(number, Fraction(1, 2**bits))
    with ctx.workprec(4000):
        low, high = (float(rational(end)) for end in (around.lower(), around.upper()))
        assert nearest_float(around) == (low if low == high else None)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1 + Fraction(1, 2**53), 1.0),
        (1 + Fraction(3, 2**53), 1 + 2.0**-51),
        (1 + Fraction(1, 2**53) + Fraction(1, 2**900), 1 + 2.0**-52),
        (-1 - Fraction(3, 2**53), -1 - 2.0**-51),
        (TINY / 2, 0.0),
        (TINY / 2 + TINY / 2**40, 5e-324),
        (TINY * 3 / 2, 1e-323),
        (-TINY * 3 / 2, -1e-323),
        # a number that rounding to 53 bits first would move onto a tie
        (Fraction(2**53 + 1, 2**54) * TINY, 5e-324),
        (LARGEST, 1.7976931348623157e308),
        (OVERFLOW - 1, 1.7976931348623157e308),
        (OVERFLOW, math.inf),
        (-OVERFLOW, -math.inf),
        (Fraction(2**3000), math.inf),
        (Fraction(-1, 2**3000), 0.0),
    ],
)
def test_ties_subnormals_and_overflow(number: Fraction, expected: float) -> None:
    assert rounded(number) == expected


@pytest.mark.parametrize("number", [Fraction(0), -TINY / 4, Fraction(-1, 2**3000)])
def test_zero_has_no_sign(number: Fraction) -> None:
    found = rounded(number)
    assert found == 0
    assert math.copysign(1.0, found) == 1.0


def test_a_tie_is_decided_by_an_exact_ball_only() -> None:
    tie = 1 + Fraction(1, 2**53)
    assert rounded(tie) == 1.0
    assert rounded(tie, Fraction(1, 2**3000)) is None


def test_zero_is_decided_once_the_ball_is_narrower_than_subnormal_numbers() -> None:
    assert rounded(Fraction(0), TINY / 4) == 0.0
    assert rounded(Fraction(0), TINY) is None


def test_precision_of_the_caller_does_not_move_an_exact_ball() -> None:
    number = 1 + Fraction(1, 2**53) + Fraction(1, 2**80)
    with ctx.workprec(53):
        assert nearest_float(ball(number)) == 1 + 2.0**-52


def test_infinities_are_kept_and_ignorance_is_no_nan() -> None:
    with ctx.workprec(128):
        infinity, anything = arb(float("inf")), arb(0, float("inf"))
        assert nearest_float(infinity) == math.inf
        assert nearest_float(-infinity) == -math.inf
        assert nearest_float(anything) is None
        assert nearest_float(1 / arb(0, 1)) is None
        assert nearest_float(0 * (1 / arb(0, 1))) is None
        assert nearest_float(arb(float("nan"))) is None
