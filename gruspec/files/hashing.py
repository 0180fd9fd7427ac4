"""SHA-256 of files, and writing them through to the disk, beside other work."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

_CHUNK = 1 << 20
_PAUSE = 0.002
"""Seconds between looks at a file that grows."""
_THREADS = 3


def files_of(path: Path) -> list[Path]:
    """Return a file, or every file of a folder, in order."""
    return sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]


def digest_of(paths: Sequence[Path], base: Path, stopped: threading.Event | None = None) -> str:
    """Return the SHA-256 of one file; of several, that of the lines ``<SHA-256>  <name>`` that sha256sum would write.

    Parameters
    ----------
    paths
        The files.
    base
        The folder to which the names of several are relative.
    stopped
        Ends the work early, with whatever comes out.
    """
    if len(paths) == 1:
        return _digest(paths[0], stopped)
    lines = (f"{_digest(path, stopped)}  {path.relative_to(base).as_posix()}\n" for path in sorted(paths))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(path: Path, stopped: threading.Event | None, whole: threading.Event | None = None) -> str:
    """Return the SHA-256 of a file; of one that grows until an event is set, where that is given."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        while not (stopped and stopped.is_set()):
            finished = whole is None or whole.is_set()
            length = stream.readinto(buffer)
            if length:
                digest.update(view[:length])
            elif finished:
                break
            elif whole is not None:
                whole.wait(_PAUSE)
    return digest.hexdigest()


def _growing_digest(path: Path, stopped: threading.Event, whole: threading.Event) -> str:
    while not (path.exists() or whole.is_set() or stopped.is_set()):
        whole.wait(_PAUSE)
    return _digest(path, stopped, whole)


class Beside:
    """Work on files in threads; what is not finished when it is left is given up."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="beside")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def digest(self, paths: Sequence[Path], base: Path) -> Future[str]:
        """Start hashing files; see :func:`digest_of`."""
        return self._pool.submit(digest_of, list(paths), base, self._stopped)

    def growing_digest(self, path: Path) -> tuple[Future[str], Callable[[], None]]:
        """Start hashing a file that will be written from its beginning to its end; the function says that it was."""
        whole = threading.Event()
        return self._pool.submit(_growing_digest, path, self._stopped, whole), whole.set

    def synchronise(self, paths: Iterable[Path]) -> None:
        """Start writing files through to the disk, so that less is left to do when they must be there."""
        for path in paths:
            self._pool.submit(_synchronise, path)


def _synchronise(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
