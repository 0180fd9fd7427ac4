"""Layers of Keras as modules of PyTorch: real layers, both sides within the bounds that are proven."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gruspec_torch
from gruspec.errors import FileError, RefusedConversion, SpecError, SpecTypeError, UsageError

torch = pytest.importorskip("torch")
tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("flint")

from whole_layers import cases, failures, live_layer, results, running, saved_models  # noqa: E402  needs all of them

if TYPE_CHECKING:
    from pathlib import Path

    from gruspec.cases import Case

V1 = import_module("gruspec_tensorflow.adapter").V1.resolve()
CompleteLayer = import_module("gruspec_torch.adapter").CompleteLayer
CASES = [case for key in ("torch/1", "torch/2") for case in cases(key)]
X = np.random.default_rng(3).uniform(-2, 2, (2, 5, 3)).astype("float32")


def built(**arguments: Any) -> Any:
    """Return a layer of ``tf.compat.v1.keras`` with random weights, biases too, for inputs with three features."""
    layer = V1(4, bias_initializer="uniform", **arguments)
    layer(X)
    return layer


def close(computed: Any, expected: Any) -> None:
    np.testing.assert_allclose(computed.detach().numpy(), np.asarray(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layer_and_module_are_within_the_bounds(case: Case, dtype: str) -> None:
    assert dtype in case.dtypes
    layer = live_layer(case, dtype)
    module = gruspec_torch.GRU.from_keras(layer)
    assert module.kernel.dtype is getattr(torch, dtype)
    assert failures(case, results(case, running(layer, case), dtype), dtype) == []
    assert failures(case, results(case, CompleteLayer(module), dtype), dtype) == []


def test_the_bounds_are_not_blind() -> None:
    case = next(case for case in CASES if case.spec.use_bias and case.spec.return_sequences)
    layer = live_layer(case, "float64")
    layer.set_weights([weight * (1 + 1e-12) for weight in layer.get_weights()])
    module = gruspec_torch.GRU.from_keras(layer)
    assert failures(case, results(case, CompleteLayer(module), "float64"), "float64")


def test_nothing_is_dropped_before_training_is_asked_for() -> None:
    layer = built(dropout=0.5, recurrent_dropout=0.5)
    module = gruspec_torch.GRU.from_keras(layer)
    close(module(X), layer(X))
    module.train()
    assert not torch.equal(module(X), module(X))


def test_weights_are_copies_that_train() -> None:
    layer = built()
    module = gruspec_torch.GRU.from_keras(layer)
    before = layer.get_weights()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    module(X).sum().backward()
    optimizer.step()
    assert all(np.array_equal(one, other) for one, other in zip(before, layer.get_weights(), strict=True))
    assert not np.array_equal(module.kernel.detach().numpy(), before[0])


def test_recorded_state_stays_with_the_layer_and_can_be_handed_over() -> None:
    layer = V1(4, stateful=True, return_sequences=True)
    layer(tf_keras.Input(batch_shape=X.shape))
    layer(X)
    fresh, follower = (gruspec_torch.GRU.from_keras(layer) for _ in range(2))
    assert fresh.recorded_state is None
    recorded = layer.states[0].numpy()
    second, third = layer(X[:, :2]).numpy(), layer(X).numpy()
    assert np.abs(fresh(X[:, :2]).detach().numpy() - second).max() > 1e-3
    close(follower(X[:, :2], recorded), second)
    close(follower(X), third)


@pytest.mark.parametrize(("dtype", "expected"), [(None, "float32"), ("float64", "float64"), ("bfloat16", "bfloat16")])
def test_dtype(dtype: str | None, expected: str) -> None:
    layer = built()
    module = gruspec_torch.GRU.from_keras(layer, dtype=None if dtype is None else getattr(torch, dtype), device="cpu")
    assert module.recurrent_kernel.dtype is getattr(torch, expected)
    assert torch.equal(module.kernel, torch.tensor(layer.get_weights()[0]).to(getattr(torch, expected)))


@pytest.mark.parametrize("convert", [gruspec_torch.GRU.from_keras, gruspec_torch.to_torch_nn])
def test_a_dtype_that_cannot_hold_a_weight_is_refused(convert: Any) -> None:
    layer = built(recurrent_activation="sigmoid", reset_after=True)
    layer.set_weights([1e6 * weight for weight in layer.get_weights()])
    with pytest.raises(SpecTypeError, match="float16"):
        convert(layer, dtype=torch.float16)


def test_layers_of_models_by_name() -> None:
    model = tf_keras.Sequential(
        [
            tf_keras.Input((5, 3)),
            V1(4, return_sequences=True, name="first"),
            tf_keras.layers.Bidirectional(V1(2, name="second"), name="both"),
        ]
    )
    first, forward, backward = (
        gruspec_torch.GRU.from_keras(model, name) for name in ("first", "both/forward_second", "backward_second")
    )
    hidden = first(X)
    close(torch.cat([forward(hidden), backward(hidden)], -1), model(X))
    for wrong in (None, "second"):
        with pytest.raises(UsageError, match="first, both/forward_second, both/backward_second"):
            gruspec_torch.GRU.from_keras(model, wrong)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("cell", [False, True], ids=["layer", "RNN of a cell"])
@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_other_classes_of_layers(package: str, *, cell: bool, reset_after: bool) -> None:
    layers = pytest.importorskip(package).layers
    own = {"reset_after": reset_after, "bias_initializer": "uniform"}
    around = {"go_backwards": True, "return_sequences": True}
    layer = layers.RNN(layers.GRUCell(4, **own), **around) if cell else layers.GRU(4, **own, **around)
    expected = layer(X)
    close(gruspec_torch.GRU.from_keras(layer)(X), expected)


def test_cudnn_gru_computes_what_keras_makes_of_it(tmp_path: Path) -> None:
    cudnn = import_module("tf_keras.api._v1.keras.layers").CuDNNGRU(4, name="same", bias_initializer="uniform")
    plain = tf_keras.layers.GRU(4, name="same")
    models = [tf_keras.Sequential([tf_keras.Input((5, 3)), layer]) for layer in (cudnn, plain)]
    models[0].save_weights(tmp_path / "weights.h5")
    models[1].load_weights(tmp_path / "weights.h5")
    close(gruspec_torch.GRU.from_keras(cudnn)(X), plain(X))
    close(gruspec_torch.to_torch_nn(models[0])(torch.tensor(X))[1][0], plain(X))


def test_what_is_no_layer_of_the_specification_is_refused() -> None:
    keras = pytest.importorskip("keras", minversion="3")
    layer = keras.layers.GRU(4, recurrent_activation="hard_sigmoid")
    layer(X)
    with pytest.raises(SpecError, match=r"x / 6 \+ 0.5"):
        gruspec_torch.GRU.from_keras(layer)
    with pytest.raises(SpecError, match="activation='swish'"):
        gruspec_torch.GRU.from_keras(built(activation="swish"))
    with pytest.raises(UsageError, match="0 weights of 3"):
        gruspec_torch.GRU.from_keras(V1(4))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_model_files(suffix: str, tmp_path: Path) -> None:
    for path, name, layer in saved_models(tmp_path, suffix, X):
        module = gruspec_torch.GRU.from_keras(path, name)
        close(module(X), layer(X))
        assert all(
            np.array_equal(parameter.detach().numpy(), weight)
            for parameter, weight in zip(module.parameters(), layer.get_weights(), strict=True)
        )


def test_files_need_no_framework_but_pytorch(tmp_path: Path) -> None:
    path, name, layer = next(iter(saved_models(tmp_path, ".h5", X)))
    np.save(tmp_path / "x.npy", X)
    script = (
        "import sys, numpy, gruspec_torch; "
        "x = numpy.load(sys.argv[3]); module = gruspec_torch.GRU.from_keras(sys.argv[1], sys.argv[2]); "
        "assert not {'tensorflow', 'tf_keras', 'keras'} & set(sys.modules); "
        "numpy.save(sys.argv[3], module(x).numpy(force=True))"
    )
    subprocess.run([sys.executable, "-c", script, path, name, tmp_path / "x.npy"], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), layer(X), rtol=0, atol=1e-6)


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    model = tf_keras.Sequential([tf_keras.Input((5, 3)), V1(4)])
    model.save_weights(tmp_path / "weights.h5")
    with pytest.raises(FileError, match="whole model"):
        gruspec_torch.GRU.from_keras(tmp_path / "weights.h5")


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("time_major", [False, True])
def test_torch_nn_gru_where_it_can_hold_the_layer(*, time_major: bool, use_bias: bool) -> None:
    layer = built(
        recurrent_activation="sigmoid",
        reset_after=True,
        use_bias=use_bias,
        time_major=time_major,
        return_sequences=True,
        return_state=True,
    )
    module = gruspec_torch.to_torch_nn(layer)
    assert type(module) is torch.nn.GRU
    assert not module.training
    outputs, states = module(torch.tensor(X))
    expected_outputs, expected_state = layer(X)
    close(outputs, expected_outputs)
    close(states[0], expected_state)


def test_torch_nn_gru_on_packed_sequences() -> None:
    layer = built(
        recurrent_activation="sigmoid",
        reset_after=True,
        return_sequences=True,
        zero_output_for_mask=True,
        implementation=2,
    )
    lengths = np.array([2, 5])
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(torch.tensor(X), lengths, batch_first=True, enforce_sorted=False)
    outputs, _ = rnn.pad_packed_sequence(gruspec_torch.to_torch_nn(layer)(packed)[0], batch_first=True)
    close(outputs, layer(X, mask=np.arange(5) < lengths[:, None]))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"reset_after": False}, "reset_after=False"),
        ({"activation": "relu"}, "activation='relu'"),
        ({"recurrent_activation": "hard_sigmoid"}, "recurrent_activation='hard_sigmoid'"),
        ({"go_backwards": True}, "go_backwards=True"),
        ({"dropout": 0.25}, "dropout=0.25"),
        ({"recurrent_dropout": 0.5}, "recurrent_dropout=0.5"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_torch_nn_gru_is_refused_with_the_reason(arguments: dict[str, Any], reason: str) -> None:
    layer = built(**{"recurrent_activation": "sigmoid", "reset_after": True, **arguments})
    with pytest.raises(RefusedConversion, match=reason) as refused:
        gruspec_torch.to_torch_nn(layer)
    assert len(refused.value.reasons) == 1
    close(gruspec_torch.GRU.from_keras(layer)(X), layer(X))


def test_torch_nn_gru_keeps_no_state_and_all_reasons_are_given() -> None:
    layer = V1(4, stateful=True, go_backwards=True)
    layer(tf_keras.Input(batch_shape=X.shape))
    with pytest.raises(RefusedConversion) as refused:
        gruspec_torch.to_torch_nn(layer)
    found = " ".join(refused.value.reasons)
    assert all(name in found for name in ("reset_after", "hard_sigmoid", "go_backwards", "stateful"))
