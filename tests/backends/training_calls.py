"""Calls in training and with cotangents, and what the scalar loop says they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scalar_loop import differences, loop

from gruspec.spec import Dimensions, acting_dropout, dropout_mask_shapes, outputs_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.spec import GRUSpec

    Array = np.ndarray[Any, np.dtype[Any]]

BATCH, TIMESTEPS, SIZE = 3, 5, 2
MASK = np.array([[0, 0, 0, 0, 0], [1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], bool)


def draw(spec: GRUSpec, dtype: str = "float64", lengths: Any = None) -> tuple[dict[str, Array], Any]:
    """Return weights, and the arguments of a call: with gaps in its mask, or with valid timesteps of given lengths."""
    rng = np.random.default_rng(0)
    weights = {name: rng.uniform(-0.5, 0.5, shape).astype(dtype) for name, shape in weight_shapes(spec, SIZE).items()}
    mask = MASK if lengths is None else np.arange(TIMESTEPS) < np.reshape(lengths, (BATCH, 1))
    leading = (TIMESTEPS, BATCH) if spec.time_major else (BATCH, TIMESTEPS)
    return weights, {
        "inputs": rng.uniform(-2, 2, (*leading, SIZE)).astype(dtype),
        "mask": mask.T.copy() if spec.time_major else mask.copy(),
        "initial_state": rng.uniform(-1, 1, (BATCH, spec.units)).astype(dtype),
    }


def draw_masks(spec: GRUSpec, dtype: str = "float64") -> dict[str, Array]:
    """Return dropout masks for both rates, whether they act or not."""
    rng = np.random.default_rng(1)
    shapes = dropout_mask_shapes(spec, Dimensions(BATCH, TIMESTEPS, SIZE, spec.units))
    return {kind: rng.choice([0.0, 1.25, 2.0], shape).astype(dtype) for kind, shape in shapes.items()}


def acting(spec: GRUSpec, masks: Mapping[str, Array]) -> dict[str, Array]:
    """Return those of the masks that act in training."""
    return {kind: masks[kind] for kind in acting_dropout(spec, training=True)}


def draw_cotangents(spec: GRUSpec, dtype: str = "float64") -> dict[str, Array]:
    """Return a cotangent of everything that the layer returns."""
    rng = np.random.default_rng(2)
    cotangents = {"outputs": rng.uniform(-1, 1, outputs_shape(spec, BATCH, TIMESTEPS)).astype(dtype)}
    if spec.return_state:
        cotangents["state"] = rng.uniform(-1, 1, (BATCH, spec.units)).astype(dtype)
    return cotangents


def assert_gradients(layer: Any, spec: GRUSpec, weights: Mapping[str, Array], arguments: Mapping[str, Any]) -> None:
    """Compare a layer in float64, and in training if dropout acts, with the loop and its differences."""
    masks, cotangents = draw_masks(spec), draw_cotangents(spec)
    call = dict(arguments) | {"dropout_masks": acting(spec, masks)}
    output, gradients = layer.vjp(**arguments, training=True, dropout_masks=masks, cotangents=cotangents)
    np.testing.assert_allclose(output.outputs, loop(spec, weights, **call)[0], rtol=0, atol=1e-14)
    expected = differences(spec, weights, call, cotangents)
    assert gradients.keys() == expected.keys()
    for name, wanted in expected.items():
        assert gradients[name].dtype == np.float64
        assert gradients[name].flags.c_contiguous
        np.testing.assert_allclose(gradients[name], wanted, rtol=0, atol=1e-8, err_msg=name)
        assert np.abs(wanted).max() > 1e-3
