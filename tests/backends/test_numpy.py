"""Calls of the NumPy layer against loops over single steps, hand-computed values, and faults planted in a copy."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import training_calls
from scalar_loop import loop

import gruspec_numpy
from gruspec.errors import NotStatefulError, SpecError, SpecTypeError, Unsupported
from gruspec.spec import ACTIVATIONS, GRUSpec, WeightSettings, outputs_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.backend import Backend

    Array = np.ndarray[Any, np.dtype[Any]]
    Weights = dict[str, Array]

TOLERANCE = {"float64": 1e-13, "float32": 2e-5}


def draw(
    spec: GRUSpec, batch: int = 3, timesteps: int = 5, size: int = 2, *, dtype: str = "float64", seed: int = 0
) -> tuple[Weights, dict[str, Any]]:
    """Draw weights and the arguments of one call."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.uniform(-0.8, 0.8, shape).astype(dtype) for name, shape in weight_shapes(spec, size).items()}
    leading = (timesteps, batch) if spec.time_major else (batch, timesteps)
    arguments = {
        "inputs": rng.uniform(-2, 2, (*leading, size)).astype(dtype),
        "mask": rng.random(leading) < 0.6,
        "initial_state": rng.uniform(-1, 1, (batch, spec.units)).astype(dtype),
    }
    return weights, arguments


def layer_of(spec: GRUSpec, weights: Weights, dtype: str = "float64") -> gruspec_numpy.GRU:
    """Return a layer that also returns its state."""
    return gruspec_numpy.GRU.from_weights(replace(spec, return_state=True), weights, dtype=dtype)


def called(spec: GRUSpec, weights: Weights, dtype: str = "float64", **arguments: Any) -> list[Array]:
    """Return outputs and state of the first call of a layer."""
    returned: list[Array] = layer_of(spec, weights, dtype)(**arguments)
    return returned


def assert_agrees(spec: GRUSpec, weights: Weights, arguments: dict[str, Any], dtype: str) -> None:
    expected = loop(spec, weights, **arguments)
    for got, want in zip(called(spec, weights, dtype, **arguments), expected, strict=True):
        assert got.dtype == dtype
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[dtype])


SWITCHES = ("reset_after", "use_bias", "go_backwards", "time_major", "return_sequences", "zero_output_for_mask")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", [(), ("mask",), ("initial_state",), ("mask", "initial_state")])
@pytest.mark.parametrize("switches", list(itertools.product([False, True], repeat=len(SWITCHES))))
def test_agrees_with_loops_over_numbers(switches: tuple[bool, ...], given: tuple[str, ...], dtype: str) -> None:
    flags: dict[str, Any] = dict(zip(SWITCHES, switches, strict=True))
    spec = GRUSpec(units=3, **flags)
    weights, arguments = draw(spec, dtype=dtype)
    assert_agrees(spec, weights, {name: arguments[name] for name in ("inputs", *given)}, dtype)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize(("activation", "recurrent"), list(itertools.product(ACTIVATIONS, repeat=2)))
def test_every_pair_of_activations(activation: str, recurrent: str, *, reset_after: bool) -> None:
    spec = GRUSpec(units=4, activation=activation, recurrent_activation=recurrent, reset_after=reset_after)
    for dtype in ("float32", "float64"):
        weights, arguments = draw(spec, timesteps=3, dtype=dtype)
        assert_agrees(spec, weights, arguments, dtype)


@pytest.mark.parametrize(("batch", "timesteps", "size", "units"), [(1, 1, 1, 1), (1, 33, 1, 2), (7, 2, 5, 17)])
def test_other_sizes(batch: int, timesteps: int, size: int, units: int) -> None:
    for reset_after in (False, True):
        spec = GRUSpec(units=units, reset_after=reset_after, return_sequences=True)
        weights, arguments = draw(spec, batch, timesteps, size)
        assert_agrees(spec, weights, arguments, "float64")


