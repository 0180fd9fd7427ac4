"""What an implementation must provide to be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend.capabilities import Capabilities
    from gruspec.spec import GRUSpec

Weights: TypeAlias = "Mapping[str, NDArray[Any]]"
"""``kernel``, ``recurrent_kernel`` and, where the layer has one, ``bias``."""


class Output(NamedTuple):
    """What one call returns, as NumPy arrays in the dtype of the layer.

    ``outputs`` is (B, u), or the sequence where ``return_sequences`` is set: (B, T, u), (T, B, u) under
    ``time_major``. ``state`` is (B, u) where ``return_state`` is set; elsewhere it may be None and is not judged.
    """

    outputs: NDArray[Any]
    state: NDArray[Any] | None = None


class Layer(Protocol):
    """A GRU bound to a specification, weights, a dtype and a device.

    A layer whose framework chooses among code paths may have an attribute ``path``: after a call, the name of the path
    that ran, as ``"cudnn"`` or ``"generic"``. It is recorded in the results.
    """

    def __call__(
        self,
        inputs: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Run the layer.

        Parameters
        ----------
        inputs
            (B, T, D), or (T, B, D) under ``time_major``, in the layer's dtype.
        mask
            bool (B, T), or (T, B) under ``time_major``; True marks a timestep that counts.
        initial_state
            (B, u), in the layer's dtype.
        training, dropout_masks
            In training, ``{"inputs": (3, B, D) or (1, B, D), "recurrent": (3, B, u)}``, already scaled.

        Raises
        ------
        Unsupported
            If this call is outside what the implementation can do.
        """
        ...

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state of a stateful layer to ``states`` (B, u), or to zeros."""
        ...


@runtime_checkable
class Backend(Protocol):
    """An implementation of the GRU specification."""

    def capabilities(self) -> Capabilities:
        """Return what the implementation declares to be able to do. Must not import the framework."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Return the version of each package, and each setting, that can change a result."""
        ...

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> Layer:
        """Bind a layer once, to be called one or more times.

        Parameters
        ----------
        spec
            The layer's arguments.
        weights
            ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias`` (3u,) or (2, 3u),
            gates in the order z, r, h, in the dtype asked for.
        dtype
            ``"float32"``, ``"float64"``, ``"float16"`` or ``"bfloat16"``.
        device
            ``"cpu"`` or ``"cuda"``.

        Raises
        ------
        Unsupported
            If the implementation cannot do this, with the reasons.
        MissingDependency
            If its framework is not installed.
        DeviceUnavailable
            If the device is not there. A request for CUDA never falls back to the CPU.
        """
        ...
