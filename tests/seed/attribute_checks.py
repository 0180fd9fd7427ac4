"""What the attributes of a layer report, as checks of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from layers_under_test import close, drawn, layer_of, layer_with
from scalar_loop import FUNCTIONS

from gruspec_numpy import constraints, initializers, regularizers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layers_under_test import LayerClass


def activation(gru: LayerClass) -> None:
    _reports_function(gru, "activation", default="tanh")


def recurrent_activation(gru: LayerClass) -> None:
    _reports_function(gru, "recurrent_activation", default="hard_sigmoid")


def kernel_initializer(gru: LayerClass) -> None:
    _reports_object(gru, "kernel_initializer", initializers.GlorotUniform, {"ones": initializers.Ones})


def recurrent_initializer(gru: LayerClass) -> None:
    _reports_object(gru, "recurrent_initializer", initializers.Orthogonal, {"ones": initializers.Ones})


def bias_initializer(gru: LayerClass) -> None:
    _reports_object(gru, "bias_initializer", initializers.Zeros, {"ones": initializers.Ones})


def kernel_regularizer(gru: LayerClass) -> None:
    _reports_object(gru, "kernel_regularizer", type(None), {"l1": regularizers.L1, "l2": regularizers.L2})


def recurrent_regularizer(gru: LayerClass) -> None:
    _reports_object(gru, "recurrent_regularizer", type(None), {"l1": regularizers.L1, "l2": regularizers.L2})


def bias_regularizer(gru: LayerClass) -> None:
    _reports_object(gru, "bias_regularizer", type(None), {"l1": regularizers.L1, "l2": regularizers.L2})


def kernel_constraint(gru: LayerClass) -> None:
    _reports_object(gru, "kernel_constraint", type(None), {"non_neg": constraints.NonNeg})


def recurrent_constraint(gru: LayerClass) -> None:
    _reports_object(gru, "recurrent_constraint", type(None), {"non_neg": constraints.NonNeg})


def bias_constraint(gru: LayerClass) -> None:
    _reports_object(gru, "bias_constraint", type(None), {"non_neg": constraints.NonNeg})


def dropout(gru: LayerClass) -> None:
    _reports(gru, "dropout", default=0.0, reported={0.25: 0.25, 1: 1.0, -0.5: 0.0, 1.5: 1.0})


def recurrent_dropout(gru: LayerClass) -> None:
    _reports(gru, "recurrent_dropout", default=0.0, reported={0.25: 0.25, 1: 1.0, -0.5: 0.0, 1.5: 1.0})


def reset_after(gru: LayerClass) -> None:
    _reports(gru, "reset_after", default=False, reported={True: True, False: False})


def use_bias(gru: LayerClass) -> None:
    _reports(gru, "use_bias", default=True, reported={True: True, False: False})


def units(gru: LayerClass) -> None:
    for given in (1, 3):
        layer = gru(given)
        assert layer.units == given
        _refuses_assignment(layer, "units", 2)


def implementation(gru: LayerClass) -> None:
    _reports(gru, "implementation", default=1, reported={0: 0, 1: 1, 2: 2, 3: 3})
    assert gru(2, implementation=2, recurrent_dropout=0.5).implementation == 1
    assert gru(2, implementation=2, recurrent_dropout=-0.5).implementation == 2
    x = drawn(2, 4, 3)
    close(layer_of(gru, implementation=2)(x), layer_of(gru)(x))
    # z = s(m_z) and c = m_h for an input of 1, from a state of 3, where each mask is 0 or 2
    apart, shared = ({_step(z, c) for z, c in pairs} for pairs in ([(0, 0), (0, 2), (2, 0), (2, 2)], [(0, 0), (2, 2)]))
    for number, results in ((1, apart), (2, shared), (0, shared)):
        layer = layer_with(
            gru, [[1, 0, 1]], [[0, 0, 0]], [0, 0, 0], activation="linear", dropout=0.5, implementation=number
        )
        drawn_results = layer(np.ones((256, 1, 1)), np.full((256, 1), 3.0), training=True)
        assert set(drawn_results.round(9).ravel()) == results


def states(gru: LayerClass) -> None:
    x = drawn(2, 4, 3)
    layer = layer_of(gru)
    layer(x)
    assert layer.states == [None]
    assert gru(2, stateful=True).states == [None]
    layer = layer_of(gru, batch=2, stateful=True, return_state=True)
    (recorded,) = layer.states
    close(recorded, np.zeros((2, 2)))
    _, state = layer(x)
    (recorded,) = layer.states
    close(recorded, state)
    _, state = layer(x, drawn(2, 2))
    (recorded,) = layer.states
    close(recorded, state)
    layer.states = [drawn(2, 2)]
    close(layer(x)[0], layer_of(gru)(x, drawn(2, 2)))


def _step(z: float, c: float) -> float:
    gate = 0.2 * z + 0.5
    return round(3 * gate + (1 - gate) * c, 9)


def _refuses_assignment(layer: Any, name: str, value: object) -> None:
    before = getattr(layer, name)
    with pytest.raises(AttributeError, match=name):
        setattr(layer, name, value)
    assert getattr(layer, name) is before


def _reports(gru: LayerClass, name: str, *, default: object, reported: Mapping[Any, object]) -> None:
    """Assert what an attribute is for each value of the argument, and its type; it cannot be assigned to."""
    found = {given: getattr(gru(2, **{name: given}), name) for given in reported}
    assert found == reported
    assert {type(value) for value in found.values()} == {type(default)}
    layer = gru(2)
    assert getattr(layer, name) == default
    _refuses_assignment(layer, name, default)


def _reports_function(gru: LayerClass, name: str, *, default: str) -> None:
    """Assert that an attribute is the function that a name, None or a callable means; it cannot be assigned to."""
    x, layer = drawn(3, 4), gru(2)
    assert getattr(layer, name).name == default
    for given, function in (*FUNCTIONS.items(), (None, FUNCTIONS["linear"]), (np.sin, np.sin)):
        activated = x.copy()
        getattr(gru(2, **{name: given}), name).apply(activated)
        close(activated, function(x))
    _refuses_assignment(layer, name, None)


def _reports_object(gru: LayerClass, name: str, default: type, classes: Mapping[str, type]) -> None:
    """Assert that an attribute is the object that a name means, and a given object itself; nothing is assigned."""
    layer = gru(2)
    assert type(getattr(layer, name)) is default
    for given, found in classes.items():
        assert type(getattr(gru(2, **{name: given}), name)) is found
        instance = found()
        assert getattr(gru(2, **{name: instance}), name) is instance
    _refuses_assignment(layer, name, None)
