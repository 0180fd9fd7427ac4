"""The PyTorch module and the adapter over ``torch.nn.GRU`` against a loop in NumPy, and against each other."""

from __future__ import annotations

import copy
import itertools
import pickle
import subprocess
import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import training_calls
from scalar_loop import loop

import gruspec_torch
from gruspec.backend import Registry
from gruspec.errors import DeviceUnavailable, NotStatefulError, SpecError, SpecTypeError, Unsupported
from gruspec.spec import ACTIVATIONS, DROPOUT_RATES, Dimensions, GRUSpec, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.backend import Backend, Layer

    Array = np.ndarray[Any, np.dtype[Any]]

torch = pytest.importorskip("torch")
devices, dropout, recurrence = (import_module(f"gruspec_torch.{name}") for name in ("devices", "dropout", "recurrence"))
GRU = gruspec_torch.GRU

BATCH, TIMESTEPS, SIZE, UNITS = 3, 5, 2, 4
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}
SWITCHES = list(itertools.product([False, True], repeat=5))
BACKENDS = [gruspec_torch.complete, gruspec_torch.native]
NATIVE: dict[str, Any] = {"units": UNITS, "reset_after": True, "recurrent_activation": "sigmoid"}


def draw(spec: GRUSpec, dtype: str = "float64", seed: int = 0, size: int = SIZE) -> tuple[dict[str, Array], Any]:
    """Return weights, and the arguments of a call with some mask and an initial state."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.uniform(-0.7, 0.7, shape).astype(dtype) for name, shape in weight_shapes(spec, size).items()}
    leading = (TIMESTEPS, BATCH) if spec.time_major else (BATCH, TIMESTEPS)
    mask = rng.random((BATCH, TIMESTEPS)) < 0.6
    mask[0] = False
    return weights, {
        "inputs": rng.uniform(-2, 2, (*leading, size)).astype(dtype),
        "mask": mask.T.copy() if spec.time_major else mask,
        "initial_state": rng.uniform(-1, 1, (BATCH, spec.units)).astype(dtype),
    }


def assert_agrees(backend: Backend, spec: GRUSpec, weights: Any, arguments: Any, dtype: str) -> None:
    result = backend.prepare(spec, weights, dtype=dtype, device="cpu")(**arguments)
    outputs, state = loop(spec, weights, **arguments)
    assert result.outputs.dtype == dtype
    assert result.outputs.flags.c_contiguous
    np.testing.assert_allclose(result.outputs, outputs, rtol=0, atol=TOLERANCE[dtype])
    assert result.state is not None
    assert result.state.dtype == dtype
    np.testing.assert_allclose(result.state, state, rtol=0, atol=TOLERANCE[dtype])


def module(spec: GRUSpec, weights: dict[str, Array]) -> Any:
    return GRU.from_weights(spec, weights, dtype=torch.float64)


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
    assert_agrees(gruspec_torch.complete(), spec, weights, arguments, dtype)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize(("activation", "recurrent_activation"), list(itertools.product(ACTIVATIONS, repeat=2)))
def test_every_activation_in_either_place(activation: str, recurrent_activation: str, *, reset_after: bool) -> None:
    spec = GRUSpec(
        units=UNITS,
        activation=activation,
        recurrent_activation=recurrent_activation,
        reset_after=reset_after,
        use_bias=activation != "relu",
        return_state=True,
    )
    weights, arguments = draw(spec)
    weights = {name: weight / 2 for name, weight in weights.items()}
    assert_agrees(gruspec_torch.complete(), spec, weights, arguments, "float64")


def test_the_loop_is_not_blind() -> None:
    spec = GRUSpec(units=UNITS, return_state=True)
    weights, arguments = draw(spec)
    result = gruspec_torch.complete().prepare(spec, weights, dtype="float64", device="cpu")(**arguments)
    z, r, h = np.split(weights["kernel"], 3, axis=1)
    exchanged = weights | {"kernel": np.concatenate([r, z, h], axis=1)}
    assert np.abs(loop(spec, exchanged, **arguments)[0] - result.outputs).max() > 1e-3


def test_module_equals_torch_nn_gru() -> None:
    ours = GRU(
        SIZE, UNITS, recurrent_activation="sigmoid", reset_after=True, return_sequences=True, dtype=torch.float64
    )
    torch.nn.init.normal_(ours.bias)
    theirs = torch.nn.GRU(SIZE, UNITS, batch_first=True, dtype=torch.float64)

    def convert(parameter: Any) -> Any:
        z, r, n = parameter.detach().chunk(3, dim=-1)
        return torch.cat([r, z, n], dim=-1).t()

    theirs.load_state_dict(
        {
            "weight_ih_l0": convert(ours.kernel),
            "weight_hh_l0": convert(ours.recurrent_kernel),
            "bias_ih_l0": convert(ours.bias[0]),
            "bias_hh_l0": convert(ours.bias[1]),
        }
    )
    x = torch.randn(BATCH, TIMESTEPS, SIZE, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x)[0])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("zero_output", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_gradients(*, reset_after: bool, zero_output: bool, go_backwards: bool) -> None:
    spec = GRUSpec(
        units=2,
        reset_after=reset_after,
        go_backwards=go_backwards,
        zero_output_for_mask=zero_output,
        return_sequences=True,
        return_state=True,
        recurrent_activation="sigmoid",
    )
    weights, arguments = draw(spec)
    layer = module(spec, weights)
    names = [name for name, _ in layer.named_parameters()]
    mask = torch.from_numpy(arguments["mask"])

    def call(x: Any, h: Any, *parameters: Any) -> Any:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, h, mask))

    leaves = [torch.from_numpy(arguments[name]) for name in ("inputs", "initial_state")]
    leaves += [torch.from_numpy(weights[name]) for name in names]
    assert torch.autograd.gradcheck(call, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("reset_after", [False, True])
def test_masked_values_reach_neither_outputs_nor_gradients(*, reset_after: bool) -> None:
    spec = GRUSpec(units=UNITS, reset_after=reset_after, return_sequences=True, return_state=True)
    weights, arguments = draw(spec)
    results = []
    for filler in (0.0, np.nan, np.inf):
        x = np.where(arguments["mask"][..., None], arguments["inputs"], filler)
        layer = module(spec, weights)
        leaf = torch.from_numpy(x).requires_grad_()
        outputs, state = layer(leaf, mask=arguments["mask"])
        (outputs.square().sum() + state.sum()).backward()
        results.append([outputs, state, leaf.grad, *(parameter.grad for parameter in layer.parameters())])
    assert results[0][3].abs().max() > 0
    for other in results[1:]:
        for expected, computed in zip(results[0], other, strict=True):
            torch.testing.assert_close(computed, expected, rtol=0, atol=0)


def test_a_row_without_valid_timesteps_passes_its_state_on() -> None:
    layer = GRU(SIZE, UNITS, return_state=True)
    h = torch.randn(1, UNITS, requires_grad=True)
    outputs, state = layer(torch.randn(1, TIMESTEPS, SIZE), h, torch.zeros(1, TIMESTEPS))
    assert torch.equal(outputs, torch.zeros(1, UNITS))
    assert torch.equal(state, h)
    (gradient,) = torch.autograd.grad(outputs.sum() + state.sum(), h)
    assert torch.equal(gradient, torch.ones(1, UNITS))


def test_gradients_where_the_caller_records_none() -> None:
    spec = GRUSpec(units=UNITS)
    weights, arguments = draw(spec)
    layer: Any = gruspec_torch.complete().prepare(spec, weights, dtype="float64", device="cpu")
    with torch.no_grad():
        gradients = layer.vjp(**arguments, cotangents={"outputs": np.ones((BATCH, UNITS))}).gradients
    assert np.abs(gradients["kernel"]).max() > 1e-3
    assert all(parameter.grad is None for parameter in layer.module.parameters())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hard_sigmoid_is_the_clipped_line_on_every_number_next_to_a_corner(dtype: str) -> None:
    points = [np.array([-2.5, 2.5], dtype)]
    for side in (0, np.inf):
        for _ in range(40):
            points.append(np.nextafter(points[-1], np.copysign(np.array(side, dtype), points[-1])))
    x = np.concatenate(points)
    leaf = torch.from_numpy(x).requires_grad_()
    found = recurrence.hard_sigmoid(leaf)
    line = np.array(0.2, dtype) * x + np.array(0.5, dtype)
    np.testing.assert_array_equal(found.detach(), np.clip(line, 0, 1))
    found.sum().backward()
    np.testing.assert_allclose(leaf.grad, np.where(np.abs(x) <= 2.5, 0.2, 0), rtol=1e-7)


def test_masks_may_be_numbers_and_have_a_last_axis() -> None:
    spec = GRUSpec(units=UNITS, return_sequences=True)
    weights, arguments = draw(spec)
    layer, x, mask = module(spec, weights), arguments["inputs"], arguments["mask"]
    expected = layer(x, mask=mask)
    for same in (
        mask[..., None],
        mask.tolist(),
        np.where(mask, -0.25, 0),
        np.where(mask, np.nan, 0),
        torch.tensor(mask),
    ):
        assert torch.equal(layer(x, mask=same), expected)
    assert not torch.equal(layer(x), expected)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_empty_sizes(*, time_major: bool, sequences: bool) -> None:
    layer = GRU(0, UNITS, time_major=time_major, return_sequences=sequences, return_state=True)
    for batch, timesteps in ((0, 3), (2, 0), (0, 0), (2, 3)):
        leading = (timesteps, batch) if time_major else (batch, timesteps)
        h = torch.randn(batch, UNITS)
        for mask in (None, torch.ones(leading)):
            outputs, state = layer(torch.zeros(*leading, 0), h, mask)
            assert tuple(outputs.shape) == ((*leading, UNITS) if sequences else (batch, UNITS))
            assert timesteps or torch.equal(state, h)
            assert timesteps or not outputs.any()


def test_a_stateful_layer_carries_its_state() -> None:
    spec = GRUSpec(units=UNITS, stateful=True, return_sequences=True)
    weights, arguments = draw(spec)
    layer, x = module(spec, weights), torch.from_numpy(arguments["inputs"])
    together = torch.cat([layer(x[:, :2]), layer(x[:, 2:])], dim=1)
    layer.reset_states()
    torch.testing.assert_close(layer(x), together)
    given = layer(x, arguments["initial_state"])
    assert torch.equal(given[:, -1], layer.recorded_state), "an explicit state wins, and the final state is recorded"
    layer.reset_states(arguments["initial_state"])
    assert torch.equal(layer(x), given)
    assert set(layer.state_dict()) == {"kernel", "recurrent_kernel", "bias"}


def test_no_gradient_crosses_calls() -> None:
    layer = GRU(SIZE, UNITS, stateful=True)
    x = torch.randn(BATCH, TIMESTEPS, SIZE, requires_grad=True)
    layer(x)
    again = torch.randn(BATCH, TIMESTEPS, SIZE, requires_grad=True)
    layer(again).sum().backward()
    assert x.grad is None
    assert again.grad.abs().max() > 0


def test_the_recorded_state_belongs_to_the_layer() -> None:
    layer = GRU(SIZE, UNITS, stateful=True, return_state=True)
    with torch.inference_mode():
        _, state = layer(torch.ones(1, 1, SIZE))
        kept = state.clone()
        state.zero_()
    assert torch.equal(layer.recorded_state, kept)
    layer(torch.ones(1, 1, SIZE))[0].sum().backward()
    assert layer.kernel.grad is not None


def test_resets_are_checked() -> None:
    with pytest.raises(NotStatefulError, match="stateful=True"):
        GRU(SIZE, UNITS).reset_states()
    layer = GRU(SIZE, UNITS, stateful=True)
    with pytest.raises(SpecError, match="call the layer once"):
        layer.reset_states()
    layer(torch.zeros(BATCH, 1, SIZE))
    with pytest.raises(SpecError, match=r"states: shape \(2, 4\); expected \(3, 4\)"):
        layer.reset_states(np.zeros((2, UNITS)))
    with pytest.raises(SpecError, match=r"states: dtype torch\.complex128"):
        layer.reset_states(np.zeros((BATCH, UNITS), complex))
    with pytest.raises(SpecError, match="batch size 2; this stateful layer keeps a state for 3"):
        layer(torch.zeros(2, 1, SIZE))
    layer.reset_states(np.ones((BATCH, UNITS), bool))
    assert torch.equal(layer.recorded_state, torch.ones(BATCH, UNITS))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"inputs": np.zeros((1, 2, 3))}, SpecError, "kernel: shape"),
        ({"inputs": np.zeros((1, SIZE))}, SpecError, "inputs: shape .* expected 3"),
        ({"inputs": np.zeros((1, 2, SIZE), int)}, SpecTypeError, "inputs: dtype torch.int64"),
        ({"inputs": "x"}, SpecTypeError, "inputs: cannot be made a tensor"),
        ({"mask": np.ones((2, 1))}, SpecError, r"mask: shape \(2, 1\); expected \(1, 2\) or \(1, 2, 1\)"),
        ({"mask": np.ones((1, 2), complex)}, SpecError, "mask: dtype torch.complex128"),
        ({"mask": np.array([["a", "b"]])}, SpecError, "mask: cannot be made a tensor"),
        ({"initial_state": np.zeros((1, 5))}, SpecError, r"initial_state: shape \(1, 5\); expected \(1, 4\)"),
        ({"initial_state": np.zeros((1, UNITS), complex)}, SpecError, "initial_state: dtype"),
        ({"initial_state": np.full((1, UNITS), None)}, SpecError, "initial_state: cannot be made a tensor"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        GRU(SIZE, UNITS)(**{"inputs": np.zeros((1, 2, SIZE)), **arguments})


def test_arrays_are_cast_and_may_be_read_only_or_reversed() -> None:
    layer, x = GRU(SIZE, UNITS), np.arange(8.0).reshape(2, 2, 2)
    expected = layer(torch.from_numpy(x).float(), torch.ones(2, UNITS))
    backwards = x[:, ::-1].copy()
    backwards.flags.writeable = False
    assert torch.equal(layer(backwards[:, ::-1], np.ones((2, UNITS), int)), expected)
    assert expected.dtype == torch.float32


def test_signature_is_that_of_a_torch_module_with_the_names_of_the_layer() -> None:
    layer = GRU(3, 2, activation=None, reset_after=True, dtype=torch.float64)
    assert repr(layer) == "GRU(3, 2, activation='linear', reset_after=True)"
    assert {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()} == {
        "kernel": (3, 6),
        "recurrent_kernel": (2, 6),
        "bias": (2, 6),
    }
    assert layer.kernel.dtype == torch.float64
    assert GRU(3, 2, use_bias=False).bias is None
    assert layer.spec == GRUSpec(units=2, activation="linear", reset_after=True)
    with pytest.raises(SpecError, match="units=0"):
        GRU(3, 0)
    with pytest.raises(SpecError, match="input_size=-1"):
        GRU(-1, 2)


def test_initial_weights_are_those_of_the_reference_layer() -> None:
    torch.manual_seed(0)
    layer = GRU(10, 64, dtype=torch.float64)
    limit = (6 / (10 + 3 * 64)) ** 0.5
    assert 0.99 * limit < layer.kernel.abs().max() <= limit
    product = layer.recurrent_kernel @ layer.recurrent_kernel.T
    torch.testing.assert_close(product, torch.eye(64, dtype=torch.float64))
    assert not layer.bias.any()


def test_from_weights_checks_shapes_and_draws_nothing() -> None:
    spec = GRUSpec(units=UNITS)
    weights, _ = draw(spec)
    before = torch.random.get_rng_state()
    layer = GRU.from_weights(spec, weights)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert layer.kernel.dtype == torch.float32
    weights["kernel"][:] = 0
    assert layer.kernel.any()
    with pytest.raises(SpecError, match="kernel: missing"):
        GRU.from_weights(spec, {})
    with pytest.raises(SpecError, match="bias: shape"):
        GRU.from_weights(spec, weights | {"bias": np.zeros((2, 3 * UNITS))})


def test_modules_can_be_copied_and_pickled() -> None:
    layer = GRU(SIZE, UNITS, stateful=True)
    x = torch.randn(BATCH, TIMESTEPS, SIZE)
    layer(x)
    expected = copy.deepcopy(layer)(x)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), expected)  # noqa: S301


@pytest.mark.parametrize("kind", ["inputs", "recurrent"])
def test_drawn_masks_are_those_of_the_rate(kind: str) -> None:
    rate, sizes = 0.3, Dimensions(300, 7, 20, 20)
    options: dict[str, Any] = {DROPOUT_RATES[kind]: rate}
    spec = GRUSpec(units=20, **options)
    torch.manual_seed(0)
    like = torch.empty(0, dtype=torch.float64)
    (mask,) = dropout.draw_masks(spec, like, training=True, sizes=sizes).values()
    assert mask.shape == (3, 300, 20)
    assert mask.dtype == torch.float64
    dropped = (mask == 0).numpy()
    np.testing.assert_allclose(mask[mask != 0], 1 / (1 - rate), rtol=1e-15)
    deviation = (rate * (1 - rate) / dropped.size) ** 0.5
    assert abs(dropped.mean() - rate) < 4 * deviation
    for axis in range(3):
        pair = dropped.take(0, axis), dropped.take(1, axis)
        both = (pair[0] & pair[1]).mean()
        assert abs(both - rate**2) < 4 * (rate**2 / pair[0].size) ** 0.5, "gates, rows and features are independent"
    assert dropout.draw_masks(spec, like, training=False, sizes=sizes) == {}


def revealing(**rates: Any) -> Any:
    """Return a layer whose output at step t is the input mask of the candidate times the t-th power of the state's."""
    size = 8
    spec = GRUSpec(units=size, activation="linear", recurrent_activation="relu", return_sequences=True, **rates)
    block, none = np.eye(size), np.zeros((size, size))
    kernel = np.concatenate([none, none, block if "dropout" in rates else none], axis=1)
    recurrent = np.concatenate([none, none, block if "recurrent_dropout" in rates else none], axis=1)
    bias = np.concatenate([np.zeros(size), np.ones(size), np.zeros(size)])  # z = 0 and r = 1
    return module(spec, {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias})


