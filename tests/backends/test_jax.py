"""The JAX function and its adapter against a loop in NumPy, finite differences, and each other: padded and not."""

from __future__ import annotations

import itertools
import subprocess
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import training_calls
from scalar_loop import loop

import gruspec_jax
from gruspec.backend import Registry
from gruspec.errors import DeviceUnavailable, NotStatefulError, SpecError, SpecTypeError, Unsupported
from gruspec.spec import ACTIVATIONS, Dimensions, GRUSpec, outputs_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.backend import Layer

    Array = np.ndarray[Any, np.dtype[Any]]

jax = pytest.importorskip("jax")
jnp = jax.numpy
bound, compiled, devices, dropout, padding = (
    import_module(f"gruspec_jax.{name}") for name in ("bound", "compiled", "devices", "dropout", "padding")
)
gru, initial_params, draw_dropout_masks = gruspec_jax.gru, gruspec_jax.initial_params, gruspec_jax.draw_dropout_masks

BATCH, TIMESTEPS, SIZE, UNITS = 3, 5, 2, 4
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}
SWITCHES = list(itertools.product([False, True], repeat=5))


def draw(
    spec: GRUSpec, dtype: str = "float64", *, seed: int = 0, sizes: tuple[int, int, int] = (BATCH, TIMESTEPS, SIZE)
) -> tuple[dict[str, Array], Any]:
    """Return weights, and the arguments of a call with some mask and an initial state."""
    batch, timesteps, size = sizes
    rng = np.random.default_rng(seed)
    scale = 1.4 / spec.units**0.5
    weights = {
        name: rng.uniform(-scale, scale, shape).astype(dtype) for name, shape in weight_shapes(spec, size).items()
    }
    leading = (timesteps, batch) if spec.time_major else (batch, timesteps)
    mask = rng.random((batch, timesteps)) < 0.6
    mask[0] = False
    return weights, {
        "inputs": rng.uniform(-2, 2, (*leading, size)).astype(dtype),
        "mask": mask.T.copy() if spec.time_major else mask,
        "initial_state": rng.uniform(-1, 1, (batch, spec.units)).astype(dtype),
    }


def prepare(spec: GRUSpec, weights: Any, dtype: str = "float64") -> Layer:
    return gruspec_jax.backend().prepare(spec, weights, dtype=dtype, device="cpu")


def unpadded(spec: GRUSpec, weights: Any, dtype: str = "float64") -> Layer:
    layer: Layer = bound.BoundLayer(spec, weights, dtype=dtype, device=jax.devices("cpu")[0], pad=False)
    return layer


