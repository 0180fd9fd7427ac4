"""What the arguments of a call mean, as checks of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from layers_under_test import close, differ, drawn, layer_of

if TYPE_CHECKING:
    from layers_under_test import LayerClass


def inputs(gru: LayerClass) -> None:
    x, layer = drawn(3, 4, 3), layer_of(gru, return_sequences=True)
    outputs = layer(x)
    for row in range(3):
        close(layer(x[row : row + 1]), outputs[row : row + 1])
    for timesteps in (1, 3):
        close(layer(x[:, :timesteps]), outputs[:, :timesteps])
    for rank in (x[0], x[None], x[0, 0]):
        with pytest.raises(ValueError, match="inputs"):
            layer(rank)
    with pytest.raises(ValueError, match="inputs"):
        layer(x[..., :2])
    with pytest.raises(TypeError, match="inputs"):
        layer(np.ones((3, 4, 3), int))


def mask(gru: LayerClass) -> None:
    x, h = drawn(3, 4, 3), drawn(3, 2)
    valid = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    layer = layer_of(gru, return_sequences=True, return_state=True)
    outputs, state = layer(np.where(valid[..., None], x, np.nan), h, valid)
    steps, last = layer(x[:1, [1, 3]], h[:1])
    close(outputs[0], [[0, 0], steps[0, 0], steps[0, 0], steps[0, 1]])
    close(state[0], last[0])
    close(outputs[1], layer(x[1:2], h[1:2])[0][0])
    close(outputs[2], np.zeros((4, 2)))
    close(state[2], h[2])
    cotangents = {"outputs": np.ones((3, 4, 2))}
    gradients, without_nan = (
        layer.vjp(np.where(valid[..., None], x, masked), h, valid, cotangents=cotangents)[1] for masked in (np.nan, 0)
    )
    for name, gradient in gradients.items():
        close(gradient, without_nan[name])
    close(gradients["inputs"][~valid], np.zeros((6, 3)))
    for numbers in (valid.astype(int), np.where(valid, -0.25, 0), np.where(valid, np.nan, 0)):
        close(layer(x, h, numbers)[0], outputs)


def training(gru: LayerClass) -> None:
    x = drawn(8, 4, 3)
    for rate in ({"dropout": 0.5}, {"recurrent_dropout": 0.5}):
        layer, without = layer_of(gru, **rate), layer_of(gru)(x)
        for inference in ({}, {"training": None}, {"training": False}):
            close(layer(x, **inference), without)
        differ(layer(x, training=True), without)


def initial_state(gru: LayerClass) -> None:
    x, h = drawn(3, 4, 3), drawn(3, 2)
    for backwards in (False, True):
        layer = layer_of(gru, return_sequences=True, go_backwards=backwards)
        outputs = layer(x, initial_state=h)
        for form in ([h], (h,), h.tolist()):
            close(layer(x, initial_state=form), outputs)
        close(layer(x, h), outputs)
        close(layer([x, h]), outputs)
        close(layer(x, np.zeros((3, 2))), layer(x))
        differ(outputs, layer(x))
        rest = x[:, :2] if backwards else x[:, 2:]
        close(layer(rest, outputs[:, 1]), outputs[:, 2:])
    layer = layer_of(gru, batch=3, stateful=True, return_sequences=True)
    layer(x)
    close(layer(x[:, :2], h), layer_of(gru, return_sequences=True)(x, h)[:, :2])
    close(layer(x[:, 2:]), layer_of(gru, return_sequences=True)(x, h)[:, 2:])
    for wrong in (h[:2], h[:, :1], h[:1], [h, h]):
        with pytest.raises(ValueError, match="initial_state"):
            layer(x, wrong)
