"""Random cases made to be judged in a half precision: short, narrow, and with numbers that the format has.

In bfloat16 a layer of everyday size has bounds of more than a quarter after seven timesteps, and is not judged. So
the axes of drawn cases are cut to what the format leaves room for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.cases import Call
from gruspec.conformance.arrays import dtype_of
from gruspec.generate.flags import observed_flags
from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gruspec.cases import Case, Operation
    from gruspec.spec import GRUSpec

    Array = NDArray[Any]
    Cut = Callable[[Array], Array]


class Room(NamedTuple):
    """The most timesteps and units of a case."""

    timesteps: int
    units: int


ROOM = {"float16": Room(64, 32), "bfloat16": Room(7, 4)}


def fitted(case: Case, dtype: str) -> Case:
    """Return a case without expected values, cut to the room that a half precision has and rounded to its numbers.

    Numbers that are subnormal in the format become zero. What overflows in it becomes infinite, so that the case is
    refused when it is certified.
    """
    room = ROOM[dtype]
    units = min(room.units, case.spec.units)
    rounded, narrow = partial(_rounded, dtype=dtype), partial(_cut, axis=-1, most=units)
    blocks = partial(_cut_blocks, units=units)
    weights = {name: blocks(array) for name, array in case.weights.items()}
    weights["recurrent_kernel"] = _cut(weights["recurrent_kernel"], 0, units)
    weights = {name: rounded(array) for name, array in weights.items()}
    operations = tuple(_fitted(case.spec, call, room.timesteps, narrow, rounded) for call in case.calls)
    spec = replace(case.spec, units=units)
    told = set(observed_flags(case.spec, case.weights, case.calls))
    flags = [flag for flag in case.flags if flag not in told]
    return replace(
        case,
        flags=(*flags, *observed_flags(spec, weights, operations)),
        spec=spec,
        weights=weights,
        calls=operations,
    )


def _fitted(spec: GRUSpec, operation: Operation, timesteps: int, narrow: Cut, rounded: Cut) -> Operation:
    if not isinstance(operation, Call):
        return replace(operation, states=_each(operation.states, narrow, rounded))
    short = partial(_cut, axis=0 if spec.time_major else 1, most=timesteps)
    dropout: Mapping[str, tuple[Cut, ...]] = {"inputs": (rounded,), "recurrent": (narrow, rounded)}
    cotangents = {"outputs": (short, narrow, rounded) if spec.return_sequences else (narrow, rounded)}
    cotangents["state"] = (narrow, rounded)
    return replace(
        operation,
        inputs=_each(operation.inputs, short, rounded),
        mask=_each(operation.mask, short),
        initial_state=_each(operation.initial_state, narrow, rounded),
        dropout_masks=_each_of(operation.dropout_masks, dropout),
        cotangents=_each_of(operation.cotangents, cotangents),
    )


def _each(array: Any, *changes: Cut) -> Any:
    for change in changes:
        array = None if array is None else change(array)
    return array


def _each_of(arrays: Mapping[str, Array] | None, changes: Mapping[str, tuple[Cut, ...]]) -> dict[str, Array] | None:
    return None if arrays is None else {name: _each(array, *changes[name]) for name, array in arrays.items()}


def _cut(array: Array, axis: int, most: int) -> Array:
    return np.take(array, range(min(most, array.shape[axis])), axis)


def _cut_blocks(array: Array, units: int) -> Array:
    """Return the first columns of each of the three gates."""
    gates = array.reshape(*array.shape[:-1], 3, -1)
    return _cut(gates, -1, units).reshape(*array.shape[:-1], -1)


@np.errstate(over="ignore")
def _rounded(array: Array, dtype: str) -> Array:
    nearest = array.astype(dtype_of(dtype)).astype(np.float64)
    return np.where(np.abs(nearest) < FORMATS[dtype].smallest_normal, 0.0, nearest)
