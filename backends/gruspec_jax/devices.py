"""Devices, dtypes, and the settings of JAX that can change a result."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import jax

from gruspec.errors import DeviceUnavailable

from .recurrence import PRECISION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

PLATFORMS = {"cpu": "cpu", "cuda": "gpu"}
"""What JAX calls the devices of gruspec."""

_HINTS = {
    "cpu": "JAX_PLATFORMS must not exclude it",
    "cuda": "it needs JAX installed with its CUDA plugin, and a GPU that nvidia-smi shows",
}


def resolve(device: str) -> Any:
    """Return the first device of a name that gruspec uses, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    DeviceUnavailable
        If JAX has no such device, with the reason it gives.
    """
    try:
        return jax.devices(PLATFORMS[device])[0]
    except RuntimeError as error:
        raise DeviceUnavailable(
            f"{device}: JAX {jax.__version__} has no such device; {_HINTS[device]} ({error})"
        ) from error


@contextmanager
def computing(dtype: str, device: Any) -> Iterator[None]:
    """Compute in ``dtype``, float64 included, on ``device``; the settings come back afterwards."""
    with _x64(enabled=dtype == "float64"), jax.default_device(device):
        yield


def _x64(*, enabled: bool) -> AbstractContextManager[Any]:
    """Return the context that makes float64 available, by the name that this version of JAX has for it."""
    if hasattr(jax, "enable_x64"):
        return cast("AbstractContextManager[Any]", jax.enable_x64(enabled))
    from jax.experimental import enable_x64

    return cast("AbstractContextManager[Any]", enable_x64(enabled))


def versions() -> dict[str, str]:
    """Return the versions of JAX and its compiler, and the settings that can change a result."""
    return {
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "matmul_precision": PRECISION,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }
