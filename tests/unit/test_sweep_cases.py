"""Random cases of a sweep: what they are made of, and that they depend on seed and number alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import regeneration

from gruspec.cases import Call, Suite
from gruspec.conformance import Header, Plan
from gruspec.errors import UsageError
from gruspec.generate.clauses import exercised_clause
from gruspec.generate.edge_values import CORNER
from gruspec.generate.finish import ATTEMPTS
from gruspec.generate.random_cases import drawn_case, random_case
from gruspec.spec.clauses import CLAUSES
from gruspec.sweep.cases import Numbered, certified_cases, stream
from gruspec.sweep.plan import Shard, SweepPlan

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from gruspec.cases import Case

DRAWN = 600


@cache
def drawn() -> tuple[Case, ...]:
    return tuple(drawn_case(11, k) for k in range(DRAWN))


def given(case: Case) -> list[Any]:
    return [array for array in case.arrays().values() if array.dtype == np.float64]


def sizes(case: Case) -> tuple[int, int]:
    """Return the most rows and timesteps of a call."""
    shapes = [call.inputs.shape[:2] for call in case.calls if isinstance(call, Call)]
    first, second = (max(lengths) for lengths in zip(*shapes, strict=True))
    return (second, first) if case.spec.time_major else (first, second)


def plan(**options: Any) -> SweepPlan:
    return SweepPlan(run=Plan(cases=(), header=Header(version="random")), timeout=60, **options)


def test_a_case_is_the_same_in_another_process_and_another_order() -> None:
    code = (
        "import regeneration\nfrom gruspec.generate.random_cases import drawn_case\n"
        "print([regeneration.content(drawn_case(3, k)) for k in (9, 2, 5)])"
    )
    surroundings = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=surroundings)
    contents = {k: regeneration.content(drawn_case(3, k)) for k in (2, 5, 9)}
    assert done.stdout.strip() == str([contents[k] for k in (9, 2, 5)])


def test_nearly_all_cases_are_small_and_some_are_large_or_empty() -> None:
    usual = [case for case in drawn() if max(sizes(case)) <= 16 and case.spec.units <= 16]
    assert 0.93 < len(usual) / DRAWN < 0.99
    assert max(sizes(case)[1] for case in drawn()) > 40
    assert max(case.spec.units for case in drawn()) > 20
    empty = Counter(flag for case in drawn() for flag in case.flags if flag in {"ZeroTimesteps", "EmptyBatch"})
    assert 0 < empty["ZeroTimesteps"] < DRAWN / 20
    assert 0 < empty["EmptyBatch"] < DRAWN / 20


def test_the_whole_option_space_occurs() -> None:
    flags = {flag for case in drawn() for flag in case.flags}
    assert flags >= {"RightPadded", "ArbitraryMask", "AllMaskedRow", "MaskedStart", "Backwards", "TimeMajor"}
    assert flags >= {"Stateful", "ResetStates", "ExplicitState", "Dropout", "DropoutInactive", "Gradient"}
    assert flags >= {"ZeroOutput", "HeldOutput", "InitialState", "StatefulGradient", "UnrollZeroLast"}
    assert {case.clause for case in drawn()} <= set(CLAUSES)
    trained = {call.training for case in drawn() for call in case.calls if isinstance(call, Call)}
    assert trained == {False, True}


def test_edge_values_are_weighted() -> None:
    kinds = Counter[str]()
    for case in drawn():
        arrays = [array for array in given(case) if array.size > 1]
        zero = [array for array in arrays if (array == 0).any()]
        kinds["zero"] += bool(zero)
        kinds["negative zero"] += any(np.signbit(array[array == 0]).any() for array in zero)
        kinds["one"] += any((abs(array) == 1).any() for array in arrays)
        kinds["corner"] += any((abs(array) == CORNER).any() for array in arrays)
        kinds["beside a corner"] += any((abs(abs(array) - CORNER) == 2.0**-22).any() for array in arrays)
        kinds["large"] += any((abs(array) > 8).any() for array in arrays)
        kinds["tiny"] += any(((array != 0) & (abs(array) < 2.0**-30)).any() for array in arrays)
        kinds["repeated"] += any((array == array.flat[0]).all() and array.flat[0] != 0 for array in arrays)
    assert min(kinds.values()) > DRAWN / 100, kinds
    assert kinds["zero"] < DRAWN * 0.7


def test_the_last_attempts_have_no_edge_values() -> None:
    for case in drawn()[:60]:
        last = drawn_case(11, int(case.id.rpartition("-")[2]), ATTEMPTS - 1)
        assert not any((array == CORNER).any() or (array > 4).any() for array in given(last))


def test_every_case_is_given_in_float32() -> None:
    for case in drawn():
        assert all((array.astype(np.float32) == array).all() for array in given(case))


def test_the_clause_is_the_one_that_the_topics_chose() -> None:
    cases = list(Suite.load().cases(("basic", "masking", "stateful", "common")))
    assert len(cases) > 600
    assert [case.id for case in cases if exercised_clause(case.spec, case.calls) != case.clause] == []
    others = {case.clause: case for case in drawn()}
    for clause in ("gradients", "dropout-masks", "zero-timesteps", "empty-batch"):
        assert exercised_clause(others[clause].spec, others[clause].calls) == clause


@pytest.mark.parametrize("start", [0, 5, 6])
def test_shards_are_disjoint_and_complete(start: int) -> None:
    shares = [list(plan(start=start, cases=17, shard=Shard(i, 3)).numbers()) for i in (1, 2, 3)]
    assert sorted(k for share in shares for k in share) == list(range(start, start + 17))
    for i, share in enumerate(shares, start=1):
        endless = plan(start=start, shard=Shard(i, 3)).numbers()
        assert list(islice(endless, len(share))) == share
        assert list(plan(start=share[2] + 1, cases=90, shard=Shard(i, 3)).numbers())[: len(share) - 3] == share[3:]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "a/b", "-1/4", "1/0"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected I/N"):
        Shard.parse(text)


class Later:
    """An executor that does nothing before its result is asked for, and counts what waits."""

    def __init__(self) -> None:
        self.waiting = self.most = 0

    def submit(self, _: Any, __: int, k: int) -> Future[Numbered]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        future = Future[Numbered]()
        future.set_result(Numbered(k, None))
        return future


def test_only_a_few_cases_are_certified_ahead() -> None:
    pool = Later()
    for k, one in zip(range(50), stream(cast("ProcessPoolExecutor", pool), 0, count(), 8), strict=False):
        assert one.k == k
        pool.waiting -= 1
    assert pool.most == 8


def test_cases_are_streamed_in_order() -> None:
    with certified_cases(3, [4, 7, 1], jobs=2, ahead=3) as found:
        for one, k in zip(found, [4, 7, 1], strict=True):
            assert one.k == k
            assert one.case is not None
            assert regeneration.content(one.case) == regeneration.content(random_case(3, k))
