"""Shrinking: simpler cases, and the simplest one that still fails."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import regeneration

from gruspec.backend import Registration
from gruspec.cases import Call, ResetStates
from gruspec.cases.soundness import defects
from gruspec.certify import bounded
from gruspec.conformance import Expectation, Expectations, Judgement
from gruspec.conformance.implementation import MOST_DEATHS
from gruspec.errors import CertificationError
from gruspec.generate.random_cases import drawn_case, free_case, random_case
from gruspec.spec import GRUSpec
from gruspec.sweep.elements import simpler_elements, simpler_values
from gruspec.sweep.shrink import shrunk
from gruspec.sweep.structure import simpler_structure
from gruspec.sweep.trial import Failure, Trial
from gruspec.sweep.words import case_words, numbers_given

if TYPE_CHECKING:
    from collections.abc import Callable

    from gruspec.cases import Case

CASES = 60


def first(case: Case) -> Call:
    (call, *_) = case.calls
    assert isinstance(call, Call)
    return call


def test_a_case_of_which_everything_is_kept_is_itself() -> None:
    for k in range(CASES):
        case = drawn_case(5, k)
        assert regeneration.content(simpler_structure(case, lambda: True)) == regeneration.content(case)
        assert regeneration.content(simpler_elements(case, lambda: 99)) == regeneration.content(case)


def test_a_case_of_which_nothing_is_kept_is_the_simplest() -> None:
    for k in range(CASES):
        case = drawn_case(5, k)
        simplest = simpler_structure(case, lambda: False)
        assert simplest.spec == GRUSpec(units=1, use_bias=False)
        assert len(simplest.calls) == 1
        assert set(simplest.arrays()) == {"kernel", "recurrent_kernel", "0/inputs"}
        assert first(simplest).inputs.shape == tuple(min(1, size) for size in np.shape(transposed(case)))
        assert not any(array.any() for array in simplest.arrays().values())


def transposed(case: Case) -> Any:
    inputs = first(case).inputs
    return inputs.swapaxes(0, 1) if case.spec.time_major else inputs


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_simpler_cases_make_sense(share: float) -> None:
    answers, sound = np.random.default_rng(1), 0
    for k in range(CASES):
        simpler = simpler_structure(drawn_case(5, k), lambda: answers.random() < share)
        simpler = simpler_elements(simpler, lambda: int(answers.integers(12)))
        try:
            found = bounded(simpler)
        except CertificationError:
            continue
        assert list(defects(found)) == []
        sound += 1
    assert sound > CASES * 0.8


def test_answers_select_rows_timesteps_features_and_units() -> None:
    """Only the second of each is kept."""
    spec = GRUSpec(units=2, time_major=True, return_sequences=True)
    inputs = np.arange(8.0).reshape(2, 2, 2)
    kernel, recurrent = np.arange(12.0).reshape(2, 6), -np.arange(12.0).reshape(2, 6)
    weights = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": np.arange(6.0)}
    call = Call(inputs, mask=np.array([[True, True], [True, False]]), initial_state=np.array([[5.0, 6.0], [7.0, 8.0]]))
    case = replace(drawn_case(5, 0), spec=spec, weights=weights, calls=(call,), dtypes=())
    axes_of = [False, True] * 4
    options_before = questions(case) - len(axes_of) - 1  # whether to keep the call comes last
    answers = iter([True] * options_before + axes_of + [True])
    simpler = simpler_structure(case, lambda: next(answers))
    assert simpler.spec == replace(spec, units=1)
    assert simpler.weights["kernel"].tolist() == [[7, 9, 11]]
    assert simpler.weights["recurrent_kernel"].tolist() == [[-7, -9, -11]]
    assert simpler.weights["bias"].tolist() == [1, 3, 5]
    assert first(simpler).inputs.tolist() == [[[7]]]
    assert np.asarray(first(simpler).mask).tolist() == [[False]]
    assert np.asarray(first(simpler).initial_state).tolist() == [[8]]


def questions(case: Case) -> int:
    asked = []

    def keep() -> bool:
        asked.append(1)
        return True

    simpler_structure(case, keep)
    return len(asked)


def test_the_questions_do_not_depend_on_the_answers() -> None:
    for k in range(CASES):
        case = drawn_case(5, k)
        asked: list[int] = []

        def drop(asked: list[int] = asked) -> bool:
            asked.append(1)
            return False

        simpler_structure(case, drop)
        assert len(asked) in {questions(case), questions(case) + 1}


def test_simpler_values_come_first() -> None:
    assert simpler_values(1.37)[:3] == [0.0, 1.0, -1.0]
    assert simpler_values(5.0) == [0.0, 1.0, -1.0]
    assert simpler_values(0.0) == []
    assert [simpler_values(element) for element in (True, False)] == [[], [True]]
    assert 5.5 in simpler_values(5.4)


def failing(condition: Callable[[Case], bool]) -> Callable[[Case], Failure | None]:
    """Return a trial that nothing is run in."""
    return lambda case: Failure(case, "float32", Judgement("fail", "so")) if condition(case) else None


def test_what_does_not_matter_is_shrunk_away() -> None:
    def fails(case: Case) -> bool:
        """A reset, and an input beyond 0.7 in a later call."""
        reset = [i for i, operation in enumerate(case.calls) if isinstance(operation, ResetStates)]
        later = case.calls[reset[0] :] if reset else ()
        return any((call.inputs > 0.7).any() for call in later if isinstance(call, Call))

    cases = [case for case in (drawn_case(5, k) for k in range(200)) if fails(case)][:2]
    assert len(cases) == 2
    for case in cases:
        found = shrunk(case, failing(fails), 60)
        assert found is not None
        small = found.failure.case
        assert small.spec == GRUSpec(units=1, use_bias=False, stateful=True)
        assert [type(operation) for operation in small.calls] == [Call, ResetStates, Call]
        assert numbers_given(small) <= 8
        assert sum(float(abs(array).sum()) for array in small.arrays().values()) == 1
        assert small.clause == "reset-states"


def test_a_failure_that_needs_everything_stays_as_it_is() -> None:
    spec = GRUSpec(units=1, use_bias=False, go_backwards=True, reset_after=True)
    weights = {"kernel": np.full((1, 3), 0.3), "recurrent_kernel": np.full((1, 3), -0.7)}
    case = free_case("random/whole", spec, weights, [Call(np.full((1, 2, 1), 0.4))])
    whole = regeneration.content(case)
    found = shrunk(case, failing(lambda other: regeneration.content(other) == whole), 60)
    assert found is not None
    assert regeneration.content(found.failure.case) == whole


def test_a_case_that_does_not_fail_again_is_not_shrunk() -> None:
    assert shrunk(drawn_case(5, 0), failing(lambda _: False), 60) is None


def test_shrinking_ends_in_time_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a second."""
    monkeypatch.setattr("gruspec.sweep.shrink.monotonic", count().__next__)
    case = next(case for case in (drawn_case(5, k) for k in range(50)) if case.weights["kernel"].size > 200)
    found = shrunk(case, failing(lambda case: case.weights["kernel"].size > 10), 40)
    assert found is not None
    assert found.tried <= 41
    assert 10 < found.failure.case.weights["kernel"].size < case.weights["kernel"].size


