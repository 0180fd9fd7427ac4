"""No arithmetic that the contract permits leaves a bound, and bounds that are too narrow are found out."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flint import ctx
from permitted_arithmetic import Choices, PermittedNumbers

from gruspec import GRUSpec
from gruspec import certify as certification
from gruspec.cases import Call, Case, ResetStates
from gruspec.certify import certify
from gruspec.errors import CertificationError
from gruspec.numerics import FORMATS, Format, store_bound
from gruspec.reference import error_arrays, error_numbers, run_operations
from gruspec.reference.balls import BallNumbers
from gruspec.reference.error_arrays import Pending, Precision
from gruspec.reference.error_numbers import ErrorNumbers
from gruspec.spec import ACTIVATIONS, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Spoil = Callable[[pytest.MonkeyPatch], None]

SEEDS = range(240)
STEERED = range(12)
REPEATS = 6
COARSE_BITS, COARSE_SEEDS = 9, range(60)
PALETTES = (
    ("full",), ("short",), ("short", "full"), ("zero", "full"), ("full", "large"), ("corner", "full", "zero"),
    ("one", "zero"), ("one", "corner", "zero"), ("short", "one", "corner"), ("tiny", "full"), ("tiny", "one", "zero"),
    ("small", "one"),
)  # fmt: skip


class Drawn:
    """Small layers whose values meet corners, cancel, underflow and are exact far more often than random ones."""

    def __init__(self, seed: int, bits: int | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.bits = self.one_of(24, 24, 24, 53) if bits is None else bits
        self.seed = seed

    def one_of(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def value(self, kind: str) -> float:
        significand = int(self.rng.integers(2 ** (self.bits - 1), 2**self.bits)) * 2.0**-self.bits
        few_bits = int(self.rng.integers(1, 2**10)) * 2.0 ** int(self.rng.integers(30))
        sign = self.one_of(1, -1)
        kinds = {
            "zero": 0.0,
            "one": sign * self.one_of(0.5, 1.0, 2.0),
            "short": int(self.rng.integers(-8, 9)) / 4,
            "corner": sign * 2.5 + self.one_of(0, 0, 1, -1, 3, -5) * 2.0 ** (2 - self.bits),
            "full": sign * significand * 2.0 ** int(self.rng.integers(-3, 2)),
            "large": sign * significand * 2.0 ** int(self.rng.integers(3, 8)),
            "small": sign * few_bits * 2.0**-90,
            "tiny": sign * few_bits * 2.0**-149,
        }
        return float(kinds[kind])

    def values(self, shape: tuple[int, ...], palette: tuple[str, ...]) -> Floats:
        count = int(np.prod(shape))
        return np.array([self.value(self.one_of(*palette)) for _ in range(count)]).reshape(shape)

    def case(self, **arguments: Any) -> Case:
        batch, timesteps = self.one_of(1, 1, 2), self.one_of(1, 1, 2, 3)
        input_size, units = self.one_of(0, 1, 1, 2, 3), self.one_of(1, 1, 2, 3)
        flags = ("use_bias", "reset_after", "go_backwards", "zero_output_for_mask", "stateful")
        options: dict[str, Any] = {name: self.rng.random() < 0.5 for name in flags}
        options |= {name: self.one_of(*ACTIVATIONS) for name in ("activation", "recurrent_activation")}
        spec = GRUSpec(units=units, return_sequences=True, return_state=True, **options | arguments)
        palettes = [self.one_of(*PALETTES) for _ in range(5)]
        shapes = weight_shapes(spec, input_size).items()
        weights = {name: self.values(shape, palettes[i]) for i, (name, shape) in enumerate(shapes)}
        calls: list[Call] = []
        for _ in range(1 + spec.stateful):
            mask = self.one_of(None, self.rng.random((batch, timesteps)) < 0.6)
            state = None if calls else self.one_of(None, self.values((batch, units), palettes[3]))
            calls.append(Call(self.values((batch, timesteps, input_size), palettes[4]), mask, state))
        subnormal = ("Subnormal",) if any("tiny" in palette for palette in palettes) else ()
        return Case(f"drawn/{self.seed}", "drawn", "arithmetic-update", subnormal, (), spec, weights, tuple(calls))


def drawn(seeds: range, bits: int | None = None, **arguments: Any) -> Iterator[Case]:
    return (Drawn(seed, bits).case(**arguments) for seed in seeds)


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
)


def certified(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases that can be certified."""
    for case in cases:
        try:
            yield certify(case)
        except CertificationError:
            continue


