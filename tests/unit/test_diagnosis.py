"""A diagnosis names what was planted, says so where nothing is wrong, and does not accuse where nothing matches."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from planted_faults_by_name import VARIABLE

from gruspec.cases import Suite
from gruspec.cli import main
from gruspec.conformance import judge
from gruspec.diagnosis.explanation import diagnose
from gruspec.diagnosis.observations import FAILING, Observation, Predictions, distance
from gruspec.diagnosis.trial import tried
from gruspec.faults import CATALOGUE, FaultyBackend

if TYPE_CHECKING:
    from gruspec.cases import Case
    from gruspec.diagnosis.observations import Outputs

HERE = Path(__file__).parent
KERNEL, RECURRENT = "gate-order/kernel-rzh", "gate-order/recurrent-kernel-hrz"
PLANTED = "planted_faults_by_name:backend"


@cache
def cases() -> tuple[Case, ...]:
    return tuple(Suite.load().cases(["elementary", "common", "stateful"]))


@cache
def predictions() -> Predictions:
    return Predictions()


def observed(*names: str, dtype: str = "float64") -> list[Observation]:
    backend = FaultyBackend(*(CATALOGUE[name] for name in names))
    found = []
    for case in cases():
        if dtype in case.dtypes:
            reply = tried(backend, case, dtype)
            status = judge(case, reply, backend.capabilities(), dtype=dtype, device="cpu").status
            found.append(Observation(case, dtype, reply.outputs, status in FAILING))
    return found


def named(*names: str) -> set[str]:
    best = diagnose(observed(*names), predictions=predictions()).best
    return set() if best is None else {fault.id for fault in best.faults}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    diagnosis = diagnose(observed(), predictions=predictions())
    assert (diagnosis.failing, diagnosis.best, diagnosis.alternatives) == (0, None, ())
    assert diagnosis.observations > 250


def test_a_single_fault_is_named_with_its_evidence() -> None:
    diagnosis = diagnose(observed(KERNEL), predictions=predictions())
    assert diagnosis.best is not None
    assert [fault.id for fault in diagnosis.best.faults] == [KERNEL]
    assert diagnosis.best.is_whole
    assert diagnosis.best.explained == diagnosis.failing > 200
    assert diagnosis.best.residual < 1


def test_a_pair_of_which_neither_explains_anything_alone_is_named() -> None:
    assert named(KERNEL, RECURRENT) == {KERNEL, RECURRENT}


def test_a_pair_that_shows_in_different_cases_is_named() -> None:
    assert named(KERNEL, "stateful/lost") == {KERNEL, "stateful/lost"}


def noisy(outputs: Outputs) -> Outputs:
    return {name: array + (-1) ** i * 0.3 for i, (name, array) in enumerate(outputs.items())}


@pytest.mark.parametrize("what", ["noise", "an exception"])
def test_nothing_in_the_catalogue_is_accused_of(what: str) -> None:
    failing = [
        Observation(each.case, each.dtype, noisy(each.outputs) if what == "noise" else {}, failing=True)
        for each in observed()
        if each.case.topic == "elementary" and each.case.result == "valid"
    ]
    diagnosis = diagnose(failing, predictions=predictions())
    assert not diagnosis.is_named
    assert diagnosis.failing == len(failing) > 100


def test_what_is_subnormal_is_compared_as_closely_as_anything_else() -> None:
    (case,) = (case for case in Suite.load().cases(["special"]) if case.id == "special/reset-before/subnormal-linear")
    outputs = tried(FaultyBackend(), case, "float32").outputs
    halved = {name: array / 2 for name, array in outputs.items()}
    assert distance(case, "float32", outputs, outputs) == 0
    assert distance(case, "float32", halved, outputs) > 100


def test_results_that_differ_in_kind_are_infinitely_apart() -> None:
    case = cases()[0]
    key = "0/outputs"
    array = tried(FaultyBackend(), case, "float64").outputs[key]
    outputs = {key: array, "0/state": array}
    assert distance(case, "float64", outputs, outputs) == 0
    assert distance(case, "float64", {**outputs, key: array + 1e-6}, outputs) > 1e6
    assert distance(case, "float64", {**outputs, key: array.astype(np.float32)}, outputs) == np.inf
    assert distance(case, "float64", {**outputs, key: array[None]}, outputs) == np.inf
    assert distance(case, "float64", {}, outputs) == np.inf


def gruspec(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KERNEL)
    monkeypatch.chdir(HERE)


SELECTION = ("--topic", "elementary", "--dtype", "float64")


@pytest.mark.usefixtures("planted")
def test_a_live_implementation_is_diagnosed() -> None:
    result = gruspec("diagnose", PLANTED, *SELECTION)
    text = " ".join(result.stdout.split())
    assert result.exit_code == 1
    assert f"{PLANTED} does what a GRU does that {CATALOGUE[KERNEL].does}" in text
    assert f"{KERNEL}, against clause gate-order" in text


@pytest.mark.usefixtures("planted")
def test_check_explains_failures() -> None:
    document = json.loads(gruspec("check", PLANTED, *SELECTION, "--explain", "--json").stdout)
    (diagnosis,) = document["diagnoses"]
    assert [fault["id"] for fault in diagnosis["best"]["faults"]] == [KERNEL]
    assert document["exit_code"] == 1
    assert "diagnoses" not in json.loads(gruspec("check", "numpy", *SELECTION, "--json").stdout)


def test_a_correct_implementation_is_acquitted() -> None:
    result = gruspec("diagnose", "numpy", *SELECTION)
    assert result.exit_code == 0
    assert "numpy does what the specification says in all" in result.stdout


@pytest.mark.usefixtures("planted")
def test_a_file_of_results_is_diagnosed(tmp_path: Path) -> None:
    saved = gruspec("check", PLANTED, *SELECTION, "--save-results", tmp_path)
    assert saved.exit_code == 1
    (path,) = tmp_path.glob("*.safetensors")
    document = json.loads(gruspec("diagnose", "--results", path, *SELECTION, "--json").stdout)
    (diagnosis,) = document["diagnoses"]
    assert [fault["id"] for fault in diagnosis["best"]["faults"]] == [KERNEL]
    assert not diagnosis["best"]["unexplained"]
