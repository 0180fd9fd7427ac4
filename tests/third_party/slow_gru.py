"""A GRU in plain NumPy, one timestep at a time, and the adapter that lets gruspec judge it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gruspec.backend import Capabilities, Output, refuse_dropout
from gruspec.errors import NotStatefulError
from gruspec.spec import call_dimensions

FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 0.5 + 0.5 * np.tanh(0.5 * a),
    "hard_sigmoid": lambda a: np.clip(0.2 * a + 0.5, 0, 1),
    "relu": lambda a: np.maximum(a, 0),
    "linear": lambda a: a,
}
SWITCHES = ("return_sequences", "return_state", "go_backwards", "unroll", "time_major", "zero_output_for_mask")


class SlowGRU:
    def __init__(self, spec: Any, weights: Any) -> None:
        self.spec, self.weights = spec, weights

    @np.errstate(invalid="ignore")
    def step(self, x: Any, h: Any) -> Any:
        gate, candidate = FUNCTIONS[self.spec.recurrent_activation], FUNCTIONS[self.spec.activation]
        b = np.zeros((2, 3 * self.spec.units), h.dtype)
        b[: 1 + self.spec.reset_after] = self.weights.get("bias", 0)
        (xz, xr, xh), (bz, br, bh) = np.split(x @ self.weights["kernel"] + b[0], 3, axis=1), np.split(b[1], 3)
        uz, ur, uh = np.split(self.weights["recurrent_kernel"], 3, axis=1)
        z, r = gate(xz + h @ uz + bz), gate(xr + h @ ur + br)
        c = candidate(xh + (r * (h @ uh + bh) if self.spec.reset_after else (r * h) @ uh))
        return z * h + (1 - z) * c

    def __call__(self, inputs: Any, *, mask: Any = None, initial_state: Any = None, **training: Any) -> Output:
        refuse_dropout(self.spec, training=training.get("training", False))
        given: Any = [None if array is None else array.shape for array in (inputs, mask, initial_state)]
        sizes = call_dimensions(self.spec, {name: w.shape for name, w in self.weights.items()}, *given)
        valid = np.ones((*inputs.shape[:2], 1), bool) if mask is None else mask.reshape(*inputs.shape[:2], 1)
        if not self.spec.time_major:
            inputs, valid = inputs.swapaxes(0, 1), valid.swapaxes(0, 1)
        y = np.zeros((sizes.batch, sizes.units), inputs.dtype)
        h, outputs = y if initial_state is None else initial_state, np.zeros((sizes.timesteps, *y.shape), y.dtype)
        for i, t in enumerate(range(sizes.timesteps)[:: -1 if self.spec.go_backwards else 1]):
            new, now = self.step(inputs[t], h), valid[t]
            y, h = np.where(now, new, np.zeros_like(y) if self.spec.zero_output_for_mask else y), np.where(now, new, h)
            outputs[i] = y
        sequence = outputs if self.spec.time_major else outputs.swapaxes(0, 1)
        return Output(sequence if self.spec.return_sequences else y, h)

    def reset_states(self, states: Any = None) -> None:  # noqa: ARG002
        raise NotStatefulError("reset_states: this layer keeps no state")


class SlowBackend:
    def capabilities(self) -> Capabilities:
        summary = "plain NumPy, one timestep at a time"
        return Capabilities(summary=summary, kind="native", switches=SWITCHES, dropout=False, gradients=False)

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}

    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str) -> SlowGRU:
        self.capabilities().require(spec, dtype=dtype, device=device)
        return SlowGRU(spec, weights)


backend = SlowBackend
