"""Damage to files, in a fixed order: mutation N of a seed and a format is the same everywhere and always."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
import zlib
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from gruspec.generate.draws import Draw
from gruspec_tensorflow.table import MAGIC, read_table, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Mutation = Callable[["Choices", bytes, bytes], bytes]

T = TypeVar("T")

_EDGE = 1024
"""Formats keep what they declare within so many bytes of either end."""

_LENGTHS = (0, 1, 2, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_LITERALS = (b"0", b"-1", b"1", b"9" * 9, b"2147483648", b"4294967295", b"9223372036854775807", b"9" * 25, b"1e309")
_NAMES = ("../escaped", "/escaped", "a/../../escaped", "a\x00b", "model.weights.h5", "config.json", "x" * 3000)
_ZEROS = (96 * 2**20, 3 * 2**19, 3 * 2**19)
"""What a small member of an archive is made to hold beside its own: more than a reader may take, or not."""


class Choices:
    """Draws one after another under one key."""

    def __init__(self, key: str) -> None:
        self._draw, self._names = Draw(key), count()

    def below(self, number: int) -> int:
        """Return an integer from 0 up to, not including, ``number``; 0 where there is no choice."""
        return int(self._draw.integers(str(next(self._names)), (1,), min(max(1, number), 2**31))[0])

    def of(self, sequence: Sequence[T]) -> T:
        """Return one of a sequence."""
        return sequence[self.below(len(sequence))]

    def data(self, length: int) -> bytes:
        """Return bytes."""
        return bytes(self._draw.bits(str(next(self._names)), length // 8 + 1))[:length]

    def place(self, data: bytes) -> int:
        """Return an offset: every other one near the beginning or the end."""
        size = len(data)
        where = self.below(4)
        if where == 0:
            return self.below(min(size, _EDGE))
        return size - 1 - self.below(min(size, _EDGE)) if where == 1 and size else self.below(size)


def flip_bits(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Flip one to eight bits."""
    damaged = bytearray(data)
    for _number in range(1 + choices.below(8)):
        if damaged:
            damaged[choices.place(data)] ^= 1 << choices.below(8)
    return bytes(damaged)


def overwrite(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Overwrite a run of bytes."""
    length, at = 1 + choices.below(64), choices.place(data)
    run = choices.of((b"\x00" * length, b"\xff" * length, choices.data(length)))
    return (data[:at] + run + data[at + length :])[: len(data)]


def truncate(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Leave the end off."""
    return data[: choices.place(data)]


def insert(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Put bytes in, random ones or others of the file."""
    at, length = choices.place(data), 1 + choices.below(64)
    start = choices.place(data)
    return data[:at] + choices.of((choices.data(length), data[start : start + length])) + data[at:]


def remove(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Take bytes out."""
    at = choices.place(data)
    return data[:at] + data[at + 1 + choices.below(64) :]


def replace_length(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Put a telling integer in the place of some bytes."""
    size = choices.of((1, 2, 4, 8))
    at = choices.place(data)
    at -= at % choices.of((1, size))
    number: int = choices.of((*_LENGTHS, len(data), len(data) + 1, max(0, len(data) - 1))) % 2 ** (8 * size)
    written = number.to_bytes(size, "little" if choices.below(2) else "big")
    return data[:at] + written + data[at + size :]


def replace_literal(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Put a telling number in the place of one that is written in digits."""
    found = list(re.finditer(rb"\d+", data[: 64 * _EDGE]))
    if not found:
        return replace_length(choices, data, _)
    literal = choices.of(found)
    return data[: literal.start()] + choices.of(_LITERALS) + data[literal.end() :]


def splice(choices: Choices, data: bytes, other: bytes) -> bytes:
    """Join the beginning of one file and the end of another."""
    at = choices.place(data)
    return data[:at] + other[choices.of((at, choices.place(other))) :]


def repeat(choices: Choices, data: bytes, _: bytes) -> bytes:
    """Copy a part of the file over another."""
    length, start, at = 1 + choices.below(_EDGE), choices.place(data), choices.place(data)
    return data[:at] + data[start : start + length] + data[at + length :]


def damage_member(choices: Choices, data: bytes, other: bytes) -> bytes:
    """Damage what a member of an archive holds, with checksums that are right; something else where there is none."""
    members = _members(data)
    if not members:
        return choices.of(PLAIN)(choices, data, other)
    number = choices.below(len(members))
    info, content = members[number]
    members[number] = (info, choices.of(PLAIN)(choices, content, other))
    return _archive(members)


def rename_member(choices: Choices, data: bytes, other: bytes) -> bytes:
    """Give a member of an archive another name, or that of another member."""
    members = _members(data)
    if not members:
        return flip_bits(choices, data, other)
    number = choices.below(len(members))
    info, content = members[number]
    renamed = zipfile.ZipInfo(choices.of((*_NAMES, choices.of(members)[0].filename)))
    renamed.compress_type = info.compress_type
    members[number] = (renamed, content)
    return _archive(members)


def inflate_member(choices: Choices, data: bytes, other: bytes) -> bytes:
    """Let a member of an archive hold very many zeros behind what it held, honestly declared or not."""
    members = _members(data)
    if not members:
        return overwrite(choices, data, other)
    number = choices.below(len(members))
    info, content = members[number]
    info.compress_type = zipfile.ZIP_DEFLATED
    members[number] = (info, content + bytes(choices.of(_ZEROS)))
    archive = _archive(members)
    if choices.below(2):
        return archive
    return archive.replace(struct.pack("<L", len(members[number][1])), struct.pack("<L", len(content)))


def damage_table(choices: Choices, data: bytes, other: bytes) -> bytes:
    """Damage what an index of a TensorFlow checkpoint holds, with checksums that are right."""
    entries = read_table(memoryview(data))
    if not entries:
        return flip_bits(choices, data, other)
    key = choices.of(sorted(entries))
    content = entries.pop(key)
    if choices.below(4) == 0:
        key = choices.of(PLAIN)(choices, key, choices.of(_NAMES).encode())
    else:
        content = choices.of(PLAIN)(choices, content, other)
    return table(dict(sorted((entries | {key: content}).items())))


PLAIN: tuple[Mutation, ...] = (
    flip_bits, overwrite, truncate, insert, remove, replace_length, replace_length, replace_literal, splice, repeat,
)  # fmt: skip
IN_ARCHIVES: tuple[Mutation, ...] = (damage_member, damage_member, rename_member, inflate_member)


def mutated(key: str, data: bytes, other: bytes) -> tuple[str, bytes]:
    """Return the name of a mutation and the damaged file.

    Parameters
    ----------
    key
        Decides everything.
    data
        A file.
    other
        Another, to splice with.
    """
    choices = Choices(key)
    deeper = IN_ARCHIVES if data[:2] == b"PK" else (damage_table,) if data.endswith(MAGIC) else ()
    mutation = choices.of(deeper if deeper and choices.below(2) else PLAIN)
    damaged = mutation(choices, data, other)
    if choices.below(8) == 0:
        damaged = choices.of(PLAIN)(choices, damaged, other)
    return mutation.__name__, damaged


def _members(data: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError):
        return []


def _archive(members: Sequence[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of two members with one name
        for info, content in members:
            archive.writestr(info, content, compress_type=info.compress_type, compresslevel=1)
    return stream.getvalue()
