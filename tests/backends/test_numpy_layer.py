"""The surface of the NumPy layer, by itself and against that of the reference layer."""

from __future__ import annotations

import copy
import inspect
import itertools
import json
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import gruspec_numpy
from gruspec.errors import NotStatefulError, SpecError, SpecTypeError
from gruspec.spec import GRUSpec
from gruspec_numpy.activations import ACTIVATIONS
from gruspec_numpy.constraints import NonNeg
from gruspec_numpy.initializers import Orthogonal
from gruspec_numpy.regularizers import L2

Array = np.ndarray[Any, np.dtype[Any]]

GRU: Any = gruspec_numpy.GRU
"""Without its types, which do not follow arguments that are chosen by name, or wrong on purpose."""

B, T, D, U = 3, 5, 2, 4

POSITIONAL = {
    "units": inspect.Parameter.empty,
    "activation": "tanh",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "kernel_regularizer": None,
    "recurrent_regularizer": None,
    "bias_regularizer": None,
    "activity_regularizer": None,
    "kernel_constraint": None,
    "recurrent_constraint": None,
    "bias_constraint": None,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
    "unroll": False,
    "reset_after": False,
}
BY_NAME = {"implementation": 1, "time_major": False, "zero_output_for_mask": False, "dtype": None, "name": None}

READ_ONLY = (
    "activation",
    "bias_constraint",
    "bias_initializer",
    "bias_regularizer",
    "dropout",
    "implementation",
    "kernel_constraint",
    "kernel_initializer",
    "kernel_regularizer",
    "recurrent_activation",
    "recurrent_constraint",
    "recurrent_dropout",
    "recurrent_initializer",
    "recurrent_regularizer",
    "reset_after",
    "units",
    "use_bias",
)
SWITCHES = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "time_major")

KEYS = [
    "name",
    "trainable",
    "dtype",
    *SWITCHES,
    "units",
    "activation",
    "recurrent_activation",
    "use_bias",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
    "implementation",
    "reset_after",
]


def inputs(seed: int = 0, **shape: int) -> Array:
    sizes = {"batch": B, "timesteps": T, "size": D} | shape
    return np.random.default_rng(seed).uniform(-1, 1, tuple(sizes.values()))


def built(*arguments: Any, batch: int | None = None, **named: Any) -> Any:
    layer = GRU(U, *arguments, **named)
    layer.build((batch, None, D))
    return layer


def test_arguments_come_in_the_order_and_with_the_defaults_of_the_reference_layer() -> None:
    parameters = inspect.signature(GRU).parameters
    by_position = {name: p.default for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(by_position.items()) == list(POSITIONAL.items())
    by_name = {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert by_name | BY_NAME == by_name
    values = [
        2,
        "relu",
        "sigmoid",
        False,
        "ones",
        "zeros",
        "ones",
        *["l2"] * 4,
        *["non_neg"] * 3,
        0.25,
        0.5,
        *[True] * 6,
    ]
    config = GRU(*values, name="some").get_config()
    named = GRU(name="some", **dict(zip(POSITIONAL, values, strict=True))).get_config()
    assert config == named
    assert (config["units"], config["bias_initializer"]["class_name"], config["reset_after"]) == (2, "Ones", True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"units": 0}, SpecError, "units=0"),
        ({"units": -1}, SpecError, "units=-1"),
        ({"units": None}, SpecTypeError, "units=None"),
        ({"units": "3"}, SpecTypeError, "units='3'"),
        ({"units": 2.0}, SpecTypeError, r"units=2\.0"),
        ({"units": True}, SpecTypeError, "units=True"),
        ({"activation": "foo"}, SpecError, "activation='foo'"),
        ({"activation": 3}, SpecTypeError, "activation=3"),
        ({"recurrent_activation": "foo"}, SpecError, "recurrent_activation='foo'"),
        ({"kernel_initializer": "foo"}, SpecError, "kernel_initializer='foo'"),
        ({"recurrent_initializer": 3}, SpecTypeError, "recurrent_initializer=3"),
        ({"bias_regularizer": "foo"}, SpecError, "bias_regularizer='foo'"),
        ({"activity_regularizer": "foo"}, SpecError, "activity_regularizer='foo'"),
        ({"kernel_constraint": "foo"}, SpecError, "kernel_constraint='foo'"),
        ({"dropout": "a"}, SpecTypeError, "dropout='a'"),
        ({"recurrent_dropout": None}, SpecTypeError, "recurrent_dropout=None"),
        ({"dropout": float("nan")}, SpecError, "dropout=nan"),
        ({"return_sequences": 1}, SpecTypeError, "return_sequences=1"),
        ({"use_bias": None}, SpecTypeError, "use_bias=None"),
        ({"time_major": "no"}, SpecTypeError, "time_major='no'"),
        ({"zero_output_for_mask": 0}, SpecTypeError, "zero_output_for_mask=0"),
        ({"implementation": "a"}, SpecTypeError, "implementation='a'"),
        ({"name": 3}, SpecTypeError, "name=3"),
        ({"trainable": 1}, SpecTypeError, "trainable=1"),
        ({"enable_caching_device": None}, SpecTypeError, "enable_caching_device=None"),
        ({"dtype": "int32"}, SpecError, "dtype='int32'"),
        ({"dtype": "bfloat16"}, SpecError, "dtype='bfloat16'"),
        ({"dtype": "mixed_float16"}, SpecError, "dtype='mixed_float16'"),
        ({"dtype": np.longdouble}, SpecError, "dtype="),
        ({"dtype": "foo"}, SpecTypeError, "dtype='foo'"),
        ({"dtype": [1]}, SpecTypeError, r"dtype=\[1\]"),
        ({"dtype": {"class_name": "Policy"}}, SpecTypeError, "dtype={"),
        ({"seed": 1}, TypeError, "seed"),
        ({"return_runtime": True}, TypeError, "return_runtime"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        GRU(**{"units": U} | arguments)


def test_units_are_needed() -> None:
    with pytest.raises(TypeError, match="units"):
        GRU()


def test_rates_are_clipped_and_a_recurrent_one_forces_implementation_1() -> None:
    layer = GRU(U, dropout=-0.5, recurrent_dropout=1.5, implementation=2)
    assert (layer.dropout, layer.recurrent_dropout, layer.implementation) == (0.0, 1.0, 1)
    assert [GRU(U, implementation=n).implementation for n in (0, 1, 2, 3)] == [0, 1, 2, 3]
    assert GRU(np.int64(U), dropout=np.float32(0.5)).get_config()["dropout"] == 0.5


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (None, "float32"),
        (float, "float32"),
        ("float16", "float16"),
        (np.float64, "float64"),
        (np.dtype(">f4"), "float32"),
        ("double", "float64"),
    ],
)
def test_dtypes(dtype: Any, name: str) -> None:
    layer = built(dtype=dtype, return_state=True, activity_regularizer="l2", kernel_regularizer="l2")
    outputs, state = layer(inputs().astype("float32"), training=True)
    assert layer.dtype == name
    assert layer.get_config()["dtype"] == name
    assert {each.dtype.name for each in (outputs, state, *layer.weights, *layer.losses)} == {name}


