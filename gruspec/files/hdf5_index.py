"""What is in an HDF5 file, found by libhdf5: for a child process alone, since damaged files crash or hang it.

The answer is JSON: where each dataset lies in the file, and attributes that are text. What is compressed, in chunks or
in another byte order is copied to a file of plain values.
"""

from __future__ import annotations

import io
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from gruspec.errors import FileError
from gruspec.files.hdf5 import BFLOAT16

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = "biuf"
_DEEPEST = 64
_LONGEST_PATH = 1024
_LONGEST_TEXT = 4 << 20
_TEXTS = re.compile(r"(layer_names|weight_names)\d*|keras_version|backend|model_config|name|dtype")
"""The attributes that Keras writes and gruspec reads; long lists are cut into numbered ones."""
_SLAB = 4 << 20


class Section(io.RawIOBase):
    """A part of a file as a file, as h5py needs it for an HDF5 file that is stored in an archive."""

    def __init__(self, file: io.BufferedIOBase, start: int, length: int) -> None:
        super().__init__()
        self._file, self._start, self._length, self._place = file, start, length, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the part."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as fits and is there."""
        wanted = memoryview(buffer)[: max(0, self._length - self._place)]
        self._file.seek(self._start + self._place)
        count = self._file.readinto(wanted) if len(wanted) else 0
        self._place += count
        return count


def index(path: str, start: int, length: int, scratch: str, scratch_bytes: int) -> dict[str, Any]:
    """Return what is in an HDF5 file, or in one that is a part of a file.

    Parameters
    ----------
    path
        The file.
    start, length
        The part of it that is the HDF5 file.
    scratch, scratch_bytes
        A new file for values that are not plain in the file, and how long it may become.

    Returns
    -------
    dict
        ``tensors``: for each its ``name``, ``shape``, ``dtype``, ``offset`` and whether that is ``plain``, in the part
        of the file, or in ``scratch``. ``attributes``: text by name, by the path of its group. ``left``: why a dataset
        is no tensor, by path.

    Raises
    ------
    FileError
        If there are links that leave the file or go round about, or data lies in another file.
    """
    found = _Index(length, scratch_bytes)
    with (
        Path(path).open("rb") as file,
        h5py.File(Section(file, start, length), "r") as opened,
        Path(scratch).open("wb") as values,
    ):
        for name, item in found.objects(opened):
            if isinstance(item, h5py.Dataset):
                found.add(name, item, values)
    return {"tensors": found.tensors, "attributes": found.attributes, "left": found.left}


