"""TensorFlow's layers behind the protocol: the real classes, their real results, and no fallback to another device."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from gruspec.backend import Registry
from gruspec.errors import DeviceUnavailable, MissingDependency, Unsupported
from gruspec.spec import GRUSpec, weight_shapes
from gruspec_tensorflow import v1, v2
from gruspec_tensorflow.devices import placed, require_placed

BACKENDS: dict[str, Any] = {"tf-v1": v1(), "tf-v2": v2()}
DEFINED_IN = {"tf-v1": "tf_keras.src.layers.rnn.gru_v1", "tf-v2": "tf_keras.src.layers.rnn.gru"}
CUDNN: dict[str, Any] = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
SCALAR: dict[str, Any] = {"kernel": [[0.0, 0.0, 1.0]], "recurrent_kernel": [[0.0, 0.0, 1.0]], "bias": [0.0, 0.0, 0.0]}
X = np.array([[[1.0], [2.0], [4.0]]])


@pytest.fixture(autouse=True, scope="module")
def tf() -> Any:
    pytest.importorskip("tf_keras")
    return pytest.importorskip("tensorflow")


@pytest.fixture(params=sorted(BACKENDS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scalar(name: str, dtype: str = "float64", weights: dict[str, Any] | None = None, **arguments: Any) -> Any:
    """One unit with z = r = 1/2 whatever comes in: h' = h/2 + (x + h/2)/2, exact in every dtype."""
    spec = GRUSpec(**{"units": 1, "activation": "linear", **arguments})
    arrays = {key: np.asarray(value, real(dtype)) for key, value in (weights or SCALAR).items()}
    return BACKENDS[name].prepare(spec, arrays, dtype=dtype, device="cpu")


def random_weights(spec: GRUSpec, input_size: int, dtype: str = "float64") -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {key: rng.uniform(-1, 1, shape).astype(dtype) for key, shape in weight_shapes(spec, input_size).items()}


def no_bias() -> dict[str, Any]:
    return {key: SCALAR[key] for key in ("kernel", "recurrent_kernel")}


def real(dtype: str) -> Any:
    return import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = "".join(f"os.environ[{key!r}] = {value!r}; " for key, value in environment.items())
    return subprocess.run(
        [sys.executable, "-c", f"import os, sys; {settings}{code}"], capture_output=True, text=True, check=True
    )


def test_declaring_imports_no_framework() -> None:
    ran = python(
        "from gruspec_tensorflow import v1, v2; v1().capabilities(); v2().capabilities(); "
        "print([name for name in ('tensorflow', 'tf_keras', 'keras', 'numpy') if name in sys.modules])"
    )
    assert ran.stdout == "[]\n"


def test_loading_is_silent_and_gives_the_class_behind_the_public_name() -> None:
    ran = python(
        "from gruspec_tensorflow.adapter import V1, V2; found = V1.resolve(), V2.resolve(); import tensorflow as tf; "
        "print(found[0] is tf.compat.v1.keras.layers.GRU, found[1] is tf.keras.layers.GRU)",
        TF_USE_LEGACY_KERAS="1",
    )
    assert ran.stdout == "True True\n"
    assert "oneDNN" not in ran.stderr
    assert "InitializeLog" not in ran.stderr


def test_registered_and_declared(name: str) -> None:
    declared = Registry().get(name).load_runnable().capabilities()
    assert (declared.kind, declared.extra, declared.devices) == ("native", "tensorflow", ("cpu", "cuda"))


def test_the_real_class_is_built(name: str) -> None:
    assert type(scalar(name).keras_layer).__module__ == DEFINED_IN[name]


@pytest.mark.parametrize("public", ["tf_keras.api._v1.keras.layers", "tf_keras.layers"])
def test_keras_3_under_the_name_is_refused(public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{public}.GRU", import_module("keras").layers.GRU)
    with pytest.raises(MissingDependency, match=rf"{public}\.GRU is keras\.src\.layers\.rnn\.gru\.GRU; expected"):
        scalar("tf-v1" if "_v1" in public else "tf-v2")


def test_the_other_class_of_legacy_keras_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tf_keras.api._v1.keras.layers.GRU", import_module("tf_keras").layers.GRU)
    with pytest.raises(MissingDependency, match="gru_v1"):
        scalar("tf-v1")


@pytest.mark.parametrize("missing", ["tensorflow", "tf_keras.layers"])
def test_a_missing_framework_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependency, match=r"pip install 'gruspec\[tensorflow\]'"):
        scalar("tf-v2")


