"""The GRU operator of ONNX, run by ONNX Runtime on the CPU; weights are initialisers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .admission import Run

_OPSET, _IR_VERSION = 14, 8
_ACTIVATIONS: Mapping[str, tuple[str, float, float]] = {
    "tanh": ("Tanh", 0.0, 0.0),
    "sigmoid": ("Sigmoid", 0.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 0.2, 0.5),
    "relu": ("Relu", 0.0, 0.0),
    "linear": ("Affine", 1.0, 0.0),
}
"""Name of each activation, alpha and beta, which are listed only for those that have them: others are all zeros."""


class OnnxOperator(DeclaredGRU):
    """A graph of one GRU operator."""

    layout: ClassVar = "onnx"
    title: ClassVar = "the GRU operator in ONNX Runtime"
    modules: ClassVar = ("onnx", "onnxruntime")
    extra: ClassVar = "onnx"
    dtypes: ClassVar = ("float32",)
    activations: ClassVar = tuple(_ACTIVATIONS)
    recurrent_activations: ClassVar = tuple(_ACTIVATIONS)

    def _run(self, run: Run) -> NativeResult:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(_model(run), options, providers=["CPUExecutionProvider"])
        inputs = np.ascontiguousarray(run.inputs.swapaxes(0, 1))
        outputs, state = session.run(["Y", "Y_h"], {"X": inputs, "initial_h": run.initial_state})
        timesteps, directions, batch, units = outputs.shape
        return NativeResult(outputs.transpose(2, 0, 1, 3).reshape(batch, timesteps, directions * units), state)


def _model(run: Run) -> bytes:
    import onnx

    real = onnx.TensorProto.FLOAT
    node = onnx.helper.make_node(
        "GRU",
        ["X", "W", "R", "B" if run.use_bias else "", "", "initial_h"],
        ["Y", "Y_h"],
        **_attributes(run),
    )
    graph = onnx.helper.make_graph(
        [node],
        "gru",
        [
            onnx.helper.make_tensor_value_info("X", real, ["T", "B", run.sizes.input_size]),
            onnx.helper.make_tensor_value_info("initial_h", real, ["D", "B", run.sizes.units]),
        ],
        [
            onnx.helper.make_tensor_value_info("Y", real, ["T", "D", "B", run.sizes.units]),
            onnx.helper.make_tensor_value_info("Y_h", real, ["D", "B", run.sizes.units]),
        ],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in run.arrays.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def _attributes(run: Run) -> dict[str, Any]:
    named = [_ACTIVATIONS[run.recurrent_activation], _ACTIVATIONS[run.activation]] * run.sizes.directions
    parameters = [(alpha, beta) for _, alpha, beta in named if (alpha, beta) != (0.0, 0.0)]
    found: dict[str, Any] = {
        "hidden_size": run.sizes.units,
        "direction": "bidirectional" if run.sizes.directions == 2 else "forward",
        "linear_before_reset": int(run.reset_after),
        "activations": [name for name, _, _ in named],
    }
    if parameters:
        found["activation_alpha"] = [alpha for alpha, _ in parameters]
        found["activation_beta"] = [beta for _, beta in parameters]
    return found
