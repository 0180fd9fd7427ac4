"""Faults that version 1.1.0 of the golden suite did not catch; each made it grow.

Most only refuse what must be accepted, accept what must be refused, or need a size that no case had.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from outside_gru import GRU
from outside_planting import Planting

if TYPE_CHECKING:
    from outside_forward import Array, Call, Step, Trace

    from gruspec.spec import Dimensions

SURVIVED = Planting()


def batch(layer: GRU, call: Call) -> int:
    """Return the number of rows of a call."""
    rows: int = call.inputs.shape[1 if layer.spec.time_major else 0]
    return rows


@SURVIVED.replays(
    ("pytorch/pytorch#3259", "Dimensions of GRU's hidden state mismatch but doesn't throw an error"),
    says="an initial state for more layers than there are is taken without an error",
)
class StateOfMoreRows(GRU):
    """uses the first rows of an initial state that has more rows than the inputs"""

    def checked(self, call: Call) -> Dimensions:
        if call.initial_state is not None and call.inputs.ndim == 3:
            call.initial_state = call.initial_state[: batch(self, call)]
        return super().checked(call)


@SURVIVED.replays(
    (
        "microsoft/onnxruntime#19270",
        "Cannot run batch inference with GRU layer, even though the model was exported with dynamic axes",
    ),
    says="an exported model runs with the batch size of its export only",
)
class BatchOfTheFirstCall(GRU):
    """refuses another number of rows than in its first call, though it is not stateful"""

    rows: int | None = None

    def checked(self, call: Call) -> Dimensions:
        sizes = super().checked(call)
        if self.rows not in {None, sizes.batch}:
            raise ValueError(f"Got invalid dimensions: {sizes.batch}, expected: {self.rows}")
        self.rows = sizes.batch
        return sizes


@SURVIVED.replays(
    (
        "flagos-ai/FlagGems#5014",
        (
            "[Bug] _thnn_fused_lstm_cell stores pre-activation gates in the workspace, "
            "and silently drops hidden_size > 128"
        ),
    ),
    says="a fused LSTM kernel handles one block of 128 units, and leaves out those after it",
)
class UnitsPastABlock(GRU):
    """does not compute the units after the first 128 (an LSTM)"""

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        step = super().step(trace, rows, inputs, state, masks)
        new = step.new.copy()
        new[:, 128:] = 0
        return replace(step, new=new)


@SURVIVED.invention
class MaskOfOneRow(GRU):
    """uses a mask of one row for all rows, as measured in tf_keras 2.21"""

    def checked(self, call: Call) -> Dimensions:
        if call.mask is not None and not self.spec.time_major and len(call.mask) == 1:
            call.mask = np.broadcast_to(call.mask, (batch(self, call), *call.mask.shape[1:]))
        return super().checked(call)


@SURVIVED.invention
class MaskTooLong(GRU):
    """cuts off what a mask has too many timesteps, as measured in tf_keras 2.21, unrolled"""

    def checked(self, call: Call) -> Dimensions:
        if call.mask is not None and not self.spec.time_major and call.inputs.ndim == 3:
            call.mask = call.mask[:, : call.inputs.shape[1]]
        return super().checked(call)


@SURVIVED.invention
class RefusedForGood(GRU):
    """refuses every call after one that it had to refuse, as measured in tf_keras 2.21 with an unbuilt layer"""

    refused = False

    def checked(self, call: Call) -> Dimensions:
        before, self.refused = self.refused, True
        sizes = super().checked(call)
        if before:
            raise ValueError("an initial state was passed that is not compatible")
        self.refused = False
        return sizes


@SURVIVED.invention
class StateLostInARefusedCall(GRU):
    """records zeros when it refuses a call with the right number of rows"""

    def checked(self, call: Call) -> Dimensions:
        kept, self.recorded = self.recorded, None if self.recorded is None else np.zeros_like(self.recorded)
        if kept is not None and len(kept) != batch(self, call):
            self.recorded = kept
        sizes = super().checked(call)
        self.recorded = kept
        return sizes


@SURVIVED.invention
class OtherBatchStartsAnew(GRU):
    """starts from zeros where a stateful layer is called with another number of rows"""

    def checked(self, call: Call) -> Dimensions:
        if self.recorded is not None and len(self.recorded) != batch(self, call):
            self.recorded = None
        return super().checked(call)


@SURVIVED.invention
class StateLostAfter64Steps(GRU):
    """computes the 65th step from a state of zeros"""

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        return super().step(trace, rows, inputs, state * (len(trace.steps) != 64), masks)


@SURVIVED.invention
class FeaturesPastSixteen(GRU):
    """ignores the features after the first 16"""

    def sequence(self, call: Call, sizes: Dimensions) -> Array:
        inputs = super().sequence(call, sizes).copy()
        inputs[..., 16:] = 0
        return inputs


@SURVIVED.invention
class StateOfTheNinthRow(GRU):
    """sets the state of the ninth row and those after it to zero before every step but the first"""

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        seen = state.copy()
        seen[8 if trace.steps else len(seen) :] = 0
        return super().step(trace, rows, inputs, seen, masks)
