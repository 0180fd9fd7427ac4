"""GRUSequence of OpenVINO, compiled for the CPU; weights are constants."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from .admission import Run


class Sequence(DeclaredGRU):
    """A model of one GRUSequence of operation set 5, with float32 asked for: else some CPUs compute in bfloat16."""

    layout: ClassVar = "openvino"
    title: ClassVar = "GRUSequence of OpenVINO"
    modules: ClassVar = ("openvino",)
    dtypes: ClassVar = ("float32",)

    def _run(self, run: Run) -> NativeResult:
        openvino = _load_openvino()
        opset5 = openvino.opset5
        batch, timesteps, _ = run.inputs.shape
        directions = run.sizes.directions
        inputs = opset5.parameter(run.inputs.shape, np.float32)
        state = opset5.parameter((batch, directions, run.sizes.units), np.float32)
        sequence = opset5.gru_sequence(
            inputs,
            state,
            opset5.constant(np.full(batch, timesteps, np.int32)),
            *(opset5.constant(np.ascontiguousarray(run.arrays[name])) for name in "WRB"),
            hidden_size=run.sizes.units,
            direction="bidirectional" if directions == 2 else "forward",
            activations=[run.recurrent_activation, run.activation],
            linear_before_reset=run.reset_after,
        )
        model = openvino.Model(list(sequence.outputs()), [inputs, state], "gru")
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        results = compiled([run.inputs, np.ascontiguousarray(run.initial_state.swapaxes(0, 1))])
        outputs, final = (results[number] for number in range(2))
        joined = outputs.transpose(0, 2, 1, 3).reshape(batch, timesteps, directions * run.sizes.units)
        return NativeResult(joined, final.swapaxes(0, 1).copy())


def _load_openvino() -> Any:
    """Return OpenVINO, imported as if its telemetry were not installed.

    With it, the import itself is reported over the network, by a forked process (``openvino/tools/ovc/__init__.py``).
    """
    telemetry = "openvino_telemetry"
    if telemetry in sys.modules:
        return import_module("openvino")
    absent: Any = None
    sys.modules[telemetry] = absent
    try:
        return import_module("openvino")
    finally:
        del sys.modules[telemetry]
