"""The catalogue: every fault, by id, family after family."""

from __future__ import annotations

from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from gruspec.faults.gates import gate_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.faults.fault import Fault

SOURCES = (gate_faults,)

CATALOGUE: Mapping[str, Fault] = MappingProxyType(
    {fault.id: fault for fault in chain.from_iterable(source() for source in SOURCES)}
)
"""Faults by id, in the order of the families."""
