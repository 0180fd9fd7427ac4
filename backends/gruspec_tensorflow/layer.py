"""A layer of legacy Keras, bound to weights and a device, called with NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gruspec.backend import Differentiated, Output
from gruspec.spec import Dimensions, check_cotangents, weight_shapes

from .devices import placed, require_placed
from .dropout import injected, stated_masks
from .framework import load_tensorflow
from .gradients import pull_back

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
        self._weights = {name: getattr(keras_layer.cell, name) for name in weight_shapes(spec, 0)}
        if self.could_use_cudnn:
            self.path = None
            self._record_path()

    @property
    def could_use_cudnn(self) -> bool:
        """Whether the layer's arguments allow the cuDNN kernel: by itself no evidence that a call ran it."""
        return bool(getattr(self.keras_layer, _ELIGIBLE, False))

    @property
    def losses(self) -> Array:
        """What regularizers add to a loss after the latest call, (n,) in the dtype of the layer [losses]."""
        with placed(self._device):
            losses = load_tensorflow().convert_to_tensor(self.keras_layer.losses, self.keras_layer.compute_dtype)
            require_placed(self._device, [losses])
            array: Array = losses.numpy()
            return array

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
            ``inputs`` (3, B, D), or (1, B, D) where ``implementation`` is not 1, and ``recurrent`` (3, B, u), already
            scaled. Those that act take the place of the layer's own; the others are left out.

        Returns
        -------
        Output
            What the layer returned; ``state`` is None unless ``return_state`` is set.

        Raises
        ------
        Unsupported
            If the call is outside the declared capabilities, the layer would draw masks of its own, or it cannot have
            one for each gate.
        SpecError
            If a dropout rate is 1 in training, or a mask that acts is missing or of another shape.
        DeviceUnavailable
            If a result is not on the device asked for.
        """
        masks = self._admit(inputs, mask, initial_state, dropout_masks, training=training)
        with placed(self._device):
            arguments = _tensors(inputs=inputs, mask=mask, initial_state=initial_state)
            return self._output(self._run(arguments, masks, training=training))

    def vjp(
        self,
        inputs: Array,
        *,
        cotangents: Mapping[str, Array],
        mask: Array | None = None,
        initial_state: Array | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, Array] | None = None,
    ) -> Differentiated:
        """Run the layer under a gradient tape and pull cotangents back through the call.

        Parameters
        ----------
        inputs, mask, initial_state, training, dropout_masks
            As for a call.
        cotangents
            ``outputs``, shaped like the outputs, and perhaps ``state`` (B, u) where ``return_state`` is set.

        Returns
        -------
        Differentiated
            The results of the call, and the gradients of ``inputs``, of ``initial_state`` where it is given and of
            the weights: zeros where nothing connects them to the cotangents.

        Raises
        ------
        Unsupported, DeviceUnavailable
            As for a call.
        SpecError
            As for a call, or if a cotangent is of something that is not returned, or of another shape.
        """
        masks = self._admit(inputs, mask, initial_state, dropout_masks, training=training, gradients=True)
        check_cotangents(self._spec, self._sizes(inputs), cotangents)
        tf = load_tensorflow()
        with placed(self._device):
            arguments = _tensors(inputs=inputs, mask=mask, initial_state=initial_state)
            sources = {name: tensor for name, tensor in arguments.items() if name != "mask"} | self._weights
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                results = self._run(arguments, masks, training=training)
            gradients = pull_back(tape, results, _tensors(**cotangents), sources)
            require_placed(self._device, gradients.values())
            return Differentiated(self._output(results), {name: array.numpy() for name, array in gradients.items()})

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

    def _admit(
        self,
        inputs: Array,
        mask: Array | None,
        initial_state: Array | None,
        dropout_masks: Mapping[str, Array] | None,
        *,
        training: bool,
        gradients: bool = False,
    ) -> dict[str, Array]:
        """Refuse a call that the layer cannot do; return the dropout masks that act in it."""
        self._capabilities.require_call(self._spec, inputs, mask, initial_state, training=training, gradients=gradients)
        return stated_masks(
            self._spec, dropout_masks, self._sizes(inputs), training=training, shared=self.could_use_cudnn
        )

    def _sizes(self, inputs: Array) -> Dimensions:
        timesteps, batch = inputs.shape[:2] if self._spec.time_major else inputs.shape[1::-1]
        return Dimensions(batch, timesteps, inputs.shape[-1], self._spec.units)

    def _run(self, arguments: Mapping[str, Any], masks: Mapping[str, Array], *, training: bool) -> dict[str, Any]:
        """Call the Keras layer and return its results by name."""
        with injected(self.keras_layer, masks, shared=self.could_use_cudnn):
            result = self.keras_layer(**arguments, training=training)
        return dict(zip(("outputs", "state"), result if self._spec.return_state else [result], strict=False))

    def _output(self, results: Mapping[str, Any]) -> Output:
        """Return the results of a call as arrays."""
        require_placed(self._device, results.values())
        return Output(**{name: tensor.numpy() for name, tensor in results.items()})

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


def _tensors(**arrays: Array | None) -> dict[str, Any]:
    tf = load_tensorflow()
    return {name: tf.constant(array) for name, array in arrays.items() if array is not None}
