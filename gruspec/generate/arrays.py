"""The arrays of an operation by name, changed one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gruspec.cases import ResetStates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gruspec.cases import Operation

    Change = Callable[[str, NDArray[Any]], NDArray[Any]]


def changed(operation: Operation, change: Change) -> Operation:
    """Return an operation with each of its arrays changed, and without expected values.

    Parameters
    ----------
    operation
        A call or a reset.
    change
        Gives the new array for a name and an array. Names are ``states`` of a reset; ``inputs``, ``mask``,
        ``initial_state``, ``dropout_masks/<kind>``, ``cotangents/outputs`` and ``cotangents/state`` of a call.
    """

    def one(name: str, array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else change(name, array)

    def several(prefix: str, arrays: Mapping[str, NDArray[Any]] | None) -> dict[str, NDArray[Any]] | None:
        return None if arrays is None else {name: change(f"{prefix}/{name}", array) for name, array in arrays.items()}

    if isinstance(operation, ResetStates):
        return replace(operation, states=one("states", operation.states))
    return replace(
        operation,
        inputs=change("inputs", operation.inputs),
        mask=one("mask", operation.mask),
        initial_state=one("initial_state", operation.initial_state),
        dropout_masks=several("dropout_masks", operation.dropout_masks),
        cotangents=several("cotangents", operation.cotangents),
        expected={},
    )
