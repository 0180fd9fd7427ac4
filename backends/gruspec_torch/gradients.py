"""Vector-Jacobian products of one call, by autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .arguments import as_real

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def pull_back(
    results: Mapping[str, Tensor], cotangents: Mapping[str, Any], leaves: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the gradient of each leaf, zeros where no cotangent reaches it.

    Parameters
    ----------
    results
        ``outputs`` and ``state`` of a call.
    cotangents
        Arrays shaped like some of them, by the same names.
    leaves
        The tensors to differentiate by, which require gradients.

    Raises
    ------
    SpecError
        If a cotangent is not real.
    """
    pairs = [
        (results[name], as_real(f"cotangents[{name!r}]", cotangent, results[name]))
        for name, cotangent in cotangents.items()
        if results[name].requires_grad
    ]
    if not pairs:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    reached, vectors = zip(*pairs, strict=True)
    gradients = torch.autograd.grad(reached, tuple(leaves.values()), vectors, materialize_grads=True)
    return dict(zip(leaves, gradients, strict=True))
