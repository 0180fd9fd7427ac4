"""Topic ``invalid``: uses that every implementation must refuse."""

from __future__ import annotations

import dataclasses
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call, ResetStates
from gruspec.certify import JUDGED_DTYPES
from gruspec.generate.draws import Draw
from gruspec.generate.layers import draw_weights, make_case
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case, Operation


_SEQUENCE, _STATEFUL, _TIME_MAJOR = ({name: True} for name in ("return_sequences", "stateful", "time_major"))

_CALLS: dict[str, tuple[tuple[str, dict[str, Any], dict[str, Any]], ...]] = {
    "mask-shape": (
        ("mask-too-short", {}, {"mask": (2, 3)}),
        ("mask-too-long", {}, {"mask": (2, 5)}),
        ("mask-of-other-batch", {}, {"mask": (3, 4)}),
        ("mask-of-fewer-rows", _SEQUENCE, {"inputs": (3, 4, 3), "mask": (2, 4)}),
        ("mask-of-one-row", {}, {"mask": (1, 4)}),
        ("mask-of-one-timestep", _SEQUENCE, {"mask": (2, 1)}),
        ("mask-batch-major", _TIME_MAJOR, {"inputs": (4, 2, 3), "mask": (2, 4)}),
        ("mask-time-major", {}, {"mask": (4, 2)}),
        ("mask-per-unit", {}, {"mask": (2, 4, 4)}),
        ("mask-per-feature", _SEQUENCE, {"mask": (2, 4, 3)}),
    ),
    "invalid-arguments": (
        ("inputs-of-rank-2", {}, {"inputs": (2, 3)}),
        ("inputs-of-rank-2-sequence", _SEQUENCE, {"inputs": (4, 3)}),
        ("inputs-too-wide", {}, {"inputs": (2, 4, 5)}),
        ("inputs-too-wide-sequence", _SEQUENCE, {"inputs": (2, 2, 4)}),
    ),
    "initial-state": (
        ("state-too-wide", {}, {"state": (2, 5)}),
        ("state-too-narrow", _SEQUENCE, {"state": (2, 3)}),
        ("state-of-other-batch", {}, {"state": (1, 4)}),
        ("state-of-one-row", _SEQUENCE, {"inputs": (3, 2, 3), "state": (1, 4)}),
        ("state-of-more-rows", {}, {"state": (3, 4)}),
    ),
    "dropout-masks": (
        ("dropout-of-everything", {"dropout": 1.0}, {"training": True}),
        ("recurrent-dropout-of-everything", {"recurrent_dropout": 1.0}, {"training": True}),
    ),
}
"""Calls that must be refused, by clause: a name, arguments of the layer and what is wrong with the call."""


_ACCEPTED_SOMEWHERE = ("mask-of-one-row", "mask-per-unit")
"""Mistakes that TensorFlow accepts; they stand by themselves, so that it is judged on all others together."""


def invalid_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield single mistakes, two or more of each kind. The cases are whole as they stand."""
    for reset_after in (False, True):
        for name, clause, options, operations in _mistakes():
            yield _case(name, clause, GRUSpec(units=4, reset_after=reset_after, **options), operations, attempt)
        for name, clause, options, shapes in _WRONG_WEIGHTS:
            yield _wrong_weights(name, clause, GRUSpec(units=4, reset_after=reset_after, **options), shapes, attempt)


def recovery_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with many mistakes, between which a layer goes on as if they had not been made."""
    fine = _call(valid=True)
    mistakes = chain.from_iterable(_CALLS.values())
    calls = [
        _call(**arguments)
        for name, options, arguments in mistakes
        if options in ({}, _SEQUENCE) and name not in _ACCEPTED_SOMEWHERE
    ]
    resets = [_reset("ValueError", shape) for shape in ((3, 4), (1, 4), (2, 3))]
    other_rows = [_call(inputs=(rows, 4, 3)) for rows in (1, 3)]
    situations: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
        "all-mistakes": ({}, [*calls, fine, *calls, _reset("AttributeError"), fine]),
        "all-mistakes-stateful": (_STATEFUL, [_reset("ValueError"), *calls, fine, *calls, *other_rows, *resets, fine]),
    }
    for reset_after in (False, True):
        for name, (options, operations) in situations.items():
            spec = GRUSpec(units=4, reset_after=reset_after, return_state=True, **options)
            yield _case(name, "invalid-arguments", spec, operations, attempt)


