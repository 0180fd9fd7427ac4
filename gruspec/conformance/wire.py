"""Frames between the runner and the process of an implementation: a JSON header and named arrays.

A frame is the lengths of its two parts (little-endian uint32 and uint64), the header as JSON, and the arrays as one
safetensors document, absent if there are none. Nothing received is ever executed.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from gruspec.conformance.arrays import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

_LENGTHS = struct.Struct("<IQ")


class Frame(NamedTuple):
    """One message."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_frame(stream: BinaryIO, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Write a message and flush."""
    text = json.dumps(header).encode()
    data = pack(arrays) if arrays else b""
    stream.write(_LENGTHS.pack(len(text), len(data)) + text + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> Frame | None:
    """Read a message; None at the end of the stream, also where it breaks off inside a message."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    text_length, data_length = _LENGTHS.unpack(lengths)
    text, data = stream.read(text_length), stream.read(data_length)
    if len(text) < text_length or len(data) < data_length:
        return None
    return Frame(json.loads(text), unpack(data) if data else {})
