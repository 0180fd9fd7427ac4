"""Tensors written into a file one after another, in little memory."""

from __future__ import annotations

import mmap
import tempfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gruspec.files.mapping import byte_count

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import Entry

LARGE = 1 << 27
"""Bytes above which values are made in a mapped file and not in memory."""
_CHUNK = 1 << 18
"""Bytes written together. Linux writes larger pieces into its cache several times as slowly (ext4, measured)."""


class Scratch:
    """Room for values that have to be made before they are written, used again for every tensor.

    Parameters
    ----------
    folder
        Where there is room for a file that has no name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room: NDArray[Any] = np.empty(0, np.uint8)

    def values_of(self, entry: Entry) -> NDArray[Any]:
        """Return the values of a tensor, C-contiguous: where they are already, or in the room until the next call."""
        values = None if entry.view is None else entry.view()
        if values is not None and values.flags.c_contiguous and values.dtype == entry.dtype:
            return values
        length = byte_count(entry.shape, entry.dtype)
        if length > len(self._room):
            self._room = np.empty(0, np.uint8)
            self._room = np.empty(length, np.uint8) if length <= LARGE else self._mapped(length)
        made = self._room[:length].view(entry.dtype).reshape(entry.shape)
        entry.fill(made)
        return made

    def _mapped(self, length: int) -> NDArray[Any]:
        """Return room in a file. Its pages are taken by writing zeros: faster than one by one, and sure to be there."""
        with tempfile.TemporaryFile(dir=self._folder, buffering=0) as stream:
            zeros = np.zeros(min(length, _CHUNK), np.uint8)
            for reached in range(0, length, len(zeros)):
                write_bytes(stream, zeros[: length - reached])
            return np.frombuffer(mmap.mmap(stream.fileno(), length), np.uint8)


def write_bytes(stream: IO[bytes], values: NDArray[Any]) -> None:
    """Write the bytes of a C-contiguous array, chunk by chunk."""
    every = values.reshape(-1).view(np.uint8).data if values.size else b""
    start = 0
    while start < len(every):
        start += stream.write(every[start : start + _CHUNK])
