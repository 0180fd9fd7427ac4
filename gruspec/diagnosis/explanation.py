"""Which faults of the catalogue, planted together, do what an implementation does.

Few observations tell faults apart: the cheapest ones with each trait, failing and passing. On these every single fault
is tried; where none explains everything, pairs are, and to the best of them further faults are added as long as that
explains more. What remains is weighed on all observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from gruspec.diagnosis.observations import SLACK, Predictions
from gruspec.faults import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gruspec.diagnosis.observations import Observation
    from gruspec.faults import Fault

    Faults = tuple[Fault, ...]
    Progress = Callable[[str, int, int], None]

_FOR_EACH_TRAIT = 2
"""Observations, failing and passing ones each, that are screened for each trait."""

_GLANCE = 20
"""Failing observations of which a fault must explain one to be screened."""

_PROBES = 3
"""Failing observations on which pairs are tried before they are screened."""

_BEAM = 24
"""Single faults to which every other is added."""

_SCREENED_PAIRS = 60
"""Pairs that are screened."""

MOST_FAULTS = 6
"""Largest number of faults that are planted together."""

ALTERNATIVES = 3
"""Explanations that are given beside the best."""


@dataclass(frozen=True)
class Explanation:
    """Faults, and how much of what was observed they explain.

    Parameters
    ----------
    faults
        In the order of the catalogue.
    explained
        Number of failing observations in which the implementation does what the faults do.
    failing
        Number of all failing observations.
    contradicted
        Number of passing observations in which the faults would have failed.
    residual
        Largest difference in an explained observation, in bounds.
    unexplained
        Observations, failing and passing, that they do not explain.
    """

    faults: Faults
    explained: int
    failing: int
    contradicted: int
    residual: float
    unexplained: tuple[Observation, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it explains everything."""
        return self.explained == self.failing and not self.contradicted

    @property
    def share(self) -> float:
        """The part of what is to be explained, or contradicts it, that it explains."""
        return self.explained / max(1, self.failing + self.contradicted)


@dataclass(frozen=True)
class Diagnosis:
    """What an implementation does differently.

    Parameters
    ----------
    observations, failing
        Numbers of all observations and of those that differ from the specification.
    best
        The best explanation; None where there is nothing to explain, or the catalogue has nothing like it.
    same
        Explanations that the observations do not tell from the best.
    alternatives
        The next best, as weighed on few observations.
    """

    observations: int
    failing: int
    best: Explanation | None = None
    same: tuple[Explanation, ...] = ()
    alternatives: tuple[Explanation, ...] = ()


def diagnose(
    observations: Sequence[Observation], *, predictions: Predictions | None = None, progress: Progress | None = None
) -> Diagnosis:
    """Say which faults an implementation has.

    Parameters
    ----------
    observations
        Of one implementation.
    predictions
        Of an earlier diagnosis, to be quicker.
    progress
        Called with what is tried, the number of tries done and that of all.
    """
    failing = [observation for observation in observations if observation.failing]
    if not failing:
        return Diagnosis(len(observations), 0)
    search = _Search(observations, predictions or Predictions(), progress)
    best, *others = search.ranked()
    if not best.explained:
        return Diagnosis(len(observations), len(failing))
    equal = [other for other in others if _order(other)[:2] == _order(best)[:2]][:ALTERNATIVES]
    rest = [other for other in others if other not in equal and other.explained][:ALTERNATIVES]
    best, *same = sorted((search.weighed(each.faults) for each in [best, *equal]), key=_order)
    return Diagnosis(len(observations), len(failing), best, tuple(same), tuple(rest))


def _order(explanation: Explanation) -> tuple[float, int, float]:
    return -explanation.share, len(explanation.faults), explanation.residual