def test_drawn_masks_stay_for_a_call_and_are_new_in_the_next() -> None:
    x, h = torch.ones(4, 3, 8, dtype=torch.float64), torch.ones(4, 8, dtype=torch.float64)
    layer = revealing(dropout=0.5)
    torch.manual_seed(3)
    first, second = layer(x, h), layer(x, h)
    assert torch.equal(first[:, :1].expand_as(first), first)
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(layer(x, h), first), "PyTorch's generator decides"
    layer.eval()
    assert torch.equal(layer(x, h), x)
    recurrent = revealing(recurrent_dropout=0.5)(x, h)
    assert set(recurrent[:, 0].unique().tolist()) == {0.0, 2.0}
    assert torch.equal(recurrent[:, 2], recurrent[:, 0] ** 3)


def test_dropout_masks_are_constants() -> None:
    layer = GRU(SIZE, UNITS, dropout=0.5)
    masks = {"inputs": torch.ones(3, BATCH, SIZE, requires_grad=True)}
    x = torch.randn(BATCH, TIMESTEPS, SIZE, requires_grad=True)
    layer(x, dropout_masks=masks).sum().backward()
    assert masks["inputs"].grad is None
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("rates", "masks", "message"),
    [
        ({"dropout": 0.5}, {}, r"dropout_masks: 'inputs' missing, .* shape \(3, 1, 2\)"),
        ({"dropout": 0.5}, {"inputs": np.ones((1, 1, SIZE))}, r"'inputs' has shape \(1, 1, 2\); expected \(3, 1, 2\)"),
        ({"dropout": 0.5, "implementation": 2}, {"inputs": np.ones((3, 1, SIZE))}, r"expected \(1, 1, 2\)"),
        ({"recurrent_dropout": 0.5}, {"recurrent": np.ones((3, 1, SIZE))}, r"expected \(3, 1, 4\)"),
        ({"dropout": 0.5}, {"inputs": np.ones((3, 1, SIZE), complex)}, r"dropout_masks\['inputs'\]: dtype"),
        ({}, {"state": np.ones((3, 1, SIZE))}, "unknown state; known are inputs, recurrent"),
        ({"dropout": 1}, None, r"dropout=1\.0: in training"),
        ({"recurrent_dropout": 1}, {"recurrent": np.ones((3, 1, UNITS))}, r"recurrent_dropout=1\.0: in training"),
    ],
)
def test_wrong_dropout_is_named(rates: dict[str, Any], masks: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        GRU(SIZE, UNITS, **rates)(np.zeros((1, 1, SIZE)), dropout_masks=masks)


def test_native_refuses_dropout_where_it_would_act() -> None:
    x = np.zeros((1, 1, SIZE))
    spec = GRUSpec(**NATIVE, dropout=0.5)
    layer: Any = gruspec_torch.native().prepare(spec, draw(spec)[0], dtype="float64", device="cpu")
    masks = {"inputs": np.zeros((3, 1, SIZE))}
    np.testing.assert_array_equal(layer(x, dropout_masks=masks).outputs, layer(x).outputs)
    assert not gruspec_torch.native().capabilities().dropout
    for call in (layer, partial(layer.vjp, cotangents={"outputs": np.zeros((1, UNITS))})):
        with pytest.raises(Unsupported, match=r"dropout=0\.5 in training"):
            call(x, training=True, dropout_masks=masks)
        with pytest.raises(SpecError, match="dropout_masks: unknown state"):
            call(x, dropout_masks={"state": masks["inputs"]})


def test_unroll_and_implementation_change_nothing() -> None:
    plain = GRUSpec(units=UNITS, zero_output_for_mask=True, go_backwards=True)
    weights, arguments = draw(plain)
    expected = module(plain, weights)(**arguments)
    for options in ({"unroll": True}, {"implementation": 2}):
        assert torch.equal(module(GRUSpec(**(plain.to_dict() | options)), weights)(**arguments), expected)


def native(**options: Any) -> tuple[Layer, dict[str, Array], Any, GRUSpec]:
    spec = GRUSpec(**NATIVE, return_state=True, **options)
    weights, arguments = draw(spec, size=3)
    mask = np.arange(TIMESTEPS) < np.array([[1], [TIMESTEPS], [3]])
    arguments["mask"] = mask.T if spec.time_major else mask
    layer = gruspec_torch.native().prepare(spec, weights, dtype="float64", device="cpu")
    return layer, weights, arguments, spec


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("time_major", "use_bias", "sequences"), list(itertools.product([False, True], repeat=3)))
def test_native_computes_what_a_loop_computes(*, time_major: bool, use_bias: bool, sequences: bool, dtype: str) -> None:
    spec = GRUSpec(
        **NATIVE,
        time_major=time_major,
        use_bias=use_bias,
        return_sequences=sequences,
        return_state=True,
        zero_output_for_mask=sequences,
    )
    weights, arguments = draw(spec, dtype, size=3)
    lengths = np.arange(TIMESTEPS) < np.array([[1], [TIMESTEPS], [3]])
    for mask in (None, lengths, lengths[..., None]):
        arguments["mask"] = mask
        if mask is not None and time_major:
            arguments["mask"] = mask.swapaxes(0, 1)
        expected = arguments | (
            {} if mask is None else {"mask": arguments["mask"].reshape(arguments["inputs"].shape[:2])}
        )
        layer = gruspec_torch.native().prepare(spec, weights, dtype=dtype, device="cpu")
        result = layer(**arguments)
        for computed, wanted in zip(result, loop(spec, weights, **expected), strict=True):
            assert computed is not None
            assert computed.dtype == dtype
            assert computed.flags.c_contiguous
            np.testing.assert_allclose(computed, wanted, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"reset_after": False}, "reset_after=False"),
        ({"activation": "relu"}, "activation='relu'"),
        ({"recurrent_activation": "hard_sigmoid"}, "recurrent_activation='hard_sigmoid'"),
        ({"go_backwards": True}, "go_backwards=True"),
        ({"stateful": True}, "stateful=True"),
    ],
)
def test_native_refuses_what_torch_nn_gru_is_not(option: dict[str, Any], reason: str) -> None:
    spec = GRUSpec(**(NATIVE | option))
    with pytest.raises(Unsupported, match=reason):
        gruspec_torch.native().prepare(spec, draw(spec)[0], dtype="float64", device="cpu")


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("time_major", "use_bias", "sequences"), list(itertools.product([False, True], repeat=3)))
def test_native_gradients_are_those_of_differences(
    *, time_major: bool, use_bias: bool, sequences: bool, padded: bool
) -> None:
    spec = GRUSpec(
        **NATIVE,
        time_major=time_major,
        use_bias=use_bias,
        return_sequences=sequences,
        return_state=True,
        zero_output_for_mask=sequences,
    )
    weights, arguments = training_calls.draw(spec, lengths=[1, 5, 3])
    if not padded:
        del arguments["mask"]
    layer = gruspec_torch.native().prepare(spec, weights, dtype="float64", device="cpu")
    training_calls.assert_gradients(layer, spec, weights, arguments)


