"""Vector-Jacobian products of one call, from TensorFlow's gradient tape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .framework import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping


def pull_back(
    tape: Any, results: Mapping[str, Any], cotangents: Mapping[str, Any], sources: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the gradient of each source as a tensor, zeros where nothing connects it to the cotangents.

    Parameters
    ----------
    tape
        What recorded the call; it is used up.
    results
        Tensors that the call returned, by name.
    cotangents
        Tensors shaped like some of them, by the same names.
    sources
        Tensors and variables that the tape watched, by name.
    """
    tf = load_tensorflow()
    gradients = tape.gradient(
        {name: results[name] for name in cotangents},
        sources,
        output_gradients=cotangents,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return {name: tf.convert_to_tensor(gradient) for name, gradient in gradients.items()}
