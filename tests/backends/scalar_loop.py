"""A GRU computed row by row and step by step, which owes nothing to the implementations it is compared with.

Its gradients are central differences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

Array: TypeAlias = "NDArray[Any]"

STEP = 2e-6
"""Half the distance of two points whose difference gives a slope; it is then right to about 1e-9."""

FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hard_sigmoid": lambda a: np.minimum(np.maximum(a / 5 + 0.5, 0), 1),
    "relu": lambda a: np.maximum(a, 0),
    "linear": lambda a: a,
}


def loop(
    spec: GRUSpec,
    weights: Mapping[str, Array],
    inputs: Array,
    mask: Array | None = None,
    initial_state: Any = None,
    dropout_masks: Mapping[str, Array] | None = None,
) -> tuple[Array, Array]:
    """Return outputs and state, row by row and step by step in float64; all dropout masks that are given act."""
    x = (inputs.swapaxes(0, 1) if spec.time_major else inputs).astype(float)
    valid = np.ones(x.shape[:2], bool) if mask is None else mask.T if spec.time_major else mask
    states = np.zeros((len(x), spec.units)) if initial_state is None else np.array(initial_state, float)
    bias = weights.get("bias", np.zeros((2, 3 * spec.units))).astype(float)
    b, c = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    gate, activation = FUNCTIONS[spec.recurrent_activation], FUNCTIONS[spec.activation]
    given = dropout_masks or {}
    m = np.broadcast_to(given.get("inputs", np.ones(())), (3, len(x), x.shape[2]))
    k = np.broadcast_to(given.get("recurrent", np.ones(())), (3, len(x), spec.units))
    outputs = np.zeros((len(x), x.shape[1], spec.units))
    for row, h0 in enumerate(states):
        h, y = h0, np.zeros(spec.units)
        for i, t in enumerate(range(x.shape[1])[:: -1 if spec.go_backwards else 1]):
            if valid[row, t]:
                kernels = np.split(weights["kernel"], 3, axis=1), np.split(weights["recurrent_kernel"], 3, axis=1)
                shares = zip(m[:, row], kernels[0], np.split(b, 3), strict=True)
                wz, wr, wh = ((x[row, t] * mask) @ w + part for mask, w, part in shares)
                cz, cr, ch = np.split(c, 3)
                uz, ur, uh = kernels[1]
                hz, hr, hh = h * k[:, row]
                z, r = gate(wz + hz @ uz + cz), gate(wr + hr @ ur + cr)
                n = activation(wh + (r * (hh @ uh + ch) if spec.reset_after else (r * hh) @ uh))
                y = h = z * h + (1 - z) * n
            elif spec.zero_output_for_mask:
                y = np.zeros(spec.units)
            outputs[row, i] = y
        states[row] = h
    last = outputs[:, -1]
    sequence = outputs.swapaxes(0, 1) if spec.time_major else outputs
    return (sequence if spec.return_sequences else last), states


def differences(
    spec: GRUSpec, weights: Mapping[str, Array], arguments: Mapping[str, Any], cotangents: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the gradients of inputs, initial state and weights, from central differences of the loop in float64."""
    named: dict[str, Array] = {name: arguments[name] for name in ("inputs", "initial_state") if name in arguments}
    points = {name: np.array(values, float) for name, values in (named | dict(weights)).items()}

    def total() -> float:
        call = {name: points.get(name, values) for name, values in arguments.items()}
        results = loop(spec, {name: points[name] for name in weights}, **call)
        pairs = zip(("outputs", "state"), results, strict=True)
        return sum(float((result * cotangents[name]).sum()) for name, result in pairs if name in cotangents)

    gradients = {name: np.zeros_like(values) for name, values in points.items()}
    for name, values in points.items():
        for at in np.ndindex(values.shape):
            middle, sums = values[at], []
            for step in (-STEP, STEP):
                values[at] = middle + step
                sums.append(total())
            values[at] = middle
            gradients[name][at] = (sums[1] - sums[0]) / (2 * STEP)
    return gradients