@pytest.fixture
def x64() -> Iterator[None]:
    """Compute in float64, for tests of the function alone."""
    with devices.computing("float64", jax.devices("cpu")[0]):
        yield


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_layer_computes_what_a_loop_computes(switches: tuple[bool, ...], dtype: str, *, masked: bool) -> None:
    names = ("reset_after", "go_backwards", "time_major", "zero_output_for_mask", "return_sequences")
    options: dict[str, Any] = dict(zip(names, switches, strict=True))
    spec = GRUSpec(units=UNITS, return_state=True, **options)
    weights, arguments = draw(spec, dtype)
    if not masked:
        del arguments["mask"]
    result = prepare(spec, weights, dtype)(**arguments)
    for computed, expected in zip(result, loop(spec, weights, **arguments), strict=True):
        assert computed is not None
        assert computed.dtype == dtype
        assert computed.flags.c_contiguous
        np.testing.assert_allclose(computed, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("switches", SWITCHES[::3], ids=str)
def test_function_computes_what_a_loop_computes(switches: tuple[bool, ...]) -> None:
    names = ("zero_output_for_mask", "time_major", "return_sequences", "reset_after", "go_backwards")
    options: dict[str, Any] = dict(zip(names, switches, strict=True))
    spec = GRUSpec(units=UNITS, use_bias=not switches[0], **options)
    weights, arguments = draw(spec)
    results = gru(weights, **arguments, spec=spec)
    compiled = jax.jit(gru, static_argnames="spec")(weights, **arguments, spec=spec)
    for computed, again, expected in zip(results, compiled, loop(spec, weights, **arguments), strict=True):
        np.testing.assert_allclose(computed, expected, rtol=0, atol=TOLERANCE["float64"])
        np.testing.assert_allclose(again, expected, rtol=0, atol=TOLERANCE["float64"])


@pytest.mark.parametrize("activations", list(itertools.product(ACTIVATIONS, repeat=2)), ids=str)
def test_every_activation_in_either_place(activations: tuple[str, str]) -> None:
    for reset_after in (False, True):
        spec = GRUSpec(
            units=UNITS, activation=activations[0], recurrent_activation=activations[1], reset_after=reset_after
        )
        weights, arguments = draw(spec)
        weights = {name: weight / 2 for name, weight in weights.items()}
        computed = prepare(spec, weights)(**arguments).outputs
        np.testing.assert_allclose(computed, loop(spec, weights, **arguments)[0], rtol=0, atol=TOLERANCE["float64"])


def test_the_loop_is_not_blind() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    z, r, h = np.split(weights["kernel"], 3, axis=1)
    exchanged = weights | {"kernel": np.concatenate([r, z, h], axis=1)}
    computed = prepare(spec, weights)(**arguments).outputs
    assert np.abs(loop(spec, exchanged, **arguments)[0] - computed).max() > 1e-3


SHAPES = [(1, 1, 1, 1), (2, 7, 3, 5), (5, 33, 5, 17), (8, 64, 16, 32), (9, 3, 2, 4), (2, 65, 1, 3), (1, 2, 17, 33)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_padding_changes_roundings_at_most(shape: tuple[int, int, int, int], dtype: str) -> None:
    *sizes, units = shape
    for reset_after, activation, masked in ((False, "tanh", True), (True, "sigmoid", False)):
        spec = GRUSpec(
            units=units, reset_after=reset_after, activation=activation, return_sequences=True, return_state=True
        )
        weights, arguments = draw(spec, dtype, sizes=(sizes[0], sizes[1], sizes[2]))
        if not masked:
            del arguments["mask"]
        layer, control = prepare(spec, weights, dtype), unpadded(spec, weights, dtype)
        for computed, expected in zip(layer(**arguments), control(**arguments), strict=True):
            assert computed is not None
            assert expected is not None
            np.testing.assert_allclose(computed, expected, rtol=0, atol=16 * float(np.finfo(dtype).eps))


def test_many_shapes_share_a_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "run_gru", None)
    shared = compiled._run  # noqa: SLF001
    before = shared._cache_size()  # noqa: SLF001
    options: list[dict[str, Any]] = [
        {"go_backwards": True, "return_sequences": True},
        {"time_major": True, "use_bias": False},
        {"zero_output_for_mask": True, "unroll": True},
    ]
    for (*sizes, units), changed in itertools.product(SHAPES[:4], options):
        spec = GRUSpec(units=units, **changed)
        weights, arguments = draw(spec, sizes=(sizes[0], sizes[1], sizes[2]))
        prepare(spec, weights)(**arguments)
        prepare(spec, weights)(arguments["inputs"])
    assert shared._cache_size() <= before + 1  # noqa: SLF001


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 7, 3, 5), "float32"), ((5, 33, 5, 17), "float64"), ((8, 64, 16, 32), "float64")], ids=str
)
def test_padding_changes_roundings_of_gradients_at_most(shape: tuple[int, int, int, int], dtype: str) -> None:
    *sizes, units = shape
    batch, timesteps, size = sizes
    options: list[dict[str, Any]] = [
        {"activation": "sigmoid", "go_backwards": True, "return_sequences": True, "recurrent_dropout": 0.5},
        {"activation": "sigmoid", "recurrent_activation": "sigmoid", "reset_after": True, "return_state": True},
    ]
    for changed in options:
        spec = GRUSpec(units=units, **changed)
        weights, arguments = draw(spec, dtype, sizes=(batch, timesteps, size))
        rng = np.random.default_rng(1)
        cotangents = {"outputs": rng.uniform(-1, 1, outputs_shape(spec, batch, timesteps)).astype(dtype)}
        if spec.return_state:
            cotangents["state"] = rng.uniform(-1, 1, (batch, units)).astype(dtype)
        masks = {"recurrent": rng.choice([0.0, 2.0], (3, batch, units)).astype(dtype)}
        call = arguments | {"training": True, "dropout_masks": masks, "cotangents": cotangents}
        layers: list[Any] = [prepare(spec, weights, dtype), unpadded(spec, weights, dtype)]
        found, expected = (layer.vjp(**call) for layer in layers)
        tolerance = 64 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(found.output.outputs, expected.output.outputs, rtol=0, atol=tolerance)
        assert found.gradients.keys() == expected.gradients.keys()
        for name, gradient in expected.gradients.items():
            scale = np.abs(gradient).max()
            assert scale > 1e-3
            np.testing.assert_allclose(found.gradients[name], gradient, rtol=0, atol=tolerance * scale)


