"""An implementation under test, kept running in a process of its own through whatever it does."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gruspec.backend import Capabilities
from gruspec.conformance.process import Process
from gruspec.conformance.replies import Reply, case_message
from gruspec.errors import DeviceUnavailable, MissingDependency, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gruspec.backend import Registration
    from gruspec.cases.model import Case
    from gruspec.conformance.wire import Frame

TIMEOUT = 300.0
"""Seconds that an implementation may take for one case in one dtype."""

_LOADING_TIMEOUT = 600.0

MOST_DEATHS = 5
"""After so many cases in a row that ended the process, the remaining ones are not tried."""

_ENVIRONMENT = {cls.__name__: cls for cls in (MissingDependency, DeviceUnavailable, PluginError)}


@dataclass(frozen=True)
class Identity:
    """What an implementation says of itself; ``capabilities`` is None where nothing is declared."""

    capabilities: Capabilities | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


class Subject(Protocol):
    """Something that answers cases: a running implementation, or a file of its results.

    ``restarts`` counts how often its process was started again.
    """

    name: str
    restarts: int

    def open(self) -> Identity:
        """Start.

        Raises
        ------
        MissingDependency, DeviceUnavailable, PluginError
            If it cannot run here.
        """
        ...

    def perform(self, case: Case, dtypes: Sequence[str]) -> Iterator[tuple[str, Reply | None]]:
        """Run a case; yield each dtype with None when it starts and with the reply when it has ended."""
        ...

    def close(self, *, at_once: bool = False) -> None:
        """Stop; ``at_once`` from any thread, in the middle of a case."""
        ...


class Implementation:
    """A registered implementation in its own process, which is started again after a case that ended it.

    Parameters
    ----------
    registration
        Where it comes from.
    device
        What it must run on.
    timeout
        Seconds for one case in one dtype.
    """

    def __init__(self, registration: Registration, *, device: str = "cpu", timeout: float = TIMEOUT) -> None:
        self.name = registration.name
        self.restarts = 0
        self._setup: dict[str, Any] = {
            "kind": "setup",
            "name": registration.name,
            "reference": registration.reference,
            "distribution": registration.distribution,
            "device": device,
        }
        self._timeout = timeout
        self._process: Process | None = None
        self._proven = False
        self._deaths = 0
        self._closed = False

    def open(self) -> Identity:
        """Start the process and load the implementation in it.

        Raises
        ------
        MissingDependency, DeviceUnavailable, PluginError
            If that is not possible; the message says what would help.
        """
        return self._start()[1]

    def _start(self) -> tuple[Process, Identity]:
        self._process = process = Process()
        self._proven = False
        if self._closed:
            process.kill()
        process.send(self._setup | {"path": sys.path})
        frame, end = self._await(process, _LOADING_TIMEOUT)
        if frame is None:
            self._bury(process)
            raise PluginError(f"{self.name}: its process ended while loading: {end}")
        self._refuse_environment(frame)
        declared: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in frame.header["capabilities"].items()
        }
        return process, Identity(Capabilities(**declared), frame.header["versions"])

    def perform(self, case: Case, dtypes: Sequence[str]) -> Iterator[tuple[str, Reply | None]]:
        """Run a case in each dtype, through crashes.

        Raises
        ------
        MissingDependency, DeviceUnavailable, PluginError
            If the implementation cannot run here after all, or its process ends before it tries anything.
        """
        left = list(dtypes)
        while left and not self._closed:
            if self._deaths >= MOST_DEATHS:
                crash = f"not tried: {MOST_DEATHS} cases in a row ended the process of {self.name}"
                yield from ((dtype, Reply(crash=crash)) for dtype in left)
                return
            process = self._process
            if process is None:
                self.restarts += 1
                process, _ = self._start()
            yield from self._attempt(process, case, left)

    def _attempt(self, process: Process, case: Case, left: list[str]) -> Iterator[tuple[str, Reply | None]]:
        """Send a case to a running process; remove from ``left`` each dtype that is settled."""
        process.send(*case_message(case, left))
        trying = None
        while left:
            frame, end = self._await(process, self._timeout)
            if frame is None:
                self._bury(process)
                if trying is not None:
                    left.remove(trying)
                    self._deaths += 1
                    yield trying, Reply(crash=end)
                elif not self._proven and not self._closed:
                    raise PluginError(f"{self.name}: its process ended before it tried a case: {end}")
                return
            self._refuse_environment(frame)
            dtype = frame.header["dtype"]
            self._proven = True
            if frame.header["kind"] == "started":
                trying = dtype
                yield dtype, None
            else:
                trying = None
                left.remove(dtype)
                self._deaths = 0
                yield dtype, Reply.from_message(frame.header, frame.arrays)

    def _await(self, process: Process, timeout: float) -> tuple[Frame | None, str]:
        """Return the next message, or None and how the process ended."""
        try:
            frame = process.receive(timeout)
        except TimeoutError:
            process.kill()
            return None, f"no answer within {timeout:g} s{process.tail()}"
        return (frame, "") if frame is not None else (None, process.obituary() + process.tail())

    def _bury(self, process: Process) -> None:
        process.kill()
        process.discard_log()
        self._process = None

    def _refuse_environment(self, frame: Frame) -> None:
        if frame.header["kind"] == "environment":
            raise _ENVIRONMENT.get(frame.header["class"], PluginError)(frame.header["message"])

    def close(self, *, at_once: bool = False) -> None:
        """Stop the process; ``at_once`` from any thread, in the middle of a case."""
        self._closed = True
        process = self._process
        if process is None:
            return
        if at_once:
            process.kill()
            return
        process.close()
        process.discard_log()
        self._process = None
