"""What implementations did on many cases, in memory that does not grow with their number."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases.model import judged_outputs
from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.cases import Case
    from gruspec.conformance import CaseFinished

BINS_PER_OCTAVE = 32
"""A median is known to within about one per cent."""

OCTAVES = 64
"""Smaller fractions than ``2**-OCTAVES`` count as zero."""

MOST_FAILURES = 5
"""So many failures of an implementation in a dtype are kept in words."""


@dataclass
class Fractions:
    """Errors as fractions of their bounds: their number, the largest, and a histogram over their logarithm."""

    worst: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(OCTAVES * BINS_PER_OCTAVE + 1, np.int64))

    def add(self, fractions: NDArray[np.float64]) -> None:
        """Count fractions, (n,)."""
        last = len(self.counts) - 1
        with np.errstate(divide="ignore"):
            place = np.clip(np.floor(-np.log2(fractions) * BINS_PER_OCTAVE), 0, last).astype(np.int64)
        self.counts += np.bincount(place, minlength=last + 1)
        self.worst = max(self.worst, float(fractions.max(initial=0.0)))

    @property
    def number(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def median(self) -> float:
        """The middle one, as far as the histogram knows it; 0 if there is none."""
        place = int(np.searchsorted(self.counts.cumsum(), self.number / 2))
        return 0.0 if place == len(self.counts) - 1 or not self.number else 2.0 ** (-(place + 0.5) / BINS_PER_OCTAVE)


@dataclass
class Observed:
    """What one implementation did in one dtype."""

    statuses: Counter[str] = field(default_factory=Counter)
    fractions: Fractions = field(default_factory=Fractions)
    failures: list[str] = field(default_factory=list)

    def take(self, case: Case, event: CaseFinished) -> None:
        """Take note of a finished case."""
        self.statuses[event.status] += 1
        if event.status in {"fail", "error"} and len(self.failures) < MOST_FAILURES:
            self.failures.append(f"{event.id}: {event.message.splitlines()[0]}")
        if event.status == "pass":
            self.fractions.add(fractions_of(case, event))

    @property
    def outside(self) -> int:
        """In how many cases something was outside its bound, or went wrong altogether."""
        return self.statuses["fail"] + self.statuses["error"]

    @property
    def known(self) -> int:
        """How many cases fall under a known divergence."""
        return self.statuses["xfail"] + self.statuses["xpass"]

    @property
    def judged(self) -> int:
        """How many cases have a verdict."""
        return self.statuses.total() - self.statuses["unsupported"]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        counts = {str(place): int(self.fractions.counts[place]) for place in np.flatnonzero(self.fractions.counts)}
        return {
            "statuses": dict(self.statuses),
            "worst": self.fractions.worst,
            "counts": counts,
            "failures": self.failures,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Observed:
        """Return what :meth:`to_json` gave."""
        fractions = Fractions(data["worst"])
        for place, count in data["counts"].items():
            fractions.counts[int(place)] = count
        return cls(Counter(data["statuses"]), fractions, data["failures"])


def fractions_of(case: Case, event: CaseFinished) -> NDArray[np.float64]:
    """Return the error of every element that has a bound, as a fraction of it."""
    unit = FORMATS[event.dtype].unit_roundoff
    found = [np.zeros(0)]
    for index, name, expected in judged_outputs(case):
        computed = event.outputs.get(f"{index}/{name}")
        if computed is not None and expected.value is not None:
            rounding = expected.kappa > 0
            value = expected.value[rounding]
            bound = expected.kappa[rounding].astype(np.float64) * unit + np.abs(value) * 2.0**-53
            found.append(np.abs(computed.astype(np.float64)[rounding] - value) / bound)
    return np.concatenate(found)
