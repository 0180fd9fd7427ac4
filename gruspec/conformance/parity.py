"""Implementations against each other: where two of them computed the same case, their results must agree.

Each result lies within its own bound of the exact one, so two of them differ at most by the sum of their bounds,
whether or not the exact result is known. A pair that both pass the verdict agrees by construction; what parity adds
are cases without expected values, and a direct answer to "may I exchange these two".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.cases.model import judged_outputs
from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gruspec.cases.model import Case, Expected, Floats
    from gruspec.conformance.events import CaseFinished

_LARGEST_SLACK = 0.25
_TWO_HALF_ULPS = 2.0**-52 * (1 + 2.0**-20)
_TINY = 2.0**-1074


class Party(NamedTuple):
    """One side of a comparison."""

    implementation: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.implementation} {self.dtype}"


@dataclass(frozen=True)
class Disagreement:
    """Where two results of a case differ by more than ``bound``; ``message`` says what no figures can."""

    id: str
    clause: str
    call: int
    output: str
    index: tuple[int, ...] = ()
    left: float = 0.0
    right: float = 0.0
    bound: float = 0.0
    fraction: float = float("inf")
    message: str = ""


@dataclass
class Comparison:
    """Two parties over all cases that both computed.

    ``known`` disagreements are on cases that one of the two is expected to fail.
    """

    left: Party
    right: Party
    compared: int = 0
    known: int = 0
    worst: float = 0.0
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def agreeing(self) -> int:
        """Number of cases without a disagreement."""
        return self.compared - self.known - len(self.disagreements)


@dataclass(frozen=True)
class Failure:
    """An implementation that failed ``cases`` which it should have computed; ``message`` is of the first."""

    implementation: str
    cases: int
    message: str


def compare(results: Iterable[CaseFinished], cases: Sequence[Case]) -> list[Comparison]:
    """Compare every two implementations in each dtype, and each implementation with itself across dtypes.

    Parameters
    ----------
    results
        From a run of ``cases``.
    cases
        For their bounds.
    """
    parties: dict[Party, dict[str, CaseFinished]] = {}
    for result in results:
        parties.setdefault(Party(result.implementation, result.dtype), {})[result.id] = result
    return [
        _compare_parties(Comparison(left, right), parties[left], parties[right], cases)
        for left, right in combinations(sorted(parties), 2)
        if left.dtype == right.dtype or left.implementation == right.implementation
    ]


def failures(results: Iterable[CaseFinished], cases: Sequence[Case]) -> list[Failure]:
    """Return which implementations failed cases without computing what could be compared, unless that is expected.

    Parameters
    ----------
    results
        From a run of ``cases``.
    cases
        For what they return.
    """
    known = {case.id: case for case in cases}
    failed: dict[str, list[CaseFinished]] = {}
    for result in results:
        case = known[result.id]
        if result.status in {"fail", "error"} and any(judged_outputs(case)) and not _computed(case, result):
            failed.setdefault(result.implementation, []).append(result)
    return [Failure(name, len(found), found[0].message) for name, found in sorted(failed.items())]


def _compare_parties(
    comparison: Comparison, left: dict[str, CaseFinished], right: dict[str, CaseFinished], cases: Sequence[Case]
) -> Comparison:
    for case in cases:
        one, other = left.get(case.id), right.get(case.id)
        if one is None or other is None or not (_computed(case, one) and _computed(case, other)):
            continue
        comparison.compared += 1
        worst, found = _compare_case(case, one, other)
        if found is None:
            comparison.worst = max(comparison.worst, worst)
        elif "xfail" in {one.status, other.status}:
            comparison.known += 1
        else:
            comparison.worst = max(comparison.worst, found.fraction)
            comparison.disagreements.append(found)
    return comparison


def _computed(case: Case, result: CaseFinished) -> bool:
    """Whether a result has all that the case returns: nothing is to be said of others but the verdict on them."""
    names = {f"{call}/{name}" for call, name, _ in judged_outputs(case)}
    return bool(names) and names <= result.outputs.keys()


def _compare_case(case: Case, one: CaseFinished, other: CaseFinished) -> tuple[float, Disagreement | None]:
    """Return the largest difference as a fraction of what is allowed, and the first disagreement."""
    largest = 0.0
    for call, name, expected in judged_outputs(case):
        a, b = (result.outputs[f"{call}/{name}"] for result in (one, other))
        if a.shape != b.shape or a.shape != expected.kappa.shape:
            return largest, Disagreement(
                case.id, case.clause, call, name, message=f"shapes {a.shape} and {b.shape}, not {expected.kappa.shape}"
            )
        if not a.size:
            continue
        fraction, bound = _differences(a, b, expected, (one.dtype, other.dtype))
        at = np.unravel_index(int(np.argmax(fraction)), fraction.shape)
        largest = max(largest, float(fraction[at]))
        if fraction[at] > 1:
            index = tuple(int(i) for i in at)
            figures = float(a[at]), float(b[at]), float(bound[at]), float(fraction[at])
            return largest, Disagreement(case.id, case.clause, call, name, index, *figures)
    return largest, None


def _differences(
    a: NDArray[Any], b: NDArray[Any], expected: Expected, dtypes: tuple[str, str]
) -> tuple[Floats, Floats]:
    """Return each difference as a fraction of the sum of the two bounds, and that sum."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    kappa = expected.kappa.astype(np.float64)
    one, other = (kappa * FORMATS[dtype].unit_roundoff for dtype in dtypes)
    slack = np.maximum(one, other)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        size = np.abs(left if expected.value is None else expected.value)
        if expected.value is None:
            size = np.maximum(size, np.abs(right)) + slack
        bound = one + other + _TWO_HALF_ULPS * size + _TINY
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        apart = np.abs(left - right) / bound
        judged = (slack <= _LARGEST_SLACK * np.maximum(1.0, size)) | ~np.isfinite(size)
    fraction = np.where(same, 0.0, np.where(kappa == 0, np.inf, apart))
    fraction[np.isnan(fraction)] = np.inf
    return np.where(judged, fraction, 0.0), np.where(kappa == 0, 0.0, bound)
