"""The dropout masks of a call: given by the caller, or drawn from PyTorch's generator [dropout-masks]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gruspec.spec import DROPOUT_RATES, acting_dropout, acting_masks, check_rates, dropout_mask_shapes

from .arguments import as_real
from .recurrence import DropoutMasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from gruspec.spec import Dimensions, GRUSpec


def masks_of_call(
    spec: GRUSpec, given: Mapping[str, Any] | None, like: Tensor, *, training: bool, sizes: Dimensions
) -> DropoutMasks:
    """Return the masks that act in a call, as constants in the dtype of ``like``.

    Parameters
    ----------
    spec
        The layer.
    given
        ``inputs`` (3, B, D), or (1, B, D) where ``implementation`` is not 1, and ``recurrent`` (3, B, u), already
        scaled; None to draw those that act.
    like
        Decides dtype and device.
    training
        Whether dropout acts.
    sizes
        Of the call.

    Raises
    ------
    SpecError
        If a rate is 1 in training, or a given mask is not real, of another shape or of an unknown name, or one that
        would act is missing.
    """
    if given is None:
        return DropoutMasks(**draw_masks(spec, like, training=training, sizes=sizes))
    masks = {kind: as_real(f"dropout_masks[{kind!r}]", values, like).detach() for kind, values in given.items()}
    return DropoutMasks(**acting_masks(spec, masks, training=training, sizes=sizes))


def draw_masks(spec: GRUSpec, like: Tensor, *, training: bool, sizes: Dimensions) -> dict[str, Tensor]:
    """Draw the masks that act in a call: an entry is 0 with probability of the rate, else 1 / (1 - rate).

    Raises
    ------
    SpecError
        If a rate is 1 in training.
    """
    check_rates(spec, training=training)
    shapes = dropout_mask_shapes(spec, sizes)
    return {
        kind: torch.nn.functional.dropout(like.new_ones(shapes[kind]), getattr(spec, DROPOUT_RATES[kind]))
        for kind in acting_dropout(spec, training=training)
    }
