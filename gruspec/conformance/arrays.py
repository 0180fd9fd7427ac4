"""Named arrays as bytes: safetensors, with bfloat16 as far as ml_dtypes is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from gruspec.errors import IntegrityError, MissingDependency, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool"}

STORABLE = frozenset(_NAMES.values())
"""Names of the dtypes that can be packed."""


def dtype_of(name: str) -> np.dtype[Any]:
    """Return a dtype by name.

    Raises
    ------
    MissingDependency
        If it is bfloat16, and ml_dtypes is not installed.
    """
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError as error:
        raise MissingDependency("bfloat16 arrays need ml_dtypes; pip install ml_dtypes") from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as one safetensors document. Their dtypes must be in :data:`STORABLE`."""
    data: bytes = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    return data


def unpack(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors document, writable.

    Raises
    ------
    IntegrityError
        If it is not one, or holds a dtype in which no result can be.
    MissingDependency
        If it holds bfloat16, and ml_dtypes is not installed.
    """
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise IntegrityError(f"not a safetensors document: {error}") from error
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _NAMES:
            raise IntegrityError(f"{name}: dtype {entry['dtype']}; results have one of {listed(_NAMES)}")
        dtype = dtype_of(_NAMES[entry["dtype"]])
        arrays[name] = np.frombuffer(bytearray(entry["data"]), dtype).reshape(entry["shape"])
    return arrays