def halving(**arguments: Any) -> tuple[GRUSpec, Weights]:
    """Return a layer whose every step is (h + x) / 2."""
    spec = GRUSpec(units=1, activation="linear", return_sequences=True, **arguments)
    return spec, {"kernel": np.array([[0.0, 0, 1]]), "recurrent_kernel": np.zeros((1, 3)), "bias": np.zeros(3)}


def halve(x: list[float], mask: Any = None, h: float | None = None, **arguments: Any) -> tuple[list[float], float]:
    spec, weights = halving(**arguments)
    state = None if h is None else np.array([[h]])
    outputs, final = layer_of(spec, weights)(np.array([x])[..., None], state, mask)
    return outputs.ravel().tolist(), final.item()


def test_masks_by_hand() -> None:
    x = [1.0, 2.0, 3.0, 4.0]
    gap = [[False, True, False, True]]
    assert halve(x) == ([0.5, 1.25, 2.125, 3.0625], 3.0625)
    assert halve(x, gap, h=8.0) == ([0.0, 5.0, 5.0, 4.5], 4.5)
    assert halve(x, gap, h=8.0, zero_output_for_mask=True) == ([0.0, 5.0, 0.0, 4.5], 4.5)
    assert halve(x, gap, h=8.0, go_backwards=True) == ([6.0, 6.0, 4.0, 4.0], 4.0)
    assert halve(x, [[False] * 4], h=8.0) == ([0.0] * 4, 8.0)


def test_reset_variants_by_hand() -> None:
    exchange = np.array([[0.0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]])
    bias = np.array([-2.5, -2.5, -2.5, 2.5, 0.0, 0.0])  # z = (0, 0), r = (0, 1)
    weights = {"kernel": np.zeros((1, 6)), "recurrent_kernel": exchange}
    call: dict[str, Any] = {"inputs": np.ones((1, 1, 1)), "initial_state": np.array([[1.0, 3.0]])}
    before = GRUSpec(units=2, activation="linear")
    after = GRUSpec(units=2, activation="linear", reset_after=True)
    both = np.stack([bias, [0, 0, 0, 0, 0, 0.5]])
    assert called(before, weights | {"bias": bias}, **call)[0].tolist() == [[3.0, 0.0]]
    assert called(after, weights | {"bias": both}, **call)[0].tolist() == [[0.0, 1.5]]


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
def test_nothing_at_masked_steps_enters(*, reset_after: bool, time_major: bool) -> None:
    spec = GRUSpec(units=3, reset_after=reset_after, time_major=time_major, return_sequences=True)
    weights, arguments = draw(spec)
    clean = called(spec, weights, **arguments)
    for value in (np.nan, np.inf, 1e300):
        dirty = arguments["inputs"].copy()
        dirty[~arguments["mask"]] = value
        for got, want in zip(called(spec, weights, **arguments | {"inputs": dirty}), clean, strict=True):
            np.testing.assert_array_equal(got, want)


def test_masks_of_other_shapes_and_dtypes() -> None:
    for time_major in (False, True):
        spec = GRUSpec(units=2, return_sequences=True, time_major=time_major)
        weights, arguments = draw(spec)
        mask = arguments["mask"]
        wanted, _ = called(spec, weights, **arguments)
        plain, _ = called(spec, weights, inputs=arguments["inputs"], initial_state=arguments["initial_state"])
        assert not np.array_equal(wanted, plain)
        values = np.where(mask, np.resize([1.0, -0.25, np.nan], mask.shape), 0.0)
        lists = mask.tolist(), [mask, None], (mask, mask)
        for same in (mask[..., None], mask.astype(int), -mask.astype("int8"), values, values[..., None], *lists):
            np.testing.assert_array_equal(called(spec, weights, **arguments | {"mask": same})[0], wanted)
        np.testing.assert_array_equal(called(spec, weights, **arguments | {"mask": [None, mask]})[0], plain)