def fractions_of_bounds(case: Case, numbers: PermittedNumbers) -> list[dict[str, NDArray[np.float64]]]:
    """Return each error as a fraction of what the verdict grants, infinite where nothing is granted, for each call."""
    found = []
    for call, result in zip(case.calls, run_operations(numbers, case.spec, case.weights, case.calls), strict=True):
        assert isinstance(call, Call)
        assert result is not None
        outputs = result.stacked(case.spec, [step.values for step in result.steps], result.last.values)
        computed = {"outputs": outputs, "state": result.state.values[:, 0]}
        found.append({name: _fractions(numbers.unit, call.expected[name], computed[name]) for name in computed})
    return found


def _fractions(unit: Fraction, expected: Any, computed: Any) -> NDArray[np.float64]:
    found = np.zeros(expected.kappa.shape)
    for index in np.ndindex(found.shape):
        kappa, value = Fraction(float(expected.kappa[index])), Fraction(float(expected.value[index]))
        rounding = abs(value) / 2**53 + Fraction(1, 2**1075)
        error = abs(computed[index] - value)
        granted = kappa * unit + rounding if kappa else 0
        found[index] = float(error / granted) if granted else np.inf if error else 0.0
    return found


def worst_fraction(case: Case, numbers: PermittedNumbers) -> float:
    arrays = [array for call in fractions_of_bounds(case, numbers) for array in call.values()]
    return max(float(array.max(initial=0)) for array in arrays)


def ways(number: int, case: Case) -> Iterator[PermittedNumbers]:
    """Yield implementations that differ in all that the contract leaves open."""
    for dtype, extended in product(case.dtypes, (False, True)):
        flush = "Subnormal" not in case.flags and number % 2 == 0
        yield PermittedNumbers(FORMATS[dtype], Choices(number), extended=extended, flush=flush)


def steered_fraction(case: Case, seed: int) -> float:
    """Return how much of the bound of one element can be used up: every single error is turned to where it adds."""

    def error(directions: list[int]) -> tuple[float, int]:
        choices = Choices(seed, directions=directions)
        numbers = PermittedNumbers(FORMATS[case.dtypes[0]], choices, extended=True)
        *_, result = run_operations(numbers, case.spec, case.weights, case.calls)
        assert result is not None
        return result.state.values[-1, 0, -1], choices.errors

    start, count = error([])
    turned = [-1 if error([1] * i + [-1])[0] > start else 1 for i in range(count)]
    found = []
    for directions in (turned, [-direction for direction in turned]):
        numbers = PermittedNumbers(FORMATS[case.dtypes[0]], Choices(seed, directions=directions), extended=True)
        found.append(float(fractions_of_bounds(case, numbers)[-1]["state"][-1, -1]))
    return max(found)


def violation(cases: Iterable[Case]) -> str | None:
    """Return the first case with an implementation that leaves a bound."""
    for number, case in enumerate(certified(cases)):
        if any(worst_fraction(case, numbers) > 1 for numbers in ways(number, case)):
            return case.id
    return None


def test_no_permitted_arithmetic_leaves_a_bound() -> None:
    assert violation([*DIRECTED * REPEATS, *drawn(SEEDS)]) is None


def test_nearly_every_case_is_certified() -> None:
    assert len(list(certified(DIRECTED))) == len(DIRECTED)
    assert len(list(certified(drawn(range(40))))) > 36


