"""Dropout masks and gradients of the implementations of the whole specification in PyTorch and JAX."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scalar_loop import loop
from training_calls import BATCH, SIZE, acting, assert_gradients, draw, draw_cotangents, draw_masks

from gruspec.backend import Registry
from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec import DROPOUT_RATES, GRUSpec, outputs_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from gruspec.backend import Backend

UNITS = 4


@pytest.fixture(params=["torch", "jax"])
def backend(request: pytest.FixtureRequest) -> Backend:
    pytest.importorskip(request.param)
    return Registry().get(request.param).load_runnable()


@pytest.fixture
def prepare(backend: Backend) -> Callable[..., Any]:
    """Return how to bind a layer to the dtype of its weights."""
    return lambda spec, weights: backend.prepare(spec, weights, dtype=weights["kernel"].dtype.name, device="cpu")


Prepare = Any

RATES: list[dict[str, Any]] = [
    {"dropout": 0.5},
    {"recurrent_dropout": 0.25},
    {"dropout": 0.5, "recurrent_dropout": 0.25},
    {"dropout": 0.5, "implementation": 2},
    {},
]


@pytest.mark.parametrize("rates", RATES, ids=str)
@pytest.mark.parametrize(("reset_after", "time_major", "use_bias"), list(itertools.product([False, True], repeat=3)))
def test_dropout_masks_act_on_products_in_training(
    prepare: Prepare, rates: dict[str, Any], *, reset_after: bool, time_major: bool, use_bias: bool
) -> None:
    spec = GRUSpec(
        units=UNITS,
        reset_after=reset_after,
        time_major=time_major,
        use_bias=use_bias,
        go_backwards=time_major,
        return_sequences=True,
        **rates,
    )
    weights, arguments = draw(spec)
    masks = draw_masks(spec)
    act = acting(spec, masks)
    assert len(act) == sum(name in rates for name in DROPOUT_RATES.values())
    layer = prepare(spec, weights)
    dropped = layer(**arguments, dropout_masks=masks, training=True).outputs
    kept = layer(**arguments, dropout_masks=masks).outputs
    np.testing.assert_allclose(dropped, loop(spec, weights, **arguments, dropout_masks=act)[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(kept, loop(spec, weights, **arguments)[0], rtol=0, atol=1e-14)
    assert bool(act) == bool(np.abs(dropped - kept).max() > 1e-3)


WRONG: list[tuple[dict[str, Any], Any, str]] = [
    ({"dropout": 0.5}, {}, r"dropout_masks: 'inputs' missing, .* shape \(3, 3, 2\)"),
    ({"dropout": 0.5}, {"inputs": np.ones((1, BATCH, SIZE))}, r"'inputs' has shape \(1, 3, 2\); expected \(3, 3, 2\)"),
    ({"dropout": 0.5, "implementation": 2}, {"inputs": np.ones((3, BATCH, SIZE))}, r"expected \(1, 3, 2\)"),
    ({"recurrent_dropout": 0.5}, {"recurrent": np.ones((3, BATCH, SIZE))}, r"expected \(3, 3, 4\)"),
    ({"dropout": 0.5}, {"inputs": np.ones((3, BATCH, SIZE), complex)}, r"dropout_masks\['inputs'\]: dtype"),
    ({}, {"state": np.ones((3, BATCH, SIZE))}, "unknown state; known are inputs, recurrent"),
    ({"dropout": 1}, None, r"dropout=1\.0: in training"),
    ({"recurrent_dropout": 1}, {"recurrent": np.ones((3, BATCH, UNITS))}, r"recurrent_dropout=1\.0: in training"),
]


@pytest.mark.parametrize(("rates", "masks", "message"), WRONG)
def test_wrong_dropout_is_named(prepare: Prepare, rates: dict[str, Any], masks: Any, message: str) -> None:
    spec = GRUSpec(units=UNITS, **rates)
    weights, arguments = draw(spec)
    layer = prepare(spec, weights)
    call = arguments | {"dropout_masks": masks, "training": True}
    with pytest.raises(SpecError, match=message):
        layer(**call)
    with pytest.raises(SpecError, match=message):
        layer.vjp(**call, cotangents=draw_cotangents(spec))


DIFFERENTIATED: list[dict[str, Any]] = [
    {},
    {"return_state": True, "recurrent_activation": "sigmoid", "go_backwards": True},
    {"reset_after": True, "return_sequences": True, "return_state": True},
    {"reset_after": True, "time_major": True, "zero_output_for_mask": True, "return_sequences": True},
    {"go_backwards": True, "time_major": True, "return_sequences": True, "use_bias": False, "reset_after": True},
    {"use_bias": False, "activation": "relu", "recurrent_activation": "linear", "stateful": True, "return_state": True},
    {"activation": "hard_sigmoid", "recurrent_activation": "tanh", "reset_after": True, "zero_output_for_mask": True},
    {"activation": "sigmoid", "dropout": 0.5, "recurrent_dropout": 0.25, "return_sequences": True},
    {"dropout": 0.5, "recurrent_dropout": 0.25, "return_state": True, "reset_after": True, "go_backwards": True},
    {"activation": "linear", "dropout": 0.5, "implementation": 2, "time_major": True, "return_state": True},
]


@pytest.mark.parametrize("absent", ["mask", "initial_state"])
@pytest.mark.parametrize("options", DIFFERENTIATED, ids=str)
def test_gradients_are_those_of_differences(prepare: Prepare, options: dict[str, Any], absent: str) -> None:
    spec = GRUSpec(units=UNITS, **options)
    weights, arguments = draw(spec)
    del arguments[absent]
    assert_gradients(prepare(spec, weights), spec, weights, arguments)


def test_gradients_in_float32(prepare: Prepare) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True)
    found = []
    for dtype in ("float32", "float64"):
        weights, arguments = draw(spec, "float32")
        weights = {name: weight.astype(dtype) for name, weight in weights.items()}
        arguments |= {name: arguments[name].astype(dtype) for name in ("inputs", "initial_state")}
        found.append(prepare(spec, weights).vjp(**arguments, cotangents=draw_cotangents(spec, dtype)).gradients)
        assert {gradient.dtype.name for gradient in found[-1].values()} == {dtype}
    for name, gradient in found[0].items():
        np.testing.assert_allclose(gradient, found[1][name], rtol=0, atol=1e-5)
        assert np.abs(gradient - found[1][name]).max() > 0


def test_a_differentiated_call_returns_what_a_call_returns(prepare: Prepare) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True, return_state=True)
    weights, arguments = draw(spec)
    layer = prepare(spec, weights)
    output, called = layer.vjp(**arguments, cotangents=draw_cotangents(spec)).output, layer(**arguments)
    for found, expected in ((output.outputs, called.outputs), (output.state, called.state)):
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("reset_after", [False, True])
def test_masked_values_reach_no_gradient(prepare: Prepare, *, reset_after: bool) -> None:
    spec = GRUSpec(units=UNITS, reset_after=reset_after, return_sequences=True, return_state=True)
    weights, arguments = draw(spec)
    layer = prepare(spec, weights)
    masked, results = ~arguments["mask"], []
    for filler in (0.0, np.nan, np.inf):
        arguments["inputs"] = np.where(masked[..., None], filler, arguments["inputs"])
        results.append(layer.vjp(**arguments, cotangents=draw_cotangents(spec)).gradients)
        assert not results[-1]["inputs"][masked].any()
        for name, gradient in results[-1].items():
            np.testing.assert_array_equal(gradient, results[0][name])


@pytest.mark.parametrize("reset_after", [False, True])
def test_overflow_in_a_masked_step_reaches_no_gradient(prepare: Prepare, *, reset_after: bool) -> None:
    spec = GRUSpec(units=1, reset_after=reset_after, activation="linear", use_bias=False, return_state=True)
    weights = {"kernel": np.ones((1, 3)), "recurrent_kernel": np.array([[0.0, 0.0, 1e200]])}
    call = {"mask": np.zeros((1, 1), bool), "initial_state": np.full((1, 1), 1e200)}
    cotangents = {"outputs": np.ones((1, 1)), "state": np.ones((1, 1))}
    output, gradients = prepare(spec, weights).vjp(np.ones((1, 1, 1)), **call, cotangents=cotangents)
    assert output.state == 1e200
    assert gradients.pop("initial_state") == 1
    assert not any(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("where", ["inputs", "initial_state", "recurrent_kernel", "cotangents"])
def test_values_that_are_not_finite_stay_in_their_row(prepare: Prepare, where: str) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True, reset_after=True)
    weights, arguments = draw(spec)
    del arguments["mask"]
    cotangents = draw_cotangents(spec)
    clean = prepare(spec, weights).vjp(**arguments, cotangents=cotangents).gradients
    ({"cotangents": cotangents["outputs"]} | weights | arguments)[where].flat[0] = np.nan
    found = prepare(spec, weights).vjp(**arguments, cotangents=cotangents).gradients
    assert np.isnan(found["kernel"]).any()
    for name in ("inputs", "initial_state"):
        if where in weights:
            assert np.isnan(found[name]).any()
        else:
            np.testing.assert_allclose(found[name][1:], clean[name][1:], rtol=0, atol=1e-14)


def test_no_gradient_crosses_calls(prepare: Prepare) -> None:
    weights, arguments = draw(GRUSpec(units=UNITS))
    x, start = arguments["inputs"], arguments["initial_state"]
    cotangents = draw_cotangents(GRUSpec(units=UNITS))
    carrying, alone = (prepare(GRUSpec(units=UNITS, stateful=stateful), weights) for stateful in (True, False))
    first = carrying.vjp(x, initial_state=start, cotangents=cotangents)
    second = carrying.vjp(x, cotangents=cotangents)
    assert "initial_state" in first.gradients
    assert "initial_state" not in second.gradients
    control = alone.vjp(x, initial_state=first.output.outputs, cotangents=cotangents)
    for name, gradient in second.gradients.items():
        np.testing.assert_array_equal(gradient, control.gradients[name])
    np.testing.assert_array_equal(second.output.outputs, control.output.outputs)
    third = alone(x, initial_state=second.output.outputs).outputs
    np.testing.assert_array_equal(carrying(x).outputs, third)
    stated = carrying.vjp(x, initial_state=start, cotangents=cotangents).gradients
    carrying.reset_states(start)
    reset = carrying.vjp(x, cotangents=cotangents).gradients
    for again in (stated, reset):
        np.testing.assert_array_equal(again["kernel"], first.gradients["kernel"])


@pytest.mark.parametrize("sequences", [False, True])
def test_gradients_of_empty_calls(prepare: Prepare, *, sequences: bool) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=sequences, return_state=True)
    weights, arguments = draw(spec)
    for batch, timesteps in ((0, 3), (2, 0)):
        x, h = np.zeros((batch, timesteps, SIZE)), arguments["initial_state"][:batch]
        cotangents = {"outputs": np.ones(outputs_shape(spec, batch, timesteps)), "state": np.ones((batch, UNITS))}
        for call in ({}, {"initial_state": h}):
            gradients = prepare(spec, weights).vjp(x, **call, cotangents=cotangents).gradients
            assert {name: gradient.shape for name, gradient in gradients.items()} == {
                name: array.shape for name, array in ({"inputs": x} | call | weights).items()
            }
            np.testing.assert_array_equal(gradients.pop("initial_state", 1), 1)
            assert not any(gradient.any() for gradient in gradients.values())


def test_cotangents_that_are_not_given_are_zero(prepare: Prepare) -> None:
    spec = GRUSpec(units=UNITS, return_state=True)
    weights, arguments = draw(spec)
    layer, cotangents = prepare(spec, weights), draw_cotangents(spec)
    for name in ("outputs", "state"):
        other = ({"outputs", "state"} - {name}).pop()
        zero = {other: np.zeros_like(cotangents[other])}
        some = layer.vjp(**arguments, cotangents={name: cotangents[name]}).gradients
        for argument, gradient in layer.vjp(**arguments, cotangents=cotangents | zero).gradients.items():
            np.testing.assert_array_equal(some[argument], gradient)


@pytest.mark.parametrize(
    ("cotangents", "message"),
    [
        ({"outputs": np.zeros((BATCH, 1))}, r"'outputs' has shape \(3, 1\); expected \(3, 4\)"),
        ({"state": np.zeros((BATCH, UNITS))}, "'state' is not returned by this layer; it returns outputs"),
        ({"outputs": np.zeros((BATCH, UNITS), complex)}, r"cotangents\['outputs'\]: dtype"),
    ],
)
def test_wrong_cotangents_are_named(prepare: Prepare, cotangents: Any, message: str) -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    with pytest.raises(SpecError, match=message):
        prepare(spec, weights).vjp(arguments["inputs"], cotangents=cotangents)


def test_wrong_arguments_of_a_differentiated_call_are_named(prepare: Prepare) -> None:
    spec = GRUSpec(units=UNITS, stateful=True)
    weights, arguments = draw(spec)
    layer, call = prepare(spec, weights), arguments | {"cotangents": draw_cotangents(spec)}
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"inputs": np.zeros((BATCH, SIZE))}, SpecError, "inputs: shape"),
        ({"inputs": np.zeros((BATCH, 1, SIZE), int)}, SpecTypeError, "inputs: dtype"),
        ({"initial_state": np.zeros((1, UNITS))}, SpecError, "initial_state: shape"),
        ({"mask": np.ones((BATCH, 1))}, SpecError, "mask: shape"),
    ]
    for change, error, message in wrong:
        with pytest.raises(error, match=message):
            layer.vjp(**call | change)
    with pytest.raises(SpecError, match="call the layer once"):
        layer.reset_states()


CORNERS: list[tuple[str, list[float], list[float]]] = [
    ("hard_sigmoid", [-2.6, -2.5, 0.0, 2.5, 2.6], [0, 0.2, 0.2, 0.2, 0]),
    ("relu", [-1.0, -0.0, 0.0, 1.0], [0, 0, 0, 1]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "points", "slopes"), CORNERS)
def test_slopes_at_corners(prepare: Prepare, name: str, points: list[float], slopes: list[float], dtype: str) -> None:
    spec = GRUSpec(units=1, activation=name, recurrent_activation="linear", use_bias=False)
    weights = {"kernel": np.array([[0.0, 0.0, 1.0]], dtype), "recurrent_kernel": np.zeros((1, 3), dtype)}
    x = np.array(points, dtype)  # z = 0: the output is f(x)
    if name == "hard_sigmoid":
        corners = np.array([-2.5, 2.5], dtype)
        x = np.concatenate([x, np.nextafter(corners, 2 * corners), np.nextafter(corners, 0 * corners)])
        slopes = [*slopes, 0, 0, 0.2, 0.2]
    cotangents = {"outputs": np.ones((len(x), 1), dtype)}
    found = prepare(spec, weights).vjp(x.reshape(-1, 1, 1), cotangents=cotangents).gradients["inputs"]
    np.testing.assert_allclose(found.ravel(), slopes, rtol=1e-7)
