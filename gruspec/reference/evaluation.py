"""Running the definition over whole calls, in any number system."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol

import numpy as np

from gruspec.reference.definition import Definition, join_weights, split_masks, split_weights
from gruspec.reference.gradients import Gradients, differentiate
from gruspec.reference.losses import losses
from gruspec.reference.numbers import A, DifferentiableNumbers, NumberSystem
from gruspec.spec import acting_masks, call_dimensions, check_carry, check_cotangents, check_reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Sequence as Ordered

    from numpy.typing import NDArray

    from gruspec.spec import Dimensions, GRUSpec, WeightSettings


class CallArguments(Protocol):
    """The arguments of one call, as arrays."""

    @property
    def inputs(self) -> NDArray[np.float64]:
        """(B, T, D), or (T, B, D) under ``time_major``."""
        ...

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Mask in the layout of the inputs, or None."""
        ...

    @property
    def initial_state(self) -> NDArray[np.float64] | None:
        """(B, u), or None."""
        ...

    @property
    def training(self) -> bool:
        """Whether dropout acts."""
        ...

    @property
    def dropout_masks(self) -> Mapping[str, NDArray[np.float64]] | None:
        """``inputs`` (3, B, D) or (1, B, D) and ``recurrent`` (3, B, u), those that act at least."""
        ...

    @property
    def cotangents(self) -> Mapping[str, NDArray[np.float64]] | None:
        """Of ``outputs`` and perhaps ``state``, to differentiate the call; or None."""
        ...


@dataclass(frozen=True)
class Result(Generic[A]):
    """What a call computes: every output in processing order, the last output and the final state, each (B, 1, u).

    ``gradients`` is there where the call has cotangents, ``losses`` where the layer has regularizers.
    """

    spec: GRUSpec
    steps: tuple[A, ...]
    last: A
    state: A
    gradients: Gradients[A] | None = None
    explicit_state: bool = False
    losses: tuple[A, ...] = ()

    def arranged(self, element: Callable[[A], NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every array as the layer gives it, by name.

        Parameters
        ----------
        element
            Turns an array of the number system into a plain one.
        """
        last = element(self.last)
        steps = [element(step) for step in self.steps] if self.spec.return_sequences else None
        arrays = {
            "outputs": last[:, 0] if steps is None else self._sequence(steps, last.shape[0], self.spec.units),
            "state": element(self.state)[:, 0],
        }
        if self.losses:
            arrays["losses"] = np.concatenate([element(loss).ravel() for loss in self.losses])
        if self.gradients is not None:
            arrays |= self._gradients(self.gradients, element)
        return arrays

    def _sequence(self, steps: Ordered[NDArray[Any]], batch: int, size: int) -> NDArray[Any]:
        """Stack one array (B, 1, size) for each timestep [time-major]."""
        if not steps:
            return np.zeros((0, batch, size) if self.spec.time_major else (batch, 0, size))
        return np.stack([step[:, 0] for step in steps], axis=0 if self.spec.time_major else 1)

    def _gradients(self, gradients: Gradients[A], element: Callable[[A], NDArray[Any]]) -> dict[str, NDArray[Any]]:
        state = element(gradients.initial_state)[:, 0]
        blocks = {name: element(block)[0] for name, block in gradients.blocks.items()}
        joined = join_weights(self.spec, blocks)
        found = {
            "inputs": self._sequence([element(step) for step in gradients.inputs], len(state), len(joined["kernel"]))
        }
        if self.explicit_state:
            found["initial_state"] = state
        return {f"gradients/{name}": array for name, array in (found | joined).items()}


def run_operations(
    numbers: DifferentiableNumbers[A],
    spec: GRUSpec,
    weights: Mapping[str, NDArray[np.float64]],
    operations: Iterable[CallArguments | Any],
    *,
    settings: WeightSettings | None = None,
    definition: type[Definition[Any]] = Definition,
) -> Iterator[Result[A] | None]:
    """Perform calls and state resets in order, carrying the state of a stateful layer [stateful].

    Parameters
    ----------
    numbers
        Arithmetic to compute in.
    spec, weights
        The layer; weights in the reference layout.
    operations
        Calls, and resets: anything with an attribute ``states``.
    settings
        Regularizers, if losses are wanted.
    definition
        The equations; a subclass is a different GRU.

    Yields
    ------
    Result or None
        One for each operation; None for a reset.
    """
    blocks = {name: numbers.lift(block) for name, block in split_weights(spec, weights).items()}
    shapes = {name: array.shape for name, array in weights.items()}
    recorded: A | None = None
    for operation in operations:
        if hasattr(operation, "states"):
            states = operation.states
            recorded = _reset(numbers, spec, recorded, states)
            yield None
            continue
        inputs, mask, initial = operation.inputs, operation.mask, operation.initial_state
        sizes = call_dimensions(
            spec, shapes, inputs.shape, None if mask is None else mask.shape, None if initial is None else initial.shape
        )
        given = acting_masks(spec, operation.dropout_masks, training=operation.training, sizes=sizes)
        masks = {name: numbers.lift(array) for name, array in split_masks(given).items()}
        if spec.time_major:
            inputs, mask = inputs.swapaxes(0, 1), None if mask is None else mask.swapaxes(0, 1)
        mask = None if mask is None else mask.reshape(sizes.batch, sizes.timesteps)
        check_carry(None if recorded is None else recorded.shape[0], sizes.batch)
        if initial is not None:
            state = numbers.lift(initial[:, None])
        elif recorded is not None:
            state = recorded
        else:
            state = numbers.zeros((sizes.batch, 1, spec.units))
        timesteps = [numbers.lift(inputs[:, t, None]) for t in range(sizes.timesteps)]
        if operation.cotangents is None:
            done, gradients = definition(numbers, spec, blocks, masks).sequence(timesteps, state, mask), None
        else:
            cotangents = _lifted_cotangents(numbers, spec, sizes, operation.cotangents)
            done, gradients = differentiate(
                numbers, spec, blocks, masks, timesteps, state, mask, cotangents, definition=definition
            )
        recorded = done.state if spec.stateful else None
        result = Result(spec, tuple(done.outputs), done.last, done.state, gradients, initial is not None)
        yield result if settings is None else replace(result, losses=losses(numbers, settings, result, weights))


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


def _reset(numbers: NumberSystem[A], spec: GRUSpec, recorded: A | None, states: NDArray[np.float64] | None) -> A:
    """Return the recorded state after a reset to ``states`` or to zeros [reset-states]."""
    batch = None if recorded is None else recorded.shape[0]
    check_reset(spec, batch, None if states is None else states.shape)
    return numbers.lift(np.zeros((batch or 0, spec.units))[:, None] if states is None else states[:, None])
