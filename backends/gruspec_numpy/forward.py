"""The forward pass: a pure function of weights, inputs, state and mask.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units. Arrays here have timesteps first, and every axis
of length 3u holds the update gate z, the reset gate r and the candidate, in this order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from .activations import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    Array: TypeAlias = NDArray[Any]
    Step: TypeAlias = Callable[[Array, Array], Array]


class Result(NamedTuple):
    """What a sequence gives: ``outputs`` (T, B, u) in processing order, ``last`` (B, u) and ``state`` (B, u)."""

    outputs: Array | None
    last: Array
    state: Array


def forward(
    spec: GRUSpec,
    weights: Mapping[str, Array],
    inputs: Array,
    state: Array,
    mask: Array | None = None,
) -> Result:
    """Run a GRU over a sequence.

    Parameters
    ----------
    spec
        The layer; ``time_major``, ``return_state`` and ``stateful`` are the caller's business.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and perhaps ``bias`` (3u,) or (2, 3u), all of one dtype.
    inputs
        (T, B, D), of the same dtype. Values at masked timesteps are never looked at
        [masked-nonfinite].
    state
        (B, u), of the same dtype: the state before the first processed timestep. It is not written to.
    mask
        bool (T, B); True marks a timestep that counts.

    Returns
    -------
    Result
        ``outputs`` is None unless ``spec.return_sequences``. Nothing in it shares memory with the arguments.
    """
    timesteps, batch, _ = inputs.shape
    outputs = np.empty((timesteps, batch, spec.units), inputs.dtype) if spec.return_sequences else None
    output = np.zeros_like(state)
    state = state.copy()
    order = range(timesteps)[::-1] if spec.go_backwards else range(timesteps)
    with np.errstate(all="ignore"):
        projected = project(weights, inputs if mask is None else np.where(mask[..., None], inputs, 0))
        step = (reset_after if spec.reset_after else reset_before)(spec, weights)
        for i, t in enumerate(order):
            new = step(projected[t], state)
            if mask is None:
                output = state = new
            else:
                valid = mask[t, :, None]
                output = np.where(valid, new, 0 if spec.zero_output_for_mask else output)
                state = np.where(valid, new, state)
            if outputs is not None:
                outputs[i] = output
    return Result(outputs, output, state)


def project(weights: Mapping[str, Array], inputs: Array) -> Array:
    """Return the input's share of all three gates at all timesteps at once, (T, B, 3u)."""
    timesteps, batch, size = inputs.shape
    kernel, bias = weights["kernel"], weights.get("bias")
    projected = inputs.reshape(timesteps * batch, size) @ kernel
    if bias is not None:
        projected += bias[0] if bias.ndim == 2 else bias
    return projected.reshape(timesteps, batch, kernel.shape[1])


def reset_after(spec: GRUSpec, weights: Mapping[str, Array]) -> Step:
    """Return the step whose reset gate acts on the finished recurrent product, its bias included [reset-after]."""
    u = spec.units
    gate, activate = ACTIVATIONS[spec.recurrent_activation], ACTIVATIONS[spec.activation]
    kernel, bias = weights["recurrent_kernel"], weights.get("bias")
    recurrent_bias = None if bias is None else bias[1]

    def step(projected: Array, state: Array) -> Array:
        recurrent = state @ kernel
        if recurrent_bias is not None:
            recurrent += recurrent_bias
        gates = projected[:, : 2 * u] + recurrent[:, : 2 * u]
        gate(gates)
        update, reset = gates[:, :u], gates[:, u:]
        candidate = projected[:, 2 * u :] + reset * recurrent[:, 2 * u :]
        activate(candidate)
        return blend(update, state, candidate)

    return step


def reset_before(spec: GRUSpec, weights: Mapping[str, Array]) -> Step:
    """Return the step whose reset gate acts on the state before its product for the candidate [reset-before]."""
    u = spec.units
    gate, activate = ACTIVATIONS[spec.recurrent_activation], ACTIVATIONS[spec.activation]
    gate_kernel, candidate_kernel = np.split(weights["recurrent_kernel"], [2 * u], axis=1)

    def step(projected: Array, state: Array) -> Array:
        gates = projected[:, : 2 * u] + state @ gate_kernel
        gate(gates)
        update, reset = gates[:, :u], gates[:, u:]
        candidate = projected[:, 2 * u :] + (reset * state) @ candidate_kernel
        activate(candidate)
        return blend(update, state, candidate)

    return step


def blend(update: Array, state: Array, candidate: Array) -> Array:
    """Return the new state, update * state + (1 - update) * candidate [update]."""
    new: Array = update * state + (1 - update) * candidate
    return new
