"""What gruspec runs: the function of this package behind the backend protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.backend import DEVICES, DTYPES, Capabilities

from .scripts import FunctionScript

if TYPE_CHECKING:
    from gruspec.backend import Backend, DifferentiableLayer, Weights
    from gruspec.spec import GRUSpec

CAPABILITIES = Capabilities(
    summary="the whole specification in JAX",
    modules=("jax",),
    extra="jax",
    dtypes=DTYPES,
    devices=DEVICES,
    subnormals="flush",
)


class JaxBackend:
    """The whole specification in every floating dtype, on the CPU and on CUDA."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; JAX is not imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of JAX and its compiler, and the settings that can change a result."""
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
        from .bound import BoundLayer
        from .devices import resolve

        return BoundLayer(spec, weights, dtype=dtype, device=resolve(device))

    def script(self, spec: GRUSpec, *, dtype: str, device: str) -> FunctionScript:
        """Return the source of a layer; JAX is not imported."""
        return FunctionScript(spec, dtype, device)


def backend() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return JaxBackend()