def test_names() -> None:
    SomeGRUOfMine = type("SomeGRUOfMine", (GRU,), {})  # noqa: N806  a class
    assert [SomeGRUOfMine(1).name for _ in range(3)] == ["some_gru_of_mine", "some_gru_of_mine_1", "some_gru_of_mine_2"]
    assert SomeGRUOfMine(1, name="some_gru_of_mine_3").name == SomeGRUOfMine(1).name
    assert GRU(1).name.startswith("gru")
    assert GRU(1).name != GRU(1).name
    assert GRU(1, name="mine").name == "mine"
    with pytest.raises(AttributeError):
        GRU(1).name = "other"


@pytest.mark.parametrize("name", READ_ONLY)
def test_attributes_that_the_cell_holds_are_read_only(name: str) -> None:
    layer = GRU(U)
    assert getattr(layer, name) is getattr(layer.cell, name)
    for holder in (layer, layer.cell):
        with pytest.raises(AttributeError, match=name):
            setattr(holder, name, getattr(layer, name))


def test_the_cell() -> None:
    layer = GRU(U, use_bias=False, reset_after=True)
    cell = layer.cell
    assert (cell.units, cell.state_size, cell.output_size, cell.name, cell.built) == (U, U, U, "gru_cell", False)
    with pytest.raises(AttributeError, match="kernel: not there yet"):
        cell.kernel  # noqa: B018  reading is what is tested
    layer.build((None, None, D))
    assert cell.built
    assert (cell.kernel.shape, cell.recurrent_kernel.shape, cell.bias) == ((D, 3 * U), (U, 3 * U), None)
    assert [each is own for each, own in zip(layer.weights, (cell.kernel, cell.recurrent_kernel), strict=True)]
    assert built(reset_after=True).cell.bias.shape == (2, 3 * U)
    assert not hasattr(GRU(U).cell, "bias")
    with pytest.raises(AttributeError):
        layer.kernel  # noqa: B018  reading is what is tested


def test_what_arguments_stand_for() -> None:
    layer = GRU(
        U,
        None,
        kernel_initializer="orthogonal",
        kernel_regularizer="l2",
        kernel_constraint="non_neg",
        activity_regularizer="l2",
    )
    assert layer.activation is ACTIVATIONS["linear"]
    assert isinstance(layer.kernel_initializer, Orthogonal)
    assert isinstance(layer.kernel_regularizer, L2)
    assert isinstance(layer.kernel_constraint, NonNeg)
    assert isinstance(layer.activity_regularizer, L2)
    layer.activity_regularizer = None
    assert layer.activity_regularizer is None
    layer.activity_regularizer = "l1"
    assert layer.activity_regularizer.get_config().keys() == {"l1"}


def test_the_specification_of_a_layer() -> None:
    spec = GRUSpec(units=U, activation="relu", recurrent_activation="sigmoid", stateful=True, dropout=0.25)
    assert GRU(**spec.to_dict()).spec == spec
    assert GRU(U, "gelu", np.tanh, dropout=0.25).spec == GRUSpec(units=U, dropout=0.25)


