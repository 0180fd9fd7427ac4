"""Frames between the runner and the process of an implementation: a JSON header and named arrays.

A frame is four fixed bytes, the lengths of its two parts (little-endian uint32 and uint64), the header as JSON, and
the arrays as one safetensors document, absent if there are none. Nothing received is ever executed.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from gruspec.conformance.arrays import pack, unpack
from gruspec.errors import IntegrityError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

_MAGIC = b"GRU\x01"
_LENGTHS = struct.Struct("<IQ")
_MOST = (2**24, 2**30)


class Frame(NamedTuple):
    """One message."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_frame(stream: BinaryIO, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Write a message and flush."""
    text = json.dumps(header).encode()
    data = pack(arrays) if arrays else b""
    stream.write(_MAGIC + _LENGTHS.pack(len(text), len(data)) + text + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> Frame | None:
    """Read a message; None at the end of the stream, also where it breaks off inside a message.

    Raises
    ------
    IntegrityError
        If what arrives is not a message.
    """
    magic = stream.read(len(_MAGIC))
    if not _MAGIC.startswith(magic):
        raise IntegrityError(f"it begins with {magic!r}")
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    text_length, data_length = _LENGTHS.unpack(lengths)
    if text_length > _MOST[0] or data_length > _MOST[1]:
        raise IntegrityError(f"its lengths {text_length} and {data_length} are beyond {listed(_MOST)}")
    text, data = stream.read(text_length), stream.read(data_length)
    if len(text) < text_length or len(data) < data_length:
        return None
    try:
        header = json.loads(text)
    except ValueError as error:
        raise IntegrityError(f"its header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise IntegrityError(f"its header is {type(header).__name__}")
    return Frame(header, unpack(data) if data else {})