def test_a_graph_under_construction_is_refused(tf: Any) -> None:
    with tf.Graph().as_default(), pytest.raises(MissingDependency, match="eager"):
        scalar("tf-v1")


def test_every_argument_reaches_the_class(name: str) -> None:
    switches: dict[str, Any] = {
        key: not value for key, value in GRUSpec(units=2).to_dict().items() if isinstance(value, bool)
    }
    others: dict[str, Any] = {
        "activation": "relu",
        "recurrent_activation": "tanh",
        "dropout": 0.25,
        "recurrent_dropout": 0.5,
    }
    spec = GRUSpec(units=2, **others, **switches | {"use_bias": True})
    layer = BACKENDS[name].prepare(spec, random_weights(spec, 3), dtype="float64", device="cpu").keras_layer
    assert {key: layer.get_config()[key] for key in spec.to_dict()} == spec.to_dict()
    assert [scalar(name, implementation=n).keras_layer.cell.implementation for n in (1, 2)] == [1, 2]
    assert scalar(name, weights=no_bias(), use_bias=False).keras_layer.cell.bias is None


@pytest.mark.parametrize("reset_after", [False, True])
def test_weights_are_passed_through_and_copied(name: str, reset_after: bool) -> None:  # noqa: FBT001 - a parameter
    spec = GRUSpec(units=2, reset_after=reset_after)
    weights = random_weights(spec, 3)
    layer = BACKENDS[name].prepare(spec, weights, dtype="float64", device="cpu")
    expected = [array.copy() for array in weights.values()]
    weights["kernel"][:] = 0
    for got, wanted in zip(layer.keras_layer.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_weights_that_do_not_fit_are_refused_at_once(name: str) -> None:
    for change in ({"bias": [[0.0] * 3] * 2}, {"recurrent_kernel": [[0.0] * 6]}):
        with pytest.raises(ValueError, match="shape"):
            scalar(name, weights=SCALAR | change)
    with pytest.raises(ValueError, match="expecting 3 weights"):
        scalar(name, weights=no_bias())


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_equations_in_every_dtype(name: str, dtype: str) -> None:
    before = scalar(name, dtype, return_sequences=True, return_state=True)(X.astype(real(dtype)))
    assert before.outputs.dtype == before.state.dtype == real(dtype)
    np.testing.assert_array_equal(before.outputs.astype(float).ravel(), [0.5, 1.375, 3.03125])
    np.testing.assert_array_equal(before.state.astype(float), [[3.03125]])
    after = scalar(name, dtype, SCALAR | {"bias": [[0.0] * 3, [0.0, 0.0, 1.0]]}, reset_after=True)
    assert after(X[:, :2].astype(real(dtype))).outputs.astype(float).ravel() == [1.8125]


def test_both_layers_agree_where_v2_takes_its_own_loop() -> None:
    spec = GRUSpec(units=3, return_sequences=True, go_backwards=True, **CUDNN)
    weights = random_weights(spec, 2)
    x, mask = np.random.default_rng(1).normal(size=(2, 5, 2)), np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)
    one, other = (
        backend.prepare(spec, weights, dtype="float64", device="cpu")(
            x, mask=mask, initial_state=x[:, 0, :1] + [1.0] * 3
        )
        for backend in BACKENDS.values()
    )
    np.testing.assert_allclose(one.outputs, other.outputs, rtol=0, atol=1e-14)
    assert np.ptp(one.outputs) > 0.1


@pytest.mark.parametrize("unroll", [False, True])
def test_a_masked_step_holds_the_output_and_carries_the_state(name: str, unroll: bool) -> None:  # noqa: FBT001
    layer = scalar(name, return_sequences=True, return_state=True, unroll=unroll)
    outputs, state = layer(X, mask=np.array([[False, True, False]]), initial_state=np.array([[4.0]]))
    np.testing.assert_array_equal(outputs.ravel(), [0, 4, 4])
    assert state == [[4.0]]
    assert layer(X, mask=np.zeros((1, 3), bool), initial_state=np.array([[4.0]])).state == [[4.0]]


def test_time_major_and_backwards(name: str) -> None:
    layer = scalar(name, return_sequences=True, time_major=True, go_backwards=True)
    outputs = layer(X.swapaxes(0, 1), mask=np.array([[True], [True], [False]])).outputs
    assert outputs.shape == (3, 1, 1)
    np.testing.assert_array_equal(outputs.ravel(), [0, 1, 1.25])


