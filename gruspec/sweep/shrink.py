"""From a failing case to the simplest one that hypothesis finds to fail too."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import NoSuchExample

from gruspec.conformance.replies import case_message
from gruspec.sweep.elements import simpler_elements
from gruspec.sweep.structure import simpler_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.cases import Case
    from gruspec.sweep.trial import Failure

MOST_ELEMENTS = 600
"""Elements of a case that are simplified one by one; a larger case has to lose some first."""

_DECISIONS = 2**15
_SETTINGS = settings(
    max_examples=100, database=None, deadline=None, derandomize=False, phases=(Phase.generate, Phase.shrink)
)

_decision = st.integers(-_DECISIONS, _DECISIONS)
"""Which simplification to take: 0 the furthest, small numbers lesser ones, and all others none.

Hardly any of these numbers says to simplify, so that cases which differ little from the source come up at random; and
the ends, which hypothesis likes to draw, do not. Shrinking goes towards 0.
"""


class _OutOfTime(BaseException):
    """Ends a search; hypothesis takes no exception of this kind for a result."""


@dataclass(frozen=True)
class Shrunk:
    """The simplest failure that was found, and how many different cases were tried."""

    failure: Failure
    tried: int


def shrunk(case: Case, failure: Callable[[Case], Failure | None], seconds: float) -> Shrunk | None:
    """Return the simplest failure that can be reached from a case, or None if the case itself does not fail again.

    Parameters
    ----------
    case
        The failing case.
    failure
        Tries a case without expected values.
    seconds
        After which the search ends with what it has.
    """
    search = _Search(failure, monotonic() + seconds)
    found = search.failure(case)
    if found is None:
        return None
    while True:
        simpler = search.simplest(found, lambda case, pick: simpler_structure(case, lambda: pick() != 0))
        if sum(array.size for array in simpler.case.arrays().values()) <= MOST_ELEMENTS:
            simpler = search.simplest(simpler, simpler_elements)
        if simpler is found:
            return Shrunk(found, search.tried)
        found = simpler


class _Search:
    """Tries no case twice, and none after the deadline."""

    def __init__(self, failure: Callable[[Case], Failure | None], deadline: float) -> None:
        self._failure = failure
        self._deadline = deadline
        self._known: dict[bytes, Failure | None] = {}

    @property
    def tried(self) -> int:
        return len(self._known)

    def failure(self, case: Case) -> Failure | None:
        digest = _digest(case)
        if digest not in self._known:
            self._known[digest] = self._failure(case)
        return self._known[digest]

    def simplest(self, found: Failure, simplify: Callable[[Case, Callable[[], int]], Case]) -> Failure:
        """Return the simplest failure among simplifications of one, or the same if time is over or there is none."""
        best, source = found, _digest(found.case)

        @st.composite
        def simplified(draw: st.DrawFn) -> Case:
            return simplify(found.case, lambda: draw(_decision))

        def fails(case: Case) -> bool:
            nonlocal best
            if monotonic() > self._deadline:
                raise _OutOfTime
            failure = self.failure(case)
            if failure is not None:
                best = found if _digest(case) == source else failure
            return failure is not None

        with suppress(NoSuchExample, _OutOfTime), _without_traces():
            find(simplified(), fails, settings=_SETTINGS, random=Random(0))  # noqa: S311  nothing is secret here
        return best


@contextmanager
def _without_traces() -> Iterator[None]:
    """Let hypothesis keep what it remembers of this run in a folder that goes away again."""
    with TemporaryDirectory(prefix="gruspec-") as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


def _digest(case: Case) -> bytes:
    """Return what tells cases apart: the layer and what is done with it, without what is expected."""
    header, arrays = case_message(case, [])
    text = json.dumps([header, {name: array.shape for name, array in arrays.items()}])
    return hashlib.sha256(b"".join([text.encode(), *(array.tobytes() for array in arrays.values())])).digest()
