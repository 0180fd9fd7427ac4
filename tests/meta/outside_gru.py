"""A GRU from outside, gradients included, and the implementation whose layers it makes up.

A step of the way back takes the rows that took part in it on the way forward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from outside_forward import Call, ForwardGRU

from gruspec.backend import Capabilities, Differentiated
from gruspec.spec import check_cotangents, check_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outside_forward import Array, Arrays, Step, Trace

    from gruspec.backend import Weights
    from gruspec.spec import GRUSpec

SLOPES: dict[str, Any] = {
    "tanh": lambda _, value: (1 - value) * (1 + value),
    "sigmoid": lambda _, value: value * (1 - value),
    "hard_sigmoid": lambda a, _: np.where(abs(0.2 * a) <= 0.5, a.dtype.type(0.2), a.dtype.type(0)),
    "relu": lambda a, _: (a > 0).astype(a.dtype),
    "linear": lambda a, _: np.ones_like(a),
}
"""Derivatives, from the argument of an activation and its value."""


class GRU(ForwardGRU):
    """The layer, behind :class:`gruspec.backend.DifferentiableLayer`."""

    def vjp(
        self,
        inputs: Array,
        *,
        cotangents: Mapping[str, Array],
        mask: Array | None = None,
        initial_state: Array | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, Array] | None = None,
    ) -> Differentiated:
        """Run the layer and pull cotangents back; see :class:`gruspec.backend.DifferentiableLayer`."""
        call = Call(inputs, mask, initial_state, training, dropout_masks)
        with np.errstate(all="ignore"):
            trace = self.run(call)
            check_cotangents(self.spec, trace.sizes, cotangents)
            return Differentiated(self.returned(trace), self.gradients(call, trace, cotangents))

    def gradients(self, call: Call, trace: Trace, cotangents: Mapping[str, Array]) -> Arrays:
        """Return the gradients of all arguments by name."""
        shares = {
            "kernel": np.zeros_like(self.kernels),
            "recurrent_kernel": np.zeros_like(self.recurrent_kernels),
            "bias": np.zeros((2, 3, self.spec.units), self.dtype),
        }
        of_inputs = np.zeros((*trace.valid.shape, trace.sizes.input_size), self.dtype)
        state = np.zeros_like(trace.state) + cotangents.get("state", np.zeros((), self.dtype))
        shown, of_outputs = np.zeros_like(state), self.cotangents_of_steps(trace, cotangents)
        for index in reversed(range(len(trace.steps))):
            step = self.step_back(trace, index)
            rows = step.rows
            shown = shown + of_outputs[index]
            cotangent = state[rows] + shown[rows]
            shown[rows] = 0
            if self.spec.zero_output_for_mask:
                shown[:] = 0
            of_inputs[index, rows], state[rows] = self.back(step, cotangent, shares)
        found = {"inputs": self.inputs_gradient(of_inputs), **self.weight_gradients(shares)}
        return found if call.initial_state is None else {**found, "initial_state": state}

    def cotangents_of_steps(self, trace: Trace, cotangents: Mapping[str, Array]) -> Array:
        """Return the cotangents of the outputs of all steps, (T, B, u)."""
        found = np.zeros_like(trace.shown)
        if "outputs" in cotangents:
            given = cotangents["outputs"]
            if not self.spec.return_sequences:
                found[-1:] = given
            else:
                found[:] = given if self.spec.time_major else given.swapaxes(0, 1)
        return found

    def step_back(self, trace: Trace, index: int) -> Step:
        """Return a step as the way back sees it."""
        return trace.steps[index]

    def back(self, step: Step, cotangent: Array, shares: Arrays) -> tuple[Array, Array]:
        """Add to the gradients of the weights, and return those of inputs (b, D) and state (b, u)."""
        update, reset_gate, candidate = step.values
        of_sums = np.empty_like(step.sums)
        of_sums[0] = cotangent * (step.previous - candidate) * self.gate_slope(step, 0)
        of_sums[2] = cotangent * (1 - update) * SLOPES[self.spec.activation](step.sums[2], step.values[2])
        recurrent = self.recurrent_kernels[2].T
        of_product = of_sums[2] if self.spec.reset_after else of_sums[2] @ recurrent
        of_sums[1] = of_product * step.reset * self.gate_slope(step, 1)
        of_reset = of_product * reset_gate
        shares["kernel"] += step.inputs.swapaxes(1, 2) @ of_sums
        shares["recurrent_kernel"][:2] += step.states[:2].swapaxes(1, 2) @ of_sums[:2]
        if self.spec.reset_after:
            shares["recurrent_kernel"][2] += step.states[2].T @ of_reset
        else:
            shares["recurrent_kernel"][2] += (reset_gate * step.reset).T @ of_sums[2]
        shares["bias"][0] += of_sums.sum(axis=1)
        shares["bias"][1, :2] += of_sums[:2].sum(axis=1)
        shares["bias"][1, 2] += of_reset.sum(axis=0)
        masks, state = step.masks, cotangent * update
        of_states = self.of_states(of_sums, of_reset)
        return self.of_inputs(of_sums, masks[0]), state + sum(a * b for a, b in zip(of_states, masks[1], strict=True))

    def of_states(self, of_sums: Array, of_reset: Array) -> list[Array]:
        """Return the gradients (b, u) of the states that the three products see, before dropout."""
        gates = of_sums[:2] @ self.recurrent_kernels[:2].swapaxes(1, 2)
        return [*gates, of_reset @ self.recurrent_kernels[2].T if self.spec.reset_after else of_reset]

    def gate_slope(self, step: Step, gate: int) -> Array:
        """Return the derivative of a gate (b, u)."""
        slope: Array = SLOPES[self.spec.recurrent_activation](step.sums[gate], step.values[gate])
        return slope

    def of_inputs(self, of_sums: Array, masks: Array) -> Array:
        """Return the gradient of the inputs of one step (b, D)."""
        gradient: Array = ((of_sums @ self.kernels.swapaxes(1, 2)) * masks).sum(axis=0)
        return gradient

    def inputs_gradient(self, of_inputs: Array) -> Array:
        """Return the gradient of the inputs in their layout, from that in the order of processing (T, B, D)."""
        found = self.ordered(of_inputs)
        return found if self.spec.time_major else found.swapaxes(0, 1)

    def weight_gradients(self, shares: Arrays) -> Arrays:
        """Return the gradients of the weights in their layout."""
        found: Arrays = {
            name: shares[name].swapaxes(0, 1).reshape(self.weights[name].shape)
            for name in ("kernel", "recurrent_kernel")
        }
        if self.spec.use_bias:
            found["bias"] = shares["bias"].reshape(2, -1) if self.spec.reset_after else shares["bias"][0].ravel()
        return found


class OutsideBackend:
    """An implementation whose layers are of one class.

    Parameters
    ----------
    layer
        The class, by default one without a fault.
    """

    def __init__(self, layer: type[GRU] = GRU) -> None:
        self.layer = layer

    def capabilities(self) -> Capabilities:
        """Return that all but losses is declared."""
        return Capabilities(summary="a GRU from outside, one timestep at a time", modules=("numpy",))

    def versions(self) -> dict[str, str]:
        """Return the version of NumPy."""
        return {"numpy": np.__version__}

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> GRU:
        """Bind a layer whose weights fit."""
        self.capabilities().require(spec, dtype=dtype, device=device)
        check_weights(spec, {name: array.shape for name, array in weights.items()})
        return self.layer(spec, weights, dtype)
