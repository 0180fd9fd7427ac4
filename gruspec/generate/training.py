"""What only training shows: topics ``dropout``, ``gradient`` and ``stateful-gradient``.

Each has covering arrays over the forward options that change it, as :mod:`gruspec.generate.options` has for inference;
gradients also have longer sequences, and those of :mod:`gruspec.generate.gradient_edges`. Rates are 0.5 and 0.75, whose
scales are exact.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from gruspec.cases import Call
from gruspec.generate.covering import covering_array
from gruspec.generate.draws import Draw
from gruspec.generate.finish import shrinkage
from gruspec.generate.gradient_edges import gradient_edges
from gruspec.generate.layers import arranged_call, draw_weights, make_case
from gruspec.generate.masks import MASK_KINDS, MINIMAL_TIMESTEPS
from gruspec.generate.options import SWITCHES, case_operations, row_spec, row_words
from gruspec.generate.training_calls import draw_dropout_mask, trained
from gruspec.spec import ACTIVATIONS, Dimensions, GRUSpec, dropout_mask_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gruspec.cases import Case

    Rows = tuple[dict[str, Any], ...]

_EITHER = (False, True)
DROPPING: dict[str, dict[str, Any]] = {
    "none": {},
    "fused": {"implementation": 2},
    "inputs": {"dropout": 0.75},
    "recurrent": {"recurrent_dropout": 0.75},
    "both": {"dropout": 0.75, "recurrent_dropout": 0.5},
    "shared": {"dropout": 0.5, "implementation": 2},
    "shared-most": {"dropout": 0.75, "implementation": 2},
}
"""Arguments about dropout by a word for them."""

_USUAL: dict[str, tuple[Any, ...]] = {
    "mask": ("none",),
    "initial_state": ("non-zero",),
    **dict.fromkeys(SWITCHES, (False,)),
    "use_bias": (True,),
    "activation": ("tanh",),
    "dropping": ("none",),
    "training": (True,),
    "calls": ("one",),
    "batch": (2,),
    "timesteps": (4,),
    "input_size": (3,),
    "units": (3,),
}
"""What a covering array below does not vary."""

_GRADIENT = {
    "mask": ("none", "right-padded", "left-padded", "gaps", "all-masked-row"),
    "initial_state": ("none", "non-zero"),
    **dict.fromkeys(SWITCHES, _EITHER),
    "use_bias": _EITHER,
    "activation": ACTIVATIONS,
    "recurrent_activation": ACTIVATIONS,
    "dropping": ("none", "fused", "recurrent", "both", "shared"),
    "batch": (1, 3),
    "timesteps": (1, 2, 5),
    "input_size": (1, 3),
    "units": (1, 3, 4),
}
_PATHS = {
    "mask": MASK_KINDS,
    "initial_state": ("none", "non-zero"),
    **dict.fromkeys(("go_backwards", "return_sequences", "return_state", "zero_output_for_mask"), _EITHER),
}
"""The options that decide which way a cotangent takes, which no variant changes."""

_COMMON = {
    "mask": ("none", "right-padded"),
    "initial_state": ("none", "non-zero"),
    **dict.fromkeys(("return_sequences", "return_state", "time_major", "use_bias"), _EITHER),
    "batch": (1, 3),
    "timesteps": (2, 5),
    "units": (3, 5),
}
"""The region that nearly every framework has."""

_STATEFUL = {
    "calls": ("two", "reset", "reset-values", "explicit-state"),
    "mask": ("none", "gaps"),
    **dict.fromkeys(("go_backwards", "return_sequences", "return_state"), _EITHER),
    "dropping": ("none", "recurrent"),
    "timesteps": (3,),
    "units": (2,),
}
_DROPOUT = {
    "dropping": ("inputs", "recurrent", "both", "shared", "shared-most"),
    "training": _EITHER,
    "mask": ("none", "gaps"),
    "initial_state": ("none", "non-zero"),
    **dict.fromkeys(("go_backwards", "return_sequences", "return_state", "time_major", "use_bias"), _EITHER),
    "activation": ("tanh", "relu"),
    "calls": ("one", "two"),
    "batch": (1, 3),
    "timesteps": (1, 4),
    "input_size": (1, 3),
    "units": (1, 4),
}
_ARRAYS: dict[str, tuple[dict[str, tuple[Any, ...]], int]] = {
    "gradient": (_GRADIENT, 2),
    "paths": (_PATHS, 3),
    "few-paths": (_PATHS, 2),
    "stateful": (_STATEFUL, 2),
    "dropout": (_DROPOUT, 2),
}
_LONGER = ((12, 8, "tanh"), (33, 5, "tanh"), (12, 5, "linear"))


def dropout_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases of explicit dropout masks, that act and that do not."""
    for reset_after in _EITHER:
        for name, options in _SINGLE_MASKS.items():
            yield _single_mask(name, options, attempt, reset_after=reset_after)
        for row in _rows("dropout", reset_after=reset_after):
            yield _row_case("dropout", "dropout-masks", row, attempt, reset_after=reset_after)


