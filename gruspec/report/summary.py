"""What a run amounts to: the event stream, gathered and grouped. Console and JSON are written from this."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gruspec.conformance import (
    CaseFinished,
    Event,
    ImplementationFinished,
    ImplementationStarted,
    Status,
    SuiteFinished,
    SuiteStarted,
    judged,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gruspec.conformance import Expectation


ELEMENTARY = "elementary"
"""The topic whose cases each need their own clause and none that comes after it."""

_TELLING = 3
_NUMBERS = re.compile(r"[-+.\d]+(e[-+]\d+)?|inf|nan")


@dataclass
class Row:
    """Counts and worst figures of some cases. Expected failures do not count among the worst."""

    counts: Counter[Status] = field(default_factory=Counter)
    fraction: float = 0.0
    ulp: float = 0.0
    seconds: float = 0.0

    def add(self, result: CaseFinished) -> None:
        """Count a case."""
        self.counts[result.status] += 1
        self.seconds += result.seconds
        if result.status != "xfail":
            self.fraction = max(self.fraction, result.fraction)
            self.ulp = max(self.ulp, result.ulp)


@dataclass
class Difference:
    """A clause in which an implementation differs from the specification."""

    clause: str
    failures: list[CaseFinished]
    cases: int

    @property
    def ids(self) -> list[str]:
        """Ids of the failing cases, each once."""
        return list(dict.fromkeys(failure.id for failure in self.failures))

    @property
    def dtypes(self) -> list[str]:
        """Dtypes in which cases fail."""
        return list(dict.fromkeys(failure.dtype for failure in self.failures))

    @property
    def is_elementary(self) -> bool:
        """Whether an elementary case fails, so that clauses after this one may fail because of it."""
        return any(failure.topic == ELEMENTARY for failure in self.failures)

    @property
    def flags(self) -> list[str]:
        """Flags that all failing cases share."""
        first = self.failures[0].flags
        return [flag for flag in first if all(flag in failure.flags for failure in self.failures)]

    def examples(self, number: int) -> list[CaseFinished]:
        """Return failing cases, the first of each kind: numbers aside, the messages of a kind begin equally."""
        kinds: dict[str, CaseFinished] = {}
        for failure in self.failures:
            kinds.setdefault(_NUMBERS.sub("", "\n".join(failure.message.splitlines()[:_TELLING])), failure)
        return list(kinds.values())[:number]


class Summary:
    """Gathers events.

    Parameters
    ----------
    options
        Options of the command line that chose the data, which a run of one of its cases needs again.

    Attributes
    ----------
    started, finished
        First and last event; ``finished`` is None while the run lasts.
    identities, endings
        What each implementation said of itself, and how it ended.
    results
        All settled cases, without the arrays.
    """

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = tuple(options)
        self.started: SuiteStarted | None = None
        self.finished: SuiteFinished | None = None
        self.identities: dict[str, ImplementationStarted] = {}
        self.endings: dict[str, ImplementationFinished] = {}
        self.results: list[CaseFinished] = []

    def add(self, event: Event) -> None:
        """Take an event."""
        match event:
            case CaseFinished():
                self.results.append(dataclasses.replace(event, outputs={}))
            case SuiteStarted():
                self.started = event
            case ImplementationStarted():
                self.identities[event.implementation] = event
            case ImplementationFinished():
                self.endings[event.implementation] = event
            case SuiteFinished():
                self.finished = event

    def of(self, implementation: str) -> list[CaseFinished]:
        """Return the results of one implementation."""
        return [result for result in self.results if result.implementation == implementation]

    def paths(self, implementation: str) -> Counter[str]:
        """Return how many cases of an implementation took each code path that it names."""
        return Counter(path for result in self.of(implementation) for path in result.paths)

    def rows(self, implementation: str) -> dict[str, Row]:
        """Return the figures of one implementation by topic."""
        rows: dict[str, Row] = {}
        for result in self.of(implementation):
            rows.setdefault(result.topic, Row()).add(result)
        return rows

    def differences(self, implementation: str) -> list[Difference]:
        """Return the clauses in which an implementation differs, the one that may explain the others first.

        Clauses in which elementary cases fail come in the order of these cases; then the other clauses, most failing
        cases first.
        """
        failures: dict[str, list[CaseFinished]] = {}
        cases: dict[str, set[str]] = {}
        results = self.of(implementation)
        for result in results:
            if result.status != "unsupported":
                cases.setdefault(result.clause, set()).add(result.id)
            if result.status in {"fail", "error"}:
                failures.setdefault(result.clause, []).append(result)
        found = [Difference(clause, failed, len(cases[clause])) for clause, failed in failures.items()]
        ranks = _elementary_ranks(results)
        return sorted(
            found,
            key=lambda difference: (
                ranks[difference.clause] if difference.is_elementary else len(ranks),
                -len(difference.ids),
            ),
        )

    def expected(self, implementation: str, status: Status) -> dict[Expectation, list[CaseFinished]]:
        """Return the cases of a status, ``xfail`` or ``xpass``, by the entry that expected a failure."""
        found: dict[Expectation, list[CaseFinished]] = {}
        for result in self.of(implementation):
            if result.status == status and result.expectation is not None:
                found.setdefault(result.expectation, []).append(result)
        return found

    def unjudged(self) -> list[str]:
        """Return the implementations that ran to the end without a verdict on any case."""
        return [name for name, end in self.endings.items() if not end.problem and not judged(end.totals)]

    def declined(self, implementation: str) -> Counter[str]:
        """Return how often an implementation declined for each reason; one case can have several."""
        declined = [result for result in self.of(implementation) if result.status == "unsupported"]
        return Counter(reason for result in declined for reason in result.message.split("; "))


def _elementary_ranks(results: Iterable[CaseFinished]) -> dict[str, int]:
    """Return the position of each clause among the elementary cases: the foremost that it has in any variant."""
    clauses: dict[str, dict[str, int]] = {}
    for result in results:
        if result.topic == ELEMENTARY:
            variant, _, _ = result.id.rpartition("/")
            positions = clauses.setdefault(variant, {})
            positions.setdefault(result.clause, len(positions))
    ranks: dict[str, int] = {}
    for positions in clauses.values():
        for clause, position in positions.items():
            ranks[clause] = min(position, ranks.get(clause, position))
    return ranks


def total(rows: Iterable[Row]) -> Row:
    """Return rows taken together."""
    found = Row()
    for row in rows:
        found.counts.update(row.counts)
        found.fraction = max(found.fraction, row.fraction)
        found.ulp = max(found.ulp, row.ulp)
        found.seconds += row.seconds
    return found