@pytest.mark.parametrize("name", [*SWITCHES, "zero_output_for_mask"])
def test_switches_may_be_assigned_to(name: str) -> None:
    layer = built(return_sequences=True, batch=B)
    assert getattr(layer, name) is (name == "return_sequences")
    setattr(layer, name, True)
    assert getattr(layer, name) is True
    assert layer.get_config()[name] is True
    with pytest.raises(SpecTypeError, match=f"{name}=1"):
        setattr(layer, name, 1)
    same = GRU(U, **{"return_sequences": True, name: True})
    same.build((B, B, D))
    same.set_weights(layer.get_weights())
    x, mask = inputs(timesteps=B), np.eye(B, dtype=bool)
    for one, other in zip(layer(x, mask=mask), same(x, mask=mask), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("reset_after", "use_bias"), list(itertools.product([False, True], repeat=2)))
def test_weights(*, reset_after: bool, use_bias: bool) -> None:
    layer = GRU(U, reset_after=reset_after, use_bias=use_bias, stateful=True)
    for names in ("weights", "trainable_weights", "non_trainable_weights", "variables", "trainable_variables"):
        assert getattr(layer, names) == []
    with pytest.raises(SpecError, match="count_params"):
        layer.count_params()
    layer(inputs())
    shapes = [(D, 3 * U), (U, 3 * U), *([(2, 3 * U) if reset_after else (3 * U,)] if use_bias else [])]
    assert [weight.shape for weight in layer.weights] == shapes
    assert [weight.shape for weight in layer.cell.weights] == shapes
    assert layer.count_params() == sum(int(np.prod(shape)) for shape in shapes)
    for trainable in (True, False):
        layer.trainable = trainable
        assert len(layer.trainable_weights) == len(shapes) * trainable
        assert len(layer.non_trainable_variables) == len(shapes) * (not trainable)
        assert layer.get_config()["trainable"] is trainable
    with pytest.raises(SpecTypeError, match="trainable='yes'"):
        layer.trainable = "yes"


def test_weights_change_in_place_and_are_given_as_copies() -> None:
    layer = built()
    kept = layer.get_weights()
    before = layer(inputs())
    for weight in layer.trainable_weights:
        weight[...] += 1
    assert not np.array_equal(layer(inputs()), before)
    held = layer.weights
    layer.set_weights(kept)
    assert all(one is other for one, other in zip(held, layer.weights, strict=True))
    np.testing.assert_array_equal(layer(inputs()), before)
    for weight in kept:
        weight[...] = 7
    np.testing.assert_array_equal(layer(inputs()), before)


def test_set_weights() -> None:
    layer = built(reset_after=True, name="some")
    shapes = [weight.shape for weight in layer.weights]
    layer.set_weights([np.ones(shapes[0], int), np.ones(shapes[1], bool).tolist(), np.ones(shapes[2], "float16")])
    assert all((weight == 1).all() for weight in layer.weights)
    good: list[Any] = [np.zeros(shape) for shape in shapes]
    wrong: list[tuple[Any, type[Exception], str]] = [
        (good[:1], SpecError, "1 given; layer 'some' expects 3"),
        ([], SpecError, "0 given; layer 'some' expects 3"),
        ([*good[:2], np.zeros(3 * U)], SpecError, r"bias has shape \(12,\); expected \(2, 12\)"),
        ([good[0].T, *good[1:]], SpecError, r"kernel has shape \(12, 2\); expected \(2, 12\)"),
        ([*good[:2], np.zeros(shapes[2], complex)], SpecError, "bias: dtype complex128"),
        ([*good[:2], "a"], SpecError, "bias: dtype"),
        (None, SpecTypeError, "weights: expected a list of arrays, got NoneType"),
        (np.zeros((3, 3)), SpecTypeError, "got ndarray"),
        (dict.fromkeys(range(3)), SpecTypeError, "got dict"),
    ]
    for weights, error, message in wrong:
        with pytest.raises(error, match=message):
            layer.set_weights(weights)
    assert all((weight == 1).all() for weight in layer.weights)
    with pytest.raises(SpecError, match=r"3 given; layer .* expects 0; the layer is not built yet"):
        GRU(U).set_weights(good)


def test_initial_values() -> None:
    size, units = 20, 30  # so many draws that the largest is near the limit
    layer = GRU(units, dtype="float64")
    layer.build((None, None, size))
    kernel, recurrent, bias = layer.weights
    limit = np.sqrt(6 / (size + 3 * units))
    assert 0.98 * limit < np.abs(kernel).max() <= limit
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(units), rtol=0, atol=1e-13)
    assert not bias.any()
    layer = GRU(units, kernel_initializer=None, recurrent_initializer=None, bias_initializer=None, reset_after=True)
    layer.build((None, None, size))
    for weight, fans, share in zip(layer.weights, (size, units, 2), (0.98, 0.98, 0.8), strict=True):
        limit = np.sqrt(6 / (fans + 3 * units))
        assert share * limit < np.abs(weight).max() <= limit

    def numbered(shape: tuple[int, ...], dtype: str) -> Array:
        return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    given = built(kernel_initializer=numbered, bias_initializer="ones")
    np.testing.assert_array_equal(given.cell.kernel, numbered((D, 3 * U), "float32"))
    np.testing.assert_array_equal(given.cell.bias, 1)
    with pytest.raises(SpecError, match=r"bias_initializer: returned shape \(1,\); expected \(12,\)"):
        built(bias_initializer=lambda _shape, _dtype: np.zeros(1))
    unbuilt = GRU(U, recurrent_initializer=lambda _shape, _dtype: "a")
    with pytest.raises(SpecError, match="recurrent_kernel, initialized: dtype"):
        unbuilt(inputs())
    assert unbuilt.weights == []


