"""The canonical form of weights: blocks, per layer, direction, part and gate. Reading it from arrays, and writing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from einops import rearrange

from gruspec.errors import SpecError, SpecTypeError, UsageError, listed
from gruspec.layouts.copying import copy
from gruspec.layouts.layout import (
    AXES,
    INPUT_BIAS,
    RECURRENT_BIAS,
    SUMMED_BIAS,
    Block,
    Cell,
    Form,
    Layout,
    Piece,
    Sizes,
    named_arrays,
)
from gruspec.layouts.shapes import axis_lengths, piece_shape, possible_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Values = NDArray[Any]

DTYPES = ("float16", "bfloat16", "float32", "float64")
"""The dtypes of weights."""


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a GRU, whatever its layers, as blocks.

    Parameters
    ----------
    sizes
        Input size, units, layers and directions.
    reset_after
        The variant.
    blocks
        ``kernel`` (D, u), ``recurrent_kernel`` (u, u), ``input_bias`` and ``recurrent_bias`` (u,), each for a cell and
        a gate; most are views of the arrays they came from. A bias that is not there counts as zeros; in the variant
        ``reset_after=False``, and wherever a layout keeps one bias for a gate, that one is the ``input_bias``.
    dtype
        Of all blocks, one of :data:`DTYPES`.
    """

    sizes: Sizes
    reset_after: bool
    blocks: Mapping[Block, Values]
    dtype: np.dtype[Any]

    @property
    def use_bias(self) -> bool:
        """Whether there is any bias."""
        return any(block.part in (INPUT_BIAS, RECURRENT_BIAS) for block in self.blocks)


def zero_bits(values: Values) -> bool:
    """Return whether every value is the positive zero.

    >>> zero_bits(np.zeros(2)), zero_bits(np.array([0.0, -0.0]))
    (True, False)
    """
    return not values.view(np.dtype(f"u{values.dtype.itemsize}")).any()


def negated(values: Values) -> Values:
    """Return a copy with every sign bit flipped, of NaN too.

    >>> negated(np.array([1.0, 0.0]))
    array([-1., -0.])
    """
    bits = np.dtype(f"u{values.dtype.itemsize}")
    sign = bits.type(1 << (8 * values.dtype.itemsize - 1))
    flipped: Values = (values.view(bits) ^ sign).view(values.dtype)
    return flipped


def places(
    layout: Layout, form: Form, sizes: Sizes, arrays: Mapping[str, Values]
) -> Iterator[tuple[Block, Piece, Values]]:
    """Yield every block of a layout, and the view of its place in the arrays, in the axes that the arrays have.

    Parameters
    ----------
    arrays
        By name, in the shapes of the form; C-contiguous where they are to be written to. Only the blocks of those that
        are given are yielded.
    """
    for name, array, cells in named_arrays(layout, form, sizes):
        if name not in arrays:
            continue
        for index, members in cells.items():
            part = arrays[name][index]
            start = 0
            for group in array.pieces:
                for cell in members:
                    for piece in group:
                        length = piece_shape(piece, sizes, cell)[array.axis]
                        taken = part[(slice(None),) * array.axis + (slice(start, start + length),)]
                        start += length
                        for gate, view in zip(piece.gates, _by_gate(piece, taken, sizes, cell), strict=True):
                            yield Block(cell, piece.part, gate), piece, view


def _by_gate(piece: Piece, taken: Values, sizes: Sizes, cell: Cell) -> Values:
    """Return a piece with its gates on the first axis and the axes of a block behind."""
    gate = "gate" if "gate" in piece.axes else "1"
    return _rearranged(taken, f"{piece.axes} -> {gate} {AXES[piece.part]}", piece, sizes, cell)


def _rearranged(values: Values, pattern: str, piece: Piece, sizes: Sizes, cell: Cell) -> Values:
    left = pattern.partition("->")[0]
    lengths = {
        axis: length for axis, length in axis_lengths(piece, sizes, cell).items() if axis != "1" and axis in left
    }
    moved: Values = rearrange(values, pattern, **lengths)
    return moved


def _canonical(piece: Piece, view: Values, sizes: Sizes, cell: Cell) -> Values:
    for pattern in piece.through:
        view = _rearranged(view, pattern, piece, sizes, cell)
    return view


def _stored(piece: Piece, block: Values, sizes: Sizes, cell: Cell) -> Values:
    for pattern in reversed(piece.through):
        left, right = pattern.split("->")
        block = _rearranged(block, f"{right.strip()} -> {left.strip()}", piece, sizes, cell)
    return block


