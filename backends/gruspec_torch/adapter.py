"""What gruspec runs: the module of this package behind the backend protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.backend import DEVICES, Capabilities, Output, refuse_dropout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Backend, Layer, Weights
    from gruspec.spec import GRUSpec

    from .layer import GRU

CAPABILITIES = Capabilities(
    summary="the whole specification in PyTorch", modules=("torch",), extra="torch", devices=DEVICES
)


class CompleteBackend:
    """The whole specification in float32 and float64, on the CPU and on CUDA."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; PyTorch is not imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of PyTorch and cuDNN, and the settings that can change a result."""
        from .devices import versions

        return versions()

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> Layer:
        """Bind a layer.

        Raises
        ------
        Unsupported
            If the dtype or the device is not one of the declared.
        SpecError
            If the weights do not fit the specification.
        DeviceUnavailable
            If the device is not there.
        """
        CAPABILITIES.require(spec, dtype=dtype, device=device)
        import torch

        from .devices import resolve
        from .layer import GRU

        return CompleteLayer(GRU.from_weights(spec, weights, device=resolve(device), dtype=getattr(torch, dtype)))


class CompleteLayer:
    """A module that takes and gives NumPy arrays."""

    def __init__(self, module: GRU) -> None:
        self.module = module

    def __call__(
        self,
        inputs: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Run the layer; see :class:`gruspec.backend.Layer`."""
        import torch

        from .devices import exact_products

        refuse_dropout(self.module.spec, training=training, dropout_masks=dropout_masks)
        self.module.train(training)
        with torch.inference_mode(), exact_products():
            result = self.module(inputs, initial_state, mask)
        outputs, state = result if isinstance(result, tuple) else (result, None)
        return Output(outputs.cpu().numpy(), None if state is None else state.cpu().numpy())

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros."""
        self.module.reset_states(states)


def complete() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return CompleteBackend()
