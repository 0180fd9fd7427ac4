"""Which faults of the catalogue, planted together, do what an implementation does.

Few observations tell faults apart: the cheapest ones with each trait, failing and passing. On these every single fault
is tried. Where none explains everything, pairs are: the best single faults with every other one, for where one of a
pair shows alone it explains what is seen; or, if that leads nowhere, all pairs that show in the same observations. To
the best of them further faults are added as long as that explains more. What remains is weighed on all observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice, takewhile
from typing import TYPE_CHECKING, Any

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

_GLANCE = 12
"""Failing observations of which a fault must explain one to be taken for one of several."""

_PROBES = 3
"""Failing observations on which several faults together are tried before they are screened."""

_BEAM = 5
"""Single faults to which every other is added."""

_SCREENED = 40
"""Sets of faults that are screened at a time."""

MOST_FAULTS = 6
"""Largest number of faults that are planted together."""

LEAST_SHARE = 0.5
"""An explanation of less is no more than the nearest."""

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

    @property
    def is_named(self) -> bool:
        """Whether the best explanation says enough to be called what the implementation does."""
        return self.best is not None and self.best.share >= LEAST_SHARE


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
    ranked = search.ranked()
    if not ranked or not ranked[0].explained:
        return Diagnosis(len(observations), len(failing))
    best, *others = ranked
    equal = [other for other in others if _order(other)[:2] == _order(best)[:2]][:ALTERNATIVES]
    rest = [other for other in others if other not in equal and other.explained]
    best, *equal = sorted((search.weighed(each.faults) for each in [best, *equal]), key=_order)
    same = [other for other in equal if other.unexplained == best.unexplained]
    rest = [*(other for other in equal if other not in same), *rest][:ALTERNATIVES]
    return Diagnosis(len(observations), len(failing), best, tuple(same), tuple(rest))


def _order(explanation: Explanation) -> tuple[float, int, float]:
    return -explanation.share, len(explanation.faults), explanation.residual


def _consistency(explanation: Explanation) -> tuple[int, int]:
    """Order explanations of a part: one of several faults contradicts nothing that passes."""
    return explanation.contradicted, -explanation.explained


class _Search:
    """The search for faults that explain observations.

    Sets of failing observations are numbers, one bit for each observation, the cheapest first.
    """

    def __init__(
        self, observations: Sequence[Observation], predictions: Predictions, progress: Progress | None
    ) -> None:
        self._all = observations
        self._screen = list(_screen(observations))
        self._failing = [observation for observation in self._screen if observation.failing]
        self._predictions = predictions
        self._residuals: dict[tuple[Faults, int], float] = {}
        self._progress = progress
        self._shows = {
            fault: sum(1 << i for i, seen in enumerate(self._failing) if fault.shows_in(seen.traits))
            for fault in CATALOGUE.values()
        }

    def ranked(self) -> list[Explanation]:
        """Return candidates, the best first, as weighed on the screened observations."""
        everything = (1 << len(self._failing)) - 1
        found = self._screened(self._promising(((fault,) for fault in self._counted("single faults")), everything))
        best = min(found.values(), key=_order, default=None)
        if best is None or not best.is_whole:
            found |= self._screened([(fault,) for fault in self._counted("parts") if self._is_plausible(fault)])
            candidates: list[Faults] = []
            for (fault,) in self._counted(
                "pairs", sorted(found, key=lambda faults: _consistency(found[faults]))[:_BEAM]
            ):
                pairs = ((fault, other) for other in self._shows)
                candidates += self._promising(pairs, self._unexplained((fault,)))
            found |= self._screened(candidates or self._promising(self._alike(), everything))
            best = min(found.values(), key=_order, default=None)
        while best is not None and not best.is_whole and len(best.faults) < MOST_FAULTS:
            larger = [(*best.faults, other) for other in self._counted("further faults") if other not in best.faults]
            candidates = self._promising(larger, self._unexplained(best.faults))
            found |= self._screened(candidates)
            better = min(found.values(), key=_order)
            if better is best:
                break
            best = better
        return sorted(found.values(), key=_order)

    def _screened(self, candidates: Iterable[Faults]) -> dict[Faults, Explanation]:
        return {faults: self._weighed(faults, self._screen) for faults in candidates}

    def weighed(self, faults: Faults) -> Explanation:
        """Return an explanation weighed on all observations."""
        return self._weighed(faults, self._all)

    def _counted(self, what: str, items: Iterable[Any] | None = None) -> Iterator[Any]:
        """Yield items, by default all faults, and show how many are done."""
        listed = list(self._shows if items is None else items)
        for done, item in enumerate(listed, start=1):
            yield item
            if self._progress is not None:
                self._progress(what, done, len(listed))

    def _is_plausible(self, fault: Fault) -> bool:
        """Return whether a fault by itself explains one of some failing observations."""
        showing = list(self._of(self._shows[fault]))
        some = showing[:: -(-len(showing) // _GLANCE) or 1]
        return any(self._explains((fault,), observation) for observation in some)

    def _alike(self) -> Iterator[Faults]:
        """Yield the pairs of which neither shows anywhere by itself: they show in the same observations."""
        groups: dict[int, list[Fault]] = {}
        for fault, showing in self._shows.items():
            if showing:
                groups.setdefault(showing, []).append(fault)
        for group in self._counted("pairs that show alike", groups.values()):
            yield from combinations(group, 2)

    def _promising(self, candidates: Iterable[Faults], left: int) -> list[Faults]:
        """Return those that explain most of a few cheap observations among ``left`` in which all of them show.

        The first that a candidate does not explain is enough to leave it.
        """
        promising: dict[Faults, int] = {}
        for candidate in candidates:
            faults = _ordered(candidate)
            if faults in promising or len(set(faults)) < len(faults):
                continue
            among = left
            for fault in faults:
                among &= self._shows[fault]
            tried = islice(self._of(among or left & self._shows[candidate[-1]]), _PROBES)
            count = sum(1 for _ in takewhile(partial(self._explains, faults), tried))
            if count:
                promising[faults] = count
        return sorted(promising, key=lambda faults: -promising[faults])[:_SCREENED]

    def _unexplained(self, faults: Faults) -> int:
        return sum(1 << i for i, seen in enumerate(self._failing) if not self._explains(faults, seen))

    def _of(self, chosen: int) -> Iterator[Observation]:
        return (observation for i, observation in enumerate(self._failing) if chosen >> i & 1)

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


_PLACES = {fault: place for place, fault in enumerate(CATALOGUE.values())}


def _ordered(faults: Faults) -> Faults:
    """Return faults in the order of the catalogue, in which they are planted."""
    return tuple(sorted(faults, key=_PLACES.__getitem__))


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
