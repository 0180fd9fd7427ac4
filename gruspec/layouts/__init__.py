"""Layouts of weights as data, and the conversions that follow from them.

A layout says in a few lines where each weight of a GRU lies (:mod:`gruspec.layouts.layers`,
:mod:`gruspec.layouts.operators`); reading, writing, shapes, sizes, refusals and every conversion in both directions are
derived through one canonical form (:mod:`gruspec.layouts.weights`).
"""

from gruspec.layouts.conversion import Conversion, Exactness, Plan, convert, plan
from gruspec.layouts.declared import LAYOUTS, check_activation, layout_named
from gruspec.layouts.folding import Folding
from gruspec.layouts.layout import Array, Block, Cell, Form, Layout, Piece, Sizes
from gruspec.layouts.recognition import recognise
from gruspec.layouts.weights import DTYPES, Weights, unpack

__all__ = [
    "DTYPES",
    "LAYOUTS",
    "Array",
    "Block",
    "Cell",
    "Conversion",
    "Exactness",
    "Folding",
    "Form",
    "Layout",
    "Piece",
    "Plan",
    "Sizes",
    "Weights",
    "check_activation",
    "convert",
    "layout_named",
    "plan",
    "recognise",
    "unpack",
]
