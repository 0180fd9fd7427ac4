"""Weights and outputs of real frameworks are named by what their files hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.diagnosis.origin import find_origin

if TYPE_CHECKING:
    from gruspec.diagnosis.origin import Origin

    Array = np.ndarray[Any, np.dtype[Any]]

SIZE, UNITS, BATCH, TIMESTEPS = 5, 6, 3, 7
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(BATCH, TIMESTEPS, SIZE)).astype(np.float32)


def told(origin: Origin) -> tuple[str, str, bool]:
    """Return the order of the gates, their activation and whether the reset gate comes after."""
    assert origin.best.matches
    assert not origin.others
    assert origin.best.residual < 0.5
    function = origin.best.function
    return origin.best.reading.layout.order, function.fault or function.gates, function.reset_after


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_torch(*, batch_first: bool, bias: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.GRU(SIZE, UNITS, batch_first=batch_first, bias=bias)
    with torch.no_grad():
        outputs, state = layer(torch.tensor(INPUTS))
    weights = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    recorded = {"inputs": INPUTS, "outputs": outputs.numpy(), "state": state[0].numpy()}
    origin = find_origin(weights, recorded)
    assert told(origin) == ("rzh", "sigmoid", True)
    assert "torch" in origin.best.frameworks
    assert origin.best.recorded.time_major is not batch_first
    wrong = {name: array[::-1] if name == "weight_hh_l0" else array for name, array in weights.items()}
    assert not find_origin(wrong, recorded).best.matches


def keras_layer(module: Any, *, after: bool, **options: Any) -> tuple[dict[str, Array], Array]:
    layer = module.layers.GRU(
        UNITS,
        reset_after=after,
        return_sequences=True,
        bias_initializer=module.initializers.RandomUniform(-1, 1, 0),
        **options,
    )
    outputs = np.asarray(layer(INPUTS))
    return {weight.name: np.asarray(weight) for weight in layer.weights}, outputs


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid"])
def test_tf_keras(activation: str, *, after: bool) -> None:
    tf_keras = pytest.importorskip("tf_keras")
    weights, outputs = keras_layer(tf_keras, after=after, recurrent_activation=activation)
    origin = find_origin(weights, {"inputs": INPUTS, "outputs": outputs})
    assert told(origin) == ("zrh", activation, after)
    assert origin.best.frameworks == ("keras",)


def test_weights_that_tf_keras_converts_to_its_layer_for_cudnn() -> None:
    tf_keras = pytest.importorskip("tf_keras")
    from tf_keras.src.saving.legacy import hdf5_format

    source = tf_keras.layers.GRU(UNITS, return_sequences=True)
    outputs = np.asarray(source(INPUTS))
    target = tf_keras.layers.CuDNNGRU(UNITS) if hasattr(tf_keras.layers, "CuDNNGRU") else None
    if target is None:
        from tf_keras.src.layers.rnn.cudnn_gru import CuDNNGRU

        target = CuDNNGRU(UNITS)
    target.build((None, None, SIZE))
    converted = hdf5_format.preprocess_weights_for_loading(target, source.get_weights())
    names = ("kernel", "recurrent_kernel", "bias")
    origin = find_origin(dict(zip(names, converted, strict=True)), {"inputs": INPUTS, "outputs": outputs})
    assert origin.best.matches
    assert origin.best.frameworks == ("cudnn-gru",)


@pytest.mark.parametrize("after", [False, True])
def test_onnx(*, after: bool) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    shapes = {"W": (1, 3 * UNITS, SIZE), "R": (1, 3 * UNITS, UNITS), "B": (1, 6 * UNITS)}
    weights = {name: RNG.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    helper, single = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(
        "GRU", ["X", "W", "R", "B"], ["Y", "Y_h"], hidden_size=UNITS, linear_before_reset=int(after)
    )
    graph = helper.make_graph(
        [node],
        "gru",
        [helper.make_tensor_value_info("X", single, (TIMESTEPS, BATCH, SIZE))],
        [helper.make_tensor_value_info(name, single, None) for name in ("Y", "Y_h")],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = np.ascontiguousarray(INPUTS.swapaxes(0, 1))
    outputs, state = session.run(None, {"X": inputs})
    origin = find_origin(weights, {"inputs": inputs, "outputs": outputs[:, 0], "state": state[0]})
    assert told(origin) == ("zrh", "sigmoid", after)
    assert origin.best.frameworks == ("onnx",)
    assert origin.best.recorded.time_major
