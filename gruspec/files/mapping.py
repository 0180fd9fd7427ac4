"""Files in memory by mapping: arrays that are views of a file, so that none has to fit into memory."""

from __future__ import annotations

import math
import mmap
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MOST_AXES = 32
"""How many axes an array can have in every release of NumPy."""


class MappedFile:
    """A file mapped for reading.

    Parameters
    ----------
    path
        A file that is not empty.

    Raises
    ------
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            self._memory = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._memory)

    def bytes(self, start: int, length: int) -> bytes:
        """Return a copy of some bytes; fewer where the file ends before."""
        return self._memory[start : start + length]

    def view(self, start: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, order: str = "C") -> NDArray[Any]:
        """Return a read-only array in the file. It keeps the mapping alive.

        Raises
        ------
        FileError
            If it would reach beyond the end of the file.
        """
        length = byte_count(shape, dtype)
        if start < 0 or start + length > len(self):
            raise FileError(
                f"{self.path}: {length} bytes at offset {start} reach beyond the end of the file at {len(self)}"
            )
        values: NDArray[Any] = (
            np.frombuffer(self._memory, dtype, math.prod(shape), start) if length else np.empty(0, dtype)
        )
        values = values.reshape(shape, order="F" if order == "F" else "C")
        values.flags.writeable = False
        return values

    def close(self) -> None:
        """Give the mapping back, or leave that to the last array that is a view of it."""
        with suppress(BufferError):
            self._memory.close()


def byte_count(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return how many bytes an array has.

    >>> byte_count((2, 3), np.dtype("float32"))
    24
    """
    return math.prod(shape) * dtype.itemsize


def possible_shape(shape: object, itemsize: int) -> bool:
    """Return whether something read from a file is a shape that an array can have, whatever its size in bytes.

    >>> possible_shape([2, 3], 4), possible_shape([-1], 4), possible_shape([0, 2**63], 4), possible_shape([True], 4)
    (True, False, False, False)
    """
    return (
        isinstance(shape, list | tuple)
        and len(shape) <= MOST_AXES
        and all(type(length) is int and length >= 0 for length in shape)
        and math.prod(max(1, length) for length in shape) * max(1, itemsize) < 2**63
    )
