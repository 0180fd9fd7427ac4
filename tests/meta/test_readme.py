"""The README's commands are those that CI and nox run, and its figures do not outlive the data."""

from __future__ import annotations

import re
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
    for session in ("parity", "tests", "lint", "typing", "wheel", "golden", "framework"):
        assert re.search(rf"^def {session}\(session: nox\.Session", noxfile, re.MULTILINE), session


def test_number_of_cases_is_about_right() -> None:
    (claimed,) = re.findall(r"about (\d+) cases", README)
    assert abs(int(claimed) - len(Suite.load())) < 50


def test_files_that_are_linked_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
