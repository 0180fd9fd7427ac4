"""A layer of legacy Keras, bound to weights and a device, called with NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gruspec.backend import Output
from gruspec.errors import Unsupported

from .devices import placed, require_placed
from .framework import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Capabilities
    from gruspec.spec import GRUSpec

    Array: TypeAlias = NDArray[Any]

Path: TypeAlias = Literal["generic", "cudnn"]

# Private to tf_keras (2.16 to 2.21): no public name tells which kernel ran where return_state is set.
_ELIGIBLE = "_could_use_gpu_kernel"
_KERNEL_CALL = "_defun_gru_call"


class NativeLayer:
    """A Keras GRU layer behind the layer protocol.

    Arrays become tensors on the device, and the layer's results become arrays; all arithmetic, the order of timesteps
    and the recorded state are the layer's own.

    Parameters
    ----------
    spec
        What the layer was built from.
    keras_layer
        The layer, with its weights set.
    capabilities
        The claim that calls must be inside of.
    device
        ``"cpu"`` or ``"cuda"``; the layer's weights are on it.

    Attributes
    ----------
    keras_layer
        The layer.
    path
        What the latest call ran: ``"generic"``, TensorFlow's loop of elementary operations, or ``"cudnn"``, NVIDIA's
        kernel, by the layer's own marker (``runtime`` in ``tf_keras/src/layers/rnn/gru_lstm_utils.py``). None before
        the first call of a layer that could run either.
    """

    def __init__(self, spec: GRUSpec, keras_layer: Any, *, capabilities: Capabilities, device: str) -> None:
        self.keras_layer = keras_layer
        self.path: Path | None = "generic"
        self._spec = spec
        self._capabilities = capabilities
        self._device = device
        if self.could_use_cudnn:
            self.path = None
            self._record_path()

    @property
    def could_use_cudnn(self) -> bool:
        """Whether the layer's arguments allow the cuDNN kernel: by itself no evidence that a call ran it."""
        return bool(getattr(self.keras_layer, _ELIGIBLE, False))

    def __call__(
        self,
        inputs: Array,
        *,
        mask: Array | None = None,
        initial_state: Array | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, Array] | None = None,
    ) -> Output:
        """Run the layer.

        Parameters
        ----------
        inputs
            (B, T, D), or (T, B, D) under ``time_major``.
        mask
            bool (B, T) or (B, T, 1), timesteps first under ``time_major``.
        initial_state
            (B, u).
        training
            Passed on.
        dropout_masks
            Must be None: the layer draws its own.

        Returns
        -------
        Output
            What the layer returned; ``state`` is None unless ``return_state`` is set.

        Raises
        ------
        Unsupported
            If ``dropout_masks`` are given, or the call is outside the declared capabilities.
        DeviceUnavailable
            If a result is not on the device asked for.
        """
        if dropout_masks is not None:
            raise Unsupported("dropout masks")
        self._capabilities.require_call(self._spec, inputs, mask, initial_state)
        tf = load_tensorflow()
        with placed(self._device):
            given = {"mask": mask, "initial_state": initial_state}
            optional = {name: tf.constant(array) for name, array in given.items() if array is not None}
            result = self.keras_layer(tf.constant(inputs), training=training, **optional)
        outputs, *states = result if self._spec.return_state else [result]
        require_placed(self._device, [outputs, *states])
        return Output(outputs.numpy(), *(state.numpy() for state in states))

    def reset_states(self, states: Array | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros.

        Raises
        ------
        AttributeError
            If the layer is not stateful.
        ValueError
            If the layer has not been called yet, or ``states`` has another shape.
        """
        with placed(self._device):
            self.keras_layer.reset_states(states)

    def _record_path(self) -> None:
        """Read the marker that the layer's kernels return and that the layer itself drops under ``return_state``."""
        from tf_keras.src.layers.rnn import gru_lstm_utils

        paths: dict[int, Path] = {gru_lstm_utils.RUNTIME_CPU: "generic", gru_lstm_utils.RUNTIME_GPU: "cudnn"}
        call = getattr(self.keras_layer, _KERNEL_CALL)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            _, _, runtime, _ = result
            self.path = paths[int(runtime)]
            return result

        setattr(self.keras_layer, _KERNEL_CALL, recorded)
