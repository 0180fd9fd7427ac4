"""A layer that is one call of the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.backend import Output, lengths_from_mask, refuse_dropout
from gruspec.errors import SpecError, SpecTypeError, Unsupported
from gruspec.spec import acting_masks, call_dimensions, check_reset

from .model import Structure
from .session import session
from .weights import gru_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Capabilities, Weights
    from gruspec.spec import GRUSpec

    Array: TypeAlias = NDArray[Any]


class OperatorGRU:
    """A GRU bound to weights and a device. Arrays are transposed and chosen; no value is changed.

    Parameters
    ----------
    spec
        The layer, inside ``region``.
    weights
        In the reference layer's layout, float32. Copied.
    region
        What the device can do.
    device
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    SpecError
        If a weight is missing, unexpected or of a wrong shape.
    SpecTypeError
        If a weight is not float32.
    Unsupported
        If the kernel has no rows.
    """

    def __init__(self, spec: GRUSpec, weights: Weights, region: Capabilities, *, device: str) -> None:
        self._spec, self._region, self._device = spec, region, device
        for name, array in weights.items():
            _require_float32(name, array)
        self._shapes = {name: array.shape for name, array in weights.items()}
        kernel = self._shapes.get("kernel", ())
        size = kernel[0] if kernel else 0
        call_dimensions(spec, self._shapes, (0, 0, size))
        if size == 0:
            # The CPU kernel ends the process.
            raise Unsupported("inputs of size 0")
        self._weights = gru_weights(weights)

    def __call__(
        self,
        inputs: Array,
        *,
        mask: Array | None = None,
        initial_state: Array | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, Array] | None = None,
    ) -> Output:
        """Run the operator; see :class:`gruspec.backend.Layer`.

        Raises
        ------
        SpecError
            If a shape does not fit, the mask is neither boolean nor real, a name among the dropout masks is unknown, or
            a dropout rate is 1 in training.
        SpecTypeError
            If inputs or state are not float32.
        Unsupported
            If dropout would act, a size is zero, the mask is not right padding, or the layer is to hold its output at
            padded timesteps: the operator's is 0 there.
        """
        spec = self._spec
        refuse_dropout(spec, training=training)
        shapes = (None if array is None else array.shape for array in (mask, initial_state))
        sizes = call_dimensions(spec, self._shapes, inputs.shape, *shapes)
        acting_masks(spec, dropout_masks, training=training, sizes=sizes)  # none act, but names are checked
        valid = None if mask is None else _as_bool(mask).reshape(inputs.shape[:2])
        self._region.require_call(spec, inputs, valid, initial_state)
        feeds = self._feeds(inputs, valid, initial_state)
        lengths = feeds.get("sequence_lens")
        padded = lengths is not None and bool((lengths < sizes.timesteps).any())
        if padded and spec.return_sequences and not spec.zero_output_for_mask:
            raise Unsupported(
                "padding with return_sequences=True and zero_output_for_mask=False: "
                "the operator's outputs are 0 at padded timesteps"
            )
        structure = Structure.of(spec, lengths=lengths is not None, initial_state=initial_state is not None)
        sequence, state = session(structure, self._device).run(["Y", "Y_h"], feeds)
        return Output(self._choose(sequence[:, 0], state[0], padded=padded), state[0])

    def reset_states(self, states: Array | None = None) -> None:
        """Refuse: the operator keeps no state.

        Raises
        ------
        NotStatefulError
            Always.
        """
        check_reset(self._spec, None, None if states is None else states.shape)

    def _feeds(self, inputs: Array, valid: Array | None, initial_state: Array | None) -> dict[str, Array]:
        """Return the inputs of the graph by name."""
        time_major = self._spec.time_major
        _require_float32("inputs", inputs)
        feeds = {**self._weights, "X": np.ascontiguousarray(inputs if time_major else inputs.swapaxes(0, 1))}
        lengths = None if valid is None else lengths_from_mask(valid.T if time_major else valid)
        if lengths is not None:
            feeds["sequence_lens"] = lengths.astype(np.int32)
        if initial_state is not None:
            _require_float32("initial_state", initial_state)
            feeds["initial_h"] = np.ascontiguousarray(initial_state[None])
        return feeds

    def _choose(self, sequence: Array, state: Array, *, padded: bool) -> Array:
        """Return the layer's outputs.

        Parameters
        ----------
        sequence
            (T, B, u), in the order of the inputs; 0 at padded timesteps.
        state
            (B, u): also the output of the last valid timestep.
        padded
            Whether any timestep is.
        """
        spec = self._spec
        if spec.return_sequences:
            return sequence if spec.time_major else np.ascontiguousarray(sequence.swapaxes(0, 1))
        # Backwards, padding comes first, and the timestep that is processed last is always valid.
        if padded and spec.zero_output_for_mask and not spec.go_backwards:
            return np.array(sequence[-1])
        return np.array(state)


def _require_float32(name: str, array: Array) -> None:
    if array.dtype != np.float32:
        raise SpecTypeError(f"{name}: dtype {array.dtype}; expected float32")


def _as_bool(mask: Array) -> Array:
    if mask.dtype.kind not in "biuf":
        raise SpecError(f"mask: dtype {mask.dtype}; expected bool or a real dtype")
    return mask.astype(bool)
