"""A GRU as an ONNX graph of one operator, with weights as inputs.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units.

==================  ==================  =========================================================
name                shape               meaning
==================  ==================  =========================================================
X                   (T, B, D)           inputs, timesteps first (``layout=0``)
W, R                (1, 3u, D), (.., u) kernel and recurrent kernel, transposed; gates z, r, h
B                   (1, 6u)             input bias, then recurrent bias
sequence_lens       (B,) int32          timesteps that count, from the first on
initial_h           (1, B, u)           state before the first processed timestep
Y                   (T, 1, B, u)        outputs, in the order of the inputs; 0 at padded timesteps
Y_h                 (1, B, u)           final state
==================  ==================  =========================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from gruspec.spec import GRUSpec

OPSET = 14
"""The first with the operator's present attributes; every supported onnxruntime reads it."""

IR_VERSION = 8

ACTIVATIONS: Mapping[str, tuple[str, tuple[float, float] | None]] = {
    "tanh": ("Tanh", None),
    "sigmoid": ("Sigmoid", None),
    "hard_sigmoid": ("HardSigmoid", (0.2, 0.5)),
    "relu": ("Relu", None),
    "linear": ("Affine", (1.0, 0.0)),
}
"""ONNX name of each activation, with alpha and beta for those that have them."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Everything that a graph is made for; batch, timesteps and input size stay free.

    Parameters
    ----------
    units, activation, recurrent_activation, use_bias, reset_after
        As in :class:`gruspec.spec.GRUSpec`.
    reverse
        Process timesteps from the last to the first; outputs stay in the order of the inputs.
    lengths
        Take ``sequence_lens``.
    initial_state
        Take ``initial_h``.
    """

    units: int
    activation: str
    recurrent_activation: str
    use_bias: bool
    reset_after: bool
    reverse: bool = False
    lengths: bool = False
    initial_state: bool = False

    @classmethod
    def of(cls, spec: GRUSpec, *, lengths: bool = False, initial_state: bool = False) -> Self:
        """Return the structure that runs a layer."""
        return cls(
            units=spec.units,
            activation=spec.activation,
            recurrent_activation=spec.recurrent_activation,
            use_bias=spec.use_bias,
            reset_after=spec.reset_after,
            reverse=spec.go_backwards,
            lengths=lengths,
            initial_state=initial_state,
        )


def gru_model(structure: Structure) -> onnx.ModelProto:
    """Return a checked model with one GRU operator in float32.

    Raises
    ------
    onnx.checker.ValidationError
        If the graph is not valid ONNX.

    Examples
    --------
    >>> from gruspec.spec import GRUSpec
    >>> model = gru_model(Structure.of(GRUSpec(units=4, reset_after=True), lengths=True))
    >>> [value.name for value in model.graph.input]
    ['X', 'W', 'R', 'B', 'sequence_lens']
    """
    import onnx

    u, real = structure.units, onnx.TensorProto.FLOAT
    places: tuple[tuple[str, bool, int, list[str | int]], ...] = (
        ("X", True, real, ["T", "B", "D"]),
        ("W", True, real, [1, 3 * u, "D"]),
        ("R", True, real, [1, 3 * u, u]),
        ("B", structure.use_bias, real, [1, 6 * u]),
        ("sequence_lens", structure.lengths, onnx.TensorProto.INT32, ["B"]),
        ("initial_h", structure.initial_state, real, [1, "B", u]),
    )
    inputs = [onnx.helper.make_tensor_value_info(name, kind, shape) for name, used, kind, shape in places if used]
    outputs = [
        onnx.helper.make_tensor_value_info("Y", real, ["T", 1, "B", u]),
        onnx.helper.make_tensor_value_info("Y_h", real, [1, "B", u]),
    ]
    node = onnx.helper.make_node(
        "GRU", [name if used else "" for name, used, *_ in places], ["Y", "Y_h"], **attributes(structure)
    )
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "gru", inputs, outputs),
        producer_name="gruspec",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def attributes(structure: Structure) -> dict[str, Any]:
    """Return the attributes of the operator.

    ``linear_before_reset`` is always stated: providers have taken its absence for different things. Alpha and beta are
    listed for those activations alone that have them, in the order of the gates' activation and the candidate's.
    """
    gates, candidate = ACTIVATIONS[structure.recurrent_activation], ACTIVATIONS[structure.activation]
    parameters = [pair for _, pair in (gates, candidate) if pair is not None]
    found: dict[str, Any] = {
        "hidden_size": structure.units,
        "direction": "reverse" if structure.reverse else "forward",
        "linear_before_reset": int(structure.reset_after),
        "activations": [gates[0], candidate[0]],
    }
    if parameters:
        found["activation_alpha"] = [alpha for alpha, _ in parameters]
        found["activation_beta"] = [beta for _, beta in parameters]
    return found
