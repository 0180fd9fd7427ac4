"""Random dropout masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from gruspec.spec import DROPOUT_RATES, Dimensions, acting_dropout, check_rates, dropout_mask_shapes

if TYPE_CHECKING:
    from jax import Array

    from gruspec.spec import GRUSpec


def draw_dropout_masks(key: Array, spec: GRUSpec, batch: int, input_size: int, dtype: Any = None) -> dict[str, Array]:
    """Draw the masks of one call in training, for :func:`gruspec_jax.gru` [dropout-masks].

    Parameters
    ----------
    key
        A key of ``jax.random``; another one for every call.
    spec
        The layer's arguments.
    batch, input_size
        Sizes ``B`` and ``D`` of the inputs.
    dtype
        Of the masks; by default JAX's default floating dtype.

    Returns
    -------
    dict
        For the rates between 0 and 1: ``inputs`` (3, B, D), or (1, B, D) where ``implementation`` is not 1, and
        ``recurrent`` (3, B, u). An entry is 0 with probability of the rate, else 1 / (1 - rate), independent of all
        others.

    Raises
    ------
    SpecError
        If a rate is 1.

    Examples
    --------
    >>> from gruspec.spec import GRUSpec
    >>> masks = draw_dropout_masks(jax.random.key(0), GRUSpec(units=4, dropout=0.5), batch=2, input_size=3)
    >>> {kind: mask.shape for kind, mask in masks.items()}
    {'inputs': (3, 2, 3)}
    """
    check_rates(spec, training=True)
    shapes = dropout_mask_shapes(spec, Dimensions(batch, 0, input_size, spec.units))
    keys = dict(zip(DROPOUT_RATES, jax.random.split(key, len(DROPOUT_RATES)), strict=True))

    def draw(kind: str) -> Array:
        kept = 1 - getattr(spec, DROPOUT_RATES[kind])
        scale = jnp.asarray(1 / kept, dtype or jnp.zeros(()).dtype)
        return jnp.where(jax.random.bernoulli(keys[kind], kept, shapes[kind]), scale, jnp.zeros_like(scale))

    return {kind: draw(kind) for kind in acting_dropout(spec, training=True)}
