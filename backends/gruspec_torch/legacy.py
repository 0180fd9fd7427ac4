"""The files that ``torch.save`` wrote before PyTorch 1.6: pickles, then each storage behind its number of elements."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError

from .storages import dtype_named, reference
from .unpickling import unpickled

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gruspec.files.mapping import MappedFile

    from .records import Budget

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_LINE = 4096
_COUNT = struct.Struct("<q")


class LegacyStorages:
    """Storage one after another behind the pickles; always little-endian.

    Parameters
    ----------
    data
        The file.
    places
        First byte and bytes of each.
    """

    def __init__(self, data: MappedFile, places: dict[str, tuple[int, int]]) -> None:
        self._data, self._places = data, places
        self.swapped = sys.byteorder == "big"

    def size(self, key: str, what: str) -> int:
        """Return the bytes of a storage.

        Raises
        ------
        FileError
            If there is none with this key.
        """
        if key not in self._places:
            raise FileError(f"{what} is said to be in storage {key!r}, which there is not")
        return self._places[key][1]

    def array(self, key: str, what: str) -> NDArray[np.uint8]:
        """Return the bytes of a storage, a view of the file."""
        self.size(key, what)
        start, length = self._places[key]
        return self._data.view(start, (length,), np.dtype(np.uint8))


class Cursor:
    """A position in a mapped file, and reading on from there."""

    def __init__(self, data: MappedFile) -> None:
        self._data, self._position = data, 0

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes."""
        found = self._data.bytes(self._position, min(size, len(self._data)))
        self._position += len(found)
        return found

    def readline(self) -> bytes:
        """Return a line, or the first part of one that is longer than any name."""
        line, newline, _ = self._data.bytes(self._position, _LINE).partition(b"\n")
        self._position += len(line) + len(newline)
        return line + newline

    def tell(self) -> int:
        """Return the position."""
        return self._position


def read_legacy(data: MappedFile, budget: Budget) -> tuple[Any, LegacyStorages]:
    """Return what a file holds, and its storage.

    Raises
    ------
    FileError
        If it is damaged, or would have to be executed, or was not written by PyTorch.
    """
    path, source = data.path, Cursor(data)
    for expected, what in ((MAGIC, "magic number"), (PROTOCOL, "protocol")):
        found = unpickled(source, str(path), budget).value
        if found != expected:
            raise FileError(f"{path}: is a pickle that PyTorch did not write: its {what} is {found!s:.40}")
    unpickled(source, f"{path}, about the writer", budget)
    value, stored = unpickled(source, str(path), budget)
    keys = unpickled(source, f"{path}, keys of the storage", budget).value
    itemsizes = {}
    for each in stored:
        found = reference(each, str(path))
        dtype = dtype_named(found.dtype)
        itemsizes[found.key] = None if dtype is None else dtype.itemsize
    return value, LegacyStorages(data, _places(path, data, source.tell(), keys, itemsizes))


def _places(
    path: Path, data: MappedFile, position: int, keys: Any, itemsizes: dict[str, int | None]
) -> dict[str, tuple[int, int]]:
    if not isinstance(keys, list):
        raise FileError(f"{path}: has no list of its storage")
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        itemsize = itemsizes.get(key) if isinstance(key, str) else None
        if itemsize is None or key in places:
            raise FileError(
                f"{path}: storage {key!s:.40} at offset {position} has no dtype that gruspec knows, or is twice"
            )
        start = position + _COUNT.size
        if start > len(data):
            raise FileError(f"{path}: is cut off at storage {key!s:.40}, offset {position}")
        (elements,) = _COUNT.unpack(data.bytes(position, _COUNT.size))
        position = start + elements * itemsize
        if elements < 0 or position > len(data):
            raise FileError(
                f"{path}: storage {key!s:.40} at offset {start} is said to have {elements} elements; the file has "
                f"{len(data)} bytes"
            )
        places[key] = (start, position - start)
    return places
