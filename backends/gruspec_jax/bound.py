"""A layer bound to weights, a dtype and a device, for calls with NumPy arrays of many shapes.

Compiling takes a hundred times longer than running a small layer, and ``gru`` is compiled once per specification and
shape. So a call is arranged in NumPy by the same functions that ``gru`` arranges its arguments with, padded to sizes
that nearly all calls share, and run by the same recurrence, compiled once per cell and dtype. What cannot be padded is
run by ``gru`` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gruspec.backend import Output, refuse_dropout
from gruspec.spec import Dimensions, check_carry, check_reset

from .arrangement import arrange_steps, arrange_weights, as_array, as_real, outputs
from .devices import computing
from .layer import gru
from .padding import can_pad, crop, pad_steps, pad_weights, padded_sizes
from .recurrence import Cell, Results, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Weights as NamedWeights
    from gruspec.spec import GRUSpec

    from .recurrence import Steps

_compiled_gru = jax.jit(gru, static_argnames="spec")
_compiled_run = jax.jit(run, static_argnames="cell")


class BoundLayer:
    """A GRU that takes and gives NumPy arrays and, if stateful, carries its state from call to call.

    Parameters
    ----------
    spec
        The layer's arguments.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``.
    dtype
        ``"float32"`` or ``"float64"``.
    device
        The device of JAX to run on.
    pad
        Whether calls may share compilations by padding.

    Raises
    ------
    SpecError
        If a weight is missing, unexpected, of a wrong shape or not real.
    """

    def __init__(self, spec: GRUSpec, weights: NamedWeights, *, dtype: str, device: Any, pad: bool = True) -> None:
        self.spec = spec
        self.dtype = dtype
        self.device = device
        self.pad = pad
        self._params = {name: as_real(np, name, as_array(values), dtype).copy() for name, values in weights.items()}
        self._weights = arrange_weights(np, spec, self._params)
        self._state: NDArray[Any] | None = None

    def __call__(
        self,
        inputs: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Run the layer; see :class:`gruspec.backend.Layer`.

        Raises
        ------
        SpecError
            If a shape does not fit, the mask or the state is not real, or a stateful layer is called with another batch
            size than before.
        SpecTypeError
            If the inputs are not floating.
        Unsupported
            If dropout would act.
        """
        refuse_dropout(self.spec, training=training, dropout_masks=dropout_masks)
        steps = arrange_steps(np, self.spec, self._weights, inputs, mask=mask, initial_state=initial_state)
        steps = steps._replace(state=self._start(steps, initial_state))
        with computing(self.dtype, self.device):
            found = self._padded(steps) if self.pad else None
            values, state = self._unpadded(inputs, mask, steps.state) if found is None else found
        if self.spec.stateful:
            self._state = state.copy()
        return Output(values, state)

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros.

        Raises
        ------
        NotStatefulError
            If the layer is not stateful.
        SpecError
            If the layer has not been called yet, or ``states`` has another shape or is not real.
        """
        recorded = self._state
        given = None if states is None else as_real(np, "states", as_array(states), self.dtype)
        check_reset(self.spec, None if recorded is None else len(recorded), None if given is None else given.shape)
        self._state = np.zeros_like(recorded) if given is None else given.copy()

    def _start(self, steps: Steps, initial_state: NDArray[Any] | None) -> NDArray[Any]:
        """Return the state that a call starts from: the given, the recorded, or zeros [initial-state]."""
        recorded, given = self._state, steps.state
        check_carry(None if recorded is None else len(recorded), len(given))
        start: NDArray[Any] = given if recorded is None or initial_state is not None else recorded
        return start

    def _padded(self, steps: Steps) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return outputs and state; None for an empty call, and for values that are not finite: zeros spread them."""
        timesteps, batch, input_size = steps.inputs.shape
        sizes = Dimensions(batch, timesteps, input_size, self.spec.units)
        if not can_pad(sizes, self._weights, steps):
            return None
        to = padded_sizes(sizes)
        cell = Cell(self.spec.activation, self.spec.recurrent_activation, self.spec.reset_after)
        results = _compiled_run(cell, pad_weights(self._weights, self.spec.units, to), pad_steps(steps, to))
        results = Results(*(np.asarray(array) for array in results))
        if not np.isfinite(results.state).all():
            return None
        results = crop(results, sizes)
        return outputs(self.spec, results).copy(), results.state.copy()

    def _unpadded(
        self, inputs: NDArray[Any], mask: NDArray[Any] | None, state: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return outputs and state from what users run."""
        found, final = _compiled_gru(self._params, inputs, spec=self.spec, mask=mask, initial_state=state)
        return np.array(found), np.array(final)
