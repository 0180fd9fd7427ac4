"""Wrong uses: a valid example with one thing wrong, in its constructor or in its last operation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from examples import Assign, Build, Call, Reset, SetWeights
from hypothesis import strategies as st
from strategies import Plan, right_uses, seldom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples import Example, Operation
    from hypothesis.strategies import DrawFn, SearchStrategy

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "units": (0, -1, None, "3"),
    "activation": ("tan", 3, {}, {"class_name": "Tan", "config": {}}, [1]),
    "recurrent_activation": ("hard", 2.5),
    "kernel_initializer": ("glorot", {}, {"class_name": "Glorot", "config": {}}),
    "recurrent_initializer": ("ortho", {"class_name": "Orthogonal", "config": {"gains": 2.0}}),
    "bias_initializer": ("zero_",),
    "kernel_regularizer": ({}, {"class_name": "L3", "config": {}}, {"class_name": "L1", "config": {"l1": np.nan}}),
    "recurrent_regularizer": ({"class_name": "L2", "config": {"l3": 1.0}},),
    "bias_regularizer": ({"config": {}},),
    "activity_regularizer": ({},),
    "kernel_constraint": ("max", {}, {"class_name": "MaxNorm", "config": {"maximum": 1}}),
    "recurrent_constraint": ("norm",),
    "bias_constraint": ("positive",),
    "dropout": ("0.5", None, 1j, [0.5]),
    "recurrent_dropout": ("a", None),
    "dtype": ("float31", "mixed", [1]),
    "name": (3, True, ["gru"]),
    "trainable": (1, None, "yes"),
    "seed": (3,),
    "return_runtime": (True,),
    "time_majors": (False,),
}
"""Arguments that both layers refuse, some of them unknown."""

ACCEPTED_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "units": (2.0, 2.5, True),
    "activation": ("PReLU",),
    "kernel_regularizer": ("l3",),
    "dropout": (float("nan"), True),
    "implementation": ("1", None, 1.5),
    "return_sequences": (1, "yes", None),
    "use_bias": (0,),
    "stateful": (None,),
    "unroll": (1,),
    "time_major": (0,),
    "zero_output_for_mask": (1,),
    "reset_after": ("after",),
    "batch_size": (2,),
    "dtype": ("int32", "bool", "complex64"),
    "kernel_initializer": (3,),
    "recurrent_regularizer": (0.01,),
    "bias_constraint": ([1],),
}
"""Arguments that need a known difference: the original takes them, refuses them later, or by another error."""


READ_ONLY = ("units", "activation", "use_bias", "kernel_initializer", "bias_constraint", "dropout", "implementation")
"""Attributes that cannot be assigned to."""

SHAPES = ((2,), (2, 3, None), "abc", (), (2, 3), (2, 3, 2, 2))
"""Shapes of inputs that a layer cannot be built for; the original takes the last two."""


def masks(plan: Plan) -> dict[str, Any]:
    """Return masks for three timesteps that are wrong, by what is wrong with them."""
    shapes = {
        "shorter": (plan.batch, 2),
        "longer": (plan.batch, 5),
        "another batch": (plan.batch + 1, 3),
        "one timestep": (plan.batch, 1),
        "one row": (1, 3),
        "by unit": (plan.batch, 3, plan.example.argument("units")),
        "by input": (plan.batch, 3, 7),
        "four axes": (plan.batch, 3, 1, 1),
    }
    found: dict[str, Any] = {kind: plan.ordered(plan.arrays.mask(shape, "bool")) for kind, shape in shapes.items()}
    right = plan.ordered(plan.arrays.mask((plan.batch, 3), "bool"))
    dtypes = {dtype: right.astype(dtype) for dtype in ("complex64", "str", "object")}
    return found | dtypes | {"vector": np.ones(3, bool), "scalar": np.array([True])[0], "transposed": right.T}


def inputs(plan: Plan) -> dict[str, Any]:
    """Return wrong inputs, by what is wrong with them."""
    right = plan.inputs(3)
    dtypes = {dtype: right.astype(dtype) for dtype in ("int64", "bool", "complex64", "str", "object")}
    wider = replace(plan, input_size=plan.input_size + 1).inputs(3)
    matrix = plan.arrays.numbers((3, plan.input_size), plan.example.dtype)
    return dtypes | {"matrix": matrix, "four axes": right[None], "wider": wider, "none": None, "number": 3.0}


def states(plan: Plan) -> dict[str, Any]:
    """Return wrong states, by what is wrong with them."""
    right, units = plan.state(), plan.example.argument("units")
    found = {
        kind: plan.arrays.numbers(shape, plan.example.dtype)
        for kind, shape in {
            "wider": (plan.batch, units + 1),
            "vector": (units + 1,),
            "three axes": (1, plan.batch, units),
            "longer": (plan.batch + 1, units),
            "one row": (1, units),
        }.items()
    }
    return found | {"str": right.astype(str), "complex64": right.astype(np.complex64), "two": [right, right]}


def weights(plan: Plan) -> dict[str, list[Any]]:
    """Return wrong weights, by what is wrong with them."""
    right = plan.arrays.weights(plan.example, plan.input_size)
    kernel, recurrent, *bias = right
    return {
        "missing": right[:-1],
        "superfluous": [*right, right[0]],
        "none": [],
        "transposed": [kernel.T, recurrent, *bias],
        "vector": [kernel, recurrent.ravel(), *bias],
        "complex64": [weight.astype(np.complex64) for weight in right],
        "str": [weight.astype(str) for weight in right],
    }


def seldom_last(kinds: dict[str, Any], accepted: Sequence[str]) -> SearchStrategy[str]:
    """Return names of kinds, in a few cases of a hundred one of those that the original accepts."""
    common = [kind for kind in kinds if kind not in accepted]
    return seldom(6).flatmap(lambda rare: st.sampled_from(list(accepted) if rare else common))


@st.composite
def wrong_operations(draw: DrawFn, plan: Plan) -> Operation:
    """Return an operation that a built layer, stateful or not, must refuse, unless it happens to be right."""
    stateful = plan.example.argument("stateful")
    call = Call(plan.inputs(3))
    match draw(st.sampled_from(("mask", "mask", "inputs", "inputs", "state", "reset", "weights", "other", "other"))):
        case "mask":
            wrong = masks(plan)
            accepted = ("one row", "by unit", "complex64", *(("longer",) if plan.example.argument("unroll") else ()))
            return replace(call, mask=wrong[draw(seldom_last(wrong, accepted))])
        case "inputs":
            return Call(draw(st.sampled_from(list(inputs(plan).values()))))
        case "state":
            wrong = states(plan)
            kind = draw(
                seldom_last(wrong, ("complex64",) if stateful else ()) if stateful else st.sampled_from(list(wrong))
            )
            return replace(call, initial_state=wrong[kind])
        case "reset":
            wrong = states(plan) | {"number": 3.0, "empty": []}
            return Reset(wrong[draw(seldom_last(wrong, ("complex64",)))])
        case "weights":
            wrong = weights(plan)
            return SetWeights(wrong[draw(seldom_last(wrong, ("complex64", "str")))])
    return draw(
        st.sampled_from(
            (
                Reset() if not stateful else Call(replace(plan, batch=plan.batch + 1).inputs(2)),
                Assign(draw(st.sampled_from(READ_ONLY)), draw(st.sampled_from((3, None, "tanh")))),
                replace(call, training=draw(st.sampled_from((2, "yes")))),
                replace(call, extra={draw(st.sampled_from(("constants", "masks"))): 3}),
                replace(call, initial_state=plan.state(), state_form="both"),
            )
        )
    )


@st.composite
def wrong_arguments(draw: DrawFn, plan: Plan) -> Example:
    """Return an example with one constructor argument wrong."""
    wrong = ACCEPTED_ARGUMENTS if draw(seldom(4)) else ARGUMENTS
    name = draw(st.sampled_from(list(wrong)))
    value = draw(st.sampled_from(wrong[name]))
    return replace(plan.example, arguments={**plan.example.arguments, name: value})


@st.composite
def wrong_uses(draw: DrawFn, plans: SearchStrategy[Plan] = right_uses()) -> Example:  # noqa: B008 - a strategy
    """Return an example of wrong use."""
    plan = draw(plans)
    operations = plan.example.operations
    match draw(st.sampled_from(("argument", "argument", "operation", "operation", "operation", "early", "build"))):
        case "argument":
            return draw(wrong_arguments(plan))
        case "early":
            early = draw(wrong_operations(plan))
            return replace(plan.example, operations=[early])
        case "build":
            shape = draw(st.sampled_from(SHAPES[-2:] if draw(seldom(6)) else SHAPES[:-2]))
            return replace(plan.example, operations=[Build(shape)])
    wrong = draw(wrong_operations(plan))
    if isinstance(wrong, Call) and wrong.initial_state is not None and plan.example.argument("stateful"):
        return replace(plan.example, operations=[*operations[:-1], Reset(), wrong])
    return replace(plan.example, operations=[*operations[:-1], wrong])


def examples(wrong: float = 20) -> SearchStrategy[Example]:
    """Return examples, so many in a hundred of them of wrong use."""
    right = right_uses().map(lambda plan: plan.example)
    return seldom(wrong).flatmap(lambda is_wrong: wrong_uses() if is_wrong else right)
