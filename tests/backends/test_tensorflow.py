"""TensorFlow's layers behind the protocol: the real classes, their real results, and no fallback to another device."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scalar_loop import FUNCTIONS

from gruspec.backend import Registry
from gruspec.errors import DeviceUnavailable, MissingDependency, SpecError, Unsupported
from gruspec.spec import GRUSpec, WeightSettings, weight_shapes
from gruspec_tensorflow import v1, v2
from gruspec_tensorflow.devices import placed, require_placed
from gruspec_tensorflow.gradients import pull_back

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


def scalar(
    name: str,
    dtype: str = "float64",
    weights: dict[str, Any] | None = None,
    settings: WeightSettings | None = None,
    **arguments: Any,
) -> Any:
    """One unit with z = r = 1/2 whatever comes in: h' = h/2 + (x + h/2)/2, exact in every dtype."""
    spec = GRUSpec(**{"units": 1, "activation": "linear", **arguments})
    arrays = {key: np.asarray(value, real(dtype)) for key, value in (weights or SCALAR).items()}
    return BACKENDS[name].prepare(spec, arrays, dtype=dtype, device="cpu", settings=settings)


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
    assert declared.dropout
    assert declared.gradients
    assert declared.losses


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
    output = layer(X, mask=np.array([[False, True, False]]), initial_state=np.array([[4.0]]))
    np.testing.assert_array_equal(output.outputs.ravel(), [0, 4, 4])
    assert output.state == [[4.0]]
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


def drawn(spec: GRUSpec, batch: int, input_size: int, seed: int = 3) -> dict[str, Any]:
    """Dropout masks of the scale that the rates of 1/2 and 1/4 have."""
    rng = np.random.default_rng(seed)
    gates = 3 if spec.implementation == 1 else 1
    return {
        "inputs": rng.choice([0.0, 2.0], (gates, batch, input_size)),
        "recurrent": rng.choice([0.0, 4 / 3], (3, batch, spec.units)),
    }


def dropped(spec: GRUSpec, weights: dict[str, Any], x: Any, h: Any, m: Any, k: Any) -> Any:
    """The outputs under dropout masks m (3, B, D) and k (3, B, u), (B, T, u): the formula of the specification."""
    (wz, wr, wh), (uz, ur, uh) = (np.split(weights[key], 3, axis=1) for key in ("kernel", "recurrent_kernel"))
    (bz, br, bh), (cz, cr, ch) = np.reshape(np.split(np.resize(weights["bias"], 6 * spec.units), 6), (2, 3, -1))
    if not spec.reset_after:
        cz, cr, ch = 0 * cz, 0 * cr, 0 * ch
    gate, activation = FUNCTIONS[spec.recurrent_activation], FUNCTIONS[spec.activation]
    outputs = []
    for t in range(x.shape[1]):
        z = gate((x[:, t] * m[0]) @ wz + bz + (h * k[0]) @ uz + cz)
        r = gate((x[:, t] * m[1]) @ wr + br + (h * k[1]) @ ur + cr)
        recurrent = r * ((h * k[2]) @ uh + ch) if spec.reset_after else (r * (h * k[2])) @ uh
        h = z * h + (1 - z) * activation((x[:, t] * m[2]) @ wh + bh + recurrent)
        outputs.append(h)
    return np.stack(outputs, 1)


@pytest.mark.parametrize("rates", [(0.5, 0.25), (0.5, 0.0), (0.0, 0.25)])
@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
def test_dropout_masks_that_act_are_applied(
    name: str,
    reset_after: bool,  # noqa: FBT001
    unroll: bool,  # noqa: FBT001
    implementation: int,
    rates: tuple[float, float],
) -> None:
    arguments: dict[str, Any] = {"reset_after": reset_after, "unroll": unroll, "implementation": implementation}
    spec = GRUSpec(units=2, return_sequences=True, dropout=rates[0], recurrent_dropout=rates[1], **arguments)
    weights, x = random_weights(spec, 3), np.random.default_rng(1).normal(size=(2, 4, 3))
    masks, h = drawn(spec, 2, 3), np.array([[0.5, -0.25], [1.0, 0.125]])
    m, k = np.broadcast_to(masks["inputs"], (3, 2, 3)), masks["recurrent"]
    wanted = dropped(spec, weights, x, h, m if rates[0] else np.ones_like(m), k if rates[1] else np.ones_like(k))
    layer = BACKENDS[name].prepare(spec, weights, dtype="float64", device="cpu")
    got = layer(x, initial_state=h, training=True, dropout_masks=masks).outputs
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-14)
    inactive = layer(x, initial_state=h, training=False, dropout_masks=masks).outputs
    np.testing.assert_allclose(inactive, dropped(spec, weights, x, h, [1, 1, 1], [1, 1, 1]), rtol=0, atol=1e-14)
    assert np.abs(got - inactive).max() > 0.01


