"""The NumPy implementation against loops over single numbers, hand-computed values, and faults planted in a copy."""

from __future__ import annotations

import itertools
import math
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gruspec_numpy
from gruspec.errors import NotStatefulError, SpecError, SpecTypeError, Unsupported
from gruspec.spec import ACTIVATIONS, GRUSpec, outputs_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.backend import Backend, Layer

    Array = np.ndarray[Any, np.dtype[Any]]
    Weights = dict[str, Array]

TOLERANCE = {"float64": 1e-13, "float32": 2e-5}

SCALAR: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "hard_sigmoid": lambda x: min(max(x / 5 + 0.5, 0.0), 1.0),
    "relu": lambda x: max(x, 0.0),
    "linear": lambda x: x,
}


def scalar_step(spec: GRUSpec, weights: Weights, x: list[float], h: list[float]) -> list[float]:
    """Compute one step of one row, number by number."""
    u = spec.units
    gate, candidate = SCALAR[spec.recurrent_activation], SCALAR[spec.activation]
    bias = weights.get("bias", np.zeros((2, 3 * u)) if spec.reset_after else np.zeros(3 * u)).astype(float)
    b, recurrent_b = bias if spec.reset_after else (bias, np.zeros(3 * u))

    def product(name: str, vector: list[float], column: int) -> float:
        return sum(value * float(weights[name][i, column]) for i, value in enumerate(vector))

    def gated(column: int) -> float:
        both = product("kernel", x, column) + product("recurrent_kernel", h, column)
        return gate(both + b[column] + recurrent_b[column])

    z, r = [gated(j) for j in range(u)], [gated(u + j) for j in range(u)]
    new = []
    for j in range(u):
        column = 2 * u + j
        if spec.reset_after:
            recurrent = r[j] * (product("recurrent_kernel", h, column) + recurrent_b[column])
        else:
            recurrent = product("recurrent_kernel", [r[i] * h[i] for i in range(u)], column)
        c = candidate(product("kernel", x, column) + b[column] + recurrent)
        new.append(z[j] * h[j] + (1 - z[j]) * c)
    return new


def scalar_row(
    spec: GRUSpec, weights: Weights, x: list[list[float]], h: list[float], valid: list[bool]
) -> tuple[list[list[float]], list[float]]:
    """Return the outputs of one row in processing order, and its state."""
    order = range(len(x))[::-1] if spec.go_backwards else range(len(x))
    held, outputs = [0.0] * spec.units, []
    for t in order:
        if valid[t]:
            held = h = scalar_step(spec, weights, x[t], h)
        outputs.append(held if valid[t] or not spec.zero_output_for_mask else [0.0] * spec.units)
    return outputs, h


def scalar_call(
    spec: GRUSpec, weights: Weights, inputs: Array, mask: Array | None = None, initial_state: Array | None = None
) -> tuple[Array, Array]:
    """Return outputs and state of one call, in float64."""
    x = inputs.swapaxes(0, 1) if spec.time_major else inputs
    valid = np.ones(x.shape[:2], bool) if mask is None else mask.T if spec.time_major else mask
    h = np.zeros((len(x), spec.units)) if initial_state is None else initial_state
    rows = [scalar_row(spec, weights, *(a.tolist() for a in row)) for row in zip(x, h, valid, strict=True)]
    sequence = np.array([outputs for outputs, _ in rows]).reshape(*x.shape[:2], spec.units)
    state = np.array([state for _, state in rows])
    if not spec.return_sequences:
        return sequence[:, -1], state
    return sequence.swapaxes(0, 1) if spec.time_major else sequence, state


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


def prepare(spec: GRUSpec, weights: Weights, dtype: str = "float64") -> Layer:
    return gruspec_numpy.backend().prepare(spec, weights, dtype=dtype, device="cpu")


