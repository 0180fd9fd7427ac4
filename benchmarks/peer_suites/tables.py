"""What caught which fault, as tables and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rich.table import Table

from gruspec.faults import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.peer_suites.suite import TestSuite

Caught: TypeAlias = "Mapping[str, Mapping[str, str | None]]"
"""By fault and name of a suite: the test that caught it first, or None."""

FAMOUS = {
    "update and reset gate exchanged in all arrays": "gate-order/all-rzh",
    "recurrent kernel transposed, gate by gate": "layout/recurrent-kernel-transposed",
    "masks ignored": "mask/ignored",
    "recurrent bias of the candidate added outside the reset gate": "bias/candidate-folded",
}
"""Faults that are asked about by name."""


class Row(NamedTuple):
    """How many faults there are, and how many of them each suite catches, by its name."""

    family: str
    faults: int
    caught: dict[str, int]

    def cells(self) -> list[str]:
        """Return the row as texts."""
        return [self.family, str(self.faults), *map(str, self.caught.values())]


def rows(caught: Caught, suites: Sequence[TestSuite]) -> Iterator[Row]:
    """Yield a row for each family, in the order of the catalogue, and one for all."""
    families: dict[str, list[str]] = {}
    for fault in caught:
        families.setdefault(CATALOGUE[fault].family, []).append(fault)
    for family, faults in [*families.items(), ("all", list(caught))]:
        yield Row(
            family,
            len(faults),
            {suite.name: sum(caught[fault][suite.name] is not None for fault in faults) for suite in suites},
        )


def famous_rows(caught: Caught, suites: Sequence[TestSuite]) -> Iterator[list[str]]:
    """Yield a row of texts for each famous fault that was tried: who caught it."""
    for words, fault in FAMOUS.items():
        if fault in caught:
            yield [words, *("caught" if caught[fault][suite.name] else "survives" for suite in suites)]


def console_tables(caught: Caught, suites: Sequence[TestSuite]) -> Iterator[Table]:
    """Yield the tables for a terminal."""
    yield _table(_headings(suites), (row.cells() for row in rows(caught, suites)))
    if famous := list(famous_rows(caught, suites)):
        yield _table(["fault", *_headings(suites)[2:]], famous)


def markdown(caught: Caught, suites: Sequence[TestSuite]) -> str:
    """Return the tables as Markdown."""
    headings = _headings(suites)
    texts = [_markdown(headings, [row.cells() for row in rows(caught, suites)], right=len(headings) - 1)]
    if famous := list(famous_rows(caught, suites)):
        texts.append(_markdown(["fault", *headings[2:]], famous))
    return "\n\n".join(texts)


def document(caught: Caught, suites: Sequence[TestSuite]) -> str:
    """Return everything as JSON."""
    about = {
        suite.name: {"version": suite.version, "tests": len(suite.tests), "left_out": dict(suite.left_out)}
        for suite in suites
    }
    return json.dumps({"suites": about, "caught_by": caught}, indent=2)


def _headings(suites: Sequence[TestSuite]) -> list[str]:
    return ["family", "faults", *(suite.heading for suite in suites)]


def _table(headings: Sequence[str], lines: Iterator[list[str]] | list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    for line in lines:
        table.add_row(*line, style="bold" if line[0] == "all" else "")
    return table


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]], *, right: int = 0) -> str:
    """Return a table whose last ``right`` columns are numbers."""
    rule = ["---"] * (len(headings) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *lines))
