"""Losses of regularizers against exact rational arithmetic, and against every order of their sums."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from permitted_arithmetic import Choices, PermittedNumbers
from used_bounds import exceeded, shares_of_bounds, violation

from gruspec import GRUSpec
from gruspec.cases import Call, Case
from gruspec.certify import bounded, certify
from gruspec.errors import SpecError
from gruspec.numerics import FORMATS
from gruspec.reference import error_numbers
from gruspec.spec import WeightSettings, weight_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

L1 = {"class_name": "L1L2", "config": {"l1": 2.0**-4, "l2": 0.0}}
L2 = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 2.0**-3}}
BOTH = {"class_name": "L1L2", "config": {"l1": 0.75, "l2": 2.0**-3}}
BATCH, TIMESTEPS, INPUT_SIZE, UNITS = 3, 5, 2, 2
PLACES = {"kernel": "kernel_regularizer", "recurrent_kernel": "recurrent_regularizer", "bias": "bias_regularizer"}


def penalty(array: Any, regularizer: Any) -> Fraction:
    factors = {name: Fraction(float(factor)) for name, factor in regularizer["config"].items()}
    values = [Fraction(float(value)) for value in np.asarray(array).flat]
    return factors["l1"] * sum(map(abs, values)) + factors["l2"] * sum(value**2 for value in values)


def drawn(settings: WeightSettings, seed: int = 0, bits: int = 8, **arguments: Any) -> Case:
    """Return a layer without recurrent weights, whose outputs have few bits: each step gives (h + x W) / 2."""
    rng = np.random.default_rng(seed)

    def values(*shape: int) -> Floats:
        return rng.integers(-(2**bits), 2**bits, shape) / 2.0 ** (bits - 2)

    spec = GRUSpec(units=UNITS, activation="linear", **arguments)
    weights = {name: np.zeros(shape) for name, shape in weight_shapes(spec, INPUT_SIZE).items()}
    weights["kernel"][:, 2 * UNITS :] = values(INPUT_SIZE, UNITS)
    leading = (TIMESTEPS, BATCH) if spec.time_major else (BATCH, TIMESTEPS)
    call = Call(values(*leading, INPUT_SIZE), rng.random(leading) < 0.8, values(BATCH, UNITS))
    return Case("l", "l", "losses", (), (), spec, weights, (call,), settings=settings)


def certified(case: Case) -> dict[str, Floats]:
    (call,) = certify(case).calls
    assert isinstance(call, Call)
    return {name: np.asarray(found.value) for name, found in call.expected.items()}


@pytest.mark.parametrize("regularizer", [L1, L2, BOTH], ids=["l1", "l2", "both"])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_activity_is_divided_by_the_first_axis_of_what_is_returned(
    regularizer: Any, *, return_sequences: bool, time_major: bool, return_state: bool
) -> None:
    options = {"return_sequences": return_sequences, "time_major": time_major, "return_state": return_state}
    found = certified(drawn(WeightSettings(activity_regularizer=regularizer), **options))
    first = TIMESTEPS if return_sequences and time_major else BATCH
    assert len(found["outputs"]) == first
    exact = [penalty(found["outputs"], regularizer) / first]
    if return_state:
        exact.append(penalty(found["state"], regularizer) / BATCH)
    assert found["losses"].tolist() == [float(loss) for loss in exact]


@pytest.mark.parametrize("regularizer", [L1, L2, BOTH], ids=["l1", "l2", "both"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reset_after", [False, True])
def test_weights_are_penalized_element_by_element(regularizer: Any, place: str, *, reset_after: bool) -> None:
    case = drawn(WeightSettings(**{PLACES[place]: regularizer}), bits=24, reset_after=reset_after)
    weights = {name: np.random.default_rng(1).integers(-99, 99, w.shape) / 64 for name, w in case.weights.items()}
    found = certified(replace(case, weights=weights))
    assert found["losses"].tolist() == [float(penalty(weights[place], regularizer))]


def test_order_of_losses() -> None:
    """Outputs and state, then kernel, recurrent kernel and bias: each with a regularizer of its own."""

    def l1(factor: float) -> Any:
        return {"class_name": "L1L2", "config": {"l1": factor}}

    settings = WeightSettings(
        bias_regularizer=l1(1.0),
        recurrent_regularizer=l1(2.0),
        kernel_regularizer=l1(4.0),
        activity_regularizer=l1(8.0),
    )
    case = drawn(settings, return_state=True)
    weights = {name: np.ones(array.shape) for name, array in case.weights.items()}
    found = certified(replace(case, weights=weights))
    outputs, state, kernel, recurrent_kernel, bias = found["losses"]
    assert (kernel, recurrent_kernel, bias) == (4 * 12, 2 * 12, 6)
    assert outputs == pytest.approx(8 * np.abs(found["outputs"]).sum() / BATCH)
    assert state == pytest.approx(8 * np.abs(found["state"]).sum() / BATCH)


def test_what_has_no_regularizer_has_no_loss() -> None:
    assert "losses" not in certified(drawn(WeightSettings()))
    settings = WeightSettings(bias_regularizer=L1, recurrent_regularizer=L2)
    assert certified(drawn(settings, use_bias=False))["losses"].shape == (1,)
    assert certified(drawn(settings))["losses"].shape == (2,)


def test_a_mask_changes_no_divisor_and_hidden_outputs_count() -> None:
    settings = WeightSettings(activity_regularizer=L1)
    case = drawn(settings, return_sequences=True)
    (call,) = case.calls
    assert isinstance(call, Call)
    mask = np.zeros((BATCH, TIMESTEPS), bool)
    mask[:, 0] = True
    held = certified(replace(case, calls=(replace(call, mask=mask),)))
    zeroed = certified(drawn(settings, return_sequences=True, zero_output_for_mask=True))
    assert held["losses"].tolist() == [float(penalty(held["outputs"], L1) / BATCH)]
    assert zeroed["losses"].tolist() == [float(penalty(zeroed["outputs"], L1) / BATCH)]


def full(seed: int, settings: WeightSettings, **arguments: Any) -> Case:
    """Return a layer of numbers of all bits."""
    case = drawn(settings, seed, 24, return_sequences=True, return_state=True, **arguments)
    spec = replace(case.spec, activation="tanh", recurrent_activation="sigmoid")
    rng = np.random.default_rng(seed)
    weights = {name: rng.integers(-(2**23), 2**23, array.shape) / 2.0**22 for name, array in case.weights.items()}
    return replace(case, spec=spec, weights=weights)


ALL = WeightSettings(kernel_regularizer=BOTH, recurrent_regularizer=L1, bias_regularizer=L2, activity_regularizer=BOTH)


def test_no_order_of_a_sum_leaves_a_bound() -> None:
    assert violation([full(seed, ALL, time_major=seed % 2 == 0) for seed in range(12)]) is None


def test_losses_of_few_bits_are_exact_in_every_order() -> None:
    """Divided by a power of two, here the timesteps."""
    settings = WeightSettings(kernel_regularizer=BOTH, activity_regularizer=BOTH)
    case = drawn(settings, return_sequences=True, time_major=True, bits=3)
    (call,) = case.calls
    assert isinstance(call, Call)
    mask = np.asarray(call.mask)[:4]
    mask[1:] = False
    done = certify(replace(case, calls=(replace(call, inputs=call.inputs[:4], mask=mask),)))
    (call,) = done.calls
    assert isinstance(call, Call)
    kappa = call.expected["losses"].kappa
    assert kappa[1] == 0
    for seed in range(10):
        numbers = PermittedNumbers(FORMATS["float32"], Choices(seed), extended=True)
        assert shares_of_bounds(done, numbers)[0]["losses"][1] == 0


SUMMED = np.random.default_rng(1).integers(-(2**23), 2**23, (1, 3, 50)) / 2.0**22


def total_of_magnitudes(numbers: Any) -> Any:
    """Return the sum of inexact magnitudes of either sign."""
    third = numbers.divided(numbers.lift(SUMMED), 3)
    return numbers.total([numbers.absolute(third), numbers.lift(np.array([[[1.0]]]))])


def shares(numbers: Any) -> Any:
    return numbers.divided(numbers.lift(SUMMED), 5)


def magnitudes(numbers: Any) -> Any:
    return numbers.absolute(shares(numbers))


OPERATIONS = (total_of_magnitudes, shares, magnitudes)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations_on_exact_numbers_stay_within_their_bounds(operation: Any, dtype: str) -> None:
    assert not exceeded(operation, dtype, repeats=20).any()


def without(patch: pytest.MonkeyPatch, name: str, **parts: Any) -> None:
    """Let an operation forget parts of its error."""
    operation = getattr(error_numbers, name)
    patch.setattr(error_numbers, name, lambda *arguments: replace(operation(*arguments), **parts))


@pytest.mark.parametrize(
    ("operation", "name", "parts"),
    [
        (shares, "divided", {"rest": np.zeros(SUMMED.shape)}),
        (magnitudes, "absolute", {"rest": np.zeros(SUMMED.shape)}),
        (total_of_magnitudes, "total", {"pending": None}),
        (total_of_magnitudes, "total", {"rest": np.zeros((1, 1, 1)), "pending": None}),
    ],
)
def test_bounds_that_are_too_narrow_are_found_out(
    operation: Any, name: str, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, name, **parts)
    assert exceeded(operation, "float32", repeats=20).any()


@pytest.mark.parametrize("regularizer", ["l1", {"class_name": "L2", "config": {"l2": 0.5}}])
def test_only_configurations_of_both_factors_are_known(regularizer: Any) -> None:
    with pytest.raises(SpecError, match="expected a configuration of L1L2"):
        certify(drawn(WeightSettings(kernel_regularizer=regularizer)))


def test_factors_are_inputs() -> None:
    """Where float32 does not hold a factor, no bound holds in float32."""
    fine = {"class_name": "L1L2", "config": {"l1": 0.01, "l2": 0.0}}
    for settings in (WeightSettings(kernel_regularizer=fine), WeightSettings(activity_regularizer=fine)):
        assert certify(drawn(settings)).dtypes == bounded(drawn(settings)).dtypes == ("float64",)
    assert certify(drawn(ALL)).dtypes == ("float32", "float64")


@pytest.mark.parametrize("time_major", [False, True])
def test_the_loss_of_nothing_is_zero(*, time_major: bool) -> None:
    case = drawn(WeightSettings(activity_regularizer=L1), time_major=time_major, return_sequences=True)
    (call,) = certify(replace(case, calls=(Call(np.zeros((0, 2, INPUT_SIZE))),))).calls
    assert isinstance(call, Call)
    assert call.expected["losses"].value is not None
    assert not call.expected["losses"].value.any()
    assert not call.expected["losses"].kappa.any()
