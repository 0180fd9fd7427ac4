"""What gruspec runs: the NumPy implementation behind the backend protocol."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gruspec.backend import Capabilities, Differentiated, Output

from .scripts import LayerSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import RegularizingBackend, Weights
    from gruspec.spec import GRUSpec, WeightSettings

    from .layer import GRU

CAPABILITIES = Capabilities(
    summary="the whole reference layer in NumPy",
    modules=("numpy",),
    dtypes=("float32", "float64", "float16"),
    losses=True,
)


class NumpyBackend:
    """The whole reference layer in float16, float32 and float64."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; NumPy is not imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of NumPy and of the library that forms its matrix products."""
        import numpy as np

        dependencies = np.show_config(mode="dicts")["Build Dependencies"]
        blas = dependencies["blas"]
        return {"numpy": np.__version__, "blas": f"{blas.get('name')} {blas.get('version')}"}

    def prepare(
        self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str, settings: WeightSettings | None = None
    ) -> BoundLayer:
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

        arguments = {} if settings is None else asdict(settings)
        return BoundLayer(GRU.from_weights(spec, weights, dtype=dtype, **arguments))

    def script(
        self,
        spec: GRUSpec,
        *,
        dtype: str,
        device: str,  # noqa: ARG002  there is one device
        settings: WeightSettings | None = None,
    ) -> LayerSource:
        """Return the source of a layer; NumPy is not imported."""
        return LayerSource(spec, dtype, settings)


class BoundLayer:
    """A layer whose results are named."""

    def __init__(self, layer: GRU) -> None:
        self.layer = layer

    @property
    def losses(self) -> NDArray[Any]:
        """What the regularizers add to a loss after the latest call, (n,) in the dtype of the layer."""
        import numpy as np

        return np.array(self.layer.losses, self.layer.dtype)

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
        return self._output(self.layer(inputs, initial_state, mask, training, dropout_masks=dropout_masks))

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
        """Run the layer and pull cotangents back; see :class:`gruspec.backend.DifferentiableLayer`."""
        returned, gradients = self.layer.vjp(
            inputs, initial_state, mask, training, cotangents=cotangents, dropout_masks=dropout_masks
        )
        return Differentiated(self._output(returned), gradients)

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros."""
        self.layer.reset_states(states)

    def _output(self, returned: Any) -> Output:
        return Output(*returned) if self.layer.return_state else Output(returned)


def backend() -> RegularizingBackend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return NumpyBackend()
