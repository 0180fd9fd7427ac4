"""Vector-Jacobian products of one call, from TensorFlow's gradient tape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.errors import SpecError, listed
from gruspec.spec import outputs_shape, state_shape

from .framework import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.spec import Dimensions, GRUSpec


def check_cotangents(spec: GRUSpec, cotangents: Mapping[str, NDArray[Any]], sizes: Dimensions) -> None:
    """Check cotangents against what a call returns; TensorFlow would broadcast them.

    Parameters
    ----------
    spec
        The layer.
    cotangents
        ``outputs``, shaped like the outputs, and perhaps ``state`` (B, u) where ``return_state`` is set.
    sizes
        Of the call.

    Raises
    ------
    SpecError
        If ``outputs`` is missing, or a cotangent is of something that is not returned or of another shape.
    """
    shapes: dict[str, tuple[int, ...]] = {"outputs": outputs_shape(spec, sizes.batch, sizes.timesteps)}
    if spec.return_state:
        shapes["state"] = state_shape(spec, sizes.batch)
    if "outputs" not in cotangents:
        raise SpecError(f"cotangents: 'outputs' missing; expected shape {shapes['outputs']}")
    for name, cotangent in cotangents.items():
        if name not in shapes:
            raise SpecError(f"cotangents: {name!r} is not returned; returned are {listed(shapes)}")
        if cotangent.shape != shapes[name]:
            raise SpecError(f"cotangents: {name!r} has shape {cotangent.shape}; expected {shapes[name]}")


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
