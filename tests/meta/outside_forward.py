"""The forward half of a GRU that knows the public protocol of gruspec and nothing else of it.

The layer is a class of small methods, so that a fault is a subclass that gets one of them wrong. Rows whose timestep is
masked take no part in a step. Symbols: ``B`` rows, ``T`` timesteps, ``D`` input size, ``u``
units, ``b`` the rows that are valid in one step. Sequences are (T, B, ...) in the order of processing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.backend import Output, batch_major_mask
from gruspec.spec import (
    acting_masks,
    call_dimensions,
    check_carry,
    check_reset,
    dropout_mask_shapes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.backend import Weights
    from gruspec.spec import Dimensions, GRUSpec

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Arrays: TypeAlias = dict[str, Array]

FUNCTIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 0.5 + 0.5 * np.tanh(0.5 * a),
    "hard_sigmoid": lambda a: np.clip(0.2 * a + 0.5, 0, 1),
    "relu": lambda a: np.maximum(a, 0),
    "linear": lambda a: a,
}


@dataclass
class Call:
    """The arguments of a call as they are given."""

    inputs: Array
    mask: Array | None = None
    initial_state: Array | None = None
    training: bool = False
    dropout_masks: Mapping[str, Array] | None = None


@dataclass
class Step:
    """One timestep of the rows that are valid in it.

    ``inputs`` (3, b, D) and ``states`` (3, b, u) are what the products of z, r and h see after dropout; ``previous``
    (b, u) is the state before the step; ``sums`` and ``values`` (3, b, u) are arguments and values of the activations;
    ``reset`` (b, u) is what the reset gate multiplies; ``new`` (b, u) is the state after the step.
    """

    rows: Array
    masks: tuple[Array, Array]
    inputs: Array
    states: Array
    previous: Array
    sums: Array
    values: Array
    reset: Array
    new: Array


@dataclass
class Trace:
    """What a call leaves for the way back.

    ``valid`` (T, B) tells which rows take part in which step; ``start`` and ``state`` (B, u) are the states before and
    after all ``steps``; ``shown`` (T, B, u) are the outputs.
    """

    call: Call
    sizes: Dimensions
    valid: Array
    start: Array
    steps: list[Step]
    shown: Array
    state: Array


class ForwardGRU:
    """The layer, behind :class:`gruspec.backend.Layer`."""

    def __init__(self, spec: GRUSpec, weights: Weights, dtype: str) -> None:
        self.spec, self.dtype = spec, np.dtype(dtype)
        self.recorded: Array | None = None
        self.bind(weights)

    def bind(self, weights: Weights) -> None:
        """Part the weights by gate: W (3, D, u), U (3, u, u), the biases b and b' (3, u)."""
        self.weights = dict(weights)
        self.kernels = self.parted(weights["kernel"])
        self.recurrent_kernels = self.parted(weights["recurrent_kernel"])
        rows = self.weights.get("bias", np.zeros(3 * self.spec.units, self.dtype)).reshape(-1, 3, self.spec.units)
        self.biases = rows[0], (rows[1] if self.spec.reset_after and len(rows) > 1 else np.zeros_like(rows[0]))

    def parted(self, kernel: Array) -> Array:
        """Return a kernel (n, 3u) as (3, n, u)."""
        return kernel.reshape(len(kernel), 3, self.spec.units).swapaxes(0, 1)

    def __call__(
        self,
        inputs: Array,
        *,
        mask: Array | None = None,
        initial_state: Array | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, Array] | None = None,
    ) -> Output:
        """Run the layer; see :class:`gruspec.backend.Layer`."""
        with np.errstate(all="ignore"):
            return self.returned(self.run(Call(inputs, mask, initial_state, training, dropout_masks)))

    def reset_states(self, states: Array | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros."""
        batch = None if self.recorded is None else len(self.recorded)
        check_reset(self.spec, batch, None if states is None else states.shape)
        if self.recorded is not None:
            self.recorded = np.zeros_like(self.recorded) if states is None else states.astype(self.dtype)

    def run(self, call: Call) -> Trace:
        """Check the arguments, process all timesteps, record the state."""
        sizes = self.checked(call)
        masks = self.dropout(call, sizes)
        inputs, valid, start = self.sequence(call, sizes), self.valid(call, sizes), self.start(call, sizes)
        trace = Trace(call, sizes, valid, start, [], np.zeros((sizes.timesteps, *start.shape), self.dtype), start)
        shown, state = np.zeros_like(start), start.copy()
        for index in range(sizes.timesteps):
            shown, state = shown.copy(), state.copy()
            step = self.step(trace, np.flatnonzero(valid[index]), inputs[index], state, masks)
            trace.steps.append(step)
            self.proceed(trace, index, shown, state)
            trace.shown[index] = shown
        trace.state = state
        self.record(trace)
        return trace

    def checked(self, call: Call) -> Dimensions:
        """Return the sizes of a call whose shapes fit."""
        shapes = {name: array.shape for name, array in self.weights.items()}
        given = [None if array is None else array.shape for array in (call.mask, call.initial_state)]
        sizes = call_dimensions(self.spec, shapes, call.inputs.shape, *given)
        if self.spec.stateful:
            check_carry(None if self.recorded is None else len(self.recorded), sizes.batch)
        return sizes

    def dropout(self, call: Call, sizes: Dimensions) -> tuple[Array, Array]:
        """Return masks of inputs (3, B, D) and states (3, B, u), of ones where none act."""
        acting = acting_masks(self.spec, call.dropout_masks, training=call.training, sizes=sizes)
        shapes = dropout_mask_shapes(self.spec, sizes)
        found = [acting.get(kind, np.ones((), self.dtype)) for kind in ("inputs", "recurrent")]
        full = ((3, *shapes["inputs"][1:]), shapes["recurrent"])
        first, second = (np.broadcast_to(mask, shape) for mask, shape in zip(found, full, strict=True))
        return first, second

    def ordered(self, sequence: Array) -> Array:
        """Return a sequence (T, ...) in the order of processing, or such a one in the order of time."""
        return sequence[::-1] if self.spec.go_backwards else sequence

    def sequence(self, call: Call, _: Dimensions) -> Array:
        """Return the inputs (T, B, D) in the order of processing."""
        return self.ordered(call.inputs if self.spec.time_major else call.inputs.swapaxes(0, 1))

    def valid(self, call: Call, sizes: Dimensions) -> Array:
        """Return which rows are valid in which step, bool (T, B)."""
        if call.mask is None:
            return np.ones((sizes.timesteps, sizes.batch), bool)
        return self.ordered(batch_major_mask(call.mask, time_major=self.spec.time_major).T)

    def start(self, call: Call, sizes: Dimensions) -> Array:
        """Return the state (B, u) before the first step."""
        if call.initial_state is not None:
            return call.initial_state.astype(self.dtype)
        if self.spec.stateful and self.recorded is not None:
            return self.recorded
        return np.zeros((sizes.batch, sizes.units), self.dtype)

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        """Compute one step of some rows from inputs (B, D) and state (B, u), which it leaves as they are."""
        chosen = masks[0][:, rows], masks[1][:, rows]
        seen, states = inputs[rows] * chosen[0], state[rows] * chosen[1]
        sums = self.inner(seen, states)
        values = np.empty_like(sums)
        values[:2] = self.gate(sums[:2])
        reset = states[2]
        if self.spec.reset_after:
            reset = reset @ self.recurrent_kernels[2] + self.biases[1][2]
        sums[2] += self.candidate_share(trace, values[1], reset)
        values[2] = self.candidate(sums[2])
        new = self.update(trace, rows, values, state[rows])
        return Step(rows, chosen, seen, states, state[rows], sums, values, reset, new)

    def inner(self, inputs: Array, states: Array) -> Array:
        """Return the arguments of the activations (3, b, u), that of the candidate without its recurrent share."""
        bias, recurrent_bias = self.biases
        sums: Array = inputs @ self.kernels + bias[:, None]
        sums[:2] += states[:2] @ self.recurrent_kernels[:2] + recurrent_bias[:2, None]
        return sums

    def candidate_share(self, _: Trace, reset_gate: Array, reset: Array) -> Array:
        """Return the recurrent share (b, u) of the candidate's argument."""
        share: Array = reset_gate * reset
        if not self.spec.reset_after:
            share = share @ self.recurrent_kernels[2]
        return share

    def gate(self, sums: Array) -> Array:
        """Return the values of the gates."""
        values: Array = FUNCTIONS[self.spec.recurrent_activation](sums)
        return values

    def candidate(self, sums: Array) -> Array:
        """Return the candidate."""
        values: Array = FUNCTIONS[self.spec.activation](sums)
        return values

    def update(self, _: Trace, __: Array, values: Array, state: Array) -> Array:
        """Return the new state (b, u) of some rows from the values (3, b, u) of the activations."""
        update, _reset_gate, candidate = values
        new: Array = update * state + (1 - update) * candidate
        return new

    def proceed(self, trace: Trace, index: int, shown: Array, state: Array) -> None:
        """Write what the latest step gives to output and state, both (B, u)."""
        step = trace.steps[-1]
        if self.spec.zero_output_for_mask:
            shown[~trace.valid[index]] = 0
        shown[step.rows] = step.new
        state[step.rows] = step.new

    def record(self, trace: Trace) -> None:
        """Keep the final state of a stateful layer."""
        if self.spec.stateful:
            self.recorded = trace.state

    def returned(self, trace: Trace) -> Output:
        """Return what a call returns."""
        return Output(self.outputs(trace), trace.state)

    def outputs(self, trace: Trace) -> Array:
        """Return the sequence of outputs or the last one."""
        if self.spec.return_sequences:
            return trace.shown if self.spec.time_major else trace.shown.swapaxes(0, 1)
        return trace.shown[-1] if len(trace.shown) else np.zeros_like(trace.state)
