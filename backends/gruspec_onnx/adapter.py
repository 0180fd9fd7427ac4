"""What gruspec runs: ONNX Runtime's GRU behind the backend protocol."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from gruspec.backend import Capabilities
from gruspec.errors import Unsupported

from .scripts import OperatorScript

if TYPE_CHECKING:
    from gruspec.backend import Backend, Layer, Weights
    from gruspec.spec import GRUSpec

CAPABILITIES = Capabilities(
    summary="the ONNX GRU operator, run by ONNX Runtime",
    kind="native",
    modules=("onnx", "onnxruntime"),
    extra="onnx",
    dtypes=("float32",),
    devices=("cpu", "cuda"),
    switches=("return_sequences", "return_state", "go_backwards", "unroll", "time_major", "zero_output_for_mask"),
    mask="lengths",
    dropout=False,
    gradients=False,
    # The CPU kernel ends the process where a size is zero.
    empty=(),
    # Its tanh of a subnormal is zero up to 102 of the smallest numbers.
    subnormals="flush",
)

REGIONS = {
    "cpu": CAPABILITIES,
    # cuDNN's GRU is this one function; the provider leaves any other to the CPU.
    "cuda": dataclasses.replace(
        CAPABILITIES,
        devices=("cuda",),
        reset_after=(True,),
        activations=("tanh",),
        recurrent_activations=("sigmoid",),
    ),
}
"""What each device has of the capabilities."""


class OnnxRuntimeBackend:
    """The operator ``GRU`` in float32, unchanged: nothing that it lacks is made up for."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; neither onnx nor onnxruntime is imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of both packages, and the settings of model and session."""
        import onnx
        import onnxruntime

        from .model import OPSET
        from .session import PROVIDERS, THREADS

        return {
            "onnxruntime": onnxruntime.__version__,
            "onnx": onnx.__version__,
            "opset": str(OPSET),
            "threads": str(THREADS),
            **PROVIDERS["cuda"][1],
        }

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> Layer:
        """Bind a layer.

        Raises
        ------
        Unsupported
            If the operator, or the provider of the device, does not have this layer.
        DeviceUnavailable
            If the installed onnxruntime lacks the provider of the device. Nothing falls back.
        SpecError
            If the weights do not fit the specification.
        """
        CAPABILITIES.require(spec, dtype=dtype, device=device)
        REGIONS[device].require(spec, dtype=dtype, device=device)
        if spec.go_backwards and spec.return_sequences:
            raise Unsupported("go_backwards=True with return_sequences=True: the operator reorders its outputs")
        from .layer import OperatorGRU
        from .session import require_device

        require_device(device)
        return OperatorGRU(spec, weights, REGIONS[device], device=device)

    def script(self, spec: GRUSpec, *, dtype: str, device: str) -> OperatorScript:
        """Return the source of a layer; neither onnx nor onnxruntime is imported."""
        return OperatorScript(spec, dtype, device)


def backend() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return OnnxRuntimeBackend()
