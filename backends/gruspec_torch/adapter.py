"""What gruspec runs: the module of this package behind the backend protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.backend import DEVICES, DTYPES, Capabilities, Differentiated, Output
from gruspec.spec import call_dimensions, check_cotangents

from .scripts import ModuleScript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from gruspec.backend import Backend, DifferentiableLayer, Weights
    from gruspec.spec import GRUSpec

    from .layer import GRU

CAPABILITIES = Capabilities(
    summary="the whole specification in PyTorch",
    modules=("torch",),
    extra="torch",
    dtypes=DTYPES,
    devices=DEVICES,
)


class CompleteBackend:
    """The whole specification in every floating dtype, on the CPU and on CUDA."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; PyTorch is not imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of PyTorch and cuDNN, and the settings that can change a result."""
        from .devices import versions

        return versions()

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> DifferentiableLayer:
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

    def script(self, spec: GRUSpec, *, dtype: str, device: str) -> ModuleScript:
        """Return the source of a layer; PyTorch is not imported."""
        return ModuleScript(spec, dtype, device)


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
        """Run the layer; see :class:`gruspec.backend.Layer`. Without dropout masks it draws those that act."""
        import torch

        from .arguments import to_numpy
        from .devices import exact_products

        self.module.train(training)
        with torch.inference_mode(), exact_products():
            results = self._run(inputs, initial_state, mask, dropout_masks)
        return Output(**{name: to_numpy(result) for name, result in results.items()})

    def vjp(
        self,
        inputs: NDArray[Any],
        *,
        cotangents: Mapping[str, NDArray[Any]],
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Differentiated:
        """Run the layer and pull cotangents back; see :class:`gruspec.backend.DifferentiableLayer`.

        Raises
        ------
        SpecError
            If a cotangent is of something that the layer does not return, of another shape or not real, or the call
            itself is wrong.
        SpecTypeError
            If the inputs are not floating.
        """
        import torch

        from .arguments import as_inputs, as_real, to_numpy
        from .devices import exact_products
        from .gradients import pull_back

        module = self.module
        x = as_inputs(inputs, module.kernel).requires_grad_()
        parameters = dict(module.named_parameters())
        shapes = {name: parameter.shape for name, parameter in parameters.items()}
        check_cotangents(module.spec, call_dimensions(module.spec, shapes, x.shape), cotangents)
        leaves = {"inputs": x}
        if initial_state is not None:
            leaves["initial_state"] = as_real("initial_state", initial_state, module.kernel).requires_grad_()
        module.train(training)
        with torch.enable_grad(), exact_products():
            results = self._run(x, leaves.get("initial_state"), mask, dropout_masks)
            gradients = pull_back(results, cotangents, leaves | parameters)
        output = Output(**{name: to_numpy(result) for name, result in results.items()})
        return Differentiated(output, {name: to_numpy(gradient) for name, gradient in gradients.items()})

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros."""
        self.module.reset_states(states)

    def _run(self, inputs: Any, initial_state: Any, mask: Any, dropout_masks: Any) -> dict[str, Tensor]:
        """Return ``outputs`` and, where the module gives it, ``state``."""
        result = self.module(inputs, initial_state, mask, dropout_masks=dropout_masks)
        return dict(zip(("outputs", "state"), result if isinstance(result, tuple) else (result,), strict=False))


def complete() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return CompleteBackend()
