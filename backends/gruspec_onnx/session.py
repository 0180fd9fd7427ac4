"""Sessions: one per structure and device, on the provider asked for and on no other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gruspec.errors import DeviceUnavailable, Unsupported, listed

from .model import gru_model

if TYPE_CHECKING:
    from .model import Structure

PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
}
"""Execution provider of each device, with its options: TF32 products are not float32 [arithmetic-inputs]."""

THREADS = 1
"""Threads of a session: one is the fastest for one small operator."""

FATAL = 4
"""Severity from which a session writes to its log; errors are raised, so they need none."""


def available_providers() -> list[str]:
    """Return the execution providers of the installed onnxruntime."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def require_device(device: str) -> None:
    """Refuse a device whose provider is not there.

    Raises
    ------
    DeviceUnavailable
        If the installed onnxruntime lacks the provider of ``device``.
    """
    wanted, available = PROVIDERS[device][0], available_providers()
    if wanted not in available:
        raise DeviceUnavailable(
            f"device={device!r}: this onnxruntime has no {wanted}, only {listed(available)}; "
            "install a build that has it, such as onnxruntime-gpu"
        )


@lru_cache(maxsize=1024)
def session(structure: Structure, device: str) -> Any:
    """Return an ``onnxruntime.InferenceSession`` for a structure; it is opened once and shared.

    Raises
    ------
    DeviceUnavailable
        If the provider of ``device`` is not there or does not start.
    Unsupported
        If the provider would leave the operator to the CPU.
    """
    require_device(device)
    provider = PROVIDERS[device][0]
    model = gru_model(structure).SerializeToString()
    try:
        opened = _open(model, device)
    except Exception as error:
        if device == "cpu":
            raise
        raise DeviceUnavailable(f"device={device!r}: {provider} does not start: {error}") from error
    started = opened.get_providers()
    if started[0] != provider:
        raise DeviceUnavailable(f"device={device!r}: {provider} does not start; what does is {listed(started)}")
    if device == "cpu":
        return opened
    try:
        return _open(model, device, alone=True)
    except Exception as error:
        raise Unsupported(f"{provider} leaves this GRU to the CPU: {error}") from error


def _open(model: bytes, device: str, *, alone: bool = False) -> Any:
    """Open a session; ``alone`` refuses to let the CPU do what the provider does not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.log_severity_level = FATAL
    if alone:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return onnxruntime.InferenceSession(model, options, providers=[PROVIDERS[device]], enable_fallback=0)