def test_many_gradients_share_a_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "pull_back_gru", None)
    shared = compiled._pull_back  # noqa: SLF001
    before = shared._cache_size()  # noqa: SLF001
    for number, (activation, recurrent_activation) in enumerate(itertools.product(ACTIVATIONS, repeat=2)):
        spec = GRUSpec(
            units=1 + number % 3,
            activation=activation,
            recurrent_activation=recurrent_activation,
            go_backwards=number % 2 == 0,
            return_sequences=number % 5 == 0,
            dropout=0.5 * (number % 4 == 0),
        )
        weights, arguments = training_calls.draw(spec)
        layer: Any = prepare(spec, weights)
        masks = training_calls.draw_masks(spec)
        layer.vjp(**arguments, training=True, dropout_masks=masks, cotangents=training_calls.draw_cotangents(spec))
    assert shared._cache_size() <= before + 2  # noqa: SLF001


def test_gradients_that_overflow_do_not_spread_through_padding() -> None:
    spec = GRUSpec(units=1, activation="linear", recurrent_activation="sigmoid", use_bias=False, reset_after=True)
    # States are near -1e100 and 1e200; what comes back from the second step overflows, with one sign for each input.
    weights = {"kernel": np.array([[1.0, -1.0, 1.0]]), "recurrent_kernel": np.array([[-1e-100, 1e-100, -1e100]])}
    call = {"initial_state": np.ones((1, 1)), "cotangents": {"outputs": np.full((1, 1), 1e200)}}
    layers: list[Any] = [prepare(spec, weights), unpadded(spec, weights)]
    found, expected = (layer.vjp(np.array([[[-1.0], [1.0]]]), **call).gradients for layer in layers)
    np.testing.assert_array_equal(expected["inputs"], [[[np.inf], [-np.inf]]])
    for name, gradient in expected.items():
        np.testing.assert_array_equal(found[name], gradient)


def test_padded_sizes() -> None:
    assert padding.padded_sizes(Dimensions(1, 1, 1, 1)) == padding.SMALLEST
    assert padding.padded_sizes(padding.SMALLEST) == padding.SMALLEST
    assert padding.padded_sizes(Dimensions(9, 65, 17, 100)) == Dimensions(16, 128, 32, 128)


