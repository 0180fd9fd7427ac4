"""Cases certified for one dtype alone: bounds of their own, which in half precisions no permitted arithmetic leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn_cases import differentiated, drawn
from used_bounds import largest_share, ways

from gruspec import GRUSpec
from gruspec import certify as certification
from gruspec.cases import Call, Case
from gruspec.cases.model import judged_outputs
from gruspec.certify import HALF_PRECISIONS, bounded, certify
from gruspec.errors import CertificationError, SpecError
from gruspec.numerics import FORMATS, exactly_representable, store_bound
from gruspec.spec import weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

SEEDS = range(60)
HALF = pytest.mark.parametrize("dtype", HALF_PRECISIONS)


def short(seed: int = 0, *, timesteps: int = 2, bits: int = 6) -> Case:
    """Return a layer of two units and numbers of few bits."""
    rng = np.random.default_rng(seed)
    spec = GRUSpec(units=2, reset_after=True, return_sequences=True, return_state=True)

    def values(*shape: int) -> NDArray[np.float64]:
        return np.asarray(rng.integers(-(2**bits), 2**bits, shape) / 2.0 ** (bits + 1), np.float64)

    weights = {name: values(*shape) for name, shape in weight_shapes(spec, 2).items()}
    return Case("s", "s", "verdict", (), (), spec, weights, (Call(values(2, timesteps, 2)),))


def kappas(case: Case) -> NDArray[np.float32]:
    return np.concatenate([expected.kappa.ravel() for _, _, expected in judged_outputs(case)])


def values(case: Case) -> list[list[float]]:
    return [expected.value.ravel().tolist() for _, _, expected in judged_outputs(case) if expected.value is not None]


@HALF
def test_a_case_is_judged_in_that_dtype_alone_by_wider_bounds(dtype: str) -> None:
    usual, half = certify(short()), certify(short(), dtype=dtype)
    assert half.dtypes == (dtype,)
    assert values(half) == values(usual)
    assert (kappas(half) > kappas(usual)).all()
    assert np.array_equal(kappas(bounded(short(), dtype=dtype)), kappas(half))


def test_numbers_must_be_of_the_format() -> None:
    case = short(bits=10)
    assert certify(case, dtype="float16").dtypes == ("float16",)
    with pytest.raises(CertificationError, match="no dtype holds"):
        certify(case, dtype="bfloat16")
    weights = {name: array * 2.0**-6 for name, array in case.weights.items()}
    with pytest.raises(CertificationError, match="no dtype holds"):  # some are subnormal
        certify(replace(case, weights=weights), dtype="float16")


@HALF
def test_what_cannot_be_certified_in_half_precision(dtype: str) -> None:
    case = short()
    (call,) = case.calls
    assert isinstance(call, Call)
    nan = replace(case, calls=(replace(call, inputs=np.full_like(call.inputs, np.nan)),))
    assert certify(nan).dtypes == ("float32", "float64")
    with pytest.raises(CertificationError, match=f"not judged in {dtype}"):
        certify(nan, dtype=dtype)


def test_a_dtype_without_a_count_of_bounds_is_refused() -> None:
    expected = "dtype='float8': bounds can be counted for float32, float64, float16, bfloat16$"
    for way in (certify, bounded):
        with pytest.raises(SpecError, match=expected):
            way(short(), dtype="float8")


def test_float64_is_judged_alone_by_its_own_count() -> None:
    usual, own = certify(short()), certify(short(), dtype="float64")
    assert usual.dtypes == ("float32", "float64")
    assert own.dtypes == ("float64",)
    assert values(own) == values(usual)
    assert (kappas(own) <= kappas(usual)).all()


def test_numbers_that_only_float64_holds_have_bounds_counted_for_it() -> None:
    case = short(timesteps=8, bits=30)
    assert not all(exactly_representable(array, FORMATS["float32"]) for array in case.weights.values())
    chosen, wider = certify(case), certify(case, dtype="float32")
    assert chosen.dtypes == ("float64",)
    assert np.array_equal(kappas(chosen), kappas(certify(case, dtype="float64")))
    assert np.array_equal(kappas(chosen), kappas(bounded(case)))
    assert (kappas(chosen) <= kappas(wider)).all()
    assert (kappas(chosen) < kappas(wider)).any()


def test_bfloat16_leaves_no_room_for_long_sequences() -> None:
    case = short(timesteps=20)
    case = replace(case, weights={name: 4 * array for name, array in case.weights.items()})
    assert certify(case, dtype="float16").dtypes == ("float16",)
    with pytest.raises(CertificationError, match="too wide to judge"):
        certify(case, dtype="bfloat16")


def test_a_sum_of_as_many_terms_as_the_format_has_numbers_is_not_judged() -> None:
    spec = GRUSpec(units=1, activation="linear", return_state=True, use_bias=False)
    weights = {"kernel": np.full((300, 3), 0.75 * 2.0**-12), "recurrent_kernel": np.zeros((1, 3))}
    case = Case("n", "n", "verdict", (), (), spec, weights, (Call(np.full((1, 1, 300), 1.25)),))
    assert certify(case).dtypes == ("float32", "float64")
    with pytest.raises(CertificationError, match="too wide to judge"):
        certify(case, dtype="bfloat16")


def certified(cases: Iterable[Case], dtype: str) -> Iterator[Case]:
    for case in cases:
        try:
            yield certify(case, dtype=dtype)
        except CertificationError:
            continue


@HALF
@pytest.mark.parametrize("draw", [drawn, differentiated])
def test_no_permitted_arithmetic_leaves_a_bound(dtype: str, draw: Any) -> None:
    cases = list(certified(draw(SEEDS, bits=FORMATS[dtype].bits), dtype))
    shares = [largest_share(case, numbers) for i, case in enumerate(cases) for numbers in ways(i, case)]
    assert len(cases) > 10
    assert 0.3 < max(shares) <= 1


@HALF
def test_halved_bounds_are_left(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certification, "store_bound", lambda bound: store_bound(bound / 2))
    cases = certified(drawn(SEEDS, bits=FORMATS[dtype].bits), dtype)
    assert max(largest_share(case, numbers) for i, case in enumerate(cases) for numbers in ways(i, case)) > 1


def corner(preactivation: float) -> Case:
    """Return one step whose candidate is hard_sigmoid of an exact number, and whose update gate is exactly 0."""
    weights = {
        "kernel": np.array([[0.0, 0.0, preactivation]]),
        "recurrent_kernel": np.zeros((1, 3)),
        "bias": np.array([-8.0, -8.0, 0.0]),
    }
    spec = GRUSpec(units=1, activation="hard_sigmoid", return_state=True)
    return Case("c", "c", "hard-sigmoid", (), (), spec, weights, (Call(np.array([[[1.0]]])),))


def test_a_fused_corner_of_hard_sigmoid_is_not_zero_in_float16() -> None:
    for dtype in ("float32", "bfloat16"):
        assert not kappas(certify(corner(-2.5), dtype=dtype)).any()
    fused = np.float16(float(np.float16(0.2)) * -2.5 + 0.5)
    assert 0 < fused <= kappas(certify(corner(-2.5), dtype="float16")).min() * 2.0**-11
