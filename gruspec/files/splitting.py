"""A GRU of several layers or directions as several, for layouts that hold one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gruspec.layouts import Block, Cell, Sizes, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.layouts import Layout


class Part(NamedTuple):
    """Some layers and directions of a GRU: what follows its path, the cells, and their weights."""

    suffix: str
    cells: tuple[Cell, ...]
    weights: Weights


def parts_of(weights: Weights, layout: Layout) -> list[Part]:
    """Return a GRU in as few parts as a layout needs, the first layer first, forward before backward.

    A part of a stack is named ``_l<layer>``, a backward one ``_reverse``, as in torch. A layout that holds one
    direction cannot hold a stack of two in a row either: there, every cell is a part.
    """
    sizes = weights.sizes
    layers, directions = range(sizes.layers), range(sizes.directions)
    by_direction = sizes.directions > 1 and not layout.bidirectional
    unequal = layout.equal_inputs and len({sizes.inputs_of(layer) for layer in layers}) > 1
    by_layer = sizes.layers > 1 and (by_direction or unequal or not layout.stacked)
    groups = [
        (chosen_layers, chosen_directions)
        for chosen_layers in ([[layer] for layer in layers] if by_layer else [list(layers)])
        for chosen_directions in ([[direction] for direction in directions] if by_direction else [list(directions)])
    ]
    return [
        Part(
            (f"_l{chosen_layers[0]}" if by_layer else "") + ("_reverse" if chosen_directions == [1] else ""),
            tuple(Cell(layer, direction) for layer in chosen_layers for direction in chosen_directions),
            _part(weights, chosen_layers, chosen_directions),
        )
        for chosen_layers, chosen_directions in groups
    ]


def _part(weights: Weights, layers: Sequence[int], directions: Sequence[int]) -> Weights:
    numbers = {
        Cell(layer, direction): Cell(layer - layers[0], direction - directions[0])
        for layer in layers
        for direction in directions
    }
    sizes = Sizes(weights.sizes.inputs_of(layers[0]), weights.sizes.units, len(layers), len(directions))
    blocks = {
        Block(numbers[cell], part, gate): values
        for (cell, part, gate), values in weights.blocks.items()
        if cell in numbers
    }
    return Weights(sizes, weights.reset_after, blocks, weights.dtype)