class _Index:
    """What was found so far, and how much more there may be."""

    def __init__(self, length: int, scratch_bytes: int) -> None:
        self.tensors: list[dict[str, Any]] = []
        self.attributes: dict[str, dict[str, str | list[str]]] = {}
        self.left: dict[str, str] = {}
        self._plain_left, self._scratch_left, self._text_left = length, scratch_bytes, max(_LONGEST_TEXT, length // 2)
        self._written = 0
        self._counted: set[int] = set()

    def objects(self, root: h5py.File) -> Iterator[tuple[str, Any]]:
        """Yield every group and dataset with its path, each group once, in the order of their names."""
        waiting = [("", root)]
        seen = set()
        while waiting:
            path, item = waiting.pop()
            self._read_texts(path, item)
            yield path, item
            if not isinstance(item, h5py.Group):
                continue
            number = h5py.h5o.get_info(item.id).addr
            if number in seen:
                continue
            seen.add(number)
            waiting.extend(self._member(item, path, name) for name in sorted(item, reverse=True))

    @staticmethod
    def _member(group: h5py.Group, path: str, name: str) -> tuple[str, Any]:
        inner = f"{path}/{name}" if path else name
        if len(inner) > _LONGEST_PATH or inner.count("/") > _DEEPEST:
            raise FileError(f"{inner[:80]}...: groups nested deeper than {_DEEPEST}, or names too long")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise FileError(f"{inner}: a link to another place or file; only what is in the file itself is read")
        return inner, group[name]

    def _read_texts(self, path: str, item: Any) -> None:
        for name in item.attrs:
            if _TEXTS.fullmatch(name):
                text = self._text(path, item, name)
                if text is not None:
                    self.attributes.setdefault(path, {})[name] = text

    def _text(self, path: str, item: Any, name: str) -> str | list[str] | None:
        attribute = h5py.h5a.open(item.id, name.encode())
        if attribute.get_type().get_class() != h5py.h5t.STRING or len(attribute.shape) > 1:
            return None
        value = item.attrs[name]
        texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in _as_list(value)]
        self._text_left -= sum(map(len, texts))
        if self._text_left < 0:
            raise FileError(f"{path}: attribute {name}: more text than such a file can need")
        return texts if attribute.shape else texts[0]

    def add(self, name: str, data: h5py.Dataset, values: io.BufferedWriter) -> None:
        """Record a dataset; copy its values if they are not plain in the file. What holds no numbers is left out."""
        properties = data.id.get_create_plist()
        layout = properties.get_layout()
        if layout == h5py.h5d.VIRTUAL or properties.get_external_count():
            raise FileError(f"{name}: its values are in another file; only what is in the file itself is read")
        dtype = self._dtype(name, data)
        if dtype is None or data.shape is None:
            self.left[name] = f"{data.dtype} is no dtype of numbers" if data.shape is not None else "it is empty"
            return
        size = math.prod(data.shape) * data.dtype.itemsize
        offset = data.id.get_offset() if layout == h5py.h5d.CONTIGUOUS else None
        plain = not size or (offset is not None and _as_in_memory(data))
        if plain:
            self._count_plain(name, data, size)
        else:
            offset = self._copy(name, data, size, values)
        self.tensors.append(
            {"name": name, "shape": list(data.shape), "dtype": dtype, "offset": offset or 0, "plain": plain}
        )

    def _dtype(self, name: str, data: h5py.Dataset) -> str | None:
        """Return the name of a dtype of numbers. Keras keeps bfloat16 as two bytes of no type, and floats as float8."""
        if data.dtype.kind in _NUMBERS:
            return str(data.dtype.newbyteorder("=").name)
        if data.dtype.kind == "V" and data.dtype.names is None and data.dtype.itemsize == 2:
            return str(self.attributes.get(name, {}).get("dtype", BFLOAT16))
        return None

    def _count_plain(self, name: str, data: h5py.Dataset, size: int) -> None:
        number = h5py.h5o.get_info(data.id).addr
        if number not in self._counted:
            self._counted.add(number)
            self._plain_left -= size
        if self._plain_left < 0:
            raise FileError(f"{name}: shape {data.shape}: the values of all datasets are more than the file has")

    def _copy(self, name: str, data: h5py.Dataset, size: int, values: io.BufferedWriter) -> int:
        self._scratch_left -= size
        if self._scratch_left < 0:
            raise FileError(f"{name}: shape {data.shape}: unpacked it is larger than such a file may be")
        offset, self._written = self._written, self._written + size
        native = data.dtype.newbyteorder("=")
        if not data.shape:
            values.write(data[()].astype(native).tobytes())
            return offset
        rows = max(1, _SLAB // max(1, size // data.shape[0]))
        values.writelines(
            data[first : first + rows].astype(native).tobytes() for first in range(0, data.shape[0], rows)
        )
        return offset


def _as_in_memory(data: h5py.Dataset) -> bool:
    """Return whether the values in the file are what NumPy has in memory."""
    stored = data.id.get_type()
    if stored.get_class() == h5py.h5t.OPAQUE:
        return bool(stored.get_size() == data.dtype.itemsize)
    return bool(stored.equal(h5py.h5t.py_create(data.dtype.newbyteorder("="), logical=True)))


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | bytes) else list(value)
