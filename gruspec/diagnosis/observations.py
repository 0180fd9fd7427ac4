"""What an implementation did, beside what it would have done with faults planted in the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import judged_outputs
from gruspec.conformance import CaseFinished, judge
from gruspec.diagnosis.trial import tried
from gruspec.faults import FaultyBackend, traits
from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from gruspec.cases import Case
    from gruspec.conformance import Event
    from gruspec.conformance.replies import Reply
    from gruspec.faults import Fault

    Outputs = Mapping[str, NDArray[Any]]

FAILING = ("fail", "error", "xfail")
"""Statuses of a case in which an implementation differs from the specification."""

SLACK = 4.0
"""How many bounds apart two implementations of one wrong GRU may be: bounds are those of the right one."""

_LEAST_KAPPA = 8.0
"""A wrong value has an error even where the right one is exact: so many roundings of the largest in its array."""


_EVERYTHING = FaultyBackend().capabilities()


@dataclass(frozen=True)
class Observation:
    """What an implementation computed in one case and dtype, and whether it differs from the specification."""

    case: Case
    dtype: str
    outputs: Outputs
    failing: bool

    @cached_property
    def traits(self) -> frozenset[str]:
        """What there is to observe."""
        return traits(self.case)

    @cached_property
    def cost(self) -> int:
        """About how long it takes to run the case."""
        return sum(array.size for array in self.case.arrays().values())


class Observed:
    """Collects observations of implementations from what a run gives.

    Parameters
    ----------
    cases
        Those that are run.
    """

    def __init__(self, cases: Iterable[Case]) -> None:
        self._cases = {case.id: case for case in cases}
        self.by_implementation: dict[str, list[Observation]] = {}

    def add(self, event: Event) -> None:
        """Take a case, unless the implementation did not support it; other events say nothing."""
        if not isinstance(event, CaseFinished):
            return
        found = self.by_implementation.setdefault(event.implementation, [])
        if event.status != "unsupported":
            found.append(Observation(self._cases[event.id], event.dtype, event.outputs, event.status in FAILING))


class Predictions:
    """What the reference computes with faults planted in it; each case is run once for the faults that show in it.

    They may serve several diagnoses.
    """

    def __init__(self) -> None:
        self._backends: dict[tuple[str, ...], FaultyBackend] = {}
        self._replies: dict[tuple[tuple[str, ...], str, str], Reply] = {}

    def residual(self, faults: tuple[Fault, ...], observation: Observation) -> float:
        """Return how far an observation is from what faults would have computed, in bounds.

        Infinite where the two differ in kind: one refuses, another shape, or only one of them fails.
        """
        case, dtype = observation.case, observation.dtype
        showing = tuple(fault for fault in faults if fault.shows_in(observation.traits))
        if not showing:
            return float("inf") if observation.failing else 0.0
        reply = self.reply(showing, case, dtype)
        apart = distance(case, dtype, observation.outputs, reply.outputs)
        if apart > SLACK:
            return apart
        failing = judge(case, reply, _EVERYTHING, dtype=dtype, device="cpu").status in FAILING
        return apart if failing == observation.failing else float("inf")

    def reply(self, faults: tuple[Fault, ...], case: Case, dtype: str) -> Reply:
        """Return what the reference does in a case with these faults in it."""
        names = tuple(fault.id for fault in faults)
        key = (names, case.id, dtype)
        if key not in self._replies:
            if names not in self._backends:
                self._backends[names] = FaultyBackend(*faults)
            self._replies[key] = tried(self._backends[names], case, dtype)
        return self._replies[key]


def distance(case: Case, dtype: str, one: Outputs, other: Outputs) -> float:
    """Return the largest difference between what two implementations computed, in bounds; infinite if in kind."""
    largest = 0.0
    unit = FORMATS[dtype].unit_roundoff
    for call, name, expected in judged_outputs(case):
        left, right = one.get(f"{call}/{name}"), other.get(f"{call}/{name}")
        if left is None or right is None:
            if left is not right:
                return float("inf")
            continue
        if left.shape != right.shape or left.dtype != right.dtype:
            return float("inf")
        a, b = left.astype(np.float64), right.astype(np.float64)
        size = max((float(each.max()) for each in map(_magnitudes, (a, b)) if each.size), default=0.0)
        bound = max(_LEAST_KAPPA * size, float(expected.kappa.max(initial=0))) * unit
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            apart = np.where(same, 0.0, np.abs(a - b) / bound)
        apart[np.isnan(apart)] = np.inf
        largest = max(largest, float(apart.max(initial=0)))
    return largest


def _magnitudes(array: NDArray[np.float64]) -> NDArray[np.float64]:
    finite: NDArray[np.float64] = np.abs(array[np.isfinite(array)])
    return finite
