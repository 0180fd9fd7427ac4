"""Several layers and both directions: whole stacks, layer by layer against certified values.

Only the outputs of the last layer come out of a stack. So the first k layers are run for every k: the outputs of k are
the inputs of layer k + 1, whose outputs are certified from exactly those numbers; and the states of the layers that two
runs share are the same bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from certified_cells import expected_of, judge
from framework_weights import BOTH, INPUT, Wanted, form_of, made, packed
from native_grus import PRESENT, declared

from gruspec.layouts import LAYOUTS, Cell, Sizes, convert, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.layouts import Weights

BATCH, TIMESTEPS, UNITS = 2, 4, 4
SHAPES = ((1, 2), (2, 1), (3, 1), (2, 2), (3, 2))
"""Layers and directions."""
NEEDS_GPU = ("cudnn-gru", "cudnn")


def sizes_of(layers: int, directions: int, *layouts: str) -> Sizes:
    """Return sizes that all layouts can have: some need the same input size for all layers."""
    equal = any(LAYOUTS[layout].equal_inputs for layout in layouts)
    return Sizes(directions * UNITS if equal and layers > 1 else 3, UNITS, layers, directions)


def holds(name: str, layers: int, directions: int) -> bool:
    layout = LAYOUTS[name]
    both = layers == 1 or directions == 1 or layout.bidirectional_stacks
    return both and (layers == 1 or layout.stacked) and (directions == 1 or layout.bidirectional)


PAIRS = [
    (Wanted(source, reset_after, biases, sizes), target)
    for source in PRESENT
    for target in PRESENT
    if target not in NEEDS_GPU
    for layers, directions in SHAPES
    if holds(source, layers, directions) and holds(target, layers, directions)
    for reset_after in LAYOUTS[source].reset_after
    if reset_after in LAYOUTS[target].reset_after
    for biases in ((BOTH, INPUT) if source == target else (INPUT,))
    if form_of(Wanted(source, reset_after, biases, sizes := sizes_of(layers, directions, source, target)))
]


@pytest.mark.parametrize(("wanted", "target"), PAIRS, ids=str)
def test_stacks_that_a_framework_made_are_computed_right(wanted: Wanted, target: str) -> None:
    sizes, layout = wanted.sizes, LAYOUTS[target]
    arrays = made(wanted)
    if wanted.layout != target:
        arrays = convert(
            arrays,
            wanted.layout,
            target,
            reset_after=wanted.reset_after,
            units=UNITS,
            layers=sizes.layers,
            directions=sizes.directions,
        ).arrays
    weights = unpack(
        arrays,
        layout,
        reset_after=wanted.reset_after,
        units=UNITS,
        layers=sizes.layers,
        directions=sizes.directions,
    )
    assert_layer_by_layer(weights, target)


def assert_layer_by_layer(weights: Weights, layout: str) -> None:
    sizes = weights.sizes
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(BATCH, TIMESTEPS, sizes.input_size)).astype(np.float32)
    state = rng.uniform(-1, 1, (sizes.layers * sizes.directions, BATCH, UNITS)).astype(np.float32)
    layer_inputs: NDArray[Any] = inputs
    known: NDArray[Any] | None = None
    for layer in range(sizes.layers):
        first = first_layers(weights, layer + 1)
        cells = (layer + 1) * sizes.directions
        result = declared(layout).run(
            packed(first, layout),
            inputs,
            reset_after=weights.reset_after,
            layers=layer + 1,
            directions=sizes.directions,
            initial_state=state[:cells],
        )
        for direction in range(sizes.directions):
            cell = Cell(layer, direction)
            expected = expected_of(weights, cell, layer_inputs, state[layer * sizes.directions + direction])
            judge(result, expected, cell=cell, directions=sizes.directions, dtype="float32")
        if known is not None:
            assert result.state is not None
            assert result.state[: len(known)].tobytes() == known.tobytes()
        layer_inputs, known = result.outputs, result.state


def first_layers(weights: Weights, layers: int) -> Weights:
    blocks = {block: values for block, values in weights.blocks.items() if block.cell.layer < layers}
    return replace(weights, sizes=weights.sizes._replace(layers=layers), blocks=blocks)
