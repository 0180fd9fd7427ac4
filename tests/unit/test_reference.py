"""The definition against loops over single numbers of 1000 bits, and balls that know what they do not know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flint import arb, ctx
from long_numbers import FUNCTIONS, Layer, mp, nearest

from gruspec import GRUSpec
from gruspec.cases import Call, Case, ResetStates, Suite
from gruspec.cases.model import GRADIENTS, gradient_names
from gruspec.certify import PRECISIONS
from gruspec.errors import NotStatefulError, SpecError
from gruspec.numerics import nearest_float
from gruspec.reference import Definition, evaluate, run_operations
from gruspec.reference.balls import BallNumbers
from gruspec.reference.ieee import FLOAT64, PERMITTED_FORMS
from gruspec.spec import ACTIVATIONS, WeightSettings, weight_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PRODUCTS = 100_000
"""Larger cases of the golden data are left out: numbers of 1000 bits take their time."""

FEW = 3
"""Of the other topics only one case in so many is computed."""

TOPICS = [topic for topic in Suite.load().topics if topic != "invalid"]
WHOLE = {"elementary", "precision", "saturation", "special", "edge", "stateful-gradient", "losses"}


def products(case: Case) -> int:
    """Return how many products the calls take, once and twice more for each element of a gradient."""
    found = 0
    for call in case.calls:
        if isinstance(call, Call):
            rows, columns, input_size = call.inputs.shape
            elements = sum(call.expected[f"{GRADIENTS}{name}"].kappa.size for name in gradient_names(case, call))
            found += rows * columns * 3 * case.spec.units * (case.spec.units + input_size) * (1 + 2 * elements)
    return found


def sample(topic: str) -> list[Case]:
    """Return cases of a topic that are to be computed; at a corner, differences tell nothing about gradients."""
    cases = [case for case in Suite.load().cases([topic]) if case.clause != "gradient-kinks"]
    affordable = [case for case in cases if products(case) <= MOST_PRODUCTS]
    return affordable if topic in WHOLE else affordable[::FEW]


def disagreements(case: Case, layer: Layer) -> list[str]:
    calls = [call for call in case.calls if isinstance(call, Call)]
    return [
        f"{case.id}: {name} of call {i}"
        for i, (call, result) in enumerate(zip(calls, layer.results(case), strict=True))
        for name, value in result.items()
        if not np.array_equal(np.asarray(call.expected[name].value), value, equal_nan=True)
    ]


@pytest.mark.parametrize("topic", TOPICS)
def test_golden_values_are_the_correctly_rounded_ones(topic: str) -> None:
    cases = sample(topic)
    assert len(cases) >= 12
    assert [text for case in cases for text in disagreements(case, Layer(case.spec, dict(case.weights)))] == []


@pytest.mark.parametrize("topic", TOPICS)
def test_the_definition_in_float64_gives_golden_values_within_their_bounds(topic: str) -> None:
    for case in sample(topic):
        calls = [call for call in case.calls if isinstance(call, Call)]
        with np.errstate(all="ignore"):
            results = evaluated(FLOAT64, case.spec, case.weights, *case.calls, settings=case.settings)
        for call, result in zip(calls, results, strict=True):
            found = result.arranged(np.asarray)
            for name, expected in call.expected.items():
                value = np.asarray(expected.value)
                finite = np.isfinite(value)
                assert np.array_equal(found[name][~finite], value[~finite], equal_nan=True)
                error, granted = (
                    np.abs(found[name] - value)[finite],
                    (expected.kappa + np.abs(value))[finite] * 2.0**-53,
                )
                assert (error <= granted).all(), f"{case.id}: {name}"


def test_a_wrong_layer_is_found_out() -> None:
    """The comparison has teeth: the other variant, or a value in its last place, disagrees."""
    case = next(case for case in sample("elementary") if case.clause == "reset-before")
    other = replace(case.spec, reset_after=True)
    assert disagreements(case, Layer(case.spec, dict(case.weights))) == []
    assert disagreements(case, Layer(other, dict(case.weights)))
    (call,) = case.calls
    assert isinstance(call, Call)
    moved = {name: replace(e, value=np.nextafter(np.asarray(e.value), 9)) for name, e in call.expected.items()}
    assert disagreements(replace(case, calls=(replace(call, expected=moved),)), Layer(case.spec, dict(case.weights)))


def balls(*enclosures: Any) -> NDArray[np.object_]:
    return np.array(enclosures, dtype=object).reshape(1, 1, -1)


def activated(name: str, ball: Any) -> Any:
    return BallNumbers().activation(name, balls(ball))[0, 0, 0]


@pytest.mark.parametrize(
    ("name", "corner", "slope"), [("hard_sigmoid", 2.5, 0.2), ("hard_sigmoid", -2.5, 0.2), ("relu", 0.0, 1.0)]
)
def test_a_ball_around_a_corner_is_enclosed_and_not_decided(name: str, corner: float, slope: float) -> None:
    with ctx.workprec(128):
        radius = arb(2) ** -20
        found = activated(name, arb(corner, radius))
        assert not found.is_exact()
        for offset in (-radius, -radius / 3, arb(0), radius / 3, radius):
            assert found.contains(activated(name, arb(corner) + offset))
        assert found.rad() <= slope * radius
        assert nearest_float(found) is None


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("hard_sigmoid", 2.5, 1.0),
        ("hard_sigmoid", -2.5, 0.0),
        ("hard_sigmoid", 40.0, 1.0),
        ("relu", 0.0, 0.0),
        ("relu", -1.0, 0.0),
        ("tanh", 0.0, 0.0),
        ("sigmoid", 0.0, 0.5),
    ],
)
def test_corners_met_exactly_are_exact(name: str, argument: float, expected: float) -> None:
    with ctx.workprec(128):
        found = activated(name, arb(argument))
        assert found == arb(expected)
        assert found.is_exact()


def test_balls_beyond_a_corner_are_exact() -> None:
    with ctx.workprec(128):
        assert activated("hard_sigmoid", arb(3, 0.25)) == 1
        assert activated("hard_sigmoid", arb(-3, 0.25)) == 0
        assert activated("relu", arb(-3, 0.25)) == 0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_enclose_those_of_long_numbers(name: str) -> None:
    with ctx.workprec(128):
        for x in (-31.0, -2.75, -2.5, -0.3, 0.0, 2.0**-40, 0.7, 2.4, 2.5, 17.0):
            assert nearest_float(activated(name, arb(x))) == nearest(FUNCTIONS[name](mp.mpf(x)))


def blended(update: Any, state: Any, candidate: Any) -> Any:
    return BallNumbers().blend(balls(update), balls(state), balls(candidate))[0, 0, 0]


def test_a_saturated_update_gate_keeps_the_other_side_out() -> None:
    with ctx.workprec(128):
        wide = arb(0, 1e9)
        assert blended(arb(1), arb(0.75), wide) == arb(0.75)
        assert blended(arb(0), wide, arb(0.75)) == arb(0.75)
        assert not blended(arb(0.5, 0.125), arb(1), arb(0.75)).is_exact()
        assert blended(arb(0.5, 0.125), arb(1), arb(0.75)).contains(arb(0.75) + arb(0.375) * arb(0.25))


def evaluated(numbers_: Any, spec: GRUSpec, weights: Any, *calls: Any, settings: WeightSettings | None = None) -> Any:
    results = run_operations(numbers_, spec, weights, calls, settings=settings)
    return [result for result in results if result is not None]


@pytest.mark.parametrize("bits", PRECISIONS)
def test_an_inexact_tie_is_never_decided(bits: int) -> None:
    with ctx.workprec(bits):
        z, tie = arb(1) / 3, 1 + arb(2) ** -53
        assert nearest_float(z * tie + (1 - z) * tie) is None
        assert nearest_float(blended(z, tie, tie)) == 1.0  # the update gate stands once: h - n is exactly 0


def test_evaluate_agrees_with_long_numbers() -> None:
    rng = np.random.default_rng(1)
    for reset_after in (False, True):
        spec = GRUSpec(
            units=3, reset_after=reset_after, recurrent_activation="sigmoid", go_backwards=True, return_sequences=True
        )
        weights = {name: rng.uniform(-1, 1, shape) for name, shape in weight_shapes(spec, 2).items()}
        call = Call(rng.uniform(-1, 1, (2, 4, 2)), rng.random((2, 4)) < 0.7, rng.uniform(-1, 1, (2, 3)))
        outputs, state = evaluate(spec, weights, call.inputs, call.mask, call.initial_state)
        case = Case("c", "c", "timesteps", (), (), spec, weights, (call,))
        (expected,) = Layer(spec, weights).results(case)
        np.testing.assert_allclose(outputs, expected["outputs"], rtol=1e-13)
        np.testing.assert_allclose(state, expected["state"], rtol=1e-13)


def test_a_subclass_replaces_one_seam() -> None:
    class Reversed(Definition[Any]):
        def order(self, timesteps: int) -> Any:
            return reversed(range(timesteps))

    rng = np.random.default_rng(2)
    spec, backwards = GRUSpec(units=2), GRUSpec(units=2, go_backwards=True)
    weights = {name: rng.uniform(-1, 1, shape) for name, shape in weight_shapes(spec, 2).items()}
    call = Call(rng.uniform(-1, 1, (1, 3, 2)))
    (right,), (wrong,) = (
        list(run_operations(FLOAT64, spec, weights, [call], definition=kind)) for kind in (Definition, Reversed)
    )
    (other,) = evaluated(FLOAT64, backwards, weights, call)
    assert right is not None
    assert wrong is not None
    assert not np.array_equal(right.state, wrong.state)
    assert np.array_equal(wrong.state, other.state)


def test_no_step_sees_masked_inputs() -> None:
    seen = []

    class Watched(Definition[Any]):
        def cell(self, inputs: Any, state: Any) -> Any:
            seen.append(inputs)
            return super().cell(inputs, state)

    call = Call(np.array([[[np.nan], [1.0], [np.inf]]]), np.array([[False, True, False]]))
    (result,) = run_operations(FLOAT64, STATEFUL, HALVING, [call], definition=Watched)
    assert result is not None
    assert result.state == 0.5
    assert [float(inputs[0, 0, 0]) for inputs in seen] == [0.0, 1.0, 0.0]


def test_permitted_forms_differ_in_rounding_only() -> None:
    rng = np.random.default_rng(3)
    spec = GRUSpec(units=3, return_state=True)
    weights = {name: rng.uniform(-1, 1, shape) for name, shape in weight_shapes(spec, 2).items()}
    call = Call(rng.uniform(-1, 1, (2, 5, 2)).astype(np.float32).astype(np.float64))
    weights = {name: array.astype(np.float32).astype(np.float64) for name, array in weights.items()}
    states = [evaluated(numbers_, spec, weights, call)[0].state for numbers_ in PERMITTED_FORMS]
    assert {state.dtype.name for state in states} == {"float32", "float64"}
    assert len({state.astype(np.float64).tobytes() for state in states}) > 2
    for state in states:
        np.testing.assert_allclose(state, states[-1], rtol=2e-5)


STATEFUL = GRUSpec(units=1, activation="linear", use_bias=False, stateful=True)
HALVING = {"kernel": np.array([[0.0, 0.0, 1.0]]), "recurrent_kernel": np.zeros((1, 3))}
"""Every step computes (h + x) / 2."""


def states_after(*operations: Any) -> list[float]:
    return [float(result.state[0, 0, 0]) for result in evaluated(FLOAT64, STATEFUL, HALVING, *operations)]


def test_state_is_carried_reset_and_given() -> None:
    call, empty = Call(np.full((1, 1, 1), 8.0)), Call(np.zeros((1, 0, 1)))
    given = replace(call, initial_state=np.array([[16.0]]))
    assert states_after(call, call, empty, call) == [4.0, 6.0, 6.0, 7.0]
    assert states_after(call, ResetStates(), call) == [4.0, 4.0]
    assert states_after(call, ResetStates(np.array([[2.0]])), call) == [4.0, 5.0]
    assert states_after(call, given, call) == [4.0, 12.0, 10.0]


def test_a_layer_that_is_not_stateful_remembers_nothing() -> None:
    call = Call(np.full((1, 1, 1), 8.0))
    first, second = evaluated(FLOAT64, replace(STATEFUL, stateful=False), HALVING, call, call)
    assert first.state == second.state == 4.0


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([ResetStates()], "batch size is not known"),
        ([Call(np.zeros((1, 1, 1))), Call(np.zeros((2, 1, 1)))], "batch size 2"),
        ([Call(np.zeros((1, 1, 1))), ResetStates(np.zeros((2, 1)))], "states"),
        ([Call(np.zeros((1, 1, 2)))], "kernel"),
        ([Call(np.zeros((1, 1, 1)), np.ones((1, 2), bool))], "mask"),
    ],
)
def test_impossible_operations_are_refused(operations: list[Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        states_after(*operations)


def test_only_a_stateful_layer_is_reset() -> None:
    spec = replace(STATEFUL, stateful=False)
    with pytest.raises(NotStatefulError):
        evaluated(FLOAT64, spec, HALVING, Call(np.zeros((1, 1, 1))), ResetStates())