@pytest.mark.parametrize("where", ["inputs", "initial_state", "kernel", "recurrent_kernel", "dropout_masks"])
def test_values_that_are_not_finite_are_not_padded(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run", "_pull_back"):
        monkeypatch.setattr(compiled, name, None)
    spec = GRUSpec(units=2, activation="linear", recurrent_activation="linear", return_state=True, dropout=0.5)
    weights, arguments = draw(spec)
    del arguments["mask"]
    masks = {"inputs": np.ones((3, BATCH, SIZE))}
    (weights | arguments | {"dropout_masks": masks["inputs"]})[where].flat[0] = np.inf
    arguments["dropout_masks"] = masks
    layer: Any = prepare(spec, weights)
    results = layer(**arguments, training=True)
    with np.errstate(all="ignore"):
        expected = loop(spec, weights, **arguments)
    for computed, wanted in zip(results, expected, strict=True):
        assert computed is not None
        np.testing.assert_allclose(computed, wanted, rtol=1e-14)
    assert not np.isfinite(results.outputs).all()
    if where in arguments:
        assert np.isfinite(results.outputs[1:]).all(), "rows do not mix"
    cotangents = {"outputs": np.ones((BATCH, 2))}
    gradients = layer.vjp(**arguments, training=True, cotangents=cotangents).gradients
    assert not np.isfinite(gradients["kernel"]).all()


def test_overflow_does_not_spread_through_padding() -> None:
    spec = GRUSpec(units=2, recurrent_activation="relu", reset_after=True, use_bias=False)
    # Unit 0 overflows in the first step and stays infinite; it holds unit 1 at z = 0 and tanh(inf) = 1.
    recurrent = np.array([[1.0, -1.0, 1.0, 1.0, -1.0, 1.0], [0.125] * 6])
    weights = {"kernel": np.zeros((1, 6)), "recurrent_kernel": recurrent}
    computed = prepare(spec, weights)(np.zeros((1, 4, 1)), initial_state=np.array([[1e300, 1.0]])).outputs
    np.testing.assert_array_equal(computed, [[np.inf, 1.0]])


def test_masked_values_reach_nothing() -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True)
    weights, arguments = draw(spec, "float32")
    mask = arguments["mask"]

    def loss(params: Any, inputs: Any) -> Any:
        outputs, state = gru(params, inputs, spec=spec, mask=mask)
        return (outputs**2).sum() + state.sum()

    fillers = (0.0, np.nan, np.inf)
    slopes = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    inputs = [np.where(mask[..., None], arguments["inputs"], np.float32(filler)) for filler in fillers]
    results = [slopes(weights, x) for x in inputs]
    assert np.abs(results[0][1][1]).max() > 0
    for other in results[1:]:
        jax.tree.map(np.testing.assert_array_equal, other, results[0])
    layer = prepare(spec, weights, "float32")
    values = [layer(x, mask=mask).outputs for x in inputs]
    np.testing.assert_array_equal(values[1], values[0])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients(*, reset_after: bool, masked: bool) -> None:
    from jax.test_util import check_grads

    spec = GRUSpec(units=2, reset_after=reset_after, return_sequences=True, recurrent_activation="sigmoid")
    weights, arguments = draw(spec)
    mask = arguments["mask"] if masked else None

    def call(params: Any, inputs: Any, state: Any) -> Any:
        return gru(params, inputs, spec=spec, mask=mask, initial_state=state)

    check_grads(call, (weights, arguments["inputs"], arguments["initial_state"]), order=1, atol=1e-6, rtol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "points", "slopes"),
    [("hard_sigmoid", [-2.6, -2.5, 0.0, 2.5, 2.6], [0, 0.2, 0.2, 0.2, 0]), ("relu", [-1.0, 0.0, 1.0], [0, 0, 1])],
)
@pytest.mark.parametrize("jit", [False, True])
def test_slopes_at_corners(name: str, points: list[float], slopes: list[float], *, jit: bool) -> None:
    spec = GRUSpec(units=1, activation=name, recurrent_activation="linear", use_bias=False)
    params = {"kernel": np.array([[0.0, 0.0, 1.0]]), "recurrent_kernel": np.zeros((1, 3))}  # z = 0: y = f(x)

    def total(inputs: Any) -> Any:
        return gru(params, inputs, spec=spec)[0].sum()

    gradient = jax.grad(total)
    x = np.reshape(points, (-1, 1, 1))
    np.testing.assert_allclose((jax.jit(gradient) if jit else gradient)(x).ravel(), slopes, rtol=1e-15)


def test_function_maps_over_batches_of_weights() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec, "float32")
    twice = {name: np.stack([weight, weight / 2]) for name, weight in weights.items()}
    outputs, _ = jax.vmap(partial(gru, inputs=arguments["inputs"], spec=spec))(twice)
    np.testing.assert_allclose(outputs[0], gru(weights, arguments["inputs"], spec=spec)[0], atol=1e-6)


