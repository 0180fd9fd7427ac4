"""Dropout masks that a call states, in the place of those that a Keras layer would draw."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gruspec.errors import Unsupported
from gruspec.spec import acting_dropout, acting_masks

from .framework import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from gruspec.spec import Dimensions, GRUSpec

METHODS = {"inputs": "get_dropout_mask_for_cell", "recurrent": "get_recurrent_dropout_mask_for_cell"}
"""What gives a layer of legacy Keras its masks (``tf_keras/src/layers/rnn/dropout_rnn_cell_mixin.py``)."""


def stated_masks(
    spec: GRUSpec,
    masks: Mapping[str, NDArray[Any]] | None,
    sizes: Dimensions,
    *,
    training: bool,
    shared: bool,
) -> dict[str, NDArray[Any]]:
    """Return the masks that act in a call.

    Parameters
    ----------
    spec
        The layer.
    masks
        ``inputs`` (3, B, D) or (1, B, D) and ``recurrent`` (3, B, u), or None.
    sizes
        Of the call.
    training
        As the call states it.
    shared
        Whether the layer multiplies its inputs by one mask before it comes to the gates, whatever ``implementation``
        is, as ``tf.keras.layers.GRU`` does where its arguments allow the cuDNN kernel (``_defun_gru_call`` in
        ``tf_keras/src/layers/rnn/gru.py``).

    Raises
    ------
    Unsupported
        If the layer would draw masks of its own, or cannot have one for each gate.
    SpecError
        If a mask that acts is missing or of another shape, or a name is unknown.
    """
    acting = acting_dropout(spec, training=training)
    if acting and masks is None:
        raise Unsupported("dropout in training without dropout_masks: the layer would draw its own")
    if acting and shared and spec.implementation == 1:
        raise Unsupported(
            "dropout in training with implementation=1: where its arguments allow the cuDNN kernel, the layer has one "
            "mask for the inputs of all gates"
        )
    return acting_masks(spec, masks, training=training, sizes=sizes)


@contextmanager
def injected(keras_layer: Any, masks: Mapping[str, NDArray[Any]], *, shared: bool) -> Iterator[None]:
    """Give a layer these masks, in this context, whenever it asks for those that it would draw.

    Parameters
    ----------
    keras_layer
        The layer.
    masks
        ``inputs`` (3, B, D) or (1, B, D) and ``recurrent`` (3, B, u), as far as they act.
    shared
        As in :func:`stated_masks`. The layer itself then asks, for one mask like its inputs, and gets one that is the
        same at every timestep; elsewhere its cell asks, for one a gate.
    """
    tf = load_tensorflow()
    owner = keras_layer if shared else keras_layer.cell
    for kind, mask in masks.items():
        gates = tf.constant(mask)
        if shared:
            gates = tf.expand_dims(gates, 1 if keras_layer.time_major else 2)
        setattr(owner, METHODS[kind], _giving(tf.unstack(gates)))
    try:
        yield
    finally:
        for kind in masks:
            delattr(owner, METHODS[kind])


def _giving(tensors: list[Any]) -> Callable[..., list[Any]]:
    return lambda *_args, **_kwargs: tensors
