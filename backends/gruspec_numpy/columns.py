"""Two orders of an array of timesteps: rows (T, B, n), as layers take and give them, and columns (T, n, B).

The passes work on columns, where the blocks of the gates, and each block, are contiguous at every timestep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

BLOCK = 32768
"""Elements that are transposed at a time, so that both orders of them stay in the cache."""


def turn(source: Array, target: Array) -> None:
    """Write the transpose of each timestep of ``source`` (T, m, n) to ``target`` (T, n, m)."""
    timesteps, m, n = source.shape
    stride = max(1, BLOCK // max(1, m * n))
    for begin in range(0, timesteps, stride):
        part = slice(begin, begin + stride)
        target[part] = source[part].swapaxes(1, 2)


def turned(source: Array) -> Array:
    """Return a new array with the transpose of each timestep: rows from columns, or columns from rows."""
    timesteps, m, n = source.shape
    target = np.empty((timesteps, n, m), source.dtype)
    turn(source, target)
    return target
