"""Conversions that went wrong elsewhere, with numbers written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gruspec.errors import RefusedConversion
from gruspec.layouts import LAYOUTS, Exactness, convert, plan, unpack

Z, R, H = [0, 1], [2, 3], [4, 5]
"""Columns of the gates in Keras, for two units."""


def counted(*shape: int, start: int = 0) -> Any:
    return np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape)


def keras_layer() -> dict[str, Any]:
    return {"kernel": counted(3, 6), "recurrent_kernel": counted(2, 6, start=100), "bias": counted(2, 6, start=200)}


TORCH_OF_KERAS = {
    "weight_ih_l0": [[2, 8, 14], [3, 9, 15], [0, 6, 12], [1, 7, 13], [4, 10, 16], [5, 11, 17]],
    "weight_hh_l0": [[102, 108], [103, 109], [100, 106], [101, 107], [104, 110], [105, 111]],
    "bias_ih_l0": [202, 203, 200, 201, 204, 205],
    "bias_hh_l0": [208, 209, 206, 207, 210, 211],
}
"""keras-team/keras issue 15915: rows by r, z, n, and both biases."""


def test_reset_after_keras_to_torch() -> None:
    converted = convert(keras_layer(), "keras", "torch")
    assert converted.exactness is Exactness.EXACT
    assert converted.reset_after
    assert converted.arrays.keys() == TORCH_OF_KERAS.keys()
    for name, values in TORCH_OF_KERAS.items():
        assert_array_equal(converted.arrays[name], values, strict=False)


def test_torch_to_reset_after_keras() -> None:
    arrays = {name: np.array(values, np.float32) for name, values in TORCH_OF_KERAS.items()}
    back = convert(arrays, "torch", "keras")
    for name, values in keras_layer().items():
        assert_array_equal(back.arrays[name], values, strict=True)


def test_reset_before_keras_is_refused_by_torch() -> None:
    layer = keras_layer() | {"bias": counted(6)}
    with pytest.raises(RefusedConversion, match=r"reset_after=False: it has reset_after=True only.*can: keras, tf-gru"):
        convert(layer, "keras", "torch")


KERNEL_OF_CUDNN = [[0, 7, 2, 9, 4, 11], [1, 12, 3, 14, 5, 16], [6, 13, 8, 15, 10, 17]]
RECURRENT_OF_CUDNN = [[0, 6, 2, 8, 4, 10], [1, 7, 3, 9, 5, 11]]


def test_cudnn_gru_kernels() -> None:
    """keras-team/keras issue 8720: the kernel is memory of another matrix, the recurrent kernel a transpose."""
    layer = {"kernel": counted(3, 6), "recurrent_kernel": counted(2, 6), "bias": counted(12)}
    arrays = convert(layer, "cudnn-gru", "keras").arrays
    assert_array_equal(arrays["kernel"], KERNEL_OF_CUDNN)
    assert_array_equal(arrays["recurrent_kernel"], RECURRENT_OF_CUDNN)
    assert_array_equal(arrays["bias"], counted(2, 6))
    back = convert(arrays, "keras", "cudnn-gru").arrays
    for name, values in layer.items():
        assert_array_equal(back[name], values, strict=True)


@pytest.mark.parametrize("seed", range(12))
def test_cudnn_gru_is_what_tf_keras_makes_of_it(seed: int) -> None:
    hdf5_format = pytest.importorskip("tf_keras.src.saving.legacy.hdf5_format")
    converted_weights = hdf5_format._convert_rnn_weights  # noqa: SLF001  what load_weights does, on arrays
    layers = pytest.importorskip("tf_keras").layers
    generator = np.random.default_rng(seed)
    inputs, units = (int(size) for size in generator.integers(1, 9, 2))
    shapes = {"kernel": (inputs, 3 * units), "recurrent_kernel": (units, 3 * units), "bias": (2, 3 * units)}
    layer = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    ours = convert(layer, "keras", "cudnn-gru").arrays

    class CuDNNGRU(layers.GRU):  # type: ignore[misc, name-defined]  # tf_keras goes by the name of the class
        pass

    theirs = converted_weights(CuDNNGRU(units, reset_after=True), list(layer.values()))
    for name, values in zip(shapes, theirs, strict=True):
        assert_array_equal(ours[name], values, strict=True)
    back = converted_weights(layers.GRU(units, reset_after=True), list(ours.values()))
    for name, values in zip(shapes, back, strict=True):
        assert_array_equal(layer[name], values, strict=True)
        assert_array_equal(convert(ours, "cudnn-gru", "keras").arrays[name], values, strict=True)


@pytest.mark.parametrize("allow_folding", [False, True])
@pytest.mark.parametrize("target", ["coreml", "nnx"])
def test_one_candidate_bias_refuses_a_recurrent_one(target: str, allow_folding: bool) -> None:  # noqa: FBT001  a parameter
    """apple/coremltools issue 1124: adding it to the input bias computes something else."""
    arrays = {name: np.array(values, np.float32) for name, values in TORCH_OF_KERAS.items()}
    arrays["bias_hh_l0"][:4] = 0
    with pytest.raises(RefusedConversion) as refused:
        convert(arrays, "torch", target, allow_folding=allow_folding)
    assert len(refused.value.reasons) == 1
    assert "recurrent bias of the candidate is not zero (210.0 at unit 0)" in refused.value.reasons[0]
    assert not refused.value.foldable
    assert {"keras", "torch", "linen", "equinox", "onnx"} <= set(refused.value.could)
    assert not {"coreml", "nnx", "haiku", "tf-gru-cell"} & set(refused.value.could)


@pytest.mark.parametrize("target", ["coreml", "nnx"])
def test_one_candidate_bias_is_exact_without_a_recurrent_one(target: str) -> None:
    arrays = {name: np.array(values, np.float32) for name, values in TORCH_OF_KERAS.items()}
    arrays["bias_hh_l0"][:] = 0
    converted = convert(arrays, "torch", target)
    assert converted.exactness is Exactness.EXACT
    order = {"coreml": [202, 203, 204, 205, 200, 201], "nnx": [202, 203, 200, 201, 204, 205]}[target]
    name = {"coreml": "bias", "nnx": "dense_i/bias"}[target]
    assert_array_equal(converted.arrays[name], order)
    back = convert(converted.arrays, target, "torch").arrays
    assert all(back[name].tobytes() == values.tobytes() for name, values in arrays.items())


@pytest.mark.parametrize("target", ["coreml", "nnx"])
def test_negative_zero_is_no_bias_but_its_sign_is_not_lost_unasked(target: str) -> None:
    arrays = {name: np.array(values, np.float32) for name, values in TORCH_OF_KERAS.items()}
    arrays["bias_hh_l0"][:] = 0
    arrays["bias_hh_l0"][5] = -0.0
    with pytest.raises(RefusedConversion, match=r"-0\.0 at unit 1.*the sign of its zeros would be lost") as refused:
        convert(arrays, "torch", target)
    assert refused.value.foldable
    converted = convert(arrays, "torch", target, allow_folding=True)
    assert converted.exactness is Exactness.FOLDED
    assert converted.folding is not None
    assert converted.folding.bound(100) == 0


def reset_before_keras() -> dict[str, Any]:
    return keras_layer() | {"bias": counted(6, start=1)}


@pytest.mark.parametrize("recurrent_activation", [None, "sigmoid"])
def test_haiku_weights_the_candidate(recurrent_activation: str | None) -> None:
    layer = reset_before_keras()
    converted = convert(layer, "keras", "haiku", recurrent_activation=recurrent_activation)
    kernel, recurrent, bias = (layer[name].copy() for name in ("kernel", "recurrent_kernel", "bias"))
    for values in (kernel, recurrent, bias):
        values[..., Z] *= -1
    assert converted.exactness is Exactness.EXACT
    assert_array_equal(converted.arrays["w_i"], kernel, strict=True)
    assert_array_equal(converted.arrays["w_h"], recurrent, strict=True)
    assert_array_equal(converted.arrays["b"], bias, strict=True)
    assert np.signbit(converted.arrays["w_i"][0, 0])
    back = convert(converted.arrays, "haiku", "keras").arrays
    assert all(back[name].tobytes() == values.tobytes() for name, values in layer.items())


@pytest.mark.parametrize("recurrent_activation", ["tanh", "relu", "linear"])
def test_haiku_refuses_gates_that_have_no_complement(recurrent_activation: str) -> None:
    with pytest.raises(RefusedConversion, match="the sign of the update gate") as refused:
        convert(reset_before_keras(), "keras", "haiku", recurrent_activation=recurrent_activation)
    assert "haiku" not in refused.value.could
    assert "keras" in refused.value.could


def test_haiku_refuses_hard_sigmoid_as_it_has_none() -> None:
    with pytest.raises(RefusedConversion, match="recurrent_activation='hard_sigmoid': it computes with sigmoid"):
        convert(reset_before_keras(), "keras", "haiku", recurrent_activation="hard_sigmoid")


def test_a_reset_gate_before_the_product_may_fold_the_candidate() -> None:
    arrays = {
        "W": counted(1, 6, 3),
        "R": counted(1, 6, 2),
        "B": np.array([[1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60]], np.float32),
    }
    weights = unpack(arrays, LAYOUTS["onnx"], reset_after=False)
    with pytest.raises(RefusedConversion, match="allow_folding adds and rounds them"):
        plan(weights, LAYOUTS["keras"])
    folded = convert(arrays, "onnx", "keras", reset_after=False, allow_folding=True)
    assert folded.exactness is Exactness.FOLDED
    assert_array_equal(folded.arrays["bias"], [11, 22, 33, 44, 55, 66])
