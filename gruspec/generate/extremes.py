"""Topics ``saturation``, ``special`` and ``edge``: far from zero, not a number, and nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import ResetStates
from gruspec.generate.draws import Draw
from gruspec.generate.elementary import SATURATED
from gruspec.generate.layers import arranged_call, draw_weights, make_case
from gruspec.spec import GRUSpec, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case

_SPECIAL_ACTIVATIONS = (("tanh", "sigmoid"), ("tanh", "hard_sigmoid"), ("relu", "hard_sigmoid"))
_KINK_CLAUSE = {"hard_sigmoid": "hard-sigmoid", "relu": "activations"}
_MANY_ROWS = 1030
_TINY = 2.0**-136
"""Subnormal in float32."""

_TINY_IN_FLOAT64 = 2.0**-1050
"""Subnormal in float64, so that products of 8 bits by 1/2 are exact."""


def saturation_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with large pre-activations, and with pre-activations exactly at the corners."""
    for reset_after in (False, True):
        for activation in ("tanh", "sigmoid", "hard_sigmoid"):
            for recurrent_activation in ("sigmoid", "hard_sigmoid"):
                yield _saturated(activation, recurrent_activation, attempt, reset_after=reset_after)
        yield _large_relu(attempt, reset_after=reset_after)
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


def _large_relu(attempt: int, *, reset_after: bool) -> Case:
    """Let a relu grow as far as its inputs: it has no cap."""
    spec = GRUSpec(units=4, activation="relu", reset_after=reset_after, return_sequences=True, return_state=True)
    case_id = f"saturation/{spec.variant}/relu-large"
    draw = Draw(f"{case_id}#{attempt}")
    call = arranged_call(spec, draw.distinct("inputs", (3, 2, 3)) * np.array([16.0, 32.0, 64.0])[:, None, None])
    return make_case(case_id, "activations", ["Saturated"], spec, draw_weights(draw, spec, 3), [call])


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
        yield from _arising(attempt, reset_after=reset_after)
        yield _everything_special(attempt, reset_after=reset_after)
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


_POSITIVE = np.array([[1.0, 1.0, 1.0], [0.5, 2.0, 0.25]])
_OPPOSITE = _POSITIVE * np.array([[1.0], [-1.0]])


