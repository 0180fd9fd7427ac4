"""Sweep: run implementations on one random case after the other, and shrink what fails.

Cases are run in rounds by the runner of :mod:`gruspec.conformance`; those of the next rounds are certified meanwhile.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, TypeAlias

from gruspec.conformance import (
    CONFORMS,
    DIFFERS,
    ENVIRONMENT,
    CaseFinished,
    Event,
    Expectations,
    Implementation,
    ImplementationFinished,
    ImplementationStarted,
    Judgement,
    SuiteFinished,
    SuiteStarted,
    judged,
    run,
)
from gruspec.errors import GruspecError
from gruspec.sweep.cases import Numbered, certified_cases
from gruspec.sweep.findings import Finding, Noticed
from gruspec.sweep.kept import Kept
from gruspec.sweep.shrink import Shrunk, shrunk
from gruspec.sweep.trial import FAILURES, Failure, Trial

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from gruspec.backend import Registration
    from gruspec.cases import Case
    from gruspec.conformance import Status
    from gruspec.sweep.plan import SweepPlan

    Happening: TypeAlias = Event | Noticed | Finding

ROUND = 16
"""Cases of one round: an implementation that fails is not tried in the next."""

_ROUNDS_AHEAD = 2


@dataclass
class _Course:
    """How one implementation fares."""

    registration: Registration
    subject: Kept
    started: bool = False
    ended: bool = False
    problem: str = ""
    seconds: float = 0.0
    totals: Counter[Status] = field(default_factory=Counter)
    clauses: set[str] = field(default_factory=set)
    versions: Mapping[str, str] = field(default_factory=dict)


class Sweep:
    """A sweep under way.

    Parameters
    ----------
    plan
        What to run.
    registrations
        The implementations.

    Attributes
    ----------
    next
        The first case of the shard that is still to be run: all before it have been run by those implementations
        that could run.
    uncertified
        Numbers of the cases that could not be certified, and were left out.
    """

    def __init__(self, plan: SweepPlan, registrations: Sequence[Registration]) -> None:
        self.plan = plan
        self.next = plan.start
        self.uncertified: list[int] = []
        self._courses = {
            registration.name: _Course(
                registration, Kept(Implementation(registration, device=plan.run.device, timeout=plan.timeout))
            )
            for registration in registrations
        }
        self._opened = False

    def happenings(self) -> Generator[Happening, None, None]:
        """Run.

        Yields
        ------
        Event, Noticed or Finding
            The events of one run over all cases. After each round, of every new failure first that it was noticed and
            then what it was shrunk to.
        """
        begin = perf_counter()
        deadline = None if self.plan.seconds is None else monotonic() + self.plan.seconds
        ahead = ROUND * _ROUNDS_AHEAD
        numbers = self.plan.numbers()
        try:
            with certified_cases(self.plan.seed, numbers, jobs=self.plan.run.jobs, ahead=ahead) as stream:
                while self._active and (deadline is None or monotonic() < deadline):
                    numbered = list(islice(stream, ROUND))
                    if not numbered:
                        break
                    running = self._active
                    yield from self._round(numbered)
                    if not all(course.problem for course in running):
                        self.next = numbered[-1].k + self.plan.shard.of
            for course in self._active:
                yield self._ending(course)
        finally:
            for course in self._courses.values():
                course.subject.end()
        yield self._conclusion(perf_counter() - begin)

    @property
    def _active(self) -> list[_Course]:
        return [course for course in self._courses.values() if not course.ended]

    def _round(self, numbered: Sequence[Numbered]) -> Generator[Happening, None, None]:
        """Run some cases, and shrink what failed in them."""
        self.uncertified += [one.k for one in numbered if one.case is None]
        cases = {one.case.id: (one.k, one.case) for one in numbered if one.case is not None}
        plan = replace(self.plan.run, cases=tuple(case for _, case in cases.values()))
        if not plan.total:
            return
        failures: dict[str, list[CaseFinished]] = {}
        with closing(run(plan, [course.subject for course in self._active])) as events:
            for event in events:
                if isinstance(event, CaseFinished) and event.status in FAILURES:
                    failures.setdefault(event.implementation, []).append(replace(event, outputs={}))
                yield from self._passed_on(event)
        for name, found in failures.items():
            yield from self._followed_up(self._courses[name], found, cases)

    def _passed_on(self, event: Event) -> Generator[Event, None, None]:
        """Yield an event of a round as one of the whole: what begins or ends a round is left out."""
        match event:
            case SuiteStarted():
                if not self._opened:
                    self._opened = True
                    yield replace(event, cases=self.plan.cases or 0, total=self._total)
            case ImplementationStarted():
                course = self._courses[event.implementation]
                course.versions = event.versions
                if not course.started:
                    course.started = True
                    yield replace(event, total=self._total)
            case ImplementationFinished():
                course = self._courses[event.implementation]
                course.seconds += event.seconds
                course.totals.update(event.totals)
                course.problem = event.problem
                if event.problem:
                    yield self._ending(course)
            case SuiteFinished():
                return
            case _:
                yield event

    @property
    def _total(self) -> int:
        """Number of cases x dtypes, 0 if there is no end."""
        if self.plan.cases is None:
            return 0
        return sum(1 for _ in self.plan.numbers()) * len(self.plan.run.dtypes)

    def _ending(self, course: _Course) -> ImplementationFinished:
        course.ended = True
        return ImplementationFinished(
            implementation=course.registration.name,
            totals=dict(course.totals),
            seconds=course.seconds,
            restarts=course.subject.restarts,
            problem=course.problem,
        )

    def _followed_up(
        self, course: _Course, failures: Sequence[CaseFinished], cases: dict[str, tuple[int, Case]]
    ) -> Generator[Happening, None, None]:
        """Shrink the first failure; if the implementation is to go on, the first in each clause that is new."""
        for event in sorted(failures, key=lambda event: cases[event.id][0]):
            if event.clause in course.clauses:
                continue
            course.clauses.add(event.clause)
            k, case = cases[event.id]
            yield Noticed(event.implementation, k, event.dtype)
            yield self._finding(course, k, Failure(case, event.dtype, _judgement(event)))
            if not self.plan.keep_going:
                break
        if not (self.plan.keep_going or course.ended):
            yield self._ending(course)

    def _finding(self, course: _Course, k: int, failure: Failure) -> Finding:
        try:
            found = self._shrunk(course, failure)
        except GruspecError:  # its process could not be started again
            found = None
        return Finding(
            implementation=course.registration.name,
            seed=self.plan.seed,
            k=k,
            original=failure.case,
            failure=failure if found is None else found.failure,
            again=found is not None,
            tried=1 if found is None else found.tried,
            device=self.plan.run.device,
            versions=course.versions,
        )

    def _shrunk(self, course: _Course, failure: Failure) -> Shrunk | None:
        with Trial(
            course.registration,
            dtype=failure.dtype,
            device=self.plan.run.device,
            timeout=self.plan.timeout,
            expectations=self.plan.run.expectations.get(course.registration.name, Expectations()),
        ) as trial:
            return shrunk(failure.case, trial.failure, self.plan.shrink_seconds)

    def _conclusion(self, seconds: float) -> SuiteFinished:
        totals: Counter[Status] = sum((course.totals for course in self._courses.values()), Counter())
        if any(course.problem for course in self._courses.values()) or not judged(totals):
            code = ENVIRONMENT
        else:
            code = DIFFERS if any(totals[status] for status in FAILURES) else CONFORMS
        return SuiteFinished(totals=dict(totals), seconds=seconds, problems=(), exit_code=code)


def _judgement(event: CaseFinished) -> Judgement:
    return Judgement(event.status, event.message, event.worst, event.ulp, event.elements, event.judged)
