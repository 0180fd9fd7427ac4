"""What gruspec runs: the NumPy implementation behind the backend protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.backend import Capabilities

if TYPE_CHECKING:
    from gruspec.backend import Backend, Layer, Weights
    from gruspec.spec import GRUSpec

CAPABILITIES = Capabilities(summary="the whole specification in NumPy", modules=("numpy",))


class NumpyBackend:
    """The whole specification in float32 and float64."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; NumPy is not imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of NumPy and of the library that forms its matrix products."""
        import numpy as np

        dependencies = np.show_config(mode="dicts")["Build Dependencies"]
        blas = dependencies["blas"]
        return {"numpy": np.__version__, "blas": f"{blas.get('name')} {blas.get('version')}"}

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> Layer:
        """Bind a layer.

        Raises
        ------
        Unsupported
            If the dtype or the device is not one of the declared.
        SpecError
            If the weights do not fit the specification.
        """
        CAPABILITIES.require(spec, dtype=dtype, device=device)
        from .layer import GRU

        return GRU(spec, weights, dtype=dtype)


def backend() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return NumpyBackend()
