"""What ``reset_states`` does, as checks of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from layers_under_test import close, differ, drawn, layer_of

if TYPE_CHECKING:
    from layers_under_test import Layer, LayerClass


def reset_states(gru: LayerClass) -> None:
    x, layer = drawn(3, 4, 3), _stateful(gru)
    first = layer(x)
    differ(layer(x), first)
    assert layer.reset_states() is None
    close(layer(x), first)
    h = drawn(3, 2)
    layer.reset_states(h)
    close(layer(x), layer_of(gru, return_sequences=True)(x, h))


def reset_states_with_states(gru: LayerClass) -> None:
    x, h, layer = drawn(3, 4, 3), drawn(3, 2), _stateful(gru)
    expected = layer_of(gru, return_sequences=True)(x, h)
    for form in (h, [h], (h,)):
        layer.reset_states(form)
        close(layer.states[0], h)
        close(layer(x), expected)
    kept = h.copy()
    layer.reset_states(h)
    h += 1
    close(layer.states[0], kept)
    for cast in (np.ones((3, 2), bool), np.ones((3, 2), int), np.ones((3, 2), np.float32)):
        layer.reset_states(states=cast)
        close(layer.states[0], np.ones((3, 2)))
        assert layer.states[0].dtype == np.float64


def reset_states_with_none(gru: LayerClass) -> None:
    x, layer = drawn(3, 4, 3), _stateful(gru)
    first = layer(x)
    for given in ((), (None,)):
        layer.reset_states(drawn(3, 2))
        layer.reset_states(*given)
        close(layer.states[0], np.zeros((3, 2)))
        close(layer(x), first)


def _stateful(gru: LayerClass) -> Layer:
    """Return a stateful layer for batches of three rows."""
    return layer_of(gru, batch=3, stateful=True, return_sequences=True)