def test_native_gradients_do_not_see_padding() -> None:
    spec = GRUSpec(**NATIVE, return_state=True)
    weights, arguments = training_calls.draw(spec, lengths=[1, 5, 3])
    layer: Any = gruspec_torch.native().prepare(spec, weights, dtype="float64", device="cpu")
    padding, results = ~arguments["mask"], []
    for filler in (0.0, np.nan):
        arguments["inputs"] = np.where(padding[..., None], filler, arguments["inputs"])
        results.append(layer.vjp(**arguments, cotangents=training_calls.draw_cotangents(spec)).gradients)
        assert not results[-1]["inputs"][padding].any()
        for name, gradient in results[-1].items():
            np.testing.assert_array_equal(gradient, results[0][name])


def test_native_differentiates_in_training_mode_as_cudnn_demands() -> None:
    layer, _, arguments, _ = native()
    modes: list[bool] = []
    differentiable: Any = layer
    differentiable.module.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    layer(**arguments)
    differentiable.vjp(**arguments, cotangents={"outputs": np.ones((BATCH, UNITS))})
    layer(**arguments)
    assert modes == [False, True, False]


def test_native_takes_the_hint_to_unroll() -> None:
    plain, _, arguments, _ = native()
    hinted, _, _, _ = native(unroll=True)
    np.testing.assert_array_equal(hinted(**arguments).outputs, plain(**arguments).outputs)


