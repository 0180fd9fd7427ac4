"""No backward pass that the contract permits leaves a bound, and bounds that are too narrow are found out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn_cases import Drawn, differentiated
from permitted_arithmetic import StateDroppedFirst
from used_bounds import (
    arguments_of_activations,
    arrays_of_calls,
    certified,
    exceeded,
    halved,
    largest_share,
    repeated,
    stand_in_for_float32,
    steered_share,
    violation,
    ways,
    wrap,
)

from gruspec import GRUSpec
from gruspec import certify as certification
from gruspec.cases import Call, Case
from gruspec.certify import bounded
from gruspec.numerics import FORMATS
from gruspec.reference import Definition, error_numbers, error_slopes
from gruspec.reference.error_arrays import Precision
from gruspec.reference.error_numbers import ErrorNumbers
from gruspec.reference.ieee import FLOAT64, PERMITTED_FORMS
from gruspec.spec import ACTIVATIONS, Dimensions, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.reference.ieee import IEEENumbers

    Floats = NDArray[np.float64]
    Spoil = Callable[[pytest.MonkeyPatch], None]

SEEDS = range(120)
STEERED = range(4)
REPEATS = 12
LONG = range(24)
COARSE_BITS, COARSE_SEEDS = 9, range(60)


def layer(
    kernel: list[tuple[float, float, float]],
    inputs: list[Any],
    outputs: list[float],
    *,
    state: float = 0.0,
    flags: tuple[str, ...] = (),
    **arguments: Any,
) -> Case:
    """Return a layer of one unit without recurrent weights; each row has the same cotangent for each output."""
    options: dict[str, Any] = {"activation": "linear", "recurrent_activation": "hard_sigmoid"}
    spec = GRUSpec(units=1, use_bias=False, return_sequences=True, **options | arguments)
    weights = {"kernel": np.array(kernel), "recurrent_kernel": np.zeros((1, 3))}
    rows = len(inputs)
    cotangents = {"outputs": np.tile(np.array(outputs)[None, :, None], (rows, 1, 1))}
    call = Call(np.array(inputs), None, np.full((rows, 1), state), cotangents=cotangents)
    return Case("layer", "layer", "arithmetic-gradients", flags, (), spec, weights, (call,))


FULL = 1 - 2.0**-24
"""A number of all bits."""

V, LOST = 2.0**-126, 2.0**-149
"""The smallest normal number of float32, and the smallest at all."""

LOSING = [99999 * LOST, 55555 * LOST, 77777 * LOST]
NO = (0.0, 0.0, 0.0)
CANDIDATE = [(0.0, 0.0, 1.0)]
DIRECTED = (
    layer([(-8.0, 0.0, 1.0)], [[[1.0], [1.0]]], [1.0, 3 * 2.0**-24]),  # z = 0: 1 + g - g (1 - z) in any order
    layer([(4.0, 0.0, 0.0)], [[[1.0]]], [FULL], recurrent_activation="linear"),  # z = 4: g - g (1 - z) has 3 g
    layer([(1.0, 0.0, 0.0)], [[[-1024 * FULL]]], [FULL], recurrent_activation="linear"),  # 1 - z has one bit too many
    layer(CANDIDATE, [[[1 - 2.0**-22]]], [FULL], state=FULL),  # h - n cancels, but not the roundings of g h and g n
    layer([*CANDIDATE, NO], [[[2 * V, 1.0]]], [2.0**20], state=1.75 * V),  # h - n may be flushed, but not g h - g n
    layer(CANDIDATE, [[[-1.0]] * 3], LOSING, activation="tanh", flags=("Subnormal",)),  # g n loses bits
    layer(CANDIDATE, [[[-2.0]]], [2.0625 * V], activation="tanh"),  # g n may be flushed, which 1 - n doubles
    layer(  # large cotangents that cancel, whose error reaches the kernel with two signs from two rows
        [(0.0, 0.0, 1.0), (0.296875, 0.0, 0.0)],
        [[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]],
        [999 * FULL, -1785 * FULL],
    ),
    layer(  # tanh close to 0, of a pre-activation with an error whose square counts
        [(0.0, 0.0, 16384 * FULL), (0.0, 0.0, -16384 * FULL)], [[[FULL, FULL]]], [1.0], activation="tanh"
    ),
)


def test_no_permitted_backward_pass_leaves_a_bound() -> None:
    assert violation([*repeated(DIRECTED, REPEATS), *differentiated(SEEDS)]) is None


def test_dropout_may_come_in_another_order() -> None:
    cases = differentiated(range(40), dropout=0.5, recurrent_dropout=0.5)
    for number, case in enumerate(certified(cases)):
        assert all(largest_share(case, numbers, StateDroppedFirst) <= 1 for numbers in ways(number, case))


def test_the_other_order_is_the_same_function_and_another_order() -> None:
    case = Drawn(2).differentiated(recurrent_dropout=0.5, reset_after=False)
    with np.errstate(all="ignore"):
        one, other = (
            [arrays for _, arrays in arrays_of_calls(case, FLOAT64, np.asarray, kind)]
            for kind in (Definition, StateDroppedFirst)
        )
    for here, there in zip(one, other, strict=True):
        for name, array in here.items():
            np.testing.assert_allclose(there[name], array, rtol=1e-12)


def test_nearly_every_case_is_certified() -> None:
    assert len(list(certified(DIRECTED))) == len(DIRECTED)
    assert len(list(certified(differentiated(range(40))))) > 36


def plain(seed: int, sizes: Dimensions, *, masked: bool = False, **arguments: Any) -> Case:
    """Return a layer of numbers of all bits."""
    rng = np.random.default_rng(seed)
    batch, timesteps, input_size, units = sizes

    def values(*shape: int) -> Floats:
        return rng.uniform(-1, 1, shape).astype(np.float32).astype(np.float64)

    spec = GRUSpec(units=units, return_sequences=True, return_state=True, **arguments)
    call = Call(
        values(batch, timesteps, input_size),
        rng.random((batch, timesteps)) < 0.8 if masked else None,
        values(batch, units),
        cotangents={"outputs": values(batch, timesteps, units), "state": values(batch, units)},
    )
    weights = {name: values(*shape) for name, shape in weight_shapes(spec, input_size).items()}
    return Case(f"plain/{seed}", "plain", "gradients", (), (), spec, weights, (call,))


def smallest() -> Iterator[Case]:
    """Yield layers in which every error can be turned in turn."""
    for seed in STEERED:
        gates = ("sigmoid", "hard_sigmoid")[seed // 2 % 2]
        yield plain(seed, Dimensions(1, 2, 1, 1), reset_after=seed % 2 == 0, recurrent_activation=gates)


def longer() -> Iterator[Case]:
    """Yield layers of ordinary size and sequences of some length."""
    for seed in LONG:
        sizes = Dimensions(1 + seed % 3, 4 + seed % 9, 1 + seed % 4, 2 + seed % 5)
        gates = ("sigmoid", "hard_sigmoid")[seed // 2 % 2]
        options = {"reset_after": seed % 2 == 0, "zero_output_for_mask": seed // 4 % 2 == 0}
        yield plain(seed, sizes, masked=True, recurrent_activation=gates, **options)


@pytest.mark.parametrize("name", ["inputs", "kernel"])
def test_bounds_are_nearly_reached_and_not_passed(name: str) -> None:
    cases = certified(smallest())
    shares = [steered_share(case, number, f"gradients/{name}") for number, case in enumerate(cases)]
    assert max(shares) <= 1
    assert np.median(shares) > 0.4


COTANGENTS = np.array([FULL, 1.0625 * V, -99999 * V])


def through(name: str, dtype: str) -> Floats:
    """Return the pre-activations through which some cotangent leaves its bound."""
    points = arguments_of_activations(FORMATS[dtype].bits)
    cotangents = np.broadcast_to(COTANGENTS[:, None, None], (len(COTANGENTS), *points.shape[1:]))

    def pulled(numbers: Any) -> Any:
        a = numbers.lift(np.broadcast_to(points, cotangents.shape))
        return numbers.pull_to_preactivation(numbers.lift(cotangents), name, a, numbers.activation(name, a))

    return points[exceeded(pulled, dtype, repeats=2).any(axis=0, keepdims=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_at_exact_points_stay_within_their_bounds(name: str, dtype: str) -> None:
    assert through(name, dtype).tolist() == []


PARTS = np.array([0.0, 1.0, -1.0, 4.0, FULL, 1 - 2.0**-22, 2.0**-25, -1024 * FULL, 1.75 * V, 2 * V])


def backwards(source: str, dtype: str) -> int:
    """Return how often the update's contribution to one of its sources leaves its bound."""
    rng = np.random.default_rng(1)
    parts = [rng.choice(PARTS, (1, 1, 1500)) for _ in range(4)]
    return int(exceeded(lambda numbers: getattr(numbers, f"pull_to_{source}")(*map(numbers.lift, parts)), dtype).sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", ["update", "state", "candidate"])
def test_pulls_of_exact_parts_stay_within_their_bounds(source: str, dtype: str) -> None:
    assert backwards(source, dtype) == 0


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_float32(monkeypatch, COARSE_BITS)


@pytest.mark.usefixtures("coarse")
def test_terms_of_second_order_are_covered() -> None:
    assert violation(differentiated(COARSE_SEEDS, bits=COARSE_BITS)) is None


def test_error_arrays_carry_the_values_of_gradients() -> None:
    for case in longer():
        ((_, exact),) = arrays_of_calls(case, FLOAT64, np.asarray)
        ((_, carried),) = arrays_of_calls(case, ErrorNumbers(Precision(FORMATS["float32"])), lambda array: array.value)
        for name, value in exact.items():
            np.testing.assert_allclose(carried[name], value, rtol=1e-11, atol=1e-13)


def test_no_two_errors_have_one_name() -> None:
    """Errors of a cotangent and of a state add up whatever the signs of the two."""
    errors = ErrorNumbers(Precision(FORMATS["float32"]))
    one_third = errors.lift(np.full((1, 1, 1), FULL)) * errors.lift(np.full((1, 1, 1), FULL))
    cotangent, state = errors.named(one_third), errors.named(-one_third)
    product = (cotangent * state).error.item()
    assert product >= 2 * cotangent.error.item() * FULL**2 > 0


def test_a_shared_mask_of_ones_grants_no_less_than_no_dropout() -> None:
    """An implementation may multiply by the mask once, and form the sum over all gates before that."""
    rng = np.random.default_rng(1)
    spec = GRUSpec(units=16, implementation=2, dropout=0.5)
    weights = {name: rng.integers(-99, 99, shape) / 128 for name, shape in weight_shapes(spec, 2).items()}
    call = Call(
        rng.integers(-99, 99, (1, 2, 2)) / 128,
        training=True,
        dropout_masks={"inputs": np.ones((1, 1, 2))},
        cotangents={"outputs": rng.integers(-99, 99, (1, 16)) / 128},
    )
    case = Case("shared", "shared", "dropout-masks", (), (), spec, weights, (call,))
    masked, plain = (kappas(replace(case, calls=(replace(call, training=acts),))) for acts in (True, False))
    assert all((masked[name] >= plain[name]).all() for name in plain)


def kappas(case: Case) -> dict[str, NDArray[np.float32]]:
    (call,) = bounded(case).calls
    assert isinstance(call, Call)
    return {name: expected.kappa for name, expected in call.expected.items()}


def ieee_share(case: Case, numbers: IEEENumbers) -> float:
    """Return the largest share of a bound of a gradient that IEEE arithmetic uses."""
    unit, shares = FORMATS[np.dtype(numbers.dtype).name].unit_roundoff, [0.0]
    for call, arrays in arrays_of_calls(case, numbers, np.asarray):
        for name, expected in call.expected.items():
            value = np.asarray(expected.value)
            error, inexact = np.abs(arrays[name] - value), expected.kappa > 0
            granted = expected.kappa * unit + np.abs(value) * 2.0**-53
            shares.append(float((error[inexact] / granted[inexact]).max(initial=0)))
            assert not error[~inexact].any()
    return max(shares)


def test_each_form_in_ieee_arithmetic_is_within_its_bounds() -> None:
    cases = list(certified(longer()))
    assert len(cases) == len(LONG)
    shares = [ieee_share(case, numbers) for case in cases for numbers in PERMITTED_FORMS]
    assert max(shares) <= 1
    assert min(shares) > 0


def test_named_cotangents_keep_bounds_of_long_sequences_small() -> None:
    """The error of a cotangent reaches the one before it in two ways, which cancel here: z = 1/2 against -1/2."""
    weights = {"kernel": np.zeros((1, 3)), "recurrent_kernel": np.array([[0.0, 0.0, -1.0]]), "bias": np.zeros((2, 3))}
    weights["bias"][0, 1] = 8.0  # r = 1
    call = Call(np.zeros((1, 100, 1)), None, np.array([[FULL]]), cotangents={"outputs": np.full((1, 100, 1), FULL)})
    spec = GRUSpec(units=1, activation="linear", return_sequences=True, reset_after=True)
    case = Case("long", "long", "gradients", (), (), spec, weights, (call,))
    assert kappas(case)["gradients/initial_state"] < 20


def exact_slopes(patch: pytest.MonkeyPatch) -> None:
    """Charge no rounding of their own to the derivatives of tanh and sigmoid."""

    def exact(curved: Any, y: Any, value: Any, **rest: Any) -> Any:
        return curved(y, value, **rest | {"local": np.zeros(value.shape)})

    wrap(patch, error_slopes, "_curved", exact)


def product_grid(patch: pytest.MonkeyPatch) -> None:
    """Take g z for exact although g - g (1 - z) is not."""

    def own(terms_grid: Any, g: Any, z: Any) -> Any:
        return np.where(terms_grid(g, z) > 0, (g * z).grid, 0.0)

    wrap(patch, error_slopes, "_terms_grid", own)


def complement_without_rounding(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(error_slopes, "_complement_is_exact", lambda z: np.ones(z.shape, bool))


def no_underflow_within(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(error_slopes, "_also_lost", lambda array, _: array)


def exact_constant(patch: pytest.MonkeyPatch) -> None:
    """Forget that 0.2 is rounded."""
    patch.setattr(error_slopes, "HARD_SIGMOID_SLOPE_ULPS", 0.0)


def narrower_corners(patch: pytest.MonkeyPatch) -> None:
    """Take the side of hard_sigmoid that the exact pre-activation is on for certain."""

    def certain(decided: Any, a: Any, slope: Any, inside: Any, outside: Any, local: Any) -> Any:
        return decided(a, slope, inside | ~outside, outside, local)

    wrap(patch, error_slopes, "_decided", certain)


def one_form_to_state(patch: pytest.MonkeyPatch) -> None:
    """Forget that g z may be two terms."""
    wrap(patch, error_slopes, "pull_to_state", lambda _, g, z: g * z)


def one_form_to_candidate(patch: pytest.MonkeyPatch) -> None:
    """Forget that g (1 - z) may be formed as g - g z."""

    def rounded_once(pull: Any, g: Any, z: Any) -> Any:
        return replace(pull(g, replace(z, value=np.ones(z.shape))), value=g.value * (1 - z.value))

    wrap(patch, error_slopes, "pull_to_candidate", rounded_once)


def difference_first(patch: pytest.MonkeyPatch) -> None:
    """Forget that g h - g n may be the difference of two products."""
    wrap(patch, error_slopes, "pull_to_update", lambda _, g, h, n: g * (h + -n))


def rows_cancel(patch: pytest.MonkeyPatch) -> None:
    """Take errors of different rows for one and the same."""

    def summed(over_rows: Any, array: Any) -> Any:
        coefficients = array.coefficients.sum(axis=1, keepdims=True)
        return replace(over_rows(replace(array, coefficients=0 * array.coefficients)), coefficients=coefficients)

    wrap(patch, error_numbers, "over_rows", summed)


def forgotten_when_named(patch: pytest.MonkeyPatch) -> None:
    """Drop the rounding of the sum that a cotangent is."""
    patch.setattr(ErrorNumbers, "named", lambda _, cotangent: replace(cotangent, pending=None))


def forgotten_sums(patch: pytest.MonkeyPatch) -> None:
    """Charge no rounding to sums over rows."""
    wrap(patch, error_numbers, "over_rows", lambda over_rows, array: replace(over_rows(array), pending=None))


def no_cross_terms(patch: pytest.MonkeyPatch) -> None:
    """Take the update gate for exact in what the state and the candidate receive."""

    def exact(pull: Any, g: Any, z: Any) -> Any:
        z = z.settled()
        return pull(g, replace(z, coefficients=0 * z.coefficients, rest=0 * z.rest))

    for name in ("pull_to_state", "pull_to_candidate"):
        wrap(patch, error_slopes, name, exact)


@pytest.mark.parametrize(
    "spoil",
    [
        halved,
        product_grid,
        rows_cancel,
        forgotten_when_named,
        forgotten_sums,
        no_cross_terms,
    ],
)
def test_bounds_that_are_too_narrow_are_found_out(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)
    assert violation([*differentiated(range(10)), *repeated(DIRECTED, REPEATS)]) is not None


@pytest.mark.parametrize(
    ("name", "dtype", "spoil"),
    [
        ("tanh", "float32", exact_slopes),
        ("tanh", "float32", no_underflow_within),
        ("sigmoid", "float32", exact_slopes),
        ("hard_sigmoid", "float32", narrower_corners),
        ("hard_sigmoid", "float64", exact_constant),
    ],
)
def test_slopes_that_are_too_sure_are_found_out(
    name: str, dtype: str, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch)
    assert through(name, dtype).size


@pytest.mark.parametrize(
    ("source", "spoil"),
    [
        ("state", product_grid),
        ("state", complement_without_rounding),
        ("state", one_form_to_state),
        ("candidate", one_form_to_candidate),
        ("update", difference_first),
        ("update", no_underflow_within),
    ],
)
def test_pulls_that_are_too_sure_are_found_out(source: str, spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)
    assert backwards(source, "float32") > 0


def without_squares(patch: pytest.MonkeyPatch) -> None:
    """Forget that the derivative of tanh bends."""

    def straight(curved: Any, y: Any, value: Any, **rest: Any) -> Any:
        unit = y.precision.unit_roundoff
        found = curved(y, value, **rest)
        return replace(found, rest=found.rest - unit * y.error * y.error)

    wrap(patch, error_slopes, "_curved", straight)


def without_products(patch: pytest.MonkeyPatch) -> None:
    """Forget the product of two errors in what the candidate receives."""

    def first_order(pull: Any, g: Any, z: Any) -> Any:
        found, unit = pull(g, z), g.precision.unit_roundoff
        return replace(found, rest=found.rest - unit * g.settled().error * z.settled().error)

    wrap(patch, error_slopes, "pull_to_candidate", first_order)


def product_of_errors() -> Case:
    """Return a step with a cotangent close to 0 and an update gate close to 1, both off by much."""
    most = 1 - 2.0**-COARSE_BITS
    return layer(
        [(64 * most, 0.0, 0.0), (-64 * most, 0.0, 0.0), (1.0, 0.0, 0.0), (0.25 + 2.0**-10, 0.0, 0.0), *CANDIDATE],
        [[[most, most, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0, 0.0]]],
        [-16.0, 64 - 2.0**-2],
        recurrent_activation="linear",
    )


@pytest.mark.usefixtures("coarse")
def test_missing_products_of_errors_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certification, "UNDECIDED_SHARE", 10_000.0)
    cases = list(repeated([product_of_errors()], 20))
    assert len(list(certified(cases))) == len(cases)
    assert violation(cases) is None
    without_products(monkeypatch)
    assert violation(cases) is not None


def test_missing_squares_of_errors_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    without_squares(monkeypatch)
    assert violation(repeated(DIRECTED[-1:], REPEATS)) is not None
