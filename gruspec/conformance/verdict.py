"""The verdict on one array: clauses V1 to V3 of the arithmetic contract, decided exactly [verdict].

For a dtype with unit roundoff ``u``, an expected value (the exact result rounded to float64) and its ``kappa``:

V1  value NaN or infinite: computed must be the same.
V2  kappa = 0: computed equals value; the sign of zero never counts.
V3  otherwise ``|computed - value| <= kappa * u + |value| * 2**-53 + 2**-1075``.

An element is judged only where ``kappa * u <= max(1, |value|) / 4``. Every dtype converts exactly to float64, in which
the two sides of V3 are formed with a few roundings; wherever those could decide, rational numbers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.numerics import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.cases.model import Expected, Floats

_HALF_ULP = 2.0**-53
_LARGEST_SLACK = 0.25
_ROUNDINGS = 2.0**-50
_SUBNORMAL_ROUNDINGS = 2.0**-1070


@dataclass(frozen=True)
class Element:
    """One element of a result beside what is expected of it; ``fraction`` is its error as a fraction of its bound."""

    index: tuple[int, ...]
    computed: float
    expected: float
    bound: float
    fraction: float


@dataclass(frozen=True)
class Verdict:
    """What is to be said of one array.

    Parameters
    ----------
    message
        What is wrong with the array as a whole: absent, of another shape or dtype. Empty if nothing is.
    elements, judged, failing
        Numbers of elements.
    worst
        The judged element with the largest error as a fraction of its bound, a failing one if there is one.
    ulp
        Largest error of a judged element in units in the last place of the dtype, at the expected value or at 1 where
        that is less: bounds are absolute there, and the last place of a value near zero says nothing.
    """

    message: str = ""
    elements: int = 0
    judged: int = 0
    failing: int = 0
    worst: Element | None = None
    ulp: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the array conforms."""
        return not self.message and not self.failing


def judge_array(computed: NDArray[Any] | None, expected: Expected, dtype: str) -> Verdict:
    """Judge one computed array.

    Parameters
    ----------
    computed
        The result, or None if there is none.
    expected
        What is proven of it. Without a value only shape and dtype are judged.
    dtype
        The dtype in which it must have been computed.

    Examples
    --------
    >>> import numpy as np
    >>> from gruspec.cases import Expected
    >>> expected = Expected(np.array([0.25]), np.array([2.0], np.float32))
    >>> judge_array(np.array([0.25 + 2**-23], np.float32), expected, "float32").passed
    True
    >>> judge_array(np.array([0.25 + 2**-22], np.float32), expected, "float32").worst.fraction > 1.9
    True
    """
    shape = expected.kappa.shape
    if computed is None:
        return Verdict("missing")
    if computed.shape != shape:
        return Verdict(f"shape {computed.shape}, expected {shape}")
    if computed.dtype.name != dtype:
        return Verdict(f"dtype {computed.dtype.name}, expected {dtype}")
    if expected.value is None or not computed.size:
        return Verdict(elements=computed.size)
    return _judge_values(computed.astype(np.float64), expected.value, expected.kappa, dtype)


def _judge_values(computed: Floats, value: Floats, kappa: NDArray[np.float32], dtype: str) -> Verdict:
    slack = kappa.astype(np.float64) * FORMATS[dtype].unit_roundoff
    size = np.abs(value)
    finite = np.isfinite(value)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        judged = ~finite | (slack <= _LARGEST_SLACK * np.maximum(1.0, size))
        error = np.abs(computed - value)
        bound = slack + size * _HALF_ULP
        exactly = ~finite | (kappa == 0)
        same = (computed == value) | (np.isnan(computed) & np.isnan(value))
        within = np.where(exactly, same, error <= bound)
        close = judged & ~exactly & (np.abs(error - bound) <= bound * _ROUNDINGS + _SUBNORMAL_ROUNDINGS)
        fraction = np.where(exactly, np.where(same, 0.0, np.inf), error / bound)
        ulps = np.where(same, 0.0, error / _ulp(np.maximum(1.0, size), dtype))
    for index in np.argwhere(close):
        at = tuple(index)
        within[at] = _decide(computed[at], value[at], slack[at])
    fraction[np.isnan(fraction)] = np.inf
    ulps[np.isnan(ulps)] = np.inf
    failing = judged & ~within
    worst = None
    if judged.any():
        among = failing if failing.any() else judged
        at = np.unravel_index(int(np.argmax(np.where(among, fraction, -1.0))), value.shape)
        worst = Element(
            tuple(int(i) for i in at),
            float(computed[at]),
            float(value[at]),
            0.0 if exactly[at] else float(bound[at]),
            float(fraction[at]),
        )
    return Verdict(
        elements=value.size,
        judged=int(judged.sum()),
        failing=int(failing.sum()),
        worst=worst,
        ulp=float(np.max(ulps, where=judged, initial=0.0)),
    )


def _decide(computed: float, value: float, slack: float) -> bool:
    bound = Fraction(float(slack)) + abs(Fraction(float(value))) / 2**53 + Fraction(1, 2**1075)
    return abs(Fraction(float(computed)) - Fraction(float(value))) <= bound


def _ulp(size: Floats, dtype: str) -> Floats:
    """Return the distance between neighbouring numbers of a dtype at sizes of at least 1."""
    distance: Floats = np.ldexp(1.0, np.frexp(size)[1] - FORMATS[dtype].bits)
    return distance
