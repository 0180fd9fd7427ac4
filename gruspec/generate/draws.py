"""Random draws that are the same on every machine and under every version of every library.

A draw depends on nothing but its key: bits come from SHAKE-256 of the key. Values are integers times powers of two, so
that they are exact in every floating-point format and sums of few of them are exact too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MANTISSAS = np.arange(128, 256)
_OCTAVES = 4


class Draw:
    """Draws under one key, as of a case; each draw has a name of its own."""

    def __init__(self, key: str) -> None:
        self._key = key

    def bits(self, name: str, count: int) -> NDArray[np.uint64]:
        """Return ``count`` uniform 64-bit integers."""
        digest = hashlib.shake_256(f"{self._key}/{name}".encode()).digest(8 * count)
        return np.frombuffer(digest, dtype="<u8").astype(np.uint64)

    def integers(self, name: str, shape: tuple[int, ...], below: int) -> NDArray[np.int64]:
        """Return uniform integers from 0 up to, not including, ``below`` (at most 2**31)."""
        count = int(np.prod(shape))
        upper = self.bits(name, count) >> np.uint64(32)
        return ((upper * np.uint64(below)) >> np.uint64(32)).astype(np.int64).reshape(shape)

    def choice(self, name: str, below: int) -> int:
        """Return one uniform integer."""
        return int(self.integers(name, (1,), below)[0])

    def permutation(self, name: str, count: int) -> NDArray[np.int64]:
        """Return the integers below ``count`` in random order."""
        return np.argsort(self.bits(name, count), kind="stable")

    def distinct(self, name: str, shape: tuple[int, ...], top: int = 0) -> Floats:
        """Return pairwise distinct values of 8 significant bits, with magnitudes below ``2**(top + 1)``.

        Magnitudes spread over four octaves, or over as many as it takes to keep all values distinct.
        """
        count = int(np.prod(shape))
        octaves = max(_OCTAVES, -(-count // (2 * len(_MANTISSAS))))
        exponents = top - 7 - np.arange(octaves)
        magnitudes = np.ldexp(_MANTISSAS[None, :].astype(np.float64), exponents[:, None]).ravel()
        pool = np.concatenate([magnitudes, -magnitudes])
        chosen: Floats = pool[self.permutation(name, len(pool))[:count]]
        return chosen.reshape(shape)

    def full_precision(self, name: str, shape: tuple[int, ...], *, bits: int, top: int = 0) -> Floats:
        """Return values with ``bits`` significant bits and magnitudes from ``2**(top - 3)`` up to ``2**(top + 1)``."""
        count = int(np.prod(shape))
        drawn = self.bits(name, count)
        mantissa = (drawn >> np.uint64(64 - (bits - 1))).astype(np.int64) | 1
        exponent = top - (drawn & np.uint64(3)).astype(np.int64)
        sign = 1 - 2 * ((drawn >> np.uint64(2)) & np.uint64(1)).astype(np.float64)
        magnitude = np.ldexp((mantissa + 2 ** (bits - 1)).astype(np.float64), exponent - (bits - 1))
        values: Floats = sign * magnitude
        return values.reshape(shape)
