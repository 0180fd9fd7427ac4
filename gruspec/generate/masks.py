"""Masks of each kind that the covering arrays combine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.generate.draws import Draw

    Mask = NDArray[np.bool_]

MASK_KINDS = ("none", "right-padded", "left-padded", "gaps", "all-masked-row", "first-step-masked")

MINIMAL_TIMESTEPS = {"right-padded": 2, "left-padded": 2, "gaps": 3, "first-step-masked": 2}
"""Fewest timesteps in which a kind is itself and no other."""


def draw_mask(draw: Draw, kind: str, batch: int, timesteps: int, *, backwards: bool) -> Mask | None:
    """Return a mask (B, T) of a kind, or None for ``"none"``.

    Parameters
    ----------
    draw
        Source of the random choices.
    kind
        One of :data:`MASK_KINDS`.
    batch, timesteps
        Sizes.
    backwards
        Whether the last timestep is the first to be processed.
    """
    if kind == "none":
        return None
    steps = np.arange(timesteps)
    if kind in ("right-padded", "left-padded"):
        lengths = 1 + draw.integers("lengths", (batch, 1), timesteps - 1)
        padded: Mask = steps < lengths
        return padded if kind == "right-padded" else padded[:, ::-1]
    mask = draw.integers("mask", (batch, timesteps), 3) > 0
    first, last = (-1, 0) if backwards else (0, -1)
    if kind == "gaps":
        mask[:, (0, -1)] = True
        mask[np.arange(batch), 1 + draw.integers("gap", (batch,), timesteps - 2)] = False
    elif kind == "first-step-masked":
        mask[:, first] = False
        mask[:, last] = True
    else:
        mask[:, draw.choice("valid", timesteps)] = True
        mask[draw.choice("row", batch)] = False
    return mask
