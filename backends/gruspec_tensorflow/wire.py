"""The wire format of protocol buffers: numbered fields, read as data without a schema, and the few that are written.

https://protobuf.dev/programming-guides/encoding. Messages of strangers are walked lazily, field by field; what is
length-delimited is a view of the buffer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIXED = {1: 8, 5: 4}
_LONGEST_VARINT = 10


class WireError(ValueError):
    """Bytes are not what they should encode; the message says where and why, the caller says in which file."""


def read_varint(buffer: memoryview, position: int) -> tuple[int, int]:
    """Return an unsigned number of base 128 and the position behind it.

    Raises
    ------
    WireError
        If it is cut off or longer than 64 bits.

    Examples
    --------
    >>> read_varint(memoryview(bytes([0x96, 0x01])), 0)
    (150, 2)
    """
    value = 0
    for number, byte in enumerate(buffer[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * number)
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + number + 1
    raise WireError(f"a number at offset {position} is cut off or longer than 64 bits")


def varint(value: int) -> bytes:
    """Encode an unsigned number in base 128.

    >>> varint(150).hex()
    '9601'
    """
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(0x80 | (value & 0x7F))
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields(buffer: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield number and value of every field of a message: an int, or a view of what is length-delimited.

    Raises
    ------
    WireError
        If the bytes are no message.
    """
    position = 0
    while position < len(buffer):
        start = position
        tag, position = read_varint(buffer, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = read_varint(buffer, position)
            yield number, value
            continue
        if kind == 2:
            length, position = read_varint(buffer, position)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise WireError(f"the field at offset {start} has wire type {kind}")
        if number == 0 or length > len(buffer) - position:
            raise WireError(f"the field at offset {start} reaches beyond the end")
        piece = buffer[position : position + length]
        position += length
        yield number, piece if kind == 2 else int.from_bytes(piece, "little")


def signed(value: Any) -> int:
    """Return a field of an int64 or int32.

    Raises
    ------
    WireError
        If the field is not a number.
    """
    if not isinstance(value, int):
        raise WireError("a number is expected where bytes stand")
    return value - (1 << 64) if value >> 63 else value


def view(value: Any) -> memoryview:
    """Return a field of a message, bytes or a string.

    Raises
    ------
    WireError
        If the field is a number.
    """
    if not isinstance(value, memoryview):
        raise WireError("bytes are expected where a number stands")
    return value


def text(value: Any) -> str:
    """Return a field of a string.

    Raises
    ------
    WireError
        If it is not UTF-8.
    """
    try:
        return str(view(value), "utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"a string is not UTF-8: {error}") from error


def number_field(number: int, value: int) -> bytes:
    """Encode a field of an unsigned number; zero, which readers take for granted, is left out."""
    return varint(number << 3) + varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Encode a field of a message, bytes or a string."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32_field(number: int, value: int) -> bytes:
    """Encode a field of four bytes."""
    return varint(number << 3 | 5) + value.to_bytes(4, "little")