@pytest.mark.parametrize("use_mask", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize(("batch", "timesteps", "size"), [(2, 0, 3), (0, 4, 3), (0, 0, 3), (2, 3, 0)])
def test_empty_sizes(
    batch: int, timesteps: int, size: int, *, use_mask: bool, return_sequences: bool, time_major: bool
) -> None:
    for reset_after in (False, True):
        spec = GRUSpec(units=2, return_sequences=return_sequences, time_major=time_major, reset_after=reset_after)
        weights, arguments = draw(spec, batch, timesteps, size)
        if not use_mask:
            del arguments["mask"]
        outputs, state = called(spec, weights, **arguments)
        assert outputs.shape == outputs_shape(spec, batch, timesteps)
        assert state.shape == (batch, 2)
        if timesteps == 0:
            assert not outputs.any()
            np.testing.assert_array_equal(state, arguments["initial_state"])
            assert not np.shares_memory(state, arguments["initial_state"])
        elif batch:
            assert_agrees(spec, weights, arguments, "float64")


@pytest.mark.parametrize("go_backwards", [False, True])
def test_stateful_calls_continue_each_other(*, go_backwards: bool) -> None:
    spec = GRUSpec(units=3, stateful=True, return_sequences=True, go_backwards=go_backwards)
    weights, arguments = draw(spec, timesteps=6)
    x = arguments["inputs"]
    whole, end = called(spec, weights, inputs=x)
    parts = (x[:, 4:], x[:, :4]) if go_backwards else (x[:, :4], x[:, 4:])
    layer = layer_of(spec, weights)
    for array in layer(parts[0]):
        array[:] = 7
    outputs, state = layer(parts[1])
    np.testing.assert_allclose(outputs, whole[:, -parts[1].shape[1] :], rtol=0, atol=1e-15)
    np.testing.assert_allclose(state, end, rtol=0, atol=1e-15)


def test_explicit_state_wins_and_its_result_is_recorded() -> None:
    layer = layer_of(*halving(stateful=True))
    one = np.ones((2, 1, 1))

    def outputs(*arguments: Any, **named: Any) -> list[float]:
        found: list[float] = layer(*arguments, **named)[0].ravel().tolist()
        return found

    assert outputs(one) == [0.5, 0.5]
    assert outputs(one, [[8.0], [0.0]]) == [4.5, 0.5]
    assert outputs(one) == [2.75, 0.75]
    assert outputs(one, mask=[[False], [True]]) == [0.0, 0.875]
    (recorded,) = layer.states
    assert recorded is not None
    assert recorded.ravel().tolist() == [2.75, 0.875]
    assert outputs([one, np.array([[4.0], [0.0]])]) == [2.5, 0.5]


def test_reset_states() -> None:
    spec, weights = halving(stateful=True)
    layer = gruspec_numpy.GRU.from_weights(spec, weights, dtype="float64")
    one = np.ones((2, 1, 1))
    with pytest.raises(SpecError, match="batch size is not known"):
        layer.reset_states()
    layer(one)
    layer.reset_states()
    assert layer(one).ravel().tolist() == [0.5, 0.5]
    given = np.array([[3.0], [5.0]])
    for form in (given, [given], (given,), given.tolist(), given.astype(int)):
        layer.reset_states(form)
        assert layer(one).ravel().tolist() == [2.0, 3.0]
    layer.states = [given]
    given[:] = 0
    assert layer(one).ravel().tolist() == [2.0, 3.0]
    layer.reset_states(np.array([[True], [False]]))
    assert layer(one).ravel().tolist() == [1.0, 0.5]
    for wrong in (np.ones(2), np.ones((1, 1)), np.ones((2, 1, 1)), 3.0):
        with pytest.raises(SpecError, match="states: shape"):
            layer.reset_states(wrong)
    for several in ([], [given, given]):
        with pytest.raises(SpecError, match=rf"states: {len(several)} states; a GRU has one"):
            layer.reset_states(several)
    for kind in (complex, "U1", object):
        with pytest.raises(SpecError, match="states: dtype"):
            layer.reset_states(np.ones((2, 1), kind))
    assert layer(np.ones((2, 1, 1))).ravel().tolist() == [1.0, 0.75]
    with pytest.raises(SpecError, match=r"batch size 3.*for 2 sequences"):
        layer(np.ones((3, 1, 1)))
    with pytest.raises(NotStatefulError):
        gruspec_numpy.GRU.from_weights(*halving()).reset_states()


def test_calls_of_a_layer_without_state_are_independent() -> None:
    layer = gruspec_numpy.GRU.from_weights(*halving())
    assert layer(np.ones((1, 1, 1))).item() == 0.5
    assert layer(np.ones((3, 1, 1))).ravel().tolist() == [0.5] * 3


@pytest.mark.parametrize("reset_after", [False, True])
def test_float32_is_not_float64_inside(*, reset_after: bool) -> None:
    spec = GRUSpec(units=1, activation="linear", reset_after=reset_after, return_sequences=True)
    bias = np.array([-100.0, 0, -1])  # z = 0, so that the output is x @ W_h - 1
    weights = {"kernel": np.array([[0.0, 0, 1], [0, 0, 1]]), "recurrent_kernel": np.zeros((1, 3))}
    weights["bias"] = np.stack([bias, 0 * bias]) if reset_after else bias
    inputs = np.array([[[1.0, 2.0**-24]]])
    mask = np.array([[True]])
    assert called(spec, weights, "float64", inputs=inputs, mask=mask)[0].item() == 2.0**-24
    assert called(spec, weights, "float32", inputs=inputs, mask=mask)[0].item() == 0


def test_other_dtypes_are_cast_to_the_layers() -> None:
    spec = GRUSpec(units=2)
    weights, arguments = draw(spec)
    layer = gruspec_numpy.GRU.from_weights(spec, weights, dtype="float32")
    narrow = {name: a.astype("float32") if name != "mask" else a for name, a in arguments.items()}
    np.testing.assert_array_equal(layer(**arguments), layer(**narrow))
    assert layer(**arguments).dtype == np.float32
    whole = np.array([[1, 0], [0, 1], [2, 3]])
    for state in (whole, whole.tolist(), [whole], (whole,)):
        found = layer(arguments["inputs"], state)
        np.testing.assert_array_equal(found, layer(arguments["inputs"], whole.astype("float32")))


def test_float16_is_computed_in() -> None:
    spec = GRUSpec(units=3, reset_after=True, return_sequences=True)
    weights, arguments = draw(spec)
    got = called(spec, weights, "float16", **arguments)
    want = loop(spec, weights, **arguments)
    for low, high in zip(got, want, strict=True):
        assert low.dtype == np.float16
        np.testing.assert_allclose(low, high, rtol=0, atol=4e-3)
        assert np.abs(low - high).max() > 1e-5


def test_subnormal_numbers_count() -> None:
    for dtype in ("float32", "float64"):
        tiny = np.finfo(dtype).smallest_subnormal
        spec, weights = halving()
        outputs, _ = called(spec, weights, dtype, inputs=np.array([[[6.0], [0.0]]], dtype) * tiny)
        assert outputs.dtype == dtype
        assert (outputs / tiny).ravel().tolist() == [3.0, 2.0]


def test_infinities_and_nan_propagate_without_warnings() -> None:
    for reset_after in (False, True):
        spec = GRUSpec(units=2, reset_after=reset_after, return_sequences=True)
        weights, arguments = draw(spec)
        x = arguments["inputs"]
        x[1, 2, 0] = np.nan
        outputs, state = called(spec, weights, inputs=x)
        assert np.isnan(outputs).any(axis=(0, 2)).tolist() == [False, False, True, True, True]
        assert np.isnan(state).any(axis=1).tolist() == [False, True, False]
    spec = GRUSpec(units=1)
    saturated = {"kernel": np.ones((1, 3)), "recurrent_kernel": np.zeros((1, 3)), "bias": np.zeros(3)}
    half = np.array([[0.5]])
    for large in (np.inf, 1e300):
        assert called(spec, saturated, "float32", inputs=np.full((1, 1, 1), large), initial_state=half)[0] == 0.5
    shielded = saturated | {"kernel": np.array([[0.0, 1, 1]])}
    assert np.isnan(called(spec, shielded, "float32", inputs=np.full((1, 1, 1), np.inf))[0].item())


def test_unroll_changes_no_bit() -> None:
    for flags in itertools.product([False, True], repeat=3):
        names = ("go_backwards", "zero_output_for_mask", "return_sequences")
        arguments: dict[str, Any] = dict(zip(names, flags, strict=True))
        weights, call = draw(GRUSpec(units=3, **arguments))
        plain, unrolled = (called(GRUSpec(units=3, unroll=u, **arguments), weights, **call) for u in (False, True))
        np.testing.assert_array_equal(plain[0], unrolled[0])


def test_large_products_take_other_ways_to_the_same_numbers() -> None:
    for batch, units in ((1, 3), (3, 3), (40, 3), (2, 150)):
        for reset_after in (False, True):
            spec = GRUSpec(units=units, reset_after=reset_after, return_sequences=True)
            weights, arguments = draw(spec, batch, 2)
            weights = {name: weight / units for name, weight in weights.items()}
            assert_agrees(spec, weights, arguments, "float64")


def test_arguments_are_not_written_to_and_weights_are_copied() -> None:
    spec = GRUSpec(units=2, stateful=True, return_sequences=True, time_major=True)
    weights, arguments = draw(spec)
    kept = {name: a.copy() for name, a in (weights | arguments).items()}
    layer = layer_of(spec, weights)
    first = layer(**arguments)
    for name, array in (weights | arguments).items():
        np.testing.assert_array_equal(array, kept[name])
        assert not any(np.shares_memory(array, returned) for returned in first)
    assert not np.shares_memory(*first)
    weights["kernel"][:] = 0
    layer.reset_states()
    np.testing.assert_array_equal(layer(**arguments)[0], first[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": np.zeros((3, 5))}, "inputs: shape"),
        ({"inputs": np.zeros((3, 5, 4))}, r"kernel: shape \(2, 6\); expected \(4, 6\)"),
        ({"inputs": [[[1.0], [1.0, 2.0]]]}, "inputs: cannot be made an array"),
        ({"inputs": 1.0}, "inputs: shape"),
        ({"inputs": (np.zeros((3, 5, 2)), np.zeros((3, 2)))}, "inputs: a tuple of 2 arrays"),
        ({"inputs": [np.zeros((3, 5, 2)), np.zeros((3, 2))]}, "initial_state: given twice"),
        ({"inputs": [np.zeros((3, 5, 2)), *[np.zeros((3, 2))] * 2], "initial_state": None}, "2 states; a GRU has one"),
        ({"mask": np.ones((3, 4), bool)}, "mask: shape"),
        ({"mask": np.ones((5, 3), bool)}, "mask: shape"),
        ({"mask": np.ones((1, 5), bool)}, "mask: shape"),
        ({"mask": np.ones((3, 5, 2), bool)}, "mask: shape"),
        ({"mask": True}, "mask: shape"),
        ({"mask": np.full((3, 5), "a")}, "mask: dtype"),
        ({"mask": np.ones((3, 5), complex)}, "mask: dtype"),
        ({"mask": np.full((3, 5), None)}, "mask: dtype"),
        ({"initial_state": np.zeros((1, 2))}, "initial_state: shape"),
        ({"initial_state": np.zeros((3, 3))}, "initial_state: shape"),
        ({"initial_state": np.zeros(2)}, "initial_state: shape"),
        ({"initial_state": []}, "initial_state: 0 states; a GRU has one"),
        ({"initial_state": [np.zeros((3, 2))] * 2}, "initial_state: 2 states; a GRU has one"),
        ({"initial_state": np.zeros((3, 2), complex)}, "initial_state: dtype"),
        ({"initial_state": np.full((3, 2), "1")}, "initial_state: dtype"),
        ({"initial_state": np.full((3, 2), None)}, "initial_state: dtype"),
        ({"initial_state": [[1.0, 2.0], [3.0]]}, "initial_state: cannot be made an array"),
    ],
)
def test_invalid_calls(change: dict[str, Any], message: str) -> None:
    spec = GRUSpec(units=2)
    weights, arguments = draw(spec)
    with pytest.raises(SpecError, match=message):
        called(spec, weights, **arguments | change)


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex128", "U1", "O"])
def test_inputs_must_be_floating(dtype: str) -> None:
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    with pytest.raises(SpecTypeError, match="inputs: dtype"):
        called(spec, weights, inputs=np.zeros((3, 5, 2), dtype))


def test_invalid_weights() -> None:
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    wrong = [
        ({k: v for k, v in weights.items() if k != "kernel"}, "kernel: missing"),
        ({k: v for k, v in weights.items() if k != "bias"}, "bias: missing"),
        (weights | {"kernel": np.array(1.0)}, "kernel: shape"),
        (weights | {"bias": np.zeros((2, 6))}, "bias: shape"),
        (weights | {"recurrent_kernel": weights["recurrent_kernel"].T}, "recurrent_kernel: shape"),
        (weights | {"bias": np.zeros(6, complex)}, "bias: dtype"),
        (weights | {"extra": np.zeros(6)}, "extra: given"),
    ]
    for given, message in wrong:
        with pytest.raises(SpecError, match=message):
            gruspec_numpy.GRU.from_weights(spec, given)


RATES: list[dict[str, Any]] = [
    {"dropout": 0.5},
    {"recurrent_dropout": 0.25},
    {"dropout": 0.5, "recurrent_dropout": 0.25},
    {"dropout": 0.5, "implementation": 2},
    {"dropout": 0.5, "recurrent_dropout": 0.25, "implementation": 2},
    {},
]


@pytest.mark.parametrize("rates", RATES, ids=str)
@pytest.mark.parametrize(("reset_after", "time_major", "use_bias"), list(itertools.product([False, True], repeat=3)))
def test_given_dropout_masks_act_on_products_in_training(
    rates: dict[str, Any], *, reset_after: bool, time_major: bool, use_bias: bool
) -> None:
    spec = GRUSpec(units=4, reset_after=reset_after, time_major=time_major, use_bias=use_bias, **rates)
    weights, arguments = training_calls.draw(spec)
    masks = training_calls.draw_masks(spec)
    act = training_calls.acting(spec, masks)
    layer = gruspec_numpy.GRU.from_weights(spec, weights, dtype="float64")
    dropped = layer(**arguments, training=True, dropout_masks=masks)
    kept = layer(**arguments, dropout_masks=masks)
    np.testing.assert_allclose(dropped, loop(spec, weights, **arguments, dropout_masks=act)[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(kept, loop(spec, weights, **arguments)[0], rtol=0, atol=1e-14)
    assert bool(act) == bool(np.abs(dropped - kept).max() > 1e-3)


WRONG_MASKS: list[tuple[dict[str, Any], Any, str]] = [
    ({"dropout": 0.5}, {}, r"dropout_masks: 'inputs' missing, .* shape \(3, 3, 2\)"),
    ({"dropout": 0.5}, {"inputs": np.ones((1, 3, 2))}, r"'inputs' has shape \(1, 3, 2\); expected \(3, 3, 2\)"),
    ({"dropout": 0.5, "implementation": 2}, {"inputs": np.ones((3, 3, 2))}, r"expected \(1, 3, 2\)"),
    ({"recurrent_dropout": 0.5}, {"recurrent": np.ones((3, 3, 2))}, r"expected \(3, 3, 4\)"),
    ({"dropout": 0.5}, {"inputs": np.ones((3, 3, 2), complex)}, r"dropout_masks\['inputs'\]: dtype"),
    ({}, {"state": np.ones((3, 3, 2))}, "unknown state; known are inputs, recurrent"),
    ({"dropout": 1}, None, r"dropout=1\.0: in training"),
    ({"recurrent_dropout": 1}, {"recurrent": np.ones((3, 3, 4))}, r"recurrent_dropout=1\.0: in training"),
]


@pytest.mark.parametrize(("rates", "masks", "message"), WRONG_MASKS)
def test_wrong_dropout_is_named(rates: dict[str, Any], masks: Any, message: str) -> None:
    spec = GRUSpec(units=4, **rates)
    weights, arguments = training_calls.draw(spec)
    layer = gruspec_numpy.GRU.from_weights(spec, weights)
    with pytest.raises(SpecError, match=message):
        layer(**arguments, training=True, dropout_masks=masks)


def test_masks_that_no_layer_has_are_refused_in_inference_too() -> None:
    spec = GRUSpec(units=4)
    weights, arguments = training_calls.draw(spec)
    with pytest.raises(SpecError, match="dropout_masks: unknown state"):
        gruspec_numpy.GRU.from_weights(spec, weights)(**arguments, dropout_masks={"state": np.ones((3, 3, 4))})


def test_the_backend_runs_this_very_layer() -> None:
    backend = gruspec_numpy.backend()
    for state, sequences in itertools.product([False, True], repeat=2):
        spec = GRUSpec(units=4, return_state=state, return_sequences=sequences, stateful=True, dropout=0.5)
        weights, arguments = training_calls.draw(spec)
        call = arguments | {"training": True, "dropout_masks": training_calls.draw_masks(spec)}
        layer = gruspec_numpy.GRU.from_weights(spec, weights, dtype="float64")
        bound = backend.prepare(spec, weights, dtype="float64", device="cpu")
        output, expected = bound(**call), layer(**call)
        np.testing.assert_array_equal(output.outputs, expected[0] if state else expected)
        assert (output.state is None) is not state
        if state:
            np.testing.assert_array_equal(output.state, expected[1])
        for each in (bound, layer):
            each.reset_states(arguments["initial_state"])
        again = layer(arguments["inputs"])
        np.testing.assert_array_equal(bound(arguments["inputs"]).outputs, again[0] if state else again)
        assert bound.losses.shape == (0,)


def test_the_backend_reports_losses() -> None:
    spec = GRUSpec(units=2, return_state=True)
    weights, arguments = draw(spec, dtype="float32")
    penalty = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 2.0}}
    settings = WeightSettings(activity_regularizer=penalty, recurrent_regularizer=penalty)
    bound = gruspec_numpy.backend().prepare(spec, weights, dtype="float32", device="cpu", settings=settings)
    output = bound(**arguments)
    assert output.state is not None
    wanted = [2 * np.square(a).sum() / 3 for a in (output.outputs, output.state)]
    assert bound.losses.dtype == np.float32
    np.testing.assert_allclose(bound.losses, [*wanted, 2 * np.square(weights["recurrent_kernel"]).sum()], rtol=1e-6)


def test_declines_what_it_does_not_declare() -> None:
    backend = gruspec_numpy.backend()
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    changes: list[dict[str, Any]] = [{"dtype": "bfloat16"}, {"device": "cuda"}]
    for change in changes:
        with pytest.raises(Unsupported, match=next(iter(change.values()))):
            backend.prepare(spec, weights, **{"dtype": "float32", "device": "cpu"} | change)
    assert backend.capabilities().kind == "complete"
    assert backend.capabilities().losses
    assert backend.versions()["numpy"] == np.__version__
    assert not hasattr(gruspec_numpy, "no_such_name")


def test_importing_it_does_not_import_numpy() -> None:
    code = "import sys, gruspec_numpy; gruspec_numpy.backend().capabilities(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


GATES = "updates, resets = tape.values[:, :u], tape.values[:, u : 2 * u]"

FAULTS = {
    "gates exchanged": ("forward.py", GATES, GATES.replace("updates, resets", "resets, updates")),
    "reset variant": ("forward.py", "(reset_after if spec", "(reset_after if not spec"),
    "input bias dropped": ("forward.py", 'if "bias" in equations.weights:', "if False:"),
    "recurrent bias dropped": ("forward.py", "np.add(product, recurrent_bias, product)", "pass"),
    "recurrent bias dropped in gates": ("forward.py", "merged[: 2 * spec.units] += bias[1, : 2 * spec.units]", "pass"),
    "recurrent kernel transposed": (
        "forward.py",
        'equations.weights["recurrent_kernel"]',
        'flip(equations.weights["recurrent_kernel"])',
    ),
    "update complemented": ("forward.py", "np.subtract(one, update, scratch)", "np.subtract(one, update, update)"),
    "mask ignored": ("recurrent.py", "call.start, call.mask)", "call.start)"),
    "mask not reversed": ("forward.py", "mask[order]", "mask"),
    "masked state not held": ("forward.py", "where=skipped[i]", "where=skipped[0]"),
    "output held as state": ("forward.py", "np.logical_or.accumulate(valid)", "np.ones_like(valid)"),
    "zero output ignored": ("forward.py", "valid if spec.zero_output_for_mask else ", ""),
    "initial state ignored": ("recurrent.py", "start = given if given is not None else recorded", "start = recorded"),
    "carry lost": ("recurrent.py", "self._recorded = result.state.copy()", "self._recorded = 0 * result.state"),
    "outputs reversed again": (
        "forward.py",
        "turn(states, rows)",
        "turn(states, rows[::-1 if spec.go_backwards else 1])",
    ),
    "slope 1/6": ("activation_functions.py", "x *= 0.2", "x /= 6"),
    "masks of gates exchanged": ("forward.py", "blocks = zip(masks, np", "blocks = zip(masks[::-1], np"),
    "state masks of gates exchanged": ("forward.py", "masks.swapaxes(1, 2)", "masks[::-1].swapaxes(1, 2)"),
}
"""Module, text, and what replaces it everywhere in it."""


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Backend]]:
    """Return a function that copies the package under another name, with one text replaced, and loads the copy."""
    home = tmp_path / "copy_of_gruspec_numpy"
    shutil.copytree(Path(gruspec_numpy.__file__).parent, home, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(tmp_path)

    def load(module: str, old: str, new: str) -> Backend:
        text = (home / module).read_text(encoding="utf-8")
        assert old in text
        helper = "\n\ndef flip(k):\n    return np.concatenate([g.T for g in np.split(k, 3, 1)], 1)\n"
        (home / module).write_text(text.replace(old, new) + helper, encoding="utf-8")
        backend: Backend = import_module(home.name).backend()
        return backend

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == home.name]:
        del sys.modules[name]


