"""Topics ``saturation``, ``special`` and ``edge``: far from zero, not a number, and nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import ResetStates
from gruspec.generate.draws import Draw
from gruspec.generate.layers import arranged_call, draw_weights, make_case
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case

_SPECIAL_ACTIVATIONS = (("tanh", "sigmoid"), ("tanh", "hard_sigmoid"), ("relu", "hard_sigmoid"))
_KINK_CLAUSE = {"hard_sigmoid": "hard-sigmoid", "relu": "activations"}
_TINY = 2.0**-136
"""Subnormal in float32."""


def saturation_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with large pre-activations, and with pre-activations exactly at the corners."""
    for reset_after in (False, True):
        for activation in ("tanh", "sigmoid", "hard_sigmoid"):
            for recurrent_activation in ("sigmoid", "hard_sigmoid"):
                yield _saturated(activation, recurrent_activation, attempt, reset_after=reset_after)
        for activation in ("hard_sigmoid", "relu"):
            yield _kink_of_candidate(activation, reset_after=reset_after)
        for activation in ("hard_sigmoid", "relu"):
            yield _kink_of_gate(activation, reset_after=reset_after)


def _saturated(activation: str, recurrent_activation: str, attempt: int, *, reset_after: bool) -> Case:
    spec = GRUSpec(
        units=4,
        activation=activation,
        recurrent_activation=recurrent_activation,
        reset_after=reset_after,
        return_sequences=True,
        return_state=True,
    )
    case_id = f"saturation/{spec.variant}/{activation}-{recurrent_activation}".replace("_", "-")
    draw = Draw(f"{case_id}#{attempt}")
    weights = draw_weights(draw, spec, 3)
    inputs = draw.distinct("inputs", (3, 5, 3)) * np.array([64.0, 512.0, 4096.0])[:, None, None]
    call = arranged_call(spec, inputs, initial_state=draw.distinct("state", (3, 4), -1))
    return make_case(case_id, "activations", ["Saturated"], spec, weights, [call])


def _kink_of_candidate(activation: str, *, reset_after: bool) -> Case:
    """Feed the candidate corners exactly, and the numbers next to them, through a product by 1."""
    spec = GRUSpec(units=1, activation=activation, reset_after=reset_after, return_sequences=True, return_state=True)
    case_id = f"saturation/{spec.variant}/kink-candidate-{activation.replace('_', '-')}"
    bias = np.array([-8.0, -9.0, 0.0])
    weights = {
        "kernel": np.array([[0.0, 0.0, 1.0]]),
        "recurrent_kernel": np.zeros((1, 3)),
        "bias": np.stack([bias, np.zeros(3)]) if reset_after else bias,
    }
    near = 2.0**-8
    positive = np.array([2.5, 2.5 + near, 2.5 - near, 3.0, 100.0])
    call = arranged_call(spec, np.concatenate([[0.0], positive, -positive])[None, :, None])
    return make_case(case_id, _KINK_CLAUSE[activation], ["Kink"], spec, weights, [call])


def _kink_of_gate(activation: str, *, reset_after: bool) -> Case:
    """Feed the update gate corners exactly; the state is 1 and the candidate exactly 0."""
    spec = GRUSpec(units=1, recurrent_activation=activation, reset_after=reset_after, use_bias=False, return_state=True)
    case_id = f"saturation/{spec.variant}/kink-gate-{activation.replace('_', '-')}"
    weights = {"kernel": np.array([[1.0, 1.0, 0.0]]), "recurrent_kernel": np.zeros((1, 3))}
    corners = np.array([2.5, -2.5, 0.0, 3.0, -3.0, 2.5 - 2.0**-8, -2.5 + 2.0**-8])
    call = arranged_call(spec, corners[:, None, None], initial_state=np.ones((len(corners), 1)))
    return make_case(
        case_id,
        _KINK_CLAUSE[activation],
        ["Kink"],
        spec,
        weights,
        [call],
    )