@pytest.mark.parametrize("time_major", [False, True])
def test_v2_with_cudnn_arguments_takes_one_mask_for_all_gates(time_major: bool) -> None:  # noqa: FBT001
    arguments: dict[str, Any] = {
        "units": 2,
        "dropout": 0.5,
        "return_sequences": True,
        "time_major": time_major,
        **CUDNN,
    }
    spec = GRUSpec(implementation=2, **arguments)
    weights, x = random_weights(spec, 3), np.random.default_rng(1).normal(size=(2, 4, 3))
    masks, h = drawn(spec, 2, 3), np.zeros((2, 2))
    given = x.swapaxes(0, 1) if time_major else x
    layer = BACKENDS["tf-v2"].prepare(spec, weights, dtype="float64", device="cpu")
    outputs = layer(given, training=True, dropout_masks=masks).outputs
    wanted = dropped(spec, weights, x, h, np.broadcast_to(masks["inputs"], (3, 2, 3)), [1, 1, 1])
    np.testing.assert_allclose(outputs.swapaxes(0, 1) if time_major else outputs, wanted, rtol=0, atol=1e-14)
    assert layer.could_use_cudnn
    gate_by_gate = GRUSpec(implementation=1, **arguments)
    layer = BACKENDS["tf-v2"].prepare(gate_by_gate, weights, dtype="float64", device="cpu")
    with pytest.raises(Unsupported, match="one mask for the inputs of all gates"):
        layer(given, training=True, dropout_masks=drawn(gate_by_gate, 2, 3))
    np.testing.assert_allclose(layer(given).outputs, layer(given, training=False).outputs, rtol=0, atol=0)


def test_a_layer_gets_its_own_dropout_back(name: str) -> None:
    layer = scalar(name, dropout=0.5, recurrent_dropout=0.5)
    masks = {"inputs": np.full((3, 1, 1), 2.0), "recurrent": np.full((3, 1, 1), 2.0)}
    assert layer(X[:, :1], training=True, dropout_masks=masks).outputs == [[1]]
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(X[0, :1], training=True, dropout_masks=masks)
    own = type(layer.keras_layer.cell).get_dropout_mask_for_cell
    assert layer.keras_layer.cell.get_dropout_mask_for_cell.__func__ is own
    assert not {"get_dropout_mask_for_cell", "get_recurrent_dropout_mask_for_cell"} & set(vars(layer.keras_layer.cell))


def test_training_is_passed_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, seen = scalar(name), []
    keras_class = type(layer.keras_layer)
    call = keras_class.call

    def heard(*arguments: Any, **keywords: Any) -> Any:
        seen.append(keywords["training"])
        return call(*arguments, **keywords)

    monkeypatch.setattr(keras_class, "call", heard)
    layer(X)
    layer(X, training=True)
    layer.vjp(X, cotangents={"outputs": np.ones((1, 1))}, training=True)
    assert seen == [False, True, True]


def test_dropout_masks_that_do_not_act_are_not_looked_at(name: str) -> None:
    odd = {"inputs": np.zeros((7, 7)), "recurrent": np.zeros((7, 7))}
    assert scalar(name, dropout=0.5)(X, dropout_masks=odd).outputs == [[3.03125]]
    assert scalar(name)(X, training=True, dropout_masks=odd).outputs == [[3.03125]]
    assert scalar(name, dropout=1, recurrent_dropout=1)(X).outputs == [[3.03125]]
    inputs = {"inputs": np.full((3, 1, 1), 2.0), "recurrent": odd["recurrent"]}
    assert scalar(name, dropout=0.5)(X, training=True, dropout_masks=inputs).outputs == [[6.0625]]