def test_native_refuses_padding_where_torch_gives_something_else() -> None:
    layer, _, arguments, _ = native(return_sequences=True)
    with pytest.raises(Unsupported, match="gives zeros there"):
        layer(**arguments)
    layer, _, arguments, _ = native(zero_output_for_mask=True)
    with pytest.raises(Unsupported, match="gives the last valid one"):
        layer(**arguments)
    with pytest.raises(Unsupported, match="mask of kind 'any'"):
        layer(**arguments | {"mask": ~arguments["mask"]})


@pytest.mark.parametrize("options", [{"return_sequences": True}, {"zero_output_for_mask": True}])
def test_native_takes_a_mask_without_padding(options: dict[str, Any]) -> None:
    layer, weights, arguments, spec = native(**options)
    arguments["mask"] = np.ones((BATCH, TIMESTEPS), bool)
    np.testing.assert_allclose(layer(**arguments).outputs, loop(spec, weights, **arguments)[0], rtol=0, atol=1e-14)


def test_native_and_empty_sizes() -> None:
    layer, _, _, _ = native()
    assert layer(np.zeros((0, 2, 3))).outputs.shape == (0, UNITS)
    with pytest.raises(Unsupported, match="zero timesteps"):
        layer(np.zeros((2, 0, 3)))
    with pytest.raises(Unsupported, match="zero batch with a mask"):
        layer(np.zeros((0, 2, 3)), mask=np.ones((0, 2), bool))
    spec = GRUSpec(**NATIVE)
    with pytest.raises(Unsupported, match="input size 0"):
        gruspec_torch.native().prepare(spec, draw(spec, size=0)[0], dtype="float64", device="cpu")


