"""Implementations against each other."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_suites import UNITS, case, expecting, play, suite

from gruspec.cases import Call, Case, Expected
from gruspec.conformance import CaseFinished, Comparison, Expectation, Failure, Status, compare, failures, judge_array

SHAPE = (2, UNITS)


def result(which: Case, implementation: str, dtype: str, outputs: Any, status: Status = "pass") -> CaseFinished:
    arrays = {} if outputs is None else {"0/outputs": np.asarray(outputs, dtype), "0/state": np.asarray(outputs, dtype)}
    return CaseFinished(
        implementation=implementation,
        id=which.id,
        topic=which.topic,
        clause=which.clause,
        flags=which.flags,
        dtype=dtype,
        status=status,
        outputs=arrays,
    )


def unknown(kappa: float = 4.0, name: str = "unknown") -> Case:
    found = Expected(None, np.full(SHAPE, kappa, np.float32))
    return case(name, calls=(Call(np.ones((2, 3, UNITS)), expected={"outputs": found, "state": found}),))


def two(which: Case, a: Any, b: Any, dtypes: tuple[str, str] = ("float32", "float32")) -> Comparison:
    names = ("a", "b") if dtypes[0] == dtypes[1] else ("a", "a")
    one, other = (result(which, *party, outputs) for party, outputs in zip(zip(names, dtypes), (a, b)))  # noqa: B905
    (found,) = compare([one, other], [which])
    return found


def test_equal_results_agree() -> None:
    found = two(unknown(), np.ones(SHAPE), np.ones(SHAPE))
    assert (found.compared, found.agreeing, found.known, found.disagreements) == (1, 1, 0, [])
    assert found.worst == 0


@pytest.mark.parametrize("steps", [8, 9])
def test_results_differ_by_the_sum_of_their_bounds_at_most(steps: int) -> None:
    apart = np.full(SHAPE, 0.75) + steps * 2.0**-24
    found = two(unknown(4.0), np.full(SHAPE, 0.75), apart)
    assert bool(found.disagreements) == (steps == 9)
    assert found.worst == pytest.approx(steps / 8, rel=1e-6)


def test_disagreement_has_its_figures() -> None:
    other = np.ones(SHAPE)
    other[1, 0] = 3.0
    (found,) = two(unknown(), np.ones(SHAPE), other).disagreements
    assert (found.id, found.clause, found.call, found.output, found.index) == (
        "echo/unknown",
        "last-output",
        0,
        "outputs",
        (1, 0),
    )
    assert (found.left, found.right) == (1.0, 3.0)
    assert found.fraction > 1e6


def test_kappa_zero_means_equal() -> None:
    assert two(unknown(0.0), np.ones(SHAPE), np.ones(SHAPE)).agreeing == 1
    assert two(unknown(0.0), np.ones(SHAPE), np.nextafter(np.ones(SHAPE, np.float32), 2)).disagreements


def test_nan_agrees_with_nan_only() -> None:
    nans = np.full(SHAPE, np.nan)
    assert two(unknown(), nans, nans).agreeing == 1
    assert two(unknown(), nans, np.ones(SHAPE)).disagreements
    assert two(unknown(), np.full(SHAPE, np.inf), -np.full(SHAPE, np.inf)).disagreements


def test_elements_with_too_much_slack_are_not_compared() -> None:
    assert two(unknown(2.0**24), np.zeros(SHAPE), np.ones(SHAPE)).agreeing == 1


def test_shapes_must_be_equal() -> None:
    (found,) = two(unknown(), np.ones(SHAPE), np.ones((3, 3))).disagreements
    assert found.message == "shapes (2, 2) and (3, 3), not (2, 2)"


def test_same_implementation_is_compared_across_dtypes() -> None:
    close, far = 0.75 + 4 * 2.0**-24, 0.75 + 5 * 2.0**-24
    assert two(unknown(4.0), np.full(SHAPE, close), np.full(SHAPE, 0.75), ("float32", "float64")).agreeing == 1
    assert two(unknown(4.0), np.full(SHAPE, far), np.full(SHAPE, 0.75), ("float32", "float64")).disagreements


def test_different_implementations_are_compared_within_a_dtype_only() -> None:
    which = unknown()
    results = [result(which, name, dtype, np.ones(SHAPE)) for name in "ab" for dtype in ("float32", "float64")]
    pairs = [(str(found.left), str(found.right)) for found in compare(results, [which])]
    assert pairs == [
        ("a float32", "a float64"),
        ("a float32", "b float32"),
        ("a float64", "b float64"),
        ("b float32", "b float64"),
    ]


def test_case_that_one_did_not_compute_is_not_compared() -> None:
    which = unknown()
    results = [result(which, "a", "float32", np.ones(SHAPE)), result(which, "b", "float32", None, "unsupported")]
    (found,) = compare(results, [which])
    assert found.compared == 0


def test_case_that_one_did_not_finish_is_not_compared() -> None:
    which = case(calls=(unknown().calls[0], unknown().calls[0]))
    whole, part = result(which, "a", "float32", np.ones(SHAPE)), result(which, "b", "float32", np.zeros(SHAPE))
    whole = dataclasses.replace(
        whole, outputs={f"{i}/{n}": np.ones(SHAPE) for i in (0, 1) for n in ("outputs", "state")}
    )
    assert [found.compared for found in compare([whole, part], [which])] == [0]
    part = dataclasses.replace(whole, implementation="b")
    assert [found.compared for found in compare([whole, part], [which])] == [1]


def test_expected_failure_of_one_is_a_known_disagreement() -> None:
    which = unknown()
    results = [result(which, "a", "float32", np.ones(SHAPE)), result(which, "b", "float32", np.zeros(SHAPE), "xfail")]
    (found,) = compare(results, [which])
    assert (found.compared, found.known, found.agreeing, found.disagreements) == (1, 1, 0, [])
    assert found.worst == 0


@given(
    value=st.floats(-8, 8),
    kappa=st.floats(0.5, 300, width=16),
    one=st.integers(-400, 400),
    other=st.integers(-400, 400),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_two_that_pass_the_verdict_agree(value: float, kappa: float, one: int, other: int, dtype: str) -> None:
    u = 2.0**-24 if dtype == "float32" else 2.0**-53
    a, b = (np.asarray(np.full(SHAPE, value + steps * u), dtype) for steps in (one, other))
    known = Expected(np.full(SHAPE, value), np.full(SHAPE, kappa, np.float32))
    which = case(calls=(Call(np.ones((2, 3, UNITS)), expected={"outputs": known}),))
    if judge_array(a, known, dtype).passed and judge_array(b, known, dtype).passed:
        assert not two(which, a, b, (dtype, dtype)).disagreements


def test_two_at_the_limit_of_the_verdict_agree() -> None:
    known = Expected(np.full(SHAPE, 1.5), np.ones(SHAPE, np.float32))
    which = case(calls=(Call(np.ones((2, 3, UNITS)), expected={"outputs": known}),))
    above, below = np.full(SHAPE, 1.5 + 2.0**-52), np.full(SHAPE, 1.5 - 2.0**-52)
    assert judge_array(above, known, "float64").passed
    assert judge_array(below, known, "float64").passed
    found = two(which, above, below, ("float64", "float64"))
    assert not found.disagreements
    assert found.worst > 0.7


def test_failures_without_results_are_counted() -> None:
    which, other = unknown(), unknown(name="other")
    results = [
        result(which, "a", "float32", None, "error"),
        result(other, "a", "float32", None, "fail"),
        result(which, "b", "float32", None, "xfail"),
        result(which, "c", "float32", None, "unsupported"),
        result(which, "d", "float32", np.ones(SHAPE), "fail"),
    ]
    results[0] = dataclasses.replace(results[0], message="killed")
    assert failures(results, [which, other]) == [Failure("a", 2, "killed")]


def test_parity_of_a_run() -> None:
    cases = suite()
    events = play(cases, "echo", "wrong", expectations=expecting("wrong"))
    pairs = {(str(c.left), str(c.right)): c for c in compare([e for e in events if isinstance(e, CaseFinished)], cases)}
    found = pairs["echo float32", "wrong float32"]
    assert (found.compared, found.agreeing, len(found.disagreements)) == (4, 3, 1)
    assert pairs["wrong float32", "wrong float64"].agreeing == 4
    entry = Expectation(id="echo/thirteen", clause="last-output", reason="unlucky")
    events = play(cases, "echo", "wrong", expectations=expecting("wrong", entry), dtypes=("float32",))
    (found,) = compare([e for e in events if isinstance(e, CaseFinished)], cases)
    assert (found.agreeing, found.known, found.disagreements) == (3, 1, [])
