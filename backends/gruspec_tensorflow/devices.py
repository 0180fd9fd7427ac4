"""Where TensorFlow runs: a device is either there and used, or refused; nothing falls back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gruspec.errors import DeviceUnavailable

from .framework import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAMES = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


def visible_gpus() -> list[Any]:
    """Return the GPUs that TensorFlow sees."""
    gpus: list[Any] = load_tensorflow().config.list_physical_devices("GPU")
    return gpus


def require_device(device: str) -> None:
    """Check that a device can be used.

    Raises
    ------
    DeviceUnavailable
        If ``device`` is ``"cuda"`` and this build of TensorFlow has no CUDA, or it sees no GPU.
    """
    if device != "cuda":
        return
    tf = load_tensorflow()
    if not tf.sysconfig.get_build_info().get("is_cuda_build"):
        raise DeviceUnavailable(
            f"device='cuda': this build of tensorflow {tf.__version__} has no CUDA; "
            "pip install 'tensorflow[and-cuda]' on Linux, or use device='cpu'"
        )
    if not visible_gpus():
        raise DeviceUnavailable(
            f"device='cuda': tensorflow {tf.__version__} sees no GPU; check the driver, CUDA_VISIBLE_DEVICES and the "
            "CUDA libraries (pip install 'tensorflow[and-cuda]'; TF_CPP_MIN_LOG_LEVEL=0 shows what it looked for), or "
            "use device='cpu'"
        )


@contextmanager
def placed(device: str) -> Iterator[None]:
    """Run what TensorFlow does in this context on one device.

    Soft placement, TensorFlow's silent fallback to the CPU, is off meanwhile: an operation without a kernel for the
    device raises.
    """
    tf = load_tensorflow()
    soft = tf.config.get_soft_device_placement()
    tf.config.set_soft_device_placement(enabled=False)
    try:
        with tf.device(_NAMES[device]):
            yield
    finally:
        tf.config.set_soft_device_placement(soft)


def require_placed(device: str, tensors: Iterable[Any]) -> None:
    """Check where tensors or variables live.

    Raises
    ------
    DeviceUnavailable
        If one of them is elsewhere than on the device asked for.
    """
    for tensor in tensors:
        if not tensor.device.endswith(f"device:{_NAMES[device][1:]}"):
            raise DeviceUnavailable(f"device={device!r}: TensorFlow put a tensor on {tensor.device} instead")
