"""What shapes the arrays of a layout have for given sizes, and which sizes given shapes mean."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from gruspec.layouts.layout import Sizes, named_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gruspec.layouts.layout import Cell, Form, Layout, NamedArray, Piece

    Shape = tuple[int, ...]
    Shapes = Mapping[str, Shape]

_MOST = {"layer": 1024, "direction": 2}
"""How long the axis of an array may be that has an entry for each layer or direction."""
_AXES = re.compile(r"\(([^)]*)\)|(\S+)")


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
    """Yield every size for which a form has arrays of exactly these names and shapes, smallest stack first.

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
        sizes = _solved(layout, form, shapes, stack, units)
        if sizes is not None:
            yield sizes


def _stacks(layout: Layout, form: Form, shapes: Shapes, layers: int | None, directions: int | None) -> Iterator[Sizes]:
    """Yield every number of layers and directions with which a form has exactly these names."""
    names = set(shapes)
    if not all(array.name in names for array in form.arrays if "{" not in array.name):
        return
    for rows in _counts(form, "layer", shapes, layers, most=len(names) if layout.stacked else 1):
        for columns in _counts(form, "direction", shapes, directions, most=2 if layout.bidirectional else 1):
            stack = Sizes(1, 1, rows, columns)
            if {named.name for named in named_arrays(layout, form, stack)} == names:
                yield stack


def _counts(form: Form, axis: str, shapes: Shapes, given: int | None, *, most: int) -> Iterable[int]:
    """Return how many layers, or directions, there can be: as many as a leading axis has, or as names can tell."""
    for array in form.arrays:
        if axis in array.leading:
            counts: Iterable[int] = (
                count for count in shapes[array.name][array.leading.index(axis) :][:1] if count <= _MOST[axis]
            )
            break
        if f"{{{axis}}}" in array.name:
            counts = range(1, most + 1)
            break
    else:
        counts = (1,) if given is None else (given,)
    return [count for count in counts if given in (None, count)]


def _solved(layout: Layout, form: Form, shapes: Shapes, stack: Sizes, units: int | None) -> Sizes | None:
    """Return the units and input size that give these shapes, found axis by axis.

    The length of an axis is probed for three values of an unknown. Where it grows linearly, and with nothing else that
    is unknown, it gives the unknown; the shapes that follow are then compared with all that are given.
    """

    def lengths(sizes: Sizes) -> list[int]:
        by_name = form_shapes(layout, form, sizes)
        return [length for name in shapes for length in by_name[name]]

    wanted = [length for name in shapes for length in shapes[name]]
    if any(len(form_shapes(layout, form, stack)[name]) != len(shape) for name, shape in shapes.items()):
        return None
    if units is None:
        alone = [one == two for one, two in zip(lengths(stack), lengths(stack._replace(input_size=2)), strict=True)]
        units = _root(wanted, *(lengths(stack._replace(units=value)) for value in (1, 2, 3)), usable=alone)
    if units is None:
        return None
    stack = stack._replace(units=units)
    every = [True] * len(wanted)
    input_size = _root(wanted, *(lengths(stack._replace(input_size=value)) for value in (1, 2, 3)), usable=every)
    if input_size is None:
        return None
    stack = stack._replace(input_size=input_size)
    return stack if lengths(stack) == wanted else None


def _root(wanted: list[int], one: list[int], two: list[int], three: list[int], *, usable: list[bool]) -> int | None:
    """Return the argument at which a usable axis that grows linearly has its wanted length."""
    for length, low, middle, high, use in zip(wanted, one, two, three, usable, strict=True):
        slope = middle - low
        if use and slope > 0 and high - middle == slope:
            steps, rest = divmod(length - low, slope)
            return steps + 1 if not rest and steps >= 0 else None
    return None