def unpack(
    arrays: Mapping[str, Values],
    layout: Layout,
    *,
    reset_after: bool | None = None,
    units: int | None = None,
    layers: int | None = None,
    directions: int | None = None,
) -> Weights:
    """Read arrays of a layout as blocks.

    Parameters
    ----------
    arrays
        By the names of the layout, all of one dtype of :data:`DTYPES`.
    layout
        Which they are in.
    reset_after
        The variant. Needed where the arrays do not tell it.
    units, layers, directions
        Needed where one vector holds everything; ``layers`` and ``directions`` are 1 then unless given.

    Raises
    ------
    SpecError
        If names or shapes are not those of the layout, or the variant is not one that they can hold.
    SpecTypeError
        If the dtypes differ or are not floating point.
    UsageError
        If ``reset_after`` or ``units`` is needed.
    """
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    dtype = _common_dtype(arrays)
    form, sizes = recognise(
        layout,
        {name: values.shape for name, values in arrays.items()},
        reset_after=reset_after,
        units=units,
        layers=layers,
        directions=directions,
    )
    if reset_after is None:
        if len(form.reset_after) > 1:
            raise UsageError(
                f"reset_after=None: these arrays of layout {layout.name} do not tell the variant; give reset_after=True "
                "(the reset gate after the recurrent product, as in torch) or False (before it)"
            )
        (reset_after,) = form.reset_after
    blocks = {}
    for (cell, part, gate), piece, view in places(layout, form, sizes, arrays):
        block = _canonical(piece, view, sizes, cell)
        if layout.complement and gate == "z":
            block = negated(block)
        blocks[Block(cell, INPUT_BIAS if part == SUMMED_BIAS else part, gate)] = block
    return Weights(sizes, reset_after, blocks, dtype)


def _common_dtype(arrays: Mapping[str, Values]) -> np.dtype[Any]:
    dtypes = {values.dtype for values in arrays.values()}
    if len(dtypes) != 1 or next(iter(dtypes)).name not in DTYPES or not next(iter(dtypes)).isnative:
        given = listed(
            f"{name} {values.dtype.newbyteorder('=') if values.dtype.isnative else values.dtype.str}"
            for name, values in arrays.items()
        )
        raise SpecTypeError(f"dtypes: {given}: expected one dtype for all, of {listed(DTYPES)}, in native byte order")
    return next(iter(dtypes))


def recognise(
    layout: Layout,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    reset_after: bool | None = None,
    units: int | None = None,
    layers: int | None = None,
    directions: int | None = None,
) -> tuple[Form, Sizes]:
    """Return the form and the sizes that arrays of these names and shapes have in a layout.

    Raises
    ------
    SpecError, UsageError
        As :func:`unpack`.
    """
    found = [
        (form, sizes)
        for form in layout.forms
        for sizes in possible_sizes(layout, form, shapes, units=units, layers=layers, directions=directions)
    ]
    if not found:
        given = listed(f"{name} {shape}" for name, shape in sorted(shapes.items()))
        if units is None and len(shapes) == 1 and all(len(shape) == 1 for shape in shapes.values()):
            raise UsageError(f"units=None: one vector ({given}) does not tell its units; give units")
        raise SpecError(f"these are not arrays of layout {layout.name}: {given}; it has {expected_names(layout)}")
    fitting = [(form, sizes) for form, sizes in found if reset_after is None or reset_after in form.reset_after]
    if not fitting:
        raise SpecError(
            f"reset_after={reset_after}: arrays of layout {layout.name} with these shapes hold reset_after={not reset_after}"
        )
    return fitting[0]


def expected_names(layout: Layout) -> str:
    """Write the names of the arrays of a layout, form by form, for a message."""
    forms = {
        listed(array.name.format(layer="<layer>", direction=layout.directions[0]) for array in form.arrays): None
        for form in layout.forms
    }
    return ", or ".join(forms)


def write(weights: Weights, layout: Layout, form: Form, arrays: Mapping[str, Values]) -> None:
    """Write blocks into arrays of a layout, which may be mapped files; values are cast to the dtype of the arrays.

    Parameters
    ----------
    weights
        That the form can hold: see :func:`gruspec.layouts.conversion.plan`. Where a form keeps one bias for the sum of
        two, the sum is written, rounded in the dtype of the weights.
    arrays
        By name, C-contiguous, in the shapes of the form; all of them or some.
    """
    for (cell, part, gate), piece, view in places(layout, form, weights.sizes, arrays):
        block = _to_store(weights, cell, part, gate)
        if block is None:
            view[...] = 0
            continue
        if layout.complement and gate == "z":
            block = negated(block)
        copy(view, _stored(piece, block, weights.sizes, cell))


def _to_store(weights: Weights, cell: Cell, part: str, gate: str) -> Values | None:
    """Return what belongs in a place, or None for zeros."""
    if part != SUMMED_BIAS:
        return weights.blocks.get(Block(cell, part, gate))
    first, second = (weights.blocks.get(Block(cell, name, gate)) for name in (INPUT_BIAS, RECURRENT_BIAS))
    if first is None or second is None:
        return second if first is None else first
    return first if zero_bits(second) else first + second
