"""Family ``mask``: masks misread, and other rules for the state and the output at masked timesteps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.backend import lengths_from_mask
from gruspec.faults.endings import with_state
from gruspec.faults.fault import Fault
from gruspec.faults.traits import STARTED, STATE_SEEN
from gruspec.reference.definition import Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Seams
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

    Mask = NDArray[np.bool_]


def mask_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _misread()
    yield from _rules()
    yield from _zeroed()
    yield from _masked_rows()
    yield from _leaks()


def _reading(change: Callable[[GRUSpec, Mask], Mask | None]) -> Seams:
    """Replace the mask (B, T), in the order of time."""

    def sequence(self: Any, usual: Any, inputs: Any, state: Any, mask: Mask | None) -> Any:
        return usual(inputs, state, None if mask is None else change(self.spec, mask))

    return {"sequence": sequence}


def _first(mask: Mask, lengths: Any) -> Mask:
    valid: Mask = np.arange(mask.shape[1]) < lengths
    return valid


def _count(mask: Mask) -> Any:
    return mask.sum(axis=1, keepdims=True)


def _until_masked(spec: GRUSpec, mask: Mask) -> Mask:
    step = -1 if spec.go_backwards else 1
    return np.logical_and.accumulate(mask[:, ::step], axis=1)[:, ::step]


def _misread() -> Iterator[Fault]:
    readings: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...], Any], ...] = (
        ("ignored", "ignores the mask", "mask-state", ("mask",), ("onnx-mlir PR#2479",), lambda _, __: None),
        (
            "inverted",
            "takes True in a mask for a timestep to skip",
            "mask-dtype",
            ("mask-given",),
            (),
            lambda _, mask: ~mask,
        ),
        (
            "lengths",
            "reduces a mask to the number of valid timesteps of each row and processes that many from the first on",
            "mask-shape",
            ("irregular",),
            (),
            lambda _, mask: _first(mask, _count(mask)),
        ),
        (
            "lengths-from-the-end",
            "reduces a mask to the number of valid timesteps of each row and processes that many up to the last",
            "mask-shape",
            ("mask",),
            (),
            lambda _, mask: _first(mask, _count(mask))[:, ::-1],
        ),
        (
            "gaps-filled",
            "processes every timestep up to the last valid one of a row, masked ones before it too",
            "mask-shape",
            ("irregular",),
            (),
            lambda _, mask: np.logical_or.accumulate(mask[:, ::-1], axis=1)[:, ::-1],
        ),
        (
            "ends-the-row",
            "stops processing a row for good at its first masked timestep",
            "mask-shape",
            ("mask", "irregular|backwards"),
            (),
            _until_masked,
        ),
        (
            "not-reversed",
            "applies the mask in the order of time to inputs that it processes backwards",
            "mask-order",
            ("mask", "backwards", "several-steps"),
            ("keras PR#1934",),
            lambda spec, mask: mask[:, ::-1] if spec.go_backwards else mask,
        ),
        (
            "reversed-before-transposed",
            "reverses the batch axis of a time-major mask where it should reverse time",
            "mask-order",
            ("mask", "backwards", "time-major"),
            (),
            lambda spec, mask: mask[::-1, ::-1] if spec.go_backwards and spec.time_major else mask,
        ),
        (
            "of-the-previous-step",
            "applies to each timestep, except the first, the mask of the timestep before it",
            "mask-state",
            ("mask", "several-steps"),
            (),
            lambda _, mask: np.concatenate([mask[:, :1], mask[:, :-1]], axis=1),
        ),
        (
            "of-the-next-step",
            "applies to each timestep, except the last, the mask of the timestep after it",
            "mask-state",
            ("mask", "several-steps"),
            (),
            lambda _, mask: np.concatenate([mask[:, 1:], mask[:, -1:]], axis=1),
        ),
        (
            "of-the-first-row",
            "applies the mask of the first row to all rows",
            "mask-shape",
            ("mask", "several-rows"),
            (),
            lambda _, mask: np.broadcast_to(mask[:1], mask.shape),
        ),
        (
            "valid-in-any-row",
            "skips a timestep only if it is masked in all rows",
            "rows",
            ("mask", "several-rows"),
            (),
            lambda _, mask: np.broadcast_to(mask.any(axis=0), mask.shape),
        ),
        (
            "masked-in-any-row",
            "skips a timestep in all rows if it is masked in one",
            "rows",
            ("mask", "several-rows"),
            (),
            lambda _, mask: np.broadcast_to(mask.all(axis=0), mask.shape),
        ),
        (
            "not-transposed",
            "reads the memory of a time-major mask as if it were batch-major",
            "time-major",
            ("mask", "time-major", "several-rows", "several-steps"),
            (),
            lambda spec, mask: mask.T.reshape(mask.shape) if spec.time_major else mask,
        ),
        (
            "row-without-valid-steps-processed",
            "processes a row as if it had no mask if all its timesteps are masked",
            "mask-all",
            ("masked-row",),
            (),
            lambda _, mask: mask | ~mask.any(axis=1, keepdims=True),
        ),
        (
            "row-without-valid-steps-begun",
            "processes the first timestep of a row whose timesteps are all masked",
            "mask-all",
            ("masked-row",),
            (),
            lambda _, mask: mask | (_first(mask, 1) & ~mask.any(axis=1, keepdims=True)),
        ),
    )
    for name, does, clause, where, reports, change in readings:
        yield Fault(
            id=f"mask/{name}", does=does, clause=clause, where=where, reports=reports, definition=_reading(change)
        )
    yield Fault(
        id="mask/third-axis-ignored",
        does="ignores a mask that has a third axis",
        clause="mask-shape",
        where=("mask", "mask-axis"),
        arguments=_without_third_axis,
    )
    yield Fault(
        id="mask/valid-part-reversed",
        does="reverses only the valid part of a padded row, so that padding comes last in the order of processing",
        clause="mask-order",
        where=("padded", "backwards"),
        definition={"sequence": _valid_part_reversed},
    )


def _without_third_axis(_: GRUSpec, arguments: Arguments) -> Arguments:
    mask = arguments.mask
    third = mask is not None and mask.ndim == 3 and mask.shape[2] == 1
    return replace(arguments, mask=None) if third else arguments


def _valid_part_reversed(self: Any, usual: Any, inputs: Any, state: Any, mask: Mask | None) -> Any:
    lengths = None if mask is None or not self.spec.go_backwards else lengths_from_mask(mask)
    if mask is None or lengths is None:
        return usual(inputs, state, mask)
    moved, last = [], len(inputs) - 1
    for timestep in range(len(inputs)):
        source = lengths - 1 - (last - timestep)
        step = inputs[timestep]
        for other, given in enumerate(inputs):
            step = self.numbers.select((source == other)[:, None, None], given, step)
        moved.append(step)
    return usual(moved, state, mask[:, ::-1])


def _always_new(_: Any, __: Any, ___: Any, new: Any, ____: Any) -> Any:
    return new


def _zero_if_masked(self: Any, _: Any, valid: Any, new: Any, ___: Any) -> Any:
    return self.numbers.select(valid, new, self.numbers.zeros(new.shape))


def _remembering(self: Any, usual: Any, inputs: Any, state: Any, mask: Mask | None) -> Any:
    self.held_at_first = state
    return usual(inputs, state, mask)


def _state_as_output(self: Any, usual: Any, valid: Any, new: Any, output: Any) -> Any:
    held, self.held_at_first = self.held_at_first, None
    return usual(valid, new, output if held is None else held)


def _rules() -> Iterator[Fault]:
    masked = partial(Fault, where=("mask",))
    yield masked(
        id="mask/state-zeroed",
        does="sets the state to zero at masked timesteps",
        clause="mask-state",
        definition={"next_state": _zero_if_masked},
    )
    yield masked(
        id="mask/state-updated",
        does="updates the state at masked timesteps, from inputs of zeros; the outputs there are held",
        clause="mask-state",
        definition={"next_state": _always_new},
    )
    yield masked(
        id="mask/processed-as-zeros",
        does="processes masked timesteps as inputs of zeros: state and output go on",
        clause="mask-state",
        reports=("keras#1300", "astnn PR#28"),
        definition={"next_state": _always_new, "next_output": _always_new},
    )
    yield masked(
        id="mask/output-computed",
        does="outputs at a masked timestep what the step would have computed from an input of zeros",
        clause="mask-output",
        definition={"next_output": _always_new},
    )
    yield masked(
        id="mask/output-zero",
        does="outputs zeros at masked timesteps though zero_output_for_mask is not set",
        clause="mask-output",
        where=("mask", "held-output"),
        reports=("tensorflow#49241",),
        definition={"next_output": _zero_if_masked},
    )
    yield masked(
        id="mask/output-state",
        does="outputs the state at masked timesteps: before the first valid one the initial state instead of zero",
        clause="mask-output",
        where=("masked-start", "held-output", f"{STARTED}|gradients"),
        reports=("keras#11472", "tensorflow#23632"),
        definition={"sequence": _remembering, "next_output": _state_as_output},
    )


def _held(condition: Callable[[GRUSpec], bool]) -> Callable[[GRUSpec], GRUSpec]:
    return lambda spec: replace(spec, zero_output_for_mask=False) if condition(spec) else spec


def _zeroed_by_unreversed_mask(self: Any, usual: Any, inputs: Any, state: Any, mask: Mask | None) -> Any:
    spec = self.spec
    if mask is None or not (spec.unroll and spec.go_backwards and spec.zero_output_for_mask):
        return usual(inputs, state, mask)
    self.spec = replace(spec, zero_output_for_mask=False)
    done = usual(inputs, state, mask)
    zeros = self.numbers.zeros(state.shape)
    outputs = [
        self.numbers.select(mask[:, index, None, None], output, zeros) for index, output in enumerate(done.outputs)
    ]
    return Sequence(outputs, outputs[-1] if outputs else done.last, done.state)


def _state_zeroed_with_output(self: Any, usual: Any, valid: Any, new: Any, state: Any) -> Any:
    return usual(valid, new, self.numbers.zeros(state.shape) if self.spec.zero_output_for_mask else state)


def _zeroed() -> Iterator[Fault]:
    conditions: tuple[tuple[str, str, tuple[str, ...], Callable[[GRUSpec], bool]], ...] = (
        ("ignored", "holds the output under zero_output_for_mask", (), lambda _: True),
        (
            "ignored-unrolled",
            "holds the output under zero_output_for_mask if it is unrolled",
            ("unroll",),
            lambda spec: spec.unroll,
        ),
        (
            "sequence-only",
            "applies zero_output_for_mask to sequences only: the last output is that of the last valid timestep",
            ("last", "masked-end"),
            lambda spec: not spec.return_sequences,
        ),
    )
    for name, does, where, condition in conditions:
        yield Fault(
            id=f"mask/zero-output-{name}",
            does=does,
            clause="zero-output",
            where=("mask", "zero-output", *where),
            spec=_held(condition),
        )
    yield Fault(
        id="mask/zero-output-not-reversed",
        does="holds outputs, then zeroes them by a mask in the order of time, if it is unrolled and goes backwards",
        clause="unroll",
        where=("mask", "zero-output", "unroll", "backwards"),
        definition={"sequence": _zeroed_by_unreversed_mask},
    )
    yield Fault(
        id="mask/zero-output-and-state",
        does="sets the state to zero, too, at masked timesteps under zero_output_for_mask",
        clause="zero-output",
        where=("mask", "zero-output"),
        definition={"next_state": _state_zeroed_with_output},
    )


def _masked_row(change: Callable[[Any, Mask, Any, Any], Any]) -> Seams:
    def sequence(self: Any, usual: Any, inputs: Any, state: Any, mask: Mask | None) -> Any:
        done = usual(inputs, state, mask)
        if mask is None or not inputs:
            return done
        return change(self, np.asarray(mask.any(axis=1))[:, None, None], state, done)

    return {"sequence": sequence}


def _state_dropped(self: Any, some: Mask, state: Any, done: Any) -> Any:
    return with_state(self, done, self.numbers.select(some, done.state, self.numbers.zeros(state.shape)))


def _state_put_out(self: Any, some: Mask, state: Any, done: Any) -> Any:
    outputs = [self.numbers.select(some, output, state) for output in done.outputs]
    return replace(done, outputs=outputs, last=outputs[-1])


def _masked_rows() -> Iterator[Fault]:
    yield Fault(
        id="mask/masked-row-state-zero",
        does="ends with a state of zeros in a row whose timesteps are all masked",
        clause="mask-all",
        where=("masked-row", STARTED, STATE_SEEN),
        definition=_masked_row(_state_dropped),
    )
    yield Fault(
        id="mask/masked-row-outputs-state",
        does="outputs the initial state in a row whose timesteps are all masked",
        clause="mask-all",
        where=("masked-row", STARTED),
        definition=_masked_row(_state_put_out),
    )


def _as_number(numbers: Any, condition: Mask, like: Any) -> Any:
    return numbers.lift(np.broadcast_to(condition, like.shape).astype(np.float64))


def _multiplied(self: Any, _: Any, valid: Mask, inputs: Any) -> Any:
    return inputs * _as_number(self.numbers, valid, inputs)


def _blended(self: Any, _: Any, valid: Mask, new: Any, state: Any) -> Any:
    return new * _as_number(self.numbers, valid, new) + state * _as_number(self.numbers, ~valid, state)


def _kept(_: Any, __: Any, ___: Any, inputs: Any) -> Any:
    return inputs


def _leaks() -> Iterator[Fault]:
    leaking = partial(Fault, clause="masked-nonfinite", where=("mask", "nonfinite", "gradients"))
    yield leaking(
        id="mask/inputs-kept",
        does="computes masked timesteps and discards the result, so that a NaN there reaches gradients",
        reports=("keras PR#449",),
        definition={"masked_inputs": _kept},
    )
    yield leaking(
        id="mask/inputs-multiplied",
        does="multiplies masked inputs by zero instead of replacing them, so that a NaN there reaches gradients",
        definition={"masked_inputs": _multiplied},
    )
    yield leaking(
        id="mask/state-multiplied",
        does="mixes new and old state by products with the mask, so that a NaN at a masked timestep reaches the state",
        where=("mask", "nonfinite"),
        definition={"masked_inputs": _kept, "next_state": _blended},
    )
