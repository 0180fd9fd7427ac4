"""Activations in NumPy: values by plain formulas, derivatives by differences, and tf_keras where there is one."""

from __future__ import annotations

import codecs
import functools
import marshal
import math
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.errors import SpecError, SpecTypeError
from gruspec_numpy.activations import ACTIVATIONS, Activation, get, serialize

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[Any]]

UNIT_ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}

FORMULAS: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "hard_sigmoid": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
    "relu": lambda x: max(x, 0.0),
    "linear": lambda x: x,
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "gelu": lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2)),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "exponential": math.exp,
}
ROWWISE = ("softmax", "log_softmax")
POINTS = [-30.0, -6.0, -2.5, -1.0, -0.3, -0.0, 0.3, 1.0, 2.5, 6.0, 30.0]

LAYERS: dict[str, dict[str, Any]] = {
    "ReLU": {"max_value": 5.0, "negative_slope": 0.25, "threshold": 0.5},
    "LeakyReLU": {"alpha": 0.1},
    "ThresholdedReLU": {"theta": 2.0},
    "ELU": {"alpha": 0.5},
    "Softmax": {"axis": [0, 1]},
}


def activated(activation: Activation, x: Array) -> Array:
    y = x.copy()
    activation.apply(y)
    return y


def configured(class_name: str, **config: Any) -> Activation:
    return get("activation", {"class_name": class_name, "config": config})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values(name: str, dtype: str) -> None:
    x = np.array([POINTS, POINTS[::-1]], dtype)
    y = activated(ACTIVATIONS[name], x)
    assert y.dtype == dtype
    exact = np.vectorize(FORMULAS[name])(x.astype(float))
    # the functions that NumPy offers are within 4 u of theirs, and each formula has at most four more operations
    np.testing.assert_allclose(y, exact, rtol=8 * UNIT_ROUNDOFF[dtype], atol=4 * UNIT_ROUNDOFF[dtype])


@pytest.mark.parametrize("name", ["swish", "silu", "gelu", "softplus", "exponential", "mish"])
def test_tails_are_accurate_relative_to_their_size(name: str) -> None:
    x = np.array([-8.0, -12.0])
    expected = [FORMULAS[name](float(v)) for v in x]
    assert all(abs(value) < 0.02 for value in expected)
    # erfc at a rounded argument z is off by 2 z^2 roundings of it: here z^2 is at most 72
    np.testing.assert_allclose(activated(ACTIVATIONS[name], x), expected, rtol=150 * 2 * UNIT_ROUNDOFF["float64"])


def test_softmax_and_its_logarithm_by_rows() -> None:
    x = np.array([[1.0, 2.0, 4.0], [700.0, 710.0, -800.0]])
    expected = np.array([[math.exp(v - max(row)) / sum(math.exp(w - max(row)) for w in row) for v in row] for row in x])
    np.testing.assert_allclose(activated(ACTIVATIONS["softmax"], x), expected, rtol=1e-15, atol=1e-300)
    logarithm = activated(ACTIVATIONS["log_softmax"], x)
    np.testing.assert_allclose(logarithm[0], np.log(expected[0]), rtol=1e-14)
    np.testing.assert_allclose(logarithm[1], [-10 - math.log1p(math.exp(-10)), -math.log1p(math.exp(-10)), -1510])


def test_which_are_elementwise() -> None:
    assert {name for name, activation in ACTIVATIONS.items() if not activation.elementwise} == set(ROWWISE)
    assert {name for name in LAYERS if not get("activation", name).elementwise} == {"Softmax"}


def test_layers_with_parameters() -> None:
    x = np.array([[-4.0, -1.0, 0.5, 1.0, 2.0, 5.0, 7.0]])
    rectified = activated(configured("ReLU", **LAYERS["ReLU"]), x)
    np.testing.assert_array_equal(rectified, [[-1.125, -0.375, 0.0, 1.0, 2.0, 5.0, 5.0]])
    tenth = float(np.float32(0.1))
    np.testing.assert_array_equal(
        activated(configured("LeakyReLU", alpha=0.1), x), [[-4 * tenth, -tenth, 0.5, 1.0, 2.0, 5.0, 7.0]]
    )
    thresholded = activated(configured("ThresholdedReLU", theta=2.0), x)
    np.testing.assert_array_equal(thresholded, [[0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 7.0]])
    np.testing.assert_allclose(activated(configured("ELU", alpha=0.5), x)[0, :2], 0.5 * np.expm1([-4.0, -1.0]))
    square = np.array([[1.0, 2.0], [3.0, 5.0]])
    np.testing.assert_allclose(activated(configured("Softmax", axis=0), square).sum(axis=0), [1, 1])
    np.testing.assert_allclose(activated(configured("Softmax", axis=[-2, -1]), square).sum(), 1)
    np.testing.assert_array_equal(
        activated(configured("Softmax"), square), activated(get("activation", "softmax"), square)
    )


