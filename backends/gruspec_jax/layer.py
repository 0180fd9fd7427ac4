"""The GRU as a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from gruspec.spec import weight_shapes

from .arrangement import arrange_steps, arrange_weights, outputs
from .recurrence import ACTIVATIONS, Cell, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax import Array

    from gruspec.spec import GRUSpec


def gru(
    params: Mapping[str, Any],
    inputs: Any,
    *,
    spec: GRUSpec,
    mask: Any | None = None,
    initial_state: Any | None = None,
    dropout_masks: Mapping[str, Any] | None = None,
) -> tuple[Array, Array]:
    """Run a GRU over a batch of sequences.

    A pure function for ``jax.jit(gru, static_argnames="spec")``, ``jax.grad`` and ``jax.vmap``. The state is always
    returned; passing it as ``initial_state`` of the next call is what ``stateful`` means, so that argument, like
    ``return_state`` and ``unroll``, changes nothing here. Dropout acts where its masks are given.

    Parameters
    ----------
    params
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``: (3u,), or (2, 3u) under
        ``reset_after``: input bias, recurrent bias. Gates are in the order z, r, h. The kernel's dtype is that of every
        intermediate and of the results.
    inputs
        (B, T, D), or (T, B, D) under ``time_major``, of a floating dtype.
    spec
        The layer's arguments: static, for they decide the structure of the computation.
    mask
        (B, T) or (B, T, 1), timesteps first under ``time_major``; zero or False marks a timestep to skip. Its inputs
        reach neither results nor gradients, whatever they are [masked-nonfinite].
    initial_state
        (B, u); zeros if None.
    dropout_masks
        None outside training. In training ``inputs`` (3, B, D), or (1, B, D) where ``implementation`` is not 1, and
        ``recurrent`` (3, B, u), in the order z, r, h and already scaled, as :func:`gruspec_jax.draw_dropout_masks`
        gives them [dropout-masks]. No gradient flows to them, and those of a rate that does not act are ignored.

    Returns
    -------
    outputs : jax.Array
        (B, u), or the sequence under ``return_sequences``: (B, T, u), (T, B, u) under ``time_major``, in processing
        order.
    state : jax.Array
        (B, u).

    Raises
    ------
    SpecError
        If a shape does not fit, or a weight, the mask, the state or a dropout mask is not real. If dropout masks are
        given, also if a rate is 1 or a mask is missing that would act.
    SpecTypeError
        If inputs or kernel are not floating.

    Examples
    --------
    >>> from gruspec.spec import GRUSpec
    >>> spec = GRUSpec(units=4, return_sequences=True)
    >>> params = initial_params(jax.random.key(0), 3, spec)
    >>> outputs, state = jax.jit(gru, static_argnames="spec")(params, jnp.zeros((2, 5, 3)), spec=spec)
    >>> outputs.shape, state.shape
    ((2, 5, 4), (2, 4))
    """
    weights = arrange_weights(jnp, spec, params)
    steps = arrange_steps(
        jnp,
        spec,
        weights,
        inputs,
        mask=mask,
        initial_state=initial_state,
        dropout_masks=dropout_masks,
        training=dropout_masks is not None,
    )
    steps = steps._replace(dropout=jax.lax.stop_gradient(steps.dropout))
    results = run(
        Cell(ACTIVATIONS[spec.activation], ACTIVATIONS[spec.recurrent_activation], spec.reset_after), weights, steps
    )
    return outputs(spec, results), results.state


def initial_params(key: Array, input_size: int, spec: GRUSpec, dtype: Any = None) -> dict[str, Array]:
    """Draw weights as the reference layer does by default.

    Parameters
    ----------
    key
        A key of ``jax.random``.
    input_size
        Size ``D`` of the last axis of the inputs.
    spec
        The layer's arguments.
    dtype
        Of the weights; by default JAX's default floating dtype.

    Returns
    -------
    dict
        ``kernel`` (D, 3u), Glorot uniform; ``recurrent_kernel`` (u, 3u), orthogonal over all its columns; and, where
        the layer has one, ``bias`` of zeros.
    """
    draw = {
        "kernel": jax.nn.initializers.glorot_uniform(),
        "recurrent_kernel": jax.nn.initializers.orthogonal(),
        "bias": jax.nn.initializers.zeros,
    }
    shapes = weight_shapes(spec, input_size)
    keys = jax.random.split(key, len(shapes))
    return {
        name: draw[name](one, shape, dtype or jnp.zeros(()).dtype)
        for one, (name, shape) in zip(keys, shapes.items(), strict=True)
    }