def test_masks_may_be_numbers_and_have_a_last_axis() -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True)
    weights, arguments = draw(spec)
    layer, x, mask = prepare(spec, weights), arguments["inputs"], arguments["mask"]
    expected = layer(x, mask=mask).outputs
    for same in (mask[..., None], *(np.where(mask, valid, 0) for valid in (1, -0.25, np.nan))):
        np.testing.assert_array_equal(layer(x, mask=same).outputs, expected)
        np.testing.assert_allclose(gru(weights, x, spec=spec, mask=same)[0], expected, atol=1e-6)
    assert np.abs(layer(x).outputs - expected).max() > 1e-3


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_empty_sizes(*, time_major: bool, sequences: bool) -> None:
    spec = GRUSpec(units=UNITS, time_major=time_major, return_sequences=sequences, return_state=True)
    for sizes in ((0, 3, 2), (2, 0, 2), (0, 0, 0), (2, 3, 0)):
        batch, timesteps, _ = sizes
        weights, arguments = draw(spec, sizes=(max(batch, 1), timesteps, sizes[2]))
        leading = (timesteps, batch) if time_major else (batch, timesteps)
        h = arguments["initial_state"][:batch]
        for mask in (None, np.ones(leading, bool)):
            outputs, state = prepare(spec, weights)(np.zeros((*leading, sizes[2])), mask=mask, initial_state=h)
            assert outputs.shape == ((*leading, UNITS) if sequences else (batch, UNITS))
            assert state is not None
            assert timesteps or np.array_equal(state, h)
            assert timesteps or not outputs.any()


def test_empty_sizes_under_dropout() -> None:
    spec = GRUSpec(units=UNITS, dropout=0.5, recurrent_dropout=0.5, return_sequences=True)
    for batch, timesteps in ((0, 3), (2, 0)):
        weights, _ = draw(spec)
        masks = {"inputs": np.ones((3, batch, SIZE)), "recurrent": np.ones((3, batch, UNITS))}
        x = np.zeros((batch, timesteps, SIZE))
        outputs, _ = prepare(spec, weights)(x, training=True, dropout_masks=masks)
        assert outputs.shape == (batch, timesteps, UNITS)


def test_a_stateful_layer_carries_its_state() -> None:
    spec = GRUSpec(units=UNITS, stateful=True, return_sequences=True, return_state=True)
    weights, arguments = draw(spec)
    layer, x = prepare(spec, weights), arguments["inputs"]
    together = np.concatenate([layer(x[:, :2]).outputs, layer(x[:, 2:]).outputs], axis=1)
    layer.reset_states()
    np.testing.assert_array_equal(layer(x).outputs, together)
    given = layer(x, initial_state=arguments["initial_state"])
    assert given.state is not None
    kept = given.state.copy()
    given.state[:] = 0
    expected = unpadded(GRUSpec(units=UNITS, return_sequences=True), weights)(x, initial_state=kept).outputs
    np.testing.assert_allclose(layer(x).outputs, expected, atol=1e-15)
    layer.reset_states(arguments["initial_state"])
    np.testing.assert_array_equal(layer(x).outputs, given.outputs)


