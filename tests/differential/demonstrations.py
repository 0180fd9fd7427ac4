"""What the original does, one function for each known difference; an AssertionError says that it no longer does.

Each takes the original's class and needs nothing else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gruspec_tensorflow.framework import load_tensorflow

X = np.array([[[1.0], [-0.5], [0.25]], [[0.5], [1.0], [-1.0]]], np.float32)
"""(B, T, D) = (2, 3, 1)."""

STATE = np.array([[0.5], [-0.25]], np.float32)
"""(B, u) = (2, 1)."""

MASK = np.array([[True, False, False], [True, True, False]])


def refused(action: Any) -> Exception | None:
    """Return what an action raises."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - any refusal counts
        return error
    return None


def tensor(values: Any) -> Any:
    """Return a TensorFlow tensor."""
    return load_tensorflow().constant(values)


def same_weights(gru: Any, count: int, *units: int, **arguments: Any) -> list[Any]:
    """Return layers with the same random weights."""
    layers = [gru(*(units or (1,)), **arguments) for _ in range(count)]
    for layer in layers:
        layer.build(X.shape)
        layer.set_weights(layers[0].get_weights())
    return layers


def recorded_state_wins(gru: Any) -> None:
    one, other = same_weights(gru, 2, stateful=True)
    for layer in (one, other):
        layer(X)
    assert np.any(one.states[0].numpy())
    assert np.array_equal(one(X, initial_state=tensor(STATE)), other(X))


def unrolled_zero_output_fails(gru: Any) -> None:
    layer = gru(1, unroll=True, zero_output_for_mask=True)
    assert refused(lambda: layer(X)) is None
    assert isinstance(refused(lambda: layer(X, mask=MASK)), ValueError)


def unrolled_zero_output_misplaced(gru: Any) -> None:
    (layer,) = same_weights(gru, 1, zero_output_for_mask=True, go_backwards=True, return_sequences=True)
    looped = np.asarray(layer(X, mask=MASK))
    layer.unroll = True
    unrolled = np.asarray(layer(X, mask=MASK))
    assert np.array_equal(looped[..., 0] != 0, MASK[:, ::-1])
    assert np.array_equal(unrolled[..., 0] != 0, MASK & MASK[:, ::-1])


def numpy_state_refused(gru: Any) -> None:
    assert refused(lambda: gru(1)(X, initial_state=tensor(STATE))) is None
    assert isinstance(refused(lambda: gru(1)(X, initial_state=STATE)), ValueError)


def state_not_cast(gru: Any) -> None:
    for dtype in (np.float64, np.int64, bool):
        state = tensor(STATE.astype(dtype))
        assert refused(lambda state=state: gru(1)(X, initial_state=state)) is not None
        assert refused(lambda state=state: gru(1, stateful=True)(X, initial_state=state)) is None


def masked_nan_in_gradients(gru: Any) -> None:
    tf = load_tensorflow()
    inputs = np.where(MASK[..., None], X, np.nan).astype(np.float32)
    for unroll in (False, True):
        (layer,) = same_weights(gru, 1, unroll=unroll)
        with tf.GradientTape() as tape:
            outputs = layer(inputs, mask=MASK)
        assert np.isfinite(outputs).all()
        assert np.isnan(tape.gradient(outputs, layer.cell.kernel)).all()


def no_timesteps_refused(gru: Any) -> None:
    for unroll in (False, True):
        assert refused(lambda unroll=unroll: gru(1, unroll=unroll)(X[:, :0])) is not None


def no_rows_refused_if_stateful(gru: Any) -> None:
    assert refused(lambda: gru(1)(X[:0])) is None
    assert isinstance(refused(lambda: gru(1, stateful=True)(X[:0])), ValueError)


def gelu_of_single_precision(gru: Any) -> None:
    activation = gru(1, activation="gelu").activation
    value = float(activation(tensor(np.float64(-1.0))))
    exact = -0.5 * math.erfc(math.sqrt(0.5))
    assert 1e-9 < abs(value - exact) < 1e-7


def leaky_relu_of_single_precision(gru: Any) -> None:
    activation = gru(1, activation="leaky_relu").activation
    assert float(activation(tensor(np.float64(-1.0)))) == -float(np.float32(0.2))


def non_negative_of_single_precision(gru: Any) -> None:
    (layer,) = same_weights(gru, 1, kernel_constraint="non_neg", dtype="float64")
    assert refused(lambda: layer.cell.kernel.constraint(layer.cell.kernel)) is not None


def single_row_penalty(gru: Any) -> None:
    layer = gru(2, kernel_regularizer="orthogonal_regularizer")
    layer.build(X.shape)
    assert np.isnan(layer.losses[0])


