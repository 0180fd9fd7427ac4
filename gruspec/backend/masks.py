"""Kinds of masks, from the most special to the most general."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKS = ("none", "lengths", "any")
"""``lengths``: every row is valid for its first k >= 1 timesteps and masked afterwards (right padding)."""


def lengths_from_mask(mask: NDArray[Any]) -> NDArray[Any] | None:
    """Return the number of valid timesteps of each row, int64 (B,), if the mask is right padding; else None.

    Parameters
    ----------
    mask
        bool (B, T). Transpose a time-major mask first.

    Examples
    --------
    >>> import numpy as np
    >>> lengths_from_mask(np.array([[True, True, False], [True, False, False]]))
    array([2, 1])
    >>> lengths_from_mask(np.array([[True, False, True]])) is None
    True
    """
    import numpy as np

    if mask.shape[1] == 0 or not mask[:, 0].all() or (mask[:, 1:] & ~mask[:, :-1]).any():
        return None
    lengths: NDArray[Any] = mask.sum(axis=1, dtype=np.int64)
    return lengths


def mask_kind(mask: NDArray[Any] | None) -> str:
    """Return the most special kind in :data:`MASKS` that a (B, T) mask belongs to."""
    if mask is None:
        return "none"
    return "any" if lengths_from_mask(mask) is None else "lengths"