def test_resets_are_checked() -> None:
    spec = GRUSpec(units=UNITS)
    weights, _ = draw(spec)
    with pytest.raises(NotStatefulError, match="stateful=True"):
        prepare(spec, weights).reset_states()
    layer = prepare(GRUSpec(units=UNITS, stateful=True), weights)
    with pytest.raises(SpecError, match="call the layer once"):
        layer.reset_states()
    layer(np.zeros((BATCH, 1, SIZE)))
    with pytest.raises(SpecError, match=r"states: shape \(2, 4\); expected \(3, 4\)"):
        layer.reset_states(np.zeros((2, UNITS)))
    with pytest.raises(SpecError, match="states: dtype complex128"):
        layer.reset_states(np.zeros((BATCH, UNITS), complex))
    with pytest.raises(SpecError, match="batch size 2; this stateful layer keeps a state for 3"):
        layer(np.zeros((2, 1, SIZE)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"inputs": np.zeros((1, 2, 3))}, SpecError, "kernel: shape"),
        ({"inputs": np.zeros((1, SIZE))}, SpecError, "inputs: shape .* expected 3"),
        ({"inputs": np.zeros((1, 2, SIZE), int)}, SpecTypeError, "inputs: dtype int64"),
        ({"mask": np.ones((2, 1))}, SpecError, r"mask: shape \(2, 1\); expected \(1, 2\) or \(1, 2, 1\)"),
        ({"mask": np.ones((1, 2), complex)}, SpecError, "mask: dtype complex128"),
        ({"mask": np.array([["a", "b"]])}, SpecError, "mask: dtype"),
        ({"initial_state": np.zeros((1, 5))}, SpecError, r"initial_state: shape \(1, 5\); expected \(1, 4\)"),
        ({"initial_state": np.full((1, UNITS), None)}, SpecError, "initial_state: dtype object"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    spec = GRUSpec(units=UNITS)
    weights, _ = draw(spec)
    given = {"inputs": np.zeros((1, 2, SIZE)), **arguments}
    for call in (partial(gru, weights, spec=spec), prepare(spec, weights)):
        with pytest.raises(error, match=message):
            call(**given)


def test_wrong_weights_are_named() -> None:
    spec = GRUSpec(units=UNITS)
    weights, _ = draw(spec)
    x = np.zeros((1, 1, SIZE))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"bias": np.zeros((2, 3 * UNITS))}, "bias: shape"),
        ({"recurrent_kernel": weights["recurrent_kernel"].astype(complex)}, "recurrent_kernel: dtype complex128"),
        ({"more": weights["bias"]}, "more: given"),
    ]
    for changed, message in wrong:
        with pytest.raises(SpecError, match=message):
            gru(weights | changed, x, spec=spec)
        with pytest.raises(SpecError, match=message):
            prepare(spec, weights | changed)
    with pytest.raises(SpecError, match="kernel: missing"):
        prepare(spec, {})
    with pytest.raises(SpecTypeError, match="kernel: dtype int64"):
        gru(weights | {"kernel": np.zeros((SIZE, 3 * UNITS), int)}, x, spec=spec)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"dropout": 0.5, "recurrent_dropout": 0.25}], ids=str)
def test_dropout_masks_act_in_the_function_where_they_are_given(options: dict[str, Any]) -> None:
    spec = GRUSpec(units=UNITS, time_major=True, return_sequences=True, **options)
    weights, arguments = training_calls.draw(spec)
    masks = training_calls.draw_masks(spec)
    acting = training_calls.acting(spec, masks)
    for call in (gru, jax.jit(gru, static_argnames="spec")):
        dropped, _ = call(weights, **arguments, dropout_masks=masks, spec=spec)
        expected, _ = loop(spec, weights, **arguments, dropout_masks=acting)
        np.testing.assert_allclose(dropped, expected, rtol=0, atol=TOLERANCE["float64"])
    kept, _ = gru(weights, **arguments, spec=spec)
    np.testing.assert_allclose(kept, loop(spec, weights, **arguments)[0], rtol=0, atol=TOLERANCE["float64"])
    with pytest.raises(SpecError, match="dropout_masks: 'inputs' missing"):
        gru(weights, **arguments, dropout_masks={}, spec=spec)
    with pytest.raises(SpecError, match=r"dropout=1\.0: in training"):
        gru(weights, **arguments, dropout_masks=masks, spec=GRUSpec(units=UNITS, time_major=True, dropout=1))


def test_dropout_masks_are_constants() -> None:
    spec = GRUSpec(units=UNITS, dropout=0.5, recurrent_dropout=0.5)
    weights, arguments = training_calls.draw(spec)

    def total(masks: Any, inputs: Any) -> Any:
        return gru(weights, inputs, dropout_masks=masks, spec=spec)[0].sum()

    masks, inputs = jax.grad(total, argnums=(0, 1))(training_calls.draw_masks(spec), arguments["inputs"])
    assert not any(mask.any() for mask in masks.values())
    assert inputs.any()


def test_drawn_masks_are_those_of_the_rates() -> None:
    rates = {"inputs": 0.3, "recurrent": 0.6}
    spec = GRUSpec(units=20, dropout=rates["inputs"], recurrent_dropout=rates["recurrent"])
    masks = draw_dropout_masks(jax.random.key(0), spec, 300, 20)
    assert masks.keys() == rates.keys()
    for kind, rate in rates.items():
        assert masks[kind].shape == (3, 300, 20)
        assert masks[kind].dtype == np.float32
        dropped = np.asarray(masks[kind] == 0)
        np.testing.assert_array_equal(masks[kind][~dropped], np.float32(1 / (1 - rate)))
        assert abs(dropped.mean() - rate) < 4 * (rate * (1 - rate) / dropped.size) ** 0.5
        for axis in range(3):
            pair = dropped.take(0, axis), dropped.take(1, axis)
            both = (pair[0] & pair[1]).mean()
            assert abs(both - rate**2) < 4 * (rate**2 / pair[0].size) ** 0.5, "gates, rows and features are independent"
    both = ((masks["inputs"] == 0) & (masks["recurrent"] == 0)).mean()
    assert abs(both - 0.3 * 0.6) < 4 * (0.18 / masks["inputs"].size) ** 0.5, "inputs and state are independent"


