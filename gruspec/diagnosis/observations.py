"""What an implementation did, beside what it would have done with faults planted in the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.cases import judged_outputs
from gruspec.conformance import judge
from gruspec.diagnosis.trial import tried
from gruspec.faults import FaultyBackend, traits
from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.cases import Case
    from gruspec.faults import Fault

    Outputs = Mapping[str, NDArray[Any]]

FAILING = ("fail", "error", "xfail")
"""Statuses of a case in which an implementation differs from the specification."""

SLACK = 4.0
"""How many bounds apart two implementations of one wrong GRU may be: bounds are those of the right one."""

_LEAST_KAPPA = 8.0
"""A wrong value has an error even where the right one is exact."""


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


class Prediction(NamedTuple):
    """What faults would have computed, and whether that would have failed."""

    outputs: Outputs
    failing: bool


class Predictions:
    """What the reference computes with faults planted in it; each case is run once for the faults that show in it."""

    def __init__(self) -> None:
        self._backends: dict[tuple[str, ...], FaultyBackend] = {}
        self._made: dict[tuple[tuple[str, ...], str, str], Prediction] = {}

    def residual(self, faults: tuple[Fault, ...], observation: Observation) -> float:
        """Return how far an observation is from what faults would have computed, in bounds.

        Infinite where the two differ in kind: one refuses, another shape, or only one of them fails.
        """
        showing = tuple(fault for fault in faults if fault.shows_in(observation.traits))
        if not showing:
            return float("inf") if observation.failing else 0.0
        prediction = self._prediction(showing, observation)
        if prediction.failing != observation.failing:
            return float("inf")
        return distance(observation.case, observation.dtype, observation.outputs, prediction.outputs)

    def _prediction(self, faults: tuple[Fault, ...], observation: Observation) -> Prediction:
        names = tuple(fault.id for fault in faults)
        key = (names, observation.case.id, observation.dtype)
        if key not in self._made:
            backend = self._backends.setdefault(names, FaultyBackend(*faults))
            reply = tried(backend, observation.case, observation.dtype)
            verdict = judge(observation.case, reply, backend.capabilities(), dtype=observation.dtype, device="cpu")
            self._made[key] = Prediction(reply.outputs, verdict.status in FAILING)
        return self._made[key]


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
        kappa = max(_LEAST_KAPPA, float(expected.kappa.max(initial=0)))
        with np.errstate(invalid="ignore", over="ignore"):
            same = (a == b) | (np.isnan(a) & np.isnan(b))
            apart = np.where(same, 0.0, np.abs(a - b) / (kappa * unit * np.maximum(1.0, np.abs(b))))
        apart[np.isnan(apart)] = np.inf
        largest = max(largest, float(apart.max(initial=0)))
    return largest