def every_activation() -> list[Any]:
    named = [pytest.param(activation, id=name) for name, activation in ACTIVATIONS.items()]
    layers = [pytest.param(configured(name, **config), id=name) for name, config in LAYERS.items()]
    return [*named, *layers]


@pytest.mark.parametrize("activation", every_activation())
def test_pullbacks_against_central_differences(activation: Activation) -> None:
    rng = np.random.default_rng(5)
    x, cotangent = rng.uniform(-4, 4, (3, 5)), rng.uniform(-1, 1, (3, 5))
    assert np.abs(x[..., None] - [-2.5, 0.0, 0.5, 2.0, 2.5]).min() > 1e-3
    pulled = activation.pullback(x, activated(activation, x), cotangent)
    step = 1e-5
    for index in np.ndindex(x.shape):
        forward, backward = x.copy(), x.copy()
        forward[index] += step
        backward[index] -= step
        difference = (activated(activation, forward) - activated(activation, backward)) / (2 * step)
        # the third derivatives are below 60 (of exp at 4), the values below 55
        assert abs(pulled[index] - (difference * cotangent).sum()) < 60 * step**2 + 55 * 15 * 2.0**-52 / step


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", every_activation())
def test_pullbacks_leave_their_arguments_alone(activation: Activation, dtype: str) -> None:
    x = np.linspace(-3, 3, 6, dtype=dtype).reshape(2, 3)
    given = x, activated(activation, x), np.full_like(x, 0.5)
    copies = [array.copy() for array in given]
    pulled = activation.pullback(*given)
    assert pulled.dtype == dtype
    assert not any(np.shares_memory(pulled, array) for array in given)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("activation", "kinks"),
    [
        ("relu", {0.0: 0.0}),
        ("leaky_relu", {0.0: 0.2, math.inf: 1.0, -math.inf: 0.2}),
        ("relu6", {0.0: 0.0, 6.0: 0.0, 5.9: 1.0}),
        ("elu", {0.0: 1.0}),
        ("selu", {0.0: 1.0507009873554805}),
        ("hard_sigmoid", {2.5: 0.2, -2.5: 0.2, 2.6: 0.0, -2.6: 0.0, 0.0: 0.2}),
    ],
)
def test_derivatives_at_kinks(activation: str, kinks: dict[float, float]) -> None:
    x = np.array(list(kinks))
    found = ACTIVATIONS[activation].pullback(x, activated(ACTIVATIONS[activation], x), np.ones_like(x))
    np.testing.assert_array_equal(found, list(kinks.values()))


