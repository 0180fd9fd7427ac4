"""The golden suite catches faults that its authors did not plant, the bugs of others among them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from outside_faults import FAULTS, unfaulted
from outside_page import COMMAND, PAGE, render

from gruspec.cases import Suite
from gruspec.diagnosis.trial import judged

if TYPE_CHECKING:
    from gruspec.cases import Case

FOLDER = Path(__file__).parent
DTYPES = ("float32", "float64")


@cache
def cases(dtype: str) -> tuple[Case, ...]:
    """Return the golden cases of a dtype, the first of every topic before the second of any."""
    places: Counter[str] = Counter()
    found = []
    for case in Suite.load(None).cases():
        places[case.topic] += 1
        found.append((places[case.topic], case))
    return tuple(case for _, case in sorted(found, key=lambda pair: pair[0]) if dtype in case.dtypes)


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_a_fault_all_that_is_declared_conforms(dtype: str) -> None:
    for case in cases(dtype):
        verdict = judged(unfaulted(), case, dtype)
        assert verdict.status == ("pass" if case.settings is None else "unsupported"), (case.id, verdict.message)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FAULTS)
def test_is_caught(name: str, dtype: str) -> None:
    backend = FAULTS[name].backend()
    assert any(judged(backend, case, dtype).status == "fail" for case in cases(dtype)), FAULTS[name].does


def test_they_are_forty_one_and_many_of_them_happened() -> None:
    assert len(FAULTS) == 41
    assert sum(bool(fault.reports) for fault in FAULTS.values()) >= 15
    assert len({fault.does for fault in FAULTS.values()} - {""}) == 41


def test_each_report_is_cited_once_by_repository_number_and_title() -> None:
    reports = [report for fault in FAULTS.values() for report in fault.reports]
    assert len({report.reference for report in reports}) == len(reports)
    for report in reports:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", report.reference), report
        assert report.title


def test_what_reports_say_stands_beside_them() -> None:
    said = [fault.says for fault in FAULTS.values() if fault.says]
    assert [bool(fault.says) for fault in FAULTS.values()] == [bool(fault.reports) for fault in FAULTS.values()]
    assert len(set(said)) == len(said)


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), f"run: {COMMAND}"


def test_page_has_every_fault_and_report_once() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(FAULTS)
    assert sum(row.count("https://github.com/") for row in rows) == sum(len(fault.reports) for fault in FAULTS.values())
    assert sum("| survived |" in row for row in rows) == 11


@pytest.mark.parametrize("path", sorted(FOLDER.glob("outside_*.py")), ids=lambda path: path.stem)
def test_knows_the_public_protocol_only(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    own = {name for name in imported if name.split(".")[0] == "gruspec"}
    assert own <= {"gruspec.backend", "gruspec.errors", "gruspec.spec"}


def check(backend: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gruspec", "check", backend, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_line_accepts_it_without_a_fault() -> None:
    done = check("outside_faults:unfaulted", FOLDER, "--topic", "common")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "topic"), [("EveryStepFromTheStart", "elementary"), ("MasksOfTheFirstCall", "dropout")]
)
def test_the_command_line_refuses_it_with_one(name: str, topic: str, tmp_path: Path) -> None:
    lines = ["import sys", f"sys.path.append({str(FOLDER)!r})"]
    lines += ["from outside_faults import FAULTS", f"backend = FAULTS[{name!r}].backend"]
    (tmp_path / "planted_outside.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = check("planted_outside:backend", tmp_path, "--topic", topic)
    assert done.returncode == 1, done.stdout + done.stderr
