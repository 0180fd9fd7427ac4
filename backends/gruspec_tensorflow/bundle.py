"""TensorFlow's checkpoints, "tensor bundles": an index and files of data, read as data; TensorFlow is not needed.

``tensorflow/core/util/tensor_bundle``. The data is mapped, and every tensor's checksum is compared when it is first
asked for, so that what is damaged is refused and a checkpoint may be larger than memory.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError
from gruspec.files.mapping import MappedFile
from gruspec_tensorflow.crc32c import masked_crc32c
from gruspec_tensorflow.records import STRING, Record, header, key_prefix_of_parts, places_of_parts, record
from gruspec_tensorflow.table import MAGIC, read_table
from gruspec_tensorflow.wire import WireError, read_varint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Parts = tuple[tuple[tuple[slice, ...], Record], ...]
    """Where the parts of a variable lie, and what the index says of each."""

INDEX = ".index"
STATE = "checkpoint"
_SHARD = re.compile(r"(?P<prefix>.+)\.data-\d{5,}-of-\d{5,}")
_STATED = re.compile(r'^model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)
_MOST_STATE = 1 << 20
_LONGEST = 10


def prefix_of(path: Path) -> Path | None:
    """Return the prefix of the checkpoint that a path means; None where it means none.

    Parameters
    ----------
    path
        A prefix, one of the files, or a folder with a file ``checkpoint``, which names the latest. A name in there
        counts only as a file of that folder, wherever it says that the checkpoint is.
    """
    if path.is_dir():
        state = path / STATE
        if not state.is_file() or state.stat().st_size > _MOST_STATE:
            return None
        match = _STATED.search(state.read_text(encoding="utf-8", errors="replace"))
        path = path / re.split(r"[/\\]", match[1])[-1] if match else path
    elif path.name.endswith(INDEX):
        path = path.with_name(path.name.removesuffix(INDEX))
    elif match := _SHARD.fullmatch(path.name):
        path = path.with_name(match["prefix"])
    return path if path.name and index_of(path).is_file() else None


def index_of(prefix: Path) -> Path:
    """Return the index of a checkpoint."""
    return prefix.with_name(prefix.name + INDEX)


def shard_of(prefix: Path, number: int, count: int) -> Path:
    """Return a file of data of a checkpoint."""
    return prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{count:05d}")


def is_index(path: Path) -> bool:
    """Return whether a file ends as an index does."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - len(MAGIC)))
        return stream.read() == MAGIC


