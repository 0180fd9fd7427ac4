"""Certified random cases as a stream: proven in processes of their own, a few ahead of the one that is asked for."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.conformance.pool import worker_pool
from gruspec.errors import CertificationError
from gruspec.generate.random_cases import random_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future, ProcessPoolExecutor

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
    with worker_pool(jobs) as pool:
        yield stream(pool, seed, numbers, ahead)


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
