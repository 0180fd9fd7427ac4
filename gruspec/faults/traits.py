"""What there is to observe in a case: the conditions under which faults show."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from gruspec.backend import batch_major_mask, lengths_from_mask
from gruspec.cases import Call, ResetStates
from gruspec.spec import ACTIVATIONS, acting_dropout
from gruspec.spec.dropout import DROPOUT_RATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gruspec.cases import Case
    from gruspec.spec import WeightSettings

LENGTHS = (4, 8, 16, 32)
"""Numbers of timesteps that an implementation may process in one piece."""

LANES = (4, 8, 16)
"""Numbers of elements that an implementation may process at once."""

TRAITS = {
    "reset-before": "reset_after is False",
    "reset-after": "reset_after is True",
    "bias": "use_bias is True",
    "no-bias": "use_bias is False",
    "sequences": "return_sequences is True",
    "last": "return_sequences is False",
    "state": "return_state is True",
    "backwards": "go_backwards is True",
    "stateful": "stateful is True",
    "stateless": "stateful is False",
    "unroll": "unroll is True",
    "time-major": "time_major is True",
    "batch-major": "time_major is False",
    "zero-output": "zero_output_for_mask is True",
    "candidate-<name>": "activation is <name>",
    "gates-<name>": "recurrent_activation is <name>",
    "unequal-activations": "activation and recurrent_activation differ",
    "several-inputs": "the input size is at least 2",
    "several-units": "there are at least 2 units",
    "several-rows": "a call has at least 2 rows",
    "three-rows": "a call has at least 3 rows",
    "over-1024-rows": "a call has more than 1024 rows",
    "several-steps": "a call has at least 2 timesteps",
    "three-steps": "a call has at least 3 timesteps",
    "five-steps": "a call has at least 5 timesteps",
    "single-unit": "there is 1 unit",
    "single-row": "a call has 1 row",
    "single-step": "a call has 1 timestep",
    **{f"over-{length}-steps": f"a call has more than {length} timesteps" for length in LENGTHS},
    **{f"ragged-units-{lanes}": f"the number of units is no multiple of {lanes}" for lanes in LANES},
    "ragged-rows": f"in a call, the number of rows is no multiple of {LANES[0]}",
    "ragged-inputs": f"the input size is no multiple of {LANES[0]}",
    "no-steps": "a call has no timesteps",
    "no-rows": "a call has no rows",
    "no-inputs": "the input size is 0",
    "square": "in a call, rows and timesteps are equally many",
    "mask-given": "a call has a mask",
    "mask-axis": "a mask has a third axis",
    "mask": "a call has a mask with a masked timestep",
    "held-output": "at such a timestep the output is held: zero_output_for_mask is False",
    "padded": "such a mask is right padding",
    "irregular": "such a mask is not right padding",
    "masked-start": "the first timestep to be processed is masked in a row",
    "masked-end": "the last timestep to be processed is masked in a row",
    "masked-row": "a row is masked wholly",
    "initial-state": "a call is given a state that is not zero",
    "no-initial-state": "a call is given no state",
    "given-state": "a call is given a state",
    "several-calls": "there are at least 2 calls",
    "carried": "the layer is stateful and there are at least 2 calls",
    "reset": "reset_states is called",
    "reset-values": "reset_states is called with values",
    "explicit-state": "a later call is given a state",
    "inputs-dropout": "dropout masks of the inputs act in a call",
    "recurrent-dropout": "dropout masks of the state act in a call",
    "idle-dropout": "dropout masks are given and do not act",
    "gatewise-dropout": "dropout masks of the inputs act, one for each gate",
    "uneven-dropout": "a rate that acts is not 1/2",
    "idle-rate": "dropout of the inputs does not act in a call because it is not training",
    "size-of-units": "the input size is the number of units",
    "training": "a call is in training",
    "gradients": "a call has cotangents",
    "losses": "the layer has regularizers",
    "regularized-kernel": "kernel_regularizer is given",
    "regularized-recurrent": "recurrent_regularizer is given",
    "regularized-bias": "bias_regularizer is given",
    "regularized-activity": "activity_regularizer is given",
    "l1": "a regularizer has a factor l1",
    "l2": "a regularizer has a factor l2",
    "invalid": "something must be refused",
    "subnormal": "gradual underflow is demanded",
    "nonfinite": "an array has NaN or infinities",
}
"""What each trait says of a case."""

STARTED = "initial-state|stateful"
"""Where a call may start from a state that is not zero."""

STATE_SEEN = "state|stateful"
"""Where the final state of a call is returned or recorded."""

STATE_MATTERS = "initial-state|several-steps|several-calls|gradients"
"""Where it shows what is made of the state before a step: elsewhere that is zero, and nothing asks for its slope."""

RESET_MATTERS = f"{STATE_MATTERS}|bias"
"""Where the reset gate can be observed: it acts on the state, and in reset-after on the recurrent bias too."""


def other_activations(role: str, *names: str) -> str:
    """Return the trait that the activation of a role, ``candidate`` or ``gates``, is none of these."""
    return "|".join(f"{role}-{name}" for name in ACTIVATIONS if name not in names)


def traits(case: Case) -> frozenset[str]:
    """Return the traits of a case; that of a call holds if it holds for one of its calls."""
    return frozenset((*_of_layer(case), *_of_operations(case)))


def _of_layer(case: Case) -> Iterator[str]:
    spec = case.spec
    yield spec.variant
    yield f"candidate-{spec.activation}"
    yield f"gates-{spec.recurrent_activation}"
    names = {"use_bias": "bias", "return_sequences": "sequences", "return_state": "state", "go_backwards": "backwards"}
    names |= {"zero_output_for_mask": "zero-output", "time_major": "time-major"}
    yield from (
        names.get(field.name, field.name.replace("_", "-"))
        for field in fields(spec)
        if getattr(spec, field.name) is True
    )
    yield from (f"ragged-units-{lanes}" for lanes in LANES if spec.units % lanes)
    if not spec.return_sequences:
        yield "last"
    if not spec.use_bias:
        yield "no-bias"
    if not spec.stateful:
        yield "stateless"
    if not spec.time_major:
        yield "batch-major"
    if spec.activation != spec.recurrent_activation:
        yield "unequal-activations"
    yield "several-units" if spec.units > 1 else "single-unit"
    if case.settings is not None:
        yield from _of_settings(case.settings)
    if case.result == "invalid":
        yield "invalid"
    if "Subnormal" in case.flags:
        yield "subnormal"
    if not all(np.isfinite(array).all() for array in case.arrays().values()):
        yield "nonfinite"


def _of_settings(settings: WeightSettings) -> Iterator[str]:
    yield "losses"
    for what in ("kernel", "recurrent", "bias", "activity"):
        regularizer = getattr(settings, f"{what}_regularizer")
        if regularizer is not None:
            yield f"regularized-{what}"
            yield from (name for name, factor in regularizer.get("config", {}).items() if factor)


def _of_operations(case: Case) -> Iterator[str]:
    calls = [call for call in case.calls if isinstance(call, Call)]
    if len(calls) > 1:
        yield "several-calls"
        if case.spec.stateful:
            yield "carried"
    if any(call.initial_state is not None for call in calls[1:]):
        yield "explicit-state"
    for operation in case.calls:
        if isinstance(operation, ResetStates):
            yield "reset"
            if operation.states is not None:
                yield "reset-values"
    for call in calls:
        yield from _of_call(case, call)


def _of_call(case: Case, call: Call) -> Iterator[str]:
    if call.inputs.ndim == 3:
        yield from _of_sizes(case, call)
    if call.initial_state is None:
        yield "no-initial-state"
    else:
        yield "given-state"
        if call.initial_state.any():
            yield "initial-state"
    yield from _of_dropout(case, call)
    if call.training:
        yield "training"
    if call.cotangents is not None:
        yield "gradients"
    if call.mask is not None:
        yield from _of_mask(case, call.mask)


def _of_dropout(case: Case, call: Call) -> Iterator[str]:
    acting = acting_dropout(case.spec, training=call.training)
    yield from (f"{kind}-dropout" for kind in acting)
    if "inputs" in acting and case.spec.implementation == 1:
        yield "gatewise-dropout"
    if any(getattr(case.spec, DROPOUT_RATES[kind]) != 0.5 for kind in acting):
        yield "uneven-dropout"
    if call.dropout_masks and not set(call.dropout_masks) <= set(acting):
        yield "idle-dropout"
    if 0 < case.spec.dropout < 1 and not call.training:
        yield "idle-rate"


def _of_sizes(case: Case, call: Call) -> Iterator[str]:
    batch, timesteps, size = call.inputs.shape if not case.spec.time_major else _swapped(call.inputs.shape)
    conditions = {
        "several-rows": batch > 1,
        "three-rows": batch > 2,
        "over-1024-rows": batch > 1024,
        "several-steps": timesteps > 1,
        "three-steps": timesteps > 2,
        "five-steps": timesteps > 4,
        "single-row": batch == 1,
        "single-step": timesteps == 1,
        "ragged-rows": batch % LANES[0] != 0,
        "ragged-inputs": size % LANES[0] != 0,
        "square": batch == timesteps,
        "several-inputs": size > 1,
        "no-steps": timesteps == 0,
        "no-rows": batch == 0,
        "no-inputs": size == 0,
        "size-of-units": size == case.spec.units,
    }
    yield from (name for name, holds in conditions.items() if holds)
    yield from (f"over-{length}-steps" for length in LENGTHS if timesteps > length)


def _of_mask(case: Case, given: NDArray[np.bool_]) -> Iterator[str]:
    yield "mask-given"
    if given.ndim == 3:
        yield "mask-axis"
    if given.all():
        return
    mask = batch_major_mask(given, time_major=case.spec.time_major)
    yield "mask"
    if not case.spec.zero_output_for_mask:
        yield "held-output"
    yield "irregular" if lengths_from_mask(mask) is None else "padded"
    first, last = (-1, 0) if case.spec.go_backwards else (0, -1)
    places = {"masked-start": mask[:, first], "masked-end": mask[:, last], "masked-row": mask.any(axis=1)}
    yield from (name for name, valid in places.items() if not valid.all())


def _swapped(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[1], shape[0], *shape[2:])