def test_state_is_returned_only_where_asked_for(name: str) -> None:
    assert scalar(name)(X).state is None


def test_a_stateful_layer_carries_its_state(name: str) -> None:
    layer = scalar(name, stateful=True)
    with pytest.raises(ValueError, match="batch size"):
        layer.reset_states()
    assert [layer(X[:, :1]).outputs.item(), layer(X[:, 1:]).outputs.item()] == [0.5, 3.03125]
    layer.reset_states()
    assert layer(X[:, :1]).outputs == [[0.5]]
    layer.reset_states(np.array([[4.0]]))
    assert layer(X[:, :1]).outputs == [[3.5]]
    assert scalar(name, stateful=True)(X[:, :1]).outputs == [[0.5]], "layers share no state"
    with pytest.raises(AttributeError, match="stateful"):
        scalar(name).reset_states()


def test_known_a_recorded_state_beats_an_explicit_one(name: str) -> None:
    layer = scalar(name, stateful=True)
    four = np.array([[4.0]])
    assert layer(X[:, :1], initial_state=four).outputs == [[3.5]]
    assert layer(X[:, :1], initial_state=four).outputs == [[0.5 + 0.75 * 3.5]]


def test_known_unrolled_zero_output_fails_without_sequences(name: str) -> None:
    arguments: dict[str, Any] = {"zero_output_for_mask": True, "return_sequences": False}
    mask = np.array([[True, False, True]])
    assert scalar(name, **arguments)(X, mask=mask).outputs == [[2.375]]
    with pytest.raises(ValueError, match="not compatible with supplied shape"):
        scalar(name, unroll=True, **arguments)(X, mask=mask)


def test_known_unrolled_zero_output_is_wrong_backwards(name: str) -> None:
    arguments: dict[str, Any] = {"zero_output_for_mask": True, "return_sequences": True, "go_backwards": True}
    mask = np.array([[True, True, False]])
    loop, unrolled = (
        scalar(name, unroll=unroll, **arguments)(X, mask=mask).outputs.ravel() for unroll in (False, True)
    )
    np.testing.assert_array_equal(loop, [0, 1, 1.25])
    np.testing.assert_array_equal(unrolled, [0, 1, 0])


def test_empty_sequences_are_declared_and_empty_batches_run(name: str) -> None:
    with pytest.raises(Unsupported, match="zero timesteps"):
        scalar(name)(X[:, :0])
    assert scalar(name, return_sequences=True)(X[:0]).outputs.shape == (0, 3, 1)


def test_known_a_stateful_layer_takes_an_empty_batch_for_an_unknown_one(name: str) -> None:
    with pytest.raises(ValueError, match="batch size"):
        scalar(name, stateful=True)(X[:0])


def test_dropout_masks_are_refused(name: str) -> None:
    with pytest.raises(Unsupported, match="dropout masks"):
        scalar(name)(X, training=True, dropout_masks={"inputs": np.ones((3, 1, 1))})


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_subnormals_are_flushed_as_declared(name: str, dtype: str) -> None:
    assert BACKENDS[name].capabilities().subnormals == "flush"
    smallest = import_module("ml_dtypes").finfo(real(dtype)).smallest_normal
    assert scalar(name, dtype)(np.full((1, 1, 1), smallest, real(dtype))).outputs == [[0]]
    assert scalar(name, dtype)(np.full((1, 1, 1), 2 * smallest, real(dtype))).outputs == [[smallest]]


def test_tf32_is_switched_off_and_recorded(tf: Any) -> None:
    tf.config.experimental.enable_tensor_float_32_execution(enabled=True)
    versions = v1().versions()
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    assert (versions["tf32"], versions["tensorflow"]) == ("off", tf.__version__)
    assert "tf_keras" in versions


def test_construction_does_not_warn(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.addHandler(caplog.handler)
    try:
        scalar(name, implementation=0)
        assert (caplog.records, logger.level) == ([], level)
        logger.warning("still heard")
    finally:
        logger.removeHandler(caplog.handler)
    assert "still heard" in caplog.messages


def test_cuda_without_a_gpu_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gruspec_tensorflow.devices.visible_gpus", list)
    weights = random_weights(GRUSpec(units=1), 1)
    with pytest.raises(DeviceUnavailable, match=r"device='cuda': .*(sees no GPU|has no CUDA)"):
        BACKENDS[name].prepare(GRUSpec(units=1), weights, dtype="float64", device="cuda")


def test_cuda_in_a_build_without_it_is_refused(tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"is_cuda_build": False})
    with pytest.raises(DeviceUnavailable, match="has no CUDA"):
        v1().prepare(GRUSpec(units=1), random_weights(GRUSpec(units=1), 1), dtype="float64", device="cuda")


