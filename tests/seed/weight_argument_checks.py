"""What initializers, regularizers and constraints do to the weight that they are named after, and to no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from layers_under_test import close, differ, drawn, drawn_weights, layer_of, layer_with

if TYPE_CHECKING:
    from layers_under_test import Array, LayerClass

L1, L2 = 0.5, 0.25
PENALTY = {"class_name": "L1L2", "config": {"l1": L1, "l2": L2}}
WEIGHTS = ("kernel", "recurrent_kernel", "bias")


def kernel_initializer(gru: LayerClass) -> None:
    _initializes(gru, "kernel_initializer", 0)
    (kernel, *_) = _built(gru, units=64, size=10)
    limit = np.sqrt(6 / (10 + 3 * 64))
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert abs(kernel.mean()) < 0.1 * limit


def recurrent_initializer(gru: LayerClass) -> None:
    _initializes(gru, "recurrent_initializer", 1)
    recurrent = _built(gru, units=8, size=2)[1]
    close(recurrent @ recurrent.T, np.eye(8))  # as a whole, while the block of a gate is not orthogonal
    for block in np.split(recurrent, 3, axis=1):
        differ(block @ block.T, np.eye(8))


def bias_initializer(gru: LayerClass) -> None:
    _initializes(gru, "bias_initializer", 2)
    close(_built(gru, units=2, size=3)[2], np.zeros(6))
    close(_built(gru, units=2, size=3, reset_after=True)[2], np.zeros((2, 6)))


def kernel_regularizer(gru: LayerClass) -> None:
    _penalizes(gru, "kernel_regularizer", "kernel")


def recurrent_regularizer(gru: LayerClass) -> None:
    _penalizes(gru, "recurrent_regularizer", "recurrent_kernel")


def bias_regularizer(gru: LayerClass) -> None:
    _penalizes(gru, "bias_regularizer", "bias")


def activity_regularizer(gru: LayerClass) -> None:
    x, arguments = drawn(2, 5, 3), {"return_sequences": True, "return_state": True}
    for time_major in (False, True):
        layer = layer_of(gru, activity_regularizer=PENALTY, time_major=time_major, **arguments)
        for part in (x[:, :4], x):  # the second call leaves nothing of the first
            returned = layer(part.swapaxes(0, 1) if time_major else part)
            close(layer.losses, [_penalty(each) / len(each) for each in returned])
    layer = layer_of(gru, activity_regularizer=PENALTY, return_state=True)
    returned, gradients = layer.vjp(x, cotangents={"outputs": np.zeros((2, 2))}, losses=True)
    slopes = {name: _penalty_slope(each) / 2 for name, each in zip(("outputs", "state"), returned, strict=True)}
    _, through_outputs = layer.vjp(x, cotangents=slopes)
    for name in WEIGHTS:
        close(gradients[name], through_outputs[name])
    assert np.abs(gradients["kernel"]).max() > 0


def kernel_constraint(gru: LayerClass) -> None:
    _projects(gru, "kernel_constraint", 0)


def recurrent_constraint(gru: LayerClass) -> None:
    _projects(gru, "recurrent_constraint", 1)


def bias_constraint(gru: LayerClass) -> None:
    _projects(gru, "bias_constraint", 2)


def _built(gru: LayerClass, units: int, size: int, **arguments: Any) -> list[Array]:
    layer = gru(units, dtype="float64", **arguments)
    layer.build((None, None, size))
    weights: list[Array] = layer.get_weights()
    return weights


def _initializes(gru: LayerClass, name: str, changed: int) -> None:
    """Assert that an initializer fills one of the weights, for both shapes of the bias."""
    for reset_after in (False, True):
        asked: list[tuple[int, ...]] = []

        def counted(shape: tuple[int, ...], dtype: Any = None, asked: list[tuple[int, ...]] = asked) -> Array:
            asked.append(tuple(shape))
            return np.arange(np.prod(shape)).reshape(shape).astype(dtype)

        for initializer in (counted, "ones"):
            weights = _built(gru, 2, 3, reset_after=reset_after, **{name: initializer})
            shapes = [each.shape for each in drawn_weights(2, 3, reset_after=reset_after)]
            assert [each.shape for each in weights] == shapes
            (size,) = (weights[changed].size,)
            filled = np.arange(size) if initializer is counted else np.ones(size)
            equal = [each.size == size and np.array_equal(each.ravel(), filled) for each in weights]
            assert equal == [i == changed for i in range(3)]
        assert asked == [shapes[changed]]
    with pytest.raises(ValueError, match=name):
        gru(2, **{name: "no such initializer"})


def _penalty(w: Array) -> float:
    return float(L1 * np.abs(w).sum() + L2 * np.square(w).sum())


def _penalty_slope(w: Array) -> Array:
    return np.asarray(L1 * np.sign(w) + 2 * L2 * w)


def _penalizes(gru: LayerClass, name: str, penalized: str) -> None:
    """Assert that a regularizer adds its penalty on one weight to the losses, and its slope to that gradient."""
    x, weights = drawn(2, 4, 3), dict(zip(WEIGHTS, drawn_weights(2, 3), strict=True))
    layer = layer_of(gru, **{name: PENALTY})
    outputs, gradients = layer.vjp(x, cotangents={"outputs": np.ones((2, 2))}, losses=True)
    plain = layer_of(gru)
    close(outputs, plain(x))
    close(plain.losses, [])
    close(layer.losses, [_penalty(weights[penalized])])
    _, unpenalized = plain.vjp(x, cotangents={"outputs": np.ones((2, 2))})
    for weight in WEIGHTS:
        added = _penalty_slope(weights[weight]) if weight == penalized else 0
        close(gradients[weight], unpenalized[weight] + added)


def _projects(gru: LayerClass, name: str, projected: int) -> None:
    """Assert that a constraint changes one weight, and only when it is asked to."""
    x, weights = drawn(2, 4, 3), drawn_weights(2, 3)
    layer = layer_with(gru, *weights)
    layer.apply_constraints()
    assert all(map(np.array_equal, layer.get_weights(), weights))
    layer = layer_with(gru, *weights, **{name: "non_neg"})
    close(layer(x), layer_with(gru, *weights)(x))
    for computed, given in zip(layer.get_weights(), weights, strict=True):
        close(computed, given)
    layer.apply_constraints()
    expected = [np.maximum(each, 0) if i == projected else each for i, each in enumerate(weights)]
    for computed, right in zip(layer.get_weights(), expected, strict=True):
        close(computed, right)
    close(layer(x), layer_with(gru, *expected)(x))
