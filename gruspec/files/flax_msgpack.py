"""What ``flax.serialization`` writes, ``to_bytes`` and ``msgpack_serialize``, mapped: flax itself is not needed.

``flax/serialization.py``: nested maps, whose arrays are extensions that hold shape, dtype and bytes. The names of
tensors are the keys joined by ``"/"``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.errors import FileError, RefusedFile
from gruspec.files.checkpoint import Checkpoint, Tensor
from gruspec.files.flax_finding import find_flax_grus
from gruspec.files.flax_keys import KEYS, joined, tree_metadata, tree_of
from gruspec.files.flax_packing import MARK, NDARRAY, SCALAR, dtype_named, leaf, write_tree
from gruspec.files.flax_scan import ARRAY, BYTES, EXTENSION, MAP, PLAIN, TEXT, Item, decoded, item_at, leaves
from gruspec.files.format import Format
from gruspec.files.mapping import MappedFile, byte_count, possible_shape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import Contents, Entry
    from gruspec.files.flax_keys import Keys
    from gruspec.files.flax_scan import Leaf


_LONGEST_LEAF = 1 << 16
_WIDEST = 16
_START_OF_TEXT = range(0xA0, 0xC0)
_MAPS = (*range(0x81, 0x90), 0xDE, 0xDF)


class FlaxMsgpackFormat(Format):
    """Reader and writer of flax's msgpack files.

    Parameters of linen (``params/GRUCell_0/ir/kernel``), state dicts of nnx (``cell/dense_i/kernel``) and what haiku
    gives (``{"gru": {"w_i": ...}}``, whose module names may hold slashes: they stay one key). Numbers, strings and
    empty maps are metadata, by their names, as JSON.
    """

    name: ClassVar[str] = "flax-msgpack"
    title: ClassVar[str] = "msgpack of flax"
    suffixes: ClassVar[tuple[str, ...]] = (".msgpack", ".flax")
    modules: ClassVar[tuple[str, ...]] = ("msgpack",)
    extra: ClassVar[str | None] = "files"
    mapped: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a file has one of the endings, or begins with a map whose first key is a string."""
        if not path.is_file():
            return False
        if path.name.lower().endswith(self.suffixes):
            return True
        with path.open("rb") as stream:
            start = stream.read(6)
        behind = {0xDE: 3, 0xDF: 5}.get(start[0], 1) if start else 0
        return len(start) > behind and start[0] in _MAPS and start[behind] in _START_OF_TEXT

    def read(self, path: Path) -> Checkpoint:
        """Map a file, and find where its arrays lie."""
        if not path.stat().st_size:
            raise FileError(f"{path}: is empty")
        file = MappedFile(path)
        found = _Found({}, {}, {}, {})
        for one in leaves(file):
            _add(file, one, found)
        _join_chunks(path, found)
        tensors = {joined(keys): _tensor(file, keys, parts) for keys, parts in found.arrays.items()}
        metadata = tree_metadata(found.plain, found.arrays)
        if len(tensors.keys() | metadata.keys() - {KEYS}) != len(found.arrays) + len(found.plain):
            raise FileError(f"{path}: two of its keys, joined by slashes, are the same name")
        return Checkpoint(
            path,
            self.name,
            tensors,
            find_flax_grus(tensors),
            metadata,
            mapped=True,
            left={joined(keys): reason for keys, reason in found.left.items()},
            close=file.close,
        )

    def write(self, path: Path, contents: Contents) -> None:
        """Write a file: maps nested as the names are, arrays above 1 GiB in chunks, as flax does."""
        if contents.template is not None:
            raise RefusedFile(
                f"{path}: msgpack files of flax hold tensors alone, so that no template is needed: leave it out"
            )
        problems = [f"{entry.name}: {reason}" for entry in contents.entries if (reason := self.refuses(entry))]
        if problems:
            raise RefusedFile(f"{path}: {'; '.join(problems)}")
        write_tree(path, tree_of(path, contents))

    def refuses(self, entry: Entry) -> str | None:
        """Return why a tensor cannot be held: its dtype, or its name."""
        if dtype_named(entry.dtype.name) != entry.dtype:
            return f"flax reads no dtype {entry.dtype}"
        if entry.name == KEYS or MARK in entry.name.split("/"):
            return "its name means something else there"
        return None


@dataclass(frozen=True)
class _Found:
    """What a file has, by keys: chunks of arrays, values that are no arrays, and what is left, and why."""

    arrays: dict[Keys, tuple[_Stored, ...]]
    plain: dict[Keys, Any]
    left: dict[Keys, str]
    chunked: dict[Keys, None]


