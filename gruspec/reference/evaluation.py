"""Running the definition over whole calls, in any number system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol

import numpy as np

from gruspec.errors import SpecError
from gruspec.reference.definition import Definition, split_weights
from gruspec.reference.ieee import FLOAT64
from gruspec.reference.numbers import A, NumberSystem
from gruspec.spec import call_dimensions, check_carry, check_reset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from gruspec.spec import GRUSpec


class CallArguments(Protocol):
    """The arguments of one call, as arrays: inputs, mask and initial state."""

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


@dataclass(frozen=True)
class Result(Generic[A]):
    """What a call computes: every output in processing order, the last output and the final state, each (B, 1, u)."""

    steps: tuple[A, ...]
    last: A
    state: A

    def stacked(self, spec: GRUSpec, steps: list[NDArray[Any]], last: NDArray[Any]) -> NDArray[Any]:
        """Arrange arrays taken from ``steps`` and ``last`` as the layer's outputs [return-sequences, time-major]."""
        if not spec.return_sequences:
            return last[:, 0]
        if not steps:
            batch = (0, last.shape[0]) if spec.time_major else (last.shape[0], 0)
            return np.zeros((*batch, spec.units), last.dtype)
        return np.stack([step[:, 0] for step in steps], axis=0 if spec.time_major else 1)


def run_operations(
    numbers: NumberSystem[A],
    spec: GRUSpec,
    weights: Mapping[str, NDArray[np.float64]],
    operations: Iterable[CallArguments | Any],
    *,
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
    definition
        The equations; a subclass is a different GRU.

    Yields
    ------
    Result or None
        One for each operation; None for a reset.
    """
    blocks = {name: numbers.lift(block) for name, block in split_weights(spec, weights).items()}
    gru: Definition[A] = definition(numbers, spec, blocks)
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
        if spec.time_major:
            inputs, mask = inputs.swapaxes(0, 1), None if mask is None else mask.swapaxes(0, 1)
        check_carry(None if recorded is None else recorded.shape[0], sizes.batch)
        if initial is not None:
            state = numbers.lift(initial[:, None])
        elif recorded is not None:
            state = recorded
        else:
            state = numbers.zeros((sizes.batch, 1, spec.units))
        timesteps = [numbers.lift(inputs[:, t, None]) for t in range(sizes.timesteps)]
        done = gru.sequence(timesteps, state, None if mask is None else mask.reshape(sizes.batch, sizes.timesteps))
        recorded = done.state if spec.stateful else None
        yield Result(tuple(done.outputs), done.last, done.state)


def _reset(numbers: NumberSystem[A], spec: GRUSpec, recorded: A | None, states: NDArray[np.float64] | None) -> A:
    """Return the recorded state after a reset to ``states`` or to zeros [reset-states]."""
    batch = None if recorded is None else recorded.shape[0]
    check_reset(spec, batch, None if states is None else states.shape)
    return numbers.lift(np.zeros((batch or 0, spec.units))[:, None] if states is None else states[:, None])


@dataclass(frozen=True)
class _Call:
    inputs: NDArray[np.float64]
    mask: NDArray[np.bool_] | None
    initial_state: NDArray[np.float64] | None


def _real(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{name}: dtype {array.dtype}; expected bool or a real dtype")
    return array


def evaluate(
    spec: GRUSpec,
    weights: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    mask: ArrayLike | None = None,
    initial_state: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the outputs and the final state of one call, computed in float64 by the definition.

    Parameters
    ----------
    spec
        The layer's arguments.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, with ``use_bias``, ``bias`` (3u,) or (2, 3u).
    inputs
        (B, T, D), or (T, B, D) under ``time_major``.
    mask
        (B, T) or (B, T, 1), time-major like the inputs; non-zero is True.
    initial_state
        (B, u); zeros if absent. A stateful layer is one whose state the caller passes on.

    Returns
    -------
    outputs : ndarray
        The last output (B, u), or with ``return_sequences`` all outputs in processing order.
    state : ndarray
        Final state (B, u).

    Raises
    ------
    SpecError
        If shapes do not fit each other, or a mask or state is of neither a real nor the boolean dtype.

    Examples
    --------
    >>> from gruspec import GRUSpec
    >>> spec = GRUSpec(units=1, activation="linear", use_bias=False)
    >>> evaluate(spec, {"kernel": [[0.0, 0.0, 1.0]], "recurrent_kernel": [[0.0, 0.0, 0.0]]}, [[[4.0]]])
    (array([[2.]]), array([[2.]]))
    """
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in weights.items()}
    call = _Call(
        np.asarray(inputs, dtype=np.float64),
        None if mask is None else _real("mask", mask).astype(bool),
        None if initial_state is None else _real("initial_state", initial_state).astype(np.float64),
    )
    with np.errstate(invalid="ignore"):
        (result,) = run_operations(FLOAT64, spec, arrays, [call])
    if result is None:
        raise SpecError("inputs: missing")
    state: NDArray[np.float64] = np.asarray(result.state[:, 0], dtype=np.float64)
    return result.stacked(spec, list(result.steps), result.last), state
