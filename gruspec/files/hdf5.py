"""HDF5 files, read without libhdf5 in this process: a child finds where everything lies, and this process maps it."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError, RefusedFile, listed
from gruspec.files.checkpoint import Tensor
from gruspec.files.isolation import isolated
from gruspec.files.mapping import MappedFile, byte_count, possible_shape
from gruspec.layouts.casting import named_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gruspec.files.checkpoint import Entry

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of an HDF5 file (HDF5 File Format Specification, Superblock)."""

_INDEX = "gruspec.files.hdf5_index:index"
BFLOAT16 = "bfloat16"
"""The dtype that Keras keeps as two bytes of no type; an attribute has its name."""
_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", BFLOAT16, "float32", "float64"),
)
_LONGEST_ATTRIBUTE = 64000
"""Bytes of an attribute: HDF5 allows 64 KiB with its header, and Keras cuts lists at 64512."""
_UNPACKED = 10
_UNPACKED_ALWAYS = 64 << 20


@dataclass(frozen=True)
class Hdf5:
    """What is in an HDF5 file.

    Parameters
    ----------
    tensors
        Datasets of numbers by path, in the order of their names.
    attributes
        Attributes that are text, and that Keras writes, by the path of their group; ``""`` is the file.
    offsets
        Where the values of tensors begin in the file on disk, for those that lie there plain.
    left
        Datasets that hold no numbers, by path, with the reason.
    """

    tensors: dict[str, Tensor]
    attributes: dict[str, dict[str, str | list[str]]]
    offsets: dict[str, int]
    left: dict[str, str]

    def names(self, group: str, attribute: str) -> list[str] | None:
        """Return a list of names that Keras keeps as an attribute, put together where it is cut into numbered parts."""
        found = self.attributes.get(group, {})
        if attribute in found:
            whole = found[attribute]
            return whole if isinstance(whole, list) else None
        parts: list[str] = []
        number = 0
        while isinstance(part := found.get(f"{attribute}{number}"), list):
            parts.extend(part)
            number += 1
        return parts if number else None

    def text(self, group: str, attribute: str) -> str | None:
        """Return an attribute that is one text."""
        value = self.attributes.get(group, {}).get(attribute)
        return value if isinstance(value, str) else None


