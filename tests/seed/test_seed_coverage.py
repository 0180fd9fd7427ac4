"""The page of coverage is up to date, its lines are those of the seed page, and nothing in it is made up."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import seed_coverage
from golden_exercise import some, topics_that, varied
from page_lines import LINES, NOTE, Key
from seed_coverage import PAGE, defects, main, render
from seed_rows import ROWS, Row

from gruspec import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLES = {"Arguments": "Args", "Call arguments": "Call arguments"}
"""How the docstring of the original heads what the page heads otherwise."""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.load()


def original(module: str, name: str) -> ast.ClassDef:
    """Return the syntax tree of a class of tf_keras, which is not imported."""
    package = find_spec("tf_keras")
    if package is None or package.origin is None:
        pytest.skip("tf_keras is not installed")
    source = (Path(package.origin).parent / "src" / "layers" / "rnn" / module).read_text(encoding="utf-8")
    (found,) = (each for each in ast.parse(source).body if isinstance(each, ast.ClassDef) and each.name == name)
    return found


def described(docstring: str | None, title: str) -> Iterator[str]:
    """Yield the names that a section of a docstring describes."""
    section = re.search(rf"^{title}:\n((?:  .*\n|\n)+)", f"{docstring}\n", re.MULTILINE)
    assert section is not None
    return (found[1] for found in re.finditer(r"^  (\w+): ", section[1], re.MULTILINE))


def methods(found: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    return (each for each in found.body if isinstance(each, ast.FunctionDef))


def test_page_is_up_to_date(suite: Suite) -> None:
    assert PAGE.read_text(encoding="utf-8") == render(suite), f"run: {seed_coverage.COMMAND}"


def test_rows_and_lines_are_sound() -> None:
    assert defects() == []


@pytest.mark.parametrize("section", TITLES)
def test_lines_are_what_the_docstring_of_the_original_describes(section: str) -> None:
    docstring = ast.get_docstring(original("gru_v1.py", "GRU"))
    assert [*LINES[section]] == [*described(docstring, TITLES[section])]


def test_lines_have_every_attribute_of_the_original() -> None:
    attributes = [
        method.name
        for method in methods(original("gru_v1.py", "GRU"))
        if any(isinstance(each, ast.Name) and each.id == "property" for each in method.decorator_list)
    ]
    assert [*LINES["Attributes"]] == sorted([*attributes, "states"])


def test_lines_have_every_error_of_the_original() -> None:
    (reset,) = (each for each in methods(original("base_rnn.py", "RNN")) if each.name == "reset_states")
    assert reset.name in LINES["Methods"]
    docstring = ast.get_docstring(reset)
    assert [*described(docstring, "Args")] == ["states"]
    assert [*described(docstring, "Raises")] == [subject.split()[0] for subject in LINES["Errors"]]


def test_a_line_without_a_row_is_found() -> None:
    without = {key: row for key, row in ROWS.items() if key != Key("argument", "unroll")}
    assert defects(rows=without) == ["Arguments, unroll: Key(kind='argument', name='unroll') is no row"]
    assert defects(lines={**LINES, "Arguments": {**LINES["Arguments"], "seed": ()}}) == ["Arguments, seed: no row"]


def test_a_row_without_a_line_is_found() -> None:
    made_up = Key(NOTE, "made up")
    assert defects(rows={**ROWS, made_up: Row("", ("update",), "none")}) == [f"{made_up}: on no line"]


def test_a_clause_that_does_not_exist_is_found() -> None:
    key = Key("argument", "units")
    assert defects(rows={**ROWS, key: ROWS[key]._replace(clauses=("unit",))}) == [f"{key}: no clause 'unit'"]


def test_golden_cases_outside_the_specification_are_found() -> None:
    key = Key("argument", "units")
    (found,) = defects(rows={**ROWS, key: ROWS[key]._replace(clauses=())})
    assert "outside the specification" in found


def test_a_row_that_no_topic_exercises_is_found(suite: Suite) -> None:
    key = Key("argument", "units")
    with pytest.raises(ValueError, match="no golden case"):
        render(suite, rows={**ROWS, key: ROWS[key]._replace(golden=some(lambda _: False))})


def test_topics_are_found_in_the_cases(suite: Suite) -> None:
    dropped = Suite.from_cases(case for case in suite.cases() if not case.spec.dropout)
    assert topics_that(varied("dropout"), suite)
    assert topics_that(varied("dropout"), dropped) == ()
    single = Suite.from_cases(case for case in suite.cases() if case.spec.units == 3)
    assert topics_that(varied("units"), single) == ()


def test_page_links_to_what_exists() -> None:
    text, headings = PAGE.read_text(encoding="utf-8"), (PAGE.parent / "spec.md").read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", headings, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > len(ROWS)
    for target, _, anchor in (link.partition("#") for link in links):
        assert (PAGE.parent / target).is_file(), target
        assert not anchor or anchor in anchors, anchor


def test_command_tells_a_stale_page_and_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "docs" / "seed-coverage.md"
    page.parent.mkdir()
    monkeypatch.setattr(seed_coverage, "ROOT", tmp_path)
    monkeypatch.setattr(seed_coverage, "PAGE", page)
    assert "not up to date" in str(main([]))
    assert main(["--write"]) is None
    assert main([]) is None
    assert page.read_bytes() == PAGE.read_bytes()
    page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert "not up to date" in str(main([]))
