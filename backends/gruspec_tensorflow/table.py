"""Sorted tables of strings, the container of a checkpoint's index: LevelDB's format as TensorFlow keeps it.

``tensorflow/core/lib/io/table*.cc`` and LevelDB's ``doc/table_format.md``: blocks of key and value, an index block with
a key not before the last of each block, and a footer with a magic number. Keys share what they begin with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gruspec_tensorflow.crc32c import masked_crc32c
from gruspec_tensorflow.wire import WireError, read_varint, varint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
_TRAILER = 5
"""Bytes behind a block: how it is compressed, and a checksum."""
_BLOCK = 1 << 18
_KEYS_PER_BYTE = 8
_SHORT = 1 << 20


def read_table(data: memoryview) -> dict[bytes, bytes]:
    """Return all keys and values of a table, in order.

    Raises
    ------
    WireError
        If the table is damaged: every checksum, size and the order of the keys is checked.
    """
    if len(data) < FOOTER or data[-len(MAGIC) :] != MAGIC:
        raise WireError("it does not end as a table does; it is cut off, or of version 1, or no index")
    footer = data[-FOOTER:]
    _, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    found: dict[bytes, bytes] = {}
    last = None
    lengths = 0
    for _, value in _entries(_block(data, index)):
        handle, _ = _handle(memoryview(value), 0)
        for key, content in _entries(_block(data, handle)):
            if last is not None and key <= last:
                raise WireError(f"the key {key[:80]!r} is out of order")
            last = key
            lengths += len(key)
            if lengths > _KEYS_PER_BYTE * len(data) + _SHORT:
                raise WireError(f"its keys are more than {_KEYS_PER_BYTE} times as long as the file")
            found[key] = content
    return found


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _block(data: memoryview, handle: tuple[int, int]) -> memoryview:
    offset, size = handle
    end = offset + size
    if end + _TRAILER > len(data):
        raise WireError(f"the block at offset {offset} reaches beyond the end")
    stored = int.from_bytes(data[end + 1 : end + _TRAILER], "little")
    if masked_crc32c(np.frombuffer(data[offset : end + 1], np.uint8)) != stored:
        raise WireError(f"the block at offset {offset} does not have its checksum")
    if data[end]:
        raise WireError(f"the block at offset {offset} is compressed, as TensorFlow does not write it")
    return data[offset:end]


def _entries(block: memoryview) -> Iterator[tuple[bytes, bytes]]:
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 4 or end < 0:
        raise WireError("a block is shorter than its restart points")
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        more, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or more + length > end - position:
            raise WireError(f"an entry at offset {position} of a block reaches beyond it")
        key = key[:shared] + bytes(block[position : position + more])
        position += more
        yield key, bytes(block[position : position + length])
        position += length


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """Encode a table; keys are put in order.

    >>> read_table(memoryview(table({b"b": b"2", b"": b"1"})))
    {b'': b'1', b'b': b'2'}
    """
    data = bytearray()
    index: dict[bytes, bytes] = {}
    gathered: dict[bytes, bytes] = {}
    size = 0
    ordered = sorted(entries)
    for key in ordered:
        gathered[key] = entries[key]
        size += len(key) + len(entries[key])
        if size >= _BLOCK or key == ordered[-1]:
            index[key] = _added(data, gathered)
            gathered, size = {}, 0
    nothing = _added(data, {})
    handles = nothing + _added(data, index)
    return bytes(data) + handles.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC


def _added(data: bytearray, entries: Mapping[bytes, bytes]) -> bytes:
    """Append a block, whose entries are all restart points, and return its handle."""
    block = bytearray()
    restarts = []
    for key, value in entries.items():
        restarts.append(len(block))
        block += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    restarts = restarts or [0]
    for number in (*restarts, len(restarts)):
        block += number.to_bytes(4, "little")
    handle = varint(len(data)) + varint(len(block))
    block.append(0)
    data += block + masked_crc32c(np.frombuffer(block, np.uint8)).to_bytes(4, "little")
    return handle
