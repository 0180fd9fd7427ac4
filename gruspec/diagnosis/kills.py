"""The kill matrix: which case of a suite catches which fault, in which dtype."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product, takewhile
from typing import TYPE_CHECKING, NamedTuple

from gruspec.cases import Suite
from gruspec.conformance.pool import unwanted, worker_pool
from gruspec.diagnosis.trial import judged
from gruspec.faults import CATALOGUE, FaultyBackend, traits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from gruspec.cases import Case
    from gruspec.faults import Fault

    Progress = Callable[[str, int, int], None]

CAUGHT = ("fail", "error")


class Kill(NamedTuple):
    """A case that catches a fault in a dtype."""

    case: str
    variant: str
    dtype: str


@dataclass(frozen=True)
class Row:
    """A fault and all that catches it."""

    fault: Fault
    kills: tuple[Kill, ...]

    @cached_property
    def places(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The cases that catch the fault, by each variant and dtype in which it can be observed."""
        return {
            place: tuple(kill.case for kill in self.kills if (kill.variant, kill.dtype) == place)
            for place in product(self.fault.variants, self.fault.dtypes)
        }

    @property
    def weakest(self) -> int:
        """The number of cases that catch it in the variant and dtype where fewest do."""
        return min(map(len, self.places.values()))

    def survives(self, enough: int = 1) -> list[tuple[str, str]]:
        """Return the variants and dtypes in which fewer than ``enough`` cases catch it."""
        return [place for place, cases in self.places.items() if len(cases) < enough]


def kills_of(fault: Fault, cases: Iterable[tuple[Case, frozenset[str]]]) -> Iterator[Kill]:
    """Yield what catches a fault.

    Parameters
    ----------
    fault
        The fault.
    cases
        Each with its traits: those in which the fault cannot show are not run.
    """
    backend = FaultyBackend(fault)
    for case, found in cases:
        if fault.shows_in(found):
            for dtype in case.dtypes:
                if dtype in fault.dtypes and judged(backend, case, dtype).status in CAUGHT:
                    yield Kill(case.id, case.spec.variant, dtype)


def kill_matrix(
    names: Sequence[str], golden: Path | None = None, *, jobs: int = 2, progress: Progress | None = None
) -> Iterator[Row]:
    """Yield a row for each fault of the catalogue that is named, in their order.

    Parameters
    ----------
    names
        Ids of faults.
    golden
        Folder of the suite; by default that of this installation.
    jobs
        Number of processes.
    progress
        Called with a fault, the number of faults done and that of all.

    Raises
    ------
    IntegrityError
        If the suite cannot be read; before any process is started, as an error in its preparation breaks a pool.
    """
    _load(golden)
    with worker_pool(jobs, partial(_load, golden)) as pool:
        rows = [pool.submit(_row, name) for name in names]
        for done, (name, row) in enumerate(zip(names, rows, strict=True), start=1):
            kills = row.result()
            if progress is not None:
                progress(name, done, len(names))
            yield Row(CATALOGUE[name], kills)


_suite: list[tuple[Case, frozenset[str]]] = []
"""The cases and their traits, in each process that runs faults."""


def _load(golden: Path | None) -> None:
    _suite[:] = [(case, traits(case)) for case in Suite.load(golden).cases()]


def _row(name: str) -> tuple[Kill, ...]:
    return tuple(kills_of(CATALOGUE[name], takewhile(lambda _: not unwanted(), _suite)))
