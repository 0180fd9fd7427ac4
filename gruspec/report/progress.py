"""Progress on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gruspec.conformance import CaseFinished, CaseStarted, ImplementationFinished, ImplementationStarted, SuiteStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from rich.progress import TaskID

    from gruspec.conformance import Event

    Consumer = Callable[[Event], object]

_EVERY = 20.0
_SHOWN = ("fail", "error", "xpass", "xfail", "unsupported")


class Follower(Protocol):
    """Something that shows events as they come."""

    def add(self, event: Event) -> None:
        """Take an event."""
        ...

    def say(self, text: str) -> None:
        """Show a line of its own, which stays."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def follower() -> Follower:
    """Return what suits the standard error of this process."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    return Bars(console) if console.is_terminal else Lines(console)


def followed(events: Generator[Event, None, None], *consumers: Consumer) -> None:
    """Hand every event to each consumer, and show how far the run is; end the run if that fails."""
    with closing(events), follower() as shown:
        for event in events:
            for consume in consumers:
                consume(event)
            shown.add(event)


def _counts(counted: Counter[str]) -> str:
    return "  ".join(f"{counted[status]} {status}" for status in _SHOWN if counted[status])


class Bars:
    """One bar for each implementation, with its counts and the case that it tries."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TextColumn("{task.fields[current]}", style="dim", markup=False),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._counted: dict[str, Counter[str]] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Show a line above the bars."""
        self._progress.console.print(text, soft_wrap=True)

    def add(self, event: Event) -> None:
        """Take an event; one that begins without a total has no known end."""
        match event:
            case SuiteStarted():
                for name in event.implementations:
                    self._counted[name] = Counter()
                    self._tasks[name] = self._progress.add_task(
                        name, total=event.total or None, start=False, counts="", current="waits"
                    )
            case ImplementationStarted():
                self._progress.start_task(self._tasks[event.implementation])
            case CaseStarted():
                self._progress.update(self._tasks[event.implementation], current=event.id)
            case CaseFinished():
                counted = self._counted[event.implementation]
                counted[event.status] += 1
                self._progress.update(self._tasks[event.implementation], advance=1, counts=_counts(counted))
            case ImplementationFinished():
                self._progress.update(self._tasks[event.implementation], current="cannot run" if event.problem else "")
            case _:
                return


class Lines:
    """A line when an implementation starts and ends, and now and then in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counted: dict[str, Counter[str]] = {}
        self._totals: dict[str, int] = {}
        self._spoken: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def say(self, text: str) -> None:
        """Show a line."""
        self._console.print(text, soft_wrap=True)

    def add(self, event: Event) -> None:
        """Take an event."""
        match event:
            case ImplementationStarted():
                name = event.implementation
                self._counted[name], self._totals[name], self._spoken[name] = Counter(), event.total, monotonic()
                packages = ", ".join(f"{package} {version}" for package, version in event.versions.items())
                versions = f" ({packages})" if packages else ""
                number = f"{event.total} cases x dtypes" if event.total else "cases until time is up"
                self.say(f"{name}: {number}{versions}")
            case CaseFinished():
                name = event.implementation
                self._counted[name][event.status] += 1
                if monotonic() - self._spoken[name] > _EVERY:
                    self._spoken[name] = monotonic()
                    done = self._counted[name].total()
                    of = f"/{self._totals[name]}" if self._totals[name] else ""
                    self.say(f"{name}: {done}{of}  {_counts(self._counted[name])}".rstrip())
            case ImplementationFinished():
                name = event.implementation
                result = _counts(self._counted.get(name, Counter())) or "all pass"
                self.say(f"{name}: {'cannot run' if event.problem else result} ({event.seconds:.1f} s)")
            case _:
                return
