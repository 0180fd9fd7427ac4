"""Layers of Keras, also from files, as the layer of this package."""

from __future__ import annotations

from typing import Any

from gruspec.files.keras_layers import keras_gru
from gruspec.layouts import convert

from .layer import GRU


def from_keras(source: Any, layer: str | None = None, *, dtype: str | None = None) -> GRU:
    """Return a layer that computes what a GRU layer of Keras computes, with copies of its weights.

    What a live stateful layer has recorded is not taken over; pass it once as ``initial_state`` to go on from there.
    Regularizers, constraints and initializers are not taken over either: ``GRU.from_config(layer.get_config())`` has
    them.

    Parameters
    ----------
    source
        A live layer that has its weights, a live model, or the path of a file with a whole model: ``.keras`` or
        ``.h5``. Of ``tf.compat.v1.keras``, ``tf_keras`` or Keras 3.
    layer
        The name of the layer, where there are several GRUs.
    dtype
        ``"float16"``, ``"float32"`` or ``"float64"``; by default that of the weights.

    Raises
    ------
    UsageError, FileError, SpecError
        As :func:`gruspec.files.keras_layers.keras_gru`, if there is no such layer, or no GRU of the specification.
    SpecTypeError
        If the dtype cannot hold a weight.
    """
    found = keras_gru(source, layer)
    arrays = convert(found.weights, "keras", "keras", reset_after=found.spec.reset_after, dtype=dtype).arrays
    return GRU.from_weights(found.spec, arrays, dtype=arrays["kernel"].dtype)
