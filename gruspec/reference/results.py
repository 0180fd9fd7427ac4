"""What goes into a call of the definition and what comes out, in any number system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol

import numpy as np

from gruspec.reference.definition import join_weights
from gruspec.reference.numbers import A

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Ordered

    from numpy.typing import NDArray

    from gruspec.reference.gradients import Gradients
    from gruspec.spec import GRUSpec


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
class Arguments:
    """The arguments of one call that is no part of a case; see :class:`CallArguments`."""

    inputs: NDArray[np.float64]
    mask: NDArray[np.bool_] | None = None
    initial_state: NDArray[np.float64] | None = None
    training: bool = False
    dropout_masks: Mapping[str, NDArray[np.float64]] | None = None
    cotangents: Mapping[str, NDArray[np.float64]] | None = None


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