class Bundle:
    """An open checkpoint.

    Parameters
    ----------
    prefix
        What the names of its files begin with.

    Attributes
    ----------
    entries
        Key and encoded record of everything in the index, as it stands there.
    records
        By name, without the parts of partitioned variables.

    Raises
    ------
    FileError
        If it is damaged, or declares what its files do not have.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.index = index_of(prefix)
        try:
            with self.index.open("rb") as stream:
                self.entries = read_table(memoryview(stream.read()))
            count = header(self.entries.get(b""))
            self.shards = self._existing(count)
            self._maps: dict[int, MappedFile] = {}
            self._checked: set[Record] = set()
            self.records, self._parts = self._read_records()
        except WireError as error:
            raise FileError(f"{self.index}: {error}") from error

    def _existing(self, count: int) -> tuple[Path, ...]:
        shards = []
        for number in range(count):
            shard = shard_of(self.prefix, number, count)
            if not shard.is_file():
                raise FileError(f"{shard}: is missing; the index {self.index.name} needs it")
            if shard.resolve().parent != self.index.resolve().parent:
                raise FileError(f"{shard}: leads into another folder than its index {self.index.name}; copy it there")
            shards.append(shard)
        return tuple(shards)

    def _read_records(self) -> tuple[dict[str, Record], dict[str, Parts]]:
        records: dict[str, Record] = {}
        pieces: dict[bytes, Record] = {}
        for key, encoded in self.entries.items():
            try:
                if key.startswith(b"\0"):
                    pieces[key] = record(encoded)
                elif key:
                    records[str(key, "utf-8")] = record(encoded)
            except (WireError, UnicodeDecodeError) as error:
                raise FileError(f"{self.index}: {key[:200]!r}: {error}") from error
        keys = list(pieces)
        parts = {name: self._parts_of(name, whole, pieces, keys) for name, whole in records.items() if whole.parts}
        stored = {name: whole for name, whole in records.items() if not whole.parts}
        for name, one in (*stored.items(), *((str(key), piece) for key, piece in pieces.items())):
            self._check_bytes(name, one)
        self._check_apart((*stored.values(), *pieces.values()))
        return records, parts

    def _parts_of(self, name: str, whole: Record, pieces: Mapping[bytes, Record], keys: list[bytes]) -> Parts:
        """Return where the parts of a variable lie, and their records; the keys sort as the parts do."""
        prefix = key_prefix_of_parts(name.encode())
        first = bisect_left(keys, prefix)
        own = [key for key in keys[first : first + len(whole.parts)] if key.startswith(prefix)]
        if len(own) != len(whole.parts):
            raise FileError(f"{self.index}: {name}: declares {len(whole.parts)} parts and has {len(own)}")
        places = places_of_parts(whole)
        for key, place in zip(own, places, strict=True):
            piece, shape = pieces[key], tuple(axis.stop - axis.start for axis in place)
            if piece.shape != shape or piece.number != whole.number:
                raise FileError(f"{self.index}: {name}: a part has shape {piece.shape}, declared is {shape}")
        return tuple((place, pieces[key]) for key, place in zip(own, places, strict=True))

    def _check_bytes(self, name: str, one: Record) -> None:
        if one.shard >= len(self.shards):
            raise FileError(f"{self.index}: {name}: is in file {one.shard} of {len(self.shards)}")
        length = self.shards[one.shard].stat().st_size
        if one.offset + one.size > length:
            raise FileError(
                f"{self.shards[one.shard]}: {name}: needs {one.size} bytes from offset {one.offset}, and the file has "
                f"{length}"
            )
        if one.dtype is not None and math.prod(one.shape) * one.dtype.itemsize != one.size:
            raise FileError(
                f"{self.index}: {name}: shape {one.shape} of {one.dtype_name} does not make the {one.size} bytes that "
                "it declares"
            )

    def _check_apart(self, records: tuple[Record, ...]) -> None:
        spans = sorted((one.shard, one.offset, one.offset + one.size) for one in records if one.size)
        for (shard, _, end), (other, start, _) in pairwise(spans):
            if shard == other and start < end:
                raise FileError(f"{self.index}: two tensors share the bytes at offset {start} of file {shard}")

    def array(self, name: str) -> NDArray[Any]:
        """Return a tensor: a read-only view of the mapped file, or for a partitioned variable a new array.

        Raises
        ------
        FileError
            If its bytes do not have the checksum that the index has.
        """
        whole = self.records[name]
        if not whole.parts:
            return self._stored(name, whole)
        joined = np.empty(whole.shape, whole.dtype)
        for place, piece in self._parts[name]:
            joined[place] = self._stored(name, piece)
        return joined

    def _stored(self, name: str, one: Record) -> NDArray[Any]:
        if one.dtype is None:
            raise FileError(f"{self.index}: {name}: NumPy has no dtype {one.dtype_name}")
        if one not in self._checked:
            if masked_crc32c(self._view(one, (one.size,), np.dtype(np.uint8))) != one.checksum:
                raise self._damaged(name, one)
            self._checked.add(one)
        return self._view(one, one.shape, one.dtype)

    def _damaged(self, name: str, one: Record) -> FileError:
        return FileError(
            f"{self.shards[one.shard]}: {name}: the {one.size} bytes from offset {one.offset} do not have their "
            "checksum"
        )

    def _view(self, one: Record, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        if not one.size:
            return np.empty(shape, dtype)
        if one.shard not in self._maps:
            self._maps[one.shard] = MappedFile(self.shards[one.shard])
        return self._maps[one.shard].view(one.offset, shape, dtype)

    def string(self, name: str) -> memoryview:
        """Return a scalar tensor of bytes: how many as a number, a checksum of that, then they.

        Raises
        ------
        FileError
            If it is damaged, or no such tensor.
        """
        one = self.records[name]
        if one.number != STRING or one.shape or one.parts:
            raise FileError(f"{self.index}: {name}: is {one.dtype_name} of shape {one.shape}, not one string")
        data = self._view(one, (one.size,), np.dtype(np.uint8))
        try:
            length, start = read_varint(memoryview(data[:_LONGEST].tobytes()), 0)
        except WireError as error:
            raise FileError(f"{self.shards[one.shard]}: {name}: {error}") from error
        counted = np.frombuffer(length.to_bytes(4 if length < 1 << 32 else 8, "little"), np.uint8)
        if start + 4 + length != one.size or masked_crc32c(np.concatenate((counted, data[start:]))) != one.checksum:
            raise self._damaged(name, one)
        return memoryview(data[start + 4 :].data)

    def close(self) -> None:
        """Give the maps back."""
        for mapped in self._maps.values():
            mapped.close()
        self._maps.clear()
