"""Faults that happened: each replays the mechanism of a report of a real bug, named by its title.

The reports are of issues and pull requests on GitHub. Where one is about something next to a GRU, the class says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from outside_gru import GRU
from outside_planting import Planting

from gruspec.errors import SpecError
from gruspec.spec import acting_dropout

if TYPE_CHECKING:
    from outside_forward import Array, Call, Step, Trace

    from gruspec.backend import Differentiated
    from gruspec.spec import Dimensions

REPLAYED = Planting()

RESET_FAILURE = (
    "reset_states() failure in a stateful network with initial_states set and training in batch - "
    "TypeError: 'NoneType' object is not subscriptable"
)
"""The title of two reports."""


@REPLAYED.replays(
    ("tracel-ai/burn#2701", "GRU implementation does not use hidden state in iteration, differs from PyTorch"),
    says="no step sees the hidden state of the step before, so that all outputs but the first are wrong",
)
class EveryStepFromTheStart(GRU):
    """computes every step from the initial state, so that no step sees what the step before it left"""

    def step(self, trace: Trace, rows: Array, inputs: Array, state: Array, masks: tuple[Array, Array]) -> Step:
        del state
        return super().step(trace, rows, inputs, trace.start, masks)


@REPLAYED.replays(
    ("pytorch/pytorch#78945", "[Vulkan] Fix bug in GRU op"),
    says="weights and biases are split by the input size where the hidden size is meant",
)
class GatesSplitByInputSize(GRU):
    """looks for the blocks of gates at multiples of the input size instead of the number of units"""

    def parted(self, kernel: Array) -> Array:
        starts = np.arange(3) * len(self.weights["kernel"])
        columns = starts[:, None] + np.arange(self.spec.units)
        return kernel.take(columns, axis=1, mode="clip").swapaxes(0, 1)


@REPLAYED.replays(
    ("microsoft/DirectML#99", "GRU Operator - Null pointer while determining the output tensor shape"),
    says="the shape of the output is read off the optional hidden state, which need not be there",
)
class SizesFromTheInitialState(GRU):
    """takes its sizes from the initial state, and fails where there is neither a given nor a recorded one"""

    def start(self, call: Call, sizes: Dimensions) -> Array:
        if call.initial_state is None and self.recorded is None:
            raise AttributeError("'NoneType' object has no attribute 'shape'")
        return super().start(call, sizes)


@REPLAYED.replays(
    ("keras-team/tf-keras#252", "RNN backward layers illegally apply zero_output_for_mask"),
    ("keras-team/keras#17596", "RNN backward layers illegally apply zero_output_for_mask"),
    says="without return_sequences, zeros for masked outputs come backwards and not forwards",
)
class ZeroLastOutputBackwardsOnly(GRU):
    """zeroes a masked last output under zero_output_for_mask only when it goes backwards; forwards it is the state"""

    def outputs(self, trace: Trace) -> Array:
        exempt = self.spec.zero_output_for_mask and not self.spec.return_sequences and not self.spec.go_backwards
        return trace.state if exempt and trace.steps else super().outputs(trace)


@REPLAYED.replays(
    ("microsoft/onnxruntime#1193", "CPU GRU and LSTM Ops: Address corner case where output is uninitialized"),
    says="outputs after the longest sequence of a batch are never written",
)
class OutputsPastTheLongestRow(GRU):
    """leaves outputs after the last timestep that is valid in any row as the memory is"""

    def outputs(self, trace: Trace) -> Array:
        valid = np.flatnonzero(self.ordered(trace.valid).any(axis=1))
        if self.spec.return_sequences and not self.spec.go_backwards and len(valid):
            trace.shown[valid[-1] + 1 :] = 2.0**-10
        return super().outputs(trace)


@REPLAYED.replays(
    ("zhiyongc/GRU-D#5", "Hidden states sequence order"),
    says="every hidden state is put to the left of those before it, which reverses time",
)
class OutputsPrepended(GRU):
    """puts each output in front of those before it, so that a sequence comes back in the reverse order"""

    def outputs(self, trace: Trace) -> Array:
        if not self.spec.return_sequences:
            return super().outputs(trace)
        return super().outputs(replace(trace, shown=trace.shown[::-1]))


@REPLAYED.replays(
    ("apache/mxnet#7382", "GRU not working with layout 'NTC'"),
    says="with the batch in front, an initial state of the documented shape is refused",
)
class StateOfTheOtherLayout(GRU):
    """wants an initial state with as many rows as there are timesteps, unless inputs are time-major"""

    def checked(self, call: Call) -> Dimensions:
        sizes = super().checked(call)
        given = call.initial_state
        if given is not None and not self.spec.time_major and len(given) != sizes.timesteps:
            raise SpecError(f"initial_state: shape {given.shape}; expected {(sizes.timesteps, sizes.units)}")
        return sizes


@REPLAYED.replays(
    ("mquad/hgru4rec#11", "Doubt on reset session_level init Hs[0]"),
    says="the candidate is computed from the reset state, the final update with the old one",
)
class UpdateOfTheStateBeforeTheReset(GRU):
    """mixes in the first update after a reset the state from before it; gates and candidate see the new one"""

    stale: Array | None = None

    def reset_states(self, states: Array | None = None) -> None:
        before = self.recorded
        super().reset_states(states)
        self.stale = before

    def update(self, trace: Trace, rows: Array, values: Array, state: Array) -> Array:
        first = not trace.steps and trace.call.initial_state is None
        return super().update(trace, rows, values, self.stale[rows] if first and self.stale is not None else state)

    def record(self, trace: Trace) -> None:
        super().record(trace)
        self.stale = None


@REPLAYED.replays(
    (
        "keras-team/keras#11148",
        RESET_FAILURE,
    ),
    (
        "tensorflow/tensorflow#25985",
        RESET_FAILURE,
    ),
    says="a stateful layer that was called with an initial state cannot be reset",
)
class ResetAfterAnExplicitState(GRU):
    """cannot be reset once it has been called with an initial state"""

    shape: tuple[int, ...] | None = None

    def checked(self, call: Call) -> Dimensions:
        self.shape = call.inputs.shape if call.initial_state is None else None
        return super().checked(call)

    def reset_states(self, states: Array | None = None) -> None:
        if self.recorded is not None and self.shape is None:
            raise TypeError("'NoneType' object is not subscriptable")
        super().reset_states(states)


@REPLAYED.replays(
    (
        "tensorflow/tensorflow#29391",
        "Dropout in GRU/LSTM in Tensorflow 2.0 doesn't reset dropout masks on call",
    ),
    ("tensorflow/tensorflow#32543", "RNN layer does not reset dropout masks of RNNCell"),
    says="dropout masks that are kept in the cell are used again in the next call",
)
class MasksOfTheFirstCall(GRU):
    """goes on with the dropout masks of its first call in training"""

    kept: tuple[Array, Array] | None = None

    def dropout(self, call: Call, sizes: Dimensions) -> tuple[Array, Array]:
        masks = super().dropout(call, sizes)
        if not acting_dropout(self.spec, training=call.training):
            return masks
        self.kept = self.kept or masks
        return self.kept


@REPLAYED.replays(
    ("keras-team/keras#8407", "Error when using dropout and initial_state in gru layer"),
    says="a layer with dropout fails if it is given an initial state; either alone works",
)
class NoDropoutWithAState(GRU):
    """fails where dropout of the inputs acts in a call that is given an initial state"""

    def dropout(self, call: Call, sizes: Dimensions) -> tuple[Array, Array]:
        if call.initial_state is not None and "inputs" in acting_dropout(self.spec, training=call.training):
            raise TypeError("list indices must be integers, not tuple")
        return super().dropout(call, sizes)


@REPLAYED.replays(
    ("keras-team/keras#20663", "Change recurrent dropout implementation for LSTM."),
    says="dropout without recurrent dropout broke, as one mask for each gate came where one was meant",
)
class ThreeMasksWhereOneIsMeant(GRU):
    """fails gate by gate where dropout of the inputs acts and none of the state: it takes three masks for one"""

    def dropout(self, call: Call, sizes: Dimensions) -> tuple[Array, Array]:
        alone = acting_dropout(self.spec, training=call.training) == ("inputs",)
        if alone and self.spec.implementation == 1:
            raise ValueError(f"operands could not be broadcast together with shapes {call.inputs.shape} (3,)")
        return super().dropout(call, sizes)


@REPLAYED.replays(
    ("apache/tvm#3410", "[Relay][Frontend] Fix tensorflow frontend lstm forget bias adding order"),
    says="the forget bias is added after the sigmoid; tests with a bias of 0 did not see it",
)
class BiasAfterTheActivation(GRU):
    """adds the bias of the update gate to the gate instead of to its argument (the forget gate of an LSTM)"""

    def gate(self, sums: Array) -> Array:
        bias = self.biases[0][0] + self.biases[1][0]
        shifted = sums.copy()
        shifted[0] -= bias
        values = super().gate(shifted)
        values[0] += bias
        return values


@REPLAYED.replays(
    ("apache/mxnet#13264", "RNN operator crashes when gradient is requested when is_train=False"),
    says="gradients of a call outside training crash, as their memory is reserved in training only",
)
class NoGradientsInInference(GRU):
    """has gradients in training only"""

    def vjp(self, inputs: Array, *, training: bool = False, **arguments: Any) -> Differentiated:
        if not training:
            raise RuntimeError("Check failed: init_space_")
        return super().vjp(inputs, training=training, **arguments)


@REPLAYED.replays(
    ("microsoft/onnxruntime#16862", "GRU kernel gate activation functions not updating the zrh buffer"),
    says="the activated reset gate is not stored where the gradient wants it",
)
class ResetGateNotActivatedOnTheWayBack(GRU):
    """keeps the argument of the reset gate for the way back, where its value is wanted"""

    def step_back(self, trace: Trace, index: int) -> Step:
        step = super().step_back(trace, index)
        return replace(step, values=np.stack([step.values[0], step.sums[1], step.values[2]]))


@REPLAYED.replays(
    (
        "keras-team/keras#23462",
        "Torch backend: stateful GRU using cuDNN fails during backward due to an in-place state update",
    ),
    says="the recorded state is overwritten in place before the way back needs it",
)
class StateOverwrittenBeforeTheWayBack(GRU):
    """finds on the way back, if it is stateful, the final state in the place of the initial one"""

    def step_back(self, trace: Trace, index: int) -> Step:
        step = super().step_back(trace, index)
        if index or not self.spec.stateful:
            return step
        state = trace.state[step.rows]
        return replace(step, previous=state, states=state * step.masks[1])


@REPLAYED.replays(
    ("lmnt-com/haste#43", "`RNN`s with `zoneout > 0.0` have wrong gradients"),
    says="gradients of all steps use the zoneout mask of the first one",
)
class MaskOfTheFirstStepOnTheWayBack(GRU):
    """passes every step of a row by on the way back if the first one is masked (zoneout masks)"""

    def step_back(self, trace: Trace, index: int) -> Step:
        step = super().step_back(trace, index)
        kept = trace.valid[0][step.rows]
        part = {"rows": step.rows[kept], "previous": step.previous[kept], "reset": step.reset[kept]}
        part |= {name: getattr(step, name)[:, kept] for name in ("inputs", "states", "sums", "values")}
        return replace(step, masks=(step.masks[0][:, kept], step.masks[1][:, kept]), **part)


@REPLAYED.replays(
    ("ooples/AiDotNet#722", "feat(gpu): GPU training infrastructure for LSTM/GRU, GNN, and activations (#701)"),
    says="a review finds that the gradient of the previous state reads the gates of its own unit only",
)
class EachUnitBackByItself(GRU):
    """sends back to a unit of the state, of all that the gates receive, what its own unit of the gates receives"""

    def of_states(self, of_sums: Array, of_reset: Array) -> list[Array]:
        usual = super().of_states(of_sums, of_reset)
        gates = [own * kernel.sum(axis=1) for own, kernel in zip(of_sums[:2], self.recurrent_kernels, strict=False)]
        return [*gates, of_reset * self.recurrent_kernels[2].sum(axis=1) if self.spec.reset_after else usual[2]]
