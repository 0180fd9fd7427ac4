"""Constraints in NumPy: norms, and the real tf_keras where there is one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec.initialization import CONSTRAINTS
from gruspec_numpy.constraints import MaxNorm, MinMaxNorm, NonNeg, RadialConstraint, UnitNorm, get, serialize

if TYPE_CHECKING:
    from collections.abc import Callable

    from gruspec_numpy.constraints import Constraint

    Array = np.ndarray[Any, np.dtype[Any]]

W = np.random.default_rng(8).uniform(-1, 1, (6, 9)) * np.linspace(0.01, 3, 9)

ALL: dict[str, Constraint] = {
    "max": MaxNorm(),
    "max of rows": MaxNorm(1.5, axis=1),
    "max of all": MaxNorm(1.0, axis=[0, 1]),
    "max of everything": MaxNorm(1.0, axis=None),
    "no norm": MaxNorm(-1),
    "unit": UnitNorm(),
    "unit rows": UnitNorm(axis=-1),
    "between": MinMaxNorm(1.0, 2.0),
    "part of the way": MinMaxNorm(1.0, 2.0, 0.3, axis=1),
    "crossed": MinMaxNorm(3.0, 2.0),
    "non-negative": NonNeg(),
}


def norms(w: Array, axis: Any = 0) -> Array:
    values: Array = np.sqrt(np.square(w).sum(axis=axis))
    return values


def test_norms_are_where_they_should_be() -> None:
    given = norms(W)
    assert given.min() < 0.5
    assert given.max() > 1.5
    rtol = 1e-7 / given.min()
    np.testing.assert_allclose(norms(MaxNorm(1.5)(W)), np.minimum(given, 1.5), rtol=rtol)
    np.testing.assert_allclose(norms(UnitNorm()(W)), np.ones(9), rtol=rtol)
    np.testing.assert_allclose(norms(MinMaxNorm(0.5, 1.5)(W)), np.clip(given, 0.5, 1.5), rtol=rtol)
    half = MinMaxNorm(0.5, 1.5, rate=0.5)(W)
    np.testing.assert_allclose(norms(half), (np.clip(given, 0.5, 1.5) + given) / 2, rtol=rtol)
    np.testing.assert_allclose(norms(MaxNorm(1.5, axis=1)(W), 1), np.minimum(norms(W, 1), 1.5), rtol=rtol)
    np.testing.assert_allclose(norms(MaxNorm(1.5, axis=(0, 1))(W), None), 1.5, rtol=rtol)


def test_bounds_that_cross() -> None:
    np.testing.assert_allclose(norms(MinMaxNorm(3.0, 2.0)(W)), np.full(9, 3.0), rtol=1e-7 / norms(W).min())
    np.testing.assert_array_equal(MaxNorm(-1)(W), np.zeros_like(W))


def test_the_epsilon_is_that_of_the_reference() -> None:
    w = np.array([[3e-7], [4e-7]])
    np.testing.assert_allclose(UnitNorm()(w), w / 6e-7, rtol=1e-15)
    np.testing.assert_allclose(MaxNorm()(w), w * (5e-7 / 6e-7), rtol=1e-15)
    np.testing.assert_allclose(MinMaxNorm(1.0, 2.0)(w), w / 6e-7, rtol=1e-15)
    np.testing.assert_array_equal(UnitNorm()(np.zeros((2, 1))), np.zeros((2, 1)))


def test_non_negative() -> None:
    w = np.array([-1.0, -0.0, 0.0, 2.0, np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(NonNeg()(w), [0, 0, 0, 2, np.nan, 0, np.inf])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_results_are_like_the_weight(name: str, dtype: str) -> None:
    w = W.astype(dtype)
    constrained = ALL[name](w)
    assert (constrained.dtype.name, constrained.shape) == (dtype, w.shape)
    assert not np.shares_memory(constrained, w)
    np.testing.assert_array_equal(w, W.astype(dtype))


@pytest.mark.parametrize("name", ALL)
def test_nothing_warns(name: str) -> None:
    with np.errstate(all="warn", under="ignore"):
        ALL[name](np.array([[1e30, np.nan, np.inf], [0.0, -np.inf, 0.0]], np.float32))


def test_biases_have_one_axis() -> None:
    np.testing.assert_allclose(norms(MaxNorm(1.0)(np.array([3.0, 4.0]))), 1, rtol=1e-7)
    with pytest.raises(SpecError, match=r"axis=1: a weight of shape \(2,\) does not have it"):
        MaxNorm(axis=1)(np.ones(2))
    with pytest.raises(SpecError, match=r"axis=\[0, 0\]"):
        UnitNorm(axis=[0, 0])(W)
    with pytest.raises(SpecError, match=r"axis=-2"):
        MinMaxNorm(axis=-2)(np.ones(2))


RADIAL = {
    2: [[0, 0], [0, 0]],
    3: [[4, 4, 4], [4, 0, 4], [4, 4, 4]],
    4: [[15, 15, 15, 15], [15, 5, 5, 15], [15, 5, 5, 15], [15, 15, 15, 15]],
    5: [[18, 18, 18, 18, 18], [18, 12, 12, 12, 18], [18, 12, 6, 12, 18], [18, 12, 12, 12, 18], [18, 18, 18, 18, 18]],
}
"""The planes that tf_keras 2.21 makes of the numbers from 0 on."""


@pytest.mark.parametrize("size", RADIAL)
def test_radial(size: int) -> None:
    plane = np.arange(size * size, dtype=float).reshape(size, size, 1, 1)
    weight = np.concatenate([np.concatenate([plane, plane + 100], 2), np.concatenate([2 * plane, -plane], 2)], 3)
    constrained = RadialConstraint()(weight)
    expected = np.array(RADIAL[size])
    np.testing.assert_array_equal(constrained[:, :, 0, 0], expected)
    np.testing.assert_array_equal(constrained[:, :, 1, 0], expected + 100)
    np.testing.assert_array_equal(constrained[:, :, 0, 1], 2 * expected)
    np.testing.assert_array_equal(constrained[:, :, 1, 1], -expected)


@pytest.mark.parametrize("shape", [(2, 6), (6,), (2, 3, 1, 1), (1, 1, 1, 1)])
def test_radial_needs_squares(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match="RadialConstraint: shape"):
        RadialConstraint()(np.ones(shape))


def test_defaults() -> None:
    assert MaxNorm().get_config() == {"max_value": 2, "axis": 0}
    assert UnitNorm().get_config() == {"axis": 0}
    assert MinMaxNorm().get_config() == {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}
    assert serialize(NonNeg()) == {
        "module": "keras.constraints",
        "class_name": "NonNeg",
        "config": {},
        "registered_name": None,
    }


def test_names() -> None:
    old = {"max_norm": "maxnorm", "non_neg": "nonneg", "unit_norm": "unitnorm"}
    for name in CONSTRAINTS:
        class_name = "".join(part.capitalize() for part in name.split("_"))
        for spelling in (name, class_name, old.get(name, name)):
            assert type(get("c", spelling)).__name__ == class_name
    assert get("c", None) is None
    assert serialize(None) is None
    assert isinstance(get("c", NonNeg), NonNeg)
    unit = UnitNorm()
    assert get("c", unit) is unit


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("max", SpecError, "bias_constraint='max': not a known constraint; known are max_norm, non_neg, "),
        ("Constraint", SpecError, "not a known"),
        ("minmaxnorm", SpecError, "not a known"),
        ({"class_name": "L1", "config": {}}, SpecError, "not a known"),
        ({"config": {}}, SpecError, "lacks class_name"),
        ({"class_name": "MaxNorm", "config": {"max": 1}}, SpecTypeError, "'max'; its arguments are max_value, axis"),
        ({"class_name": "NonNeg", "config": {"axis": 1}}, SpecTypeError, "'axis'; its arguments are none"),
        ({"class_name": "MaxNorm", "config": {"max_value": "2"}}, SpecTypeError, "max_value='2': expected a number"),
        ({"class_name": "MaxNorm", "config": {"axis": 1.0}}, SpecTypeError, r"axis=1\.0: expected an integer"),
        ({"class_name": "UnitNorm", "config": {"axis": [0, "1"]}}, SpecTypeError, "axis="),
        ({"class_name": "UnitNorm", "config": {"axis": True}}, SpecTypeError, "axis=True"),
        ({"class_name": "MinMaxNorm", "config": {"rate": None}}, SpecTypeError, "rate=None"),
        ({"class_name": "MinMaxNorm", "config": {"min_value": "0"}}, SpecTypeError, "min_value='0'"),
        ({"class_name": "MinMaxNorm", "config": {"max_value": True}}, SpecTypeError, "max_value=True"),
        (2, SpecTypeError, "bias_constraint=2: expected the name of a known constraint"),
    ],
)
def test_bad_identifiers(identifier: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        get("bias_constraint", identifier)
    assert str(raised.value).startswith(f"bias_constraint={identifier!r}: ")


def halved(w: Any) -> Any:
    return w / 2


class Halved:
    def __call__(self, w: Any) -> Any:
        return w / 2

    def get_config(self) -> dict[str, Any]:
        return {"axes": [0, (1, 2)], "scale": np.float64(0.5)}


def test_callables() -> None:
    assert get("c", halved) is halved
    assert isinstance(get("c", Halved), Halved)


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("tf_keras")


@pytest.fixture(scope="module")
def real_layer(keras: Any) -> Callable[[Any], Any]:
    """Return what builds the reference layer with a constraint."""
    del keras
    layers = import_module("tf_keras.api._v1.keras.layers")
    return lambda identifier: layers.GRU(2, kernel_constraint=identifier)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, dtype) for name in ALL for dtype in ("float32", "float64") if (name, dtype) != ("non-negative", "float64")],
)
def test_values_of_tf_keras(name: str, dtype: str, real_layer: Any) -> None:
    """All but NonNeg in float64, where tf_keras multiplies by a mask in float32, which TensorFlow refuses."""
    w = W.astype(dtype)
    real = real_layer(serialize(ALL[name])).cell.kernel_constraint(import_module("tensorflow").constant(w))
    # up to 54 squares are added, in any order
    np.testing.assert_allclose(ALL[name](w), real, rtol=64 * float(np.finfo(dtype).epsneg))


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7])
def test_radial_values_of_tf_keras(size: int, keras: Any) -> None:
    w = np.random.default_rng(size).uniform(-1, 1, (size, size, 2, 3))
    real = keras.constraints.RadialConstraint()(import_module("tensorflow").constant(w))
    np.testing.assert_array_equal(RadialConstraint()(w), real)


IDENTIFIERS: dict[str, Any] = {
    **{name: name for name in (*CONSTRAINTS, "MaxNorm", "NonNeg", "maxnorm", "nonneg", "unitnorm")},
    "values": {"class_name": "MinMaxNorm", "config": {"min_value": 0.1, "max_value": 2, "rate": 0.5, "axis": 1}},
    "axes": {"class_name": "MaxNorm", "config": {"max_value": np.float32(0.1), "axis": [0, 1]}},
    "tuple": {"class_name": "UnitNorm", "config": {"axis": (0, 1)}},
    "module": {"module": "keras.constraints", "class_name": "UnitNorm", "config": {"axis": 1}, "registered_name": None},
    "None": None,
}


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_configurations_are_those_of_the_real_layer(identifier: str, real_layer: Any) -> None:
    real = real_layer(IDENTIFIERS[identifier]).get_config()["kernel_constraint"]
    ours = serialize(get("kernel_constraint", IDENTIFIERS[identifier]))
    assert ours == real
    assert serialize(get("kernel_constraint", real)) == real
    assert real_layer(ours).get_config()["kernel_constraint"] == real


@pytest.mark.parametrize("function", [halved, Halved()])
def test_callables_are_written_as_by_the_real_layer(function: Any, real_layer: Any) -> None:
    with pytest.warns(UserWarning, match="serialize"):
        real = real_layer(function).get_config()["kernel_constraint"]
    assert serialize(get("kernel_constraint", function)) == real


@pytest.mark.parametrize("identifier", ["foo", "", {"class_name": "foo", "config": {}}, {"class_name": "NonNeg"}, {}])
def test_the_real_layer_refuses_the_same_values(identifier: Any, real_layer: Any) -> None:
    for build in (real_layer, lambda given: get("kernel_constraint", given)):
        with pytest.raises(ValueError, match=r"constraint|config"):
            build(identifier)