def assert_agrees(spec: GRUSpec, weights: Weights, arguments: dict[str, Any], dtype: str) -> None:
    computed = prepare(spec, weights, dtype)(**arguments)
    expected = scalar_call(spec, weights, **arguments)
    for got, want in zip(computed, expected, strict=True):
        assert got is not None
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
    outputs, final = gruspec_numpy.GRU(spec, weights, dtype="float64")(np.array([x])[..., None], state, mask)
    assert final is not None
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
    assert prepare(before, weights | {"bias": bias})(**call).outputs.tolist() == [[3.0, 0.0]]
    assert prepare(after, weights | {"bias": both})(**call).outputs.tolist() == [[0.0, 1.5]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activation_values(dtype: str) -> None:
    table = import_module("gruspec_numpy.activations").ACTIVATIONS
    assert set(table) == set(ACTIVATIONS)
    x = np.array([-30.0, -2.5, -1.0, -0.0, 0.5, 2.5, 30.0], dtype)
    for name, activate in table.items():
        y = x.copy()
        activate(y)
        assert y.dtype == dtype
        bound = (4 if name == "sigmoid" else 8) * float(np.finfo(dtype).epsneg)
        exact = np.array([SCALAR[name](float(v)) for v in x])
        np.testing.assert_allclose(y.astype(float), exact, rtol=0, atol=bound)
    special = np.array([np.nan, -np.inf, np.inf], dtype)
    at_infinity = {"tanh": (-1, 1), "sigmoid": (0, 1), "hard_sigmoid": (0, 1), "relu": (0, np.inf)}
    for name, ends in at_infinity.items():
        y = special.copy()
        with np.errstate(all="ignore"):
            table[name](y)
        np.testing.assert_array_equal(y, [np.nan, *ends])


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
def test_nothing_at_masked_steps_enters(*, reset_after: bool, time_major: bool) -> None:
    spec = GRUSpec(units=3, reset_after=reset_after, time_major=time_major, return_sequences=True)
    weights, arguments = draw(spec)
    clean = prepare(spec, weights)(**arguments)
    for value in (np.nan, np.inf, 1e300):
        dirty = arguments["inputs"].copy()
        dirty[~arguments["mask"]] = value
        got = prepare(spec, weights)(**arguments | {"inputs": dirty})
        np.testing.assert_array_equal(got.outputs, clean.outputs)
        np.testing.assert_array_equal(got.state, clean.state)


def test_masks_of_other_shapes_and_dtypes() -> None:
    for time_major in (False, True):
        spec = GRUSpec(units=2, return_sequences=True, time_major=time_major)
        weights, arguments = draw(spec)
        mask = arguments["mask"]
        wanted = prepare(spec, weights)(**arguments).outputs
        plain = prepare(spec, weights)(arguments["inputs"], initial_state=arguments["initial_state"]).outputs
        assert not np.array_equal(wanted, plain)
        values = np.where(mask, np.resize([1.0, -0.25, np.nan], mask.shape), 0.0)
        for same in (mask[..., None], mask.astype(int), -mask.astype("int8"), values, values[..., None]):
            np.testing.assert_array_equal(prepare(spec, weights)(**arguments | {"mask": same}).outputs, wanted)


@pytest.mark.parametrize("use_mask", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize(("batch", "timesteps", "size"), [(2, 0, 3), (0, 4, 3), (0, 0, 3), (2, 3, 0)])
def test_empty_sizes(
    batch: int, timesteps: int, size: int, *, use_mask: bool, return_sequences: bool, time_major: bool
) -> None:
    spec = GRUSpec(units=2, return_sequences=return_sequences, time_major=time_major)
    weights, arguments = draw(spec, batch, timesteps, size)
    if not use_mask:
        del arguments["mask"]
    outputs, state = prepare(spec, weights)(**arguments)
    assert outputs.shape == outputs_shape(spec, batch, timesteps)
    assert state is not None
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
    whole = prepare(spec, weights)(x)
    parts = (x[:, 4:], x[:, :4]) if go_backwards else (x[:, :4], x[:, 4:])
    layer = prepare(spec, weights)
    first = layer(parts[0])
    first.outputs[:] = 7
    assert first.state is not None
    first.state[:] = 7
    second = layer(parts[1])
    np.testing.assert_allclose(second.outputs, whole.outputs[:, -parts[1].shape[1] :], rtol=0, atol=1e-15)
    assert second.state is not None
    assert whole.state is not None
    np.testing.assert_allclose(second.state, whole.state, rtol=0, atol=1e-15)


def test_explicit_state_wins_and_its_result_is_recorded() -> None:
    spec, weights = halving(stateful=True)
    layer = gruspec_numpy.GRU(spec, weights, dtype="float64")
    one = np.ones((2, 1, 1))
    assert layer(one).outputs.ravel().tolist() == [0.5, 0.5]
    assert layer(one, [[8.0], [0.0]]).outputs.ravel().tolist() == [4.5, 0.5]
    assert layer(one).outputs.ravel().tolist() == [2.75, 0.75]
    masked = layer(one, mask=[[False], [True]])
    assert masked.outputs.ravel().tolist() == [0.0, 0.875]
    assert masked.state is not None
    assert masked.state.ravel().tolist() == [2.75, 0.875]


def test_reset_states() -> None:
    spec, weights = halving(stateful=True)
    layer = gruspec_numpy.GRU(spec, weights, dtype="float64")
    one = np.ones((2, 1, 1))
    with pytest.raises(SpecError, match="batch size is not known"):
        layer.reset_states()
    layer(one)
    layer.reset_states()
    assert layer(one).outputs.ravel().tolist() == [0.5, 0.5]
    given = np.array([[3.0], [5.0]])
    layer.reset_states(given)
    given[:] = 0
    assert layer(one).outputs.ravel().tolist() == [2.0, 3.0]
    layer.reset_states(np.array([[True], [False]]))
    assert layer(one).outputs.ravel().tolist() == [1.0, 0.5]
    for wrong in (np.ones(2), np.ones((1, 1)), np.ones((2, 1, 1))):
        with pytest.raises(SpecError, match="states: shape"):
            layer.reset_states(wrong)
    with pytest.raises(SpecError, match="states: dtype"):
        layer.reset_states(np.ones((2, 1), complex))
    with pytest.raises(SpecError, match=r"batch size 3.*for 2 sequences"):
        layer(np.ones((3, 1, 1)))
    with pytest.raises(NotStatefulError):
        gruspec_numpy.GRU(*halving()).reset_states()


def test_calls_of_a_layer_without_state_are_independent() -> None:
    spec, weights = halving()
    layer = gruspec_numpy.GRU(spec, weights)
    assert layer(np.ones((1, 1, 1))).outputs.item() == 0.5
    assert layer(np.ones((3, 1, 1))).outputs.ravel().tolist() == [0.5] * 3


@pytest.mark.parametrize("reset_after", [False, True])
def test_float32_is_not_float64_inside(*, reset_after: bool) -> None:
    spec = GRUSpec(units=1, activation="linear", reset_after=reset_after, return_sequences=True)
    bias = np.array([-100.0, 0, -1])  # z = 0, so that the output is x @ W_h - 1
    weights = {"kernel": np.array([[0.0, 0, 1], [0, 0, 1]]), "recurrent_kernel": np.zeros((1, 3))}
    weights["bias"] = np.stack([bias, 0 * bias]) if reset_after else bias
    inputs = np.array([[[1.0, 2.0**-24]]])
    mask = np.array([[True]])
    assert prepare(spec, weights, "float64")(inputs, mask=mask).outputs.item() == 2.0**-24
    assert prepare(spec, weights, "float32")(inputs, mask=mask).outputs.item() == 0


def test_other_dtypes_are_cast_to_the_layers() -> None:
    spec = GRUSpec(units=2)
    weights, arguments = draw(spec)
    layer = gruspec_numpy.GRU(spec, weights, dtype="float32")
    narrow = {name: a.astype("float32") if name != "mask" else a for name, a in arguments.items()}
    np.testing.assert_array_equal(layer(**arguments).outputs, layer(**narrow).outputs)
    assert layer(**arguments).outputs.dtype == np.float32
    whole = np.array([[1, 0], [0, 1], [2, 3]])
    np.testing.assert_array_equal(
        layer(arguments["inputs"], whole).outputs, layer(arguments["inputs"], whole.astype("float32")).outputs
    )


def test_subnormal_numbers_count() -> None:
    for dtype in ("float32", "float64"):
        tiny = np.finfo(dtype).smallest_subnormal
        spec, weights = halving()
        outputs, _ = prepare(spec, weights, dtype)(np.array([[[6.0], [0.0]]], dtype) * tiny)
        assert outputs.dtype == dtype
        assert (outputs / tiny).ravel().tolist() == [3.0, 2.0]


def test_infinities_and_nan_propagate_without_warnings() -> None:
    for reset_after in (False, True):
        spec = GRUSpec(units=2, reset_after=reset_after, return_sequences=True)
        weights, arguments = draw(spec)
        x = arguments["inputs"]
        x[1, 2, 0] = np.nan
        outputs, state = prepare(spec, weights)(x)
        assert state is not None
        assert np.isnan(outputs).any(axis=(0, 2)).tolist() == [False, False, True, True, True]
        assert np.isnan(state).any(axis=1).tolist() == [False, True, False]
    saturated = {"kernel": np.ones((1, 3)), "recurrent_kernel": np.zeros((1, 3)), "bias": np.zeros(3)}
    layer = gruspec_numpy.GRU(GRUSpec(units=1), saturated)
    assert layer(np.full((1, 1, 1), np.inf), [[0.5]]).outputs.item() == 0.5
    assert layer(np.full((1, 1, 1), 1e300), [[0.5]]).outputs.item() == 0.5
    shielded = saturated | {"kernel": np.array([[0.0, 1, 1]])}
    assert np.isnan(gruspec_numpy.GRU(GRUSpec(units=1), shielded)(np.full((1, 1, 1), np.inf)).outputs.item())


def test_unroll_changes_no_bit() -> None:
    for flags in itertools.product([False, True], repeat=3):
        names = ("go_backwards", "zero_output_for_mask", "return_sequences")
        arguments: dict[str, Any] = dict(zip(names, flags, strict=True))
        weights, call = draw(GRUSpec(units=3, **arguments))
        plain, unrolled = (prepare(GRUSpec(units=3, unroll=u, **arguments), weights)(**call) for u in (False, True))
        np.testing.assert_array_equal(plain.outputs, unrolled.outputs)


def test_arguments_are_not_written_to_and_weights_are_copied() -> None:
    spec = GRUSpec(units=2, stateful=True, return_sequences=True, time_major=True)
    weights, arguments = draw(spec)
    kept = {name: a.copy() for name, a in (weights | arguments).items()}
    layer = prepare(spec, weights)
    first = layer(**arguments)
    for name, array in (weights | arguments).items():
        np.testing.assert_array_equal(array, kept[name])
        assert not np.shares_memory(array, first.outputs)
    assert not np.shares_memory(first.outputs, first.state)
    weights["kernel"][:] = 0
    layer.reset_states()
    np.testing.assert_array_equal(layer(**arguments).outputs, first.outputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": np.zeros((3, 5))}, "inputs: shape"),
        ({"inputs": np.zeros((3, 5, 4))}, r"kernel: shape \(2, 6\); expected \(4, 6\)"),
        ({"inputs": [[[1.0], [1.0, 2.0]]]}, "inputs: cannot be made an array"),
        ({"mask": np.ones((3, 4), bool)}, "mask: shape"),
        ({"mask": np.ones((5, 3), bool)}, "mask: shape"),
        ({"mask": np.ones((1, 5), bool)}, "mask: shape"),
        ({"mask": np.ones((3, 5, 2), bool)}, "mask: shape"),
        ({"mask": np.full((3, 5), "a")}, "mask: dtype"),
        ({"mask": np.ones((3, 5), complex)}, "mask: dtype"),
        ({"mask": np.full((3, 5), None)}, "mask: dtype"),
        ({"initial_state": np.zeros((1, 2))}, "initial_state: shape"),
        ({"initial_state": np.zeros((3, 3))}, "initial_state: shape"),
        ({"initial_state": np.zeros(2)}, "initial_state: shape"),
        ({"initial_state": np.zeros((3, 2), complex)}, "initial_state: dtype"),
        ({"initial_state": np.full((3, 2), "1")}, "initial_state: dtype"),
        ({"initial_state": [[1.0, 2.0], [3.0]]}, "initial_state: cannot be made an array"),
    ],
)
def test_invalid_calls(change: dict[str, Any], message: str) -> None:
    spec = GRUSpec(units=2)
    weights, arguments = draw(spec)
    with pytest.raises(SpecError, match=message):
        prepare(spec, weights)(**arguments | change)


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex128", "U1"])
def test_inputs_must_be_floating(dtype: str) -> None:
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    with pytest.raises(SpecTypeError, match="inputs: dtype"):
        prepare(spec, weights)(np.zeros((3, 5, 2), dtype))


def test_invalid_weights_and_dtypes() -> None:
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
            prepare(spec, given)
    with pytest.raises(SpecError, match="dtype='int32'"):
        gruspec_numpy.GRU(spec, weights, dtype="int32")


def test_dropout() -> None:
    spec = GRUSpec(units=2, dropout=0.5)
    weights, arguments = draw(spec)
    layer = prepare(spec, weights)
    assert np.array_equal(layer(**arguments).outputs, prepare(GRUSpec(units=2), weights)(**arguments).outputs)
    with pytest.raises(Unsupported, match=r"dropout=0\.5 in training"):
        layer(**arguments, training=True)
    with pytest.raises(Unsupported, match="dropout masks"):
        layer(**arguments, training=True, dropout_masks={"inputs": np.ones((3, 3, 2))})
    prepare(GRUSpec(units=2), weights)(**arguments, training=True)
    with pytest.raises(SpecError, match=r"recurrent_dropout=1\.0"):
        prepare(GRUSpec(units=2, recurrent_dropout=1.0), weights)(**arguments, training=True)


def test_declines_what_it_does_not_declare() -> None:
    backend = gruspec_numpy.backend()
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    for change in ({"dtype": "float16"}, {"dtype": "bfloat16"}, {"device": "cuda"}):
        with pytest.raises(Unsupported, match=next(iter(change.values()))):
            backend.prepare(spec, weights, **{"dtype": "float32", "device": "cpu"} | change)
    assert backend.capabilities().kind == "complete"
    assert backend.versions()["numpy"] == np.__version__
    assert not hasattr(gruspec_numpy, "no_such_name")


def test_importing_it_does_not_import_numpy() -> None:
    code = "import sys, gruspec_numpy; gruspec_numpy.backend().capabilities(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


FAULTS = {
    "gates exchanged": ("forward.py", "update, reset = gates", "reset, update = gates"),
    "reset variant": ("forward.py", "(reset_after if spec", "(reset_after if not spec"),
    "recurrent bias dropped": ("forward.py", "recurrent += recurrent_bias", "pass"),
    "recurrent kernel transposed": ("forward.py", 'weights["recurrent_kernel"]', 'flip(weights["recurrent_kernel"])'),
    "update complemented": ("forward.py", "new: Array = update", "update = 1 - update\n    new: Array = update"),
    "mask ignored": ("layer.py", "self._start(dimensions.batch, h), m)", "self._start(dimensions.batch, h))"),
    "mask not reversed": ("forward.py", "valid = mask[t, :, None]", "valid = mask[i, :, None]"),
    "output held as state": ("forward.py", "output = np.zeros_like(state)", "output = state"),
    "zero output ignored": ("forward.py", "0 if spec.zero_output_for_mask else output", "output"),
    "initial state ignored": ("layer.py", "if initial_state is not None:", "if False:"),
    "carry lost": ("layer.py", "self._state = state\n", "self._state = 0 * state\n"),
    "outputs reversed again": ("forward.py", "outputs[i] = output", "outputs[t] = output"),
    "slope 1/6": ("activations.py", "x *= 0.2", "x /= 6"),
}
"""Module, text, and what replaces it."""


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
            return_sequences=True,
            stateful=True,
        )
        weights, arguments = draw(spec, seed=3)
        arguments["mask"][:, [0, -1]] = [[False, True], [True, False], [True, True]]
        layer = backend.prepare(spec, weights, dtype="float64", device="cpu")
        expected, state = scalar_call(spec, weights, **arguments)
        again, _ = scalar_call(spec, weights, arguments["inputs"], None, state)
        computed = layer(**arguments).outputs, layer(arguments["inputs"]).outputs
        if not all(np.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(computed, (expected, again), strict=True)):
            return False
    return True


def test_a_copy_under_another_name_works(copied: Callable[..., Backend]) -> None:
    assert agrees_everywhere(copied("layer.py", "", ""))


@pytest.mark.parametrize("fault", FAULTS)
def test_these_tests_would_see(fault: str, copied: Callable[..., Backend]) -> None:
    assert not agrees_everywhere(copied(*FAULTS[fault]))
