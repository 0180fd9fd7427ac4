"""A layer bound to weights, a dtype and a device, for calls with NumPy arrays of many shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.backend import Differentiated, Output
from gruspec.spec import check_carry, check_reset

from .arrangement import arrange_steps, arrange_weights, as_array, as_real
from .compiled import pull_back_gru, pull_back_padded, run_gru, run_padded
from .cotangents import whole_cotangents
from .devices import computing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import Weights as NamedWeights
    from gruspec.spec import GRUSpec

    from .compiled import Pair
    from .recurrence import Steps


class BoundLayer:
    """A GRU that takes and gives NumPy arrays and, if stateful, carries its state from call to call.

    Parameters
    ----------
    spec
        The layer's arguments.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``.
    dtype
        ``"float32"``, ``"float64"``, ``"float16"`` or ``"bfloat16"``.
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
            If a shape does not fit, the mask, the state or a dropout mask is not real, or a stateful layer is called
            with another batch size than before. In training, if a rate is 1 or a dropout mask is missing that would
            act.
        SpecTypeError
            If the inputs are not floating.
        """
        steps = self._steps(inputs, mask, initial_state, dropout_masks, training=training)
        with computing(self.dtype, self.device):
            found = run_padded(self.spec, self._weights, steps) if self.pad else None
            values, state = self._unpadded(inputs, mask, steps) if found is None else found
        self._record(state)
        return Output(values, state)

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
            As for a call; also if a cotangent is of something that is not returned, of another shape or not real.
        SpecTypeError
            If the inputs are not floating.
        """
        steps = self._steps(inputs, mask, initial_state, dropout_masks, training=training)
        vectors = whole_cotangents(self.spec, cotangents, steps)
        with computing(self.dtype, self.device):
            found = pull_back_padded(self.spec, self._weights, steps, vectors) if self.pad else None
            found = self._unpadded_vjp(inputs, mask, steps, vectors) if found is None else found
        (values, state), gradients = found
        self._record(state)
        if initial_state is None:
            del gradients["initial_state"]
        return Differentiated(Output(values, state), gradients)

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

    def _steps(
        self,
        inputs: NDArray[Any],
        mask: NDArray[Any] | None,
        initial_state: NDArray[Any] | None,
        dropout_masks: Mapping[str, NDArray[Any]] | None,
        *,
        training: bool,
    ) -> Steps:
        """Return the timesteps of a call from the given state, the recorded, or zeros [initial-state]."""
        steps = arrange_steps(
            np,
            self.spec,
            self._weights,
            inputs,
            mask=mask,
            initial_state=initial_state,
            dropout_masks=dropout_masks,
            training=training,
        )
        recorded = self._state
        check_carry(None if recorded is None else len(recorded), len(steps.state))
        return steps if recorded is None or initial_state is not None else steps._replace(state=recorded)

    def _record(self, state: NDArray[Any]) -> None:
        if self.spec.stateful:
            self._state = state.copy()

    def _unpadded(self, inputs: NDArray[Any], mask: NDArray[Any] | None, steps: Steps) -> Pair:
        """Return outputs and state from what users run."""
        values, state = run_gru(
            self._params,
            inputs,
            spec=self.spec,
            mask=mask,
            initial_state=steps.state,
            dropout_masks=_acting(steps),
        )
        return np.array(values), np.array(state)

    def _unpadded_vjp(
        self, inputs: NDArray[Any], mask: NDArray[Any] | None, steps: Steps, cotangents: Pair
    ) -> tuple[Pair, dict[str, NDArray[Any]]]:
        """Return outputs and state, and gradients by name, from what users differentiate."""
        (values, state), (params, *others) = pull_back_gru(
            self._params,
            np.asarray(inputs, self.dtype),
            steps.state,
            cotangents,
            spec=self.spec,
            mask=mask,
            dropout_masks=_acting(steps),
        )
        gradients = dict(zip(("inputs", "initial_state"), others, strict=True)) | params
        return (np.array(values), np.array(state)), {name: np.array(array) for name, array in gradients.items()}


def _acting(steps: Steps) -> dict[str, Any] | None:
    """Return the masks that act, by name, as ``gru`` takes them."""
    return {kind: masks for kind, masks in steps.dropout._asdict().items() if masks is not None} or None
