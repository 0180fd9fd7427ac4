"""Each row of the seed page holds on the NumPy layer, and its test notices a fault in just that part."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

import argument_faults
import attribute_faults
import call_faults
import note_faults
import pytest
from fault_kinds import called, constructed
from page_lines import ARGUMENT, ATTRIBUTE, CALL_ARGUMENT, ERROR, METHOD, NOTE, Key
from seed_rows import ROWS, check_name

from gruspec_numpy import GRU

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fault_kinds import Fault
    from layers_under_test import LayerClass

FAULTS: Mapping[Key, Mapping[str, Fault]] = {
    Key(kind, name): faults
    for kind, of_kind in {
        ARGUMENT: argument_faults.FAULTS,
        CALL_ARGUMENT: call_faults.CALL_FAULTS,
        ATTRIBUTE: attribute_faults.FAULTS,
        METHOD: call_faults.METHOD_FAULTS,
        ERROR: call_faults.ERROR_FAULTS,
        NOTE: note_faults.FAULTS,
    }.items()
    for name, faults in of_kind.items()
}


def check_of(key: Key) -> Callable[[LayerClass], None]:
    """Return the check of a row."""
    module, function = check_name(key)
    check: Callable[[LayerClass], None] = getattr(import_module(module), function)
    return check


def notices(key: Key, gru: LayerClass) -> bool:
    """Return whether a row's check fails, by an assertion and nothing else."""
    try:
        check_of(key)(gru)
    except (AssertionError, pytest.fail.Exception):
        return True
    return False


def shown(value: object) -> str:
    """Return the words of a test's id."""
    return " ".join(value) if isinstance(value, Key) else str(value)


@pytest.mark.parametrize("key", ROWS, ids=shown)
def test_row_holds(key: Key) -> None:
    check_of(key)(GRU)


@pytest.mark.parametrize(
    ("key", "fault"), [(key, fault) for key, faults in FAULTS.items() for fault in faults], ids=shown
)
def test_row_notices_a_fault(key: Key, fault: str) -> None:
    assert notices(key, FAULTS[key][fault](GRU))


@pytest.mark.parametrize("key", ROWS, ids=shown)
def test_row_holds_where_what_is_planted_is_no_fault(key: Key) -> None:
    harmless = called(lambda _layer, _arguments: None)(constructed(lambda _arguments: None)(GRU))
    assert not notices(key, harmless)


def test_every_row_has_faults_and_every_fault_a_row() -> None:
    assert set(FAULTS) == set(ROWS)
    assert all(FAULTS.values())


def test_every_check_is_of_a_row() -> None:
    named = [check_name(key) for key in ROWS]
    modules = {module for module, _ in named}
    checks = {
        (module, name)
        for module in modules
        for name, function in inspect.getmembers(import_module(module), inspect.isfunction)
        if function.__module__ == module and not name.startswith("_")
    }
    assert len(set(named)) == len(named), "two rows have one check"
    assert checks == set(named)
