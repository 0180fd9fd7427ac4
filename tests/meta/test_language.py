"""What the code and the texts cite exists: clauses of the specification, cases and flags of the golden data."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gruspec.backend import Registry
from gruspec.cases import Suite
from gruspec.conformance import Expectations, file_stem
from gruspec.errors import UsageError
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("gruspec", "backends") for path in (ROOT / folder).rglob("*.py"))
TEXTS = sorted(path for pattern in ("*.md", "docs/**/*.md", "golden/*.md") for path in ROOT.glob(pattern))
EXPECTATIONS = sorted((ROOT / "expectations").glob("*.toml"))
CODE = re.compile(r"^ *```.*?^ *```$|^ *>>> [^\n]*$|``.*?``|`[^`]*`", re.MULTILINE | re.DOTALL)
CITATION = re.compile(r"(?<![\w\[])\[([a-z]+(?:-[a-z]+)*(?:, [a-z]+(?:-[a-z]+)*)*)\](?![(\[\]])")


def cited(text: str) -> set[str]:
    """Return what a text cites in square brackets; brackets of code, of subscripts and of links are others."""
    return {name for names in CITATION.findall(CODE.sub("", text)) for name in names.split(", ")}


def docstrings(source: str) -> Iterator[str]:
    """Yield the texts that stand alone in a module: of itself, its classes and functions, and below its constants."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def cited_by_module(path: Path) -> set[str]:
    return {name for text in docstrings(path.read_text(encoding="utf-8")) for name in cited(text)}


def test_citations_are_told_from_other_brackets() -> None:
    assert cited("Zero is held [mask-output, zero-output].") == {"mask-output", "zero-output"}
    assert cited("`[code]`, a [link](there), gruspec[torch], [0, 1], [[table]]") == set()
    assert cited(">>> [reset]\nand [no-such-clause].") == {"no-such-clause"}
    assert list(docstrings('"""One."""\nx = "[two]"\n"""Three."""')) == ["One.", "Three."]


def test_modules_cite_clauses_that_exist() -> None:
    wrong = {path.name: names for path in MODULES if (names := cited_by_module(path) - set(CLAUSES))}
    assert not wrong


def test_most_of_what_is_citable_is_cited_by_a_module() -> None:
    assert len(set().union(*map(cited_by_module, MODULES))) > len(CLAUSES) / 2


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_cite_clauses_that_exist(path: Path) -> None:
    assert cited(path.read_text(encoding="utf-8")) <= set(CLAUSES)


def test_cases_test_clauses_that_exist() -> None:
    assert {case.clause for case in Suite.load().cases()} <= set(CLAUSES)


@pytest.mark.parametrize("path", EXPECTATIONS, ids=lambda path: path.stem)
def test_expectations_name_what_exists(path: Path) -> None:
    assert path.stem in {file_stem(name) for name in Registry().names()}
    expected = Expectations.load(path)
    expected.check(Suite.load().cases())
    assert {entry.clause for entry in expected.entries} - {None} <= set(CLAUSES)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('id = "elementary/no-such-case"\nclause = "bias"', "no-such-case.*no case is selected"),
        ('flag = "NoSuchFlag"\nclause = "bias"', "NoSuchFlag.*no case is selected"),
        ('flag = "Backwards"\nclause = "no-such-clause"', "no-such-clause"),
    ],
)
def test_expectations_that_name_nothing_are_noticed(entry: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "numpy.toml"
    path.write_text(f'[[expected]]\n{entry}\nreason = "a reason"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        Expectations.load(path).check(Suite.load().cases())
