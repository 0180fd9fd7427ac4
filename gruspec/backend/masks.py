"""Kinds of masks, from the most special to the most general."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKS = ("none", "lengths", "any")
"""``lengths``: every row is valid for its first k >= 1 timesteps and masked afterwards (right padding)."""


def batch_major_mask(mask: NDArray[Any], *, time_major: bool) -> NDArray[Any]:
    """Return a mask as bool (B, T).

    Parameters
    ----------
    mask
        Any dtype, non-zero is True [mask-dtype]; (B, T) or (B, T, 1), or with these axes in the other order.
    time_major
        Whether the first axis is time.
    """
    valid = mask.astype(bool)
    if valid.ndim == 3:
        valid = valid[..., 0]
    return valid.T if time_major else valid


def lengths_from_mask(mask: NDArray[Any]) -> NDArray[Any] | None:
    """Return the number of valid timesteps of each row, int64 (B,), if the mask is right padding; else None.

    Parameters
    ----------
    mask
        bool (B, T), as from :func:`batch_major_mask`.

    Examples
    --------
    >>> import numpy as np
    >>> lengths_from_mask(np.array([[True, True, False], [True, False, False]]))
    array([2, 1])
    >>> lengths_from_mask(np.array([[True, False, True]])) is None
    True
    """
    if mask.shape[1] == 0 or not mask[:, 0].all() or (mask[:, 1:] & ~mask[:, :-1]).any():
        return None
    lengths: NDArray[Any] = mask.sum(axis=1, dtype="int64")
    return lengths


def mask_kind(mask: NDArray[Any] | None) -> str:
    """Return the most special kind in :data:`MASKS` that a bool (B, T) mask belongs to."""
    if mask is None:
        return "none"
    return "any" if lengths_from_mask(mask) is None else "lengths"