def test_shrinking_leaves_nothing_behind(tmp_path: Path) -> None:
    """Hypothesis reads the modules of the working folder, and remembers what it has read."""
    program = tmp_path / "program.py"
    program.write_text(
        "from test_sweep_shrink import drawn_case, failing, shrunk\n"
        "print(shrunk(drawn_case(5, 0), failing(lambda case: case.spec.units > 1), 5).tried)",
        encoding="utf-8",
    )
    surroundings = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-B", program.name]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 0
    assert list(tmp_path.iterdir()) == [program]


def trial(name: str, expectations: Expectations | None = None) -> Trial:
    reference = f"swept_backends:{name}"
    expected = expectations or Expectations()
    return Trial(Registration(reference, reference), dtype="float32", device="cpu", timeout=60, expectations=expected)


def test_a_planted_fault_is_shrunk_to_a_tiny_case() -> None:
    with trial("gates") as tried:
        failures = (failure for k in range(5) if (failure := tried.failure(random_case(7, k))) is not None)
        large = max((next(failures), next(failures)), key=lambda failure: numbers_given(failure.case))
        found = shrunk(large.case, tried.failure, 60)
    assert found is not None
    small = found.failure.case
    assert numbers_given(large.case) > 100
    assert numbers_given(small) <= 10
    assert (small.spec.units, first(small).inputs.shape) == (1, (1, 1, 1))
    assert found.failure.judgement.status == "fail"
    assert first(small).expected["outputs"].value is not None


def test_a_process_that_a_case_ended_is_started_again() -> None:
    narrow, wide = (spec_case(units) for units in (1, 2))
    with trial("leaving") as tried:
        for _ in range(MOST_DEATHS):
            failure = tried.failure(wide)
            assert failure is not None
            assert failure.judgement.status == "error"
            assert "exit code 3" in failure.judgement.message
        assert tried.failure(narrow) is None


def spec_case(units: int) -> Case:
    return next(case for k in range(200) if (case := drawn_case(5, k)).spec.units == units and numbers_given(case) < 99)


def test_known_failures_show_nothing() -> None:
    case = next(
        case for k in range(50) if "Backwards" in (case := drawn_case(5, k)).flags and numbers_given(case) < 200
    )
    with trial("backwards") as tried:
        assert tried.failure(case) is not None
    known = Expectations([Expectation(flag="Backwards", clause="go-backwards", reason="cannot")])
    with trial("backwards", known) as tried:
        assert tried.failure(case) is None


def test_a_case_is_told_in_words() -> None:
    spec = GRUSpec(units=2, stateful=True, activation="relu")
    call = Call(np.zeros((1, 3, 2)), mask=np.ones((1, 3), bool), training=True)
    case = replace(drawn_case(5, 0), spec=spec, calls=(call, ResetStates(), Call(np.zeros((1, 1, 2)))))
    assert case_words(case) == (
        "GRU(units=2, activation='relu', stateful=True); call with inputs (1, 3, 2), mask, training; reset_states(); "
        "call with inputs (1, 1, 2)"
    )