def _arising(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Let NaN arise: from the difference of two infinities in one gate alone, and from an infinity times zero."""
    for activation, recurrent_activation, blocks in (
        ("tanh", "hard_sigmoid", (_OPPOSITE, _POSITIVE, _POSITIVE)),
        ("tanh", "sigmoid", (_OPPOSITE, _POSITIVE, _POSITIVE)),
        ("relu", "hard_sigmoid", (_POSITIVE, _POSITIVE, _OPPOSITE)),
    ):
        names = f"{activation}-{recurrent_activation}".replace("_", "-")
        for timesteps in (1, 3):
            case_id, spec, draw, weights = _special(
                f"inf-minus-inf-{names}-t{timesteps}",
                attempt,
                activation=activation,
                recurrent_activation=recurrent_activation,
                use_bias=False,
                reset_after=reset_after,
            )
            weights["kernel"] = np.concatenate(blocks, axis=1)
            inputs = np.abs(draw.distinct("inputs", (2, timesteps, 2)))
            inputs[0, -1] = np.inf
            yield make_case(case_id, "nonfinite", ["Infinity"], spec, weights, [arranged_call(spec, inputs)])
    for what, value in (("nan", np.nan), ("inf", np.inf)):
        for name, backwards in (("", False), ("-backwards", True)):
            case_id, spec, draw, weights = _special(
                f"{what}-times-zero{name}", attempt, reset_after=reset_after, go_backwards=backwards
            )
            weights["kernel"][0] = 0
            inputs = draw.distinct("inputs", (2, 3, 2))
            inputs[0, 1, 0] = value
            flags = ["NaN" if what == "nan" else "Infinity"]
            yield make_case(case_id, "nonfinite", flags, spec, weights, [arranged_call(spec, inputs)])


def _everything_special(attempt: int, *, reset_after: bool) -> Case:
    """Call one layer with all that is special, one thing a call: a layer that does not keep state forgets each."""
    case_id, spec, draw, weights = _special("everything", attempt, reset_after=reset_after, use_bias=False)
    blocks = (_OPPOSITE, _POSITIVE, _POSITIVE * np.array([[1.0], [0.0]]))
    weights["kernel"] = np.concatenate(blocks, axis=1)
    mask = [[1, 0, 1], [1, 1, 0]]

    def call(name: str, row: Any, *, masked: bool = False) -> Any:
        inputs = np.abs(draw.distinct(name, (2, 3, 2)))
        inputs[0, 1] = row
        return arranged_call(spec, inputs, mask if masked else None, draw.distinct(f"{name}-state", (2, 3), -1))

    rows = {"difference": [np.inf, np.inf], "product": [1.0, np.inf], "nan": [np.nan, 1.0], "zeros": [-0.0, 0.0]}
    calls = [call(name, row) for name, row in rows.items()]
    calls += [call(f"masked-{name}", row, masked=True) for name, row in rows.items()]
    return make_case(case_id, "nonfinite", ["NaN", "Infinity", "MaskedNonFinite"], spec, weights, calls)


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
    for activation in ("linear", "relu"):
        yield _subnormal_in_float64(activation, attempt, reset_after=reset_after)


def _subnormal_in_float64(activation: str, attempt: int, *, reset_after: bool) -> Case:
    """Multiply by powers of two alone: a bound above zero would be wider than all subnormal numbers of float64."""
    spec = GRUSpec(units=3, activation=activation, reset_after=reset_after, return_sequences=True, return_state=True)
    case_id = f"special/{spec.variant}/float64-subnormal-{activation}"
    closed = np.concatenate([np.full(6, SATURATED), np.zeros(3)])
    weights = {
        "kernel": np.concatenate([np.zeros(6), [0.5, 1.0, 2.0]])[None],
        "recurrent_kernel": np.zeros((3, 9)),
        "bias": np.stack([closed, np.zeros(9)]) if reset_after else closed,
    }
    inputs = np.abs(Draw(f"{case_id}#{attempt}").distinct("inputs", (2, 3, 1))) * _TINY_IN_FLOAT64
    return make_case(case_id, "subnormals", ["Subnormal"], spec, weights, [arranged_call(spec, inputs)])


def edge_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases without timesteps, rows or features, and cases with very many rows."""
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
        yield _stateful_without_rows(attempt, reset_after=reset_after)
        for name, options in (("sequence", {"return_sequences": True}), ("last", {"go_backwards": True})):
            yield _without_features(name, options, attempt, reset_after=reset_after)
        for name, sequences in (("nothing-sequence", True), ("nothing-last", False)):
            yield _without_anything(name, attempt, return_sequences=sequences, reset_after=reset_after)
        for activation in ("tanh", "linear"):
            yield _many_rows(activation, attempt, reset_after=reset_after)
        for name in _LARGE:
            yield _large(name, attempt, reset_after=reset_after)


def _without_features(name: str, options: dict[str, Any], attempt: int, *, reset_after: bool) -> Case:
    spec = GRUSpec(units=4, reset_after=reset_after, return_state=True, **options)
    case_id = f"edge/{spec.variant}/no-features-{name}"
    draw = Draw(f"{case_id}#{attempt}")
    call = arranged_call(spec, np.zeros((2, 3, 0)), initial_state=draw.distinct("state", (2, 4), -1))
    return make_case(case_id, "zero-input-size", ["NoFeatures"], spec, draw_weights(draw, spec, 0), [call])


def _without_anything(name: str, attempt: int, *, return_sequences: bool, reset_after: bool) -> Case:
    """Call a layer without features, with and without timesteps, rows and a mask."""
    spec = GRUSpec(units=4, return_state=True, return_sequences=return_sequences, reset_after=reset_after)
    case_id = f"edge/{spec.variant}/{name}"
    draw = Draw(f"{case_id}#{attempt}")
    calls = [
        arranged_call(spec, np.zeros((batch, timesteps, 0)), mask, draw.distinct(f"state{i}", (batch, 4), -1))
        for i, (batch, timesteps) in enumerate(((2, 3), (2, 0), (0, 3), (0, 0)))
        for mask in (None, np.ones((batch, timesteps), bool))
    ]
    flags = ["NoFeatures", "ZeroTimesteps", "EmptyBatch"]
    return make_case(case_id, "zero-input-size", flags, spec, draw_weights(draw, spec, 0), calls)


_LARGE = {
    "long": (1, 70, 2, 2),
    "ten-rows": (10, 3, 2, 2),
    "many-features": (2, 2, 20, 2),
    "many-units": (1, 2, 1, 130),
}
"""Batch, timesteps, input size and units of which one is larger than kernels handle at a time."""


def _large(name: str, attempt: int, *, reset_after: bool) -> Case:
    batch, timesteps, input_size, units = _LARGE[name]
    spec = GRUSpec(units=units, reset_after=reset_after, return_sequences=True, return_state=True)
    case_id = f"edge/{spec.variant}/{name}"
    draw = Draw(f"{case_id}#{attempt}")
    inputs = draw.distinct("inputs", (batch, timesteps, input_size))
    call = arranged_call(spec, inputs, initial_state=draw.distinct("state", (batch, units), -1))
    weights = {
        weight: draw.full_precision(weight, shape, bits=8, top=-1 - (2 * units).bit_length() // 2)
        for weight, shape in weight_shapes(spec, input_size).items()
    }
    return make_case(case_id, "timesteps", ["Large"], spec, weights, [call])


def _many_rows(activation: str, attempt: int, *, reset_after: bool) -> Case:
    spec = GRUSpec(units=1, activation=activation, reset_after=reset_after, use_bias=False)
    case_id = f"edge/{spec.variant}/many-rows-{activation}"
    draw = Draw(f"{case_id}#{attempt}")
    inputs = draw.distinct("inputs", (_MANY_ROWS, 1, 1))
    return make_case(case_id, "rows", ["Large"], spec, draw_weights(draw, spec, 1), [arranged_call(spec, inputs)])


def _stateful_without_rows(attempt: int, *, reset_after: bool) -> Case:
    spec = GRUSpec(units=4, reset_after=reset_after, stateful=True, return_state=True, return_sequences=True)
    case_id = f"edge/{spec.variant}/empty-batch-stateful"
    draw = Draw(f"{case_id}#{attempt}")
    calls = [arranged_call(spec, np.zeros((0, timesteps, 3))) for timesteps in (2, 1)]
    return make_case(case_id, "empty-batch", ["EmptyBatch"], spec, draw_weights(draw, spec, 3), calls)


def _stateful_without_timesteps(attempt: int, *, reset_after: bool) -> Case:
    """Carry the state through a call without timesteps."""
    spec = GRUSpec(units=4, reset_after=reset_after, stateful=True, return_state=True, return_sequences=True)
    case_id = f"edge/{spec.variant}/zero-timesteps-stateful"
    draw = Draw(f"{case_id}#{attempt}")
    calls = [arranged_call(spec, draw.distinct(f"inputs{i}", (2, t, 3))) for i, t in enumerate((2, 0, 1))]
    flags = ["ZeroTimesteps"]
    return make_case(case_id, "zero-timesteps", flags, spec, draw_weights(draw, spec, 3), [*calls, ResetStates()])
