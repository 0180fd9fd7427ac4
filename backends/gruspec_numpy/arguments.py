"""What callers may pass for an array, and how it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.errors import SpecError, SpecTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]


def as_inputs(values: Any, dtype: str) -> Array:
    """Return inputs in ``dtype``.

    Raises
    ------
    SpecTypeError
        If they are not of a floating dtype.
    SpecError
        If they are ragged.
    """
    inputs = _array("inputs", values)
    if inputs.dtype.kind != "f":
        raise SpecTypeError(f"inputs: dtype {inputs.dtype}; expected a floating dtype, which is cast to {dtype}")
    return _cast(inputs, dtype)


def as_real(name: str, values: Any, dtype: str) -> Array:
    """Return a state or weight in ``dtype`` [initial-state].

    Raises
    ------
    SpecError
        If it is of neither a real nor the boolean dtype, or ragged.
    """
    array = _array(name, values)
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{name}: dtype {array.dtype}; expected a real dtype, which is cast to {dtype}")
    return _cast(array, dtype)


def as_mask(values: Any) -> Array:
    """Return a mask as bool; a number counts as True unless it is zero, so NaN does [mask-dtype].

    Raises
    ------
    SpecError
        If its dtype is neither boolean nor real, or it is ragged.
    """
    mask = _array("mask", values)
    if mask.dtype.kind not in "biuf":
        raise SpecError(f"mask: dtype {mask.dtype}; expected bool or a real dtype")
    return mask if mask.dtype.kind == "b" else mask != 0


def _array(name: str, values: Any) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise SpecError(f"{name}: cannot be made an array: {error}") from error


def _cast(array: Array, dtype: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype, copy=False)
