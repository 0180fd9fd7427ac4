"""What callers may pass for a tensor, how it is taken, and how results are given to NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gruspec.errors import SpecError, SpecTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def as_inputs(values: Any, like: Tensor) -> Tensor:
    """Return inputs in the dtype of ``like``.

    Raises
    ------
    SpecTypeError
        If they are not of a floating dtype.
    """
    inputs = _as_tensor("inputs", values, like.device, SpecTypeError)
    if not inputs.is_floating_point():
        raise SpecTypeError(f"inputs: dtype {inputs.dtype}; expected a floating dtype, which is cast to {like.dtype}")
    return inputs.to(like.dtype)


def as_real(name: str, values: Any, like: Tensor) -> Tensor:
    """Return a state or weight in the dtype of ``like``.

    Raises
    ------
    SpecError
        If it is of neither a real nor the boolean dtype, or ragged.
    """
    tensor = _as_tensor(name, values, like.device, SpecError)
    if tensor.is_complex():
        raise SpecError(f"{name}: dtype {tensor.dtype}; expected a real dtype, which is cast to {like.dtype}")
    return tensor.to(like.dtype)


def as_mask(values: Any, like: Tensor) -> Tensor:
    """Return a mask as bool; a number counts as True unless it is zero, so NaN does [mask-dtype].

    Raises
    ------
    SpecError
        If its dtype is neither boolean nor real.
    """
    mask = _as_tensor("mask", values, like.device, SpecError)
    if mask.is_complex():
        raise SpecError(f"mask: dtype {mask.dtype}; expected bool or a real dtype")
    return mask if mask.dtype == torch.bool else mask != 0


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor on any device, contiguous."""
    array: NDArray[Any] = tensor.detach().contiguous().cpu().numpy()
    return array


def _as_tensor(name: str, values: Any, device: torch.device, refusal: type[SpecError | SpecTypeError]) -> Tensor:
    """Return tensors as they are and copy anything else: NumPy arrays may be read-only, which PyTorch warns of."""
    if isinstance(values, torch.Tensor):
        return values
    try:
        return torch.from_numpy(np.array(values)).to(device)
    except (TypeError, ValueError) as error:
        raise refusal(f"{name}: cannot be made a tensor: {error}") from error