def test_native_refuses_wrong_shapes_and_resets() -> None:
    layer, weights, arguments, spec = native()
    with pytest.raises(SpecError, match="initial_state"):
        layer(**arguments | {"initial_state": np.zeros((BATCH, 1))})
    with pytest.raises(SpecError, match="mask"):
        layer(**arguments | {"mask": np.ones((BATCH, 1), bool)})
    with pytest.raises(SpecError, match="bias: missing"):
        gruspec_torch.native().prepare(
            spec, {name: weights[name] for name in ("kernel", "recurrent_kernel")}, dtype="float64", device="cpu"
        )
    with pytest.raises(NotStatefulError):
        layer.reset_states()


@pytest.mark.parametrize("make", BACKENDS)
@pytest.mark.parametrize(
    ("built", "visible", "message"),
    [(False, False, "is built without CUDA"), (True, False, "no GPU is visible.*CUDA_VISIBLE_DEVICES")],
)
def test_cuda_is_never_replaced_by_the_cpu(
    make: Any, message: str, monkeypatch: pytest.MonkeyPatch, *, built: bool, visible: bool
) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: visible)
    spec = GRUSpec(**NATIVE)
    with pytest.raises(DeviceUnavailable, match=f"cuda: PyTorch .*{message}"):
        make().prepare(spec, draw(spec)[0], dtype="float32", device="cuda")