def test_initial_weights_are_set_when_the_layer_is_built() -> None:
    weights = [np.ones((D, 3 * U)), np.zeros((U, 3 * U)), np.full(3 * U, 2.0)]
    builds: list[Any] = [lambda layer: layer(inputs()), lambda layer: layer.build((B, T, D))]
    for build in builds:
        layer = GRU(U, weights=weights)
        assert layer.weights == []
        build(layer)
        assert [float(weight.mean()) for weight in layer.weights] == [1, 0, 2]
        for wrong, error in (
            (weights[:1], SpecError),
            ([*weights[:2], np.ones(1)], SpecError),
            (weights[0], SpecTypeError),
        ):
            layer = GRU(U, weights=wrong)
            for _ in range(2):
                with pytest.raises(error, match="weights"):
                    build(layer)
                assert not layer.built


def test_build() -> None:
    layer = GRU(U)
    assert (layer.built, layer.input_spec) == (False, None)
    layer.build([(None, None, D), (None, U)])
    assert layer.built
    kept = layer.get_weights()
    layer.build([B, T, D])
    np.testing.assert_array_equal(layer.cell.kernel, kept[0])
    assert [(spec.shape, spec.ndim) for spec in layer.input_spec] == [((None, None, D), 3)]
    wrong: list[tuple[Any, type[Exception], str]] = [
        ((None, None, None), SpecTypeError, "the last size must be known"),
        ((2, 4), SpecError, r"input_shape=\(2, 4\): expected three sizes"),
        ((None, None, -1), SpecError, "expected three sizes"),
        (4, SpecTypeError, "input_shape=4"),
        ((None, None, 2.0), SpecTypeError, "expected a tuple of three integers or None"),
        ((None, None, D + 1), SpecError, "the weights are there for input size 2"),
    ]
    for shape, error, message in wrong:
        with pytest.raises(error, match=message):
            layer.build(shape)


def test_build_of_a_stateful_layer() -> None:
    for time_major, shape in ((False, (B, None, D)), (True, (None, B, D))):
        layer = GRU(U, stateful=True, time_major=time_major)
        assert layer.states == [None]
        with pytest.raises(SpecError, match="needs to know its batch size"):
            layer.build((None, None, D))
        assert not layer.built
        assert layer.weights == []
        layer.build(shape)
        assert layer.input_spec[0].shape == shape
        np.testing.assert_array_equal(layer.states, np.zeros((1, B, U)))
        layer.reset_states(np.ones((B, U)))
        layer.build(shape)
        np.testing.assert_array_equal(layer.states, np.zeros((1, B, U)))
        with pytest.raises(SpecError, match="keeps a state for 3 sequences"):
            layer.build((B + 1, B + 1, D))


def test_a_call_builds_the_layer_unless_it_is_refused() -> None:
    layer = GRU(U, stateful=True, dropout=1)
    x = inputs()
    refused: list[dict[str, Any]] = [
        {"inputs": x[0]},
        {"inputs": x, "mask": np.ones((B, T + 1))},
        {"inputs": x, "initial_state": np.ones((B, U + 1))},
        {"inputs": x, "training": True},
        {"inputs": x, "training": 2},
    ]
    for call in refused:
        with pytest.raises(SpecError):
            layer(**call)
        assert not layer.built
    layer(x)
    assert layer.built


def test_returned_forms() -> None:
    x = inputs()
    for sequences, time_major in itertools.product([False, True], repeat=2):
        leading = ((B, T) if time_major else (T, B))[::-1] if sequences else (B,)
        call = x.swapaxes(0, 1) if time_major else x
        alone = GRU(U, return_sequences=sequences, time_major=time_major)(call)
        assert isinstance(alone, np.ndarray)
        assert alone.shape == (*((T, B) if time_major and sequences else leading), U)
        layer = GRU(U, return_sequences=sequences, time_major=time_major, return_state=True)
        both = layer(call)
        assert isinstance(both, list)
        assert [each.shape for each in both] == [alone.shape, (B, U)]
        assert layer.compute_output_shape(call.shape) == [alone.shape, (B, U)]
    state = np.ones((B, U))
    np.testing.assert_array_equal(layer([call])[0], layer(call)[0])
    np.testing.assert_array_equal(layer([call, state])[0], layer(call, state)[0])


def test_output_shapes_with_unknown_sizes() -> None:
    assert GRU(U).compute_output_shape((None, None, D)) == (None, U)
    assert GRU(U, return_sequences=True).compute_output_shape((None, T, None)) == (None, T, U)
    state = GRU(U, return_sequences=True, return_state=True, time_major=True)
    assert state.compute_output_shape([(T, None, D), (None, U)]) == [(T, None, U), (None, U)]
    with pytest.raises(SpecError, match="expected three sizes"):
        state.compute_output_shape((B, D))


