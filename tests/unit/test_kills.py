"""The kill matrix, a small subset, and the command that prints them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sample_suites import write_golden

from gruspec.cases import Suite
from gruspec.cli import main
from gruspec.diagnosis.kills import Kill, Row
from gruspec.diagnosis.subset import small_subset
from gruspec.faults import CATALOGUE, Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAULT = "gate-order/kernel-rzh"


def gruspec(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def row(name: str, **caught: str) -> Row:
    fault = Fault(id=f"test/{name}", does="nothing", clause="update", variants=("reset-after",), dtypes=("float32",))
    return Row(fault, tuple(Kill(case, "reset-after", "float32") for case in caught))


def test_subset_catches_what_all_cases_catch_and_has_no_case_too_many() -> None:
    rows = [row("a", one="", two=""), row("b", two="", three=""), row("c", three="", one=""), row("d", two="")]
    assert small_subset(rows) in (["one", "two"], ["three", "two"])


def test_subset_leaves_out_what_later_choices_make_redundant() -> None:
    rows = [row("a", wide="", left=""), row("b", wide="", left=""), row("c", wide="", right=""), row("d", left="")]
    rows += [row("e", right=""), row("f", wide="", right="")]
    assert small_subset(rows) == ["left", "right"]


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
        (("--subset", "/nonexistent/x.json"), "--subset /nonexistent/x.json: nothing can be written to /nonexistent"),
        (("--force",), "--force is for --subset FILE"),
        (("--list", "--subset", "here.json"), "--list: nothing is run, so that --subset would be ignored"),
        (("--list", "--jobs", "2"), "--list: nothing is run, so that --jobs would be ignored"),
    ],
)
def test_wrong_usage_says_what_would_work(arguments: tuple[str, ...], message: str) -> None:
    result = gruspec("faults", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_subset_is_not_replaced_unasked(tmp_path: Path) -> None:
    target = tmp_path / "subset.json"
    target.write_text("mine", encoding="utf-8")
    result = gruspec("faults", "--subset", target)
    assert (result.exit_code, target.read_text(encoding="utf-8")) == (2, "mine")
    assert "--force" in result.stderr


def test_a_subset_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [row("a", one="", two=""), row("b", two="")]
    monkeypatch.setattr("gruspec.diagnosis.kills.kill_matrix", lambda *_, **__: found)
    target = tmp_path / "subset.json"
    assert gruspec("faults", "--subset", target).exit_code == 0
    assert json.loads(target.read_text(encoding="utf-8")) == {"cases": ["two"]}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("os.fsync", full)
    target.write_text("before", encoding="utf-8")
    assert gruspec("faults", "--subset", target, "--force").exit_code == 3
    assert target.read_text(encoding="utf-8") == "before"


def test_a_suite_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    result = gruspec("faults", FAULT, "--golden", tmp_path, "--jobs", 1)
    assert (result.exit_code, result.stderr) == (3, f"gruspec: {tmp_path / 'manifest.json'}: no such file\n")
    golden = few_cases(tmp_path)
    path = next((golden / "cases").iterdir())
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    result = gruspec("faults", FAULT, "--golden", golden, "--jobs", 1)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"gruspec: {path}: ")


FOLLOWED = """
from gruspec.cli import main
from gruspec.report import steps

steps._EVERY = 0.0
main(["faults"], prog_name="gruspec")
"""
"""``gruspec faults`` with a line for every step."""


def to_all(process: subprocess.Popen[str]) -> None:
    """Interrupt as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


def terminate_all(process: subprocess.Popen[str]) -> None:
    """End a group of processes as ``timeout`` does."""
    os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.parametrize("end", [to_all, terminate_all, subprocess.Popen.terminate])
def test_an_interrupt_ends_the_work_soon_and_silently(end: Callable[[subprocess.Popen[str]], None]) -> None:
    command = [sys.executable, "-c", FOLLOWED]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("1/")
        begin = monotonic()
        end(process)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert [line for line in error.splitlines() if " faults, " not in line] == ["gruspec: interrupted"]
    assert monotonic() - begin < 5
