"""A GRU computed row by row and step by step, which owes nothing to the implementations it is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

Array: TypeAlias = "NDArray[Any]"

FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hard_sigmoid": lambda a: np.minimum(np.maximum(a / 5 + 0.5, 0), 1),
    "relu": lambda a: np.maximum(a, 0),
    "linear": lambda a: a,
}


def loop(
    spec: GRUSpec, weights: dict[str, Array], inputs: Array, mask: Array | None = None, initial_state: Any = None
) -> tuple[Array, Array]:
    """Return outputs and state, row by row and step by step in float64."""
    x = (inputs.swapaxes(0, 1) if spec.time_major else inputs).astype(float)
    valid = np.ones(x.shape[:2], bool) if mask is None else mask.T if spec.time_major else mask
    states = np.zeros((len(x), spec.units)) if initial_state is None else np.array(initial_state, float)
    bias = weights.get("bias", np.zeros((2, 3 * spec.units))).astype(float)
    b, c = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    gate, activation = FUNCTIONS[spec.recurrent_activation], FUNCTIONS[spec.activation]
    outputs = np.zeros((len(x), x.shape[1], spec.units))
    for row, h0 in enumerate(states):
        h, y = h0, np.zeros(spec.units)
        for i, t in enumerate(range(x.shape[1])[:: -1 if spec.go_backwards else 1]):
            if valid[row, t]:
                kernels = np.split(weights["kernel"], 3, axis=1), np.split(weights["recurrent_kernel"], 3, axis=1)
                wz, wr, wh = (x[row, t] @ w + part for w, part in zip(kernels[0], np.split(b, 3), strict=True))
                cz, cr, ch = np.split(c, 3)
                uz, ur, uh = kernels[1]
                z, r = gate(wz + h @ uz + cz), gate(wr + h @ ur + cr)
                n = activation(wh + (r * (h @ uh + ch) if spec.reset_after else (r * h) @ uh))
                y = h = z * h + (1 - z) * n
            elif spec.zero_output_for_mask:
                y = np.zeros(spec.units)
            outputs[row, i] = y
        states[row] = h
    last = outputs[:, -1]
    sequence = outputs.swapaxes(0, 1) if spec.time_major else outputs
    return (sequence if spec.return_sequences else last), states
