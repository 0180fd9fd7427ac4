"""The errors that ``reset_states`` is documented to raise, as checks of a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from layers_under_test import close, drawn, layer_of, refused

if TYPE_CHECKING:
    from layers_under_test import LayerClass


def not_stateful(gru: LayerClass) -> None:
    layer = layer_of(gru)
    layer(drawn(2, 4, 3))
    for states in (None, np.zeros((2, 2)), np.zeros((5, 5))):
        refused(AttributeError, "stateful", layer.reset_states, states)
    refused(AttributeError, "stateful", gru(2).reset_states)


def batch_size_unknown(gru: LayerClass) -> None:
    layer = gru(2, stateful=True)
    for states in (None, np.zeros((3, 2))):
        refused(ValueError, "batch size", layer.reset_states, states)
    layer(drawn(3, 4, 5))
    layer.reset_states()
    layer.reset_states(np.zeros((3, 2)))


def states_of_another_size(gru: LayerClass) -> None:
    layer, recorded = layer_of(gru, batch=3, stateful=True), drawn(3, 2)
    layer.reset_states(recorded)
    wrong = [np.zeros(shape) for shape in ((2, 2), (1, 2), (3, 1), (3, 3), (2, 3), (2,), (3, 2, 1), ())]
    for states in (*wrong, [recorded, recorded], []):
        refused(ValueError, "states", layer.reset_states, states)
        close(layer.states[0], recorded)


def states_of_another_dtype(gru: LayerClass) -> None:
    layer, recorded = layer_of(gru, batch=3, stateful=True), drawn(3, 2)
    layer.reset_states(recorded)
    for dtype in (complex, str, object):
        refused(ValueError, "states", layer.reset_states, np.ones((3, 2)).astype(dtype))
        close(layer.states[0], recorded)