def test_masks_of_outputs() -> None:
    mask, x = np.ones((B, T), bool), inputs()
    assert GRU.supports_masking
    assert GRU(U).compute_mask(x, mask) is None
    assert GRU(U, return_state=True).compute_mask(x, mask) == [None, None]
    passing = GRU(U, return_sequences=True)
    for given in (mask, [mask, None], (mask,)):
        assert passing.compute_mask(x, given) is mask
    assert passing.compute_mask(x) is None
    passing.return_state = True
    passed = passing.compute_mask(inputs=x, mask=mask)
    assert passed[0] is mask
    assert passed[1:] == [None]


@pytest.mark.parametrize("training", [None, False, 0, 0.0, np.False_, True, 1, 1.0, np.True_])
def test_training_is_a_truth_value(training: Any) -> None:
    layer, x = built(dropout=0.5, dtype="float64"), inputs()
    assert np.array_equal(layer(x, training=training), layer(x)) is not bool(training)


@pytest.mark.parametrize(
    ("training", "error"), [(2, SpecError), (0.5, SpecError), ("a", SpecTypeError), ([1], SpecTypeError)]
)
def test_other_values_of_training_are_refused(training: Any, error: type[Exception]) -> None:
    for rate in (0.0, 0.5):
        with pytest.raises(error, match="training="):
            built(dropout=rate)(inputs(), training=training)


SHUT, OPEN = -100.0, 100.0


def showing_masks(kind: str, gate: str, units: int, **arguments: Any) -> Any:
    """Return a layer whose output is an input or state of ones times the mask of one kind and gate."""
    kernel, recurrent = np.zeros((2, units, 3, units))
    block = {"z": 0, "h": 2}[gate]
    (kernel if kind == "inputs" else recurrent)[:, block] = np.eye(units)
    bias = np.zeros((3, units))
    bias[:2] = {"z": [[0.0], [0.0]], "h": [[SHUT], [OPEN]]}[gate]
    weights = [kernel.reshape(units, -1), recurrent.reshape(units, -1), bias.ravel()]
    gates = "linear" if gate == "z" else "hard_sigmoid"
    return GRU(units, "linear", gates, weights=weights, dtype="float64", return_sequences=True, **arguments)


POWERS: list[tuple[str, str, tuple[int, ...]]] = [
    ("inputs", "h", (1, 1, 1)),
    ("inputs", "z", (1, 2, 3)),
    ("recurrent", "h", (1, 2, 3)),
    ("recurrent", "z", (1, 3, 7)),
]
"""Kind, gate, and which power of the mask the outputs of such a layer are, timestep by timestep."""


@pytest.mark.parametrize(("kind", "gate", "powers"), POWERS)
def test_drawn_masks(kind: str, gate: str, powers: tuple[int, ...]) -> None:
    rate, units, batch = 0.25, 40, 50
    layer = showing_masks(kind, gate, units, **{"dropout" if kind == "inputs" else "recurrent_dropout": rate})
    layer.random = np.random.default_rng(5)
    ones, state = np.ones((batch, 3, units)), np.ones((batch, units))

    def shown() -> Array:
        outputs = layer(ones, state, training=True)
        first: Array = outputs[:, 0]
        for t, power in enumerate(powers):
            np.testing.assert_allclose(outputs[:, t], first**power, rtol=1e-12)
        return first

    masks = shown(), shown()
    assert not np.array_equal(*masks)
    for mask in masks:
        assert set(np.unique(mask)) == {0, 1 / (1 - rate)}
        deviation = np.sqrt(rate * (1 - rate) / mask.size)
        assert abs((mask == 0).mean() - rate) < 4 * deviation
        assert np.unique(mask, axis=0).shape == mask.shape
        assert np.unique(mask, axis=1).shape == mask.shape
    layer.random = np.random.default_rng(5)
    np.testing.assert_array_equal(shown(), masks[0])
    np.testing.assert_allclose(layer(ones, state), 1, rtol=1e-12)


def test_each_gate_has_a_mask_of_its_own_unless_implementation_says_otherwise() -> None:
    ones, state = np.ones((8, 1, 40)), np.ones((8, 40))

    def shown(gate: str, **arguments: Any) -> Array:
        layer = showing_masks("inputs", gate, 40, dropout=0.5, **arguments)
        layer.random = np.random.default_rng(5)
        outputs: Array = layer(ones, state, training=True)
        return outputs

    assert not np.array_equal(shown("z"), shown("h"))
    np.testing.assert_array_equal(shown("z", implementation=2), shown("h", implementation=2))


def test_masks_are_drawn_only_where_they_act() -> None:
    layer = built(dropout=0.5, recurrent_dropout=0.5)
    layer.random = np.random.default_rng(5)
    layer(inputs())
    layer(inputs(), training=True, dropout_masks={"inputs": np.ones((3, B, D)), "recurrent": np.ones((3, B, U))})
    built()(inputs(), training=True)
    assert layer.random.random() == np.random.default_rng(5).random()


