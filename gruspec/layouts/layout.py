"""The language in which a layout of weights is declared: arrays, the pieces in them, the forms they come in.

Symbols: ``D`` input size, ``u`` units; gates ``z`` (update), ``r`` (reset), ``h`` (candidate). The canonical form of
every weight is a *block*: one part for one gate, as the reference layer has it, ``kernel`` (D, u),
``recurrent_kernel`` (u, u), ``input_bias`` and ``recurrent_bias`` (u,).

A :class:`Piece` says how the blocks of one part lie in an array, by the left side of an einops pattern over the axes
``input``, ``state``, ``unit`` and ``gate``; an :class:`Array` is pieces one after another along an axis; a
:class:`Form` is the arrays that a layout has for a variant, with bias or without; a :class:`Layout` is its forms and
what it can hold. Packing, unpacking, shapes, sizes and refusals all follow from these.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from gruspec.errors import SpecError, listed
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL, RECURRENT_KERNEL = "kernel", "recurrent_kernel"
INPUT_BIAS, RECURRENT_BIAS = "input_bias", "recurrent_bias"
SUMMED_BIAS = "bias"
"""A bias that stands for the sum of the input and the recurrent bias."""

AXES = {
    KERNEL: "input unit",
    RECURRENT_KERNEL: "state unit",
    INPUT_BIAS: "unit",
    RECURRENT_BIAS: "unit",
    SUMMED_BIAS: "unit",
}
"""The axes of a canonical block of each part."""


class Sizes(NamedTuple):
    """How large a GRU is; a layer after the first has the outputs of the one before as inputs."""

    input_size: int
    units: int
    layers: int = 1
    directions: int = 1

    def inputs_of(self, layer: int) -> int:
        """Return the input size of a layer."""
        return self.directions * self.units if layer else self.input_size

    @property
    def input_sizes_differ(self) -> bool:
        """Whether not all layers have the same input size."""
        return self.layers > 1 and self.inputs_of(1) != self.input_size

    def cells(self) -> Iterator[Cell]:
        """Yield every layer and direction, directions of a layer together."""
        return (Cell(*numbers) for numbers in product(range(self.layers), range(self.directions)))


class Cell(NamedTuple):
    """One layer in one direction (0 forward, 1 backward)."""

    layer: int
    direction: int


class Block(NamedTuple):
    """The address of a block: which cell, which part, which gate."""

    cell: Cell
    part: str
    gate: str


@dataclass(frozen=True)
class Piece:
    """Blocks of one part that lie together.

    Parameters
    ----------
    part
        One of the keys of :data:`AXES`.
    gates
        The gates in their order, as in ``"zrh"``.
    axes
        The left side of an einops pattern, as in ``"input (gate unit)"``; a single gate needs no ``gate`` axis.
    through
        Patterns that each block then passes through to its canonical axes. They may go through flat memory, as in
        ``("input unit -> (input unit)", "(unit input) -> input unit")``.
    """

    part: str
    gates: str
    axes: str
    through: tuple[str, ...] = ()


@dataclass(frozen=True)
class Array:
    """Pieces one after another along an axis.

    Parameters
    ----------
    name
        In the framework's own words. ``{layer}`` and ``{direction}`` stand for the cell's.
    pieces
        In groups: an array of many cells holds the first group of every cell, then the second group of every cell.
    axis
        Along which pieces follow one another, in the array of one cell.
    leading
        ``"layer"``, ``"direction"``: axes in front, one entry per layer or direction.
    """

    name: str
    pieces: tuple[tuple[Piece, ...], ...]
    axis: int = 0
    leading: tuple[str, ...] = ()

    @property
    def all_pieces(self) -> tuple[Piece, ...]:
        """The pieces of all groups."""
        return tuple(piece for group in self.pieces for piece in group)


def _check_axes(array: Array, piece: Piece) -> None:
    axes = [axis for axis in piece.axes.replace("(", " ").replace(")", " ").split() if axis != "1"]
    several = {"gate"} if len(piece.gates) > 1 else set()
    wanted = {*AXES[piece.part].split(), *several}
    if len(axes) != len(set(axes)) or set(axes) - {"gate"} != wanted - {"gate"} or several - set(axes):
        raise SpecError(f"array {array.name!r}: axes={piece.axes!r}: expected each of {listed(sorted(wanted))} once")


@dataclass(frozen=True)
class Form:
    """The arrays of a layout in some of its cases.

    Parameters
    ----------
    arrays
        All of them.
    reset_after
        The variants that these arrays can hold.
    """

    arrays: tuple[Array, ...]
    reset_after: tuple[bool, ...]

    def __post_init__(self) -> None:
        """Check that the declaration means one place for every block.

        Raises
        ------
        SpecError
            If a kernel has no place, a block has two, or an axis has another name than the part has.
        """
        places = Counter(
            (piece.part, gate) for array in self.arrays for piece in array.all_pieces for gate in piece.gates
        )
        kernels = {(part, gate) for part in (KERNEL, RECURRENT_KERNEL) for gate in GATES}
        sums = {(part, gate) for part in (INPUT_BIAS, RECURRENT_BIAS) for gate in GATES if places[SUMMED_BIAS, gate]}
        for wrong, blocks in (
            ("no place", kernels - places.keys()),
            ("two places", {block for block, count in places.items() if count > 1}),
            ("a place beside the sum of both biases", sums & places.keys()),
            ("a part or gate that is none", {(p, g) for p, g in places if p not in AXES or g not in GATES}),
        ):
            if blocks:
                raise SpecError(f"arrays={[array.name for array in self.arrays]}: {wrong} for {sorted(blocks)}")
        for array in self.arrays:
            for piece in array.all_pieces:
                _check_axes(array, piece)

    @cached_property
    def parts(self) -> frozenset[tuple[str, str]]:
        """Every part and gate that has a place."""
        return frozenset(
            (piece.part, gate) for array in self.arrays for piece in array.all_pieces for gate in piece.gates
        )

    @property
    def has_bias(self) -> bool:
        """Whether any bias has a place."""
        return any(part not in (KERNEL, RECURRENT_KERNEL) for part, _ in self.parts)


@dataclass(frozen=True)
class Layout:
    """How a framework keeps the weights of a GRU.

    Parameters
    ----------
    name
        As in the API, on the command line and in certificates.
    title
        What has this layout.
    forms
        Those with bias first, the fullest before the others.
    source
        Where it is documented.
    activations, recurrent_activations
        The activations that its owner can compute with; empty for any.
    complement
        Whether the update gate weights the candidate, not the state, so that its block has the other sign. Only for
        sigmoid and hard sigmoid is the complement of a gate the gate of the negated sum.
    stacked, bidirectional
        Whether it holds several layers, or both directions.
    directions
        What stands for ``{direction}`` in names.
    equal_inputs
        Whether all layers must have the same input size.
    bidirectional_stacks
        Whether a layer after the first reads both directions of the one before. Where each direction is a stack of its
        own, several layers in both directions are another network.
    separator
        What stands between the path of a GRU in a model and the names of its arrays.
    notes
        What everybody who uses arrays of this layout must know.
    """

    name: str
    title: str
    forms: tuple[Form, ...]
    source: str
    activations: tuple[str, ...] = ()
    recurrent_activations: tuple[str, ...] = ()
    complement: bool = False
    stacked: bool = False
    bidirectional: bool = False
    directions: tuple[str, str] = ("", "")
    equal_inputs: bool = False
    bidirectional_stacks: bool = True
    separator: str = "/"
    notes: tuple[str, ...] = ()

    @property
    def reset_after(self) -> tuple[bool, ...]:
        """The variants it can hold, in order."""
        return tuple(sorted({variant for form in self.forms for variant in form.reset_after}))


class NamedArray(NamedTuple):
    """An array of a layout for a GRU of given sizes: its name, and the cells at each index of its leading axes."""

    name: str
    array: Array
    cells: dict[tuple[int, ...], tuple[Cell, ...]]


def named_arrays(layout: Layout, form: Form, sizes: Sizes) -> list[NamedArray]:
    """Return the arrays of a form for a GRU of given sizes."""
    found: dict[str, NamedArray] = {}
    for array in form.arrays:
        for cell in sizes.cells():
            name = array.name.format(layer=cell.layer, direction=layout.directions[cell.direction])
            index = tuple(getattr(cell, axis) for axis in array.leading)
            cells = found.setdefault(name, NamedArray(name, array, {})).cells
            cells[index] = (*cells.get(index, ()), cell)
    return list(found.values())