def test_cuda_is_cuda_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.resolve("cuda") == torch.device("cuda")


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
@pytest.mark.parametrize("make", BACKENDS)
def test_layers_run_on_the_device_that_was_resolved(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "resolve", lambda _: torch.device("meta"))
    spec = GRUSpec(**NATIVE)
    weights, arguments = draw(spec)
    layer = make().prepare(spec, weights, dtype="float64", device="cuda")
    assert {parameter.device.type for parameter in layer.module.parameters()} == {"meta"}
    seen: list[Any] = []
    layer.module.register_forward_hook(lambda _, __, result: seen.append(result))
    with pytest.raises(NotImplementedError):
        layer(arguments["inputs"], initial_state=arguments["initial_state"])
    assert (seen[0] if torch.is_tensor(seen[0]) else seen[0][0]).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is visible")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", BACKENDS)
def test_cuda_computes_what_a_loop_computes(make: Any, dtype: str) -> None:
    spec = GRUSpec(**NATIVE, return_sequences=True, return_state=True)
    weights, arguments = draw(spec, dtype)
    del arguments["mask"]
    result = make().prepare(spec, weights, dtype=dtype, device="cuda")(**arguments)
    for computed, expected in zip(result, loop(spec, weights, **arguments), strict=True):
        np.testing.assert_allclose(computed, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.fixture
def coarse_products() -> Iterator[list[Any]]:
    """Let products be formed in TF32 wherever PyTorch has a switch for it."""
    before = [getattr(owner, name) for owner, name, _ in devices.EXACT]
    coarse = [{"ieee": "tf32", False: True}[exact] for _, _, exact in devices.EXACT]
    for (owner, name, _), value in zip(devices.EXACT, coarse, strict=True):
        setattr(owner, name, value)
    yield coarse
    for (owner, name, _), value in zip(devices.EXACT, before, strict=True):
        setattr(owner, name, value)


@pytest.mark.parametrize("make", BACKENDS)
def test_products_are_exact_during_a_call_only(make: Any, coarse_products: list[Any]) -> None:
    spec = GRUSpec(**NATIVE, return_sequences=True)
    weights, arguments = draw(spec)
    layer: Any = make().prepare(spec, weights, dtype="float64", device="cpu")
    seen: list[Any] = []

    def note(*_: Any) -> None:
        seen.extend(getattr(owner, name) for owner, name, _ in devices.EXACT)

    layer.module.register_forward_pre_hook(note)
    layer(arguments["inputs"])
    assert seen == [exact for _, _, exact in devices.EXACT]

    def note_on_the_way_back(_: Any, __: Any, result: Any) -> None:
        (result if torch.is_tensor(result) else result[0]).register_hook(note)

    layer.module.register_forward_hook(note_on_the_way_back)
    layer.vjp(arguments["inputs"], cotangents={"outputs": np.ones((BATCH, TIMESTEPS, UNITS))})
    assert seen == 3 * [exact for _, _, exact in devices.EXACT]
    assert [getattr(owner, name) for owner, name, _ in devices.EXACT] == coarse_products


@pytest.mark.parametrize(("dtype", "tiny"), [("float32", 2.0**-140), ("float64", 2.0**-1060)])
@pytest.mark.parametrize("make", BACKENDS)
def test_subnormal_numbers_are_kept(make: Any, dtype: str, tiny: float) -> None:
    spec = GRUSpec(**NATIVE, use_bias=False)
    kernel = np.concatenate([np.zeros((UNITS, 2 * UNITS)), np.eye(UNITS)], axis=1).astype(dtype)
    weights = {"kernel": kernel, "recurrent_kernel": np.zeros((UNITS, 3 * UNITS), dtype)}
    layer = make().prepare(spec, weights, dtype=dtype, device="cpu")
    assert make().capabilities().subnormals == "gradual"
    np.testing.assert_array_equal(layer(np.full((1, 2, UNITS), tiny, dtype)).outputs, 0.75 * tiny)


@pytest.mark.parametrize("name", ["torch", "torch-nn"])
def test_registered_and_described(name: str) -> None:
    backend = Registry().get(name).load_runnable()
    assert backend.capabilities().devices == ("cpu", "cuda")
    versions = backend.versions()
    assert versions["torch"] == torch.__version__
    assert versions["tf32"] == "off"
    assert {"cuda", "cudnn", "cudnn.enabled"} <= set(versions)
    with pytest.raises(Unsupported, match="dtype='int32'"):
        backend.prepare(GRUSpec(**NATIVE), {}, dtype="int32", device="cpu")


@pytest.mark.parametrize(("dtype", "atol"), [("float16", 4e-3), ("bfloat16", 4e-2)])
@pytest.mark.parametrize("make", BACKENDS)
def test_half_precisions_are_computed_in(make: Any, dtype: str, atol: float) -> None:
    kind: Any = import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    spec = GRUSpec(**NATIVE, return_sequences=True)
    weights, arguments = draw(spec, kind)
    x, h = arguments["inputs"], arguments["initial_state"]
    layer = make().prepare(spec, weights, dtype=dtype, device="cpu")
    cotangent = np.ones((BATCH, TIMESTEPS, UNITS), kind)
    found = layer.vjp(x, initial_state=h, cotangents={"outputs": cotangent})
    exact = {name: weight.astype(float) for name, weight in weights.items()}
    outputs, _ = loop(spec, exact, x.astype(float), initial_state=h.astype(float))
    wide = make().prepare(spec, exact, dtype="float64", device="cpu")
    wanted = wide.vjp(x.astype(float), initial_state=h.astype(float), cotangents={"outputs": cotangent.astype(float)})
    np.testing.assert_array_equal(found.output.outputs, layer(x, initial_state=h).outputs)
    np.testing.assert_allclose(found.output.outputs.astype(float), outputs, rtol=0, atol=atol)
    assert np.abs(found.output.outputs.astype(float) - outputs).max() > atol / 100
    for name, gradient in found.gradients.items():
        assert gradient.dtype == kind
        np.testing.assert_allclose(gradient.astype(float), wanted.gradients[name], rtol=0, atol=20 * atol)


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys, gruspec_torch; gruspec_torch.complete().capabilities(); gruspec_torch.native().capabilities(); "
        "assert not {'torch', 'numpy'} & set(sys.modules); gruspec_torch.GRU; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="it has GRU, complete, native, to_torch_nn"):
        gruspec_torch.LSTM  # noqa: B018


def test_examples_run() -> None:
    import doctest

    from gruspec_torch import layer

    failed, attempted = doctest.testmod(layer)
    assert attempted
    assert not failed
