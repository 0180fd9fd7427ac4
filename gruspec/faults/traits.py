"""What there is to observe in a case: the conditions under which faults show."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from gruspec.backend import batch_major_mask, lengths_from_mask
from gruspec.cases import Call, ResetStates
from gruspec.spec import acting_dropout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case

TRAITS = {
    "reset-before": "reset_after is False",
    "reset-after": "reset_after is True",
    "bias": "use_bias is True",
    "sequences": "return_sequences is True",
    "last": "return_sequences is False",
    "state": "return_state is True",
    "backwards": "go_backwards is True",
    "stateful": "stateful is True",
    "unroll": "unroll is True",
    "time-major": "time_major is True",
    "zero-output": "zero_output_for_mask is True",
    "candidate-<name>": "activation is <name>",
    "gates-<name>": "recurrent_activation is <name>",
    "unequal-activations": "activation and recurrent_activation differ",
    "several-inputs": "the input size is at least 2",
    "several-units": "there are at least 2 units",
    "several-rows": "a call has at least 2 rows",
    "three-rows": "a call has at least 3 rows",
    "several-steps": "a call has at least 2 timesteps",
    "square": "in a call, rows and timesteps are equally many",
    "mask": "a call has a mask with a masked timestep",
    "padded": "such a mask is right padding",
    "irregular": "such a mask is not right padding",
    "masked-start": "the first timestep to be processed is masked in a row",
    "masked-end": "the last timestep to be processed is masked in a row",
    "masked-row": "a row is masked wholly",
    "initial-state": "a call is given a state that is not zero",
    "no-initial-state": "a call is given no state",
    "several-calls": "there are at least 2 calls",
    "reset": "reset_states is called",
    "reset-values": "reset_states is called with values",
    "explicit-state": "a later call is given a state",
    "inputs-dropout": "dropout masks of the inputs act in a call",
    "recurrent-dropout": "dropout masks of the state act in a call",
    "idle-dropout": "dropout masks are given and do not act",
    "gradients": "a call has cotangents",
    "losses": "the layer has regularizers",
    "invalid": "something must be refused",
    "subnormal": "gradual underflow is demanded",
    "nonfinite": "an array has NaN or infinities",
}
"""What each trait says of a case."""


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
    if not spec.return_sequences:
        yield "last"
    if spec.activation != spec.recurrent_activation:
        yield "unequal-activations"
    if spec.units > 1:
        yield "several-units"
    if case.settings is not None:
        yield "losses"
    if case.result == "invalid":
        yield "invalid"
    if "Subnormal" in case.flags:
        yield "subnormal"
    if not all(np.isfinite(array).all() for array in case.arrays().values()):
        yield "nonfinite"


def _of_operations(case: Case) -> Iterator[str]:
    calls = [call for call in case.calls if isinstance(call, Call)]
    if len(calls) > 1:
        yield "several-calls"
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
        batch, timesteps, size = call.inputs.shape if not case.spec.time_major else _swapped(call.inputs.shape)
        conditions = {
            "several-rows": batch > 1,
            "three-rows": batch > 2,
            "several-steps": timesteps > 1,
            "square": batch == timesteps,
            "several-inputs": size > 1,
        }
        yield from (name for name, holds in conditions.items() if holds)
    if call.initial_state is None:
        yield "no-initial-state"
    elif call.initial_state.any():
        yield "initial-state"
    acting = acting_dropout(case.spec, training=call.training)
    yield from (f"{kind}-dropout" for kind in acting)
    if call.dropout_masks and not set(call.dropout_masks) <= set(acting):
        yield "idle-dropout"
    if call.cotangents is not None:
        yield "gradients"
    if call.mask is not None and call.mask.ndim == 2 and not call.mask.all():
        mask = batch_major_mask(call.mask, time_major=case.spec.time_major)
        yield "mask"
        yield "irregular" if lengths_from_mask(mask) is None else "padded"
        first, last = (-1, 0) if case.spec.go_backwards else (0, -1)
        places = {"masked-start": mask[:, first], "masked-end": mask[:, last], "masked-row": mask.any(axis=1)}
        yield from (name for name, valid in places.items() if not valid.all())


def _swapped(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[1], shape[0], *shape[2:])
