"""Faults of our own invention, of kinds that happen when a GRU is written for speed or for one use only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from outside_gru import GRU
from outside_planting import Planting

if TYPE_CHECKING:
    from outside_forward import Array, Arrays, Call, Step, Trace

    from gruspec.backend import Output
    from gruspec.spec import Dimensions

INVENTED = Planting()


@INVENTED.invention
class UnitsOneAfterTheOther(GRU):
    """updates the state in place, unit by unit: a unit sees what the units before it have become in this step"""

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        seen = state.copy()
        for unit in range(self.spec.units):
            step = super().step(trace, rows, inputs, seen, masks)
            seen[rows, unit] = step.new[:, unit]
        return replace(super().step(trace, rows, inputs, state, masks), new=seen[rows])


@INVENTED.invention
class ResetGateOfTheStepBefore(GRU):
    """applies in each step but the first the reset gate of the step before, whose place in a pipeline it took"""

    def candidate_share(self, trace: Trace, reset_gate: Array, reset: Array) -> Array:
        late = trace.steps and len(trace.steps[-1].rows) == len(reset_gate)
        return super().candidate_share(trace, trace.steps[-1].values[1] if late else reset_gate, reset)


@INVENTED.invention
class InputsOfTheNextStep(GRU):
    """reads the inputs of the next timestep in each step but the last, as a prefetch that runs one step ahead"""

    def sequence(self, call: Call, sizes: Dimensions) -> Array:
        inputs = super().sequence(call, sizes)
        return np.concatenate([inputs[1:], inputs[-1:]])


@INVENTED.invention
class BiasAlongRows(GRU):
    """adds the input bias along the rows where there are as many rows as units"""

    def inner(self, inputs: Array, states: Array) -> Array:
        sums, bias = super().inner(inputs, states), self.biases[0]
        if inputs.shape[1] != self.spec.units:
            return sums
        along: Array = sums - bias[:, None] + bias[:, :, None]
        return along


@INVENTED.invention
class BiasInTheFirstStepOnly(GRU):
    """adds the biases in the first step only"""

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        kept = self.biases
        if trace.steps:
            self.biases = np.zeros_like(kept[0]), np.zeros_like(kept[1])
        step = super().step(trace, rows, inputs, state, masks)
        self.biases = kept
        return step


@INVENTED.invention
class StateClampedToOne(GRU):
    """clamps the state to [-1, 1], where a candidate of tanh would keep it"""

    def update(self, trace: Trace, rows: Array, values: Array, state: Array) -> Array:
        return np.clip(super().update(trace, rows, values, state), -1, 1)


@INVENTED.invention
class ActiveRowsPackedToTheFront(GRU):
    """computes the valid rows of a step side by side, and writes them back as the first rows of the batch"""

    def proceed(self, trace: Trace, index: int, shown: Array, state: Array) -> None:
        step = trace.steps[-1]
        packed = replace(step, rows=np.arange(len(step.rows)))
        trace.steps[-1] = packed
        super().proceed(trace, index, shown, state)
        trace.steps[-1] = step


@INVENTED.invention
class StateSortedByLength(GRU):
    """sorts rows by their number of valid timesteps, longest first, and does not sort the final state back"""

    def returned(self, trace: Trace) -> Output:
        order = np.argsort(-trace.valid.sum(axis=0), kind="stable")
        return super().returned(replace(trace, state=trace.state[order]))


@INVENTED.invention
class InputsOfTheFirstCall(GRU):
    """runs every call as it captured the first one of the same shape, inputs included"""

    captured: Array | None = None

    def sequence(self, call: Call, sizes: Dimensions) -> Array:
        inputs = super().sequence(call, sizes)
        if self.captured is None or self.captured.shape != inputs.shape:
            self.captured = inputs
        return self.captured


@INVENTED.invention
class MasksOfTheFirstRow(GRU):
    """drops in all rows what the dropout masks drop in the first"""

    def dropout(self, call: Call, sizes: Dimensions) -> tuple[Array, Array]:
        first, second = (np.broadcast_to(mask[:, :1], mask.shape) for mask in super().dropout(call, sizes))
        return first, second


@INVENTED.invention
class GradientsAddUp(GRU):
    """adds the gradients of the weights to those of the calls before, which nobody has cleared"""

    total: Arrays | None = None

    def weight_gradients(self, shares: Arrays) -> Arrays:
        found = super().weight_gradients(shares)
        before = self.total or {name: np.zeros_like(array) for name, array in found.items()}
        self.total = {name: array + before[name] for name, array in found.items()}
        return self.total


@INVENTED.invention
class RecurrentGradientsOfTheNewState(GRU):
    """forms the gradient of the recurrent kernel with the state after each step instead of the one before it"""

    def step_back(self, trace: Trace, index: int) -> Step:
        step = super().step_back(trace, index)
        return replace(step, states=step.new * step.masks[1])
