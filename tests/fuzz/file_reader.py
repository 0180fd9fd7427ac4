"""The parent's side of a process that reads files: it is started, asked, and ended where it crashes or hangs."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_START_SECONDS = 120.0
"""For the first file, with which frameworks are imported."""

_TOLD = 2000
"""How much of what a process has written on standard error is told, in bytes."""

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Answer:
    """What came of reading a file: an outcome of :mod:`file_reading`, ``"crash"`` or ``"hang"``; bytes of memory."""

    outcome: str
    detail: str
    memory: int = 0


class Reader:
    """A process that reads files of one format; a new one is started after each that has ended.

    Parameters
    ----------
    name
        Of the format.
    whole
        Undamaged files, which every new process reads first.
    seconds
        For one file.
    """

    def __init__(self, name: str, whole: list[Path], seconds: float) -> None:
        self._name, self._whole, self._seconds = name, whole, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def ask(self, path: Path) -> Answer:
        """Have a file read. A hang must show twice, the second time in a new process."""
        found = self._asked(path)
        if found.outcome == "hang":
            found = self._asked(path)
        return found

    def _asked(self, path: Path) -> Answer:
        if self._process is None:
            self._process = self._started()
            for whole in [*self._whole, *self._whole]:
                answer = self._exchange(whole, _START_SECONDS, whole=True)
                if answer.outcome != "read":
                    raise RuntimeError(f"{whole} is whole: {answer}")
        return self._exchange(path, self._seconds, whole=False)

    def end(self) -> None:
        """End the process, and those that it has started."""
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        if self._errors is not None:
            self._errors.close()

    def _started(self) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as errors:
            self._errors = os.fdopen(os.dup(errors.fileno()), "rb")
            return subprocess.Popen(
                [sys.executable, str(_HERE / "file_reading.py"), self._name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def _exchange(self, path: Path, seconds: float, *, whole: bool) -> Answer:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("no process")
        try:
            process.stdin.write(json.dumps([str(path), whole]).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return self._crashed(process)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                self.end()
                return Answer("hang", f"no answer within {seconds:g} s")
        line = process.stdout.readline()
        if not line:
            return self._crashed(process)
        return Answer(**json.loads(line))

    def _crashed(self, process: subprocess.Popen[bytes]) -> Answer:
        code = process.wait()
        said = b""
        if self._errors is not None:
            self._errors.seek(0)
            said = self._errors.read()[-_TOLD:]
        self.end()
        return Answer("crash", f"the process ended with {code}: {said.decode(errors='replace')}")
