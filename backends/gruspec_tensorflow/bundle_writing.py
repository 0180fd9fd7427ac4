"""Checkpoints of TensorFlow written: new ones by name, and copies in which some tensors are others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from typing import IO, TYPE_CHECKING

import numpy as np

from gruspec.errors import RefusedFile, listed
from gruspec.files.mapping import byte_count
from gruspec.files.streaming import Scratch, write_bytes
from gruspec_tensorflow.bundle import index_of, shard_of
from gruspec_tensorflow.crc32c import masked_crc32c
from gruspec_tensorflow.records import HEADER, Record, dtype_number
from gruspec_tensorflow.table import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gruspec.files import Entry
    from gruspec_tensorflow.bundle import Bundle

_ALIGNMENT = 64


def problem_of(entry: Entry) -> str | None:
    """Return why a checkpoint cannot hold a tensor; None if it can."""
    if dtype_number(entry.dtype.name) is None or not entry.dtype.isnative:
        return f"TensorFlow has no dtype {entry.dtype}"
    if not entry.name or "\0" in entry.name:
        return f"{entry.name!r} is no name that a variable can have"
    return None


def write_bundle(prefix: Path, entries: Iterable[Entry]) -> None:
    """Write a checkpoint of tensors by name, in one file of data, as ``tf.compat.v1.train.Saver`` reads it.

    Raises
    ------
    RefusedFile
        If a tensor cannot be held, or two have one name.
    """
    ordered = sorted(entries, key=lambda entry: entry.name.encode())
    problems = [f"{entry.name}: {problem}" for entry in ordered if (problem := problem_of(entry))]
    names = [entry.name for entry in ordered]
    problems += [f"{name}: is there twice" for name, other in pairwise(names) if name == other]
    if problems:
        raise RefusedFile(f"{prefix}: {listed(problems)}")
    index = {b"": HEADER}
    scratch = Scratch(prefix.parent)
    with shard_of(prefix, 0, 1).open("xb", buffering=0) as stream:
        for entry in ordered:
            write_bytes(stream, np.zeros(-stream.tell() % _ALIGNMENT, np.uint8))
            number, size = dtype_number(entry.dtype.name) or 0, byte_count(entry.shape, entry.dtype)
            offset = stream.tell()
            checksum = _written(stream, scratch, entry)
            index[entry.name.encode()] = Record(number, entry.shape, 0, offset, size, checksum).encoded()
    index_of(prefix).write_bytes(table(index))


def write_changed_bundle(prefix: Path, bundle: Bundle, changed: Mapping[str, Entry]) -> None:
    """Copy a checkpoint; some tensors, of the same shapes and dtypes, get other values.

    Everything else, the graph of objects too, stays byte for byte.
    """
    entries = dict(bundle.entries)
    scratch = Scratch(prefix.parent)
    for number, shard in enumerate(bundle.shards):
        copy = shard_of(prefix, number, len(bundle.shards))
        shutil.copyfile(shard, copy)
        with copy.open("rb+", buffering=0) as stream:
            for name, entry in changed.items():
                old = bundle.records[name]
                if old.shard == number:
                    stream.seek(old.offset)
                    new = replace(old, checksum=_written(stream, scratch, entry))
                    entries[name.encode()] = new.encoded()
    index_of(prefix).write_bytes(table(entries))


def _written(stream: IO[bytes], scratch: Scratch, entry: Entry) -> int:
    """Write the values of a tensor where the stream is, and return the masked CRC-32C of its bytes."""
    values = scratch.values_of(entry)
    data = values.reshape(-1).view(np.uint8) if values.size else np.empty(0, np.uint8)
    write_bytes(stream, data)
    return masked_crc32c(data)
