"""Whether arrays have the same bits, panel by panel: arrays of mapped files never come into memory as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.layouts.copying import copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Values = NDArray[Any]

_PANEL = 1 << 20
"""Values that are compared together."""


def same_values(read: Values, meant: Values) -> bool:
    """Return whether an array has, bit for bit, the values of another after a cast to its dtype.

    Parameters
    ----------
    read, meant
        Of one shape; strides may differ.

    Examples
    --------
    >>> same_values(np.array([0.0, 1.0]), np.array([0.0, 1.0])), same_values(np.array([0.0]), np.array([-0.0]))
    (True, False)
    """
    if read.shape != meant.shape:
        return False
    if read.ndim == 0:
        read, meant = read.reshape(1), meant.reshape(1)
    if read.ndim == 2 and abs(read.strides[0]) < abs(read.strides[1]):
        read, meant = read.T, meant.T
    if read.dtype == meant.dtype and read.flags.c_contiguous and meant.flags.c_contiguous:
        read, meant = read.reshape(-1), meant.reshape(-1)
    return all(_same_panel(read[rows], meant[rows]) for rows in _panels(read))


def _panels(values: Values) -> Iterator[slice]:
    rows = max(1, _PANEL // max(1, values[:1].size))
    return (slice(start, start + rows) for start in range(0, len(values), rows))


def _same_panel(read: Values, meant: Values) -> bool:
    crossed = read.ndim == 2 and abs(meant.strides[0]) < abs(meant.strides[1])
    if crossed or read.dtype != meant.dtype:
        moved = np.empty(read.shape, read.dtype)
        with np.errstate(all="ignore"):
            copy(moved, meant)
        meant = moved
    return np.array_equal(_bits(read), _bits(meant))


def _bits(values: Values) -> Values:
    """Return values as integers, where there are integers as long."""
    if values.dtype.itemsize in (1, 2, 4, 8) and not values.dtype.hasobject:
        return values.view(f"u{values.dtype.itemsize}")
    if values.dtype.itemsize and not values.dtype.hasobject:
        flat = np.ascontiguousarray(values)
        return flat.reshape(-1).view("u1")
    return values
