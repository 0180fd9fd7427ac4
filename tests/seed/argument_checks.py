"""What the arguments of the constructor mean, as checks of a class, without those about weights."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from layers_under_test import OPEN, SHUT, close, differ, drawn, drawn_weights, layer_of, layer_with
from scalar_loop import FUNCTIONS, loop

from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from layers_under_test import Array, LayerClass

POINTS = np.array([-3.0, -2.5, -1.25, -0.5, 0.0, 0.5, 1.25, 2.5, 3.0])[:, None, None]
"""One input at one timestep of each row."""


def units(gru: LayerClass) -> None:
    for size in (1, 4):
        outputs, state = gru(size, return_sequences=True, return_state=True)(drawn(2, 5, 3))
        assert (outputs.shape, state.shape) == ((2, 5, size), (2, size))
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="units"):
            gru(wrong)
    for untyped in (None, "3", 2.5):
        with pytest.raises(TypeError, match="units"):
            gru(untyped)


def activation(gru: LayerClass) -> None:
    weights = [[0, 0, 1]], [[0, 0, 0]], [SHUT, 0, 0]  # the output is the candidate, f(x)
    close(layer_with(gru, *weights)(POINTS), np.tanh(POINTS[:, 0]))
    for name, function in FUNCTIONS.items():
        close(layer_with(gru, *weights, activation=name)(POINTS), function(POINTS[:, 0]))
    close(layer_with(gru, *weights, activation=np.sin)(POINTS), np.sin(POINTS[:, 0]))


def recurrent_activation(gru: LayerClass) -> None:
    update = [[1, 0, 0]], [[0, 0, 0]], [0, 0, 0]  # from a state of 1 to a candidate of 0: the output is s(x)
    reset = [[0, 1, 0]], [[0, 0, 1]], [SHUT, 0, 0]  # the output is the candidate, s(x) times a state of 1
    linear, ones = {"activation": "linear"}, np.ones((len(POINTS), 1))
    for weights in (update, reset):
        close(layer_with(gru, *weights, **linear)(POINTS, ones), np.clip(0.2 * POINTS[:, 0] + 0.5, 0, 1))
        for name in ("sigmoid", "relu"):
            layer = layer_with(gru, *weights, recurrent_activation=name, **linear)
            close(layer(POINTS, ones), FUNCTIONS[name](POINTS[:, 0]))


def use_bias(gru: LayerClass) -> None:
    x = drawn(2, 4, 3)
    for reset_after in (False, True):
        kernel, recurrent, bias = drawn_weights(2, 3, reset_after=reset_after)
        without = layer_with(gru, kernel, recurrent, reset_after=reset_after, use_bias=False)(x)
        close(without, layer_with(gru, kernel, recurrent, 0 * bias, reset_after=reset_after, use_bias=True)(x))
        differ(without, layer_with(gru, kernel, recurrent, bias, reset_after=reset_after)(x))


def dropout(gru: LayerClass) -> None:
    first, second = _kept(gru, "dropout")
    close(first, second)
    x, h, masks = drawn(2, 4, 3), drawn(2, 2), {"inputs": 2.0 * (drawn(3, 2, 3) > 0)}
    for reset_after in (False, True):
        arguments = {"reset_after": reset_after, "dropout": 0.5}
        layer = layer_of(gru, **arguments)
        close(layer(x, h, training=True, dropout_masks=masks), _looped(x, h, dropout_masks=masks, **arguments))
        close(layer(x, h), _looped(x, h, **arguments))


def recurrent_dropout(gru: LayerClass) -> None:
    first, second = _kept(gru, "recurrent_dropout")
    close(first * first, second)
    x, h, masks = drawn(2, 4, 3), drawn(2, 2), {"recurrent": 2.0 * (drawn(3, 2, 2) > 0)}
    for reset_after in (False, True):
        arguments = {"reset_after": reset_after, "recurrent_dropout": 0.5}
        layer = layer_of(gru, **arguments)
        close(layer(x, h, training=True, dropout_masks=masks), _looped(x, h, dropout_masks=masks, **arguments))
        close(layer(x, h), _looped(x, h, **arguments))


def return_sequences(gru: LayerClass) -> None:
    x, mask = drawn(3, 4, 3), np.array([[1, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    sequence = layer_of(gru, return_sequences=True)(x, mask=mask)
    assert sequence.shape == (3, 4, 2)
    close(layer_of(gru)(x, mask=mask), sequence[:, -1])
    close(layer_of(gru, return_sequences=False)(x, mask=mask), sequence[:, -1])
    for timesteps in (1, 2, 3):
        close(layer_of(gru)(x[:, :timesteps], mask=mask[:, :timesteps]), sequence[:, timesteps - 1])


def return_state(gru: LayerClass) -> None:
    x, mask, h = drawn(2, 4, 3), np.array([[1, 1, 0, 1], [0, 0, 0, 0]], bool), drawn(2, 2)
    result = layer_of(gru, return_state=True)(x, h, mask)
    assert isinstance(result, list)
    outputs, state = result
    close(outputs, layer_of(gru, return_state=False)(x, h, mask))
    close(state, [outputs[0], h[1]])
    close(outputs[1], [0, 0])
    assert isinstance(layer_of(gru)(x), np.ndarray)


def go_backwards(gru: LayerClass) -> None:
    x, mask = drawn(2, 4, 3), np.array([[1, 1, 0, 0], [0, 1, 0, 1]], bool)
    for arguments in ({"return_sequences": True}, {}):
        forwards, backwards = layer_of(gru, **arguments), layer_of(gru, go_backwards=True, **arguments)
        close(backwards(x), forwards(x[:, ::-1]))
        close(backwards(x, mask=mask), forwards(x[:, ::-1], mask=mask[:, ::-1]))
        differ(backwards(x), forwards(x))
    forwards = layer_of(gru, return_sequences=True)
    close(forwards(x)[:, :2], forwards(x[:, :2]))


def stateful(gru: LayerClass) -> None:
    x = drawn(3, 5, 3)
    for backwards in (False, True):
        arguments = {"return_sequences": True, "go_backwards": backwards}
        whole = layer_of(gru, **arguments)(x)
        layer = layer_of(gru, batch=3, stateful=True, **arguments)
        parts = (x[:, 3:], x[:, :3]) if backwards else (x[:, :3], x[:, 3:])
        close(np.concatenate([layer(part) for part in parts], axis=1), whole)
        differ(layer(parts[0]), whole[:, : parts[0].shape[1]])
    forgetful = layer_of(gru)
    close(forgetful(x), forgetful(x))


def unroll(gru: LayerClass) -> None:
    mask = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
    names = ("return_sequences", "go_backwards", "zero_output_for_mask", "time_major", "reset_after")
    for values in itertools.product([False, True], repeat=len(names)):
        arguments = dict(zip(names, values, strict=True))
        x, m = drawn(3, 4, 3), mask
        if arguments["time_major"]:
            x, m = x.swapaxes(0, 1), m.T
        unrolled, looped = layer_of(gru, unroll=True, **arguments), layer_of(gru, **arguments)
        close(unrolled(x, mask=m), looped(x, mask=m))
        close(unrolled(x), looped(x))


def time_major(gru: LayerClass) -> None:
    x, mask = drawn(3, 4, 3), drawn(3, 4) > 0
    for backwards in (False, True):
        arguments = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
        outputs, state = layer_of(gru, **arguments)(x, mask=mask)
        turned, turned_state = layer_of(gru, time_major=True, **arguments)(x.swapaxes(0, 1), mask=mask.T)
        close(turned, outputs.swapaxes(0, 1))
        close(turned_state, state)
    close(layer_of(gru, time_major=True)(x.swapaxes(0, 1)), layer_of(gru)(x))


def reset_after(gru: LayerClass) -> None:
    swap = [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]]  # each unit's candidate is the other's state
    bias = np.array([SHUT, SHUT, SHUT, OPEN, 0, 0])  # z = (0, 0), r = (0, 1)
    x, h = [[[0.0]]], [[1.0, 3.0]]
    for arguments in ({}, {"reset_after": False}):
        close(layer_with(gru, np.zeros((1, 6)), swap, bias, activation="linear", **arguments)(x, h), [[3, 0]])
    after = layer_with(gru, np.zeros((1, 6)), swap, [bias, 0 * bias], activation="linear", reset_after=True)
    close(after(x, h), [[0, 1]])


def _looped(x: Array, h: Array, **arguments: Any) -> Array:
    """Return the last outputs of ``layer_of`` with these arguments, computed step by step."""
    masks = arguments.pop("dropout_masks", None)
    weights = drawn_weights(2, 3, reset_after=arguments["reset_after"])
    named = dict(zip(("kernel", "recurrent_kernel", "bias"), weights, strict=True))
    return loop(GRUSpec(units=2, **arguments), named, x, initial_state=h, dropout_masks=masks)[0]


def _kept(gru: LayerClass, name: str) -> Array:
    """Check masks that a layer draws; return the outputs of two timesteps (2, B, u).

    Inputs and initial state are 1, and the output is the candidate: what is left of the input, or of the state.
    """
    rate, size, batch = 0.25, 32, 32
    through = np.concatenate([np.zeros((size, 2 * size)), np.eye(size)], axis=1)
    kernels = (through, 0 * through) if name == "dropout" else (0 * through, through)
    bias = np.repeat([SHUT, OPEN, 0.0], size)
    layer = layer_with(gru, *kernels, bias, activation="linear", return_sequences=True, **{name: rate})
    x, h = np.ones((batch, 2, size)), np.ones((batch, size))
    close(layer(x, h), np.ones((batch, 2, size)))
    outputs: Array = layer(x, h, training=True)
    kept = outputs[:, 0] != 0
    close(outputs[:, 0], kept / (1 - rate))
    assert abs(kept.mean() - (1 - rate)) < 0.1
    differ(layer(x, h, training=True), outputs)
    return outputs.swapaxes(0, 1)
