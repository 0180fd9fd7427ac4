"""Formats are those of NumPy and ml_dtypes, and a number belongs to one where casting keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gruspec.numerics import FORMATS, exactly_representable, store_bound

NUMPY = ("float16", "float32", "float64")
FIGURES = {
    "float64": (2.0**-53, 2.0**-1022, 2.0**-1074, 1.7976931348623157e308),
    "float32": (2.0**-24, 2.0**-126, 2.0**-149, 3.4028234663852886e38),
    "float16": (2.0**-11, 2.0**-14, 2.0**-24, 65504.0),
    "bfloat16": (2.0**-8, 2.0**-126, 2.0**-133, 3.3895313892515355e38),
}

anything = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.builds(lambda m, e: m * 2.0**e, st.integers(-(2**12), 2**12), st.integers(-160, 110)),
)


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    format_ = FORMATS[name]
    found = (format_.unit_roundoff, format_.smallest_normal, format_.smallest_subnormal, format_.largest)
    assert (format_.name, found) == (name, FIGURES[name])


@pytest.mark.parametrize("name", NUMPY)
def test_figures_are_those_of_numpy(name: str) -> None:
    format_, info = FORMATS[name], np.finfo(name)
    assert format_.unit_roundoff == info.eps / 2
    assert format_.smallest_normal == info.tiny
    assert format_.smallest_subnormal == info.smallest_subnormal
    assert format_.largest == info.max


@pytest.mark.parametrize("name", NUMPY)
@given(value=anything)
def test_a_number_belongs_to_a_format_where_casting_keeps_it(name: str, value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        kept = float(np.float64(value).astype(name)) == value
    assert exactly_representable(np.array([value]), FORMATS[name]) == kept


@given(value=anything)
def test_bfloat16_is_the_upper_half_of_float32(value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        single = np.float64(value).astype(np.float32)
    cut = (single.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    kept = bool(np.isfinite(single)) and float(cut) == value
    assert exactly_representable(np.array([value]), FORMATS["bfloat16"]) == kept


@pytest.mark.parametrize("name", FORMATS)
def test_limits_of_a_format(name: str) -> None:
    format_ = FORMATS[name]
    inside = [format_.largest, format_.smallest_subnormal, 1 + 2 * format_.unit_roundoff, 0.0, np.nan, np.inf, -np.inf]
    assert exactly_representable(np.array([*inside, *(-value for value in inside)]), format_)
    with np.errstate(over="ignore"):
        outside = [1 + format_.unit_roundoff, np.float64(format_.largest) * 2, 3 * format_.smallest_subnormal / 2]
    finite = [value for value in outside if np.isfinite(value) and value not in (1.0, 2 * format_.smallest_subnormal)]
    assert len(finite) >= (name != "float64")
    for value in finite:
        assert not exactly_representable(np.array([1.0, value]), format_)


def test_no_values_belong_to_every_format() -> None:
    assert exactly_representable(np.zeros((0, 3)), FORMATS["bfloat16"])


def stored(bound: Any) -> float:
    return float(store_bound(np.array([bound]))[0])


@given(st.floats(min_value=0, max_value=2.0**120, exclude_min=True, allow_subnormal=True))
def test_stored_bounds_are_upper_bounds_of_few_bits(bound: float) -> None:
    found = stored(bound)
    assert found >= bound * (1 + 2.0**-10)
    assert found > 0
    if bound > 2.0**-118:
        assert found <= bound * (1 + 2.0**-10) * (1 + 2.0**-7) * (1 + 2.0**-52)
        assert np.frexp(found)[0] * 2**8 % 1 == 0


def test_noise_in_the_computation_of_a_bound_does_not_show() -> None:
    bounds = np.arange(1, 100, 1 / 1009)
    for noise in (1e-12, -1e-12):
        assert np.array_equal(store_bound(bounds), store_bound(bounds * (1 + noise)))


def test_bounds_that_are_no_numbers_stay_what_they_are() -> None:
    assert stored(0.0) == 0
    assert stored(np.inf) == np.inf
    assert stored(1e39) == np.inf
    assert np.isnan(stored(np.nan))
