"""The verdict on one array decides the contract exactly."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gruspec.cases import Expected
from gruspec.conformance import Verdict, judge_array
from gruspec.numerics import FORMATS


def judged(computed: Any, value: Any, kappa: float, dtype: str = "float64") -> Verdict:
    values = np.atleast_1d(np.asarray(value, np.float64))
    expected = Expected(values, np.full(values.shape, kappa, np.float32))
    return judge_array(np.atleast_1d(np.asarray(computed, dtype)), expected, dtype)


def conforms(computed: float, value: float, kappa: float, dtype: str) -> bool:
    """V3 in rational numbers, as the specification states it."""
    u = Fraction(FORMATS[dtype].unit_roundoff)
    bound = Fraction(kappa) * u + abs(Fraction(value)) / 2**53 + Fraction(1, 2**1075)
    return abs(Fraction(computed) - Fraction(value)) <= bound


def largest_allowed(value: float, kappa: float, dtype: str) -> Any:
    """The largest number of a dtype that conforms."""
    kind = np.dtype(dtype).type
    found = kind(value)
    while conforms(float(found), value, kappa, dtype):
        found = np.nextafter(found, kind(np.inf))
    return np.nextafter(found, kind(-np.inf))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("kappa", [1.0, 7.5, 45.0])
@pytest.mark.parametrize("value", [0.25, 1.0, -0.7, 1 / 3, 0.0, -1023.0])
def test_limit_is_inside_and_the_next_number_outside(value: float, kappa: float, dtype: str) -> None:
    kind = np.dtype(dtype).type
    at_zero = kind(kappa * FORMATS[dtype].unit_roundoff)  # numbers around zero are too many to step through
    limit = largest_allowed(value, kappa, dtype) if value else at_zero
    assert judged(limit, value, kappa, dtype).passed
    beyond = judged(np.nextafter(limit, kind(np.inf)), value, kappa, dtype)
    assert not beyond.passed
    assert beyond.failing == 1
    assert beyond.worst is not None
    assert beyond.worst.fraction >= 1 - 2**-40


@given(
    value=st.floats(-4, 4, allow_subnormal=True),
    kappa=st.sampled_from([0.5, 1.0, 1.0078125, 2.0, 3.984375]),
    steps=st.integers(-9, 9),
)
def test_verdict_is_the_comparison_of_real_numbers(value: float, kappa: float, steps: int) -> None:
    computed = value
    for _ in range(abs(steps)):
        computed = float(np.nextafter(computed, np.copysign(np.inf, steps)))
    assert judged(computed, value, kappa).passed == conforms(computed, value, kappa, "float64")


def test_half_an_ulp_of_the_value_is_granted_where_rounding_would_hide_it() -> None:
    value, kappa = 1.5, 1.0  # the two together are 2.5 * 2**-53; numbers near 1.5 are 2 * 2**-53 apart
    assert judged(value + 2.0**-52, value, kappa).passed
    assert not judged(value + 2.0**-51, value, kappa).passed
    assert not judged(value + 2.0**-52, value, 0.49).passed


def test_rounding_of_the_bound_does_not_decide() -> None:
    value, kappa = 1.0 - 2.0**-53, 256.0
    computed = 1.0 + 2.0**-45
    assert computed - value == kappa * 2.0**-53 + value * 2.0**-53  # in float64, though the right side is rounded up
    assert not conforms(computed, value, kappa, "float64")
    assert not judged(computed, value, kappa).passed


@pytest.mark.parametrize(
    ("computed", "value"),
    [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf)],
)
def test_same_special_value_conforms(computed: float, value: float) -> None:
    verdict = judged(computed, value, 3.0, "float32")
    assert verdict.passed
    assert verdict.judged == 1


@pytest.mark.parametrize(
    ("computed", "value"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, -np.inf), (np.inf, 1e300), (np.nan, np.inf), (np.inf, 0.0)],
)
@pytest.mark.parametrize("kappa", [0.0, 3.0])
def test_other_special_value_does_not(computed: float, value: float, kappa: float) -> None:
    verdict = judged(computed, value, kappa)
    assert verdict.failing == 1
    assert verdict.worst is not None
    assert verdict.worst.fraction == np.inf
    assert verdict.ulp > 0


def test_overflowing_difference_fails_without_a_warning() -> None:
    assert judged(-1.7e308, 1.7e308, 3.0).failing == 1


def test_kappa_zero_means_equal() -> None:
    assert judged(0.5, 0.5, 0.0).passed
    assert not judged(np.nextafter(0.5, 1), 0.5, 0.0).passed
    assert not judged(np.nextafter(0.5, 0), 0.5, 0.0).passed


@pytest.mark.parametrize("kappa", [0.0, 1.0])
def test_sign_of_zero_never_counts(kappa: float) -> None:
    verdict = judged(-0.0, 0.0, kappa)
    assert verdict.passed
    assert verdict.ulp == 0


def test_elements_with_too_much_slack_are_not_judged() -> None:
    value, u = np.array([0.5, 0.5, 8.0]), 2.0**-24
    kappa = np.array([0.25 / u, 0.2500001 / u, 1.9 / u], np.float32)
    verdict = judge_array(np.array([9.0, 9.0, 9.0], np.float32), Expected(value, kappa), "float32")
    assert (verdict.elements, verdict.judged, verdict.failing) == (3, 2, 1)
    assert verdict.worst is not None
    assert verdict.worst.index == (0,)


def test_worst_element_is_a_failing_one_with_its_figures() -> None:
    value = np.array([[0.5, 1.0], [2.0, 4.0]])
    kappa = np.array([[1.0, 100.0], [1.0, 1.0]], np.float32)
    computed = value + np.array([[0, 99.0], [0, 8.0]]) * 2.0**-53 * 2
    verdict = judge_array(computed, Expected(value, kappa), "float64")
    assert verdict.failing == 2
    assert verdict.worst is not None
    assert verdict.worst.index == (1, 1)
    assert verdict.worst.computed == computed[1, 1]
    assert verdict.worst.expected == 4.0
    assert verdict.worst.bound == 5 * 2.0**-53
    assert verdict.worst.fraction == 16 / 5


@pytest.mark.parametrize(
    ("value", "dtype", "ulps"),
    [(1.0, "float32", 1), (8.0, "float32", 2), (-1000.0, "float64", 3), (1.0, "float16", 1)],
)
def test_error_in_units_in_the_last_place(value: float, dtype: str, ulps: int) -> None:
    kind = np.dtype(dtype).type
    computed = kind(value)
    for _ in range(ulps):
        computed = np.nextafter(computed, kind(np.inf))
    assert judged(computed, value, 1.0, dtype).ulp == ulps


def test_error_of_a_value_near_zero_is_measured_at_one() -> None:
    assert judged(2.0**-24, 0.0, 1.0, "float32").ulp == 0.5
    assert judged(2.0**-24 + 2.0**-40, 2.0**-40, 1.0, "float32").ulp == 0.5


def test_bfloat16_is_judged_with_its_own_roundoff() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    expected = Expected(np.array([1.0]), np.array([3.0], np.float32))
    computed = np.array([1.0], ml_dtypes.bfloat16)
    assert judge_array(computed + ml_dtypes.bfloat16(2.0**-7), expected, "bfloat16").passed
    assert not judge_array(computed + ml_dtypes.bfloat16(2.0**-6), expected, "bfloat16").passed


def test_absent_array_is_missing() -> None:
    assert judge_array(None, Expected(np.ones(3), np.ones(3, np.float32)), "float32").message == "missing"


def test_shape_and_dtype_are_judged_first() -> None:
    expected = Expected(np.ones((2, 3)), np.ones((2, 3), np.float32))
    assert judge_array(np.ones((3, 2)), expected, "float64").message == "shape (3, 2), expected (2, 3)"
    assert judge_array(np.ones((2, 3)), expected, "float32").message == "dtype float64, expected float32"
    assert judge_array(np.ones((2, 3), int), expected, "float32").message == "dtype int64, expected float32"


def test_without_value_only_shape_and_dtype_count() -> None:
    expected = Expected(None, np.ones(2, np.float32))
    verdict = judge_array(np.array([np.nan, 5.0]), expected, "float64")
    assert verdict.passed
    assert (verdict.elements, verdict.judged) == (2, 0)
    assert not judge_array(np.ones(3), expected, "float64").passed


def test_empty_array_conforms() -> None:
    expected = Expected(np.ones((0, 3)), np.ones((0, 3), np.float32))
    assert judge_array(np.ones((0, 3)), expected, "float64").passed