def test_layers_draw_different_masks() -> None:
    x = np.ones((1, 1, 100))
    one, other = (showing_masks("inputs", "h", 100, dropout=0.5)(x, training=True) for _ in range(2))
    assert not np.array_equal(one, other)


def test_losses() -> None:
    layer = GRU(
        U,
        kernel_regularizer=L2(2.0),
        recurrent_regularizer="l1",
        bias_regularizer=lambda w: w.size,
        activity_regularizer=L2(0.5),
        return_state=True,
        return_sequences=True,
        time_major=True,
        dtype="float64",
    )
    assert layer.losses == []
    layer.build((None, None, D))
    kernel, recurrent, _ = layer.weights
    of_weights = [2 * (kernel**2).sum(), float(np.float32(0.01)) * abs(recurrent).sum(), 3 * U]
    np.testing.assert_allclose(layer.losses, of_weights, rtol=1e-14)
    for seed in (0, 1):
        outputs, state = layer(inputs(seed).swapaxes(0, 1))
        of_outputs = [0.5 * (outputs**2).sum() / T, 0.5 * (state**2).sum() / B]
        np.testing.assert_allclose(layer.losses, [*of_outputs, *of_weights], rtol=1e-14)
        assert [loss.shape for loss in layer.losses] == [()] * 5
    kernel *= 2
    np.testing.assert_allclose(layer.losses[2], 4 * of_weights[0], rtol=1e-14)
    layer.trainable = layer.return_state = False
    layer(inputs().swapaxes(0, 1))
    assert len(layer.losses) == 4
    layer.activity_regularizer = None
    layer(inputs().swapaxes(0, 1))
    assert len(layer.losses) == 3


def test_a_mask_changes_nothing_about_losses() -> None:
    layer = built(activity_regularizer=L2(1.0), return_sequences=True, dtype="float64")
    outputs = layer(inputs(), mask=np.eye(B, T, dtype=bool))
    np.testing.assert_allclose(layer.losses, [(outputs**2).sum() / B], rtol=1e-14)


def test_constraints_are_applied_when_asked() -> None:
    layer = built(
        kernel_initializer="ones", kernel_constraint="max_norm", bias_initializer="ones", bias_constraint="unit_norm"
    )
    layer.set_weights([np.full((D, 3 * U), 4.0), -np.ones((U, 3 * U)), np.full(3 * U, 2.0)])
    layer(inputs())
    assert (layer.cell.kernel == 4).all()
    layer.trainable = False
    layer.apply_constraints()
    assert (layer.cell.kernel == 4).all()
    layer.trainable = True
    held = layer.weights
    layer.apply_constraints()
    np.testing.assert_allclose(held[0], np.sqrt(2), rtol=1e-6)
    np.testing.assert_array_equal(held[1], -1)
    np.testing.assert_allclose(held[2], 1 / np.sqrt(3 * U), rtol=1e-6)
    wrong = built(recurrent_constraint=lambda _w: np.full(1, "a"))
    with pytest.raises(SpecError, match="recurrent_kernel, constrained: dtype"):
        wrong.apply_constraints()


def test_states() -> None:
    layer = GRU(U, stateful=True, return_state=True)
    for early in (None, np.zeros((B, U))):
        with pytest.raises(SpecError, match="batch size is not known"):
            layer.states = early
    _, state = layer(inputs())
    (recorded,) = layer.states
    assert recorded is not None
    np.testing.assert_array_equal(recorded, state)
    with pytest.raises(ValueError, match="read-only"):
        recorded[:] = 0
    layer.states = [np.ones((B, U), int)]
    np.testing.assert_array_equal(layer.states, np.ones((1, B, U)))
    layer.states = None
    np.testing.assert_array_equal(layer.states, np.zeros((1, B, U)))
    plain = built()
    plain(inputs())
    assert plain.states == [None]
    with pytest.raises(NotStatefulError):
        plain.states = np.ones((B, U))


def test_a_layer_can_become_stateful() -> None:
    layer, x = built(return_state=True), inputs()
    layer.stateful = True
    assert not layer.built
    _, first = layer(x)
    np.testing.assert_array_equal(layer.states[0], first)
    layer.stateful = False
    assert layer.states == [None]
    np.testing.assert_array_equal(layer(x)[1], first)
    assert layer(x[:1])[1].shape == (1, U)


def test_configuration() -> None:
    layer = GRU(U, name="some", activation=None, kernel_regularizer="l2")
    config = layer.get_config()
    assert list(config) == KEYS
    assert config["activation"] == "linear"
    assert config["kernel_regularizer"]["class_name"] == "L2"
    assert json.loads(json.dumps(config)) == config
    again = GRU.from_config(config)
    assert again.get_config() == config
    assert list(config) == KEYS
    assert GRU.from_config(config | {"implementation": 0}).implementation == 1
    assert GRU.from_config({"units": 3}).get_config() | {"name": "gru"} == GRU(3).get_config() | {"name": "gru"}
    with pytest.raises(TypeError, match="foo"):
        GRU.from_config(config | {"foo": 1})
    with pytest.raises(SpecTypeError, match="cannot be written to a configuration"):
        GRU(U, kernel_constraint=type("Nameless", (), {"__call__": lambda _self, w: w})()).get_config()


