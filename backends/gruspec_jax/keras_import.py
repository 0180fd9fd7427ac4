"""Layers of Keras as weights and a specification for :func:`gruspec_jax.gru`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gruspec.errors import UsageError
from gruspec.files.keras_layers import keras_gru
from gruspec.layouts import convert

if TYPE_CHECKING:
    from jax import Array

    from gruspec.spec import GRUSpec


class KerasLayer(NamedTuple):
    """A layer of Keras, as :func:`gruspec_jax.gru` takes it.

    ``params`` by name: ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``; and
    ``spec``, the layer's arguments.
    """

    params: dict[str, Array]
    spec: GRUSpec


def from_keras(source: Any, layer: str | None = None, *, dtype: Any = None) -> KerasLayer:
    """Return weights and arguments with which :func:`gruspec_jax.gru` computes what a GRU layer of Keras computes.

    Pure functions record nothing: for a stateful layer, pass the state that a call returns to the next as
    ``initial_state``.

    Parameters
    ----------
    source
        A live layer that has its weights, a live model, or the path of a file with a whole model: ``.keras`` or
        ``.h5``. Of ``tf.compat.v1.keras``, ``tf_keras`` or Keras 3.
    layer
        The name of the layer, where there are several GRUs.
    dtype
        Of the weights, and so of everything that is computed from them; by default what they are.

    Raises
    ------
    UsageError
        If there is no such layer, or the dtype is float64, which JAX has only where it is enabled.
    FileError, SpecError
        As :func:`gruspec.files.keras_layers.keras_gru`.
    SpecTypeError
        If the dtype cannot hold a weight.
    """
    found = keras_gru(source, layer)
    name = None if dtype is None else jnp.dtype(dtype).name
    arrays = convert(found.weights, "keras", "keras", reset_after=found.spec.reset_after, dtype=name).arrays
    if arrays["kernel"].dtype == np.float64 and not jax.config.jax_enable_x64:
        raise UsageError(
            "dtype=float64: JAX would round the weights to float32; call jax.config.update('jax_enable_x64', True) "
            "first, or say dtype='float32'"
        )
    return KerasLayer({name: jnp.asarray(array) for name, array in arrays.items()}, found.spec)
