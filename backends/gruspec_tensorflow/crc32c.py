"""CRC-32C (Castagnoli) of arrays, many strips of bytes at a time, as TensorFlow's checkpoints use it.

The remainder of a strip is linear in its bits over GF(2): strips are divided side by side, and the remainder of two in
a row is that of the first, moved on by the length of the second, exclusive or that of the second. RFC 3720, appendix
B.4, has the polynomial and the test values; the masking is that of ``tensorflow/core/lib/hash/crc32c.h``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint32]
    Operator = Words
    """The images of the 32 bits of a remainder."""

_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF
_STRIPS = 4096
_STRIP_WORDS = 256
_PANEL = _STRIPS * _STRIP_WORDS * 4
_MASK_DELTA = 0xA282EAD8


def masked_crc32c(data: NDArray[np.uint8], before: int = 0) -> int:
    """Return the CRC-32C of bytes as checkpoints store it: turned by 15 bits and moved by a constant.

    >>> hex(masked_crc32c(np.frombuffer(b"123456789", np.uint8)))
    '0xc78ab0e5'
    """
    return masked(crc32c(data, before))


def masked(value: int) -> int:
    """Return a CRC-32C as checkpoints store it."""
    return (((value >> 15) | (value << 17)) + _MASK_DELTA) & _ONES


def crc32c(data: NDArray[np.uint8], before: int = 0) -> int:
    """Return the CRC-32C of a vector of bytes.

    Parameters
    ----------
    data
        (n,), uint8, contiguous; may be a mapped file, which is read panel by panel.
    before
        The CRC-32C of the bytes in front, to go on from.

    Examples
    --------
    >>> hex(crc32c(np.frombuffer(b"123456789", np.uint8)))
    '0xe3069283'
    """
    remainder = before ^ _ONES
    whole = len(data) // _PANEL * _PANEL
    for start in range(0, whole, _PANEL):
        remainder = _moved(remainder, _PANEL) ^ _panel(data[start : start + _PANEL])
    rest = data[whole:]
    if len(rest) > _STRIPS:
        padded = np.zeros(_PANEL, np.uint8)
        padded[_PANEL - len(rest) :] = rest
        remainder = _moved(remainder, len(rest)) ^ _panel(padded)
    else:
        table = _byte_table()
        for byte in rest.tolist():
            remainder = table[(remainder ^ byte) & 0xFF] ^ (remainder >> 8)
    return remainder ^ _ONES


def _panel(data: NDArray[np.uint8]) -> int:
    """Return the remainder of a panel of zeros and bytes, from zero; zeros in front change nothing."""
    columns = np.ascontiguousarray(data.view("<u4").reshape(_STRIPS, _STRIP_WORDS).T)
    low, high = _word_tables()
    half, bits = np.uint32(0xFFFF), np.uint32(16)
    state = np.zeros(_STRIPS, np.uint32)
    for column in columns:
        state ^= column
        state = low[state & half] ^ high[state >> bits]
    length = _STRIP_WORDS * 4
    while len(state) > 1:
        state = _applied(_zeros(length), state[::2]) ^ state[1::2]
        length *= 2
    return int(state[0])


@cache
def _byte_table() -> list[int]:
    return [int(value) for value in _steps(np.arange(256, dtype=np.uint32), 8)]


@cache
def _word_tables() -> tuple[Words, Words]:
    """Return what four zero bytes make of the low and of the high half of a remainder."""
    halves = np.arange(1 << 16, dtype=np.uint32)
    return _steps(halves, 32), _steps(halves << np.uint32(16), 32)


def _steps(values: Words, bits: int) -> Words:
    for _ in range(bits):
        values = (values >> np.uint32(1)) ^ np.where(values & np.uint32(1), np.uint32(_POLYNOMIAL), np.uint32(0))
    return values


def _applied(operator: Operator, values: Words) -> Words:
    image = np.zeros_like(values)
    for bit in range(32):
        image ^= np.where((values >> np.uint32(bit)) & np.uint32(1), operator[bit], np.uint32(0))
    return image


@cache
def _zeros(length: int) -> Operator:
    """Return the operator that moves remainders on by a number of bytes."""
    if length == 1:
        return _steps(np.uint32(1) << np.arange(32, dtype=np.uint32), 8)
    half = _zeros(length // 2)
    doubled = _applied(half, half)
    return _applied(_zeros(1), doubled) if length % 2 else doubled


def _moved(remainder: int, length: int) -> int:
    values: NDArray[Any] = np.array([remainder], np.uint32)
    bit = 1
    while length:
        if length & 1:
            values = _applied(_zeros(bit), values)
        length >>= 1
        bit <<= 1
    return int(values[0])
