"""Floating-point formats, correct rounding of balls, and the rounding of bounds."""

from gruspec.numerics.bounds import store_bound
from gruspec.numerics.formats import FORMATS, Format, exactly_representable
from gruspec.numerics.rounding import nearest_float

__all__ = ["FORMATS", "Format", "exactly_representable", "nearest_float", "store_bound"]
