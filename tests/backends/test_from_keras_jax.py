"""Layers of Keras as weights of the JAX function: real layers, both sides within the bounds that are proven."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gruspec_jax
from gruspec.errors import SpecError, SpecTypeError, UsageError

jax = pytest.importorskip("jax")
tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("flint")

from whole_layers import cases, failures, live_layer, results, running, saved_models  # noqa: E402  needs all of them

if TYPE_CHECKING:
    from pathlib import Path

    from gruspec.cases import Case

V1 = import_module("gruspec_tensorflow.adapter").V1.resolve()
computing = import_module("gruspec_jax.devices").computing
BoundLayer = import_module("gruspec_jax.bound").BoundLayer
CASES = cases("jax/")
CPU = jax.devices("cpu")[0]
X = np.random.default_rng(3).uniform(-2, 2, (2, 5, 3)).astype("float32")
gru = jax.jit(gruspec_jax.gru, static_argnames="spec")


def built(**arguments: Any) -> Any:
    """Return a layer of ``tf.compat.v1.keras`` with random weights, biases too, for inputs with three features."""
    layer = V1(4, bias_initializer="uniform", **arguments)
    layer(X)
    return layer


def close(computed: Any, expected: Any) -> None:
    np.testing.assert_allclose(computed, np.asarray(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layer_and_function_are_within_the_bounds(case: Case, dtype: str) -> None:
    assert dtype in case.dtypes
    layer = live_layer(case, dtype)
    with computing(dtype, CPU):
        params, spec = gruspec_jax.from_keras(layer)
    assert {name: array.dtype.name for name, array in params.items()} == dict.fromkeys(case.weights, dtype)
    assert failures(case, results(case, running(layer, case), dtype), dtype) == []
    assert failures(case, results(case, BoundLayer(spec, params, dtype=dtype, device=CPU), dtype), dtype) == []


def test_the_bounds_are_not_blind() -> None:
    case = next(case for case in CASES if case.spec.use_bias and case.spec.return_sequences)
    layer = live_layer(case, "float64")
    layer.set_weights([weight * (1 + 1e-12) for weight in layer.get_weights()])
    with computing("float64", CPU):
        params, spec = gruspec_jax.from_keras(layer)
    assert failures(case, results(case, BoundLayer(spec, params, dtype="float64", device=CPU), "float64"), "float64")


@pytest.mark.parametrize("reset_after", [False, True])
def test_the_function_computes_what_the_layer_computes(*, reset_after: bool) -> None:
    layer = built(reset_after=reset_after, go_backwards=True, return_sequences=True, return_state=True)
    params, spec = gruspec_jax.from_keras(layer)
    mask = np.array([[True, False, True, True, False], [False] * 5])
    for computed, expected in zip(gru(params, X, spec=spec, mask=mask), layer(X, mask=mask), strict=True):
        close(computed, expected)


def test_a_stateful_layer_is_a_state_that_is_handed_on() -> None:
    layer = V1(4, stateful=True, return_sequences=True)
    layer(tf_keras.Input(batch_shape=X.shape))
    params, spec = gruspec_jax.from_keras(layer)
    state = None
    for timesteps in (5, 2, 3):
        outputs, state = gru(params, X[:, :timesteps], spec=spec, initial_state=state)
        close(outputs, layer(X[:, :timesteps]))
        close(state, layer.states[0])


def test_dtype() -> None:
    layer = built()
    params, _ = gruspec_jax.from_keras(layer, dtype="bfloat16")
    assert {array.dtype.name for array in params.values()} == {"bfloat16"}
    layer.set_weights([1e6 * weight for weight in layer.get_weights()])
    with pytest.raises(SpecTypeError, match="float16"):
        gruspec_jax.from_keras(layer, dtype=jax.numpy.float16)


def test_float64_is_never_rounded_in_silence() -> None:
    layer = V1(4, dtype="float64")
    layer(X.astype("float64"))
    with pytest.raises(UsageError, match="jax_enable_x64"):
        gruspec_jax.from_keras(layer)
    with pytest.raises(UsageError, match="jax_enable_x64"):
        gruspec_jax.from_keras(built(), dtype="float64")
    params, spec = gruspec_jax.from_keras(layer, dtype="float32")
    close(gru(params, X, spec=spec)[0], layer(X))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_model_files(suffix: str, tmp_path: Path) -> None:
    for path, name, layer in saved_models(tmp_path, suffix, X):
        params, spec = gruspec_jax.from_keras(path, name)
        close(gru(params, X, spec=spec)[0], layer(X))
        assert all(
            np.array_equal(array, weight) for array, weight in zip(params.values(), layer.get_weights(), strict=True)
        )


def test_what_is_no_layer_of_the_specification_is_refused() -> None:
    with pytest.raises(SpecError, match="activation='swish'"):
        gruspec_jax.from_keras(built(activation="swish"))
    with pytest.raises(UsageError, match="0 weights of 3"):
        gruspec_jax.from_keras(V1(4))
