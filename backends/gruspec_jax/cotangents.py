"""Cotangents from the layout of a call to processing order, and gradients back; in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.spec import Dimensions, check_cotangents, outputs_shape, state_shape

from .arrangement import as_array, as_real
from .recurrence import Results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    from .recurrence import Gradients, Steps


def whole_cotangents(spec: GRUSpec, cotangents: Mapping[str, Any], steps: Steps) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the cotangents of outputs and state in the dtype of the layer; those that are not given are zero.

    Parameters
    ----------
    spec
        The layer.
    cotangents
        ``outputs`` and, where ``return_state`` is set, ``state``.
    steps
        The timesteps of the call.

    Raises
    ------
    SpecError
        If a cotangent is of something that is not returned, of another shape or not real.
    """
    timesteps, batch, input_size = steps.inputs.shape
    given = {name: as_array(values) for name, values in cotangents.items()}
    check_cotangents(spec, Dimensions(batch, timesteps, input_size, spec.units), given)
    dtype = steps.inputs.dtype
    shapes = {"outputs": outputs_shape(spec, batch, timesteps), "state": state_shape(spec, batch)}
    whole = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
    whole |= {name: as_real(np, f"cotangents[{name!r}]", array, dtype) for name, array in given.items()}
    return whole["outputs"], whole["state"]


def arrange_cotangents(spec: GRUSpec, cotangents: tuple[NDArray[Any], NDArray[Any]], steps: Steps) -> Results:
    """Return cotangents of what a run gives, from those of outputs and state [return-sequences]."""
    outputs, state = cotangents
    if spec.return_sequences:
        return Results(outputs if spec.time_major else outputs.swapaxes(0, 1), np.zeros_like(state), state)
    return Results(np.zeros((len(steps.inputs), *state.shape), state.dtype), outputs, state)


def named_gradients(spec: GRUSpec, gradients: Gradients) -> dict[str, NDArray[Any]]:
    """Return gradients by the names and in the layouts of the arguments: inputs, initial state and weights."""
    inputs = gradients.inputs[::-1] if spec.go_backwards else gradients.inputs
    weights = gradients.weights
    named = {
        "inputs": inputs if spec.time_major else inputs.swapaxes(0, 1),
        "initial_state": gradients.state,
        "kernel": weights.kernel,
        "recurrent_kernel": weights.recurrent_kernel,
    }
    if spec.use_bias:
        named["bias"] = np.stack([weights.bias, weights.recurrent_bias]) if spec.reset_after else weights.bias
    return named
