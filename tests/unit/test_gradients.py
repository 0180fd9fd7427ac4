"""Certified gradients are the derivatives of the definition, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flint import arb, ctx

from gruspec import GRUSpec
from gruspec.cases import Call, Case
from gruspec.certify import certify
from gruspec.errors import CertificationError
from gruspec.numerics import nearest_float
from gruspec.reference import run_operations
from gruspec.reference.balls import BallNumbers
from gruspec.spec import ACTIVATIONS, Dimensions, acting_dropout, dropout_mask_shapes, outputs_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Balls = NDArray[np.object_]
    Arrays = dict[str, Balls]

BITS = 200
STEP = arb(2) ** -60
AGREEMENT = arb(10) ** -25
SIZES = Dimensions(batch=2, timesteps=3, input_size=2, units=2)


class Lifted(BallNumbers):
    """Balls whose inputs may be balls already: steps of 2^-60, or the state that an earlier call has left."""

    def lift(self, values: NDArray[Any]) -> Balls:
        return values.astype(object) if values.dtype == object else super().lift(values)


def evaluated(case: Case) -> list[Arrays]:
    """Return all that each call gives, as balls."""
    results = run_operations(Lifted(), case.spec, case.weights, case.calls)
    return [result.arranged(np.asarray) for result in results if result is not None]


def pairing(case: Case, call: Call) -> arb:
    """Return the sum of cotangents times results of a call, which gradients are the derivatives of."""
    cotangents = call.cotangents or {}
    (found,) = evaluated(replace(case, calls=(replace(call, cotangents=None),)))
    return sum((sum((Lifted().lift(c) * found[name]).flat, arb(0)) for name, c in cotangents.items()), arb(0))


def changed(case: Case, call: Call, name: str, array: Any) -> arb:
    """Return the pairing with another array for one argument."""
    if name in case.weights:
        return pairing(replace(case, weights={**case.weights, name: array}), call)
    return pairing(case, replace(call, **{name: array}))


def differences(case: Case, call: Call, name: str) -> Balls:
    """Return the derivative by each element of one argument, from two evaluations beside it."""
    array = case.weights[name] if name in case.weights else getattr(call, name)
    found = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        sides: list[arb] = []
        for step in (STEP, -STEP):
            moved = Lifted().lift(array)
            moved[index] += step
            sides.append(changed(case, call, name, moved))
        found[index] = (sides[0] - sides[1]) / (2 * STEP)
    return found


def disagreements(case: Case, call: Call, gradients: Arrays) -> list[str]:
    """Return the gradients that are not the derivatives of the pairing, or not proven to be."""
    return [
        name
        for name, gradient in gradients.items()
        if not all(abs(gap) < AGREEMENT for gap in (gradient - differences(case, call, name)).flat)
    ]


def gradients_of(arrays: Arrays) -> Arrays:
    return {name.removeprefix("gradients/"): array for name, array in arrays.items() if name.startswith("gradients/")}


MASKS = (
    None,
    [[True, False, True], [True, True, False]],
    [[False, False, False], [True, True, True]],
    [[False, True, True], [True, False, False]],
    [[True, True, False], [False, False, True]],
)
DROPOUT: tuple[dict[str, Any], ...] = (
    {},
    {"dropout": 0.5, "recurrent_dropout": 0.25},
    {"dropout": 0.5, "implementation": 2},
    {"recurrent_dropout": 0.5},
    {"dropout": 0.25},
    {"implementation": 2},
    {"dropout": 0.5, "recurrent_dropout": 0.25},
)
NUMBER_OF_CASES = 40


def drawn(rng: np.random.Generator, spec: GRUSpec, mask: Any = None) -> Case:
    """Return a case with cotangents, of numbers that meet no corner and reach beyond all."""
    batch, timesteps, input_size, units = SIZES

    def values(*shape: int) -> Floats:
        return rng.uniform(-1.5, 1.5, shape)

    def kept(shape: tuple[int, ...]) -> Floats:
        return np.where(rng.random(shape) < 0.7, values(*shape), 0.0)

    leading = (timesteps, batch) if spec.time_major else (batch, timesteps)
    valid = None if mask is None else np.array(mask)
    cotangents = {"outputs": values(*outputs_shape(spec, batch, timesteps))}
    if spec.return_state:
        cotangents["state"] = values(batch, units)
    call = Call(
        values(*leading, input_size),
        valid if valid is None or not spec.time_major else valid.T[..., None],
        initial_state=values(batch, units) if rng.random() < 0.7 else None,
        training=True,
        dropout_masks={name: kept(shape) for name, shape in dropout_mask_shapes(spec, SIZES).items()},
        cotangents=cotangents,
    )
    weights = {name: values(*shape) for name, shape in weight_shapes(spec, input_size).items()}
    return Case("g", "g", "gradients", (), (), spec, weights, (call,))


def cases() -> Iterator[Case]:
    """Yield cases in which options of coprime numbers of values meet each other."""
    turns = zip(
        cycle((False, True)),
        cycle(DROPOUT),
        cycle(MASKS),
        cycle(({"go_backwards": True}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True})),
        strict=False,
    )
    for i, (reset_after, dropout, mask, options) in enumerate(islice(turns, NUMBER_OF_CASES)):
        rng = np.random.default_rng(i)
        others = {name: bool(rng.random() < 0.5) for name in ("time_major", "return_state", "zero_output_for_mask")}
        spec = GRUSpec(
            units=SIZES.units,
            reset_after=reset_after,
            use_bias=bool(rng.random() < 0.8),
            activation=ACTIVATIONS[i // 2 % 5],
            recurrent_activation=ACTIVATIONS[(i // 2 + i // 10) % 5],
            **options | others | dropout,
        )
        yield drawn(rng, spec, mask)


CASES = tuple(cases())


def values_of(case: Case) -> dict[str, Floats]:
    """Return the certified values of the last call."""
    call = certify(case).calls[-1]
    assert isinstance(call, Call)
    return {name: np.asarray(expected.value) for name, expected in call.expected.items()}


def kappas_of(case: Case) -> dict[str, NDArray[np.float32]]:
    call = certify(case).calls[-1]
    assert isinstance(call, Call)
    return {name: expected.kappa for name, expected in call.expected.items()}


def call_of(case: Case, index: int = -1) -> Call:
    call = case.calls[index]
    assert isinstance(call, Call)
    return call


@pytest.mark.parametrize("number", range(NUMBER_OF_CASES))
def test_gradients_are_derivatives_correctly_rounded(number: int) -> None:
    case = CASES[number]
    with ctx.workprec(BITS):
        (arrays,) = evaluated(case)
        found = gradients_of(arrays)
        assert disagreements(case, call_of(case), found) == []
        for name, value in values_of(case).items():
            assert [nearest_float(ball) for ball in arrays[name].flat] == value.ravel().tolist()
    state = () if call_of(case).initial_state is None else ("initial_state",)
    assert set(found) == {"inputs", *state, *case.weights}


def test_options_of_the_cases_are_all_there() -> None:
    """The cases above vary what they are meant to vary."""
    for name in ("reset_after", "go_backwards", "time_major", "return_sequences", "return_state", "use_bias"):
        assert {getattr(case.spec, name) for case in CASES} == {False, True}
    assert {(case.spec.reset_after, case.spec.activation) for case in CASES} == {
        (reset_after, name) for reset_after in (False, True) for name in ACTIVATIONS
    }
    assert {case.spec.recurrent_activation for case in CASES} == set(ACTIVATIONS)
    dropout = {(case.spec.implementation, *acting_dropout(case.spec, training=True)) for case in CASES}
    assert dropout == {(1,), (2,), (1, "inputs"), (1, "recurrent"), (1, "inputs", "recurrent"), (2, "inputs")}
    masked = [case for case in CASES if call_of(case).mask is not None]
    assert {(case.spec.zero_output_for_mask, case.spec.return_sequences) for case in masked} == {
        (zero, sequences) for zero in (False, True) for sequences in (False, True)
    }


def test_a_wrong_cotangent_is_found_out() -> None:
    """The comparison has teeth: a derivative that is off by 1e-24 disagrees."""
    case = CASES[0]
    with ctx.workprec(BITS):
        found = gradients_of(evaluated(case)[0])
        found["kernel"].flat[3] += arb(10) ** -24
        assert disagreements(case, call_of(case), {"kernel": found["kernel"]}) == ["kernel"]


@pytest.mark.parametrize("reset_after", [False, True])
def test_no_gradient_crosses_into_an_earlier_call(*, reset_after: bool) -> None:
    """The second call has the gradients of a call that starts from the recorded state as from a constant."""
    spec = GRUSpec(units=2, reset_after=reset_after, stateful=True, return_state=True, go_backwards=True)
    rng = np.random.default_rng(7)
    case = drawn(rng, spec, MASKS[2])
    call = call_of(case)
    second = replace(call, inputs=rng.uniform(-1, 1, call.inputs.shape), mask=np.array(MASKS[3]), initial_state=None)
    with ctx.workprec(BITS):
        first_arrays, second_arrays = evaluated(replace(case, calls=(call, second)))
        state: Any = first_arrays["state"]
        fresh = replace(second, initial_state=state)
        assert set(gradients_of(second_arrays)) == {"inputs", *case.weights}
        assert disagreements(case, fresh, gradients_of(second_arrays)) == []


HALVING = {"kernel": np.array([[0.0, 0.0, 1.0]]), "recurrent_kernel": np.zeros((1, 3))}
"""With hard_sigmoid and linear every step computes (h + x) / 2."""


def halving(*calls: Call, **arguments: Any) -> Case:
    spec = GRUSpec(units=1, use_bias=False, activation="linear", **arguments)
    return Case("h", "h", "gradients", (), (), spec, HALVING, calls)


def test_a_second_call_is_a_fresh_one_from_the_recorded_state() -> None:
    cotangents = {"outputs": np.array([[0.75]]), "state": np.array([[0.5]])}
    first = Call(np.array([[[4.0], [2.0]]]), cotangents=cotangents)
    second = Call(np.array([[[1.0], [3.0]]]), cotangents=cotangents)
    carried = halving(first, second, stateful=True, return_state=True)
    fresh = halving(replace(second, initial_state=np.array([[2.0]])), return_state=True)
    carried_values, fresh_values = values_of(carried), values_of(fresh)
    assert fresh_values.pop("gradients/initial_state") == 1.25 / 4
    assert carried_values.keys() == fresh_values.keys()
    for name, value in carried_values.items():
        np.testing.assert_array_equal(value, fresh_values[name])
    assert carried_values["gradients/kernel"][0, 2] == 1.25 * (3 / 2 + 1 / 4)


def test_hand_computed() -> None:
    """Every step halves; a held output sends its cotangent to the step that made it, a zeroed one nowhere."""
    mask = np.array([[False, True, False, True, False]])
    cotangents = {"outputs": 2.0 ** np.arange(5)[None, :, None], "state": np.array([[0.5]])}
    call = Call(np.ones((1, 5, 1)), mask, np.array([[3.0]]), cotangents=cotangents)
    held = halving(call, return_sequences=True, return_state=True)
    zeroed = halving(call, return_sequences=True, return_state=True, zero_output_for_mask=True)
    expected = {  # outputs 1 and 2 are those of the first step, 3 and 4 those of the second, which is the state
        "held": ((2 + 4) / 2 + (8 + 16 + 0.5) / 4, (8 + 16 + 0.5) / 2),
        "zeroed": (2 / 2 + (8 + 0.5) / 4, (8 + 0.5) / 2),
    }
    for case, (first, second) in zip((held, zeroed), expected.values(), strict=True):
        found = values_of(case)
        assert found["gradients/inputs"].ravel().tolist() == [0.0, first, 0.0, second, 0.0]
        assert found["gradients/initial_state"] == first
        assert found["gradients/kernel"][0, 2] == first + second


def test_nothing_passes_where_all_is_masked() -> None:
    call = Call(np.ones((1, 2, 1)), np.zeros((1, 2), bool), np.array([[3.0]]))
    cotangents = {"outputs": np.ones((1, 2, 1)), "state": np.array([[0.625]])}
    found = values_of(halving(replace(call, cotangents=cotangents), return_sequences=True, return_state=True))
    assert found.pop("gradients/initial_state") == 0.625
    for name in ("inputs", "kernel", "recurrent_kernel"):
        assert not found[f"gradients/{name}"].any()


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("zeroed", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
def test_masked_nonfinite_inputs_reach_no_gradient(padding: float, *, zeroed: bool, reset_after: bool) -> None:
    spec = GRUSpec(units=2, return_sequences=True, zero_output_for_mask=zeroed, reset_after=reset_after)
    clean = drawn(np.random.default_rng(3), spec, MASKS[1])
    call = call_of(clean)
    inputs = call.inputs.copy()
    inputs[~np.array(MASKS[1])] = padding
    spoiled = replace(clean, calls=(replace(call, inputs=inputs),))
    values, kappas = values_of(spoiled), kappas_of(spoiled)
    assert not values["gradients/inputs"][~np.array(MASKS[1])].any()
    assert not kappas["gradients/inputs"][~np.array(MASKS[1])].any()
    for name, value in values_of(clean).items():
        np.testing.assert_array_equal(values[name], value)
        np.testing.assert_array_equal(kappas[name], kappas_of(clean)[name])


def test_a_nonfinite_input_that_counts_spoils_the_weights_and_its_own_row() -> None:
    case = drawn(np.random.default_rng(4), GRUSpec(units=2, activation="tanh", recurrent_activation="sigmoid"))
    call = call_of(case)
    inputs = call.inputs.copy()
    inputs[1, 0, 0] = np.nan
    found, clean = values_of(replace(case, calls=(replace(call, inputs=inputs),))), values_of(case)
    assert np.isnan(found["gradients/kernel"]).all()
    assert np.isnan(found["gradients/inputs"][1]).all()
    np.testing.assert_array_equal(found["gradients/inputs"][0], clean["gradients/inputs"][0])


PLACES = {"update": 0, "reset": 1, "candidate": 2}


def at(place: str, activation: str, points: Iterable[tuple[float, float]], cotangent: float = 1.0) -> Case:
    """Return one step of one unit from the state 3/4, with a pre-activation that adds products at one place.

    The pre-activations of the two others are 0; the activation that ``place`` does not have is linear.
    """
    products = np.array(list(points))
    kernel = np.zeros((len(products), 3))
    kernel[:, PLACES[place]] = products[:, 1]
    candidate = place == "candidate"
    spec = GRUSpec(
        units=1,
        use_bias=False,
        activation=activation if candidate else "linear",
        recurrent_activation="linear" if candidate else activation,
    )
    weights = {"kernel": kernel, "recurrent_kernel": np.array([[0.0, 0.0, 0.5 if place == "reset" else 0.0]])}
    call = Call(products[None, None, :, 0], None, np.array([[0.75]]), cotangents={"outputs": np.array([[cotangent]])})
    return Case("k", "k", "gradient-kinks", (), (), spec, weights, (call,))


FACTORS = {"candidate": Fraction(1), "update": Fraction(3, 4), "reset": Fraction(3, 16)}
"""Derivative of the new state by what hard_sigmoid gives there."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("point", [2.5, 2.5 - 2.0**-10, 0.0, -2.5 + 2.0**-10])
def test_hard_sigmoid_has_slope_one_fifth_between_its_corners_and_at_the_upper_one(place: str, point: float) -> None:
    found = values_of(at(place, "hard_sigmoid", [(point, 1.0)]))
    assert found["gradients/inputs"] == float(FACTORS[place] / 5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("activation", "point"),
    [("hard_sigmoid", 2.5 + 2.0**-10), ("hard_sigmoid", -2.5 - 2.0**-10), ("relu", 0.0), ("relu", -1.0)],
)
def test_there_is_no_slope_beyond_a_corner_and_none_of_relu_at_zero(place: str, activation: str, point: float) -> None:
    case = at(place, activation, [(point, 1.0)])
    assert values_of(case)["gradients/inputs"] == 0
    assert kappas_of(case)["gradients/inputs"] == 0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cotangent", [1.0, 2.0**-4, 2.0**-100])
@pytest.mark.parametrize(
    ("activation", "points"),
    [
        ("hard_sigmoid", [(-2.5, 1.0)]),
        ("hard_sigmoid", [(2.5 - 2.0**-22, 1.0)]),
        ("hard_sigmoid", [(-2.5 - 2.0**-22, 1.0)]),
        ("hard_sigmoid", [(1 + 2.0**-23, 2.5), (2.0**-23, -2.5)]),
        ("relu", [(1 + 2.0**-12, 1 + 2.0**-12), (-1.0, 1 + 2.0**-11)]),
    ],
)
def test_what_rounding_decides_is_refused(
    place: str, activation: str, points: list[tuple[float, float]], cotangent: float
) -> None:
    with pytest.raises(CertificationError, match="too wide to judge"):
        certify(at(place, activation, points, cotangent))
    nothing = values_of(at(place, activation, points, 0.0))
    assert not any(array.any() for name, array in nothing.items() if name.startswith("gradients/"))