def is_hdf5(path: Path) -> bool:
    """Return whether a file begins as HDF5 files do."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(SIGNATURE)) == SIGNATURE


def read_hdf5(path: Path, *, start: int = 0, length: int | None = None, title: Path | None = None) -> Hdf5:
    """Read an HDF5 file, or one that is a part of a file.

    Values that lie plain in the file are views of the mapped file. What is compressed or in chunks is unpacked to a
    temporary file of at most 64 MiB and 10 times the file, and mapped there.

    Parameters
    ----------
    path
        The file.
    start, length
        The part of it, in bytes; all of it unless given.
    title
        What messages name, where that is not the file.

    Raises
    ------
    FileError
        If it is damaged or hostile: links and values outside of it, shapes beyond it, whatever libhdf5 fails at.
    """
    size = path.stat().st_size
    length = size - start if length is None else length
    unpacked = most_unpacked(size)
    with tempfile.TemporaryDirectory(prefix="gruspec-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder, "values")
        arguments = {
            "path": str(path.absolute()),
            "start": start,
            "length": length,
            "scratch": str(scratch),
            "scratch_bytes": unpacked,
        }
        found = isolated(_INDEX, path, arguments, output_bytes=unpacked, title=title)
        plain, other = MappedFile(path), MappedFile(scratch) if scratch.stat().st_size else None
    tensors, offsets = {}, {}
    for entry in found["tensors"]:
        begin = entry["offset"] + (start if entry["plain"] else 0)
        end = start + length if entry["plain"] else len(other or b"")
        tensor = _tensor(title or path, entry, plain if entry["plain"] else other, begin, end)
        tensors[tensor.name] = tensor
        if entry["plain"]:
            offsets[tensor.name] = begin
    return Hdf5(tensors, found["attributes"], offsets, found["left"])


def most_unpacked(size: int) -> int:
    """Return the bytes that what is compressed in a file may have unpacked: 64 MiB and 10 times the file."""
    return _UNPACKED_ALWAYS + _UNPACKED * size


def _tensor(path: Path, entry: Mapping[str, Any], mapped: MappedFile | None, begin: int, end: int) -> Tensor:
    name, shape = entry["name"], tuple(entry["shape"])
    if entry["dtype"] not in _DTYPES:
        raise FileError(f"{path}, dataset {name}: dtype {entry['dtype']!r}; known are {listed(_DTYPES)}")
    dtype = named_dtype(BFLOAT16) if entry["dtype"] == BFLOAT16 else np.dtype(entry["dtype"])
    if not possible_shape(shape, dtype.itemsize):
        raise FileError(f"{path}, dataset {name}: shape {shape}, which no array has")
    size = byte_count(shape, dtype)
    if size and not (mapped and begin >= 0 and begin + size <= min(end, len(mapped))):
        raise FileError(f"{path}, dataset {name}: {size} bytes at offset {begin}, beyond the end at {end}")
    read = partial(mapped.view, begin, shape, dtype) if size and mapped else partial(np.zeros, shape, dtype)
    return Tensor(name, shape, dtype, read)


def write_hdf5(path: Path, entries: Iterable[Entry], groups: Mapping[str, Mapping[str, str | list[str]]]) -> None:
    """Write a new HDF5 file whose values lie plain, so that they are filled in through a mapping.

    Parameters
    ----------
    path
        Where there is none.
    entries
        Datasets by path.
    groups
        Groups that there must be, and their attributes; ``""`` is the file.

    Raises
    ------
    RefusedFile
        If two entries have the same name, or one lies where another has a group; or what :func:`refused` says.
    """
    import h5py

    entries = tuple(entries)
    problems = [f"{entry.name!r}: {reason}" for entry in entries if (reason := refused(entry))]
    if problems:
        raise RefusedFile(f"{path}: {'; '.join(problems)}; rename it, by old=new")
    offsets = {}
    with h5py.File(path, "w") as opened:
        for name, attributes in groups.items():
            group = opened.require_group(name) if name else opened
            for attribute, value in attributes.items():
                group.attrs.update(_parts(attribute, value))
        for entry in entries:
            offsets[entry.name] = _allocate(opened, path, entry)
    for entry in entries:
        if math.prod(entry.shape):
            view = np.memmap(path, entry.dtype, "r+", offsets[entry.name], entry.shape)
            entry.fill(view)
            view.flush()


def refused(entry: Entry) -> str | None:
    """Return why an HDF5 file that Keras reads cannot hold a tensor, or None."""
    if entry.dtype.name not in _DTYPES:
        return f"dtype {entry.dtype.name} is none that Keras keeps in HDF5"
    if any(part in ("", ".", "..") or "\0" in part for part in entry.name.split("/")):
        return "its name is no path in an HDF5 file"
    return None


def _parts(attribute: str, value: str | list[str]) -> Iterator[tuple[str, Any]]:
    """Yield an attribute as Keras writes it: a list as byte strings of one length, and cut where it is too long."""
    if isinstance(value, str):
        yield attribute, value
        return
    encoded = [one.encode() for one in value]
    most = max(1, _LONGEST_ATTRIBUTE // max(map(len, encoded), default=1))
    if len(encoded) <= most:
        yield attribute, np.array(encoded, "S") if encoded else np.empty(0, "S1")
        return
    for number, first in enumerate(range(0, len(encoded), most)):
        yield f"{attribute}{number}", np.array(encoded[first : first + most], "S")


def _allocate(opened: Any, path: Path, entry: Entry) -> int:
    """Make a dataset that has its place in the file at once, and return where that is."""
    import h5py

    group, _, name = entry.name.rpartition("/")
    opaque = entry.dtype.name == BFLOAT16
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    try:
        parent = opened.require_group(group) if group else opened
        space = h5py.h5s.create_simple(entry.shape) if entry.shape else h5py.h5s.create(h5py.h5s.SCALAR)
        stored = h5py.h5t.py_create(np.dtype("V2") if opaque else entry.dtype, logical=True)
        data = h5py.Dataset(h5py.h5d.create(parent.id, name.encode(), stored, space, properties))
    except (TypeError, ValueError) as error:
        raise RefusedFile(f"{path}: {entry.name}: no place for it in an HDF5 file ({error}); rename it") from error
    if opaque:
        data.attrs["dtype"] = BFLOAT16
    return int(data.id.get_offset() or 0)
