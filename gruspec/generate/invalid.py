"""Topic ``invalid``: uses that every implementation must refuse."""

from __future__ import annotations

import dataclasses
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


def invalid_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield all cases; they are whole as they stand, since nothing is to be certified."""
    for reset_after in (False, True):
        fine = _call(valid=True)
        uses: tuple[tuple[str, str, dict[str, Any], list[dict[str, Any]]], ...] = (
            ("mask-too-short", "mask-shape", {}, [_call(mask=(2, 3))]),
            ("mask-of-other-batch", "mask-shape", {}, [_call(mask=(3, 4))]),
            ("mask-batch-major", "mask-shape", {"time_major": True}, [_call(inputs=(4, 2, 3), mask=(2, 4))]),
            ("mask-per-unit", "mask-shape", {}, [_call(mask=(2, 4, 4))]),
            ("inputs-of-rank-2", "invalid-arguments", {}, [_call(inputs=(2, 3))]),
            ("inputs-too-wide", "invalid-arguments", {}, [_call(inputs=(2, 4, 5))]),
            ("state-too-wide", "initial-state", {}, [_call(state=(2, 5))]),
            ("state-of-other-batch", "initial-state", {}, [_call(state=(1, 4))]),
            ("dropout-of-everything", "dropout-masks", {"dropout": 1.0}, [_call(training=True)]),
            ("recurrent-dropout-of-everything", "dropout-masks", {"recurrent_dropout": 1.0}, [_call(training=True)]),
            ("reset-not-stateful", "reset-states", {}, [fine, _reset("AttributeError")]),
            ("reset-before-call", "reset-states", {"stateful": True}, [_reset("ValueError")]),
            ("reset-of-other-batch", "reset-states", {"stateful": True}, [fine, _reset("ValueError", (3, 4))]),
            ("reset-too-wide", "reset-states", {"stateful": True}, [fine, _reset("ValueError", (2, 3))]),
        )
        for name, clause, options, operations in uses:
            yield _case(name, clause, GRUSpec(units=4, reset_after=reset_after, **options), operations, attempt)


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
    for operation in operations:
        if "inputs" not in operation:
            states = operation["states"]
            calls.append(
                ResetStates(None if states is None else draw.distinct("states", states, -1), operation["raises"])
            )
            continue
        mask, state = operation["mask"], operation["state"]
        calls.append(
            Call(
                draw.distinct("inputs", operation["inputs"]),
                None if mask is None else np.ones(mask, bool),
                None if state is None else draw.distinct("state", state, -1),
                training=operation["training"],
                raises=operation["raises"],
            )
        )
    case = make_case(case_id, clause, ["Invalid"], spec, draw_weights(draw, spec, 3), calls)
    return dataclasses.replace(case, result="invalid", dtypes=JUDGED_DTYPES)