def test_keys_that_only_some_configurations_have() -> None:
    named = {
        "name": "some",
        "batch_input_shape": (None, T, D),
        "zero_output_for_mask": True,
        "enable_caching_device": False,
    }
    config = GRU(U, **named).get_config()
    assert list(config) == [
        *KEYS[:3],
        "batch_input_shape",
        *KEYS[3:9],
        "zero_output_for_mask",
        *KEYS[9:],
        "enable_caching_device",
    ]
    assert GRU.from_config(config).get_config() == config
    assert config["batch_input_shape"] == (None, T, D)
    assert GRU.from_config(json.loads(json.dumps(config))).get_config() == config


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"input_shape": (3, 4)}, (None, 3, 4)),
        ({"input_shape": [None, 4], "batch_size": 2}, (2, None, 4)),
        ({"batch_input_shape": [2, 3, 4]}, (2, 3, 4)),
        ({"input_dim": 4}, (None, None, 4)),
        ({"input_length": 3}, (None, 3, None)),
        ({"input_dim": 4, "input_length": 3, "batch_size": 6}, (6, 3, 4)),
    ],
)
def test_the_shape_of_inputs_is_only_told(arguments: dict[str, Any], shape: tuple[int | None, ...]) -> None:
    layer = GRU(U, **arguments)
    assert layer.get_config()["batch_input_shape"] == shape
    assert layer.weights == []
    assert layer(inputs(size=7)).shape == (B, U)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 2}, SpecTypeError, "batch_size=2: only beside"),
        ({"input_shape": 4}, SpecError, "input_shape with batch_size"),
        ({"input_shape": (3, 4, 5)}, SpecError, "input_shape with batch_size"),
        ({"input_shape": (3, "a")}, SpecTypeError, "input_shape with batch_size"),
        ({"input_shape": (3, 4), "input_dim": 4}, SpecTypeError, "omit input_dim"),
        ({"input_shape": (3, 4), "input_length": 3}, SpecTypeError, "omit input_length"),
        ({"batch_input_shape": (3, 4)}, SpecError, "batch_input_shape="),
        ({"batch_input_shape": (2, 3, 4), "input_shape": (3, 4)}, SpecTypeError, "omit input_shape"),
        ({"batch_input_shape": (2, 3, 4), "batch_size": 2}, SpecTypeError, "batch_input_shape=.*: says all"),
        ({"input_dim": 2.5}, SpecTypeError, "batch_size, input_length and input_dim"),
    ],
)
def test_wrong_shapes_of_inputs_are_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        GRU(U, **arguments)


def test_layers_from_weights() -> None:
    spec = GRUSpec(units=1, use_bias=False, stateful=True)
    weights = {"recurrent_kernel": [[0.0, 0, 0]], "kernel": [[0, 0, 1]]}
    layer = GRU.from_weights(spec, weights, name="mine", kernel_regularizer="l2")
    assert (layer.name, layer.dtype, layer.spec) == ("mine", "float32", spec)
    assert [weight.shape for weight in layer.weights] == [(1, 3), (1, 3)]
    assert layer.weights[0].tolist() == [[0, 0, 1]]
    assert len(layer.losses) == 1
    assert not layer.built
    layer(np.ones((2, 1, 1)))
    assert layer.built
    assert GRU.from_weights(spec, weights, dtype="float16").dtype == "float16"


def test_layers_can_be_copied() -> None:
    layer = built(stateful=True, batch=B, recurrent_dropout=0.5)
    layer(inputs())
    other = copy.deepcopy(layer)
    for call in ({}, {"training": True}):
        np.testing.assert_array_equal(layer(inputs(1), **call), other(inputs(1), **call))
    other.weights[0][...] = 0
    assert layer.weights[0].any()


@pytest.fixture(scope="module")
def reference() -> Any:
    """Return the class of the reference layer."""
    pytest.importorskip("tf_keras")
    pytest.importorskip("tensorflow")
    return import_module("tf_keras.api._v1.keras.layers").GRU


