"""Calls in training: dropout masks and cotangents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gruspec.cases import Call
from gruspec.spec import DROPOUT_RATES, Dimensions, GRUSpec, dropout_mask_shapes, outputs_shape

if TYPE_CHECKING:
    from gruspec.cases import Operation
    from gruspec.generate.draws import Draw


def trained(draw: Draw, spec: GRUSpec, operation: Operation, *, training: bool, gradients: bool) -> Operation:
    """Return a call with the dropout masks of its layer, and with cotangents if gradients are wanted.

    A layer with a rate is given masks, whether they act or not.
    """
    if not isinstance(operation, Call):
        return operation
    shape = operation.inputs.shape
    timesteps, batch = shape[:2] if spec.time_major else shape[1::-1]
    shapes = dropout_mask_shapes(spec, Dimensions(batch, timesteps, shape[2], spec.units))
    rates = {kind: float(getattr(spec, name)) for kind, name in DROPOUT_RATES.items()}
    masks = {kind: draw_dropout_mask(draw, kind, shapes[kind], rate) for kind, rate in rates.items() if 0 < rate < 1}
    cotangents = None
    if gradients:
        cotangents = {"outputs": draw.distinct("cotangents", outputs_shape(spec, batch, timesteps))}
        if spec.return_state:
            cotangents["state"] = draw.distinct("state-cotangents", (batch, spec.units))
    return replace(operation, training=training, dropout_masks=masks or None, cotangents=cotangents)


def draw_dropout_mask(draw: Draw, kind: str, shape: tuple[int, ...], rate: float) -> Any:
    """Return a scaled mask of zeros and 1 / (1 - rate) in equal shares, with both in it where there is room."""
    kept = draw.integers(f"dropout-{kind}", shape, 2)
    if kept.size > 1:
        kept.flat[0], kept.flat[-1] = 1, 0
    return kept / (1 - rate)