def gradient_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with cotangents, of single calls."""
    for reset_after in _EITHER:
        paths = _rows("few-paths" if reset_after else "paths", reset_after=reset_after)
        rows = [*paths, *_rows("gradient", reset_after=reset_after)]
        yield from _unlike(
            "gradient", [*rows, *(common_rows() if reset_after else ())], attempt, reset_after=reset_after
        )
        for timesteps, units, activation in _LONGER:
            usual = {name: values[0] for name, values in _USUAL.items()}
            gates = "sigmoid" if reset_after else "hard_sigmoid"
            sizes = {"timesteps": timesteps, "units": units, "return_state": True}
            row = usual | {"recurrent_activation": gates, "activation": activation} | sizes
            yield _row_case("gradient", "gradients", row, attempt, reset_after=reset_after)
        yield from gradient_edges(attempt, reset_after=reset_after)


def stateful_gradient_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with cotangents in every call of a stateful layer: none crosses into an earlier call."""
    for reset_after in _EITHER:
        yield from _unlike(
            "stateful-gradient", _rows("stateful", reset_after=reset_after), attempt, reset_after=reset_after
        )


@cache
def _rows(name: str, *, reset_after: bool) -> Rows:
    parameters, strength = _ARRAYS[name]
    gates: dict[str, tuple[Any, ...]] = {"recurrent_activation": ("sigmoid",) if reset_after else ("hard_sigmoid",)}
    variant = "reset-after" if reset_after else "reset-before"
    return tuple(covering_array(_USUAL | gates | parameters, strength, _allowed, f"training/{name}/{variant}"))


@cache
def common_rows() -> Rows:
    """Return the covering array of the region that nearly every framework has."""
    gates: dict[str, tuple[Any, ...]] = {"recurrent_activation": ("sigmoid",)}
    return tuple(covering_array(_USUAL | gates | _COMMON, 2, _allowed, "training/common"))


def _allowed(row: Mapping[str, Any]) -> bool:
    """Return whether a row, which may be partial, has the timesteps that its mask needs."""
    return bool(row.get("timesteps", 4) >= MINIMAL_TIMESTEPS.get(row.get("mask", "none"), 1))


def _unlike(topic: str, rows: Any, attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Yield the case of each row, once where rows are alike."""
    cases = (_row_case(topic, "gradients", row, attempt, reset_after=reset_after) for row in rows)
    yield from {case.id: case for case in cases}.values()


def _row_case(topic: str, clause: str, row: Mapping[str, Any], attempt: int, *, reset_after: bool) -> Case:
    row = {**row, **DROPPING[row["dropping"]]}
    spec = row_spec(row, reset_after=reset_after)
    case_id = f"{topic}/{spec.variant}/{row_words(row)}"
    draw = Draw(f"{case_id}#{attempt}")
    weights = draw_weights(draw, spec, row["input_size"], shrink=shrinkage(attempt))
    operations = [
        trained(Draw(f"{case_id}#{attempt}/{i}"), spec, call, training=row["training"], gradients=topic != "dropout")
        for i, call in enumerate(case_operations(case_id, attempt, spec, row))
    ]
    return make_case(case_id, clause, (), spec, weights, operations)


_SINGLE_MASKS: dict[str, dict[str, Any]] = {
    "inputs": {"dropout": 0.5},
    "inputs-shared": {"dropout": 0.5, "implementation": 2},
    "recurrent": {"recurrent_dropout": 0.5},
    "recurrent-forces-gate-by-gate": {"dropout": 0.5, "recurrent_dropout": 0.75, "implementation": 2},
    "inference": {"dropout": 0.5, "recurrent_dropout": 0.5, "training": False},
    "rate-one-in-inference": {"dropout": 1.0, "recurrent_dropout": 1.0, "training": False},
    "rate-zero": {"masks": True},
    "both-of-one-shape": {"dropout": 0.5, "recurrent_dropout": 0.5, "features": 3},
}
"""By name, the arguments of layers that differ in nothing else, and of their call."""

_NO_RATES = ("training", "masks", "features")


def _single_mask(name: str, options: Mapping[str, Any], attempt: int, *, reset_after: bool) -> Case:
    gates = "sigmoid" if reset_after else "hard_sigmoid"
    rates = {argument: value for argument, value in options.items() if argument not in _NO_RATES}
    spec = GRUSpec(
        units=3, recurrent_activation=gates, reset_after=reset_after, return_sequences=True, return_state=True, **rates
    )
    case_id = f"dropout/{spec.variant}/{name}"
    draw = Draw(f"{case_id}#{attempt}")
    features = options.get("features", 2)
    inputs = draw.distinct("inputs", (2, 2, features))
    call = arranged_call(spec, inputs, initial_state=draw.distinct("state", (2, 3), -1))
    operation = trained(draw, spec, call, training=options.get("training", True), gradients=False)
    if "masks" in options and isinstance(operation, Call):
        shapes = dropout_mask_shapes(spec, Dimensions(2, 2, features, 3))
        masks = {kind: draw_dropout_mask(draw, kind, shape, 0.5) for kind, shape in shapes.items()}
        operation = replace(operation, training=True, dropout_masks=masks)
    weights = draw_weights(draw, spec, features, shrink=shrinkage(attempt))
    return make_case(case_id, "dropout-masks", (), spec, weights, [operation])
