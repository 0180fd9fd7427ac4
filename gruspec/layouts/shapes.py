"""What shapes the arrays of a layout have for given sizes, and which sizes given shapes mean."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from gruspec.layouts.layout import Sizes, named_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gruspec.layouts.layout import Cell, Form, Layout, NamedArray, Piece

    Shape = tuple[int, ...]
    Shapes = Mapping[str, Shape]

MOST_LAYERS, MOST_DIRECTIONS = 1024, 2
"""How many layers and directions can be asked for, or an axis can have entries for."""
_AXES = re.compile(r"\(([^)]*)\)|(\S+)")
_LIKELY = 3
"""Sizes that are tried for shapes that do not fit."""


def axis_lengths(piece: Piece, sizes: Sizes, cell: Cell) -> dict[str, int]:
    """Return the length of every axis that a piece of a cell can name."""
    return {
        "gate": len(piece.gates),
        "unit": sizes.units,
        "state": sizes.units,
        "input": sizes.inputs_of(cell.layer),
        "1": 1,
    }


def piece_shape(piece: Piece, sizes: Sizes, cell: Cell) -> Shape:
    """Return the shape of a piece of a cell.

    >>> from gruspec.layouts.layout import Cell, Piece
    >>> piece_shape(Piece("kernel", "zrh", "input (gate unit)"), Sizes(5, 4), Cell(0, 0))
    (5, 12)
    """
    lengths = axis_lengths(piece, sizes, cell)
    return tuple(
        math.prod(lengths[axis] for axis in (grouped or single).split())
        for grouped, single in _AXES.findall(piece.axes)
    )


def array_shape(named: NamedArray, sizes: Sizes) -> Shape:
    """Return the shape of an array of a layout."""
    array = named.array
    shapes = [
        piece_shape(piece, sizes, cell) for cell in next(iter(named.cells.values())) for piece in array.all_pieces
    ]
    shape = list(shapes[0])
    shape[array.axis] = sum(other[array.axis] for other in shapes)
    return (*(getattr(sizes, f"{axis}s") for axis in array.leading), *shape)


def form_shapes(layout: Layout, form: Form, sizes: Sizes) -> dict[str, Shape]:
    """Return the shapes of all arrays of a form by name."""
    return {named.name: array_shape(named, sizes) for named in named_arrays(layout, form, sizes)}


def possible_sizes(
    layout: Layout,
    form: Form,
    shapes: Shapes,
    *,
    units: int | None = None,
    layers: int | None = None,
    directions: int | None = None,
) -> Iterator[Sizes]:
    """Yield every size for which a form has arrays of exactly these names and shapes.

    Parameters
    ----------
    layout, form
        Whose arrays they may be.
    shapes
        By name.
    units, layers, directions
        What is known. One vector of everything does not tell its units, nor how many layers and directions: there,
        one of each is meant unless more are given.
    """
    for stack in _stacks(layout, form, shapes, layers, directions):
        found = _Unknowns(layout, form, shapes, stack)
        for sizes in found.candidates(units, most=1):
            if not found.misfits(sizes) and not (layout.equal_inputs and sizes.input_sizes_differ):
                yield sizes


def nearest_misfits(
    layout: Layout,
    form: Form,
    shapes: Shapes,
    *,
    units: int | None = None,
    layers: int | None = None,
    directions: int | None = None,
) -> tuple[Sizes, dict[str, Shape]] | None:
    """Return the sizes that explain most of the shapes, and the shapes that all others should have, by name.

    None where the names are not those of the form, or nothing explains them.
    """
    judged = (
        (sizes, found.misfits(sizes))
        for stack in _stacks(layout, form, shapes, layers, directions)
        for found in (_Unknowns(layout, form, shapes, stack),)
        for sizes in found.candidates(units, most=_LIKELY)
    )
    return min((entry for entry in judged if entry[1]), key=lambda entry: len(entry[1]), default=None)


def _stacks(layout: Layout, form: Form, shapes: Shapes, layers: int | None, directions: int | None) -> Iterator[Sizes]:
    """Yield every number of layers and directions with which a form has exactly these names."""
    for columns in _direction_counts(layout, form, shapes, directions):
        for rows in _layer_counts(layout, form, shapes, layers, columns):
            stack = Sizes(1, 1, rows, columns)
            if rows > 1 and columns > 1 and not layout.bidirectional_stacks:
                continue
            if _names(layout, form, stack) == shapes.keys():
                yield stack


def _direction_counts(layout: Layout, form: Form, shapes: Shapes, given: int | None) -> list[int]:
    entries = _entries(form, "direction", shapes, MOST_DIRECTIONS)
    named = any("{direction}" in array.name for array in form.arrays)
    if not layout.bidirectional:
        counts: Iterable[int] = (1,)
    elif entries is not None:
        counts = entries
    else:
        counts = (1, 2) if named or given is not None else (1,)
    return [count for count in counts if given in (None, count)]


def _layer_counts(layout: Layout, form: Form, shapes: Shapes, given: int | None, directions: int) -> list[int]:
    entries = _entries(form, "layer", shapes, MOST_LAYERS)
    if not layout.stacked:
        counts: Iterable[int] = (1,)
    elif entries is not None:
        counts = entries
    elif any("{layer}" in array.name for array in form.arrays):
        one, two = (len(_names(layout, form, Sizes(1, 1, layers, directions))) for layers in (1, 2))
        counts = (1 + (len(shapes) - one) // (two - one),)
    else:
        counts = (given or 1,)
    return [count for count in counts if count > 0 and given in (None, count)]


def _entries(form: Form, axis: str, shapes: Shapes, most: int) -> tuple[int, ...] | None:
    """Return the length of the axis with an entry for each layer, or direction; None where there is no such axis."""
    for array in form.arrays:
        if axis in array.leading:
            place = array.leading.index(axis)
            return tuple(length for length in shapes.get(array.name, ())[place : place + 1] if 0 < length <= most)
    return None


def _names(layout: Layout, form: Form, stack: Sizes) -> set[str]:
    return {named.name for named in named_arrays(layout, form, stack)}


class _Unknowns:
    """Finds units and input size from shapes, axis by axis, for a number of layers and directions.

    The length of an axis is probed for three values of an unknown. Where it grows linearly, and with nothing else that
    is unknown, it gives the unknown.
    """

    def __init__(self, layout: Layout, form: Form, shapes: Shapes, stack: Sizes) -> None:
        self._layout, self._form, self._shapes, self._stack = layout, form, shapes, stack
        right = form_shapes(layout, form, stack)
        self._names = [name for name, shape in shapes.items() if len(shape) == len(right[name])]
        self._wanted = [length for name in self._names for length in shapes[name]]

    def misfits(self, sizes: Sizes) -> dict[str, Shape]:
        """Return the shapes that arrays should have and do not, by name."""
        right = form_shapes(self._layout, self._form, sizes)
        return {name: right[name] for name, shape in self._shapes.items() if right[name] != shape}

    def candidates(self, units: int | None, *, most: int) -> Iterator[Sizes]:
        """Yield sizes that some axes ask for, those that most ask for first."""
        stack = self._stack
        if units is None:
            alone = [
                one == two
                for one, two in zip(self._lengths(stack), self._lengths(stack._replace(input_size=2)), strict=True)
            ]
            found = self._roots(stack, "units", usable=alone)[:most]
        else:
            found = [units]
        every = [True] * len(self._wanted)
        for each in found:
            sized = stack._replace(units=each)
            for input_size in self._roots(sized, "input_size", usable=every)[:most]:
                yield sized._replace(input_size=input_size)

    def _lengths(self, sizes: Sizes) -> list[int]:
        by_name = form_shapes(self._layout, self._form, sizes)
        return [length for name in self._names for length in by_name[name]]

    def _roots(self, sizes: Sizes, unknown: str, *, usable: list[bool]) -> list[int]:
        """Return the values of an unknown at which usable axes have their lengths, the most frequent first."""
        probes = zip(*(self._lengths(sizes._replace(**{unknown: value})) for value in (1, 2, 3)), strict=True)
        found: Counter[int] = Counter()
        for length, (low, middle, high), use in zip(self._wanted, probes, usable, strict=True):
            slope = middle - low
            if use and slope > 0 and high - middle == slope:
                steps, rest = divmod(length - low, slope)
                if not rest and steps >= 0:
                    found[steps + 1] += 1
        return [value for value, _ in found.most_common()]
