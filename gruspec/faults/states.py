"""Families ``initial-state`` and ``stateful``: what a call starts from, and what it leaves to the next one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import Fault
from gruspec.faults.traits import STARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement, Seams
    from gruspec.spec import GRUSpec

    Array = NDArray[Any]


def state_faults() -> Iterator[Fault]:
    """Yield the faults of both families."""
    yield from _given()
    yield from _in_the_sequence()
    yield from _carried()
    yield from _recorded_at_call()
    yield from _precedence()
    yield from _reset()


def _first_row_only(array: Array) -> Array:
    return np.where(np.arange(len(array))[:, None, None] == 0, array, array.dtype.type(0))


def _first_row_for_all(array: Array) -> Array:
    return np.repeat(array[:1], len(array), axis=0)


def _starting(change: Callable[[GRUSpec, Array], Array | None]) -> Seams:
    """Replace the given initial state (B, 1, u)."""

    def start(self: Any, usual: Any, given: Array | None, batch: int) -> Any:
        return usual(None if given is None else change(self.spec, given), batch)

    return {"start": start}


def _ones_if_none(self: Any, usual: Any, given: Array | None, batch: int) -> Any:
    state = usual(given, batch)
    return state if given is not None or self.recorded is not None else np.ones_like(state)


def _given() -> Iterator[Fault]:
    changes: tuple[tuple[str, str, tuple[str, ...], Callable[[GRUSpec, Array], Array | None]], ...] = (
        ("ignored", "ignores initial_state", ("initial-state|explicit-state",), lambda _, __: None),
        (
            "ignored-backwards",
            "ignores initial_state under go_backwards",
            ("initial-state|explicit-state", "backwards"),
            lambda spec, state: None if spec.go_backwards else state,
        ),
        ("halved", "starts from half of initial_state", ("initial-state",), lambda _, state: state / 2),
        ("negated", "starts from the negative of initial_state", ("initial-state",), lambda _, state: -state),
        (
            "of-the-first-row",
            "starts all rows from the first row of initial_state",
            ("initial-state", "several-rows"),
            lambda _, state: _first_row_for_all(state),
        ),
        (
            "first-row-only",
            "starts only the first row from initial_state, the others from zeros",
            ("initial-state", "several-rows"),
            lambda _, state: _first_row_only(state),
        ),
        (
            "rolled",
            "starts each row from the initial state of the row before it",
            ("initial-state", "several-rows"),
            lambda _, state: np.roll(state, 1, axis=0),
        ),
        (
            "not-transposed",
            "reads the memory of initial_state as if its shape were (u, B)",
            ("initial-state", "several-rows", "several-units"),
            lambda _, state: state.reshape(state.shape[::-1]).T,
        ),
        (
            "units-reversed",
            "starts from the elements of initial_state in the opposite order of units",
            ("initial-state", "several-units"),
            lambda _, state: state[..., ::-1],
        ),
    )
    for name, does, where, change in changes:
        yield Fault(id=f"initial-state/{name}", does=does, clause="initial-state", where=where, layer=_starting(change))
    yield Fault(
        id="initial-state/ones",
        does="starts from ones if no state is given or recorded",
        clause="initial-state",
        where=("no-initial-state",),
        layer={"start": _ones_if_none},
    )


def _remembering(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
    self.initial_state = state
    return usual(inputs, state, mask)


def _adding(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
    return usual(inputs, state if state is self.initial_state else state + self.initial_state)


def _lost_if_masked(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
    if mask is not None and inputs:
        first = mask[:, next(iter(self.order(len(inputs)))), None, None]
        state = self.numbers.select(first, state, self.numbers.zeros(state.shape))
    return usual(inputs, state, mask)


def _in_the_sequence() -> Iterator[Fault]:
    yield Fault(
        id="initial-state/added-at-every-step",
        does="adds the initial state to the state before every step, not only the first",
        clause="timesteps",
        where=(f"{STARTED}|gradients", "several-steps"),
        definition={"sequence": _remembering, "cell": _adding},
    )
    yield Fault(
        id="initial-state/lost-where-the-first-step-is-masked",
        does="starts from zeros in rows whose first processed timestep is masked",
        clause="mask-state",
        where=(STARTED, "masked-start"),
        definition={"sequence": _lost_if_masked},
    )


def _recording(change: Callable[[Any], Any]) -> Seams:
    """Change what is recorded of a final state (B, 1, u)."""

    def carried(_: Any, usual: Any, state: Any) -> Any:
        recorded = usual(state)
        return None if recorded is None else change(recorded)

    return {"carried": carried}


def _carried() -> Iterator[Fault]:
    carried = partial(Fault, clause="stateful", where=("carried",))
    yield carried(
        id="stateful/lost", does="starts every call of a stateful layer from zeros", layer=_recording(np.zeros_like)
    )
    yield Fault(
        id="stateful/leaked",
        does="carries the state from call to call though the layer is not stateful",
        clause="stateful",
        where=("several-calls", "stateless"),
        layer={"carried": lambda _, __, state: state},
    )
    yield carried(
        id="stateful/rolled",
        does="carries the state of each row to the row after it",
        where=("carried", "several-rows"),
        layer=_recording(lambda state: np.roll(state, 1, axis=0)),
    )
    yield carried(
        id="stateful/of-the-first-row",
        does="carries the state of the first row to all rows",
        where=("carried", "several-rows"),
        layer=_recording(_first_row_for_all),
    )
    yield carried(
        id="stateful/first-row-only",
        does="carries the state of the first row and starts the others from zeros",
        where=("carried", "several-rows"),
        layer=_recording(_first_row_only),
    )
    yield carried(
        id="stateful/added",
        does="adds the final state of a call to the recorded one",
        layer={"carried": _added_up},
    )
    yield carried(
        id="stateful/first-call-only",
        does="records the state of the first call only",
        layer={"carried": _kept_if_recorded},
    )


def _added_up(self: Any, usual: Any, state: Any) -> Any:
    recorded = usual(state)
    return recorded if recorded is None or self.recorded is None else recorded + self.recorded


def _kept_if_recorded(self: Any, usual: Any, state: Any) -> Any:
    return usual(state) if self.recorded is None else self.recorded


def _taking(choose: Callable[[Any], Any]) -> Seams:
    """Record another array (B, 1, u) of the result than the final state."""

    def call(self: Any, usual: Any, arguments: Any) -> Any:
        result = usual(arguments)
        if result.steps:
            self.recorded = self.carried(choose(result))
        return result

    return {"call": call}


def _not_recording(condition: Callable[[Any], bool]) -> Replacement:
    """Keep what was recorded before, at first zeros, in calls of which the condition holds."""

    def call(self: Any, usual: Any, arguments: Any) -> Any:
        before = self.recorded
        result = usual(arguments)
        if self.recorded is not None and condition(arguments):
            self.recorded = np.zeros_like(self.recorded) if before is None else before
        return result

    return call


def _lost_with_length(self: Any, usual: Any, arguments: Any) -> Any:
    timesteps = arguments.inputs.shape[0 if self.spec.time_major else 1]
    if self.recorded is not None and timesteps != getattr(self, "timesteps", timesteps):
        self.recorded = np.zeros_like(self.recorded)
    self.timesteps = timesteps
    return usual(arguments)


def _recorded_at_call() -> Iterator[Fault]:
    carried = partial(Fault, clause="stateful")
    yield carried(
        id="stateful/from-the-first-step",
        does="records the output of the timestep that is processed first, which is the last one under go_backwards",
        where=("carried", "several-steps|mask"),
        layer=_taking(lambda result: result.steps[0]),
    )
    yield carried(
        id="stateful/from-the-last-output",
        does="records the last output instead of the final state",
        where=("carried", "masked-end", "masked-row|zero-output"),
        layer=_taking(lambda result: result.last),
    )
    yield carried(
        id="stateful/one-step-early",
        does="records the output of the last timestep but one",
        where=("carried", "several-steps"),
        layer=_taking(lambda result: result.steps[-2] if len(result.steps) > 1 else result.state),
    )
    yield carried(
        id="stateful/not-with-a-mask",
        does="records no state in calls with a mask",
        where=("carried", "mask-given"),
        layer={"call": _not_recording(lambda arguments: arguments.mask is not None)},
    )
    yield carried(
        id="stateful/only-in-inference",
        does="records no state in training",
        where=("carried", "training"),
        layer={"call": _not_recording(lambda arguments: arguments.training)},
    )
    yield carried(
        id="stateful/lost-with-another-length",
        does="drops the recorded state if a call has another number of timesteps than the call before it",
        where=("carried",),
        layer={"call": _lost_with_length},
    )


def _recorded_wins(self: Any, usual: Any, given: Any, batch: int) -> Any:
    return usual(None if self.recorded is not None and self.recorded.any() else given, batch)


def _recorded_wins_by_row(self: Any, usual: Any, given: Any, batch: int) -> Any:
    state = usual(given, batch)
    recorded = self.recorded
    return state if recorded is None else np.where(recorded.any(axis=-1, keepdims=True), recorded, state)


def _recorded_added(self: Any, usual: Any, given: Any, batch: int) -> Any:
    state = usual(given, batch)
    return state if given is None or self.recorded is None else state + self.recorded


def _precedence() -> Iterator[Fault]:
    explicit = partial(Fault, clause="stateful-initial-state", where=("stateful", "explicit-state"))
    yield explicit(
        id="stateful/recorded-wins",
        does="ignores initial_state as soon as one element of the recorded state is not zero",
        layer={"start": _recorded_wins},
    )
    yield explicit(
        id="stateful/recorded-wins-by-row",
        does="ignores initial_state in each row whose recorded state is not zero",
        layer={"start": _recorded_wins_by_row},
    )
    yield explicit(
        id="stateful/recorded-added",
        does="adds the recorded state to initial_state",
        layer={"start": _recorded_added},
    )
    yield explicit(
        id="stateful/explicit-not-recorded",
        does="records no state in calls that are given one",
        where=("carried", "given-state"),
        layer={"call": _not_recording(lambda arguments: arguments.initial_state is not None)},
    )
    yield explicit(
        id="stateful/explicit-kept",
        does="records the given state instead of the final one, in calls that are given one",
        where=("carried", "given-state"),
        layer={"call": _given_recorded},
    )


def _given_recorded(self: Any, usual: Any, arguments: Any) -> Any:
    result = usual(arguments)
    if arguments.initial_state is not None:
        self.recorded = self.carried(self.numbers.lift(arguments.initial_state[:, None]))
    return result


def _resetting(change: Callable[[Array | None, Array | None, Array], Array | None]) -> Seams:
    """Record another state after a reset, from that before it (B, 1, u), the values (B, u) and the right one."""

    def reset_states(self: Any, usual: Any, states: Any) -> None:
        before = self.recorded
        usual(states)
        self.recorded = change(before, states, self.recorded)

    return {"reset_states": reset_states}


def _reset() -> Iterator[Fault]:
    reset = partial(Fault, clause="reset-states", where=("reset",))
    yield reset(
        id="stateful/reset-ignored",
        does="keeps the recorded state when it is reset",
        layer=_resetting(lambda before, _, __: before),
    )
    yield reset(
        id="stateful/reset-without-values-ignored",
        does="keeps the recorded state when it is reset without values",
        layer=_resetting(lambda before, states, after: before if states is None else after),
    )
    yield reset(
        id="stateful/reset-to-ones",
        does="sets the recorded state to ones when it is reset without values",
        layer=_resetting(lambda _, states, after: np.ones_like(after) if states is None else after),
    )
    yield reset(
        id="stateful/reset-values-ignored",
        does="sets the recorded state to zeros when it is reset with values",
        where=("reset-values",),
        layer=_resetting(lambda _, __, after: np.zeros_like(after)),
    )
    yield reset(
        id="stateful/reset-values-added",
        does="adds the values of reset_states to the recorded state",
        where=("reset-values",),
        layer=_resetting(lambda before, states, after: after if states is None or before is None else before + after),
    )
    yield reset(
        id="stateful/reset-first-row-only",
        does="resets the first row only",
        where=("reset", "several-rows"),
        layer=_resetting(lambda before, _, after: _with_first_row(before, after)),
    )
    yield reset(
        id="stateful/reset-values-of-the-first-row",
        does="sets all rows to the first row of the values of reset_states",
        where=("reset-values", "several-rows"),
        layer=_resetting(lambda _, __, after: _first_row_for_all(after)),
    )


def _with_first_row(before: Array | None, after: Array) -> Array:
    return after if before is None else np.concatenate([after[:1], before[1:]])