def special_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with NaN, infinities, signed zeros and subnormal numbers."""
    for reset_after in (False, True):
        for activation, recurrent_activation in (
            ("tanh", "sigmoid"),
            ("tanh", "hard_sigmoid"),
            ("relu", "hard_sigmoid"),
        ):
            yield from _nonfinite(activation, recurrent_activation, attempt, reset_after=reset_after)
        yield from _zeros_and_subnormals(attempt, reset_after=reset_after)


def _special(name: str, attempt: int, **options: Any) -> tuple[str, GRUSpec, Draw, dict[str, Any]]:
    options = {"return_sequences": True, "return_state": True} | options
    spec = GRUSpec(units=3, **options)
    case_id = f"special/{spec.variant}/{name}"
    draw = Draw(f"{case_id}#{attempt}")
    return case_id, spec, draw, draw_weights(draw, spec, 2)


def _nonfinite(activation: str, recurrent_activation: str, attempt: int, *, reset_after: bool) -> Iterator[Case]:
    names = f"{activation}-{recurrent_activation}".replace("_", "-")
    options = {"activation": activation, "recurrent_activation": recurrent_activation, "reset_after": reset_after}
    for what, value in (("nan", np.nan), ("inf", np.inf), ("minus-inf", -np.inf)):
        if activation == "relu" and what != "nan":
            continue  # an unbounded candidate gives NaN or infinity by the form of the update
        case_id, spec, draw, weights = _special(f"{what}-input-{names}", attempt, **options)
        inputs = draw.distinct("inputs", (3, 4, 2))
        inputs[1, 1, 0] = value
        flags = ["NaN" if what == "nan" else "Infinity"]
        yield make_case(case_id, "nonfinite", flags, spec, weights, [arranged_call(spec, inputs)])

        case_id, spec, draw, weights = _special(f"{what}-masked-{names}", attempt, **options)
        inputs = draw.distinct("inputs", (2, 4, 2))
        inputs[0, 1], inputs[1, 3] = value, value
        mask = [[1, 0, 1, 1], [1, 1, 1, 0]]
        call = arranged_call(spec, inputs, mask, draw.distinct("state", (2, 3), -1))
        flags = ["MaskedNonFinite"]
        yield make_case(case_id, "masked-nonfinite", flags, spec, weights, [call])
    case_id, spec, draw, weights = _special(f"nan-state-{names}", attempt, **options)
    state = draw.distinct("state", (3, 3), -1)
    state[1, 2] = np.nan
    call = arranged_call(spec, draw.distinct("inputs", (3, 2, 2)), initial_state=state)
    yield make_case(case_id, "nonfinite", ["NaN"], spec, weights, [call])


def _zeros_and_subnormals(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    case_id, spec, draw, weights = _special("signed-zeros", attempt, reset_after=reset_after)
    inputs = draw.distinct("inputs", (2, 3, 2))
    inputs[0, 1], inputs[1, 0] = [0.0, -0.0], [-0.0, -0.0]
    call = arranged_call(spec, inputs, initial_state=np.array([[0.0, -0.0, 0.5], [-0.0, 0.25, 0.0]]))
    yield make_case(case_id, "signed-zero", ["SignedZero"], spec, weights, [call])

    for activation in ("linear", "tanh", "relu"):
        case_id, spec, draw, weights = _special(
            f"subnormal-{activation}", attempt, activation=activation, use_bias=False, reset_after=reset_after
        )
        weights["recurrent_kernel"][:] = 0
        weights["kernel"][:, :6] = 0
        inputs = np.abs(draw.distinct("inputs", (2, 3, 2))) * _TINY
        weights["kernel"] = np.abs(weights["kernel"])
        call = arranged_call(spec, inputs)
        yield make_case(case_id, "subnormals", ["Subnormal"], spec, weights, [call])


def edge_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases without timesteps and cases without rows."""
    for reset_after in (False, True):
        shapes: tuple[tuple[str, tuple[int, int], dict[str, Any]], ...] = (
            ("zero-timesteps-sequence", (2, 0), {"return_sequences": True}),
            ("zero-timesteps-last", (2, 0), {}),
            ("zero-timesteps-backwards", (2, 0), {"return_sequences": True, "go_backwards": True}),
            ("zero-timesteps-time-major", (2, 0), {"return_sequences": True, "time_major": True}),
            ("empty-batch-sequence", (0, 3), {"return_sequences": True}),
            ("empty-batch-last", (0, 3), {}),
            ("empty-batch-time-major", (0, 3), {"return_sequences": True, "time_major": True}),
        )
        for name, (batch, timesteps), options in shapes:
            spec = GRUSpec(units=4, reset_after=reset_after, return_state=True, **options)
            clause, flag = ("empty-batch", "EmptyBatch") if not batch else ("zero-timesteps", "ZeroTimesteps")
            for masked in (False, True):
                case_id = f"edge/{spec.variant}/{name}{'-masked' if masked else ''}"
                draw = Draw(f"{case_id}#{attempt}")
                mask = np.ones((batch, timesteps), bool) if masked else None
                call = arranged_call(
                    spec, draw.distinct("inputs", (batch, timesteps, 3)), mask, draw.distinct("state", (batch, 4), -1)
                )
                weights = draw_weights(draw, spec, 3)
                yield make_case(case_id, clause, [flag], spec, weights, [call])
        yield _stateful_without_timesteps(attempt, reset_after=reset_after)


def _stateful_without_timesteps(attempt: int, *, reset_after: bool) -> Case:
    """Carry the state through a call without timesteps."""
    spec = GRUSpec(units=4, reset_after=reset_after, stateful=True, return_state=True, return_sequences=True)
    case_id = f"edge/{spec.variant}/zero-timesteps-stateful"
    draw = Draw(f"{case_id}#{attempt}")
    calls = [arranged_call(spec, draw.distinct(f"inputs{i}", (2, t, 3))) for i, t in enumerate((2, 0, 1))]
    flags = ["ZeroTimesteps"]
    return make_case(case_id, "zero-timesteps", flags, spec, draw_weights(draw, spec, 3), [*calls, ResetStates()])
