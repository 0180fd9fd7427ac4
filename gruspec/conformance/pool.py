"""Processes that share out work, and end soon and silently where it is broken off."""

from __future__ import annotations

import signal
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from multiprocessing.synchronize import Event
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")


@contextmanager
def worker_pool(jobs: int, prepare: Callable[[], object] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Share out work among processes that are gone when the context ends.

    At its end no further work is begun, and work that asks :func:`unwanted` can leave off; what is under way otherwise
    is waited for.

    Parameters
    ----------
    jobs
        Number of processes.
    prepare
        What each process calls before its first work; travels there by pickle.

    Yields
    ------
    ProcessPoolExecutor
        Takes work with ``submit``. Futures are best left uncancelled: if a process dies, CPython 3.11 trips over those
        that its own ``map`` has cancelled.
    """
    context = get_context("spawn")
    ended = context.Event()
    pool = _Pool(jobs, context, _begin, (ended, prepare))
    try:
        yield pool
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def unwanted() -> bool:
    """Return, in a process of a pool, whether nobody waits for a result any more."""
    return any(event.is_set() for event in _ended)


_ended: list[Event] = []
"""In a process of a pool: set when the context ends."""


class _Pool(ProcessPoolExecutor):
    """Starts its processes so that Ctrl-C does not reach them while they import what they need."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with _interrupts_held():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back; what is started meanwhile inherits that, as POSIX has it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(ended: Event, prepare: Callable[[], object] | None) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _ended[:] = [ended]
    if prepare is not None:
        prepare()
