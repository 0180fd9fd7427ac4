"""The reference layer's weights in the operator's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.backend import Weights


def gru_weights(weights: Weights) -> dict[str, NDArray[Any]]:
    """Return the operator's ``W`` (1, 3u, D), ``R`` (1, 3u, u) and, where there is a bias, ``B`` (1, 6u).

    Both orders of gates are z, r, h. A bias (3u,) is the input's; the recurrent bias is 0 then. Nothing is added up, so
    nothing is rounded.

    Parameters
    ----------
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and perhaps ``bias``, (3u,) or (2, 3u).

    Examples
    --------
    >>> import numpy as np
    >>> gru_weights({"kernel": np.zeros((4, 6)), "recurrent_kernel": np.zeros((2, 6)), "bias": np.arange(6)})["B"]
    array([[0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0]])
    """
    found = {
        "W": np.ascontiguousarray(weights["kernel"].T[None]),
        "R": np.ascontiguousarray(weights["recurrent_kernel"].T[None]),
    }
    bias = weights.get("bias")
    if bias is not None:
        both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
        found["B"] = both.reshape(1, -1).copy()
    return found
