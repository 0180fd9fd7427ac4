"""What an implementation must provide to be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend.capabilities import Capabilities
    from gruspec.backend.script import ScriptedCall
    from gruspec.spec import GRUSpec, WeightSettings

Weights: TypeAlias = "Mapping[str, NDArray[Any]]"
"""``kernel``, ``recurrent_kernel`` and, where the layer has one, ``bias``."""


class Output(NamedTuple):
    """What one call returns, as NumPy arrays in the dtype of the layer.

    ``outputs`` is (B, u), or the sequence where ``return_sequences`` is set: (B, T, u), (T, B, u) under
    ``time_major``. ``state`` is (B, u) where ``return_state`` is set; elsewhere it may be None and is not judged.
    """

    outputs: NDArray[Any]
    state: NDArray[Any] | None = None


class Differentiated(NamedTuple):
    """What a call returns and its vector-Jacobian products.

    ``gradients`` has an array like each argument that the call was given, by name: ``inputs``, ``initial_state`` where
    the call states one, ``kernel``, ``recurrent_kernel`` and, where the layer has one, ``bias``; all in the dtype of
    the layer.
    """

    output: Output
    gradients: Mapping[str, NDArray[Any]]


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
        training
            Whether dropout acts.
        dropout_masks
            ``{"inputs": (3, B, D) or (1, B, D), "recurrent": (3, B, u)}``, already scaled;
            :func:`gruspec.spec.acting_masks` tells which of them act.

        Raises
        ------
        Unsupported
            If this call is outside what the implementation can do.
        """
        ...

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state of a stateful layer to ``states`` (B, u), or to zeros."""
        ...


class DifferentiableLayer(Layer, Protocol):
    """A layer that also computes gradients; what it adds is optional."""

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
        """Run the layer as a call does, recorded state included, and pull cotangents back through this one call.

        Parameters
        ----------
        inputs, mask, initial_state, training, dropout_masks
            As for a call.
        cotangents
            ``outputs``, shaped like the outputs, and, where ``return_state`` is set, ``state`` (B, u).

        Raises
        ------
        Unsupported
            If this call is outside what the implementation can do.
        """
        ...


class RegularizedLayer(Layer, Protocol):
    """A layer that has regularizers."""

    @property
    def losses(self) -> NDArray[Any]:
        """What the regularizers add to a loss after the latest call, (n,) in the dtype of the layer [losses].

        Of the outputs, of the state where it is returned, of kernel, recurrent kernel and bias, without those that have
        no regularizer.
        """
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


class RegularizingBackend(Backend, Protocol):
    """An implementation that declares ``losses``: its layers take regularizers."""

    def prepare(
        self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str, settings: WeightSettings | None = None
    ) -> RegularizedLayer:
        """Bind a layer as any implementation does.

        Parameters
        ----------
        spec, weights, dtype, device
            As for any implementation.
        settings
            With regularizers as configurations of ``L1L2``; given only where a case has some.
        """
        ...


class LayerScript(Protocol):
    """A layer as Python source that uses what its framework documents, in pieces that a script is put together from.

    ``imports`` opens the script; NumPy is there as ``np``. ``construction`` follows once ``kernel``,
    ``recurrent_kernel`` and, where the layer has one, ``bias`` are NumPy arrays, and then :meth:`call` and
    :meth:`reset_states`, as often as they are needed. Every piece may stand indented in a block.
    """

    @property
    def dtype(self) -> str:
        """Dtype of the arrays that the pieces take and leave: the layer's, unless NumPy has none such."""
        ...

    @property
    def imports(self) -> str:
        """What to import, and the settings of dtype and device."""
        ...

    @property
    def construction(self) -> str:
        """What makes the layer."""
        ...

    def call(self, call: ScriptedCall) -> str:
        """Return what calls the layer.

        It finds arrays under the names that ``call`` has, and leaves NumPy arrays: ``outputs``, ``state`` where
        ``return_state`` is set, with cotangents a dictionary ``gradients`` named as in :class:`Differentiated`, and
        ``losses`` where the layer has regularizers.
        """
        ...

    def reset_states(self, *, stated: bool) -> str:
        """Return what sets the recorded state: to the array ``states`` if one is stated, else to zeros."""
        ...


@runtime_checkable
class ScriptedBackend(Backend, Protocol):
    """An implementation that can be used without gruspec, or is a package for users, and says how.

    Optional: for any other, scripts go through the backend protocol.
    """

    def script(self, spec: GRUSpec, *, dtype: str, device: str) -> LayerScript:
        """Write a layer that :meth:`prepare` would bind as source. Must not import the framework."""
        ...


class RegularizingScriptedBackend(RegularizingBackend, ScriptedBackend, Protocol):
    """A scripted implementation that declares ``losses``."""

    def script(self, spec: GRUSpec, *, dtype: str, device: str, settings: WeightSettings | None = None) -> LayerScript:
        """Write a layer as any scripted implementation does; ``settings`` are those of ``prepare``."""
        ...
