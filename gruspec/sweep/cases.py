"""Certified random cases as a stream: proven in processes of their own, a few ahead of the one that is asked for."""

from __future__ import annotations

import signal
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

from gruspec.errors import CertificationError
from gruspec.generate.random_cases import random_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from gruspec.cases import Case


@dataclass(frozen=True)
class Numbered:
    """Case ``k`` of a seed; None if it could not be certified."""

    k: int
    case: Case | None


@contextmanager
def certified_cases(seed: int, numbers: Iterable[int], *, jobs: int, ahead: int) -> Iterator[Iterator[Numbered]]:
    """Certify cases of a seed while those before them are used.

    Parameters
    ----------
    seed
        Of the cases.
    numbers
        Which of them, in the order in which they come out; may have no end.
    jobs
        Number of processes.
    ahead
        How many cases may be under way or wait to be used: what bounds the memory.

    Yields
    ------
    Iterator[Numbered]
        The cases, as long as the context lasts.
    """
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        yield stream(pool, seed, numbers, ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stream(pool: ProcessPoolExecutor, seed: int, numbers: Iterable[int], ahead: int) -> Iterator[Numbered]:
    """Yield cases in order, with no more than ``ahead`` of them under way or waiting."""
    waiting: deque[Future[Numbered]] = deque()
    for k in numbers:
        waiting.append(pool.submit(_numbered, seed, k))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _numbered(seed: int, k: int) -> Numbered:
    try:
        return Numbered(k, random_case(seed, k))
    except CertificationError:
        return Numbered(k, None)
