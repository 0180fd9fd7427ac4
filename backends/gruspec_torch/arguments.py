"""What callers may pass for a tensor, how it is taken, and how results are given to NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gruspec.errors import MissingDependency, SpecError, SpecTypeError

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
    """Return the values of a tensor on any device, contiguous; bfloat16 as of ml_dtypes.

    Raises
    ------
    MissingDependency
        If they are bfloat16, and ml_dtypes is not installed.
    """
    held = tensor.detach().contiguous().cpu()
    if held.dtype == torch.bfloat16:
        bits: NDArray[Any] = held.view(torch.int16).numpy()
        return bits.view(_bfloat16())
    array: NDArray[Any] = held.numpy()
    return array


def from_numpy(array: NDArray[Any]) -> Tensor:
    """Return a tensor on the CPU that shares the memory of an array, which may be of the bfloat16 of ml_dtypes."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _bfloat16() -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        raise MissingDependency("bfloat16 arrays need ml_dtypes; pip install ml_dtypes") from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def _as_tensor(name: str, values: Any, device: torch.device, refusal: type[SpecError | SpecTypeError]) -> Tensor:
    """Return tensors as they are and copy anything else: NumPy arrays may be read-only, which PyTorch warns of."""
    if isinstance(values, torch.Tensor):
        return values
    try:
        return from_numpy(np.array(values)).to(device)
    except (TypeError, ValueError) as error:
        raise refusal(f"{name}: cannot be made a tensor: {error}") from error
