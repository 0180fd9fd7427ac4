"""From the arguments of a call to timesteps in processing order, and back; for NumPy and JAX arrays alike.

``xp`` is ``numpy`` or ``jax.numpy``: the function for users arranges what it traces, the adapter what it then pads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec import acting_masks, call_dimensions, weight_shapes

from .recurrence import DropoutMasks, Steps, Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.spec import GRUSpec

    from .recurrence import Results


def arrange_weights(xp: Any, spec: GRUSpec, params: Mapping[str, Any]) -> Weights:
    """Return the weights, with both biases whatever the layer has: a bias that it lacks is zero.

    Parameters
    ----------
    xp
        ``numpy`` or ``jax.numpy``.
    spec
        The layer.
    params
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``: (3u,), or (2, 3u)
        under ``reset_after``. All are taken in the dtype of the kernel.

    Raises
    ------
    SpecError
        If a weight is missing, unexpected, of a wrong shape or not real.
    SpecTypeError
        If the kernel is not of a floating dtype.
    """
    found = {name: as_array(value) for name, value in params.items()}
    shapes = {name: array.shape for name, array in found.items()}
    call_dimensions(spec, shapes, (0, 0, (*shapes.get("kernel", ()), 0)[0]))
    kernel = xp.asarray(as_floating("kernel", found["kernel"]))
    recurrent_kernel = as_real(xp, "recurrent_kernel", found["recurrent_kernel"], kernel.dtype)
    zeros = xp.zeros(3 * spec.units, kernel.dtype)
    if not spec.use_bias:
        return Weights(kernel, recurrent_kernel, zeros, zeros)
    bias = as_real(xp, "bias", found["bias"], kernel.dtype)
    return Weights(kernel, recurrent_kernel, *(bias if spec.reset_after else (bias, zeros)))


def arrange_steps(
    xp: Any,
    spec: GRUSpec,
    weights: Weights,
    inputs: Any,
    *,
    mask: Any | None,
    initial_state: Any | None,
    dropout_masks: Mapping[str, Any] | None,
    training: bool,
) -> Steps:
    """Return the timesteps of a call in processing order.

    Parameters
    ----------
    xp
        ``numpy`` or ``jax.numpy``.
    spec
        The layer.
    weights
        Its weights, which decide the dtype.
    inputs, mask, initial_state, dropout_masks
        The arguments of :func:`gruspec_jax.gru`.
    training
        Whether dropout acts.

    Raises
    ------
    SpecError
        If a shape does not fit, or the mask, the initial state or a dropout mask is not real. In training, if a rate is
        1 or a mask is missing that would act.
    SpecTypeError
        If the inputs are not floating.
    """
    dtype = weights.kernel.dtype
    x = xp.asarray(as_floating("inputs", as_array(inputs)), dtype)
    m = None if mask is None else as_mask(xp, mask)
    h = None if initial_state is None else as_real(xp, "initial_state", as_array(initial_state), dtype)
    dimensions = call_dimensions(
        spec,
        weight_shapes(spec, weights.kernel.shape[0]),
        x.shape,
        None if m is None else m.shape,
        None if h is None else h.shape,
    )
    given = dropout_masks or {}
    masks = {kind: as_real(xp, f"dropout_masks[{kind!r}]", as_array(array), dtype) for kind, array in given.items()}
    dropout = DropoutMasks(**acting_masks(spec, masks, training=training, sizes=dimensions))
    m = None if m is None else m.reshape(x.shape[:2])
    if not spec.time_major:
        x, m = x.swapaxes(0, 1), None if m is None else m.swapaxes(0, 1)
    if spec.go_backwards:
        x, m = x[::-1], None if m is None else m[::-1]
    # From its first valid step on a row's held output equals its held state; before that it is zero [mask-output].
    shown = m if m is None or spec.zero_output_for_mask else m.cumsum(axis=0) > 0
    return Steps(x, m, shown, xp.zeros((dimensions.batch, spec.units), dtype) if h is None else h, dropout)


def outputs(spec: GRUSpec, results: Results) -> Any:
    """Return what a layer returns: the last output or the sequence of all, in its layout [return-sequences]."""
    if not spec.return_sequences:
        return results.last
    return results.sequence if spec.time_major else results.sequence.swapaxes(0, 1)


def as_array(values: Any) -> Any:
    """Return arrays of JAX as they are and anything else as an array of NumPy, which keeps its dtype."""
    return values if isinstance(values, jax.Array) else np.asarray(values)


def as_floating(name: str, array: Any) -> Any:
    """Return an array of a floating dtype.

    Raises
    ------
    SpecTypeError
        If it is of any other.
    """
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise SpecTypeError(f"{name}: dtype {array.dtype}; expected a floating dtype")
    return array


def as_real(xp: Any, name: str, array: Any, dtype: Any) -> Any:
    """Return a state or weight in ``dtype``.

    Raises
    ------
    SpecError
        If it is of neither a real nor the boolean dtype.
    """
    if not _is_real(array.dtype):
        raise SpecError(f"{name}: dtype {array.dtype}; expected a real dtype, which is cast to {dtype}")
    return xp.asarray(array, dtype)


def as_mask(xp: Any, values: Any) -> Any:
    """Return a mask as bool; a number counts as True unless it is zero, so NaN does [mask-dtype].

    Raises
    ------
    SpecError
        If its dtype is neither boolean nor real.
    """
    mask = as_array(values)
    if not _is_real(mask.dtype):
        raise SpecError(f"mask: dtype {mask.dtype}; expected bool or a real dtype")
    return xp.asarray(mask != 0)


def _is_real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating))
