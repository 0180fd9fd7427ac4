"""The part of a GRU that is run: its leading units and inputs, whole or one cell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.layouts import Block, Cell, Sizes, Weights
from gruspec.layouts.layout import KERNEL, RECURRENT_KERNEL
from gruspec.numerics import FORMATS
from gruspec.spec import GATES

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sample(weights: Weights, *, units: int, inputs: int, cell: Cell | None = None) -> Weights:
    """Return a smaller GRU: the leading units and inputs, copied.

    A number below the smallest normal one becomes zero, since implementations may take it for that.

    Parameters
    ----------
    weights
        Of the whole GRU.
    units, inputs
        How many are kept, at most.
    cell
        The only one to keep, as a GRU of one layer and one direction; all for None.
    """
    whole = weights.sizes
    kept = min(units, whole.units)
    if cell is None:
        equal = whole.layers > 1 and whole.input_size == whole.inputs_of(1)  # some layouts need this, and keep it
        width = whole.directions * kept if equal else min(inputs, whole.input_size)
        sizes = Sizes(width, kept, whole.layers, whole.directions)
        cells = {one: one for one in whole.cells()}
    else:
        sizes = Sizes(min(inputs, whole.inputs_of(cell.layer)), kept)
        cells = {cell: Cell(0, 0)}
    blocks = {
        Block(cells[block.cell], block.part, block.gate): _normal(
            _cut(values, block, whole, sizes, alone=cell is not None)
        )
        for block, values in weights.blocks.items()
        if block.cell in cells
    }
    return replace(weights, sizes=sizes, blocks=blocks)


def cast(weights: Weights, dtype: np.dtype[Any]) -> Weights:
    """Return weights in a dtype, rounded where it is narrower; numbers that are subnormal there become zero."""
    if dtype == weights.dtype:
        return weights
    blocks = {block: _normal(values.astype(dtype)) for block, values in weights.blocks.items()}
    return replace(weights, blocks=blocks, dtype=dtype)


def _cut(values: NDArray[Any], block: Block, whole: Sizes, sizes: Sizes, *, alone: bool) -> NDArray[Any]:
    """Return the leading part of a block; of the outputs of two directions, the leading part of each."""
    if block.part == KERNEL:
        if alone or not block.cell.layer:
            return values[: sizes.input_size, : sizes.units].copy()
        starts = range(0, whole.inputs_of(block.cell.layer), whole.units)
        return np.concatenate([values[start : start + sizes.units, : sizes.units] for start in starts])
    if block.part == RECURRENT_KERNEL:
        return values[: sizes.units, : sizes.units].copy()
    return values[: sizes.units].copy()


def _normal(values: NDArray[Any]) -> NDArray[Any]:
    smallest = FORMATS[values.dtype.name].smallest_normal
    values[np.abs(values.astype(np.float64)) < smallest] = 0
    return values


def reference_blocks(weights: Weights, cell: Cell) -> dict[str, NDArray[np.float64]]:
    """Return the blocks of a cell as the definition takes them, zeros for a bias that is not there.

    Returns
    -------
    dict
        For each gate g of z, r, h: ``kernel_g`` (1, D, u), ``recurrent_kernel_g`` (1, u, u), ``bias_g`` and
        ``recurrent_bias_g`` (1, 1, u), float64.
    """
    return {
        f"{name}_{gate}": _lifted(weights.blocks.get(Block(cell, part, gate)), weights.sizes.units)
        for name, part in _PARTS.items()
        for gate in GATES
    }


_PARTS = {
    "kernel": "kernel",
    "recurrent_kernel": "recurrent_kernel",
    "bias": "input_bias",
    "recurrent_bias": "recurrent_bias",
}
"""Names of parts in the definition, and in canonical weights."""


def _lifted(block: NDArray[Any] | None, units: int) -> NDArray[np.float64]:
    values = np.zeros(units) if block is None else block.astype(np.float64)
    return values[None] if values.ndim == 2 else values[None, None]


def finite(weights: Weights) -> bool:
    """Return whether there is no infinity and no NaN."""
    return all(np.isfinite(values.astype(np.float64)).all() for values in weights.blocks.values())
