"""How far outputs move where biases were folded: never further than the bound, and nearly as far where steered."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from mpmath import mp, mpf

from gruspec.layouts import LAYOUTS, Cell, Exactness, convert, plan, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Arrays = dict[str, Array]

INPUTS, UNITS = 3, 4


class Functions(NamedTuple):
    gate: Callable[[Array], Array]
    candidate: Callable[[Array], Array]


def each(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    return np.vectorize(function, otypes=[object])


GATES = {
    "sigmoid": each(lambda x: 1 / (1 + mp.exp(-x))),
    "hard_sigmoid": each(lambda x: min(mpf(1), max(mpf(0), x / 5 + mpf(1) / 2))),
    "hard_sigmoid_6": each(lambda x: min(mpf(1), max(mpf(0), x / 6 + mpf(1) / 2))),
}
CANDIDATES = {**GATES, "tanh": each(mp.tanh)}


def exact(values: Array) -> Array:
    """Return values as numbers of 40 digits, which no rounding of the layer can be mistaken for."""
    return each(lambda x: mpf(float(x)))(values)


def states(arrays: Arrays, inputs: Array, state: Array, functions: Functions, *, reset_after: bool) -> Array:
    """Return the states (T, B, u) of a GRU in the layout of ONNX, layer by the equations alone."""
    w, r, b = (exact(arrays[name][0]) for name in "WRB")
    bias, recurrent = b[: 3 * UNITS], b[3 * UNITS :]
    cut = [slice(number * UNITS, (number + 1) * UNITS) for number in range(3)]
    (wz, wr, wh), (rz, rr, rh) = ([matrix[part].T for part in cut] for matrix in (w, r))
    (bz, br, bh), (cz, cr, ch) = ([vector[part] for part in cut] for vector in (bias, recurrent))
    found = []
    for x in exact(inputs):
        update = functions.gate(x @ wz + state @ rz + bz + cz)
        reset = functions.gate(x @ wr + state @ rr + br + cr)
        product = reset * (state @ rh + ch) if reset_after else (reset * state) @ rh + ch
        state = update * state + (1 - update) * functions.candidate(x @ wh + product + bh)
        found.append(state)
    return np.array(found)


def moved(one: Array, other: Array) -> list[float]:
    """Return by timestep the largest distance of states so far."""
    steps = [max(abs(value) for value in step.ravel()) for step in one - other]
    return [float(max(steps[: number + 1])) for number in range(len(steps))]


def layer(seed: int, scale: float) -> Arrays:
    generator = np.random.default_rng(seed)
    return {
        "W": (scale * generator.standard_normal((1, 3 * UNITS, INPUTS))).astype(np.float32),
        "R": (scale * generator.standard_normal((1, 3 * UNITS, UNITS))).astype(np.float32),
        "B": (scale * generator.standard_normal((1, 6 * UNITS))).astype(np.float32),
    }


def folded(arrays: Arrays, *, reset_after: bool, **activations: Any) -> Any:
    source = replace(LAYOUTS["onnx"], activations=(), recurrent_activations=())
    target = "linen" if reset_after else "keras"
    return convert(arrays, source, target, reset_after=reset_after, allow_folding=True, **activations)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize(
    ("activation", "recurrent_activation"),
    [("tanh", "sigmoid"), ("sigmoid", "hard_sigmoid"), ("tanh", "hard_sigmoid_6")],
)
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_outputs_never_move_further_than_the_bound(
    activation: str, recurrent_activation: str, scale: float, *, reset_after: bool
) -> None:
    mp.dps = 40
    functions = Functions(GATES[recurrent_activation], CANDIDATES[activation])
    for seed in range(3):
        arrays = layer(seed, scale)
        result = folded(
            arrays, reset_after=reset_after, activation=activation, recurrent_activation=recurrent_activation
        )
        back = convert(result.arrays, result.target, "onnx", reset_after=reset_after).arrays
        generator = np.random.default_rng(seed + 100)
        inputs = 3 * generator.standard_normal((5, 4, INPUTS))
        start = exact(generator.uniform(-1, 1, (4, UNITS)))
        distances = moved(
            states(arrays, inputs, start, functions, reset_after=reset_after),
            states(back, inputs, start, functions, reset_after=reset_after),
        )
        assert result.exactness is Exactness.FOLDED
        assert distances[0] > 0
        assert all(distance <= result.folding.bound(step + 1) for step, distance in enumerate(distances))


def steered(gate: str, *, kernels: float = 0.0) -> Arrays:
    """Return a layer in which one sum of biases is rounded by half an ulp, and all of it is seen in the outputs."""
    arrays = {"W": np.zeros((1, 12, INPUTS)), "R": np.zeros((1, 12, UNITS)), "B": np.zeros((1, 24))}
    place = {"z": 0, "r": UNITS, "h": 2 * UNITS}[gate]
    arrays["B"][0, place : place + UNITS] = 2.0**-3
    arrays["B"][0, 12 + place : 12 + place + UNITS] = 2.0**-28
    if gate == "z":
        arrays["B"][0, 2 * UNITS : 3 * UNITS] = -40
    if gate == "r":
        arrays["B"][0, :UNITS] = -40
        arrays["B"][0, 2 * UNITS : 3 * UNITS] = -0.53
        arrays["B"][0, 12 + 2 * UNITS :] = 0.5
    arrays["R"][0, 2 * UNITS :] = kernels * np.eye(UNITS)
    return {name: values.astype(np.float32) for name, values in arrays.items()}


@pytest.mark.parametrize(
    ("gate", "reset_after", "least", "kernels"),
    [("h", False, 0.4, 0.0), ("h", False, 0.4, 1.0), ("r", True, 0.95, 0.5), ("z", True, 0.95, 0.0)],
)
def test_a_steered_layer_moves_nearly_as_far(gate: str, least: float, kernels: float, *, reset_after: bool) -> None:
    mp.dps = 40
    arrays = steered(gate, kernels=kernels)
    result = folded(arrays, reset_after=reset_after, activation="tanh", recurrent_activation="sigmoid")
    assert result.folding.largest_rounding == 2.0**-28
    back = convert(result.arrays, result.target, "onnx", reset_after=reset_after).arrays
    start = exact(np.full((1, UNITS), 0.0 if gate == "h" else 1.0))
    functions = Functions(GATES["sigmoid"], CANDIDATES["tanh"])
    inputs = np.zeros((1, 1, INPUTS))
    (distance,) = moved(
        states(arrays, inputs, start, functions, reset_after=reset_after),
        states(back, inputs, start, functions, reset_after=reset_after),
    )
    bound = result.folding.bound(1)
    assert least * bound <= distance <= bound


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_error_of_each_sum_is_exact(dtype: str) -> None:
    arrays = {name: values.astype(dtype) for name, values in layer(5, 1.0).items()}
    result = folded(arrays, reset_after=True)
    first, second = arrays["B"][0, : 2 * UNITS], arrays["B"][0, 3 * UNITS : 5 * UNITS]
    errors = [
        abs(mpf(float(one)) + mpf(float(other)) - mpf(float(one + other)))
        for one, other in zip(first, second, strict=True)
    ]
    assert result.folding.largest_rounding == float(max(errors)) > 0


def two_layers() -> Arrays:
    generator = np.random.default_rng(11)
    shapes = {
        f"{part}_l{number}": shape
        for number in range(2)
        for part, shape in (("weight_ih", (12, 4)), ("weight_hh", (12, 4)), ("bias_ih", (12,)), ("bias_hh", (12,)))
    }
    return {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_bound_grows_with_steps_and_layers_up_to_two() -> None:
    arrays = two_layers()
    whole = convert(arrays, "torch", "onednn", allow_folding=True).folding
    assert whole is not None
    first = plan(unpack(arrays, LAYOUTS["torch"]).cell(Cell(0, 0)), LAYOUTS["onednn"], allow_folding=True).folding
    assert first is not None
    for steps in (1, 2, 5, 300):
        assert 0 < first.bound(steps) <= whole.bound(steps) <= 2
    bounds = [whole.bound(steps) for steps in (1, 2, 5, 300)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == 2


def test_sums_without_rounding_move_nothing() -> None:
    arrays = layer(0, 1.0)
    arrays["B"] = np.round(arrays["B"] * 4)
    result = folded(arrays, reset_after=True)
    assert result.folding.largest_rounding == 0
    assert result.folding.bound(1000) == 0


@pytest.mark.parametrize(
    ("activation", "recurrent_activation"), [("relu", "sigmoid"), ("tanh", "tanh"), ("linear", "relu")]
)
def test_no_bound_where_states_can_grow(activation: str, recurrent_activation: str) -> None:
    """A gate below 0 makes 1 - z larger than 1, so that states leave [-1, 1] though tanh does not."""
    result = convert(
        layer(0, 1.0),
        "onnx",
        "linen",
        reset_after=True,
        allow_folding=True,
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    assert result.folding is not None
    assert math.isinf(result.folding.bound(1))


@pytest.mark.parametrize(("name", "place"), [("W", 0), ("W", 30), ("R", 5), ("R", 45)])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_no_bound_where_a_weight_is_not_finite(name: str, place: int, value: float) -> None:
    arrays = layer(0, 1.0)
    arrays[name].flat[place] = value
    assert math.isinf(folded(arrays, reset_after=True).folding.bound(1))


def test_infinite_biases_are_not_roundings() -> None:
    arrays = steered("z")
    arrays["B"][0, 1], arrays["B"][0, 13] = np.inf, 1
    arrays["B"][0, 2], arrays["B"][0, 14] = 1, np.nan
    result = folded(arrays, reset_after=True)
    assert result.folding.largest_rounding == 2.0**-28
    assert np.isposinf(result.arrays["iz/bias"][1])
    assert np.isnan(result.arrays["iz/bias"][2])
