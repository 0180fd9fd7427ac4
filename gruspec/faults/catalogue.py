"""The catalogue: every fault, by id, family after family."""

from __future__ import annotations

from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from gruspec.faults.acceptances import acceptance_faults
from gruspec.faults.activations import activation_faults
from gruspec.faults.biases import bias_faults
from gruspec.faults.directions import direction_faults
from gruspec.faults.dropouts import dropout_faults
from gruspec.faults.gates import gate_faults
from gruspec.faults.gradients import gradient_faults
from gruspec.faults.layouts import layout_faults
from gruspec.faults.masks import mask_faults
from gruspec.faults.penalties import penalty_faults
from gruspec.faults.precisions import precision_faults
from gruspec.faults.resets import reset_faults
from gruspec.faults.results import result_faults
from gruspec.faults.returned_gradients import returned_gradient_faults
from gruspec.faults.sizes import size_faults
from gruspec.faults.slopes import slope_faults
from gruspec.faults.states import state_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.faults.fault import Fault

SOURCES = (
    gate_faults,
    layout_faults,
    bias_faults,
    reset_faults,
    activation_faults,
    mask_faults,
    direction_faults,
    state_faults,
    size_faults,
    result_faults,
    dropout_faults,
    precision_faults,
    gradient_faults,
    slope_faults,
    returned_gradient_faults,
    penalty_faults,
    acceptance_faults,
)

CATALOGUE: Mapping[str, Fault] = MappingProxyType(
    {fault.id: fault for fault in chain.from_iterable(source() for source in SOURCES)}
)
"""Faults by id, in the order of the families."""
