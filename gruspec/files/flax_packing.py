"""Trees of arrays packed as flax does."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.files.checkpoint import Entry
from gruspec.files.mapping import byte_count
from gruspec.files.streaming import Scratch, write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gruspec.files.flax_keys import Tree

NDARRAY, SCALAR = 1, 3
"""The extension types of an array and of a scalar of NumPy; 2 is a complex number of Python."""
MARK = "__msgpack_chunked_array__"
CHUNKED = 1 << 30
"""Arrays of more bytes are divided."""
_EXTENSION, _BYTES = 0xC9, 0xC6
_DTYPES = (
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "complex64", "complex128", "bool"),
)
_ML_DTYPES = (
    *("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2", "float8_e5m2fnuz"),
    *("int4", "uint4"),
)


def dtype_named(name: str) -> np.dtype[Any] | None:
    """Return a dtype of arrays by the name that flax writes; None for what is none of numbers."""
    if name in _DTYPES:
        return np.dtype(name)
    if name in _ML_DTYPES:
        import ml_dtypes

        other: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return other
    return None


def leaf(encoded: bytes) -> Any:
    """Return a number, a boolean or None."""
    import msgpack

    return msgpack.unpackb(encoded)


def write_tree(path: Path, tree: Tree) -> None:
    """Write a file of maps and arrays.

    Raises
    ------
    OSError
        If there is something at the path, or no space.
    """
    scratch = Scratch(path.parent)
    with path.open("xb", buffering=0) as stream:
        for piece in _pieces(tree):
            values = scratch.values_of(piece) if isinstance(piece, Entry) else np.frombuffer(piece, np.uint8)
            write_bytes(stream, values)


def _size(entry: Entry) -> int:
    return byte_count(entry.shape, entry.dtype)


def _pieces(tree: Mapping[str | int, Any]) -> Iterator[bytes | Entry]:
    """Yield what follows one another in the file: bytes, and entries in whose places their values go."""
    import msgpack

    packer = msgpack.Packer()
    yield packer.pack_map_header(len(tree))
    for key, value in tree.items():
        yield packer.pack(key)
        if isinstance(value, Entry):
            yield from _chunks(value) if _size(value) > CHUNKED else _array(value)
        elif isinstance(value, dict):
            yield from _pieces(value)
        else:
            yield packer.pack(value)


def _array(entry: Entry) -> Iterator[bytes | Entry]:
    """Yield an extension: an array of shape, name of the dtype, and bytes."""
    import msgpack

    size = _size(entry)
    head = b"\x93" + msgpack.packb(entry.shape) + msgpack.packb(entry.dtype.name) + struct.pack(">BI", _BYTES, size)
    yield struct.pack(">BIb", _EXTENSION, len(head) + size, NDARRAY) + head
    yield entry


def _chunks(entry: Entry) -> Iterator[bytes | Entry]:
    """Yield an array that is divided; it has to be in memory for that."""
    import msgpack

    packer = msgpack.Packer()
    values = entry.array().reshape(-1)
    step = CHUNKED // entry.dtype.itemsize
    starts = range(0, values.size, step)
    yield packer.pack_map_header(3) + packer.pack(MARK) + packer.pack(True)  # noqa: FBT003  a value to pack
    yield packer.pack("shape") + packer.pack({str(axis): length for axis, length in enumerate(entry.shape)})
    yield packer.pack("chunks") + packer.pack_map_header(len(starts))
    for number, start in enumerate(starts):
        part = values[start : start + step]
        yield packer.pack(str(number))
        yield from _array(Entry(str(number), part.shape, part.dtype, partial(np.copyto, src=part)))
