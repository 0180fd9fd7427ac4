"""Initializers in NumPy: distributions, orthogonality, and the configurations of the real layer where there is one."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec.initialization import INITIALIZERS
from gruspec_numpy.initializers import (
    Constant,
    Identity,
    Initializer,
    Orthogonal,
    TruncatedNormal,
    VarianceScaling,
    get,
    serialize,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[Any]]
    Distribution = Callable[[float], float]

D, U = 100, 300
KERNEL = (D, 3 * U)

ALIASES = {
    "zero": "Zeros",
    "one": "Ones",
    "normal": "RandomNormal",
    "uniform": "RandomUniform",
    "GlorotUniformV2": "GlorotUniform",
    "he_normalV2": "HeNormal",
    "ZerosV2": "Zeros",
}


def uniform(low: float, high: float) -> Distribution:
    return lambda x: (x - low) / (high - low)


def normal(mean: float, deviation: float) -> Distribution:
    return lambda x: 0.5 * math.erfc((mean - x) / deviation / math.sqrt(2))


def truncated(mean: float, deviation: float) -> Distribution:
    """Return the probabilities of a normal variable of this mean and deviation, given it is within two of them."""
    whole = normal(mean, deviation)
    low, high = whole(mean - 2 * deviation), whole(mean + 2 * deviation)
    return lambda x: (whole(x) - low) / (high - low)


def truncated_variance() -> float:
    """Return the variance of a standard normal variable within [-2, 2], computed from its density at the ends."""
    ends = math.exp(-2) / math.sqrt(2 * math.pi)
    return 1 - 2 * 2 * ends / math.erf(math.sqrt(2))


def scaled_to(variance: float) -> Distribution:
    return truncated(0, math.sqrt(variance / truncated_variance()))


def distance(values: Array, distribution: Distribution) -> float:
    """Return the largest difference between empirical and true probabilities."""
    exact = np.array([distribution(float(value)) for value in np.sort(values, axis=None)])
    ranks = np.arange(len(exact) + 1) / len(exact)
    return float(max(np.abs(exact - ranks[:-1]).max(), np.abs(exact - ranks[1:]).max()))


def chance(count: int) -> float:
    """Return the distance that a sample of this size exceeds with a probability below 1e-6 (Massart 1990)."""
    return math.sqrt(math.log(2 / 1e-6) / (2 * count))


def glorot_limit(fan_in: int, fan_out: int) -> float:
    return math.sqrt(6 / (fan_in + fan_out))


DISTRIBUTIONS: dict[str, tuple[dict[str, Any], Distribution]] = {
    "random_uniform": ({"minval": -1.0, "maxval": 3.0}, uniform(-1, 3)),
    "RandomUniform": ({}, uniform(-0.05, 0.05)),
    "random_normal": ({"mean": 1.0, "stddev": 2.0}, normal(1, 2)),
    "RandomNormal": ({}, normal(0, 0.05)),
    "truncated_normal": ({"mean": 1.0, "stddev": 2.0}, truncated(1, 2)),
    "TruncatedNormal": ({}, truncated(0, 0.05)),
    "glorot_uniform": ({}, uniform(-glorot_limit(*KERNEL), glorot_limit(*KERNEL))),
    "glorot_normal": ({}, scaled_to(2 / (D + 3 * U))),
    "lecun_uniform": ({}, uniform(-math.sqrt(3 / D), math.sqrt(3 / D))),
    "lecun_normal": ({}, scaled_to(1 / D)),
    "he_uniform": ({}, uniform(-math.sqrt(6 / D), math.sqrt(6 / D))),
    "he_normal": ({}, scaled_to(2 / D)),
    "variance_scaling": ({}, scaled_to(1 / D)),
    "VarianceScaling": ({"scale": 3.0, "mode": "fan_out", "distribution": "NORMAL"}, scaled_to(3 / (3 * U))),
    "VarianceScalingV2": (
        {"mode": "fan_avg", "distribution": "untruncated_normal"},
        normal(0, (2 / (D + 3 * U)) ** 0.5),
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name: str) -> None:
    config, distribution = DISTRIBUTIONS[name]
    values = get("kernel_initializer", {"class_name": name, "config": {**config, "seed": 11}})(KERNEL, "float64")
    assert values.shape == KERNEL
    assert distance(values, distribution) < chance(values.size)


def test_the_correction_for_truncation() -> None:
    values = VarianceScaling(0.25, "fan_in", seed=3)((1, 100_000), "float64")
    assert math.isclose(np.abs(values).max(), 2 * 0.5 / math.sqrt(truncated_variance()), rel_tol=1e-3)


def test_the_distance_sees_what_would_be_wrong() -> None:
    """The bound separates the nearest wrong ideas: fans of one gate, no correction, another mode."""
    count = math.prod(KERNEL)
    wrong = [
        ("glorot_uniform", uniform(-glorot_limit(D, U), glorot_limit(D, U))),
        ("glorot_normal", truncated(0, math.sqrt(2 / (D + 3 * U)))),
        ("he_normal", normal(0, math.sqrt(2 / D))),
        ("truncated_normal", normal(0, 0.05)),
    ]
    for name, distribution in wrong:
        values = get("kernel_initializer", {"class_name": name, "config": {"seed": 11}})(KERNEL, "float64")
        assert distance(values, distribution) > chance(count), name


@pytest.mark.parametrize(
    ("shape", "fans"),
    [((), (1, 1)), ((600,), (600, 600)), ((2, 6), (2, 6)), ((5, 2, 3), (10, 15)), ((2, 3, 4, 5), (24, 30))],
)
def test_fans(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    for mode, fan in zip(("fan_in", "fan_out", "fan_avg"), (*fans, sum(fans) / 2), strict=True):
        values = [VarianceScaling(1.0, mode, "uniform", seed)(shape, "float64") for seed in range(400)]
        limit = math.sqrt(3 / fan)
        # the largest of 400 uniform values is below 0.95 of the limit with a probability of 0.95^400 < 2e-9
        assert 0.95 * limit < np.abs(values).max() <= limit


def test_the_limit_of_glorot_uniform_counts_all_gates() -> None:
    limit = math.sqrt(6 / (10 + 3 * 64))
    values = get("kernel_initializer", "glorot_uniform")((10, 3 * 64))
    assert 0.98 * limit < np.abs(values).max() <= np.float32(limit)


def test_truncated_values_stay_within_two_deviations() -> None:
    values = TruncatedNormal(mean=5.0, stddev=0.5, seed=1)((200, 200), "float64")
    assert 0.99 < np.abs(values - 5).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_orthogonal_over_the_whole_recurrent_kernel(gain: float, dtype: str) -> None:
    u = 24
    values = Orthogonal(gain=gain, seed=4)((u, 3 * u), dtype)
    bound = gain**2 * 8 * u * float(np.finfo(dtype).epsneg)
    np.testing.assert_allclose(values @ values.T, gain**2 * np.eye(u), rtol=0, atol=bound)
    for block in np.split(values, 3, axis=1):
        assert np.abs(block @ block.T - gain**2 * np.eye(u)).max() > 0.3 * gain**2


def test_orthogonal_columns_where_there_are_fewer() -> None:
    values = Orthogonal(seed=4)((3, 4, 5), "float64")
    flat = values.reshape(12, 5)
    np.testing.assert_allclose(flat.T @ flat, np.eye(5), rtol=0, atol=1e-14)


def test_orthogonal_matrices_are_uniform() -> None:
    """Each coordinate of a uniform point on a sphere is uniform (Archimedes); QR alone fixes the sign of the first."""
    points = np.array([Orthogonal(seed=seed)((1, 3), "float64")[0] for seed in range(2000)])
    for coordinate in points.T:
        assert distance(coordinate, uniform(-1, 1)) < chance(len(points))


@pytest.mark.parametrize("shape", [(0, 6), (3, 0)])
def test_empty_weights(shape: tuple[int, int]) -> None:
    for name in INITIALIZERS:
        assert get("kernel_initializer", name)(shape).shape == shape


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes(name: str, dtype: str) -> None:
    initializer = get("kernel_initializer", name)
    values = initializer((2, 6), dtype)
    assert isinstance(values, np.ndarray)
    assert values.dtype == dtype
    assert initializer((2, 6)).dtype == "float32"
    for wrong in ("int32", "bool", "complex64", "no such dtype"):
        with pytest.raises(SpecError, match=f"dtype='{wrong}'"):
            initializer((2, 6), wrong)


DRAWN = [name for name in INITIALIZERS if name not in {"zeros", "ones", "constant", "identity"}]


@pytest.mark.parametrize("name", DRAWN)
def test_seeds(name: str) -> None:
    def values(seed: int | None, dtype: str = "float64") -> Array:
        drawn: Array = get("kernel_initializer", {"class_name": name, "config": {"seed": seed}})((4, 6), dtype)
        return drawn

    seeded = get("kernel_initializer", {"class_name": name, "config": {"seed": 3}})
    np.testing.assert_array_equal(seeded((4, 6), "float64"), seeded((4, 6), "float64"))
    np.testing.assert_array_equal(values(3), values(3))
    np.testing.assert_array_equal(values(3).astype("float32"), values(3, "float32"))
    np.testing.assert_array_equal(values(0), values(0))
    different = [values(3), values(4), values(1), values(-1), values(2**40), values(0)]
    assert all(not np.allclose(a, b) for i, a in enumerate(different) for b in different[:i])
    unseeded = get("kernel_initializer", name)
    assert not np.allclose(unseeded((4, 6)), unseeded((4, 6)))


def test_given_values() -> None:
    assert get("i", "zeros")((2, 3)).tolist() == [[0] * 3] * 2
    assert get("i", "ones")((2, 3)).tolist() == [[1] * 3] * 2
    assert Identity(2.5)((2, 3)).tolist() == [[2.5, 0, 0], [0, 2.5, 0]]
    assert Constant()((2,)).tolist() == [0, 0]
    assert Constant(1.5)((1, 2)).tolist() == [[1.5, 1.5]]
    assert Constant(True)((2,)).tolist() == [1, 1]  # noqa: FBT003 # a value like any other
    assert Constant([1, 2, 3, 4, 5, 6])((2, 3)).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert Constant(np.array([[7.0]]))((2,)).tolist() == [7, 7]
    assert Constant(1e300)((1,)).tolist() == [math.inf]
    written = {"class_name": "__numpy__", "config": {"value": [1.0, 2.0], "dtype": "float64"}}
    constant = get("i", {"class_name": "Constant", "config": {"value": written}})
    assert constant((2,)).tolist() == [1, 2]
    configuration = serialize(constant)
    assert configuration is not None
    assert configuration["config"]["value"] == written


@pytest.mark.parametrize(
    ("initializer", "shape", "message"),
    [
        (Constant([1, 2]), (2, 3), r"value has 2 elements; expected 1, or as many as shape \(2, 3\) has"),
        (Identity(), (3,), r"Identity: shape \(3,\); expected two axes"),
        (Identity(), (1, 2, 3), "Identity: shape"),
        (Orthogonal(), (3,), r"Orthogonal: shape \(3,\); expected two axes or more"),
    ],
)
def test_shapes_that_cannot_be_filled(initializer: Initializer, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        initializer(shape)


def test_names() -> None:
    for name in INITIALIZERS:
        class_name = "".join(part.capitalize() for part in name.split("_"))
        for spelling in (name, class_name, f"{class_name}V2"):
            assert type(get("kernel_initializer", spelling)).__name__ == class_name
    for alias, class_name in ALIASES.items():
        assert type(get("kernel_initializer", alias)).__name__ == class_name
    assert get("kernel_initializer", None) is None
    assert serialize(None) is None


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("glorot", SpecError, "kernel_initializer='glorot': not a known initializer; known are zeros, ones, "),
        ("Initializer", SpecError, "not a known"),
        ({"class_name": "L1", "config": {}}, SpecError, "not a known"),
        ({"class_name": "Zeros"}, SpecError, "lacks config"),
        ({"class_name": "Zeros", "config": {"seed": 1}}, SpecTypeError, "'seed'"),
        ({"class_name": "GlorotUniform", "config": {"scale": 1}}, SpecTypeError, "'scale'; its arguments are seed"),
        ({"class_name": "HeNormal", "config": {"seed": 1.5}}, SpecTypeError, r"seed=1\.5: expected an integer"),
        ({"class_name": "HeNormal", "config": {"seed": True}}, SpecTypeError, "seed=True"),
        ({"class_name": "RandomNormal", "config": {"mean": "0"}}, SpecTypeError, "mean='0': expected a number"),
        ({"class_name": "RandomNormal", "config": {"stddev": None}}, SpecTypeError, "stddev=None"),
        ({"class_name": "RandomUniform", "config": {"minval": [0]}}, SpecTypeError, "minval="),
        ({"class_name": "RandomUniform", "config": {"maxval": 1j}}, SpecTypeError, "maxval="),
        ({"class_name": "Orthogonal", "config": {"gain": "1"}}, SpecTypeError, "gain='1'"),
        ({"class_name": "Identity", "config": {"gain": None}}, SpecTypeError, "gain=None"),
        ({"class_name": "Constant", "config": {"value": "1"}}, SpecTypeError, "value='1'"),
        ({"class_name": "Constant", "config": {"value": None}}, SpecTypeError, "value=None"),
        ({"class_name": "VarianceScaling", "config": {"scale": 0.0}}, SpecError, r"scale=0\.0: expected a positive"),
        ({"class_name": "VarianceScaling", "config": {"scale": math.nan}}, SpecError, "scale=nan"),
        ({"class_name": "VarianceScaling", "config": {"scale": "1"}}, SpecTypeError, "scale='1'"),
        ({"class_name": "VarianceScaling", "config": {"mode": "fan"}}, SpecError, "mode='fan': expected one of fan_in"),
        ({"class_name": "VarianceScaling", "config": {"distribution": "t"}}, SpecError, "distribution='t'"),
        (3, SpecTypeError, "kernel_initializer=3: expected the name of a known initializer"),
        (["zeros"], SpecTypeError, r"kernel_initializer=\['zeros'\]"),
        (int, SpecTypeError, "kernel_initializer=<class 'int'>"),
        (Initializer, SpecTypeError, "cannot be built without arguments .*abstract.*; give an instance"),
    ],
)
def test_bad_identifiers(identifier: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        get("kernel_initializer", identifier)
    assert str(raised.value).startswith(f"kernel_initializer={identifier!r}: ")


def halves(shape: tuple[int, ...], dtype: Any = None) -> Array:
    return np.full(shape, 0.5, dtype)


class Halves:
    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Array:
        return halves(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": np.float64(0.5)}


def test_old_configurations_state_a_dtype() -> None:
    configuration = {"class_name": "GlorotUniform", "config": {"seed": 3, "dtype": "float32"}}
    assert get("i", configuration).get_config() == {"seed": 3}


def test_callables() -> None:
    assert get("kernel_initializer", halves) is halves
    assert isinstance(get("kernel_initializer", Halves), Halves)
    assert isinstance(get("kernel_initializer", Orthogonal), Orthogonal)
    orthogonal = Orthogonal()
    assert get("kernel_initializer", orthogonal) is orthogonal


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("tf_keras")


@pytest.fixture(scope="module")
def real_layer(keras: Any) -> Callable[[Any], Any]:
    """Return what builds the reference layer with an initializer."""
    del keras
    layers = import_module("tf_keras.api._v1.keras.layers")
    return lambda identifier: layers.GRU(2, kernel_initializer=identifier)


def test_names_are_those_of_tf_keras(keras: Any) -> None:
    known = set(import_module("tf_keras.src.initializers").LOCAL.ALL_OBJECTS) - {"Initializer", "initializer"}
    with pytest.raises(SpecError) as raised:
        get("kernel_initializer", "no such name")
    assert known == set(str(raised.value).rpartition("known are ")[2].split(", "))
    for name in known:
        assert type(get("i", name)).__name__ == type(keras.initializers.get(name)).__name__


IDENTIFIERS: dict[str, Any] = {
    **{name: name for name in (*INITIALIZERS, *ALIASES, "GlorotUniform", "Orthogonal")},
    **{f"configured {name}": {"class_name": name, "config": config} for name, (config, _) in DISTRIBUTIONS.items()},
    "seed": {"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": np.int64(3)}},
    "dtype": {"class_name": "GlorotUniform", "config": {"seed": 3, "dtype": "float32"}},
    "gain": {"class_name": "Orthogonal", "config": {"gain": 2, "seed": 1}},
    "number": {"class_name": "Constant", "config": {"value": 2}},
    "list": {"class_name": "Constant", "config": {"value": [1, 2.5]}},
    "array": {"class_name": "Constant", "config": {"value": np.arange(3.0)}},
    "scalar": {"class_name": "Constant", "config": {"value": np.float32(0.1)}},
    "None": None,
}


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_configurations_are_those_of_the_real_layer(identifier: str, real_layer: Any) -> None:
    real = real_layer(IDENTIFIERS[identifier]).get_config()["kernel_initializer"]
    ours = serialize(get("kernel_initializer", IDENTIFIERS[identifier]))
    assert ours == real
    assert serialize(get("kernel_initializer", real)) == real
    assert real_layer(ours).get_config()["kernel_initializer"] == real


@pytest.mark.parametrize("function", [halves, Halves, Halves(), np.zeros])
def test_callables_are_written_as_by_the_real_layer(function: Any, real_layer: Any) -> None:
    with pytest.warns(UserWarning, match="serialize"):
        real = real_layer(function).get_config()["kernel_initializer"]
    assert serialize(get("kernel_initializer", function)) == real


@pytest.mark.parametrize(
    "configuration",
    [
        {"class_name": "Zeros", "config": {}},
        {"class_name": "Ones", "config": {}},
        {"class_name": "Constant", "config": {"value": 0.1}},
        {"class_name": "Constant", "config": {"value": [0.1, 2, 3, 4, 5, 6]}},
        {"class_name": "Identity", "config": {"gain": 0.1}},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_of_tf_keras(configuration: dict[str, Any], dtype: str, keras: Any) -> None:
    real = keras.initializers.get(configuration)((2, 3), dtype=dtype)
    np.testing.assert_array_equal(get("i", configuration)((2, 3), dtype), real.numpy())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions_of_tf_keras(name: str, keras: Any) -> None:
    config, distribution = DISTRIBUTIONS[name]
    values = keras.initializers.get({"class_name": name, "config": {**config, "seed": 11}})(KERNEL, dtype="float64")
    assert distance(values.numpy(), distribution) < chance(math.prod(KERNEL))


def test_orthogonality_of_tf_keras(keras: Any) -> None:
    values = keras.initializers.Orthogonal(gain=3.0, seed=4)((24, 72), dtype="float64").numpy()
    np.testing.assert_allclose(values @ values.T, 9 * np.eye(24), rtol=0, atol=1e-13)


@pytest.mark.parametrize("identifier", ["foo", "", {"class_name": "foo", "config": {}}, {"class_name": "Zeros"}, {}])
def test_the_real_layer_refuses_the_same_values(identifier: Any, real_layer: Any) -> None:
    for build in (real_layer, lambda given: get("kernel_initializer", given)):
        with pytest.raises(ValueError, match=r"initializer|config"):
            build(identifier)
