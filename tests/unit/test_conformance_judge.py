"""From what an implementation did to a status."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sample_suites import UNITS, case, refused_call, refused_layer, refused_reset

from gruspec import GRUSpec
from gruspec.backend import Capabilities
from gruspec.cases import Call, Case
from gruspec.conformance import Judgement, judge
from gruspec.conformance.replies import Reply, Step

RETURNED = Step("returned")
COMPLETE = Capabilities(summary="")
NATIVE = Capabilities(summary="", kind="native")
NARROW = Capabilities(summary="", kind="native", activations=("sigmoid",))


def declined(*reasons: str) -> Step:
    return Step("unsupported", reasons)


def raised(error: type[Exception]) -> Step:
    return Step("raised", classes=tuple(cls.__name__ for cls in error.__mro__), text=error.__name__)


def verdict(which: Case, declared: Capabilities | None, *steps: Step, **outputs: Any) -> Judgement:
    named = {name.replace("_", "/"): array for name, array in outputs.items()}
    return judge(which, Reply(steps, named), declared, dtype="float64", device="cpu")


def right(which: Case) -> dict[str, Any]:
    call = which.calls[0]
    assert isinstance(call, Call)
    last = call.inputs[:, -1, :]
    return {"c0_outputs": last, "c0_state": last}


def answers(which: Case, declared: Capabilities | None, *steps: Step, error: float = 0.0) -> Judgement:
    outputs = {name.removeprefix("c"): array + error for name, array in right(which).items()}
    return verdict(which, declared, *steps, **outputs)


@pytest.mark.parametrize("declared", [COMPLETE, NATIVE, NARROW, None])
def test_right_answer_passes_whatever_is_declared(declared: Capabilities | None) -> None:
    found = answers(case(), declared, RETURNED, RETURNED)
    assert (found.status, found.elements, found.judged) == ("pass", 8, 8)


def test_wrong_answer_fails_and_says_where() -> None:
    found = answers(case(kappa=1.0), COMPLETE, RETURNED, RETURNED, error=1.0)
    assert found.status == "fail"
    assert found.worst is not None
    assert found.worst.call == 0
    assert "of call 0: computed" in found.message
    assert "8 of 8 elements fail" in found.message


def test_wrong_answer_outside_the_claim_is_silent_acceptance() -> None:
    found = answers(case(), NARROW, RETURNED, RETURNED, error=1.0)
    assert found.status == "fail"
    assert found.message.startswith("silently accepted what it does not declare (activation='tanh' (has sigmoid))")


def test_call_outside_the_claim_counts_as_outside() -> None:
    declared = Capabilities(summary="", kind="native", mask="lengths")
    inputs = np.ones((1, 2, UNITS))
    (base,) = case().calls
    assert isinstance(base, Call)
    masked = case(calls=(Call(inputs, np.array([[False, True]]), expected=base.expected),))
    found = judge(masked, Reply((RETURNED, RETURNED)), declared, dtype="float64", device="cpu")
    assert "mask of kind 'any' (has 'lengths')" in found.message


def test_trailing_axis_of_a_mask_does_not_confuse_its_kind() -> None:
    declared = Capabilities(summary="", mask="lengths")
    spec = GRUSpec(units=UNITS, use_bias=False, time_major=True)
    inputs = np.ones((3, 2, UNITS))
    mask = np.array([[True, True], [False, True], [False, False]])[..., np.newaxis]
    masked = case(spec=spec, calls=(Call(inputs, mask),))
    assert judge(masked, Reply((RETURNED, declined("x"))), declared, dtype="float64", device="cpu").status == "fail"


def test_declared_but_refused_fails_a_complete_implementation() -> None:
    found = verdict(case(), COMPLETE, declined("no masks", "no tanh"))
    assert (found.status, found.message) == ("fail", "prepare: declared but refused: no masks; no tanh")


@pytest.mark.parametrize("declared", [NATIVE, NARROW, None])
def test_refusal_of_any_other_is_unsupported(declared: Capabilities | None) -> None:
    found = verdict(case(), declared, RETURNED, declined("no masks"))
    assert (found.status, found.message) == ("unsupported", "no masks")


def test_complete_may_refuse_what_it_does_not_declare() -> None:
    declared = Capabilities(summary="", dtypes=("float32",))
    assert verdict(case(), declared, declined("dtype")).status == "unsupported"


@pytest.mark.parametrize("declared", [COMPLETE, NATIVE])
def test_exception_inside_the_claim_fails(declared: Capabilities) -> None:
    found = verdict(case(), declared, RETURNED, raised(KeyError))
    assert (found.status, found.message) == ("fail", "operation 0 (call): raised KeyError")


def test_exception_outside_the_claim_is_unsupported() -> None:
    found = verdict(case(), NARROW, RETURNED, raised(KeyError))
    assert found.status == "unsupported"
    assert "activation='tanh'" in found.message
    assert "KeyError" in found.message


def test_reply_that_leaves_operations_out_is_an_error() -> None:
    for steps in ((), (RETURNED,)):
        found = verdict(case(spec=GRUSpec(units=UNITS, use_bias=False)), COMPLETE, *steps)
        assert (found.status, found.message) == ("error", f"the process answered {len(steps)} of 2 operations")
    assert verdict(case(), NATIVE, RETURNED, RETURNED, RETURNED).status == "error"


def test_crash_is_an_error() -> None:
    found = judge(case(), Reply(crash="killed by SIGSEGV"), COMPLETE, dtype="float32", device="cpu")
    assert found.status == "error"
    assert "SIGSEGV" in found.message


def test_missing_state_fails_only_where_it_is_returned() -> None:
    outputs = {"0/outputs": right(case())["c0_outputs"]}
    assert verdict(case(), COMPLETE, RETURNED, RETURNED, **outputs).message == "state of call 0: missing"
    silent = case(spec=GRUSpec(units=UNITS, use_bias=False))
    assert verdict(silent, COMPLETE, RETURNED, RETURNED, **outputs).status == "pass"


def test_wrong_object_fails_with_its_type() -> None:
    found = verdict(case(), COMPLETE, RETURNED, Step("returned", text="returned list, expected Output"))
    assert found.message == "operation 0 (call): returned list, expected Output"


@pytest.mark.parametrize(("error", "status"), [(ValueError, "pass"), (UnicodeError, "pass"), (TypeError, "fail")])
def test_complete_implementation_raises_the_class(error: type[Exception], status: str) -> None:
    assert verdict(refused_call(), COMPLETE, RETURNED, raised(error)).status == status
    assert verdict(refused_layer(), COMPLETE, raised(error)).status == status


@pytest.mark.parametrize("declared", [NATIVE, NARROW])
def test_native_implementation_need_only_raise(declared: Capabilities) -> None:
    assert verdict(refused_call(), declared, RETURNED, raised(RuntimeError)).status == "pass"
    assert verdict(refused_layer(), declared, raised(RuntimeError)).status == "pass"


def test_native_implementation_may_raise_early_or_late() -> None:
    late = case("late", result="invalid", raises="ValueError")
    assert verdict(refused_call(), NATIVE, raised(RuntimeError)).status == "pass"
    assert verdict(late, NATIVE, RETURNED, raised(RuntimeError)).status == "pass"
    assert verdict(refused_call(), COMPLETE, raised(ValueError)).status == "fail"
    assert verdict(late, COMPLETE, RETURNED, raised(ValueError)).message.startswith("prepare: accepted")


@pytest.mark.parametrize("declared", [COMPLETE, NATIVE, NARROW])
def test_accepting_what_must_be_refused_fails(declared: Capabilities) -> None:
    found = verdict(refused_call(), declared, RETURNED, RETURNED)
    assert found.status == "fail"
    assert "accepted what must be refused with ValueError" in found.message
    assert ("silently" in found.message) == (declared is NARROW)
    late = case("late", result="invalid", raises="ValueError")
    assert verdict(late, declared, RETURNED, RETURNED).status == "fail"


def test_calls_around_a_refused_operation_are_judged() -> None:
    which = refused_reset()
    last = right(which)["c0_outputs"]
    outputs = {f"{call}/{name}": last for call in (0, 2) for name in ("outputs", "state")}
    steps = (RETURNED, RETURNED, raised(AttributeError), RETURNED)
    assert verdict(which, COMPLETE, *steps, **outputs).judged == 16
    assert verdict(which, COMPLETE, *steps, **outputs | {"2/state": last + 1}).status == "fail"
    assert verdict(which, COMPLETE, RETURNED, RETURNED, RETURNED, RETURNED, **outputs).status == "fail"
