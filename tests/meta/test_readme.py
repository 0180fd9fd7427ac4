"""The README's commands are those that CI and nox run, and its figures do not outlive the data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gruspec import Suite

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = "python -m pip install nox && nox -s tests lint typing"
PARITY_COMMAND = "python -m pip install nox && nox -s parity"


def commands() -> set[str]:
    """Return every line of the README's code blocks."""
    blocks = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return {line for block in blocks for line in block.splitlines()}


def test_both_commands_stand_as_they_must_be_typed() -> None:
    assert {TEST_COMMAND, PARITY_COMMAND} <= commands()


def test_ci_calls_the_test_command_and_no_other_session() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "nox -s" in line] == [TEST_COMMAND]


def test_sessions_exist() -> None:
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = "parity tests lint typing wheel golden framework seed_layer peers weights fuzz"
    for session in sessions.split():
        assert re.search(rf"^def {session}\(session: nox\.Session", noxfile, re.MULTILINE), session


def test_number_of_cases_is_about_right() -> None:
    (claimed,) = re.findall(r"about (\d+) cases", README)
    assert abs(int(claimed) - len(Suite.load())) < 50


def settled(line: str) -> str:
    """Return a line of a report without what depends on the machine: times, and errors inside the bounds."""
    row = re.match(r"(\S+)? +[a-z]+( +[\d·]+){3}", line)
    return row[0] if row else re.sub(r" in [0-9.]+ s$", "", line)


def test_sample_is_what_the_command_prints(tmp_path: Path) -> None:
    source = (ROOT / "tests/third_party/slow_gru.py").read_text(encoding="utf-8")
    right, wrong = "else y), np.where(now, new, h)", "else h), np.where(now, new, h)"
    assert source.count(right) == 1
    (tmp_path / "my_gru.py").write_text(source.replace(right, wrong), encoding="utf-8")
    command = [sys.executable, "-m", "gruspec", "check", "my_gru:backend"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    (sample,) = re.findall(r"^```\n(implementation .*?)^```", README, re.DOTALL | re.MULTILINE)
    shown = [settled(line) for line in sample.splitlines() if line.strip() != "..."]
    assert [line for line in shown if line not in map(settled, done.stdout.splitlines())] == []


def test_files_that_are_linked_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
