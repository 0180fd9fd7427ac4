"""The catalogue of faults: each is what its fields say."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gruspec.cases import Suite
from gruspec.diagnosis.trial import judged, tried
from gruspec.faults import CATALOGUE, TRAITS, Fault, FaultyBackend, traits
from gruspec.faults.fault import BOTH, DTYPES
from gruspec.spec import ACTIVATIONS
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from gruspec.cases import Case
    from gruspec.conformance.replies import Reply

ENOUGH = 2
"""Cases that must catch a fault in each variant and dtype in which it can be observed."""

SPARED = 40
"""Cases outside its region on which a fault is tried."""

NAMES = {name for name in TRAITS if not name.endswith("-<name>")} | {
    f"{role}-{name}" for role in ("candidate", "gates") for name in ACTIVATIONS
}


@cache
def cases() -> tuple[tuple[Case, frozenset[str]], ...]:
    return tuple((case, traits(case)) for case in Suite.load(None).cases())


@cache
def reference(case_id: str, dtype: str) -> Reply:
    (case,) = (case for case, _ in cases() if case.id == case_id)
    return tried(FaultyBackend(), case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_without_a_fault_conforms(dtype: str) -> None:
    statuses = {judged(FaultyBackend(), case, dtype).status for case, _ in cases() if dtype in case.dtypes}
    assert statuses == {"pass"}


def test_every_trait_has_cases() -> None:
    assert NAMES - set().union(*(found for _, found in cases())) == set()


@pytest.mark.parametrize("name", CATALOGUE)
def test_says_where_it_shows_in_known_words(name: str) -> None:
    fault = CATALOGUE[name]
    assert fault.clause in CLAUSES
    assert set("|".join(fault.where).split("|")) - {""} <= NAMES
    assert set(fault.variants) <= set(BOTH)
    assert fault.variants
    assert set(fault.dtypes) <= set(DTYPES)
    assert fault.dtypes


@pytest.mark.parametrize("name", CATALOGUE)
def test_is_caught_by_two_cases_wherever_it_shows(name: str) -> None:
    fault, backend = CATALOGUE[name], FaultyBackend(CATALOGUE[name])
    caught = dict.fromkeys(((variant, dtype) for variant in fault.variants for dtype in fault.dtypes), 0)
    for case, found in cases():
        for dtype in case.dtypes if fault.shows_in(found) else ():
            place = (case.spec.variant, dtype)
            if caught.get(place, ENOUGH) < ENOUGH:
                caught[place] += judged(backend, case, dtype).status == "fail"
    assert min(caught.values()) >= ENOUGH, caught


@pytest.mark.parametrize("name", CATALOGUE)
def test_is_the_reference_everywhere_else(name: str) -> None:
    fault, backend = CATALOGUE[name], FaultyBackend(CATALOGUE[name])
    outside = [case for case, found in cases() if not fault.shows_in(found) and "float64" in case.dtypes]
    for case in outside[:: -(-len(outside) // SPARED) or 1]:
        assert_same(tried(backend, case, "float64"), reference(case.id, "float64"), case.id)


def assert_same(reply: Reply, other: Reply, case_id: str) -> None:
    assert [step.how for step in reply.steps] == [step.how for step in other.steps], case_id
    assert reply.outputs.keys() == other.outputs.keys(), case_id
    for name, array in reply.outputs.items():
        np.testing.assert_array_equal(array, other.outputs[name], err_msg=f"{case_id} {name}")


def test_a_fault_in_an_unknown_seam_is_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_seam"):
        FaultyBackend(replace_seam("no_such_seam"))


def replace_seam(name: str) -> Fault:
    return Fault(id="test/seam", does="nothing", clause="update", definition={name: lambda *_: None})
