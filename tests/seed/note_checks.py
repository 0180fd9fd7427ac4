"""What the page says besides names, as checks of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from layers_under_test import OPEN, SHUT, close, differ, drawn, drawn_weights, layer_of, layer_with
from scalar_loop import loop

from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from layers_under_test import Array, LayerClass


def gated_recurrent_unit(gru: LayerClass) -> None:
    spec = {"return_sequences": True}
    _agrees_with_loop(gru, spec)
    h = np.array([[8.0]])
    for z, r, expected in ((SHUT, SHUT, 2.0), (SHUT, OPEN, 10.0), (OPEN, OPEN, 8.0)):
        layer = layer_with(gru, [[0, 0, 1]], [[0, 0, 1]], [z, r, 0], activation="linear")
        close(layer([[[2.0]]], h), [[expected]])


def every_layer(gru: LayerClass) -> None:
    x = drawn(2, 4, 3)
    layer = gru(2, dtype="float64", go_backwards=True, name="reader")
    assert (layer.name, layer.built, layer.weights, layer.losses) == ("reader", False, [], [])
    outputs = layer(x)
    assert layer.built
    assert len(layer.weights) == len(layer.trainable_weights) == 3
    assert layer.count_params() == 3 * 2 * (3 + 2 + 1)
    close(layer(x), outputs)
    again = gru.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((None, None, 3))
    again.set_weights(layer.get_weights())
    close(again(x), outputs)
    with pytest.raises(TypeError, match="no_such_argument"):
        gru(2, no_such_argument=1)


def reset_gate_before_the_product(gru: LayerClass) -> None:
    _agrees_with_loop(gru, {})
    _agrees_with_loop(gru, {"reset_after": False, "return_sequences": True, "recurrent_activation": "sigmoid"})


def reset_gate_after_the_product(gru: LayerClass) -> None:
    _agrees_with_loop(gru, {"reset_after": True})
    _agrees_with_loop(gru, {"reset_after": True, "return_sequences": True, "recurrent_activation": "sigmoid"})


def compatible_with_cudnngru(gru: LayerClass) -> None:
    size, units = 3, 2
    w = {gate: drawn(units, size, seed=i) for i, gate in enumerate("rih")}  # matrices as cuDNN keeps them: (u, D)
    u = {gate: drawn(units, units, seed=10 + i) for i, gate in enumerate("rih")}
    b, c = ({gate: drawn(units, seed=first + i) for i, gate in enumerate("rih")} for first in (20, 30))
    order = "irh"  # the update gate, which cuDNN calls i, comes first here
    kernels = [np.concatenate([matrices[gate].T for gate in order], axis=1) for matrices in (w, u)]
    bias = [np.concatenate([vectors[gate] for gate in order]) for vectors in (b, c)]
    arguments: dict[str, Any] = {"reset_after": True, "recurrent_activation": "sigmoid", "return_sequences": True}
    x, h = drawn(2, 4, size), drawn(2, units)
    outputs = layer_with(gru, *kernels, bias, **arguments)(x, h)
    for t in range(4):
        r, i = (_sigmoid(x[:, t] @ w[g].T + h @ u[g].T + b[g] + c[g]) for g in "ri")
        candidate = np.tanh(x[:, t] @ w["h"].T + r * (h @ u["h"].T + c["h"]) + b["h"])
        h = (1 - i) * candidate + i * h
        close(outputs[:, t], h)


def separate_biases(gru: LayerClass) -> None:
    for r, expected in ((SHUT, 3.0), (OPEN, 8.0)):
        bias = [[SHUT, r, 3.0], [0.0, 0.0, 5.0]]
        layer = layer_with(gru, [[0, 0, 0]], [[0, 0, 0]], bias, activation="linear", reset_after=True)
        close(layer([[[0.0]]]), [[expected]])
    together: Any = [[0, 0, 3], [-0.5, 1.5, 0]], [[-0.5, 0, 3], [0, 1.5, 0]]  # in the gates only the sum counts
    first, second = (layer_with(gru, [[1, 1, 1]], [[1, 1, 1]], bias, reset_after=True) for bias in together)
    close(first([[[0.5]]], [[0.25]]), second([[[0.5]]], [[0.25]]))
    layer_with(gru, [[0, 0, 0]], [[0, 0, 0]], [0, 0, 0])


def activation_none(gru: LayerClass) -> None:
    layer = layer_with(gru, [[0, 0, 1]], [[0, 0, 0]], [SHUT, 0, 0], activation=None)
    x = np.array([-30.0, -0.5, 0.0, 2.0, 30.0])[:, None, None]
    close(layer(x), x[:, 0])


def recurrent_activation_none(gru: LayerClass) -> None:
    x = np.array([-3.0, -0.5, 0.0, 1.0, 3.0])[:, None, None]
    weights = [[1, 0, 0]], [[0, 0, 0]], [0, 0, 0]
    layer = layer_with(gru, *weights, activation="linear", recurrent_activation=None)
    close(layer(x, np.full((5, 1), 2.0)), 2 * x[:, 0])


def dropout_between_0_and_1(gru: LayerClass) -> None:
    _clips(gru, "dropout")


def recurrent_dropout_between_0_and_1(gru: LayerClass) -> None:
    _clips(gru, "recurrent_dropout")


def long_sequences_unrolled(gru: LayerClass) -> None:
    _agrees_with_loop(gru, {"unroll": True, "return_sequences": True}, timesteps=300)


def batch_major_by_default(gru: LayerClass) -> None:
    x, layer = drawn(2, 5, 3), layer_of(gru, return_sequences=True)
    outputs = layer(x)
    assert outputs.shape == (2, 5, 2)
    close(layer(np.concatenate([0 * x[:1], x[1:]]))[1:], outputs[1:])
    later = x.copy()
    later[:, 3:] = 0
    close(layer(later)[:, :3], outputs[:, :3])


def mask_by_row_and_timestep(gru: LayerClass) -> None:
    x, mask = drawn(3, 4, 3), drawn(3, 4) > 0
    layer = layer_of(gru, return_sequences=True)
    outputs = layer(x, mask=mask)
    differ(outputs, layer(x))
    for row in range(3):
        close(layer(x[row : row + 1], mask=mask[row : row + 1]), outputs[row : row + 1])
    close(layer(x, mask=mask[..., None]), outputs)
    turned = layer_of(gru, return_sequences=True, time_major=True)
    for turned_mask in (mask.T, mask.T[..., None]):
        close(turned(x.swapaxes(0, 1), mask=turned_mask), outputs.swapaxes(0, 1))
    for wrong in (mask[:1], mask[:2], mask[:, :3], mask[:, 0], mask.T, np.repeat(mask[..., None], 2, axis=2)):
        with pytest.raises(ValueError, match="mask"):
            layer(x, mask=wrong)
    with pytest.raises(ValueError, match="mask"):
        turned(x.swapaxes(0, 1), mask=mask)


def training_without_dropout(gru: LayerClass) -> None:
    x = drawn(2, 4, 3)
    for arguments in ({}, {"dropout": 0.0}, {"implementation": 2}, {"reset_after": True}):
        layer = layer_of(gru, **arguments)
        for training in (True, 1, False, None):
            close(layer(x, training=training), layer(x))


def _sigmoid(a: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-a)))


def _agrees_with_loop(gru: LayerClass, arguments: dict[str, Any], timesteps: int = 5) -> None:
    """Assert that a layer computes what a loop over rows and timesteps does."""
    weights = drawn_weights(2, 3, reset_after=arguments.get("reset_after", False))
    named = dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=True))
    x, h = drawn(2, timesteps, 3), drawn(2, 2)
    outputs, state = loop(GRUSpec(units=2, **arguments), named, x, initial_state=h)
    computed, final = layer_with(gru, *weights, return_state=True, **arguments)(x, h)
    close(computed, outputs)
    close(final, state)


def _clips(gru: LayerClass, name: str) -> None:
    x, without = drawn(2, 4, 3), layer_of(gru)(drawn(2, 4, 3))
    for none in (0.0, -0.5):
        close(layer_of(gru, **{name: none})(x, training=True), without)
    for all_of_it in (1.0, 1.5):
        layer = layer_of(gru, **{name: all_of_it})
        close(layer(x, training=False), without)
        with pytest.raises(ValueError, match=name):
            layer(x, training=True)
    differ(layer_of(gru, **{name: 0.75})(x, training=True), without)
