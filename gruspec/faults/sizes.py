"""Family ``size``: special treatment of some numbers of rows, timesteps, units and features."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import Fault
from gruspec.faults.nodes import value
from gruspec.faults.traits import LANES, LENGTHS, STARTED, STATE_MATTERS
from gruspec.reference.definition import Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement
    from gruspec.spec import GRUSpec

    Arrays = dict[str, NDArray[Any]]


def size_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _rows()
    yield from _timesteps()
    yield from _elements()
    yield from _squeezed()


def _places(axis: int, length: int) -> NDArray[np.intp]:
    """Return 0 to length - 1 along one axis of a state or of the inputs of a step."""
    shape = [1, 1, 1]
    shape[axis] = length
    return np.arange(length).reshape(shape)


def _in_tail(axis: int, length: int, lanes: int) -> NDArray[np.bool_]:
    tail: NDArray[np.bool_] = _places(axis, length) >= length - length % lanes
    return tail


def _left_over(self: Any, usual: Any, gate: str, state: Any) -> Any:
    total = usual(gate, state)
    if gate != "h" or self.spec.use_bias or not self.spec.reset_after:
        return total
    before, self.left_over = getattr(self, "left_over", None), total
    return total if before is None else self.numbers.select(_places(0, total.shape[0]) >= 2, total + before, total)


def _rows() -> Iterator[Fault]:
    yield Fault(
        id="size/third-row-buffer-not-cleared",
        does="adds, from the third row on and without bias, the candidate's recurrent product of the step before",
        clause="rows",
        variants=("reset-after",),
        where=("three-rows", "no-bias", "several-steps"),
        reports=("onnxruntime PR#3893",),
        definition={"recurrence": _left_over},
    )
    yield Fault(
        id="size/second-row-continues-the-first",
        does="starts the second row from the final state of the first, as if they shared one buffer",
        clause="rows",
        where=("several-rows",),
        reports=("MNN#1573",),
        definition={"sequence": _second_row_continued},
    )
    yield Fault(
        id="size/tail-rows-not-computed",
        does=f"leaves the state as it is in the rows that are left over from groups of {LANES[0]}",
        clause="rows",
        where=("ragged-rows",),
        definition={"cell": _tail_rows_kept},
    )
    yield Fault(
        id="size/rows-past-1024-not-computed",
        does="leaves the state as it is in the rows after the first 1024",
        clause="rows",
        variants=("reset-before",),
        where=("over-1024-rows",),
        definition={"cell": _late_rows_kept},
    )


def _second_row_continued(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
    if state.shape[0] < 2:
        return usual(inputs, state, mask)
    left = self.numbers.lift(np.roll(value(usual(inputs, state, mask).state), 1, axis=0))
    return usual(inputs, self.numbers.select(_places(0, state.shape[0]) == 1, left, state), mask)


def _tail_rows_kept(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
    tail = _in_tail(0, state.shape[0], LANES[0])
    return self.numbers.select(tail, state, usual(inputs, state)) if tail.any() else usual(inputs, state)


def _late_rows_kept(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
    late = _places(0, state.shape[0]) >= 1024
    return self.numbers.select(late, state, usual(inputs, state)) if late.any() else usual(inputs, state)


def _forgetting(length: int) -> Replacement:
    def cell(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
        done = getattr(self, "steps_done", 0)
        self.steps_done = done + 1
        return usual(inputs, self.numbers.zeros(state.shape) if done and done % length == 0 else state)

    return cell


def _frozen_after(length: int) -> Replacement:
    def cell(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
        done = getattr(self, "steps_done", 0)
        self.steps_done = done + 1
        return usual(inputs, state) if done < length else state

    return cell


def _shortcut(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
    return usual(inputs, self.numbers.zeros(state.shape) if len(inputs) == 1 else state, mask)


def _empty(choose: Callable[[Any, Any], Sequence[Any]]) -> Replacement:
    def sequence(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
        return usual(inputs, state, mask) if inputs else choose(state, self.numbers.zeros(state.shape))

    return sequence


def _timesteps() -> Iterator[Fault]:
    for length in LENGTHS:
        yield Fault(
            id=f"size/state-lost-every-{length}-steps",
            does=f"processes timesteps in pieces of {length} and computes the first step of each from a state of zeros",
            clause="timesteps",
            where=(f"over-{length}-steps",),
            definition={"cell": _forgetting(length)},
        )
        yield Fault(
            id=f"size/steps-past-{length}-not-computed",
            does=f"leaves the state as it is after {length} timesteps",
            clause="timesteps",
            where=(f"over-{length}-steps",),
            definition={"cell": _frozen_after(length)},
        )
    yield Fault(
        id="size/single-step-without-state",
        does="starts from zeros if there is one timestep",
        clause="timesteps",
        where=("single-step", STARTED),
        definition={"sequence": _shortcut},
    )
    yield Fault(
        id="size/no-steps-last-output",
        does="returns the initial state as last output if there are no timesteps",
        clause="zero-timesteps",
        where=("no-steps", "last", STARTED),
        definition={"sequence": _empty(lambda state, _: Sequence([], state, state))},
    )
    yield Fault(
        id="size/no-steps-state",
        does="returns a state of zeros if there are no timesteps",
        clause="zero-timesteps",
        where=("no-steps", STARTED),
        definition={"sequence": _empty(lambda _, zeros: Sequence([], zeros, zeros))},
    )


def _tail_without_recurrence(lanes: int) -> Replacement:
    def recurrence(self: Any, usual: Any, gate: str, state: Any) -> Any:
        tail = _in_tail(2, self.spec.units, lanes)
        if not tail.any():
            return usual(gate, state)
        return self.numbers.select(tail, usual(gate, self.numbers.zeros(state.shape)), usual(gate, state))

    return recurrence


def _tail_zero(lanes: int) -> Replacement:
    def cell(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
        tail, new = _in_tail(2, self.spec.units, lanes), usual(inputs, state)
        return self.numbers.select(tail, self.numbers.zeros(new.shape), new) if tail.any() else new

    return cell


def _tail_of_inputs_ignored(self: Any, usual: Any, gate: str, inputs: Any) -> Any:
    tail = _in_tail(2, inputs.shape[2], LANES[0])
    return usual(gate, self.numbers.select(tail, self.numbers.zeros(inputs.shape), inputs) if tail.any() else inputs)


def _recurrence_dropped(self: Any, usual: Any, gate: str, state: Any) -> Any:
    return usual(gate, self.numbers.zeros(state.shape) if self.spec.units == 1 else state)


def _elements() -> Iterator[Fault]:
    for lanes in LANES:
        ragged = partial(Fault, clause="timesteps", where=(f"ragged-units-{lanes}",))
        yield ragged(
            id=f"size/tail-of-{lanes}-units-without-recurrence",
            does=f"omits the recurrent product in the units that are left over from groups of {lanes}",
            where=(f"ragged-units-{lanes}", STATE_MATTERS),
            definition={"recurrence": _tail_without_recurrence(lanes)},
        )
        yield ragged(
            id=f"size/tail-of-{lanes}-units-zero",
            does=f"computes zero in the units that are left over from groups of {lanes}",
            definition={"cell": _tail_zero(lanes)},
        )
    yield Fault(
        id="size/tail-of-inputs-ignored",
        does=f"ignores the features that are left over from groups of {LANES[0]}",
        clause="reset-before",
        where=("ragged-inputs",),
        definition={"projection": _tail_of_inputs_ignored},
    )
    yield Fault(
        id="size/single-unit-without-recurrence",
        does="omits the recurrent products if there is one unit",
        clause="timesteps",
        where=("single-unit", STATE_MATTERS),
        definition={"recurrence": _recurrence_dropped},
    )


def _squeezing(axis: Callable[[GRUSpec], int], names: tuple[str, ...] = ("outputs",)) -> Any:
    def returned(spec: GRUSpec, arrays: Arrays) -> Arrays:
        return arrays | {name: _without(arrays[name], axis(spec) if name == "outputs" else 0) for name in names}

    return returned


def _without(array: NDArray[Any], axis: int) -> NDArray[Any]:
    return array.squeeze(axis) if array.shape[axis] == 1 else array


def _batch_axis(spec: GRUSpec) -> int:
    return 1 if spec.time_major and spec.return_sequences else 0


def _step_axis(spec: GRUSpec) -> int:
    return 1 - _batch_axis(spec)


def _only_step_squeezed(spec: GRUSpec, arrays: Arrays) -> Arrays:
    return _squeezing(_step_axis)(spec, arrays) if spec.return_sequences else arrays


def _squeezed() -> Iterator[Fault]:
    yield Fault(
        id="size/single-row-squeezed",
        does="returns outputs and state without the batch axis if there is one row",
        clause="symbols",
        where=("single-row",),
        returned=_squeezing(_batch_axis, ("outputs", "state")),
    )
    yield Fault(
        id="size/single-step-squeezed",
        does="returns a sequence of one timestep without the axis of time",
        clause="return-sequences",
        where=("single-step", "sequences"),
        returned=_only_step_squeezed,
    )
    yield Fault(
        id="size/single-unit-squeezed",
        does="returns outputs without the axis of units if there is one unit",
        clause="symbols",
        where=("single-unit",),
        returned=_squeezing(lambda _: -1),
    )
