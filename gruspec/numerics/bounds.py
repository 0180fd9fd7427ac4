"""Bounds as they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MARGIN = 1 + 2.0**-10
_BITS = 8


def store_bound(bound: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round bounds up to ``_BITS`` significant bits after adding a margin; exact zeros stay zero.

    The margin pays for the rounding errors of computing the bound and for its terms of second order. So few bits are
    kept that noise in the last places of the computation, which differs between machines, changes nothing.

    >>> store_bound(np.array([0.0, 1.0, 100.0]))
    array([  0.      ,   1.0078125, 100.5      ], dtype=float32)
    """
    mantissa, exponent = np.frexp(bound * _MARGIN)
    rounded = np.ldexp(np.ceil(mantissa * 2.0**_BITS), exponent - _BITS)
    with np.errstate(over="ignore"):
        stored = np.asarray(rounded, dtype=np.float32)
    return np.where(stored < rounded, np.nextafter(stored, np.float32(np.inf)), stored)  # bounds subnormal in float32
