"""Layouts of weights as data, and the conversions that follow from them.

A layout says in a few lines where each weight of a GRU lies (:mod:`gruspec.layouts.declared`); reading, writing, shapes,
sizes, refusals and every conversion in both directions are derived through one canonical form
(:mod:`gruspec.layouts.weights`).
"""

from gruspec.layouts.conversion import Conversion, Exactness, Plan, convert, plan
from gruspec.layouts.declared import LAYOUTS, layout_named
from gruspec.layouts.folding import Folding
from gruspec.layouts.layout import Block, Cell, Layout, Sizes
from gruspec.layouts.weights import DTYPES, Weights, recognise, unpack

__all__ = [
    "DTYPES",
    "LAYOUTS",
    "Block",
    "Cell",
    "Conversion",
    "Exactness",
    "Folding",
    "Layout",
    "Plan",
    "Sizes",
    "Weights",
    "convert",
    "layout_named",
    "plan",
    "recognise",
    "unpack",
]
