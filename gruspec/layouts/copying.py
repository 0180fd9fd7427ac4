"""Copies between arrays whose memory runs along different axes, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_TILE = 256
_PADDED = _TILE + 16
"""Rows of the scratch are this long, so that its columns do not fall into the same lines of a cache."""


def copy(target: NDArray[Any], source: NDArray[Any]) -> None:
    """Copy every value of ``source`` into ``target``, of the same shape; dtypes may differ, equal ones keep every bit.

    Where the memory of both runs along different axes, plain assignment reads or writes one element per line of the
    cache. A tile that fits into the cache is read along the one and written along the other.
    """
    if not _crossed(target, source):
        target[...] = source
        return
    scratch = np.empty((_TILE, _PADDED), target.dtype)
    down = _runs_down(source)
    for rows in _slices(target.shape[0]):
        for columns in _slices(target.shape[1]):
            read, write = source[rows, columns], target[rows, columns]
            tile = scratch[: read.shape[1], : read.shape[0]].T if down else scratch[: read.shape[0], : read.shape[1]]
            tile[...] = read
            write[...] = tile


def _crossed(target: NDArray[Any], source: NDArray[Any]) -> bool:
    return target.ndim == 2 and min(target.shape) >= _TILE // 4 and _runs_down(target) != _runs_down(source)


def _runs_down(matrix: NDArray[Any]) -> bool:
    """Whether memory runs along the first axis."""
    return abs(matrix.strides[0]) < abs(matrix.strides[1])


def _slices(length: int) -> Iterator[slice]:
    return (slice(start, start + _TILE) for start in range(0, length, _TILE))