OPTIONS: list[dict[str, Any]] = [
    {},
    {"activation": None, "recurrent_activation": "sigmoid", "use_bias": False, "dtype": "float64"},
    {"kernel_initializer": "he_normal", "recurrent_initializer": "ones", "bias_initializer": "random_uniform"},
    {
        "kernel_regularizer": "l1_l2",
        "recurrent_regularizer": "l1",
        "bias_regularizer": "l2",
        "activity_regularizer": "l2",
    },
    {"kernel_constraint": "max_norm", "recurrent_constraint": "unit_norm", "bias_constraint": "non_neg"},
    {"dropout": 1.5, "recurrent_dropout": 0.25, "implementation": 2, "trainable": False},
    {"return_sequences": True, "return_state": True, "go_backwards": True, "unroll": True, "reset_after": True},
    {"stateful": True, "time_major": True, "zero_output_for_mask": True, "implementation": 0},
    {"batch_input_shape": (2, None, 3)},
    {"input_dim": 3, "input_length": 7, "batch_size": 2, "enable_caching_device": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_configurations_are_those_of_the_reference_layer(options: dict[str, Any], reference: Any) -> None:
    ours, theirs = (each(U, name="some", **options).get_config() for each in (GRU, reference))
    assert ours == theirs
    assert list(ours) == list(theirs)
    changed = {"implementation": 1} if options.get("implementation") == 0 else {}
    assert GRU.from_config(theirs).get_config() == ours | changed
    assert reference.from_config(ours).get_config() == theirs | changed


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_calls_weights_and_losses_are_those_of_the_reference_layer(
    dtype: str, reference: Any, *, reset_after: bool
) -> None:
    options: dict[str, Any] = {"return_state": True, "stateful": True, "dtype": dtype, "reset_after": reset_after}
    options |= {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l1_l2"}
    ours, theirs = GRU(U, **options), reference(U, **options)
    theirs(inputs())
    theirs.reset_states()
    ours.build((B, None, D))
    ours.set_weights(theirs.get_weights())
    tolerance: Any = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-14}
    for seed in (0, 1):
        mask = np.random.default_rng(seed).random((B, T)) < 0.5
        for one, other in zip(ours(inputs(seed), mask=mask), theirs(inputs(seed), mask=mask), strict=True):
            np.testing.assert_allclose(one, other, **tolerance)
        np.testing.assert_allclose(ours.losses, [float(loss) for loss in theirs.losses], **tolerance)
        np.testing.assert_allclose(ours.states[0], theirs.states[0], **tolerance)
    assert ours.count_params() == theirs.count_params()
    assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]
    assert [spec.shape for spec in ours.input_spec or []] == [spec.shape for spec in theirs.input_spec]


def test_arguments_by_position_are_those_of_the_reference_layer(reference: Any) -> None:
    parameters = [*inspect.signature(reference.__init__).parameters.items()][1:-1]
    assert [(name, parameter.default) for name, parameter in parameters] == [*POSITIONAL.items()]


def test_automatic_names_are_those_of_the_reference_layer(reference: Any) -> None:
    for name in ("AbcGRU", "GRUAbc", "ABc12De", "_Hidden", "x"):
        ours, theirs = (type(name, (each,), {}) for each in (GRU, reference))
        assert [ours(1).name for _ in range(3)] == [theirs(1).name for _ in range(3)]


@pytest.mark.parametrize(
    "use",
    [
        lambda each: each(0),
        lambda each: each("3"),
        lambda each: each(U, activation="foo"),
        lambda each: each(U, activation=3),
        lambda each: each(U, foo=1),
        lambda each: each(U, dropout="a"),
        lambda each: each(U, trainable=1),
        lambda each: each(U, name=3),
        lambda each: each(U, input_shape=(3, 4), input_length=3),
        lambda each: each(U, dtype="foo"),
        lambda each: each(U).count_params(),
        lambda each: each(U).reset_states(),
        lambda each: each(U, stateful=True).reset_states(),
        lambda each: each(U, stateful=True).build((None, None, D)),
        lambda each: each(U).build((None, None, None)),
        lambda each: each(U).set_weights([np.ones(3)]),
        lambda each: setattr(each(U), "units", 3),
        lambda each: each(U, dropout=1.0)(inputs(), training=True),
        lambda each: each(U)(inputs()[0]),
    ],
)
def test_errors_have_the_classes_of_the_reference_layer(use: Any, reference: Any) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)) as theirs:
        use(reference)
    with pytest.raises(theirs.type):
        use(GRU)


def test_cotangents_may_depend_on_what_the_call_returns() -> None:
    layer = GRU(3, return_state=True, stateful=True, dropout=0.5)
    x, asked = np.random.default_rng(0).normal(size=(2, 4, 2)), []

    def cotangents(returned: Any) -> dict[str, Any]:
        asked.append(returned)
        return {"outputs": returned[0] - 1, "state": returned[1]}

    masks = {"inputs": np.full((3, 2, 2), 2.0)}
    result, gradients = layer.vjp(x, training=True, dropout_masks=masks, cotangents=cotangents)
    assert len(asked) == 1
    np.testing.assert_array_equal(asked[0][0], result[0])
    np.testing.assert_array_equal(layer.states[0], result[1])
    layer.reset_states()
    stated = {"outputs": result[0] - 1, "state": result[1]}
    _, again = layer.vjp(x, training=True, dropout_masks=masks, cotangents=stated)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, again[name])
    with pytest.raises(SpecError, match="outputs"):
        layer.vjp(x, training=True, cotangents=lambda _: {"outputs": x})


def test_activations_of_a_layer_can_be_called() -> None:
    layer, x = GRU(1, recurrent_activation="hard_sigmoid"), np.array([[-3.0, 0.0, 1.0]])
    assert layer.recurrent_activation(x).tolist() == [[0.0, 0.5, 0.7]]
    assert x.tolist() == [[-3.0, 0.0, 1.0]], "the argument stays"


@pytest.mark.parametrize("states", [None, [], np.zeros((1, 1)), np.zeros((1, 1), complex), [1.0, 2.0], "a"])
def test_whether_a_layer_keeps_a_state_is_asked_before_the_state_is_looked_at(states: Any) -> None:
    with pytest.raises(NotStatefulError):
        GRU(1).reset_states(states)
    with pytest.raises(SpecError, match="batch size"):
        GRU(1, stateful=True).reset_states(states)
