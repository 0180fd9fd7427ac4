"""The rebuilt layer against the real one: a few examples, every known difference, and faults that must be found.

``nox -s seed_layer`` compares many more examples.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if find_spec("tensorflow") is None or find_spec("tf_keras") is None:
    pytest.skip("needs tensorflow and tf_keras", allow_module_level=True)

import comparison
import examples
from demonstrations import X
from known_differences import KNOWN_DIFFERENCES
from met_differences import MET, built
from original import Original, observed
from planted_faults import FAULTS, Fault, Indulgent, WrongClassOfError
from search import Report, search
from seed_layer import main, summary
from strategies import Plan, arguments, plans, right_uses

from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy
    from known_differences import KnownDifference

SMOKE_EXAMPLES, SMOKE_SEED = 60, 4
PLANTED_EXAMPLES, PLANTED_SEED = 200, 3


def names(difference: KnownDifference) -> str:
    return difference.name


def test_layers_agree(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--examples", str(SMOKE_EXAMPLES), "--seed", str(SMOKE_SEED)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert f"{SMOKE_EXAMPLES} examples" in printed


@pytest.mark.parametrize("time_major", [False, True])
def test_gradients_of_all_losses_agree(*, time_major: bool) -> None:
    regularizer = {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.25}}
    arguments = {f"{name}_regularizer": regularizer for name in ("kernel", "recurrent", "bias", "activity")}
    flags = {"return_sequences": True, "return_state": True, "time_major": time_major}
    state = (X.shape[1 if time_major else 0], 1)
    cotangents = {"outputs": np.ones(X.shape, np.float32), "state": np.ones(state, np.float32)}
    example = built(examples.Call(X, cotangents=cotangents, losses=True), **arguments, **flags)
    with observed():
        found = comparison.compare(example)
    assert found.difference is None
    assert found.judged > 0
    assert found.unjudged == 0


@pytest.mark.filterwarnings("ignore:Casting complex values to real discards the imaginary part")
@pytest.mark.parametrize("difference", KNOWN_DIFFERENCES, ids=names)
def test_original_still_differs(difference: KnownDifference) -> None:
    with observed():
        difference.demonstrate(Original.layer_class())


def test_differences_are_named_once_and_cite_a_clause() -> None:
    assert len({difference.name for difference in KNOWN_DIFFERENCES}) == len(KNOWN_DIFFERENCES)
    assert {difference.clause for difference in KNOWN_DIFFERENCES} <= set(CLAUSES)


def right(given: dict[str, Any]) -> SearchStrategy[examples.Example]:
    """Examples of right use with these constructor arguments, none of them by position."""
    stated = arguments().map(lambda drawn: {**drawn, **given})
    named = plans(stated).map(lambda plan: replace(plan, example=replace(plan.example, positional=0)))
    return right_uses(named).map(lambda plan: plan.example)


def ending(operation: Callable[[Plan], examples.Operation], **given: Any) -> SearchStrategy[examples.Example]:
    """Examples of right use with these constructor arguments, and another operation at the end."""

    def ended(plan: Plan) -> examples.Example:
        return replace(plan.example, operations=[*plan.example.operations[:-1], operation(plan)])

    stated = arguments().map(lambda drawn: {**drawn, **given})
    return right_uses(plans(stated)).map(ended)


def planted(layer: type, monkeypatch: pytest.MonkeyPatch, strategy: SearchStrategy[examples.Example]) -> Report:
    monkeypatch.setattr("gruspec_numpy.GRU", layer)
    return search(PLANTED_EXAMPLES, PLANTED_SEED, strategy=strategy, shrink=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.layer.__name__)
def test_planted_fault_is_found(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    report = planted(fault.layer, monkeypatch, right(dict(fault.arguments)))
    assert report.failure is not None, summary(report)
    assert fault.found_in in report.failure[1]


def test_wrong_class_of_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = ending(lambda _: examples.Reset(), stateful=False)
    report = planted(WrongClassOfError, monkeypatch, strategy)
    assert report.failure is not None, summary(report)
    assert "expected AttributeError" in report.failure[1]


def test_wrong_use_that_is_accepted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_row(plan: Plan) -> examples.Call:
        return examples.Call(plan.inputs(3), mask=np.ones((1, 3), bool))

    report = planted(Indulgent, monkeypatch, ending(one_row, time_major=False, stateful=False))
    assert report.failure is not None, summary(report)
    assert "mask-broadcast says that ours refuses it" in report.failure[1]


def test_failure_is_simplified_and_printed_as_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = next(fault for fault in FAULTS if fault.layer.__name__ == "Undivided")
    monkeypatch.setattr("gruspec_numpy.GRU", fault.layer)
    report = search(30, 1, strategy=right(dict(fault.arguments)))
    assert report.failure is not None
    example, difference = report.failure
    program = summary(report).split("UNEXPLAINED: ")[1].split("\n\n", 1)[1]
    found: dict[str, Any] = {}
    exec(compile(program, "reproducer", "exec"), found)  # noqa: S102 - what a reader is told to run
    with observed():
        assert comparison.compare(found["example"]).difference == difference
    assert example.argument("units") == 1


@pytest.mark.parametrize("difference", KNOWN_DIFFERENCES, ids=names)
def test_each_known_difference_is_needed(difference: KnownDifference, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its row in the table, an example that meets it differs."""
    example = MET[difference.name]
    with observed():
        assert difference.name in comparison.compare(example).explained
        assert comparison.compare(example).difference is None
        others = tuple(row for row in KNOWN_DIFFERENCES if row is not difference)
        monkeypatch.setattr(comparison, "KNOWN_DIFFERENCES", others)
        assert comparison.compare(example).difference is not None
