"""Correct rounding of rigorous enclosures to float64."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flint import arb

_BELOW_SUBNORMAL = -1100
_ABOVE_LARGEST = 1100


def nearest_float(ball: arb) -> float | None:
    """Round a ball to the nearest float64, ties to even, or return None while its rounding is undecided.

    A rounding is decided when both end points round to the same number; then so does everything between them. End
    points are rounded by exact integer division, which also rounds subnormal results once. The sign of zero is not
    kept: balls have none. A NaN is never decided: it is also what ball arithmetic returns where it knows nothing, as
    for the inverse of a ball around 0.

    Parameters
    ----------
    ball
        An enclosure of the exact real number, or an exact infinity.

    Examples
    --------
    >>> from flint import arb, ctx
    >>> with ctx.workprec(128):
    ...     print(nearest_float(arb(1) / 3) == 1 / 3, nearest_float(arb(1, 0.5)))
    True None
    """
    if not ball.is_finite():
        return _infinity(ball)
    # lower() and upper() round to the working precision: outwards, but even where the ball is exact
    low, high = (_endpoint(ball),) * 2 if ball.is_exact() else (_endpoint(ball.lower()), _endpoint(ball.upper()))
    return low + 0.0 if low == high else None  # + 0.0 turns -0.0 into 0.0


def _endpoint(exact: arb) -> float:
    mantissa, exponent = (int(part) for part in exact.man_exp())
    magnitude = mantissa.bit_length() + exponent
    if magnitude < _BELOW_SUBNORMAL:
        return 0.0
    if magnitude > _ABOVE_LARGEST:
        return math.copysign(math.inf, mantissa)
    try:
        return mantissa / (1 << -exponent) if exponent < 0 else float(mantissa << exponent)
    except OverflowError:
        return math.copysign(math.inf, mantissa)


def _infinity(ball: arb) -> float | None:
    if ball > 0:
        return math.inf
    return -math.inf if ball < 0 else None
