"""Gradients at corners, beside values that are not finite, and of nothing at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.generate.draws import Draw
from gruspec.generate.finish import shrinkage
from gruspec.generate.layers import arranged_call, draw_weights, make_case
from gruspec.generate.training_calls import trained
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case

_EMPTY = {"zero-timesteps": ((2, 0, 2), "ZeroTimesteps"), "empty-batch": ((0, 2, 2), "EmptyBatch")}


def gradient_edges(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Yield the cases of a variant."""
    yield from _corners(reset_after=reset_after)
    yield from _not_finite(attempt, reset_after=reset_after)
    yield from _nothing(attempt, reset_after=reset_after)


def _corners(*, reset_after: bool) -> Iterator[Case]:
    """Yield pre-activations exactly at corners, and on both sides of them; all of them are single products by 1."""
    near = 2.0**-8
    points = {
        "hard_sigmoid": np.array([2.5, 2.5 + near, 2.5 - near, 0.0, -2.5 + near, -2.5 - near, 3.0]),
        "relu": np.array([0.0, near, -near, 1.0]),
    }
    for activation, where in points.items():
        inputs, words = where[:, None, None], activation.replace("_", "-")
        options: dict[str, Any] = {"units": 1, "use_bias": False, "return_state": True, "reset_after": reset_after}
        draw = Draw(f"gradient/corners/{activation}")
        cotangents = {name: draw.distinct(name, (len(where), 1)) for name in ("outputs", "state")}
        places = {
            "candidate": (GRUSpec(activation=activation, **options), [0.0, 0.0, 1.0]),
            "update": (GRUSpec(recurrent_activation=activation, activation="linear", **options), [1.0, 0.0, 0.0]),
            "reset": (GRUSpec(recurrent_activation=activation, activation="linear", **options), [0.0, 1.0, 0.0]),
        }
        for place, (spec, kernel) in places.items():
            recurrent = [0.0, 0.0, 0.5 if place == "reset" else 0.0]
            weights = {"kernel": np.array([kernel]), "recurrent_kernel": np.array([recurrent])}
            call = replace(
                arranged_call(spec, inputs, initial_state=np.full((len(where), 1), 0.75)), cotangents=cotangents
            )
            case_id = f"gradient/{spec.variant}/corner-{place}-{words}"
            yield make_case(case_id, "gradient-kinks", ["GradientKink"], spec, weights, [call])


def _not_finite(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Yield NaN and infinities at masked timesteps, which reach no gradient."""
    for what, value in (("nan", np.nan), ("inf", np.inf)):
        for zeroed in (False, True):
            spec = GRUSpec(
                units=3, reset_after=reset_after, return_sequences=True, zero_output_for_mask=zeroed, return_state=True
            )
            case_id = f"gradient/{spec.variant}/{what}-masked{'-zero' if zeroed else ''}"
            draw = Draw(f"{case_id}#{attempt}")
            inputs = draw.distinct("inputs", (2, 4, 2))
            inputs[0, 1], inputs[1, 3] = value, value
            call = arranged_call(spec, inputs, [[1, 0, 1, 1], [1, 1, 1, 0]], draw.distinct("state", (2, 3), -1))
            operation = trained(draw, spec, call, training=False, gradients=True)
            weights = draw_weights(draw, spec, 2, shrink=shrinkage(attempt))
            yield make_case(case_id, "gradients", ["MaskedNonFiniteGradient"], spec, weights, [operation])


def _nothing(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Yield no timesteps, through which the state's cotangent passes, and no rows."""
    for name, (shape, flag) in _EMPTY.items():
        spec = GRUSpec(units=3, reset_after=reset_after, return_sequences=True, return_state=True)
        case_id = f"gradient/{spec.variant}/{name}"
        draw = Draw(f"{case_id}#{attempt}")
        inputs, state = draw.distinct("inputs", shape), draw.distinct("state", (shape[0], 3), -1)
        call = trained(draw, spec, arranged_call(spec, inputs, None, state), training=False, gradients=True)
        yield make_case(case_id, "gradients", [flag], spec, draw_weights(draw, spec, 2), [call])
