"""Run implementations on cases: one iterator of events."""

from __future__ import annotations

import platform
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event as Signal
from time import perf_counter
from typing import TYPE_CHECKING

from gruspec.conformance.events import (
    CaseFinished,
    CaseStarted,
    ImplementationFinished,
    ImplementationStarted,
    SuiteFinished,
    SuiteStarted,
)
from gruspec.conformance.expectations import Expectations
from gruspec.conformance.judge import STATUSES, Judgement, judge
from gruspec.errors import GruspecError, UsageError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from gruspec.cases.model import Case
    from gruspec.conformance.events import Event, Header
    from gruspec.conformance.implementation import Identity, Subject
    from gruspec.conformance.judge import Status
    from gruspec.conformance.replies import Reply

DEFAULT_DTYPES = ("float32", "float64")

CONFORMS, DIFFERS, USAGE, ENVIRONMENT = range(4)
"""Exit codes: all as specified; not; the request cannot mean anything; data or environment are not as needed."""

_SUBNORMAL_FLAG = "Subnormal"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run.

    Parameters
    ----------
    cases
        In the order in which they run.
    header
        Where they come from.
    dtypes
        Each case is run in those of them that it is judged in.
    device
        Where implementations must run.
    expectations
        Expected failures by implementation.
    whole
        Whether the cases are a whole suite, so that an expectation which selects none of them is an error.
    jobs
        How many implementations run at a time.
    left_out
        Why implementations do not take part, by name; passed on to the reports.
    """

    cases: Sequence[Case]
    header: Header
    dtypes: tuple[str, ...] = DEFAULT_DTYPES
    device: str = "cpu"
    expectations: Mapping[str, Expectations] = field(default_factory=dict)
    whole: bool = False
    jobs: int = 2
    left_out: Mapping[str, str] = field(default_factory=dict)

    def dtypes_of(self, case: Case) -> list[str]:
        """Return the dtypes in which a case is run."""
        return [dtype for dtype in self.dtypes if dtype in case.dtypes]

    @property
    def total(self) -> int:
        """Number of cases x dtypes."""
        return sum(len(self.dtypes_of(case)) for case in self.cases)


def run(plan: Plan, subjects: Sequence[Subject]) -> Generator[Event, None, None]:
    """Run implementations on cases.

    Parameters
    ----------
    plan
        The cases and how to run them.
    subjects
        The implementations, or files of their results.

    Yields
    ------
    Event
        One :class:`SuiteStarted`; of each implementation, in order but mixed with those of others, one
        :class:`ImplementationStarted`, its cases, one :class:`ImplementationFinished`; and one
        :class:`SuiteFinished`.

    Raises
    ------
    UsageError
        If nothing is to be run, or, in a whole suite, an expectation selects no case.
    """
    if not plan.total:
        raise UsageError(f"none of the {len(plan.cases)} selected cases is judged in {listed(plan.dtypes)}")
    if plan.whole:
        for subject in subjects:
            plan.expectations.get(subject.name, Expectations()).check(plan.cases)
    begin = perf_counter()
    yield SuiteStarted(
        header=plan.header,
        cases=len(plan.cases),
        total=plan.total,
        dtypes=plan.dtypes,
        device=plan.device,
        implementations=tuple(subject.name for subject in subjects),
        left_out=plan.left_out,
        machine=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )
    finished = []
    for event in _drive_all(plan, subjects):
        if isinstance(event, ImplementationFinished):
            finished.append(event)
        yield event
    yield _conclude(plan, finished, perf_counter() - begin)


def _conclude(plan: Plan, finished: Sequence[ImplementationFinished], seconds: float) -> SuiteFinished:
    totals = _totals(sum((Counter(event.totals) for event in finished), Counter()))
    problems: list[str] = []
    if plan.whole:
        for event in finished:
            if not event.problem and event.implementation in plan.expectations:
                problems += plan.expectations[event.implementation].stale()
    if any(event.problem for event in finished):
        code = ENVIRONMENT
    elif problems:
        code = USAGE
    elif not judged(totals):
        code = ENVIRONMENT
    else:
        code = DIFFERS if totals["fail"] + totals["error"] + totals["xpass"] else CONFORMS
    return SuiteFinished(totals=totals, seconds=seconds, problems=tuple(problems), exit_code=code)


def judged(totals: Mapping[Status, int]) -> int:
    """Return how many cases have a verdict: all but those that are unsupported."""
    return sum(count for status, count in totals.items() if status != "unsupported")


def _totals(counted: Counter[Status]) -> dict[Status, int]:
    return {status: counted[status] for status in STATUSES}


def _drive_all(plan: Plan, subjects: Sequence[Subject]) -> Iterator[Event]:
    """Merge the events of all implementations; stop them all if nobody wants events any more."""
    events: SimpleQueue[Event | BaseException] = SimpleQueue()
    stopped = Signal()

    def drive(subject: Subject) -> None:
        try:
            _Drive(plan, subject, events.put, stopped).go()
        except BaseException as error:  # noqa: BLE001  the consumer's thread raises it again
            events.put(error)

    with ThreadPoolExecutor(max_workers=plan.jobs, thread_name_prefix="gruspec") as pool:
        try:
            for subject in subjects:
                pool.submit(drive, subject)
            left = len(subjects)
            while left:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                left -= isinstance(event, ImplementationFinished)
                yield event
        finally:
            stopped.set()
            for subject in subjects:
                subject.close(at_once=True)


class _Drive:
    """One implementation on its way through the cases."""

    def __init__(self, plan: Plan, subject: Subject, emit: Callable[[Event], None], stopped: Signal) -> None:
        self._plan = plan
        self._subject = subject
        self._emit = emit
        self._stopped = stopped
        self._expectations = plan.expectations.get(subject.name, Expectations())
        self._counted: Counter[Status] = Counter()

    def go(self) -> None:
        begin = perf_counter()
        problem = ""
        try:
            try:
                self._run()
            finally:
                self._subject.close()
        except GruspecError as error:
            problem = str(error)
        except Exception:  # noqa: BLE001  whatever it is, the other implementations go on
            problem = f"{self._subject.name}: unexpected error\n{traceback.format_exc()}"
        self._emit(
            ImplementationFinished(
                implementation=self._subject.name,
                totals=_totals(self._counted),
                seconds=perf_counter() - begin,
                restarts=self._subject.restarts,
                problem=problem,
            )
        )

    def _run(self) -> None:
        if self._stopped.is_set():
            return
        identity = self._subject.open()
        self._emit(
            ImplementationStarted(
                implementation=self._subject.name,
                versions=identity.versions,
                capabilities=identity.capabilities,
                total=self._plan.total,
            )
        )
        for case in self._plan.cases:
            if self._stopped.is_set():
                return
            self._offer(case, identity)

    def _offer(self, case: Case, identity: Identity) -> None:
        dtypes = self._plan.dtypes_of(case)
        capabilities = identity.capabilities
        if capabilities is not None and capabilities.subnormals == "flush" and _SUBNORMAL_FLAG in case.flags:
            for dtype in dtypes:
                self._finish(case, dtype, Judgement("unsupported", "subnormals: flush"))
            return
        for dtype, reply in self._subject.perform(case, dtypes):
            if reply is None:
                self._emit(CaseStarted(implementation=self._subject.name, id=case.id, dtype=dtype))
            else:
                judgement = judge(case, reply, capabilities, dtype=dtype, device=self._plan.device)
                self._finish(case, dtype, judgement, reply)

    def _finish(self, case: Case, dtype: str, judgement: Judgement, reply: Reply | None = None) -> None:
        status, expectation = self._expectations.apply(case, dtype, judgement.status)
        self._counted[status] += 1
        self._emit(
            CaseFinished(
                implementation=self._subject.name,
                id=case.id,
                topic=case.topic,
                clause=case.clause,
                flags=case.flags,
                dtype=dtype,
                status=status,
                message=judgement.message,
                expectation=expectation,
                worst=judgement.worst,
                fraction=judgement.fraction,
                ulp=judgement.ulp,
                elements=judgement.elements,
                judged=judgement.judged,
                seconds=reply.seconds if reply else 0.0,
                paths=reply.paths if reply else (),
                outputs=reply.outputs if reply else {},
            )
        )
