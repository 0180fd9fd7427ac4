"""The binary floating-point formats in which implementations are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Format:
    """A binary format with ``bits`` significant bits and normal numbers from ``2**lowest`` up to ``largest``."""

    name: str
    bits: int
    lowest: int
    highest: int

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next number: the largest relative error of one rounding."""
        return float(2.0**-self.bits)

    @property
    def smallest_normal(self) -> float:
        """The smallest positive number with full precision."""
        return float(2.0**self.lowest)

    @property
    def smallest_subnormal(self) -> float:
        """The smallest positive number."""
        return float(2.0 ** (self.lowest - self.bits + 1))

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return float((2.0 - 2.0 ** (1 - self.bits)) * 2.0**self.highest)


FORMATS = {
    "float64": Format("float64", 53, -1022, 1023),
    "float32": Format("float32", 24, -126, 127),
    "float16": Format("float16", 11, -14, 15),
    "bfloat16": Format("bfloat16", 8, -126, 127),
}
"""Formats by dtype name (IEEE 754-2019; bfloat16 as float32 cut to 8 significant bits)."""


def exactly_representable(values: NDArray[np.float64], format_: Format) -> bool:
    """Return whether every value, NaN and infinities aside, is a number of the format.

    >>> exactly_representable(np.array([0.1]), FORMATS["float32"])
    False
    >>> exactly_representable(np.array([2.0**-149, np.nan, 1.5]), FORMATS["float32"])
    True
    """
    finite = np.abs(values[np.isfinite(values)])
    exponent = np.frexp(finite)[1]
    step = np.ldexp(1.0, np.maximum(exponent - format_.bits, format_.lowest - format_.bits + 1))
    return bool(np.all((np.fmod(finite, step) == 0) & (finite <= format_.largest)))