def test_the_interval_of_hard_sigmoid_is_that_of_computed_values() -> None:
    beyond = np.nextafter(np.float32(2.5), np.float32(3))
    x = np.array([beyond, -beyond], np.float32)
    slope = ACTIVATIONS["hard_sigmoid"].pullback(x, activated(ACTIVATIONS["hard_sigmoid"], x), np.ones_like(x))
    np.testing.assert_array_equal(slope, np.array([0.2, 0.0], np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", every_activation())
def test_nan_stays_nan_and_nothing_warns(activation: Activation, dtype: str) -> None:
    large = float(np.finfo(dtype).max)
    extreme = np.array([[np.nan], [np.inf], [-np.inf], [large], [-large], [100.0], [-100.0], [1000.0]], dtype)
    for x in (extreme, extreme[1:], extreme[3:]):
        with np.errstate(all="warn", under="ignore"):
            y = activated(activation, x)
            activation.pullback(x, y, np.full_like(x, np.inf))
            activation.pullback(x, y, np.full_like(x, large))
    assert np.isnan(activated(activation, extreme)[0])


@pytest.mark.parametrize(
    ("name", "ends"),
    {
        "tanh": (-1, 1),
        "sigmoid": (0, 1),
        "hard_sigmoid": (0, 1),
        "relu": (0, np.inf),
        "linear": (-np.inf, np.inf),
        "leaky_relu": (-np.inf, np.inf),
        "relu6": (0, 6),
        "elu": (-1, np.inf),
        "swish": (np.nan, np.inf),
        "gelu": (np.nan, np.inf),
        "mish": (np.nan, np.inf),
        "softsign": (np.nan, np.nan),
        "softplus": (0, np.inf),
        "exponential": (0, np.inf),
    }.items(),
)
def test_values_at_infinities(name: str, ends: tuple[float, float]) -> None:
    np.testing.assert_array_equal(activated(ACTIVATIONS[name], np.array([-np.inf, np.inf])), ends)


def test_defaults_of_layers() -> None:
    common = {"trainable": True, "dtype": "float32"}
    expected: dict[str, dict[str, Any]] = {
        "ReLU": {"name": "re_lu", "max_value": None, "negative_slope": 0.0, "threshold": 0.0},
        "LeakyReLU": {"name": "leaky_re_lu", "alpha": float(np.float32(0.3))},
        "ThresholdedReLU": {"name": "thresholded_re_lu", "theta": 1.0},
        "ELU": {"name": "elu", "alpha": 1.0},
        "Softmax": {"name": "softmax", "axis": -1},
    }
    for class_name, config in expected.items():
        assert serialize(get("activation", class_name)) == {
            "module": "keras.layers",
            "class_name": class_name,
            "config": common | config,
            "registered_name": None,
        }


def test_identifiers() -> None:
    tanh = ACTIVATIONS["tanh"]
    assert get("activation", None) is ACTIVATIONS["linear"]
    assert get("activation", "tanh") is tanh
    assert get("activation", tanh) is tanh
    function = {"module": "builtins", "class_name": "function", "config": "tanh", "registered_name": "function"}
    assert get("activation", function) is tanh
    assert get("activation", {"module": "keras.activations", "class_name": "tanh", "config": {}}) is tanh
    assert serialize(get("activation", "silu")) == "swish"


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("tan", SpecError, "activation='tan': not a known activation; known are tanh, sigmoid"),
        ("", SpecError, "activation='': not a known"),
        ("get", SpecError, "not a known"),
        ({"class_name": "Dense", "config": {}}, SpecError, "not a known"),
        ({"class_name": "function", "config": "mine"}, SpecError, "not a known"),
        ("PReLU", SpecError, "activation='PReLU': has a weight of its own"),
        ({}, SpecError, "lacks class_name, config"),
        ({"class_name": "ReLU"}, SpecError, "lacks config"),
        ({"class_name": 3, "config": {}}, SpecTypeError, "expected a string class_name"),
        ({"class_name": "ReLU", "config": None}, SpecTypeError, "and a dict config"),
        ({"class_name": "tanh", "config": {"alpha": 1}}, SpecTypeError, "'tanh' takes no arguments"),
        ({"class_name": "ReLU", "config": {"top": 1}}, SpecTypeError, "'top'; its arguments are max_value, "),
        ({"class_name": "ReLU", "config": {"max_value": -1}}, SpecError, r"max_value=-1: expected .* not below 0"),
        ({"class_name": "ReLU", "config": {"threshold": math.nan}}, SpecError, "threshold=nan"),
        ({"class_name": "ReLU", "config": {"threshold": -1}}, SpecError, "threshold=-1"),
        ({"class_name": "ReLU", "config": {"negative_slope": -1}}, SpecError, "negative_slope=-1"),
        ({"class_name": "ELU", "config": {"alpha": math.inf}}, SpecError, "alpha=inf: expected a finite number$"),
        ({"class_name": "ELU", "config": {"alpha": 1e39}}, SpecError, "alpha=1e"),
        ({"class_name": "LeakyReLU", "config": {"alpha": None}}, SpecTypeError, "alpha=None: expected a number"),
        ({"class_name": "Softmax", "config": {"axis": 2}}, SpecError, "axis=2: expected axes"),
        ({"class_name": "Softmax", "config": {"axis": []}}, SpecError, r"axis=\[\]"),
        (3, SpecTypeError, "activation=3: expected the name"),
        (True, SpecTypeError, "activation=True"),
        (["tanh"], SpecTypeError, r"activation=\['tanh'\]"),
        (b"tanh", SpecTypeError, "activation=b'tanh'"),
        (dict, SpecTypeError, "activation=<class 'dict'>"),
    ],
)
def test_bad_identifiers(identifier: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        get("activation", identifier)
    assert str(raised.value).startswith(f"activation={identifier!r}: ")


def doubled(x: Any) -> Any:
    return 2 * x


class Tripled:
    def __call__(self, x: Any) -> Any:
        return 3 * x


class Scaled(Tripled):
    def get_config(self) -> dict[str, Any]:
        return {"by": np.float64(3), "shape": (1, np.arange(2))}


def test_a_callable_is_applied_and_has_no_derivative() -> None:
    x = np.array([[1.0, 2.0]], np.float32)
    activation = get("recurrent_activation", doubled)
    y = activated(activation, x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [[2, 4]])
    np.testing.assert_array_equal(activated(get("activation", Tripled()), x), [[3, 6]])
    assert not activation.elementwise
    with pytest.raises(SpecError, match=r"recurrent_activation=<function doubled .*: a callable has no derivative"):
        activation.pullback(x, y, y)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:, :1], r"returned shape \(1, 1\) for \(1, 2\)"),
        (lambda _: "x", "result: dtype"),
        (lambda x: 1j * x, "result: dtype complex"),
    ],
)
def test_what_a_callable_returns_is_checked(function: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        get("activation", function).apply(np.ones((1, 2)))


def test_a_callable_may_write_into_what_it_is_given() -> None:
    def clumsy(x: Array) -> Array:
        x *= 2
        return x + 1

    np.testing.assert_array_equal(activated(get("activation", clumsy), np.ones((1, 2))), [[3, 3]])


def test_callables_are_written_by_what_they_are() -> None:
    kind = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    assert serialize(get("activation", doubled)) == kind | {"config": "doubled"}
    written = serialize(get("activation", Scaled()))
    assert isinstance(written, dict)
    numbers = {"class_name": "__numpy__", "config": {"value": [0, 1], "dtype": "int64"}}
    assert written["config"] == {"by": 3.0, "shape": (1, numbers)}
    assert type(written["config"]["by"]) is float


def test_what_cannot_be_written_says_so() -> None:
    for function in (Tripled(), functools.partial(doubled)):
        with pytest.raises(SpecTypeError, match="give it a get_config method"):
            serialize(get("activation", function))


def test_written_configurations_are_not_shared() -> None:
    activation = get("activation", "ELU")
    written = serialize(activation)
    assert isinstance(written, dict)
    written["config"]["alpha"] = 7.0
    assert serialize(activation)["config"]["alpha"] == 1.0  # type: ignore[index] # a layer is written as a dict


@pytest.fixture(scope="module")
def tf() -> Any:
    pytest.importorskip("tf_keras")
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def real_layer(tf: Any) -> Callable[[Any], Any]:
    """Return what builds the reference layer with an activation."""
    del tf
    layers = import_module("tf_keras.api._v1.keras.layers")
    return lambda activation: layers.GRU(2, activation=activation)


def dtype_for(name: str) -> str:
    """Return float32 where TensorFlow rounds a constant to it in every dtype: a slope of 0.2, the root of 2."""
    return "float32" if name in {"leaky_relu", "gelu"} else "float64"


def without_name(written: Any) -> Any:
    """Drop the name of an activation layer, which counts the layers of the process."""
    if not isinstance(written, dict):
        return written
    return written | {"config": {key: value for key, value in written["config"].items() if key != "name"}}


def test_names_are_those_of_tf_keras(tf: Any) -> None:
    module = import_module("tf_keras.src.activations")
    functions = {name for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    assert functions - {"get", "serialize", "deserialize", "keras_export"} == set(ACTIVATIONS)
    known = {name for name, value in vars(module.activation_layers).items() if isinstance(value, type)}
    assert known - {"PReLU"} == set(LAYERS)
    del tf


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_derivatives_of_tf_keras(name: str, tf: Any, real_layer: Any) -> None:
    x = np.array([POINTS, POINTS[::-1]], dtype_for(name))
    variable = tf.Variable(x)
    cotangent = np.random.default_rng(2).uniform(-1, 1, x.shape).astype(x.dtype)
    with tf.GradientTape() as tape:
        y = real_layer(name).cell.activation(variable)
    ours = activated(ACTIVATIONS[name], x)
    # both sides are a handful of operations, each within 8 u, on values up to 30, or relative to exp(30)
    u = UNIT_ROUNDOFF[x.dtype.name]
    np.testing.assert_allclose(ours, y, rtol=64 * u, atol=30 * 8 * u)
    pulled = ACTIVATIONS[name].pullback(x, ours, cotangent)
    np.testing.assert_allclose(pulled, tape.gradient(y, variable, cotangent), rtol=64 * u, atol=30 * 16 * u)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in ROWWISE])