def test_cuda_never_falls_back_to_the_cpu(name: str, tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    monkeypatch.setattr("gruspec_tensorflow.devices.visible_gpus", lambda: ["a GPU that is not there"])
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"is_cuda_build": True})
    with pytest.raises(tf.errors.InvalidArgumentError, match="GPU:0"):
        BACKENDS[name].prepare(GRUSpec(units=1), random_weights(GRUSpec(units=1), 1), dtype="float64", device="cuda")
    assert tf.config.get_soft_device_placement(), "the setting is put back"


def test_a_tensor_on_the_wrong_device_is_noticed(tf: Any) -> None:
    with placed("cpu"):
        tensors = [tf.zeros(1), tf.Variable(1.0)]
    require_placed("cpu", tensors)
    for tensor in tensors:
        with pytest.raises(DeviceUnavailable, match="CPU:0 instead"):
            require_placed("cuda", [tensor])


def test_v1_never_uses_cudnn() -> None:
    layer = BACKENDS["tf-v1"].prepare(
        GRUSpec(units=1, **CUDNN), random_weights(GRUSpec(units=1, **CUDNN), 1), dtype="float64", device="cpu"
    )
    assert (layer.could_use_cudnn, layer.path) == (False, "generic")


@pytest.mark.parametrize(
    ("change", "could"),
    [
        ({}, True),
        ({"stateful": True, "go_backwards": True, "time_major": True, "implementation": 1}, True),
        ({"activation": "relu"}, False),
        ({"recurrent_activation": "hard_sigmoid"}, False),
        ({"unroll": True}, False),
        ({"recurrent_dropout": 0.5}, False),
        ({"reset_after": False}, False),
    ],
)
def test_v2_says_what_could_use_cudnn_and_what_ran(change: dict[str, Any], could: bool) -> None:  # noqa: FBT001
    spec = GRUSpec(**{"units": 2, **CUDNN, **change})
    layer = BACKENDS["tf-v2"].prepare(spec, random_weights(spec, 1), dtype="float64", device="cpu")
    assert layer.could_use_cudnn is could
    assert layer.path == (None if could else "generic")
    layer(X)
    assert layer.path == "generic"


def test_the_path_is_that_of_the_kernel_that_ran(tf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU branch of the layer, with a stand-in for the one operation that needs a GPU."""
    gru = import_module("tf_keras.src.layers.rnn.gru")
    calls = []

    def stand_in(**arguments: Any) -> Any:
        calls.append(arguments["rnn_mode"])
        return tf.fill((1, 3, 2), tf.constant(7.0, tf.float64)), arguments["input_h"], None, None, None

    monkeypatch.setattr(gru.gru_lstm_utils, "get_context_device_type", lambda: "GPU")
    monkeypatch.setattr(gru.tf.raw_ops, "CudnnRNNV3", stand_in)
    spec = GRUSpec(units=2, return_sequences=True, return_state=True, **CUDNN)
    layer = BACKENDS["tf-v2"].prepare(spec, random_weights(spec, 1), dtype="float64", device="cpu")
    assert layer(X).outputs.tolist() == [[[7.0, 7.0]] * 3]
    assert (layer.path, calls) == ("cudnn", ["gru"])
    layer(X, mask=np.array([[False, True, True]]))
    assert (layer.path, calls) == ("generic", ["gru"]), "a left-padded mask goes to the loop"


def test_the_cudnn_kernel_on_a_gpu(tf: Any) -> None:
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("no GPU")
    spec = GRUSpec(units=3, return_sequences=True, return_state=True, **CUDNN)
    weights, x = random_weights(spec, 2), np.random.default_rng(1).normal(size=(2, 5, 2))
    on_cpu, on_gpu = (BACKENDS["tf-v2"].prepare(spec, weights, dtype="float64", device=d) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(on_gpu(x).outputs, on_cpu(x).outputs, rtol=0, atol=1e-13)
    assert (on_cpu.path, on_gpu.path) == ("generic", "cudnn")
