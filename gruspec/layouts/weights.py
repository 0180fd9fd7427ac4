"""The canonical form of weights: blocks, per layer, direction, part and gate; read from arrays, and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from einops import rearrange

from gruspec.errors import SpecTypeError, UsageError, listed
from gruspec.layouts.copying import copy
from gruspec.layouts.given import given_arrays
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
from gruspec.layouts.recognition import recognise
from gruspec.layouts.shapes import axis_lengths, piece_shape

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

    def cell(self, cell: Cell) -> Weights:
        """Return the weights of one layer in one direction, as a GRU of its own."""
        sizes = Sizes(self.sizes.inputs_of(cell.layer), self.sizes.units)
        alone = Cell(0, 0)
        blocks = {
            Block(alone, block.part, block.gate): values for block, values in self.blocks.items() if block.cell == cell
        }
        return Weights(sizes, self.reset_after, blocks, self.dtype)


def zero_bits(values: Values) -> bool:
    """Return whether every value is the positive zero.

    >>> zero_bits(np.zeros(2)), zero_bits(np.array([0.0, -0.0]))
    (True, False)
    """
    return not bits_of(values).any()


def bits_of(values: Values) -> Values:
    """Return a view of the bits of values, as unsigned integers."""
    bits: Values = values.view(np.dtype(f"u{values.dtype.itemsize}"))
    return bits


def negated(values: Values) -> Values:
    """Return a copy with every sign bit flipped, of NaN too.

    >>> negated(np.array([1.0, 0.0]))
    array([-1., -0.])
    """
    bits = bits_of(values)
    flipped: Values = (bits ^ bits.dtype.type(1 << (8 * bits.itemsize - 1))).view(values.dtype)
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


def _in_axes_of(piece: Piece, block: Values, sizes: Sizes, cell: Cell) -> Values:
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
        By the names of the layout, all of one dtype of :data:`DTYPES`; strides and byte order do not matter.
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
        If the dtypes differ or are not floating point, something is no array by name, or ``reset_after`` is neither
        True, False nor None.
    UsageError
        If ``reset_after`` or ``units`` is needed, or a number is not one that a GRU can have.
    """
    arrays = given_arrays(arrays, layout)
    if reset_after is not None and not isinstance(reset_after, (bool, np.bool_)):
        raise SpecTypeError(f"reset_after={reset_after!r}: expected True, False, or None where the arrays tell it")
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
                f"reset_after=None: these arrays of layout {layout.name} do not tell the variant; give "
                "reset_after=True (the reset gate after the recurrent product, as in torch) or False (before it)"
            )
        (reset_after,) = form.reset_after
    dtype = _common_dtype(arrays)
    arrays = {name: _native(values) for name, values in arrays.items()}
    blocks = {}
    for (cell, part, gate), piece, view in places(layout, form, sizes, arrays):
        block = _canonical(piece, view, sizes, cell)
        if layout.complement and gate == "z":
            block = negated(block)
        blocks[Block(cell, INPUT_BIAS if part == SUMMED_BIAS else part, gate)] = block
    return Weights(sizes, reset_after, blocks, dtype)


def _common_dtype(arrays: Mapping[str, Values]) -> np.dtype[Any]:
    dtypes = {values.dtype.newbyteorder("=") for values in arrays.values()}
    if len(dtypes) != 1 or next(iter(dtypes)).name not in DTYPES:
        given = listed(f"{name} {values.dtype}" for name, values in arrays.items())
        raise SpecTypeError(f"dtypes: {given}: expected one dtype for all, of {listed(DTYPES)}")
    return next(iter(dtypes))


def _native(values: Values) -> Values:
    """Return values in the byte order of the machine, with all their bits."""
    return values if values.dtype.isnative else values.byteswap().view(values.dtype.newbyteorder("="))


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
        block = stored(weights, cell, part, gate)
        flipped = layout.complement and gate == "z"
        if block is None:
            view[...] = -0.0 if flipped else 0.0
        else:
            copy(view, _in_axes_of(piece, negated(block) if flipped else block, weights.sizes, cell))


def stored(weights: Weights, cell: Cell, part: str, gate: str) -> Values | None:
    """Return what belongs in a place, or None for zeros. A sum with +0 is the other summand, bit for bit."""
    if part != SUMMED_BIAS:
        return weights.blocks.get(Block(cell, part, gate))
    first, second = (weights.blocks.get(Block(cell, name, gate)) for name in (INPUT_BIAS, RECURRENT_BIAS))
    if first is None or second is None:
        return second if first is None else first
    with np.errstate(all="ignore"):
        return np.where(bits_of(second) == 0, first, first + second)
