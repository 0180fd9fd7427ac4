"""The structure of a model file without its numbers: these are read from the mapped file when they are needed.

A model is a protocol buffer (https://protobuf.dev/programming-guides/encoding/, onnx/onnx.proto). What is copied here
is all of it but the ``raw_data`` of tensors: in their place stand the offset and the length of the bytes in the file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from gruspec.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.files.mapping import MappedFile

PLACE = struct.Struct("<QQ")
"""Offset and length of bytes in the file."""

_RAW_DATA = ("tensor", 9)
_CHILDREN: Mapping[tuple[str, int], str] = {
    ("model", 7): "graph",
    ("model", 20): "training",
    ("model", 25): "function",
    ("training", 1): "graph",
    ("training", 2): "graph",
    ("function", 7): "node",
    ("function", 11): "attribute",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
    ("graph", 11): "value",
    ("graph", 12): "value",
    ("graph", 13): "value",
    ("tensor", 13): "pair",
    ("model", 8): "opset",
    ("function", 9): "opset",
}
"""Which fields of which messages hold messages in which there can be tensors or names."""
_NAMES: Mapping[str, tuple[int, ...]] = {
    "graph": (2,),
    "node": (1, 2, 3, 4, 7),
    "attribute": (1,),
    "tensor": (8,),
    "function": (1, 4, 5, 10),
    "value": (1,),
    "pair": (1, 2),
    "opset": (1,),
}
"""Which fields of which messages are names; the parser takes them for bytes where they are no text."""

_VARINT, _EIGHT, _DELIMITED, _FOUR = 0, 1, 2, 5
_FIXED = {_EIGHT: 8, _FOUR: 4}
_DEEPEST = 90
"""Protocol buffers are read to a depth of 100."""
_FIELD = 200
"""Bytes of memory that a parsed field takes at most, besides its contents."""


def skeleton(data: MappedFile) -> bytes:
    """Return a model in which each ``raw_data`` is a :data:`PLACE`.

    Raises
    ------
    FileError
        If this is no protocol buffer, is cut off, or would take far more memory than it has bytes.
    """
    return _Copy(data).message("model", 0, len(data), 0)


class _Copy:
    def __init__(self, data: MappedFile) -> None:
        self._path, self._memory = data.path, data.view(0, (len(data),), np.dtype(np.uint8)).data
        self._left = 7 * len(data) + 32 * 2**20

    def message(self, kind: str, start: int, end: int, depth: int) -> bytes:
        """Return the copy of a message."""
        if depth > _DEEPEST:
            raise FileError(f"{self._path}: messages at offset {start} are nested deeper than {_DEEPEST}")
        copied: list[bytes] = []
        position = start
        while position < end:
            begin = position
            tag, position = self._varint(position, end)
            number, form = tag >> 3, tag & 7
            if form == _DELIMITED:
                length, body = self._varint(position, end)
                position = self._until(body + length, end, begin)
                copied.append(self._delimited(kind, tag, body, position, depth) or self._bytes(begin, position))
                continue
            if form == _VARINT:
                _, position = self._varint(position, end)
            elif form in _FIXED:
                position = self._until(position + _FIXED[form], end, begin)
            else:
                raise FileError(
                    f"{self._path}: field {number} of a {kind} at offset {begin} is of an unknown type {form}"
                )
            copied.append(self._bytes(begin, position))
        return b"".join(copied)

    def _delimited(self, kind: str, tag: int, body: int, end: int, depth: int) -> bytes | None:
        """Return the copy of a field that has another length, None where it is the same."""
        self._left -= _FIELD
        if self._left < 0:
            raise FileError(f"{self._path}: its structure would take far more memory than the file has bytes")
        field = (kind, tag >> 3)
        if field[1] in _NAMES.get(kind, ()):
            self._check_text(body, end)
            return None
        if field == _RAW_DATA:
            contents = PLACE.pack(body, end - body)
        elif field in _CHILDREN:
            contents = self.message(_CHILDREN[field], body, end, depth + 1)
        else:
            return None
        return _encoded(tag) + _encoded(len(contents)) + contents

    def _check_text(self, start: int, end: int) -> None:
        try:
            self._bytes(start, end).decode()
        except UnicodeDecodeError as error:
            raise FileError(f"{self._path}: the name at offset {start} is no text") from error

    def _bytes(self, start: int, end: int) -> bytes:
        return bytes(self._memory[start:end])

    def _until(self, position: int, end: int, begin: int) -> int:
        if position > end:
            raise FileError(
                f"{self._path}: the field at offset {begin} reaches beyond its message, which ends at {end}"
            )
        return position

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """Return a number, and the offset behind it."""
        value = shift = 0
        for place in range(position, min(end, position + 10)):
            value |= (self._memory[place] & 0x7F) << shift
            if self._memory[place] < 0x80:
                return value, place + 1
            shift += 7
        raise FileError(f"{self._path}: is cut off, or no protocol buffer, at offset {position}")


def _encoded(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