def agrees_everywhere(backend: Backend) -> bool:
    """Return whether a backend agrees with the loops on a handful of cases."""
    for reset_after, go_backwards, zero_output in itertools.product([False, True], repeat=3):
        spec = GRUSpec(
            units=3,
            reset_after=reset_after,
            go_backwards=go_backwards,
            zero_output_for_mask=zero_output,
            use_bias=zero_output,
            return_sequences=True,
            stateful=True,
            dropout=0.5,
            recurrent_dropout=0.5,
        )
        weights, arguments = draw(spec, seed=3)
        arguments["mask"][:, [0, -1]] = [[False, True], [True, False], [True, True]]
        layer = backend.prepare(spec, weights, dtype="float64", device="cpu")
        expected, state = loop(spec, weights, **arguments)
        again, state = loop(spec, weights, arguments["inputs"], None, state)
        masks = training_calls.draw_masks(spec)
        training, _ = loop(spec, weights, arguments["inputs"], None, state, masks)
        computed = (
            layer(**arguments).outputs,
            layer(arguments["inputs"]).outputs,
            layer(arguments["inputs"], training=True, dropout_masks=masks).outputs,
        )
        for got, wanted in zip(computed, (expected, again, training), strict=True):
            if not np.allclose(got, wanted, rtol=0, atol=1e-12):
                return False
    return True


def test_a_copy_under_another_name_works(copied: Callable[..., Backend]) -> None:
    assert agrees_everywhere(copied("layer.py", "", ""))


@pytest.mark.parametrize("fault", FAULTS)
def test_these_tests_would_see(fault: str, copied: Callable[..., Backend]) -> None:
    assert not agrees_everywhere(copied(*FAULTS[fault]))
