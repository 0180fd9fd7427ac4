"""Layers and calls with drawn weights and inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call, Case
from gruspec.generate.flags import observed_flags
from gruspec.generate.masks import draw_mask
from gruspec.spec import GRUSpec, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gruspec.cases import Operation
    from gruspec.generate.draws import Draw

    Floats = NDArray[np.float64]
    Arrays = dict[str, Floats]


def draw_weights(draw: Draw, spec: GRUSpec, input_size: int, *, shrink: int = 0) -> Arrays:
    """Return weights of which no two are equal inside an array: no gate, row or column stands for another.

    The recurrent kernel shrinks with the number of units, as initializers have it, so that long sequences stay stable.
    """
    tops = {
        "kernel": -1 - shrink,
        "recurrent_kernel": -1 - ((2 * max(spec.units, 2)).bit_length() - 1) // 2 - shrink,
        "bias": -1 - shrink,
    }
    return {name: draw.distinct(name, shape, tops[name]) for name, shape in weight_shapes(spec, input_size).items()}


def draw_call(
    draw: Draw,
    spec: GRUSpec,
    sizes: tuple[int, int, int],
    *,
    mask: str = "none",
    initial_state: str = "none",
) -> Call:
    """Return a call with drawn inputs.

    Parameters
    ----------
    draw
        Source of values.
    spec
        The layer.
    sizes
        Batch, timesteps and input size.
    mask
        A kind of mask.
    initial_state
        ``"none"``, ``"zero"`` or ``"non-zero"``.
    """
    batch, timesteps, input_size = sizes
    drawn = draw_mask(draw, mask, batch, timesteps, backwards=spec.go_backwards)
    states = {"none": None, "zero": np.zeros((batch, spec.units))}
    state = states[initial_state] if initial_state in states else draw.distinct("state", (batch, spec.units), -1)
    inputs = draw.distinct("inputs", (batch, timesteps, input_size))
    return arranged_call(spec, inputs, drawn, state)


def arranged_call(
    spec: GRUSpec, inputs: Any, mask: Any = None, initial_state: Any = None, *, raises: str | None = None
) -> Call:
    """Return a call from batch-major inputs (B, T, D) and mask (B, T), laid out as the layer wants them."""
    inputs = np.asarray(inputs, dtype=np.float64)
    mask = None if mask is None else np.asarray(mask, dtype=bool)
    if spec.time_major:
        inputs, mask = inputs.swapaxes(0, 1), None if mask is None else mask.T
    state = None if initial_state is None else np.asarray(initial_state, dtype=np.float64)
    mask = None if mask is None else np.ascontiguousarray(mask)
    return Call(np.ascontiguousarray(inputs), mask, state, raises=raises)


def make_case(
    case_id: str,
    clause: str,
    flags: Sequence[str],
    spec: GRUSpec,
    weights: Arrays,
    calls: Sequence[Operation],
) -> Case:
    """Return a case without expected values.

    Its topic is the first part of its id; ``flags`` are those that its arguments do not tell.
    """
    return Case(
        id=case_id,
        topic=case_id.partition("/")[0],
        clause=clause,
        flags=(*flags, *observed_flags(spec, weights, calls)),
        dtypes=(),
        spec=spec,
        weights=weights,
        calls=tuple(calls),
    )
