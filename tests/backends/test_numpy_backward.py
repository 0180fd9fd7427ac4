"""Gradients of the NumPy layer: against differences, by hand, and against GradientTape where there is TensorFlow."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from training_calls import BATCH, MASK, SIZE, TIMESTEPS, acting, assert_gradients, draw, draw_cotangents, draw_masks

import gruspec_numpy
from gruspec.backend import Registry
from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec import GRUSpec, outputs_shape
from gruspec_numpy import backward
from gruspec_numpy.activations import ACTIVATIONS, Activation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, np.dtype[Any]]

UNITS = 4
STEP = 1e-6

SWITCHES = ("reset_after", "use_bias", "go_backwards", "time_major", "return_sequences", "zero_output_for_mask")
RATES: list[dict[str, Any]] = [
    {},
    {"dropout": 0.5},
    {"recurrent_dropout": 0.25},
    {"dropout": 0.5, "recurrent_dropout": 0.25},
    {"dropout": 0.5, "implementation": 2},
]


def layer_of(spec: GRUSpec, weights: Mapping[str, Array], **arguments: Any) -> gruspec_numpy.GRU:
    return gruspec_numpy.GRU.from_weights(spec, weights, **{"dtype": weights["kernel"].dtype, **arguments})


def assert_slopes(layer: gruspec_numpy.GRU, call: Mapping[str, Any], *, losses: bool = False) -> None:
    """Compare the slope along a random direction in each argument with a difference.

    The number that is differentiated is the sum of all that the call returns times cotangents, plus the losses.
    """
    spec = layer.spec
    cotangents = draw_cotangents(spec)
    names = ("inputs", *(["initial_state"] if "initial_state" in call else []))
    points = {name: call[name] for name in names} | layer.cell.arrays
    rng = np.random.default_rng(4)

    def number() -> float:
        returned = layer(**call)
        pairs = zip(returned if spec.return_state else [returned], cotangents.values(), strict=True)
        return float(sum((array * cotangent).sum() for array, cotangent in pairs) + sum(layer.losses) * losses)

    returned, gradients = layer.vjp(**call, cotangents=cotangents, losses=losses)
    again = layer(**call)
    for one, other in zip(*([each] if not spec.return_state else each for each in (returned, again)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(gradients) == list(points)
    for name, values in points.items():
        assert gradients[name].shape == values.shape
        assert gradients[name].flags.c_contiguous
        direction, middle, ends = rng.uniform(-1, 1, values.shape), values.copy(), []
        for sign in (-1, 1):
            values[...] = middle + sign * STEP * direction
            ends.append(number())
        values[...] = middle
        slope = (gradients[name] * direction).sum()
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * STEP), rel=1e-6, abs=2e-8), name


@pytest.mark.parametrize("given", [(), ("mask",), ("initial_state",), ("mask", "initial_state")])
@pytest.mark.parametrize("rates", RATES, ids=str)
@pytest.mark.parametrize("switches", list(itertools.product([False, True], repeat=len(SWITCHES))))
def test_gradients_are_slopes(switches: tuple[bool, ...], rates: dict[str, Any], given: tuple[str, ...]) -> None:
    flags: dict[str, Any] = dict(zip(SWITCHES, switches, strict=True))
    spec = GRUSpec(units=UNITS, return_state=True, **flags, **rates)
    weights, arguments = draw(spec)
    call = {name: arguments[name] for name in ("inputs", *given)}
    masks = acting(spec, draw_masks(spec))
    assert_slopes(layer_of(spec, weights), call | {"training": True, "dropout_masks": masks})


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_differentiated(name: str, *, reset_after: bool) -> None:
    for activation, gates in ((name, "sigmoid"), ("tanh", name)):
        spec = GRUSpec(units=UNITS, reset_after=reset_after)
        weights, arguments = draw(spec)
        weights = {weight: values / 2 for weight, values in weights.items()}
        layer = gruspec_numpy.GRU(
            UNITS, activation, gates, return_sequences=True, return_state=True, reset_after=reset_after, dtype="float64"
        )
        layer.build(arguments["inputs"].shape)
        layer.set_weights(list(weights.values()))
        assert_slopes(layer, arguments)


def test_activations_of_users_are_differentiated_if_they_can_be() -> None:
    def square(x: Array) -> None:
        x *= x

    squared = Activation("square", square, lambda x, _y, cotangent: 2 * x * cotangent)
    for elementwise in (True, False):
        layer = gruspec_numpy.GRU(UNITS, replace(squared, elementwise=elementwise), dtype="float64")
        _, arguments = draw(GRUSpec(units=UNITS))
        layer(**arguments)
        assert_slopes(layer, arguments)
    callable_only = gruspec_numpy.GRU(
        UNITS, lambda x: x * x, dtype="float64", weights=layer.get_weights(), stateful=True
    )
    np.testing.assert_array_equal(callable_only(**arguments), layer(**arguments))
    callable_only.reset_states()
    with pytest.raises(SpecError, match="a callable has no derivative"):
        callable_only.vjp(**arguments, cotangents={"outputs": np.ones((BATCH, UNITS))})
    (state,) = callable_only.states
    assert state is not None
    assert not state.any()


DIFFERENTIATED: list[dict[str, Any]] = [
    {},
    {"return_state": True, "recurrent_activation": "sigmoid", "go_backwards": True},
    {"reset_after": True, "time_major": True, "zero_output_for_mask": True, "return_sequences": True},
    {"use_bias": False, "activation": "relu", "recurrent_activation": "linear", "stateful": True, "return_state": True},
    {"dropout": 0.5, "recurrent_dropout": 0.25, "return_state": True, "reset_after": True, "go_backwards": True},
    {"activation": "linear", "dropout": 0.5, "implementation": 2, "time_major": True, "return_state": True},
]


@pytest.mark.parametrize("options", DIFFERENTIATED, ids=str)
def test_gradients_are_those_of_an_independent_loop(options: dict[str, Any]) -> None:
    spec = GRUSpec(units=UNITS, **options)
    weights, arguments = draw(spec)
    bound = gruspec_numpy.backend().prepare(spec, weights, dtype="float64", device="cpu")
    assert_gradients(bound, spec, weights, arguments)


REGULARIZED: dict[str, Any] = {
    "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.25}},
    "recurrent_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": {"class_name": "L1L2", "config": {"l1": 0.25, "l2": 0.5}},
}


@pytest.mark.parametrize(("time_major", "sequences", "state"), list(itertools.product([False, True], repeat=3)))
def test_losses_add_to_gradients(*, time_major: bool, sequences: bool, state: bool) -> None:
    spec = GRUSpec(units=UNITS, time_major=time_major, return_sequences=sequences, return_state=state)
    weights, arguments = draw(spec)
    layer = layer_of(spec, weights, **REGULARIZED)
    assert_slopes(layer, arguments, losses=True)
    without = layer.vjp(**arguments, cotangents=draw_cotangents(spec))[1]
    plain = layer_of(spec, weights).vjp(**arguments, cotangents=draw_cotangents(spec))[1]
    for name, gradient in plain.items():
        np.testing.assert_array_equal(without[name], gradient)


def test_losses_alone_have_gradients() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    half = {"class_name": "L1L2", "config": {"l2": 0.5}}
    layer = layer_of(spec, weights, kernel_regularizer=half)
    _, gradients = layer.vjp(**arguments, cotangents={}, losses=True)
    np.testing.assert_array_equal(gradients["kernel"], weights["kernel"])
    assert not any(gradient.any() for name, gradient in gradients.items() if name != "kernel")
    layer = layer_of(spec, weights, activity_regularizer=half)
    outputs, gradients = layer.vjp(**arguments, cotangents={}, losses=True)
    _, expected = layer.vjp(**arguments, cotangents={"outputs": outputs / BATCH})
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient)
    for rule in ("kernel_regularizer", "activity_regularizer"):
        layer = layer_of(spec, weights, **{rule: lambda w: abs(w).sum()})
        layer.vjp(**arguments, cotangents={})
        assert layer.losses
        with pytest.raises(SpecError, match=rf"{rule}.*has no gradient"):
            layer.vjp(**arguments, cotangents={}, losses=True)


def halving(**arguments: Any) -> gruspec_numpy.GRU:
    """Return a layer whose every step is (h + x) / 2."""
    weights = [np.array([[0.0, 0, 1]]), np.zeros((1, 3)), np.zeros(3)]
    return gruspec_numpy.GRU(1, "linear", weights=weights, dtype="float64", **arguments)


def pulled(
    mask: list[bool], cotangents: list[float], state: float = 0.0, **arguments: Any
) -> tuple[list[float], float]:
    """Return the gradients of four inputs and of the initial state."""
    layer = halving(return_sequences=True, return_state=True, **arguments)
    given = {"outputs": np.reshape(cotangents, (1, 4, 1)), "state": np.array([[state]])}
    _, gradients = layer.vjp(np.ones((1, 4, 1)), np.zeros((1, 1)), [mask], cotangents=given)
    return gradients["inputs"].ravel().tolist(), gradients["initial_state"].item()


def test_held_outputs_send_their_cotangents_to_the_step_that_made_them() -> None:
    everywhere = [1.0, 10.0, 100.0, 1000.0]
    assert pulled([True] * 4, [0, 0, 0, 16.0]) == ([1.0, 2.0, 4.0, 8.0], 1.0)
    assert pulled([True, False, True, False], everywhere) == ([11 / 2 + 1100 / 4, 0, 1100 / 2, 0], 11 / 2 + 1100 / 4)
    assert pulled([False, True, False, False], everywhere) == ([0, 1110 / 2, 0, 0], 1110 / 2)
    assert pulled([False] * 4, everywhere, 7.0) == ([0.0] * 4, 7.0)
    assert pulled([False, True, False, False], everywhere, 2.0) == ([0, 1112 / 2, 0, 0], 1112 / 2)


def test_zeroed_outputs_send_no_cotangent() -> None:
    everywhere = [1.0, 10.0, 100.0, 1000.0]
    zeroed = pulled([True, False, True, False], everywhere, zero_output_for_mask=True)
    assert zeroed == ([1 / 2 + 100 / 4, 0, 100 / 2, 0], 1 / 2 + 100 / 4)


def test_backwards_the_first_input_is_processed_last() -> None:
    assert pulled([True] * 4, [0, 0, 0, 16.0], go_backwards=True) == ([8.0, 4.0, 2.0, 1.0], 1.0)
    everywhere = [1.0, 10.0, 100.0, 1000.0]
    found = pulled([True, True, False, False], everywhere, go_backwards=True)
    assert found == ([1000 / 2, 100 / 2 + 1000 / 4, 0, 0], 100 / 2 + 1000 / 4)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_masked_values_reach_no_gradient(activation: str, *, reset_after: bool) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True, return_state=True, reset_after=reset_after)
    weights, arguments = draw(spec)
    masked, results = ~MASK, []
    for filler in (0.0, np.nan, np.inf, 1e300):
        layer = gruspec_numpy.GRU(
            UNITS, activation, return_sequences=True, return_state=True, reset_after=reset_after, dtype="float64"
        )
        layer.build((None, None, SIZE))
        layer.set_weights(list(weights.values()))
        arguments["inputs"] = np.where(masked[..., None], filler, arguments["inputs"])
        results.append(layer.vjp(**arguments, cotangents=draw_cotangents(spec))[1])
        assert not results[-1]["inputs"][masked].any()
        for name, gradient in results[-1].items():
            np.testing.assert_array_equal(gradient, results[0][name])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("activation", ["linear", "log_softmax"])
def test_what_masked_steps_compute_reaches_no_gradient(activation: str, *, reset_after: bool) -> None:
    weights = [np.ones((1, 3)), np.array([[0.0, 0.0, 1e200]])]
    layer = gruspec_numpy.GRU(
        1, activation, use_bias=False, reset_after=reset_after, return_state=True, weights=weights, dtype="float64"
    )
    mask, cotangents = np.zeros((1, 1), bool), {"outputs": np.ones((1, 1)), "state": np.ones((1, 1))}
    for start in (1e200, np.inf, np.nan):
        (_, state), gradients = layer.vjp(np.ones((1, 1, 1)), np.full((1, 1), start), mask, cotangents=cotangents)
        np.testing.assert_array_equal(state, [[start]])
        assert gradients.pop("initial_state") == 1
        assert not any(gradient.any() for gradient in gradients.values())


def test_cotangents_that_are_not_finite_pass_masked_steps_by() -> None:
    layer = halving(return_sequences=True)
    mask, cotangents = [[False, True, False, True]], {"outputs": np.array([[[np.nan], [1], [np.nan], [2]]])}
    _, gradients = layer.vjp(np.ones((1, 4, 1)), mask=mask, cotangents=cotangents)
    np.testing.assert_array_equal(gradients["inputs"].ravel(), [0, np.nan, 0, 1])


@pytest.mark.parametrize("where", ["inputs", "initial_state", "outputs"])
def test_values_that_are_not_finite_stay_in_their_row(where: str) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True, reset_after=True)
    weights, arguments = draw(spec)
    del arguments["mask"]
    cotangents = draw_cotangents(spec)
    layer = layer_of(spec, weights)
    clean = layer.vjp(**arguments, cotangents=cotangents)[1]
    (cotangents | arguments)[where].flat[0] = np.nan
    found = layer.vjp(**arguments, cotangents=cotangents)[1]
    assert np.isnan(found["kernel"]).any()
    for name in ("inputs", "initial_state"):
        np.testing.assert_allclose(found[name][1:], clean[name][1:], rtol=0, atol=1e-14)


CORNERS: list[tuple[str, list[float], list[float]]] = [
    ("hard_sigmoid", [-2.6, -2.5, 0.0, 2.5, 2.6], [0, 0.2, 0.2, 0.2, 0]),
    ("relu", [-1.0, -0.0, 0.0, 1.0], [0, 0, 0, 1]),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("activation", "points", "slopes"), CORNERS)
def test_slopes_at_corners(activation: str, points: list[float], slopes: list[float], dtype: str) -> None:
    weights = [np.array([[0.0, 0, 1]]), np.zeros((1, 3))]  # z = 0: the output is the activation of the input
    layer = gruspec_numpy.GRU(1, activation, "linear", use_bias=False, weights=weights, dtype=dtype)
    x = np.array(points, dtype)
    _, gradients = layer.vjp(x.reshape(-1, 1, 1), cotangents={"outputs": np.ones((len(x), 1))})
    np.testing.assert_allclose(gradients["inputs"].ravel(), slopes, rtol=1e-7)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_blocks_of_timesteps_add_up(monkeypatch: pytest.MonkeyPatch, *, go_backwards: bool, sequences: bool) -> None:
    for reset_after in (False, True):
        spec = GRUSpec(
            units=UNITS,
            go_backwards=go_backwards,
            return_sequences=sequences,
            return_state=True,
            reset_after=reset_after,
            dropout=0.5,
            recurrent_dropout=0.5,
        )
        weights, arguments = draw(spec)
        arguments |= {"training": True, "dropout_masks": draw_masks(spec), "cotangents": draw_cotangents(spec)}
        layer = layer_of(spec, weights)
        whole = layer.vjp(**arguments)[1]
        for steps in (1, 2, TIMESTEPS - 1):
            with monkeypatch.context() as changed:
                changed.setattr(backward, "BLOCK", steps * UNITS * BATCH)
                parts = layer.vjp(**arguments)[1]
            for name, gradient in whole.items():
                np.testing.assert_allclose(parts[name], gradient, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gradients_in_lower_precision(dtype: str) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True, dropout=0.5)
    weights, arguments = draw(spec)
    arguments |= {"training": True, "dropout_masks": draw_masks(spec)}
    low = layer_of(spec, weights, dtype=dtype, **REGULARIZED)
    high = layer_of(spec, weights, **REGULARIZED)
    results = [each.vjp(**arguments, cotangents=draw_cotangents(spec), losses=True)[1] for each in (low, high)]
    tolerance = 100 * float(np.finfo(dtype).epsneg)
    for name, gradient in results[0].items():
        assert gradient.dtype == dtype
        np.testing.assert_allclose(gradient, results[1][name], rtol=tolerance, atol=tolerance)
        assert np.abs(gradient - results[1][name]).max() > 0


def test_no_gradient_crosses_calls_and_the_state_moves_on() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    x, start, cotangents = arguments["inputs"], arguments["initial_state"], draw_cotangents(spec)
    carrying, alone = layer_of(replace(spec, stateful=True), weights), layer_of(spec, weights)
    first, gradients = carrying.vjp(x, start, cotangents=cotangents)
    assert "initial_state" in gradients
    second, gradients = carrying.vjp(x, cotangents=cotangents)
    assert "initial_state" not in gradients
    again, expected = alone.vjp([x, first], cotangents=cotangents)
    np.testing.assert_array_equal(second, again)
    assert "initial_state" in expected
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, expected[name])
    np.testing.assert_array_equal(carrying(x), alone(x, second))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("reset_after", [False, True])
def test_gradients_of_empty_calls(*, sequences: bool, reset_after: bool) -> None:
    spec = GRUSpec(units=UNITS, return_sequences=sequences, return_state=True, reset_after=reset_after)
    weights, arguments = draw(spec)
    for batch, timesteps, size in ((0, 3, SIZE), (2, 0, SIZE), (0, 0, SIZE), (2, 3, 0)):
        x, h = np.zeros((batch, timesteps, size)), arguments["initial_state"][:batch]
        layer = layer_of(spec, weights | {"kernel": np.zeros((size, 3 * UNITS))}, **REGULARIZED)
        cotangents = {"outputs": np.ones(outputs_shape(spec, batch, timesteps)), "state": np.ones((batch, UNITS))}
        for mask in (None, np.ones((batch, timesteps), bool)):
            _, gradients = layer.vjp(x, h, mask, cotangents=cotangents)
            wanted = {"inputs": x, "initial_state": h} | layer.cell.arrays
            assert {name: each.shape for name, each in gradients.items()} == {
                n: each.shape for n, each in wanted.items()
            }
            if not x.size and size:
                np.testing.assert_array_equal(gradients.pop("initial_state"), 1)
                assert not any(gradient.any() for gradient in gradients.values())
            assert np.isfinite(layer.losses).all()


def test_cotangents_that_are_not_given_are_zero() -> None:
    spec = GRUSpec(units=UNITS, return_state=True)
    weights, arguments = draw(spec)
    layer, cotangents = layer_of(spec, weights), draw_cotangents(spec)
    for name, other in (("outputs", "state"), ("state", "outputs")):
        zero = {other: np.zeros_like(cotangents[other])}
        some = layer.vjp(**arguments, cotangents={name: cotangents[name]})[1]
        for argument, gradient in layer.vjp(**arguments, cotangents=cotangents | zero)[1].items():
            np.testing.assert_array_equal(some[argument], gradient)


@pytest.mark.parametrize(
    ("cotangents", "message"),
    [
        ({"outputs": np.zeros((BATCH, 1))}, r"'outputs' has shape \(3, 1\); expected \(3, 4\)"),
        ({"state": np.zeros((BATCH, UNITS))}, "'state' is not returned by this layer; it returns outputs"),
        ({"loss": 1.0}, "'loss' is not returned by this layer"),
        ({"outputs": np.zeros((BATCH, UNITS), complex)}, r"cotangents\['outputs'\]: dtype"),
    ],
)
def test_wrong_cotangents_are_named(cotangents: Any, message: str) -> None:
    spec = GRUSpec(units=UNITS, stateful=True)
    weights, arguments = draw(spec)
    layer = layer_of(spec, weights)
    layer(arguments["inputs"])
    before = np.array(layer.states)
    with pytest.raises(SpecError, match=message):
        layer.vjp(**arguments, cotangents=cotangents)
    np.testing.assert_array_equal(layer.states, before)


def test_wrong_arguments_are_refused_as_in_a_call() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    layer, call = layer_of(spec, weights), arguments | {"cotangents": draw_cotangents(spec)}
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"inputs": np.zeros((BATCH, SIZE))}, SpecError, "inputs: shape"),
        ({"inputs": np.zeros((BATCH, 1, SIZE), int)}, SpecTypeError, "inputs: dtype"),
        ({"initial_state": np.zeros((1, UNITS))}, SpecError, "initial_state: shape"),
        ({"mask": np.ones((BATCH, 1))}, SpecError, "mask: shape"),
    ]
    for change, error, message in wrong:
        with pytest.raises(error, match=message):
            layer.vjp(**call | change)


def test_drawn_masks_are_those_of_the_gradient() -> None:
    spec = GRUSpec(units=UNITS, dropout=0.5, recurrent_dropout=0.5)
    weights, arguments = draw(spec)
    layer, cotangents = layer_of(spec, weights), draw_cotangents(spec)
    layer.random = np.random.default_rng(5)
    outputs, gradients = layer.vjp(**arguments, training=True, cotangents=cotangents)
    layer.random = np.random.default_rng(5)
    np.testing.assert_array_equal(layer(**arguments, training=True), outputs)
    layer.random = np.random.default_rng(5)
    sizes = {"inputs": (3, BATCH, SIZE), "recurrent": (3, BATCH, UNITS)}
    masks = {kind: 2.0 * (layer.random.random(shape) >= 0.5) for kind, shape in sizes.items()}
    same, expected = layer.vjp(**arguments, training=True, cotangents=cotangents, dropout_masks=masks)
    np.testing.assert_array_equal(same, outputs)
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient)


@pytest.fixture(scope="module")
def tensorflow_layer() -> Callable[..., Any]:
    """Return how to bind the reference layer, whose gradients come from GradientTape."""
    pytest.importorskip("tf_keras")
    pytest.importorskip("tensorflow")
    backend = Registry().get("tf-v1").load_runnable()
    return lambda spec, weights: backend.prepare(spec, weights, dtype="float64", device="cpu")


REFERENCE: list[dict[str, Any]] = [
    {"return_state": True},
    {"reset_after": True, "return_sequences": True, "return_state": True, "recurrent_activation": "sigmoid"},
    {"go_backwards": True, "time_major": True, "return_sequences": True},
    {"reset_after": True, "go_backwards": True, "zero_output_for_mask": True, "return_sequences": True},
    {"zero_output_for_mask": True, "time_major": True, "use_bias": False, "activation": "linear"},
    {"dropout": 0.5, "recurrent_dropout": 0.25, "return_state": True},
    {"dropout": 0.5, "recurrent_dropout": 0.25, "reset_after": True, "return_sequences": True},
    {"dropout": 0.5, "implementation": 2, "unroll": True, "return_sequences": True},
    {"stateful": True, "reset_after": True, "implementation": 2},
]


@pytest.mark.parametrize("options", REFERENCE, ids=str)
def test_gradients_are_those_of_the_reference_layer(options: dict[str, Any], tensorflow_layer: Any) -> None:
    spec = GRUSpec(units=UNITS, **options)
    weights, arguments = draw(spec)
    call = arguments | {"training": True, "dropout_masks": acting(spec, draw_masks(spec))}
    call["cotangents"] = draw_cotangents(spec)
    backend: Any = gruspec_numpy.backend()
    ours = backend.prepare(spec, weights, dtype="float64", device="cpu").vjp(**call)
    output, gradients = tensorflow_layer(spec, weights).vjp(**call)
    np.testing.assert_allclose(ours.output.outputs, output.outputs, rtol=0, atol=1e-14)
    assert list(ours.gradients) == list(gradients)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(ours.gradients[name], gradient, rtol=0, atol=1e-14, err_msg=name)
        assert np.abs(gradient).max() > 1e-3