def activation_remembers_shape(gru: Any) -> None:
    layer = gru(1, activation="LeakyReLU")
    assert "build_config" not in layer.get_config()["activation"]
    layer(X)
    assert "build_config" in layer.get_config()["activation"]


def setting_of_wrong_type_is_a_value_error(gru: Any) -> None:
    for name in ("kernel_initializer", "bias_regularizer", "recurrent_constraint"):
        assert isinstance(refused(lambda name=name: gru(1, **{name: 3})), ValueError)


def batch_size_ignored(gru: Any) -> None:
    assert "batch_input_shape" not in gru(1, batch_size=2).get_config()


def units_refused_late(gru: Any) -> None:
    for units in (2.0, 2.5, True):
        assert refused(lambda units=units: gru(units)) is None
        assert refused(lambda units=units: gru(units)(X)) is not None


def activation_with_weight_taken(gru: Any) -> None:
    layer = gru(1, activation="PReLU")
    layer(X)
    assert len(layer.weights) == 4


def regularizer_refused_late(gru: Any) -> None:
    layer = gru(1, kernel_regularizer="l3")
    layer(X)
    assert isinstance(refused(lambda: layer.losses), TypeError)


def dtype_refused_late(gru: Any) -> None:
    for dtype in ("int32", "bool", "complex64"):
        layer = gru(1, dtype=dtype)
        assert isinstance(refused(lambda layer=layer: layer.build(X.shape)), ValueError)


def rate_taken(gru: Any) -> None:
    assert gru(1, dropout=math.nan).dropout == 0
    assert gru(1, dropout=True).dropout == 1


def any_flag_taken(gru: Any) -> None:
    assert np.asarray(gru(1, return_sequences="yes")(X)).ndim == 3
    assert gru(1, use_bias=0).get_config()["use_bias"] == 0


def any_implementation_taken(gru: Any) -> None:
    for implementation in ("1", None, 1.5):
        layer = gru(1, implementation=implementation)
        layer(X)
        assert layer.implementation == implementation


def mask_broadcast(gru: Any) -> None:
    (layer,) = same_weights(gru, 1)
    right = layer(X, mask=np.repeat(MASK[1:], 2, axis=0))
    assert np.array_equal(layer(X, mask=MASK[1:]), right)
    layer.time_major = True
    assert np.array_equal(layer(X.swapaxes(0, 1), mask=MASK[1]), right)


def mask_by_unit(gru: Any) -> None:
    (layer,) = same_weights(gru, 1, 2, return_sequences=True)
    mask = np.stack([np.ones_like(MASK), np.zeros_like(MASK)], axis=-1)
    outputs = np.asarray(layer(X, mask=mask))
    assert np.all(outputs[..., 0])
    assert not np.any(outputs[..., 1])


def mask_cut(gru: Any) -> None:
    (layer,) = same_weights(gru, 1, unroll=True)
    longer = np.concatenate([MASK, MASK], axis=1)
    assert np.array_equal(layer(X, mask=longer), layer(X, mask=MASK))


def complex_mask_taken(gru: Any) -> None:
    (layer,) = same_weights(gru, 1)
    assert np.array_equal(layer(X, mask=MASK.astype(np.complex64)), layer(X, mask=MASK))


def odd_state_taken(gru: Any) -> None:
    layer = gru(1, stateful=True)
    layer(X, initial_state=tensor(STATE.astype(np.complex64)))
    for odd in (STATE + np.complex64(1j), STATE.astype(str)):
        layer.reset_states()
        layer.reset_states(odd)
        assert np.array_equal(layer.states[0], STATE)


def state_broadcast(gru: Any) -> None:
    one, other = same_weights(gru, 2, unroll=True)
    row = tensor(STATE[:1])
    both = tensor(np.repeat(STATE[:1], 2, axis=0))
    right = np.asarray(one(X, initial_state=both))
    assert np.array_equal(other(X, initial_state=row), right)
    other.unroll = False
    assert np.array_equal(other(X[:1], initial_state=row[None]), right[None, :1])


def weights_of_any_dtype_taken(gru: Any) -> None:
    (layer,) = same_weights(gru, 1)
    weights = layer.get_weights()
    for dtype in (str, np.complex64):
        layer.set_weights([weight.astype(dtype) for weight in weights])
        assert all(np.allclose(a, b) for a, b in zip(layer.get_weights(), weights, strict=True))


def built_for_any_axes(gru: Any) -> None:
    for shape in ((2, 3), (2, 3, 2, 2)):
        layer = gru(1)
        layer.build(shape)
        assert layer.cell.kernel.shape[0] == 2


def training_not_checked(gru: Any) -> None:
    (layer,) = same_weights(gru, 1)
    assert np.array_equal(layer(X, training="yes"), layer(X))