def test_drawn_masks_depend_on_the_key_and_fit_the_function() -> None:
    spec = GRUSpec(units=UNITS, dropout=0.5, implementation=2)
    weights, arguments = training_calls.draw(spec)
    first, again, other = (
        draw_dropout_masks(jax.random.key(seed), spec, BATCH, SIZE, dtype=jnp.bfloat16)["inputs"] for seed in (0, 0, 1)
    )
    assert first.shape == (1, BATCH, SIZE)
    assert first.dtype == jnp.bfloat16
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    gru(weights, **arguments, dropout_masks={"inputs": first}, spec=spec)
    assert draw_dropout_masks(jax.random.key(0), GRUSpec(units=UNITS), BATCH, SIZE) == {}
    with pytest.raises(SpecError, match=r"recurrent_dropout=1\.0: in training"):
        draw_dropout_masks(jax.random.key(0), GRUSpec(units=UNITS, recurrent_dropout=1), BATCH, SIZE)


def test_float64_stays_inside_a_call() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    assert prepare(spec, weights)(**arguments).outputs.dtype == np.float64
    assert jnp.zeros(1, float).dtype == np.float32
    assert gru(weights, **arguments, spec=spec)[0].dtype == np.float32


def test_half_precision_in_the_function() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    half = {name: jnp.asarray(weight, jnp.bfloat16) for name, weight in weights.items()}
    outputs, state = gru(half, **arguments, spec=spec)
    assert outputs.dtype == state.dtype == jnp.bfloat16
    np.testing.assert_allclose(outputs.astype(float), loop(spec, weights, **arguments)[0], atol=0.1)


def test_initial_weights_are_those_of_the_reference_layer() -> None:
    params = initial_params(jax.random.key(0), 10, GRUSpec(units=64, reset_after=True))
    assert {name: array.shape for name, array in params.items()} == weight_shapes(
        GRUSpec(units=64, reset_after=True), 10
    )
    limit = (6 / (10 + 3 * 64)) ** 0.5
    assert 0.99 * limit < np.abs(params["kernel"]).max() <= limit
    np.testing.assert_allclose(params["recurrent_kernel"] @ params["recurrent_kernel"].T, np.eye(64), atol=1e-5)
    assert not params["bias"].any()
    assert "bias" not in initial_params(jax.random.key(0), 10, GRUSpec(units=4, use_bias=False))


@pytest.mark.parametrize(("dtype", "tiny"), [("float32", 2.0**-140), ("float64", 2.0**-1060)])
def test_subnormal_numbers_are_flushed_as_declared(dtype: str, tiny: float) -> None:
    spec = GRUSpec(units=1, recurrent_activation="sigmoid", use_bias=False)
    weights = {"kernel": np.array([[0, 0, 1]], dtype), "recurrent_kernel": np.zeros((1, 3), dtype)}
    assert gruspec_jax.backend().capabilities().subnormals == "flush"
    assert not prepare(spec, weights, dtype)(np.full((1, 2, 1), tiny, dtype)).outputs.any()


def test_products_ask_for_full_precision() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec, "float32")
    for reset_after in (False, True):
        spec = GRUSpec(units=UNITS, reset_after=reset_after)
        weights, arguments = draw(spec, "float32")
        jaxpr = str(jax.make_jaxpr(partial(gru, spec=spec))(weights, arguments["inputs"]))
        products = jaxpr.count("dot_general[")
        assert products == (2 if reset_after else 3)
        assert jaxpr.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == products
        spec = GRUSpec(units=UNITS, reset_after=reset_after, dropout=0.5, recurrent_dropout=0.5)
        masks = training_calls.draw_masks(spec, "float32")
        total = jax.grad(lambda *call, spec=spec: gru(*call[:2], spec=spec, dropout_masks=call[2])[0].sum())
        jaxpr = str(jax.make_jaxpr(total)(weights, arguments["inputs"], masks))
        products = jaxpr.count("dot_general[")
        assert products > (2 if reset_after else 3)
        assert jaxpr.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == products


