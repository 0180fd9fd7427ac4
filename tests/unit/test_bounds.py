"""No arithmetic that the contract permits leaves a bound, and bounds that are too narrow are found out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn_cases import drawn
from used_bounds import (
    arguments_of_activations,
    certified,
    exceeded,
    halved,
    repeated,
    stand_in_for_float32,
    steered_share,
    violation,
    wrap,
)

from gruspec import GRUSpec
from gruspec import certify as certification
from gruspec.cases import Call, Case, ResetStates
from gruspec.certify import certify
from gruspec.numerics import FORMATS
from gruspec.reference import error_arrays, error_numbers
from gruspec.reference.error_arrays import Pending, Precision
from gruspec.spec import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Spoil = Callable[[pytest.MonkeyPatch], None]

SEEDS = range(240)
STEERED = range(12)
REPEATS = 10
COARSE_BITS, COARSE_SEEDS = 9, range(60)


def adding(terms: dict[float, float], *, update: float = -8.0, state: float = 0.0, activation: str = "linear") -> Case:
    """Return one step of one unit whose candidate adds products; the update gate is exactly 0, or 1 at ``update`` 8."""
    kernel = np.zeros((len(terms), 3))
    kernel[:, 2] = list(terms.values())
    weights = {"kernel": kernel, "recurrent_kernel": np.zeros((1, 3)), "bias": np.array([update, -8.0, 0.0])}
    call = Call(np.array([[list(terms)]]), initial_state=np.array([[state]]))
    spec = GRUSpec(units=1, activation=activation, return_state=True)
    return Case("adding", "adding", "arithmetic-sums", (), (), spec, weights, (call,))


def difference_of_states() -> Case:
    """Return a second step that takes the difference of two equal states, whose errors are not equal."""
    weights = {
        "kernel": np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]]),
        "recurrent_kernel": np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, -1.0, 0.0]]),
        "bias": np.array([-8.0, -8.0, 8.0, 8.0, 0.0, 0.0]),
    }
    spec = GRUSpec(units=2, return_state=True)
    call = Call(np.array([[[1.0], [0.0]]]))
    return Case("difference", "difference", "timesteps", (), (), spec, weights, (call,))


def amplifying() -> Case:
    """Return a second step that multiplies the error of the first by 72, and meets sigmoid where it bends most."""
    weights = {
        "kernel": np.array([[0.0, 0.0, 1.0]]),
        "recurrent_kernel": np.array([[0.0, 0.0, 72.0]]),
        "bias": np.array([-8.0, 8.0, 0.0]),
    }
    spec = GRUSpec(units=1, activation="sigmoid", return_state=True)
    call = Call(np.array([[[-4.0], [0.0]]]))
    return Case("amplifying", "amplifying", "timesteps", (), (), spec, weights, (call,))


def cancelling_up_to_a_corner() -> Case:
    """Return a second step in which the error of a state cancels, but only on one side of a corner of hard_sigmoid."""
    above = 1 + 2.0**-23
    weights = {
        "kernel": np.array([[0, 0, 1024 * above], [0, 0, -1024], [-8, 8, 0], [0, 8, 5 - 2.0**-16]]),
        "recurrent_kernel": np.array([[0.0, 0.0, -5.0]]),
    }
    inputs = np.array([[[above, 1 + 2.0**-22, 1, 0], [0, 0, 0, 1]]])  # h = 1/2, then z = 1/2 and n = 1 - (h - 1/2)
    spec = GRUSpec(units=1, activation="hard_sigmoid", use_bias=False, return_state=True)
    return Case("corner", "corner", "hard-sigmoid", (), (), spec, weights, (Call(inputs),))


def enlarging() -> Case:
    """Return a step with an update gate of 2^20, which enlarges what is lost where h - n is flushed."""
    spec = GRUSpec(units=1, activation="linear", recurrent_activation="linear", use_bias=False, return_state=True)
    weights = {"kernel": np.array([[0.0, 0.0, 1.0], [2.0**20, 0.0, 0.0]]), "recurrent_kernel": np.zeros((1, 3))}
    call = Call(np.array([[[2.0**-125, 1.0]]]), initial_state=np.array([[1.75 * 2.0**-126]]))
    return Case("enlarging", "enlarging", "arithmetic-underflow", (), (), spec, weights, (call,))


DIRECTED = (
    adding({2.0**24 - 2: 1.0, 2.0: 1.0}),  # all bits of the significand
    adding({2.0**24 - 1: 1.0, 2.0: 1.0}),  # one bit more
    adding({2.0**-70: 2.0**-70}),  # a product that may be flushed
    replace(adding({2.0**-70: 2.0**-70 + 2.0**-93}), flags=("Subnormal",)),  # a product that loses bits to underflow
    adding({1 - 2.0**-24: 1.0}, state=1024.0),  # the state is the candidate, but n - h rounds
    adding({1024.0: 1.0}, update=8.0, state=1 - 2.0**-24),  # the state stays, but h - n rounds
    adding({1 + 2.0**-12: 1 + 2.0**-12, -1.0: 1 + 2.0**-11 + 2.0**-23}, activation="relu"),  # below 0 by half an ulp
    adding({1 + 2.0**-23: 2.5, 2.0**-23: -2.5}, activation="hard_sigmoid"),  # at the corner, but not exactly
    difference_of_states(),
    cancelling_up_to_a_corner(),
    enlarging(),
)


def test_no_permitted_arithmetic_leaves_a_bound() -> None:
    assert violation([*repeated(DIRECTED, REPEATS), *drawn(SEEDS)]) is None


def test_nearly_every_case_is_certified() -> None:
    assert len(list(certified(DIRECTED))) == len(DIRECTED)
    assert len(list(certified(drawn(range(40))))) > 36


def test_bounds_are_nearly_reached_and_not_passed() -> None:
    cases = certified(drawn(STEERED, activation="tanh", stateful=False))
    shares = [steered_share(case, number) for number, case in enumerate(cases)]
    assert 0.9 < max(shares) <= 1
    assert np.median(shares) > 0.6


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_float32(monkeypatch, COARSE_BITS)


@pytest.mark.usefixtures("coarse")
def test_terms_of_second_order_are_covered() -> None:
    assert violation(drawn(COARSE_SEEDS, bits=COARSE_BITS)) is None


@pytest.mark.usefixtures("coarse")
def test_missing_terms_of_second_order_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.9 < steered_share(certify(amplifying()), 0) <= 1
    monkeypatch.setattr(error_numbers, "_SIGMOID_CURVATURE", 0.0)
    assert steered_share(certify(amplifying()), 0) > 1


def exceeding(name: str, dtype: str) -> Floats:
    """Return the arguments at which some implementation of an activation leaves its bound."""
    arguments = arguments_of_activations(FORMATS[dtype].bits)
    return arguments[exceeded(lambda numbers: numbers.activation(name, numbers.lift(arguments)), dtype)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_exact_arguments_stay_within_their_bounds(name: str, dtype: str) -> None:
    assert exceeding(name, dtype).tolist() == []


def test_a_hard_sigmoid_that_rounds_less_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def less(piecewise: Any, array: Any, value: Any, **rest: Any) -> Any:
        return piecewise(array, value, **rest | {"local": rest["local"] / 1.25})

    wrap(monkeypatch, error_numbers, "_piecewise", less)
    assert exceeding("hard_sigmoid", "float32").size


def without_third_form(patch: pytest.MonkeyPatch) -> None:
    """Forget that h + (1 - z)(n - h) rounds where z is exactly 0, unlike the other two."""
    wrap(
        patch,
        error_numbers,
        "_update_rounding",
        lambda rounding, z, *rest: np.where(_exactly(z, 0), 0.0, rounding(z, *rest)),
    )


def without_second_form(patch: pytest.MonkeyPatch) -> None:
    """Forget that n + z (h - n) rounds where z is exactly 1, unlike the other two."""
    wrap(
        patch,
        error_numbers,
        "_update_rounding",
        lambda rounding, z, *rest: np.where(_exactly(z, 1), 0.0, rounding(z, *rest)),
    )


def _exactly(array: Any, number: float) -> Any:
    return (array.value == number) & (array.error == 0)


def better_tanh(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(error_numbers, "TANH_ULPS", 4.0)


def better_sigmoid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(error_numbers, "SIGMOID_ULPS", 2.0)


def exact_products(patch: pytest.MonkeyPatch) -> None:
    """Charge no rounding to products."""
    patch.setattr(error_arrays, "Pending", lambda terms, magnitude, **_: Pending(terms, magnitude, products=False))


def wider_significand(patch: pytest.MonkeyPatch) -> None:
    """Take sums for exact that need one bit more than there are."""
    patch.setattr(Precision, "fits", lambda self, m, grid: (grid >= self.finest_grid) & (m <= 2 * self.capacity * grid))


def no_smallest_number(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Precision, "fits", lambda self, magnitude, grid: (grid > 0) & (magnitude <= self.capacity * grid))


def no_underflow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certification, "Precision", _precision_without_underflow)


def _precision_without_underflow(format_: Any, *, gradual: bool) -> Precision:
    precision = Precision(format_, gradual=gradual)
    precision.underflow = 0.0
    return precision


def one_name_for_all_units(patch: pytest.MonkeyPatch) -> None:
    """Take the errors of all units for one and the same."""

    def named(array: Any) -> Any:
        coefficients = np.concatenate([array.coefficients, array.rest[None]])
        return replace(array, coefficients=coefficients, rest=np.zeros(array.shape))

    patch.setattr(error_numbers, "with_fresh_errors", named)


def forgotten_names(patch: pytest.MonkeyPatch) -> None:
    """Let each state forget the errors of the states before it."""
    wrap(
        patch,
        error_numbers,
        "with_fresh_errors",
        lambda fresh, a: fresh(replace(a, coefficients=np.zeros((0, *a.shape)))),
    )


def decided_corners(patch: pytest.MonkeyPatch) -> None:
    """Take the side of relu that the exact value is on for certain."""

    def decided(piecewise: Any, array: Any, value: Any, **sides: Any) -> Any:
        inside = array.value > 0
        return piecewise(array, value, **sides | {"inside": inside, "outside": ~inside})

    wrap(patch, error_numbers, "_piecewise", decided)


def slope_up_to_the_corner(patch: pytest.MonkeyPatch) -> None:
    """Take the slope of hard_sigmoid for certain although the error reaches across its corner."""

    def certain(piecewise: Any, array: Any, value: Any, **sides: Any) -> Any:
        return piecewise(array, value, **sides | {"inside": ~sides["outside"]})

    wrap(patch, error_numbers, "_piecewise", certain)


def selected_errors_dropped(patch: pytest.MonkeyPatch) -> None:
    """Take what a mask holds for exact."""

    def choose(condition: Any, chosen: Any, other: Any) -> Any:
        return error_arrays.choose(condition, chosen, error_arrays.exact_array(other.precision, other.value))

    patch.setattr(error_numbers, "choose", choose)


@pytest.mark.parametrize(
    "spoil",
    [
        halved,
        without_second_form,
        without_third_form,
        better_tanh,
        better_sigmoid,
        exact_products,
        wider_significand,
        no_smallest_number,
        no_underflow,
        one_name_for_all_units,
        forgotten_names,
        decided_corners,
        slope_up_to_the_corner,
        selected_errors_dropped,
    ],
)
def test_bounds_that_are_too_narrow_are_found_out(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)
    assert violation([*repeated(DIRECTED, REPEATS), *drawn(range(20))]) is not None


def kappas(case: Case) -> list[float]:
    (call,) = certify(case).calls
    assert isinstance(call, Call)
    return [float(kappa) for name in ("outputs", "state") for kappa in call.expected[name].kappa.flat]


EXACT = {
    "candidate of few bits, taken": adding({1.5: 2.5, -0.25: 8.0}),
    "zero times all bits beside it": adding({1.5: 2.5, 0.0: 1 - 2.0**-24}),
    "candidate of all bits, taken from a zero state": adding({1 - 2.0**-24: 1.0}),
    "relu of a negative number": adding({1 - 2.0**-24: -1 + 2.0**-24}, activation="relu"),
    "tanh of zero": adding({0.0: 0.7}, activation="tanh"),
    "hard_sigmoid at its corner": adding({2.5: 1.0}, activation="hard_sigmoid"),
    "hard_sigmoid at its other corner": adding({-2.5: 1.0}, activation="hard_sigmoid"),
    "hard_sigmoid beyond its corner": adding({3.0: 1 - 2.0**-24}, activation="hard_sigmoid"),
    "state of few bits, kept": adding({1.5: 1.0}, update=8.0, state=0.75),
}
INEXACT = {
    "candidate of all bits, taken from a state": adding({1 - 2.0**-24: 1.0}, state=0.5),
    "product of all bits": adding({1 - 2.0**-24: 1 - 2.0**-24}),
    "tanh": adding({1.0: 1.0}, activation="tanh"),
    "hard_sigmoid just before its corner": adding({2.5 - 2.0**-22: 1.0}, activation="hard_sigmoid"),
    "state of few bits, kept from a candidate of all": adding({1 - 2.0**-24: 1.0}, update=8.0, state=0.75),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_results_have_no_error(name: str) -> None:
    assert kappas(EXACT[name]) == [0.0, 0.0]


@pytest.mark.parametrize("name", INEXACT)
def test_inexact_results_have_an_error(name: str) -> None:
    assert min(kappas(INEXACT[name])) > 0


def test_masked_elements_keep_exactly_what_they_hold() -> None:
    weights = {"kernel": np.full((1, 3), 0.7), "recurrent_kernel": np.full((1, 3), 0.3), "bias": np.full(3, 0.1)}
    weights = {name: array.astype(np.float32).astype(np.float64) for name, array in weights.items()}
    mask = np.array([[False, True, False], [False, False, False]])
    call = Call(np.ones((2, 3, 1)), mask, np.full((2, 1), 0.5))
    spec = GRUSpec(units=1, return_sequences=True, return_state=True)
    (done,) = certify(Case("m", "m", "mask-state", (), (), spec, weights, (call,))).calls
    assert isinstance(done, Call)
    outputs, state = (done.expected[name].kappa[..., 0] for name in ("outputs", "state"))
    assert (outputs == 0).tolist() == [[True, False, False], [True, True, True]]
    assert outputs[0, 1] == outputs[0, 2] == state[0]
    assert state[1] == 0


def test_state_carries_its_errors_into_the_next_call_and_a_reset_ends_them() -> None:
    kept = adding({0.0: 1.0}, update=8.0, state=0.0)
    weights = dict(kept.weights) | {
        "kernel": np.array([[-16.0, 0.0, 1.0]])
    }  # x = 1: the candidate is taken; x = 0: kept
    spec = replace(kept.spec, stateful=True, activation="tanh")
    taken, keep = Call(np.ones((1, 1, 1))), Call(np.zeros((1, 1, 1)))
    calls = (taken, keep, ResetStates(), keep, ResetStates(np.full((1, 1), 0.5)), keep)
    done = certify(replace(kept, spec=spec, weights=weights, calls=calls))
    first, second, _, third, _, fourth = (
        float(call.expected["state"].kappa[0, 0]) if isinstance(call, Call) else None for call in done.calls
    )
    assert first is not None
    assert first > 6
    assert second is not None
    assert second >= first
    assert (third, fourth) == (0, 0)