def test_bounds_are_nearly_reached_and_not_passed() -> None:
    cases = certified(drawn(STEERED, activation="tanh", stateful=False))
    fractions = [steered_fraction(case, number) for number, case in enumerate(cases)]
    assert 0.9 < max(fractions) <= 1
    assert np.median(fractions) > 0.6


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand a format of few bits in for float32: there terms of second order are not negligible."""
    monkeypatch.setitem(FORMATS, "float32", Format("float32", COARSE_BITS, -126, 127))
    monkeypatch.setattr(certification, "JUDGED_DTYPES", ("float32",))
    monkeypatch.setattr(certification, "UNDECIDED_SHARE", 100.0)


@pytest.mark.usefixtures("coarse")
def test_terms_of_second_order_are_covered() -> None:
    assert violation(drawn(COARSE_SEEDS, bits=COARSE_BITS)) is None


@pytest.mark.usefixtures("coarse")
def test_missing_terms_of_second_order_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.9 < steered_fraction(certify(amplifying()), 0) <= 1
    monkeypatch.setattr(error_numbers, "_SIGMOID_CURVATURE", 0.0)
    assert steered_fraction(certify(amplifying()), 0) > 1


def arguments_of_activations(bits: int) -> Floats:
    """Return numbers next to the corners, and some of every size, of both signs."""
    corner = 2.5 + np.arange(-40, 41) * 2.0 ** (2 - bits)
    sizes = np.ldexp(1 + np.arange(8) / 8 + 2.0 ** (1 - bits), np.arange(-64, 9, 8)[:, None]).ravel()
    positive = np.concatenate([corner, np.arange(0, 4, 0.15625), sizes])
    return np.concatenate([positive, -positive])[None, None, :]


def rational(ball: Any) -> Fraction:
    """Return the midpoint of a ball."""
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())
    return mantissa * Fraction(2) ** exponent


def exceeded(name: str, dtype: str) -> Floats:
    """Return the arguments at which some implementation of an activation leaves its bound."""
    arguments = arguments_of_activations(FORMATS[dtype].bits)
    errors = ErrorNumbers(Precision(FORMATS["float32"]))
    granted = store_bound(errors.activation(name, errors.lift(arguments)).error).astype(np.float64)
    with ctx.workprec(256):
        balls = BallNumbers()
        exact = [rational(ball) for ball in balls.activation(name, balls.lift(arguments)).flat]
    found = np.zeros(arguments.shape, bool)
    for i, extended in product(range(4), (False, True)):
        numbers = PermittedNumbers(FORMATS[dtype], Choices(i), extended=extended)
        computed = numbers.activation(name, numbers.lift(arguments)).values.ravel()
        error = [float(abs(one - other) / numbers.unit) for one, other in zip(computed, exact, strict=True)]
        found |= np.array(error).reshape(found.shape) > granted
    return arguments[found]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_exact_arguments_stay_within_their_bounds(name: str, dtype: str) -> None:
    assert exceeded(name, dtype).tolist() == []


def test_a_hard_sigmoid_that_rounds_less_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def less(piecewise: Any, array: Any, value: Any, **rest: Any) -> Any:
        return piecewise(array, value, **rest | {"local": rest["local"] / 1.25})

    wrap(monkeypatch, "_piecewise", less)
    assert exceeded("hard_sigmoid", "float32").size


def halved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certification, "store_bound", lambda bound: store_bound(bound / 2))


def wrap(patch: pytest.MonkeyPatch, name: str, wrapper: Callable[..., Any]) -> None:
    """Let a function of the number system pass through another, which gets it as its first argument."""
    patch.setattr(error_numbers, name, partial(wrapper, getattr(error_numbers, name)))


def without_third_form(patch: pytest.MonkeyPatch) -> None:
    """Forget that h + (1 - z)(n - h) rounds where z is exactly 0, unlike the other two."""
    wrap(patch, "_update_rounding", lambda rounding, z, *rest: np.where(_exactly(z, 0), 0.0, rounding(z, *rest)))


def without_second_form(patch: pytest.MonkeyPatch) -> None:
    """Forget that n + z (h - n) rounds where z is exactly 1, unlike the other two."""
    wrap(patch, "_update_rounding", lambda rounding, z, *rest: np.where(_exactly(z, 1), 0.0, rounding(z, *rest)))


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
    wrap(patch, "with_fresh_errors", lambda fresh, a: fresh(replace(a, coefficients=np.zeros((0, *a.shape)))))


def decided_corners(patch: pytest.MonkeyPatch) -> None:
    """Take the side of relu that the exact value is on for certain."""

    def decided(piecewise: Any, array: Any, value: Any, **sides: Any) -> Any:
        inside = array.value > 0
        return piecewise(array, value, **sides | {"inside": inside, "outside": ~inside})

    wrap(patch, "_piecewise", decided)


def slope_up_to_the_corner(patch: pytest.MonkeyPatch) -> None:
    """Take the slope of hard_sigmoid for certain although the error reaches across its corner."""

    def certain(piecewise: Any, array: Any, value: Any, **sides: Any) -> Any:
        return piecewise(array, value, **sides | {"inside": ~sides["outside"]})

    wrap(patch, "_piecewise", certain)


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
    assert violation([*DIRECTED * REPEATS, *drawn(range(20))]) is not None


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
