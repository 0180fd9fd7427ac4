"""Layouts of the operators that graphs and libraries compute a GRU with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gruspec.layouts.layout import (
    INPUT_BIAS,
    KERNEL,
    RECURRENT_BIAS,
    RECURRENT_KERNEL,
    SUMMED_BIAS,
    Form,
    Layout,
    Piece,
)
from gruspec.layouts.shorthand import (
    AFTER,
    BEFORE,
    BOTH,
    CANDIDATE_APART,
    SIGMOID,
    TANH,
    array,
    flat,
    rows,
    vector,
    with_and_without,
    with_either,
)

if TYPE_CHECKING:
    from gruspec.layouts.layout import Array

_ONNX = rows("W", "R", "zrh", leading=("direction",))
_ONEDNN = tuple(
    array(name, Piece(part, "zrh", f"{inputs} gate unit"), axis=1, leading=("layer", "direction"))
    for name, part, inputs in (("weights_layer", KERNEL, "input"), ("weights_iter", RECURRENT_KERNEL, "state"))
)


ONNX_ACTIVATIONS = (
    *("Affine", "Elu", "HardSigmoid", "LeakyRelu", "ParametricSoftplus", "Relu", "ScaledTanh", "Sigmoid", "Softplus"),
    *("Softsign", "Tanh", "ThresholdedRelu"),
)
"""Activations of the GRU operator of ONNX in its words: https://onnx.ai/onnx/operators/onnx__GRU.html."""
ONNX_SEPARATOR = " | "
"""Stands between the activations of two directions that differ."""
_ONNX_TEXT = re.compile(rf"(?:{'|'.join(ONNX_ACTIVATIONS)})(?:\([^()]*\))?")


class _OnnxActivations(tuple[str, ...]):
    """The activations of the operator that have a name here; it has its own words, with parameters, for others.

    The hard sigmoid of Keras 3 is none: its factor is 1/6, and the operator keeps factors in float32, which has no 1/6.
    """

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and all(
            tuple.__contains__(self, one) or _ONNX_TEXT.fullmatch(one) for one in name.split(ONNX_SEPARATOR)
        )


def _onednn_bias(*parts: tuple[str, str]) -> Array:
    return array("bias", *(Piece(part, gates, "gate unit") for part, gates in parts), leading=("layer", "direction"))


def _webnn(gates: str) -> Layout:
    return Layout(
        f"webnn-{gates.replace('h', 'n')}",
        f"the gru operation of WebNN, layout {gates.replace('h', 'n')}",
        with_either(
            rows("weight", "recurrentWeight", gates, leading=("direction",)),
            vector("bias", (INPUT_BIAS, gates), leading=("direction",)),
            vector("recurrentBias", (RECURRENT_BIAS, gates), leading=("direction",)),
            reset_after=BOTH,
        ),
        source="https://www.w3.org/TR/webnn/#api-mlgraphbuilder-gru",
        activations=("tanh", "sigmoid", "relu"),
        recurrent_activations=("sigmoid", "tanh", "relu"),
        bidirectional=True,
    )


OPERATORS = (
    Layout(
        "onnx",
        "the GRU operator of ONNX",
        with_and_without(
            _ONNX,
            vector("B", (INPUT_BIAS, "zrh"), (RECURRENT_BIAS, "zrh"), leading=("direction",)),
            reset_after=BOTH,
        ),
        source="https://onnx.ai/onnx/operators/onnx__GRU.html",
        activations=_OnnxActivations(("tanh", "sigmoid", "hard_sigmoid", "relu", "linear")),
        recurrent_activations=_OnnxActivations(("sigmoid", "tanh", "hard_sigmoid", "relu", "linear")),
        bidirectional=True,
    ),
    Layout(
        "openvino",
        "GRUSequence of OpenVINO",
        (
            Form((*_ONNX, vector("B", (SUMMED_BIAS, "zrh"), leading=("direction",))), BEFORE),
            Form((*_ONNX, vector("B", (SUMMED_BIAS, "zr"), *CANDIDATE_APART, leading=("direction",))), AFTER),
        ),
        source="https://docs.openvino.ai/2024/documentation/openvino-ir-format/operation-sets/operation-specs/sequence/"
        "gru-cell-3.html; "
        "https://docs.openvino.ai/2024/api/ie_python_api/_autosummary/openvino.runtime.opset7.gru_sequence.html",
        activations=("tanh", "sigmoid", "relu"),
        recurrent_activations=("sigmoid", "tanh", "relu"),
        bidirectional=True,
    ),
    _webnn("zrh"),
    _webnn("rzh"),
    Layout(
        "coreml",
        "the gru operation of Core ML's model intermediate language",
        with_and_without(
            rows("weight_ih", "weight_hh", "rhz"),
            vector("bias", (SUMMED_BIAS, "r"), (INPUT_BIAS, "h"), (SUMMED_BIAS, "z")),
            reset_after=AFTER,
        ),
        source="https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html, gru; "
        "coremltools/converters/mil/frontend/torch/ops.py, _add_gru_layer",
        activations=("tanh", "sigmoid", "hard_sigmoid", "relu", "linear"),
        recurrent_activations=("sigmoid", "hard_sigmoid", "tanh", "relu", "linear"),
    ),
    Layout(
        "cudnn",
        "the flat parameter buffer of cuDNN, with two biases",
        (Form((flat("params"),), AFTER),),
        source="https://docs.nvidia.com/deeplearning/cudnn/latest/api/cudnn-adv-library.html, cudnnGetRNNWeightParams",
        activations=TANH,
        recurrent_activations=SIGMOID,
        stacked=True,
        bidirectional=True,
        notes=("cuDNN calls this buffer opaque: ask cudnnGetRNNWeightParams whether yours has the documented order",),
    ),
    Layout(
        "mxnet",
        "the RNN operator of MXNet, and the fused vector of Gluon's GRU",
        (Form((flat("parameters"),), AFTER),),
        source="https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/gluon/rnn/index.html; "
        "mxnet/gluon/rnn/rnn_layer.py, _forward_kernel; mxnet/rnn/rnn_cell.py, FusedRNNCell._slice_weights",
        activations=TANH,
        recurrent_activations=SIGMOID,
        stacked=True,
        bidirectional=True,
    ),
    Layout(
        "onednn",
        "the GRU and linear-before-reset GRU primitives of oneDNN, in ldigo and ldgo",
        (
            Form((*_ONEDNN, _onednn_bias((SUMMED_BIAS, "zrh"))), BEFORE),
            Form((*_ONEDNN, _onednn_bias((SUMMED_BIAS, "zr"), *CANDIDATE_APART)), AFTER),
            Form(_ONEDNN, BOTH),
        ),
        source="https://uxlfoundation.github.io/oneDNN/dev_guide_rnn.html",
        activations=TANH,
        recurrent_activations=SIGMOID,
        stacked=True,
        bidirectional=True,
        equal_inputs=True,
        bidirectional_stacks=False,
    ),
)
