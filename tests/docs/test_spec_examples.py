"""The normative text runs: its examples hold, its references resolve, and its clauses are the ones reports name."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gruspec.spec.clauses import CLAUSES

SPEC = Path(__file__).parents[2] / "docs" / "spec.md"

WITHOUT_EXAMPLE = {
    "arithmetic-underflow": "a permission to implementations that declare it",
    "reset-states": "the function that the examples call keeps no state",
    "stateful-initial-state": "the function that the examples call keeps no state",
}


class Section(NamedTuple):
    """A clause of the text: what stands between its heading and the next heading."""

    id: str
    title: str
    line: int
    body: str

    def examples(self) -> list[tuple[int, str]]:
        """Return the fenced Python blocks with the line each starts on."""
        return [
            (self.line + self.body.count("\n", 0, block.start()) + 1, block[1])
            for block in re.finditer(r"^```python\n(.*?)^```$", self.body, re.MULTILINE | re.DOTALL)
        ]


def sections(text: str) -> list[Section]:
    """Cut the text at its headings; the text before the first clause has the id ``""``."""
    found, start, heading = [], 0, ("", "")
    for match in [*re.finditer(r"^##+ (?:([a-z-]+) — )?(.+)$", text, re.MULTILINE), None]:
        end = match.start() if match else len(text)
        found.append(Section(*heading, text.count("\n", 0, start) + 1, text[start:end]))
        if match:
            start, heading = match.start(), (match[1] or "", match[2])
    return found


def run_examples(section: Section, names: dict[str, Any]) -> doctest.TestResults:
    """Run the examples of a section in one namespace and return how many ran and failed."""
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    parser = doctest.DocTestParser()
    for line, source in section.examples():
        test = parser.get_doctest(source, names, section.id or "setup", str(SPEC), line)
        test.globs = names
        runner.run(test, clear_globs=False)
    return runner.summarize(verbose=False)


TEXT = SPEC.read_text(encoding="utf-8")
SETUP, *REST = sections(TEXT)
WRITTEN = [section for section in REST if section.id]


def test_headings_and_index_are_equal() -> None:
    assert {section.id: section.title for section in WRITTEN} == dict(CLAUSES)
    assert [section.id for section in WRITTEN] == list(CLAUSES), "an id stands twice, or the order differs"


@pytest.mark.parametrize("section", WRITTEN, ids=lambda section: section.id)
def test_examples_hold(section: Section) -> None:
    names: dict[str, Any] = {}
    with np.errstate(invalid="ignore"):
        assert run_examples(SETUP, names).failed == 0
        ran = run_examples(section, names)
    assert ran.failed == 0, "see the captured output"
    assert (ran.attempted == 0) == (section.id in WITHOUT_EXAMPLE)


def test_every_fence_is_executed_or_plain_text() -> None:
    kinds = re.findall(r"^```(\w+)$", TEXT, re.MULTILINE)
    assert set(kinds) == {"python", "text"}
    assert kinds.count("python") == sum(len(section.examples()) for section in [SETUP, *REST])


def test_references_resolve() -> None:
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    cited = {name for names in re.findall(r"\[([a-z][a-z, -]*)\](?!\()", prose) for name in names.split(", ")}
    assert len(cited) > 10
    assert cited <= set(CLAUSES)


def test_a_wrong_example_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Section("wrong", "Wrong", 1, "```python\n>>> 1 + 1\n3\n\n```\n")
    assert run_examples(wrong, {}) == doctest.TestResults(1, 1)
    assert "Expected:" in capsys.readouterr().out
