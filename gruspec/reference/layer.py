"""A layer over any number system: the definition, called once or more, with the state that it records."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

from gruspec.reference.definition import Definition, split_masks, split_weights
from gruspec.reference.gradients import differentiate
from gruspec.reference.losses import losses
from gruspec.reference.numbers import A, DifferentiableNumbers, NumberSystem
from gruspec.reference.results import Result
from gruspec.spec import acting_masks, call_dimensions, check_carry, check_cotangents, check_reset, check_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.reference.results import CallArguments
    from gruspec.spec import Dimensions, GRUSpec, WeightSettings


class ReferenceLayer(Generic[A]):
    """A GRU layer. Its methods are seams, as those of the definition are.

    Parameters
    ----------
    numbers
        Arithmetic to compute in.
    spec, weights
        The layer; weights in the reference layout.
    settings
        Regularizers, if losses are wanted.
    definition
        The equations; a subclass is a different GRU.
    """

    def __init__(
        self,
        numbers: DifferentiableNumbers[A],
        spec: GRUSpec,
        weights: Mapping[str, NDArray[np.float64]],
        *,
        settings: WeightSettings | None = None,
        definition: type[Definition[Any]] = Definition,
    ) -> None:
        self.numbers = numbers
        self.spec = spec
        self.weights = weights
        self.settings = settings
        self.definition = definition
        self.recorded: A | None = None
        check_weights(spec, {name: array.shape for name, array in weights.items()})
        self._blocks = {name: numbers.lift(block) for name, block in split_weights(spec, weights).items()}

    def start(self, given: A | None, batch: int) -> A:
        """Return the state (B, 1, u) that a call starts from [initial-state, stateful-initial-state]."""
        if given is not None:
            return given
        return self.recorded if self.recorded is not None else self.numbers.zeros((batch, 1, self.spec.units))

    def carried(self, state: A) -> A | None:
        """Return what a call records of its final state (B, 1, u) [stateful]."""
        return state if self.spec.stateful else None

    def reset_states(self, states: NDArray[np.float64] | None = None) -> None:
        """Set the recorded state to ``states`` (B, u) or to zeros [reset-states]."""
        batch = None if self.recorded is None else self.recorded.shape[0]
        check_reset(self.spec, batch, None if states is None else states.shape)
        given = np.zeros((batch or 0, self.spec.units)) if states is None else states
        self.recorded = self.numbers.lift(given[:, None])

    def penalties(
        self, settings: WeightSettings, result: Result[A], weights: Mapping[str, NDArray[np.float64]]
    ) -> tuple[A, ...]:
        """Return what regularizers add to a loss [losses]."""
        return losses(self.numbers, settings, result, weights)

    def call(self, arguments: CallArguments) -> Result[A]:
        """Run the layer once."""
        numbers, spec = self.numbers, self.spec
        inputs, mask, initial = arguments.inputs, arguments.mask, arguments.initial_state
        sizes = call_dimensions(
            spec,
            {name: array.shape for name, array in self.weights.items()},
            inputs.shape,
            None if mask is None else mask.shape,
            None if initial is None else initial.shape,
        )
        given = acting_masks(spec, arguments.dropout_masks, training=arguments.training, sizes=sizes)
        masks = {name: numbers.lift(array) for name, array in split_masks(given).items()}
        if spec.time_major:
            inputs, mask = inputs.swapaxes(0, 1), None if mask is None else mask.swapaxes(0, 1)
        mask = None if mask is None else mask.reshape(sizes.batch, sizes.timesteps)
        check_carry(None if self.recorded is None else self.recorded.shape[0], sizes.batch)
        state = self.start(None if initial is None else numbers.lift(initial[:, None]), sizes.batch)
        timesteps = [numbers.lift(inputs[:, t, None]) for t in range(sizes.timesteps)]
        if arguments.cotangents is None:
            done, gradients = self.definition(numbers, spec, self._blocks, masks).sequence(timesteps, state, mask), None
        else:
            cotangents = _lifted_cotangents(numbers, spec, sizes, arguments.cotangents)
            done, gradients = differentiate(
                numbers, spec, self._blocks, masks, timesteps, state, mask, cotangents, definition=self.definition
            )
        self.recorded = self.carried(done.state)
        result = Result(spec, tuple(done.outputs), done.last, done.state, gradients, initial is not None)
        if self.settings is None:
            return result
        return replace(result, losses=self.penalties(self.settings, result, self.weights))


def _lifted_cotangents(
    numbers: NumberSystem[A], spec: GRUSpec, sizes: Dimensions, cotangents: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """Return cotangents in the number system: one array (B, 1, u) for each output, in processing order."""
    check_cotangents(spec, sizes, cotangents)
    lifted: dict[str, Any] = {}
    if (outputs := cotangents.get("outputs")) is not None:
        steps = [outputs] if not spec.return_sequences else list(outputs if spec.time_major else outputs.swapaxes(0, 1))
        lifted["outputs"] = [numbers.lift(step[:, None]) for step in steps]
    if (state := cotangents.get("state")) is not None:
        lifted["state"] = numbers.lift(state[:, None])
    return lifted