def test_nan_and_infinities_in_tf_keras(name: str, tf: Any, real_layer: Any) -> None:
    x = np.array([[np.nan, np.inf, -np.inf]], dtype_for(name))
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = real_layer(name).cell.activation(variable)
    ours = activated(ACTIVATIONS[name], x)
    rtol = 4 * UNIT_ROUNDOFF[x.dtype.name]
    np.testing.assert_allclose(ours, y, rtol=rtol)
    pulled = ACTIVATIONS[name].pullback(x, ours, np.ones_like(x))
    np.testing.assert_allclose(pulled, tape.gradient(y, variable), rtol=rtol)


@pytest.mark.parametrize("name", LAYERS)
def test_activation_layers_of_tf_keras(name: str, tf: Any, real_layer: Any) -> None:
    """All points but the kinks, where the framework's derivative depends on how its function is put together."""
    x = np.array([[-6.0, -1.0, 0.25, 0.75, 4.0, 30.0], [-30.0, 1.5, 2.5, 3.0, -0.5, 0.125]], np.float32)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = real_layer({"class_name": name, "config": LAYERS[name]}).cell.activation(variable)
    activation = configured(name, **LAYERS[name])
    ours = activated(activation, x)
    np.testing.assert_allclose(ours, y, rtol=32 * 2.0**-24, atol=4 * 2.0**-24)
    pulled = activation.pullback(x, ours, np.ones_like(x))
    np.testing.assert_allclose(pulled, tape.gradient(y, variable), rtol=32 * 2.0**-24, atol=8 * 2.0**-24)