def _mistakes() -> Iterator[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
    """Yield single mistakes: a name, the clause, arguments of the layer, and operations, the last to be refused."""
    fine = _call(valid=True)
    for clause, mistakes in _CALLS.items():
        for name, options, arguments in mistakes:
            yield name, clause, options, [_call(**arguments)]
    for rows in (1, 3):
        yield f"carry-to-{rows}-rows", "stateful", _STATEFUL, [fine, _call(inputs=(rows, 4, 3))]
    yield "reset-not-stateful", "reset-states", {}, [fine, _reset("AttributeError")]
    yield "reset-not-stateful-values", "reset-states", {}, [fine, _reset("AttributeError", (2, 4))]
    yield "reset-before-call", "reset-states", _STATEFUL, [_reset("ValueError")]
    yield "reset-before-call-values", "reset-states", _STATEFUL, [_reset("ValueError", (2, 4))]
    yield "reset-of-other-batch", "reset-states", _STATEFUL, [fine, _reset("ValueError", (3, 4))]
    yield "reset-of-one-row", "reset-states", _STATEFUL, [fine, _reset("ValueError", (1, 4))]
    yield "reset-too-wide", "reset-states", _STATEFUL, [fine, _reset("ValueError", (2, 3))]
    yield "reset-too-narrow", "reset-states", _STATEFUL, [fine, _reset("ValueError", (2, 5))]


_WRONG_WEIGHTS: tuple[tuple[str, str, dict[str, Any], dict[str, tuple[int, ...] | None]], ...] = (
    ("bias-without-place", "bias", {"use_bias": False}, {"bias": (12,)}),
    (
        "bias-of-two-rows-without-place",
        "bias",
        {"use_bias": False, "return_sequences": True},
        {"bias": (2, 12)},
    ),
    ("bias-missing", "bias", {}, {"bias": None}),
    ("bias-of-one-gate", "bias", {}, {"bias": (4,)}),
    ("kernel-transposed", "weights", {}, {"kernel": (12, 3)}),
    ("recurrent-kernel-of-one-gate", "weights", {}, {"recurrent_kernel": (4, 4)}),
)
"""Weights that a layer must refuse when it is built: a name, the clause, arguments, and the shapes that are wrong."""


def _wrong_weights(
    name: str, clause: str, spec: GRUSpec, shapes: dict[str, tuple[int, ...] | None], attempt: int
) -> Case:
    case = _case(name, clause, spec, [_call(valid=True)], attempt)
    draw = Draw(f"{case.id}#{attempt}/wrong")
    weights = dict(case.weights)
    for weight, shape in shapes.items():
        weights.pop(weight, None)
        if shape is not None:
            weights[weight] = draw.distinct(weight, shape)
    return dataclasses.replace(case, weights=weights, raises="ValueError")


def _call(
    *,
    inputs: tuple[int, ...] = (2, 4, 3),
    mask: tuple[int, ...] | None = None,
    state: tuple[int, ...] | None = None,
    training: bool = False,
    valid: bool = False,
) -> dict[str, Any]:
    raises = None if valid else "ValueError"
    return {"inputs": inputs, "mask": mask, "state": state, "training": training, "raises": raises}


def _reset(raises: str, states: tuple[int, ...] | None = None) -> dict[str, Any]:
    return {"states": states, "raises": raises}


def _case(name: str, clause: str, spec: GRUSpec, operations: list[dict[str, Any]], attempt: int) -> Case:
    case_id = f"invalid/{spec.variant}/{name}"
    draw = Draw(f"{case_id}#{attempt}")
    calls: list[Operation] = []
    for i, operation in enumerate(operations):
        if "inputs" not in operation:
            states = operation["states"]
            calls.append(
                ResetStates(None if states is None else draw.distinct("states", states, -1), operation["raises"])
            )
            continue
        mask, state = operation["mask"], operation["state"]
        calls.append(
            Call(
                draw.distinct(f"inputs{i}" if i else "inputs", operation["inputs"]),
                None if mask is None else np.ones(mask, bool),
                None if state is None else draw.distinct("state", state, -1),
                training=operation["training"],
                raises=operation["raises"],
            )
        )
    case = make_case(case_id, clause, ["Invalid"], spec, draw_weights(draw, spec, 3), calls)
    return dataclasses.replace(case, result="invalid", dtypes=JUDGED_DTYPES)
