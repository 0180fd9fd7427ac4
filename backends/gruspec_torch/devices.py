"""Devices, and the settings of PyTorch that can change a result."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from gruspec.errors import DeviceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKENDS = torch.backends
_CURRENT = tuple(
    (owner, "fp32_precision", "ieee")
    for owner in (
        _BACKENDS.cuda.matmul,
        getattr(_BACKENDS.cudnn, "conv", None),
        getattr(_BACKENDS.cudnn, "rnn", None),
        getattr(_BACKENDS.mkldnn, "matmul", None),
        getattr(_BACKENDS.mkldnn, "rnn", None),
    )
)
_LEGACY = ((_BACKENDS.cuda.matmul, "allow_tf32", False), (_BACKENDS.cudnn, "allow_tf32", False))
# PyTorch 2.9 replaced the flags of the second table by those of the first, and refuses to read a mix of both.
EXACT: tuple[tuple[Any, str, Any], ...] = _CURRENT if hasattr(_BACKENDS.cudnn, "rnn") else _LEGACY


def resolve(device: str) -> torch.device:
    """Return the device of a name that gruspec uses, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    DeviceUnavailable
        If it is ``"cuda"`` and this build of PyTorch lacks CUDA, or no GPU is visible to it.
    """
    if device == "cuda":
        if not torch.backends.cuda.is_built():
            raise DeviceUnavailable(
                f"cuda: PyTorch {torch.__version__} is built without CUDA; install a build with it, see pytorch.org"
            )
        if not torch.cuda.is_available():
            raise DeviceUnavailable(
                f"cuda: PyTorch {torch.__version__} is built for CUDA {torch.version.cuda}, but no GPU is visible; "
                "check nvidia-smi and CUDA_VISIBLE_DEVICES"
            )
    return torch.device(device)


@contextmanager
def exact_products() -> Iterator[None]:
    """Form float32 products in float32, not in TF32 or bfloat16 [arithmetic-inputs], and restore the settings."""
    before = [getattr(owner, name) for owner, name, _ in EXACT]
    try:
        for owner, name, value in EXACT:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(EXACT, before, strict=True):
            setattr(owner, name, value)


def versions() -> dict[str, str]:
    """Return the version of PyTorch and cuDNN, and the settings that can change a result."""
    cudnn = torch.backends.cudnn
    return {
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "cudnn": str(cudnn.version() if cudnn.is_available() else None),
        "cudnn.enabled": str(cudnn.enabled),
        "tf32": "off",
        "threads": str(torch.get_num_threads()),
    }