class _Search:
    """The search for faults that explain observations."""

    def __init__(
        self, observations: Sequence[Observation], predictions: Predictions, progress: Progress | None
    ) -> None:
        self._all = observations
        self._screen = list(_screen(observations))
        self._failing = [observation for observation in self._screen if observation.failing]
        self._predictions = predictions
        self._residuals: dict[tuple[Faults, int], float] = {}
        self._progress = progress
        self._catalogue = tuple(CATALOGUE.values())

    def ranked(self) -> list[Explanation]:
        """Return candidates, the best first, as weighed on the screened observations."""
        found: dict[Faults, Explanation] = {}
        plausible = [(fault,) for fault in self._catalogue if self._is_plausible(fault)]
        singles = self._screened("single faults", plausible or [(fault,) for fault in self._catalogue])
        found |= singles
        if not any(explanation.is_whole for explanation in found.values()):
            found |= self._screened("pairs", self._pairs(singles))
            best = min(found.values(), key=_order)
            while not best.is_whole and len(best.faults) < MOST_FAULTS:
                found |= self._screened("further faults", list(self._additions(best)))
                better = min(found.values(), key=_order)
                if _order(better) >= _order(best):
                    break
                best = better
        return sorted(found.values(), key=_order)

    def _is_plausible(self, fault: Fault) -> bool:
        """Return whether a fault by itself explains one of some failing observations."""
        showing = [observation for observation in self._failing if fault.shows_in(observation.traits)]
        return any(
            self._explains((fault,), observation) for observation in showing[:: -(-len(showing) // _GLANCE) or 1]
        )

    def weighed(self, faults: Faults) -> Explanation:
        """Return an explanation weighed on all observations."""
        return self._weighed(faults, self._all)

    def _screened(self, what: str, candidates: Sequence[Faults]) -> dict[Faults, Explanation]:
        found = {}
        for done, faults in enumerate(candidates, start=1):
            found[faults] = self._weighed(faults, self._screen)
            if self._progress is not None:
                self._progress(what, done, len(candidates))
        return found

    def _weighed(self, faults: Faults, observations: Sequence[Observation]) -> Explanation:
        residuals = [(observation, self._residual(faults, observation)) for observation in observations]
        unexplained = tuple(observation for observation, residual in residuals if residual > SLACK)
        failing = sum(observation.failing for observation in observations)
        missed = sum(observation.failing for observation in unexplained)
        close = [residual for observation, residual in residuals if residual <= SLACK and observation.failing]
        return Explanation(
            faults, failing - missed, failing, len(unexplained) - missed, max(close, default=0.0), unexplained
        )

    def _explains(self, faults: Faults, observation: Observation) -> bool:
        return self._residual(faults, observation) <= SLACK

    def _residual(self, faults: Faults, observation: Observation) -> float:
        key = (faults, id(observation))
        if key not in self._residuals:
            self._residuals[key] = self._predictions.residual(faults, observation)
        return self._residuals[key]

    def _pairs(self, singles: dict[Faults, Explanation]) -> list[Faults]:
        """Return promising pairs.

        Where some cases show only one fault of a pair, that one stands high among the single faults, and is paired with
        all others. Where none does, all pairs are tried on the cheapest failing observation.
        """
        beam = [explanation.faults for explanation in sorted(singles.values(), key=_order) if explanation.explained]
        promising: dict[Faults, int] = {}
        for (fault,) in beam[:_BEAM]:
            left = [observation for observation in self._failing if not self._explains((fault,), observation)]
            self._probe(((fault, other) for other in self._catalogue if other is not fault), left, promising)
        if not any(count >= _PROBES for count in promising.values()):
            self._probe(combinations(self._catalogue, 2), self._failing, promising)
        best = sorted(promising, key=lambda faults: -promising[faults])
        return best[:_SCREENED_PAIRS]

    def _probe(self, pairs: Iterable[Faults], left: Sequence[Observation], promising: dict[Faults, int]) -> None:
        """Count how many of a few cheap observations each pair explains; the first that it does not is enough."""
        for pair in pairs:
            faults = _ordered(pair)
            if faults in promising:
                continue
            showing = [o for o in left if all(fault.shows_in(o.traits) for fault in faults)][:_PROBES]
            count = 0
            for observation in showing:
                if not self._explains(faults, observation):
                    break
                count += 1
            if count:
                promising[faults] = count

    def _additions(self, best: Explanation) -> Iterator[Faults]:
        for fault in self._catalogue:
            if fault not in best.faults:
                yield _ordered((*best.faults, fault))


def _ordered(faults: Faults) -> Faults:
    places = list(CATALOGUE)
    return tuple(sorted(faults, key=lambda fault: places.index(fault.id)))


def _screen(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Yield the cheapest observations, failing and passing ones, with each trait and of each clause."""
    chosen: dict[int, None] = {}
    cheapest = sorted(range(len(observations)), key=lambda i: observations[i].cost)
    for failing in (True, False):
        counted: dict[str, int] = {}
        for i in cheapest:
            observation = observations[i]
            if observation.failing is failing:
                marks = {*observation.traits, f"clause {observation.case.clause}", f"dtype {observation.dtype}"}
                if any(counted.get(mark, 0) < _FOR_EACH_TRAIT for mark in marks):
                    chosen[i] = None
                    for mark in marks:
                        counted[mark] = counted.get(mark, 0) + 1
    return (observations[i] for i in sorted(chosen, key=lambda i: observations[i].cost))
