"""Weights in the layout of ``torch.nn.GRU`` and back: transposed, gates in the order r, z, n instead of z, r, n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import from_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from gruspec.backend import Weights

_KERNELS = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"}
_BIASES = ("bias_ih_l0", "bias_hh_l0")


def parameters(weights: Weights) -> dict[str, Tensor]:
    """Return the parameters of ``torch.nn.GRU`` by name.

    Parameters
    ----------
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and perhaps ``bias`` (2, 3u).
    """
    named = {theirs: weights[ours] for ours, theirs in _KERNELS.items()}
    if "bias" in weights:
        named |= dict(zip(_BIASES, weights["bias"], strict=True))
    return {name: from_numpy(np.ascontiguousarray(_reordered(array).T)) for name, array in named.items()}


def weights_of(named: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays shaped like the parameters of ``torch.nn.GRU``, as its gradients are, in the reference layout.

    Parameters
    ----------
    named
        Arrays by the names of the parameters; other names are left out.
    """
    found = {ours: np.ascontiguousarray(_reordered(named[theirs].T)) for ours, theirs in _KERNELS.items()}
    if biases := [_reordered(named[theirs]) for theirs in _BIASES if theirs in named]:
        found["bias"] = np.stack(biases)
    return found


def _reordered(array: NDArray[Any]) -> NDArray[Any]:
    """Exchange the first two of the three blocks on the last axis."""
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)
