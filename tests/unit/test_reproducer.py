"""Reproducers: literals give their arrays back, sentences are those of the text, and bounds hide no failure."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gruspec import GRUSpec
from gruspec.backend import Capabilities, Registry
from gruspec.backend.script import WIDTH, call_source
from gruspec.cases import Call, Case, Expected, ResetStates
from gruspec.conformance import Element, Judgement, Worst
from gruspec.spec.clauses import CLAUSES
from gruspec.sweep.literals import array_source, comment
from gruspec.sweep.reproducer import reproducer
from gruspec.sweep.rules import RULES

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
DTYPES = [np.dtype(name) for name in ("float64", "float32", "float16")]
VALUE, KAPPA = 0.25, 3.0
NUMPY = Registry().get("numpy").load()


def case_of(*calls: Call | ResetStates, **changes: Any) -> Case:
    """Return a case of one unit whose weights are zero, so that every output is half the state."""
    weights = {"kernel": np.zeros((1, 3)), "recurrent_kernel": np.zeros((1, 3)), "bias": np.zeros(3)}
    fields: dict[str, Any] = {"spec": GRUSpec(units=1), "weights": weights, "dtypes": ("float32", "float64")}
    fields |= {"id": "unit/reset-before/case", "topic": "unit", "clause": "update", "flags": (), "calls": calls}
    return Case(**fields | changes)


def call_of(value: float = VALUE, kappa: float = KAPPA) -> Call:
    expected = Expected(np.array([[value]]), np.array([[kappa]], np.float32))
    return Call(np.zeros((1, 1, 1)), initial_state=np.array([[0.5]]), expected={"outputs": expected})


def script(case: Case, judgement: Judgement | None = None, dtype: str = "float32", **options: Any) -> str:
    return reproducer(case, dtype, "numpy", NUMPY, judgement or Judgement("pass"), versions={}, **options)


def failed(text: str) -> str:
    """Run a script and return what its assertion says, empty if it holds."""
    try:
        exec(compile(text, "script", "exec"), {})  # noqa: S102  the script under test
    except AssertionError as error:
        return str(error)
    return ""


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    kinds = (one.shape, one.dtype) == (other.shape, other.dtype)
    return kinds and one.tobytes() == other.tobytes()


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0))))
@settings(deadline=None)
def test_a_literal_gives_its_array_back(array: NDArray[Any]) -> None:
    array[np.isnan(array)] = np.nan
    source = array_source(array, "dtype")
    assert same(eval(source, {"np": np, "dtype": array.dtype}), array), source  # noqa: S307  the source under test
    assert max(map(len, source.splitlines())) <= WIDTH


def test_every_number_of_half_precision_comes_back() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    for dtype in (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)):
        numbers = bits.view(dtype)
        with np.errstate(invalid="ignore"):
            finite = numbers[np.isfinite(numbers)]
        assert same(eval(array_source(finite, "dtype"), {"np": np, "dtype": dtype}), finite)  # noqa: S307  as above


def test_literals_of_masks_are_boolean() -> None:
    for mask in (np.array([[True, False]]), np.zeros((2, 2), bool), np.zeros((0, 2), bool)):
        assert same(eval(array_source(mask, ""), {"np": np}), mask)  # noqa: S307  as above


def test_sentences_are_those_of_the_text() -> None:
    text = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8") + "\n##"
    assert list(RULES) == list(CLAUSES)
    for clause, rule in RULES.items():
        section = re.search(rf"^### {clause} — .*?(?=^##)", text, flags=re.MULTILINE | re.DOTALL)
        assert section is not None
        assert rule in " ".join(section.group().replace("−", "-").split()), clause  # noqa: RUF001  a minus of the text


def test_comments_and_calls_keep_to_the_width() -> None:
    assert max(map(len, comment("word " * 100).splitlines())) <= WIDTH + 2
    source = call_source("layer = GRU", [f"argument_{i}={i}" for i in range(20)])
    assert max(map(len, source.splitlines())) <= WIDTH
    assert source.count("argument") == 20


def test_a_script_of_a_small_case_is_short_and_says_what_is_wrong() -> None:
    case = case_of(call_of(VALUE + 1))
    worst = Worst(0, "outputs", Element((0, 0), VALUE, VALUE + 1, 1e-7, np.inf))
    text = script(case, Judgement("fail", "outputs[0, 0] of call 0: wrong", worst))
    assert len(text.splitlines()) <= 40
    assert "[update]" in text
    assert RULES["update"].split(":")[0] in text
    assert "outputs[0, 0] of call 0: wrong" in text
    assert failed(text) == "outputs of call 0: 1 of 1 elements are out of bounds"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bound_is_that_of_the_verdict(dtype: str) -> None:
    slack = KAPPA * {"float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    assert not failed(script(case_of(call_of(VALUE + slack)), dtype=dtype))
    assert failed(script(case_of(call_of(VALUE + 1.1 * slack + 2.0**-53)), dtype=dtype))


def test_a_narrow_failure_is_not_hidden_by_rounding() -> None:
    narrow = case_of(call_of(VALUE + KAPPA * 2.0**-24 * 1.001))
    worst = Worst(0, "outputs", Element((0, 0), 0.0, 0.0, 1.0, 1.001))
    assert failed(script(narrow, Judgement("fail", "", worst)))


@pytest.mark.parametrize(("value", "kappa", "fails"), [(np.nan, 0, True), (VALUE, 0, False), (VALUE + 2**-40, 0, True)])
def test_without_room_a_result_must_be_equal(value: float, kappa: float, fails: bool) -> None:  # noqa: FBT001  a table
    assert bool(failed(script(case_of(call_of(value, kappa))))) == fails


def test_what_cannot_be_judged_is_not_checked() -> None:
    assert not failed(script(case_of(call_of(VALUE + 9, 2.0**26))))
    assert failed(script(case_of(call_of(VALUE + 9, 2.0**25))))


def test_nan_is_expected_where_it_must_come_out() -> None:
    call = replace(call_of(np.nan, 0), initial_state=np.array([[np.nan]]))
    assert not failed(script(case_of(call)))


def test_without_values_shape_and_dtype_are_checked() -> None:
    right, wrong = Expected(None, np.ones((1, 1), np.float32)), Expected(None, np.ones((1, 2), np.float32))
    assert not failed(script(case_of(replace(call_of(), expected={"outputs": right}))))
    assert "shape or dtype" in failed(script(case_of(replace(call_of(), expected={"outputs": wrong}))))


def test_nothing_after_the_failing_call_is_performed() -> None:
    worst = Worst(0, "outputs", Element((0, 0), 0.0, 1.0, 1e-7, np.inf))
    case = case_of(call_of(), ResetStates(), call_of(9.0), spec=GRUSpec(units=1, stateful=True))
    assert "reset_states" not in script(case, Judgement("fail", "", worst))
    assert "call 2" in failed(script(case))


def test_operations_that_must_be_refused() -> None:
    refused = ResetStates(raises="AttributeError")
    assert not failed(script(case_of(call_of(), refused, result="invalid")))
    stateful = case_of(call_of(), refused, result="invalid", spec=GRUSpec(units=1, stateful=True))
    assert failed(script(stateful)) == "accepted what must be refused with AttributeError"
    too_wide = replace(call_of(), initial_state=np.zeros((1, 2)), expected={}, raises="ValueError")
    assert not failed(script(case_of(too_wide, result="invalid")))
    bias = {"kernel": np.zeros((1, 3)), "recurrent_kernel": np.zeros((1, 3)), "bias": np.zeros(6)}
    plain = replace(call_of(), expected={})
    assert not failed(script(case_of(plain, result="invalid", raises="ValueError", weights=bias)))
    assert failed(script(case_of(plain, result="invalid", raises="ValueError")))


class Native:
    """A native layer may refuse with any exception."""

    def capabilities(self) -> Capabilities:
        return Capabilities(summary="native", kind="native")

    def versions(self) -> dict[str, str]:
        return {"native": "7.5"}

    def prepare(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def test_only_a_complete_implementation_must_raise_the_class_that_is_named() -> None:
    case = case_of(ResetStates(raises="AttributeError"), result="invalid")
    native = reproducer(case, "float32", "my.gru:backend", Native(), Judgement("fail", "why"))
    assert "except Exception" in native
    assert "except AttributeError" in script(case)
    assert native.startswith("# my.gru:backend (native 7.5)")


def test_devices_are_stated() -> None:
    backends = {name: Registry().get(name).load() for name in ("torch-nn", "jax", "tf-v1", "onnxruntime")}
    case = case_of(call_of())
    for name, backend in backends.items():
        texts = [
            reproducer(case, "float32", name, backend, Judgement("pass"), device=device, versions={})
            for device in ("cpu", "cuda")
        ]
        assert texts[0] != texts[1]
        assert "tf32" in texts[1].lower() or "tensor_float_32" in texts[1] or name == "jax"
