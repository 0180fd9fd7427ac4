"""The golden suite: every case in every dtype in which it is judged, but for cases in which a fault cannot show.

In those it computes bit for bit what the reference computes, as the tests of the catalogue show.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.peer_suites.suite import TestSuite
from gruspec.cases import Suite
from gruspec.diagnosis.kills import CAUGHT
from gruspec.diagnosis.trial import judged
from gruspec.faults import traits

if TYPE_CHECKING:
    from gruspec.cases import Case
    from gruspec.faults import FaultyBackend


def suite() -> TestSuite:
    """Return the golden cases of this installation."""
    golden = Suite.load()
    cases = [(case, traits(case)) for case in golden.cases()]
    tests = {
        f"{case.id} in {dtype}": partial(_check, case, found, dtype) for case, found in cases for dtype in case.dtypes
    }
    return TestSuite("gruspec", "gruspec", golden.version, tests)


def _check(case: Case, found: frozenset[str], dtype: str, backend: FaultyBackend) -> None:
    if backend.faults and not any(fault.shows_in(found) for fault in backend.faults):
        return
    judgement = judged(backend, case, dtype)
    if judgement.status in CAUGHT:
        raise AssertionError(judgement.message)