def test_cuda_is_never_replaced_by_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(platform: str) -> list[Any]:
        raise RuntimeError(f"Unknown backend {platform}")

    spec = GRUSpec(units=UNITS)
    weights, _ = draw(spec, "float32")
    monkeypatch.setattr(jax, "devices", missing)
    with pytest.raises(DeviceUnavailable, match=r"cuda: JAX .* has no such device; .*nvidia-smi.*Unknown backend gpu"):
        gruspec_jax.backend().prepare(spec, weights, dtype="float32", device="cuda")
    with pytest.raises(DeviceUnavailable, match=r"cpu: .*JAX_PLATFORMS"):
        gruspec_jax.backend().prepare(spec, weights, dtype="float32", device="cpu")


def test_layers_run_on_the_device_that_was_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    cpu = jax.devices("cpu")[0]
    default_device = jax.default_device

    def recorded(device: Any) -> Any:
        used.append(device)
        return default_device(cpu)

    monkeypatch.setattr(jax, "devices", lambda platform: [f"first {platform}", f"second {platform}"])
    monkeypatch.setattr(jax, "default_device", recorded)
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    gruspec_jax.backend().prepare(spec, weights, dtype="float64", device="cuda")(**arguments)
    assert used == ["first gpu"]


def test_registered_and_described() -> None:
    backend = Registry().get("jax").load_runnable()
    assert backend.capabilities().devices == ("cpu", "cuda")
    versions = backend.versions()
    assert versions["jax"] == jax.__version__
    assert versions["matmul_precision"] == "highest"
    assert {"jaxlib", "xla_flags"} <= set(versions)
    with pytest.raises(Unsupported, match="dtype='int32'"):
        backend.prepare(GRUSpec(units=1), {}, dtype="int32", device="cpu")


@pytest.mark.parametrize(("dtype", "atol"), [("float16", 4e-3), ("bfloat16", 4e-2)])
@pytest.mark.parametrize("pad", [False, True])
def test_half_precisions_are_computed_in(dtype: str, atol: float, *, pad: bool) -> None:
    kind: Any = jnp.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    spec = GRUSpec(units=UNITS, return_sequences=True)
    weights, arguments = draw(spec, kind)
    layer = bound.BoundLayer(spec, weights, dtype=dtype, device=jax.devices("cpu")[0], pad=pad)
    found = layer.vjp(**arguments, cotangents={"outputs": np.ones((BATCH, TIMESTEPS, UNITS), kind)})
    exact = {name: weight.astype(float) for name, weight in weights.items()}
    wide = {name: array.astype(float) if array.dtype == kind else array for name, array in arguments.items()}
    outputs, _ = loop(spec, exact, **wide)
    wanted = prepare(spec, exact).vjp(**wide, cotangents={"outputs": np.ones((BATCH, TIMESTEPS, UNITS))})  # type: ignore[attr-defined]
    assert found.output.outputs.dtype == kind
    np.testing.assert_allclose(found.output.outputs.astype(float), outputs, rtol=0, atol=atol)
    assert np.abs(found.output.outputs.astype(float) - outputs).max() > atol / 100
    for name, gradient in found.gradients.items():
        assert gradient.dtype == kind
        np.testing.assert_allclose(gradient.astype(float), wanted.gradients[name], rtol=0, atol=20 * atol)


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, gruspec_jax; gruspec_jax.backend().capabilities(); "
        "assert not {'jax', 'numpy'} & set(sys.modules); gruspec_jax.gru; assert 'jax' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="it has KerasLayer, backend, draw_dropout_masks, from_keras, gru"):
        gruspec_jax.lstm  # noqa: B018


def test_examples_run() -> None:
    import doctest

    from gruspec_jax import layer

    for module in (layer, dropout, padding):
        failed, attempted = doctest.testmod(module)
        assert attempted
        assert not failed
