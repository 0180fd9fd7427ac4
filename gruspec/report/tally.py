"""Counts and figures of any number of cases, in little memory."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
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
    from collections.abc import Mapping


@dataclass
class Figures:
    """One implementation in one dtype.

    ``fractions`` has the largest error of each case that passed or failed, as a fraction of its bound.
    """

    counts: Counter[Status] = field(default_factory=Counter)
    fractions: array[float] = field(default_factory=lambda: array("d"))

    @property
    def known(self) -> int:
        """Number of cases that an expected failure speaks for, whether they failed or not."""
        return self.counts["xfail"] + self.counts["xpass"]

    @property
    def worst(self) -> float:
        """The largest error of all."""
        return max(self.fractions, default=0.0)

    @property
    def median(self) -> float:
        """The median over the cases of their largest errors."""
        return median(self.fractions) if self.fractions else 0.0


class Tally:
    """Gathers the events of a run without keeping its cases.

    Attributes
    ----------
    started, finished
        First and last event; ``finished`` is None while the run lasts, and if it was broken off.
    identities, endings
        What each implementation said of itself, and how it ended.
    figures
        By implementation and dtype.
    """

    def __init__(self) -> None:
        self.started: SuiteStarted | None = None
        self.finished: SuiteFinished | None = None
        self.identities: dict[str, ImplementationStarted] = {}
        self.endings: dict[str, ImplementationFinished] = {}
        self.figures: dict[tuple[str, str], Figures] = {}

    def add(self, event: Event) -> None:
        """Take an event."""
        match event:
            case CaseFinished():
                figures = self.figures.setdefault((event.implementation, event.dtype), Figures())
                figures.counts[event.status] += 1
                if event.status in {"pass", "fail"}:
                    figures.fractions.append(event.fraction)
            case SuiteStarted():
                self.started = event
            case ImplementationStarted():
                self.identities[event.implementation] = event
            case ImplementationFinished():
                self.endings[event.implementation] = event
            case SuiteFinished():
                self.finished = event
            case _:
                return

    def of(self, implementation: str) -> Mapping[str, Figures]:
        """Return the figures of an implementation by dtype, in the order of the run."""
        dtypes = self.started.dtypes if self.started else ()
        return {
            dtype: self.figures[implementation, dtype] for dtype in dtypes if (implementation, dtype) in self.figures
        }

    @property
    def unjudged(self) -> list[str]:
        """The implementations that ran to the end without a verdict on any case."""
        return [name for name, end in self.endings.items() if not end.problem and not judged(end.totals)]
