"""The kill matrix, the smallest subset, and the command that prints them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sample_suites import write_golden

from gruspec.cases import Suite
from gruspec.cli import main
from gruspec.diagnosis.kills import Kill, Row
from gruspec.diagnosis.subset import smallest_subset
from gruspec.faults import CATALOGUE, Fault

if TYPE_CHECKING:
    from pathlib import Path

FAULT = "gate-order/kernel-rzh"


def gruspec(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def row(name: str, **caught: str) -> Row:
    fault = Fault(id=f"test/{name}", does="nothing", clause="update", variants=("reset-after",), dtypes=("float32",))
    return Row(fault, tuple(Kill(case, "reset-after", "float32") for case in caught))


def test_subset_catches_what_all_cases_catch_and_has_no_case_too_many() -> None:
    rows = [row("a", one="", two=""), row("b", two="", three=""), row("c", three="", one=""), row("d", two="")]
    assert smallest_subset(rows) in (["one", "two"], ["three", "two"])


def test_subset_leaves_out_what_later_choices_make_redundant() -> None:
    rows = [row("a", wide="", left=""), row("b", wide="", left=""), row("c", wide="", right=""), row("d", left="")]
    rows += [row("e", right=""), row("f", wide="", right="")]
    assert smallest_subset(rows) == ["left", "right"]


def test_a_fault_survives_where_too_few_cases_catch_it() -> None:
    fault = Fault(id="test/x", does="nothing", clause="update", dtypes=("float64",))
    found = Row(fault, (Kill("one", "reset-after", "float64"),))
    assert found.survives() == [("reset-before", "float64")]
    assert found.survives(2) == [("reset-before", "float64"), ("reset-after", "float64")]
    assert found.weakest == 0


def few_cases(tmp_path: Path) -> Path:
    cases = [case for case in Suite.load().cases(["elementary"]) if case.clause in {"update", "go-backwards"}]
    return write_golden(tmp_path / "few", cases)


def test_a_weak_suite_lets_faults_survive(tmp_path: Path) -> None:
    result = gruspec("faults", FAULT, "--golden", few_cases(tmp_path), "--jobs", 1)
    assert result.exit_code == 0, result.output
    survivor = gruspec("faults", "--family", "stateful", "--golden", few_cases(tmp_path / "again"), "--jobs", 1)
    assert survivor.exit_code == 1
    assert "survives in reset-before float32" in survivor.stdout


def test_the_matrix_names_cases_that_catch(tmp_path: Path) -> None:
    document = json.loads(gruspec("faults", FAULT, "--golden", few_cases(tmp_path), "--jobs", 1, "--json").stdout)
    (fault,) = document["faults"]
    assert fault["id"] == FAULT
    assert set(fault["caught"]) == {f"{v}/{d}" for v in CATALOGUE[FAULT].variants for d in CATALOGUE[FAULT].dtypes}
    assert set(document["subset"]) <= {name for names in fault["caught"].values() for name in names}


def test_list_says_what_each_fault_does() -> None:
    result = gruspec("faults", "--list", "--json")
    assert [fault["does"] for fault in json.loads(result.stdout)["faults"]] == [f.does for f in CATALOGUE.values()]
    assert CATALOGUE[FAULT].does in " ".join(gruspec("faults", "--list", FAULT).stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gate-order/kernel-rzz",), "did you mean gate-order/kernel-rzh"),
        (("--family", "gates"), "gates: no such family"),
        (("--subset", "here.json", FAULT), "name no faults"),
    ],
)
def test_wrong_usage_says_what_would_work(arguments: tuple[str, ...], message: str) -> None:
    result = gruspec("faults", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_subset_is_not_replaced_unasked(tmp_path: Path) -> None:
    target = tmp_path / "subset.json"
    target.write_text("mine")
    result = gruspec("faults", "--subset", target)
    assert (result.exit_code, target.read_text()) == (2, "mine")
    assert "--force" in result.stderr
