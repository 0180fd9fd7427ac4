"""The dropout masks of one call: given, or drawn by the layer [dropout-masks]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.spec import DROPOUT_RATES, acting_dropout, acting_masks, check_rates, dropout_mask_shapes

from .arguments import as_real

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.spec import Dimensions, GRUSpec

    Array: TypeAlias = NDArray[Any]


def masks_of_call(
    spec: GRUSpec,
    given: Mapping[str, Any] | None,
    random: np.random.Generator,
    *,
    training: bool,
    sizes: Dimensions,
    dtype: str,
) -> dict[str, Array]:
    """Return the masks that act, in ``dtype``: the given ones or, where none are given, new ones.

    Raises
    ------
    SpecError
        If a rate is 1 in training, or a given mask is unknown, missing, of another shape or not real.
    """
    if given is None and not training:
        return {}
    acting = acting_dropout(spec, training=training)
    if given is None:
        check_rates(spec, training=training)
        return draw_masks(spec, acting, random, sizes=sizes, dtype=dtype)
    named = ((name, f"dropout_masks[{name!r}]", mask) for name, mask in given.items())
    taken = {name: as_real(shown, mask, dtype) if name in acting else mask for name, shown, mask in named}
    return acting_masks(spec, taken, training=training, sizes=sizes)


def draw_masks(
    spec: GRUSpec, kinds: tuple[str, ...], random: np.random.Generator, *, sizes: Dimensions, dtype: str
) -> dict[str, Array]:
    """Draw masks: an entry is 0 with probability ``rate``, else 1 / (1 - rate), each independently of all others."""
    shapes = dropout_mask_shapes(spec, sizes)
    masks = {}
    for kind in kinds:
        rate = getattr(spec, DROPOUT_RATES[kind])
        masks[kind] = np.where(random.random(shapes[kind]) < rate, 0, 1 / (1 - rate)).astype(dtype)
    return masks
