"""The parent's end of the process in which one implementation runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from gruspec.conformance.wire import Frame, read_frame, write_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
_GROUPS = os.name == "posix"
_POLL = 1.0
_GRACE = 5.0
_TAIL_LINES = 12
_TAIL_WIDTH = 200


def environment() -> dict[str, str]:
    """Return the environment of the process: this one, with one thread for every library that computes."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()
    return os.environ | _ONE_THREAD | {"XLA_FLAGS": flags}


class Process:
    """A started ``gruspec.conformance.worker``.

    What it prints is kept in a temporary file. Frames are received in a thread of their own, so that waiting for one
    can end at a deadline on every platform.
    """

    def __init__(self) -> None:
        self._log = cast("BinaryIO", tempfile.TemporaryFile(mode="a+b"))  # noqa: SIM115  lives as long as this
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gruspec.conformance.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(),
            start_new_session=_GROUPS,
        )
        self._defect = ""
        self._killed = False
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        self._receiver = Thread(target=self._receive_all, daemon=True)
        self._receiver.start()

    def _receive_all(self) -> None:
        stream = cast("BinaryIO", self._process.stdout)
        try:
            while (frame := read_frame(stream)) is not None:
                self._frames.put(frame)
        except Exception as error:  # noqa: BLE001  the obituary says it
            self._defect = str(error)
        finally:
            self._frames.put(None)

    def send(self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Send a message. A process that is gone shows when its answer is awaited."""
        try:
            write_frame(cast("BinaryIO", self._process.stdin), header, arrays)
        except (OSError, ValueError):
            return

    def receive(self, timeout: float) -> Frame | None:
        """Return the next message, or None if the process has ended or sent what is none.

        Raises
        ------
        TimeoutError
            If neither happens within ``timeout`` seconds.
        """
        deadline = monotonic() + timeout
        while True:
            left = deadline - monotonic()
            try:
                return self._frames.get(timeout=max(0.0, min(left, _POLL)))
            except Empty:
                if self._process.poll() is not None:
                    return self._last()
                if left <= 0:
                    raise TimeoutError from None

    def _last(self) -> Frame | None:
        """Return what arrived as the process ended; its own children may keep the pipe open after it."""
        try:
            return self._frames.get(timeout=_POLL)
        except Empty:
            return None

    def close(self) -> None:
        """End the requests, and wait for the process to end; kill it, and whatever it leaves behind."""
        self._close_requests()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.kill()

    def kill(self) -> None:
        """End the process at once, with all that it started."""
        if _GROUPS and not self._killed:
            self._killed = True
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._release()

    def _close_requests(self) -> None:
        try:
            cast("BinaryIO", self._process.stdin).close()
        except OSError:
            return

    def _release(self) -> None:
        self._process.wait()
        self._close_requests()
        self._receiver.join(_POLL)
        if not self._receiver.is_alive():
            cast("BinaryIO", self._process.stdout).close()

    def obituary(self) -> str:
        """Return how a process ended: ``"killed by SIGSEGV"`` or ``"exit code 3"``, or what it sent instead."""
        if self._defect:
            return f"it sent what is no message: {self._defect}"
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"

    def tail(self) -> str:
        """Return the last lines that the process printed, indented, after a heading; empty if it printed none."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_LINES * _TAIL_WIDTH * 2))
        lines = [line.rstrip() for line in self._log.read().decode(errors="replace").splitlines()]
        last = [f"  {line[:_TAIL_WIDTH]}" for line in lines if line][-_TAIL_LINES:]
        return "\n".join(["\nlast lines that it printed:", *last]) if last else ""

    def discard_log(self) -> None:
        """Close the file that holds what the process printed."""
        self._log.close()