IDENTIFIERS: dict[str, Any] = {
    **{name: name for name in [*ACTIVATIONS, *LAYERS]},
    **{f"{name} configured": {"class_name": name, "config": config} for name, config in LAYERS.items()},
    "named": {"module": "keras.layers", "class_name": "ELU", "config": {"name": "mine", "trainable": False}},
    "maximum": {"class_name": "ReLU", "config": {"max_value": 0.1}},
    "masking": {"class_name": "Softmax", "config": {"robust_masking": True}},
    "function": {"module": "builtins", "class_name": "function", "config": "tanh", "registered_name": "function"},
    "module": {"module": "keras.activations", "class_name": "relu", "config": {}, "registered_name": None},
    "None": None,
}


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_configurations_are_those_of_the_real_layer(identifier: str, real_layer: Any) -> None:
    given = IDENTIFIERS[identifier]
    real = real_layer(given).get_config()["activation"]
    ours = serialize(get("activation", given))
    assert without_name(ours) == without_name(real)
    assert serialize(get("activation", real)) == real
    assert real_layer(ours).get_config()["activation"] == ours


@pytest.mark.parametrize("function", [doubled, abs, Scaled()])
def test_callables_are_written_as_by_the_real_layer(function: Any, real_layer: Any) -> None:
    assert serialize(get("activation", function)) == real_layer(function).get_config()["activation"]


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_a_lambda_is_written_as_by_the_real_layer(real_layer: Any) -> None:
    by = 3
    function = lambda x, plus=1: by * x + plus  # noqa: E731 # a lambda is what this is about
    written = [real_layer(function).get_config()["activation"], serialize(get("activation", function))]
    codes = [marshal.loads(codecs.decode(each["value"][0].encode(), "base64")) for each in written]  # noqa: S302 # ours
    assert [each["value"][1:] for each in written] == [((1,), (3,))] * 2
    for code in codes:
        assert FunctionType(code, {}, closure=(function.__closure__ or ())[:1], argdefs=(1,))(2) == 7


@pytest.mark.parametrize("identifier", ["tan", "", {}, {"class_name": "ReLU"}, {"class_name": "Dense", "config": {}}])
def test_the_real_layer_refuses_the_same_values(identifier: Any, real_layer: Any) -> None:
    for build in (real_layer, lambda given: get("activation", given)):
        with pytest.raises(ValueError, match=r"activation|config"):
            build(identifier)


@pytest.mark.parametrize("identifier", [3, True, ["tanh"], b"tanh", {"class_name": "ReLU", "config": {"top": 1}}])
def test_the_real_layer_refuses_the_same_types(identifier: Any, real_layer: Any) -> None:
    for build in (real_layer, lambda given: get("activation", given)):
        with pytest.raises(TypeError):
            build(identifier)