def test_dropout_that_cannot_be_judged_or_cannot_be_is_refused(name: str) -> None:
    layer = scalar(name, dropout=0.5)
    with pytest.raises(Unsupported, match="draw its own"):
        layer(X, training=True)
    with pytest.raises(SpecError, match=r"'inputs' has shape \(1, 1, 1\); expected \(3, 1, 1\)"):
        layer(X, training=True, dropout_masks={"inputs": np.ones((1, 1, 1))})
    for one in (scalar(name, dropout=1), scalar(name, recurrent_dropout=1)):
        with pytest.raises(ValueError, match=r"dropout=1\.0: in training the rate must be less than 1"):
            one(X, training=True, dropout_masks={})


SMOOTH: dict[str, Any] = {"units": 2, "recurrent_activation": "sigmoid"}
DROPOUT: dict[str, Any] = {"dropout": 0.5, "recurrent_dropout": 0.25}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"reset_after": True, "return_sequences": True},
        {"return_state": True, "unroll": True},
        {"return_state": True, "return_sequences": True, "stateful": True},
        {"return_state": True, "stateful": True, "go_backwards": True, "reset_after": True, "use_bias": False},
        {"return_sequences": True, "time_major": True, "go_backwards": True, "return_state": True},
        {"return_sequences": True, "zero_output_for_mask": True, "return_state": True},
        {"return_sequences": True, "unroll": True, "go_backwards": True, "time_major": True},
        {"recurrent_activation": "hard_sigmoid", "activation": "relu", "return_sequences": True},
        DROPOUT,
        DROPOUT | {"reset_after": True, "return_sequences": True, "unroll": True},
        {"dropout": 0.5, "implementation": 2, "return_sequences": True, "return_state": True},
        {"dropout": 0.5, "implementation": 2, "reset_after": True, "time_major": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_the_slopes_of_the_layer_itself(
    name: str,
    masked: bool,  # noqa: FBT001
    arguments: dict[str, Any],
) -> None:
    spec = GRUSpec(**SMOOTH | arguments)
    rng = np.random.default_rng(11)
    shape = (4, 3) if spec.time_major else (3, 4)
    point = {"inputs": rng.normal(size=(*shape, 3)), **random_weights(spec, 3)}
    call: dict[str, Any] = {"training": bool(spec.dropout), "dropout_masks": drawn(spec, 3, 3)}
    if masked:
        valid = np.array([[False, True, False, True], [True, True, True, False], [False, False, False, False]])
        call["mask"] = valid.T if spec.time_major else valid
    recorded = rng.normal(size=(3, 2))
    if not spec.stateful:
        point["initial_state"] = rng.normal(size=(3, 2))

    def layer(at: dict[str, Any]) -> Any:
        weights = {key: at[key] for key in weight_shapes(spec, 3)}
        prepared = BACKENDS[name].prepare(spec, weights, dtype="float64", device="cpu")
        if spec.stateful:
            prepared(at["inputs"], **call)
            prepared.reset_states(recorded)
        return prepared

    def run(at: dict[str, Any]) -> Any:
        return layer(at)(at["inputs"], initial_state=at.get("initial_state"), **call)

    def value(at: dict[str, Any]) -> float:
        output = run(at)
        return float(sum((cotangent * getattr(output, key)).sum() for key, cotangent in cotangents.items()))

    output = run(point)
    cotangents = {"outputs": rng.normal(size=output.outputs.shape)}
    if spec.return_state:
        cotangents["state"] = rng.normal(size=output.state.shape)
    found = layer(point).vjp(point["inputs"], cotangents=cotangents, initial_state=point.get("initial_state"), **call)
    np.testing.assert_array_equal(found.output.outputs, output.outputs)
    assert (found.output.state is None) is not spec.return_state
    assert found.gradients.keys() == point.keys()
    for key, at in point.items():
        assert (found.gradients[key].shape, found.gradients[key].dtype) == (at.shape, at.dtype)
        direction = rng.normal(size=at.shape)
        above, below = (value(point | {key: at + step * direction}) for step in (1e-5, -1e-5))
        slope = (above - below) / 2e-5
        np.testing.assert_allclose((found.gradients[key] * direction).sum(), slope, rtol=0, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_gradients_in_every_dtype(name: str, dtype: str) -> None:
    x, one = X.astype(real(dtype)), np.ones((1, 1), real(dtype))
    output, gradients = scalar(name, dtype).vjp(x, cotangents={"outputs": one}, initial_state=0 * one)
    assert output.outputs.astype(float) == [[3.03125]]
    assert {array.dtype for array in gradients.values()} == {np.dtype(real(dtype))}
    wanted = {"inputs": [0.28125, 0.375, 0.5], "initial_state": [0.75**3]}
    for key, values in wanted.items():
        np.testing.assert_array_equal(gradients[key].astype(float).ravel(), values)
    assert gradients["bias"].astype(float)[2] == 0.28125 + 0.375 + 0.5


def test_gradients_stay_inside_one_call(name: str) -> None:
    one = np.ones((1, 1))
    layer = scalar(name, stateful=True)
    first = layer.vjp(X[:, :1], cotangents={"outputs": one})
    second = layer.vjp(X[:, 1:], cotangents={"outputs": one})
    assert (first.output.outputs, second.output.outputs) == ([[0.5]], [[3.03125]])
    np.testing.assert_array_equal(second.gradients["inputs"].ravel(), [0.375, 0.5])
    assert layer(X[:, :1]).outputs == [[0.5 + 0.75 * 3.03125]], "a call under a tape records its state too"


def test_nothing_flows_where_nothing_connects(name: str) -> None:
    one = np.ones((1, 1))
    masked: dict[str, Any] = {"mask": np.zeros((1, 3), bool), "initial_state": 4 * one}
    gradients = scalar(name).vjp(X, cotangents={"outputs": one}, **masked).gradients
    assert all(not array.any() for array in gradients.values())
    gradients = scalar(name, return_state=True).vjp(X, cotangents={"outputs": one, "state": one}, **masked).gradients
    assert gradients["initial_state"] == [[1]]
    gradients = scalar(name, return_state=True).vjp(X, cotangents={"outputs": 0 * one, "state": one}).gradients
    np.testing.assert_array_equal(gradients["inputs"].ravel(), [0.28125, 0.375, 0.5])
    gradients = scalar(name, return_state=True).vjp(X, cotangents={"outputs": one}).gradients
    np.testing.assert_array_equal(gradients["inputs"].ravel(), [0.28125, 0.375, 0.5])


def test_absent_cotangents_are_zero(name: str) -> None:
    gradients = scalar(name, return_state=True).vjp(X, cotangents={}).gradients
    assert gradients
    assert not any(array.any() for array in gradients.values())


def test_cotangents_that_do_not_fit_are_refused(name: str) -> None:
    one = np.ones((1, 1))
    for cotangents, message in (
        ({"outputs": np.ones(1)}, r"'outputs' has shape \(1,\); expected \(1, 1\)"),
        ({"outputs": one, "state": one}, "'state' is not returned by this layer; it returns outputs"),
    ):
        with pytest.raises(SpecError, match=message):
            scalar(name).vjp(X, cotangents=cotangents)
    with pytest.raises(SpecError, match=r"'state' has shape \(1, 1, 1\); expected \(1, 1\)"):
        scalar(name, return_state=True).vjp(X, cotangents={"outputs": one, "state": one[None]})


def test_sparse_gradients_become_arrays(tf: Any) -> None:
    table = tf.Variable([[1.0], [2.0], [3.0]])
    with tf.GradientTape() as tape:
        rows = tf.gather(table, [2, 0, 2])
    found = pull_back(tape, {"outputs": rows}, {"outputs": tf.ones((3, 1))}, {"table": table})
    assert found["table"].numpy().tolist() == [[1], [0], [2]]


def test_gradients_go_through_the_path_that_ran() -> None:
    spec = GRUSpec(units=2, **CUDNN)
    layer = BACKENDS["tf-v2"].prepare(spec, random_weights(spec, 1), dtype="float64", device="cpu")
    layer.vjp(X, cotangents={"outputs": np.ones((1, 2))})
    assert layer.path == "generic"


@pytest.mark.parametrize("arguments", [{}, {"unroll": True}, {"activation": "tanh"}, CUDNN], ids=str)
def test_known_nan_at_a_masked_step_reaches_gradients(name: str, arguments: dict[str, Any]) -> None:
    spec = GRUSpec(units=2, **arguments)
    layer = BACKENDS[name].prepare(spec, random_weights(spec, 1), dtype="float64", device="cpu")
    call: dict[str, Any] = {"mask": np.array([[True, False, True]] * 2), "initial_state": np.ones((2, 2))}
    for bad, wrong in ((np.nan, {"kernel", "recurrent_kernel", "bias"}), (np.inf, {"kernel"})):
        x = np.concatenate([X, X])
        x[0, 1] = bad
        output, gradients = layer.vjp(x, cotangents={"outputs": np.ones((2, 2))}, **call)
        assert np.isfinite(output.outputs).all()
        assert {key for key in ("kernel", "recurrent_kernel", "bias") if np.isnan(gradients[key]).all()} == wrong
        rows = np.isnan(gradients["inputs"][..., 0]), np.isnan(gradients["initial_state"]).all(1)
        assert [row.tolist() for row in rows] == [
            [[bool(np.isnan(bad))] * 2 + [False], [False] * 3],
            [bool(np.isnan(bad)), False],
        ]


def test_known_no_gradient_reaches_an_explicit_state_that_is_ignored(name: str) -> None:
    layer = scalar(name, stateful=True)
    call: dict[str, Any] = {"cotangents": {"outputs": np.ones((1, 1))}, "initial_state": np.full((1, 1), 4.0)}
    slopes = [layer.vjp(X[:, :1], **call).gradients["initial_state"].item() for _ in range(2)]
    assert slopes == [0.75, 0]


def l1l2(l1: float, l2: float) -> dict[str, Any]:
    return {"class_name": "L1L2", "config": {"l1": l1, "l2": l2}}


REGULARIZED = WeightSettings(
    kernel_regularizer=l1l2(0.5, 0.25),
    recurrent_regularizer=l1l2(0.25, 0.0),
    bias_regularizer=l1l2(0.0, 0.5),
    activity_regularizer=l1l2(0.5, 0.0),
)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("arguments", [{}, {"unroll": True}, {"stateful": True}], ids=str)
def test_losses_by_hand(name: str, arguments: dict[str, Any], dtype: str) -> None:
    """Outputs are 3/2, 25/8 and 171/32, the final state 171/32; kernel, recurrent kernel and bias have 1, 1 and 2."""
    weights = SCALAR | {"bias": [0.0, 0.0, 2.0]}
    options: dict[str, Any] = {"return_sequences": True, "return_state": True, **arguments}
    x = np.concatenate([X, X]).astype(dtype)
    of_weights = [0.75, 0.25, 2.0]
    activity = [(1.5 + 3.125 + 5.34375) / 2, 5.34375 / 2]
    layer = scalar(name, dtype, weights, REGULARIZED, **options)
    layer(x)
    assert (layer.losses.dtype, layer.losses.tolist()) == (np.dtype(dtype), activity + of_weights)
    if not arguments.get("stateful"):
        layer(x)
        assert layer.losses.tolist() == activity + of_weights, "each call has its own"
    layer = scalar(name, dtype, weights, REGULARIZED, **options | {"time_major": True})
    layer.vjp(x.swapaxes(0, 1), cotangents={"outputs": np.ones((3, 2, 1), dtype)})
    losses = layer.losses
    np.testing.assert_allclose(losses[0], activity[0] * 2 / 3, rtol=2e-3 if dtype == "float16" else 1e-6)
    assert losses[1:].tolist() == activity[1:] + of_weights


def losses_of(layer: Any, inputs: Any = X) -> Any:
    layer(inputs)
    return layer.losses


def test_losses_of_what_has_no_regularizer_are_left_out(name: str) -> None:
    for settings in (None, WeightSettings()):
        none = losses_of(scalar(name, "bfloat16", settings=settings), X.astype(real("bfloat16")))
        assert (none.shape, none.dtype) == ((0,), real("bfloat16"))
    kernel = scalar(name, settings=WeightSettings(kernel_regularizer="l1"), weights=no_bias(), use_bias=False)
    np.testing.assert_allclose(losses_of(kernel), [0.01], rtol=1e-7)
    unbiased = scalar(name, settings=REGULARIZED, weights=no_bias(), use_bias=False)
    assert losses_of(unbiased).tolist() == [0.5 * 3.03125, 0.75, 0.25]
    assert losses_of(scalar(name, settings=REGULARIZED), X[:0]).tolist() == [0, 0.75, 0.25, 0]


def test_losses_do_not_enter_gradients(name: str) -> None:
    cotangents = {"outputs": np.ones((1, 1))}
    plain, regularized = (scalar(name, settings=s).vjp(X, cotangents=cotangents) for s in (None, REGULARIZED))
    for key, gradient in plain.gradients.items():
        np.testing.assert_array_equal(gradient, regularized.gradients[key])


def test_known_factors_of_regularizers_are_float32(name: str) -> None:
    losses = losses_of(scalar(name, settings=WeightSettings(kernel_regularizer=l1l2(0.1, 0.0))))
    assert losses.dtype == np.float64
    assert losses.tolist() == [float(np.float32(0.1))]


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