@dataclass(frozen=True)
class _Stored:
    """An array in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int


def _add(file: MappedFile, one: Leaf, found: _Found) -> None:
    keys, item = one
    if item.kind == EXTENSION and item.code in (NDARRAY, SCALAR):
        stored = _stored(file, item, joined(keys))
        if isinstance(stored, str):
            found.left[keys] = stored
        else:
            found.arrays[keys] = (stored,)
    elif item.kind == EXTENSION:
        found.left[keys] = f"an extension of type {item.code}"
    elif item.kind == BYTES or item.size > _LONGEST_LEAF:
        found.left[keys] = f"{item.size} bytes that are no array"
    elif keys and keys[-1] == MARK:
        found.chunked[keys[:-1]] = None
    elif item.kind in (MAP, ARRAY):
        found.plain[keys] = {} if item.kind == MAP else []
    else:
        found.plain[keys] = decoded(file, item) if item.kind == TEXT else leaf(file.bytes(item.start, 1 + item.size))


def _stored(file: MappedFile, item: Item, name: str) -> _Stored | str:
    """Return where an array lies, or why it is left.

    Raises
    ------
    FileError
        If what the extension declares is not what it has.
    """
    where = f"{file.path}: {name}"
    whole = item_at(file, item.content) if item.size else None
    if whole is None or whole.kind != ARRAY or whole.size != 3:
        raise FileError(f"{where}: the array at offset {item.start} is not shape, dtype and bytes")
    axes = item_at(file, whole.content)
    position = axes.content
    shape: list[Any] = []
    for _ in range(min(axes.size, _WIDEST * 4)):
        length = item_at(file, position)
        shape.append(leaf(file.bytes(length.start, 1 + length.size)) if length.kind == PLAIN else None)
        position = length.end
    kind = item_at(file, position)
    data = item_at(file, kind.end)
    if axes.kind != ARRAY or kind.kind not in (TEXT, BYTES) or data.kind not in (TEXT, BYTES) or data.end != item.end:
        raise FileError(f"{where}: the array at offset {item.start} is not shape, dtype and bytes")
    if not possible_shape(shape, _WIDEST) or len(shape) != axes.size:
        raise FileError(f"{where}: {str(shape)[:100]} is no shape that an array can have")
    called = file.bytes(kind.content, min(kind.size, 40)).decode("latin-1")
    dtype = dtype_named(called)
    if dtype is None:
        return f"its dtype {called!r} is none of numbers"
    if byte_count(tuple(shape), dtype) != data.size:
        raise FileError(f"{where}: {data.size} bytes at offset {data.content} are not {called} of shape {tuple(shape)}")
    return _Stored(tuple(shape), dtype, data.content)


def _join_chunks(path: Path, found: _Found) -> None:
    """Put the chunks of arrays above 1 GiB in place of their maps: ``shape/0`` ..., ``chunks/0`` ...

    Raises
    ------
    FileError
        If chunks are missing, or do not make the shape.
    """
    for keys in found.chunked:
        shape = list(_taken(found.plain, (*keys, "shape")))
        chunks = [chunk for stored in _taken(found.arrays, (*keys, "chunks")) for chunk in stored]
        dtypes = {chunk.dtype for chunk in chunks}
        fits = possible_shape(shape, _WIDEST) and len(dtypes) == 1 and all(len(chunk.shape) == 1 for chunk in chunks)
        if not fits or sum(chunk.shape[0] for chunk in chunks) != math.prod(shape):
            raise FileError(f"{path}: {joined(keys)}: {len(chunks)} chunks do not make an array of shape {shape}")
        found.arrays[keys] = (_Stored(tuple(shape), dtypes.pop(), -1), *chunks)


def _taken(values: dict[Keys, Any], above: Keys) -> Iterator[Any]:
    """Take the members ``"0"``, ``"1"`` ... of a map out of all values."""
    number = 0
    while (*above, str(number)) in values:
        yield values.pop((*above, str(number)))
        number += 1


def _tensor(file: MappedFile, keys: Keys, parts: tuple[_Stored, ...]) -> Tensor:
    whole, *chunks = parts
    if not chunks:
        return Tensor(
            joined(keys), whole.shape, whole.dtype, partial(file.view, whole.offset, whole.shape, whole.dtype)
        )

    def whole_array() -> NDArray[Any]:
        values = [file.view(chunk.offset, chunk.shape, chunk.dtype) for chunk in chunks]
        return np.concatenate(values).reshape(whole.shape)

    return Tensor(joined(keys), whole.shape, whole.dtype, whole_array)
