"""Regularizers in NumPy: penalties, gradients by differences, and the real tf_keras where there is one."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec.initialization import REGULARIZERS
from gruspec_numpy.regularizers import L1, L1L2, L2, OrthogonalRegularizer, UserRegularizer, get, serialize

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, np.dtype[Any]]

W = np.array([[1.0, -2.0, 0.0, 4.0], [-0.5, 3.0, 1.0, 2.0], [0.25, 0.0, -1.5, 0.5]])

ALL = {
    "l1": L1(0.25),
    "l2": L2(0.5),
    "both": L1L2(0.25, 0.5),
    "none": L1L2(),
    "negative": L1(-2.0),
    "rows": OrthogonalRegularizer(0.3),
    "columns": OrthogonalRegularizer(2.0, "columns"),
}


def test_penalties_by_hand() -> None:
    w = np.array([1.0, -2.0, 0.0, 4.0])
    assert L1(0.25)(w) == 0.25 * 7
    assert L2(0.5)(w) == 0.5 * 21
    assert L1L2(0.25, 0.5)(w) == 0.25 * 7 + 0.5 * 21
    assert L1L2(None, None)(w) == 0
    assert L1(None).l1 == L2(None).l2 == float(np.float32(0.01))
    np.testing.assert_array_equal(L1L2(0.25, 0.5).gradient(w), [1.25, -2.25, 0.0, 4.25])
    np.testing.assert_array_equal(L1(0.25).gradient(w), [0.25, -0.25, 0.0, 0.25])
    np.testing.assert_array_equal(L2(0.5).gradient(w), w)


def test_orthogonal_penalty_by_hand() -> None:
    w = np.array([[3.0, 4.0], [0.0, 2.0], [-5.0, 0.0]])
    mean = (0.8 + 0.6 + 0.0) / 3
    np.testing.assert_allclose(OrthogonalRegularizer(0.5)(w), 0.5 * mean, rtol=1e-15)
    np.testing.assert_allclose(OrthogonalRegularizer(0.5, "columns")(w.T), 0.5 * mean, rtol=1e-15)
    assert OrthogonalRegularizer()(np.ones((1, 3))) == 0
    np.testing.assert_array_equal(OrthogonalRegularizer().gradient(np.ones((1, 3))), np.zeros((1, 3)))
    assert OrthogonalRegularizer()(np.zeros((2, 3))) == 0


@pytest.mark.parametrize("name", ALL)
def test_gradients_against_central_differences(name: str) -> None:
    w = np.where(W == 0, 0.75, W)
    gradient = ALL[name].gradient(w)
    step = 1e-5
    for index in np.ndindex(w.shape):
        more, less = w.copy(), w.copy()
        more[index] += step
        less[index] -= step
        difference = float(ALL[name](more) - ALL[name](less)) / (2 * step)
        # penalties are below 32, their third derivatives below 100
        assert abs(gradient[index] - difference) < 100 * step**2 + 32 * 8 * 2.0**-52 / step


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_results_are_in_the_dtype_of_the_weight(name: str, dtype: str) -> None:
    w = W.astype(dtype)
    penalty, gradient = ALL[name](w), ALL[name].gradient(w)
    assert isinstance(penalty, np.ndarray)
    assert (penalty.dtype.name, penalty.shape) == (dtype, ())
    assert (gradient.dtype.name, gradient.shape) == (dtype, w.shape)
    assert gradient.flags.c_contiguous
    np.testing.assert_array_equal(w, W.astype(dtype))


def test_what_is_not_finite() -> None:
    with np.errstate(all="warn"):
        assert L2(1.0)(np.array([1e30], np.float32)) == np.inf
        assert np.isnan(L1L2(1.0, 1.0)(np.array([np.nan, 1.0])))
        assert L1L2(0.0, 0.0)(np.array([np.inf])) == 0
        np.testing.assert_array_equal(L1L2(1.0, 1.0).gradient(np.array([np.nan, np.inf])), [np.nan, np.inf])
        assert np.isnan(OrthogonalRegularizer()(np.full((2, 2), np.inf)))


def test_coefficients_are_kept_in_float32() -> None:
    assert L1(0.1).l1 == 0.10000000149011612
    assert L1(0.1)(np.array([1.0])) == 0.10000000149011612


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), ()])
def test_the_orthogonal_penalty_needs_a_matrix(shape: tuple[int, ...]) -> None:
    for compute in (OrthogonalRegularizer(), OrthogonalRegularizer().gradient):
        with pytest.raises(SpecError, match=r"OrthogonalRegularizer: shape .*; expected a matrix"):
            compute(np.ones(shape))


def test_names() -> None:
    for name, expected in {
        "l1": L1,
        "L1": L1,
        "l2": L2,
        "L2": L2,
        "l1_l2": L1L2,
        "L1L2": L1L2,
        "orthogonal_regularizer": OrthogonalRegularizer,
        "OrthogonalRegularizer": OrthogonalRegularizer,
    }.items():
        assert type(get("r", name)) is expected
    assert {"l1", "l2", "l1_l2"} == set(REGULARIZERS)
    assert get("r", "l1_l2").l1 == get("r", "l1_l2").l2 == float(np.float32(0.01))
    assert get("r", "L1L2").l1 == get("r", "L1L2").l2 == 0
    assert get("r", None) is None
    assert serialize(None) is None
    assert isinstance(get("r", L2), L2)
    both = L1L2(1.0)
    assert get("r", both) is both


@pytest.mark.parametrize(
    ("identifier", "error", "message"),
    [
        ("l3", SpecError, "kernel_regularizer='l3': not a known regularizer; known are l1, l2, l1_l2, "),
        ("Regularizer", SpecError, "not a known"),
        ("", SpecError, "kernel_regularizer=''"),
        ({"class_name": "Zeros", "config": {}}, SpecError, "not a known"),
        ({"class_name": "L1"}, SpecError, "lacks config"),
        ({"class_name": "L1", "config": {"l2": 0.1}}, SpecTypeError, "'l2'; its arguments are l1"),
        ({"class_name": "L1L2", "config": {"l": 0.1}}, SpecTypeError, "'l'; its arguments are l1, l2"),
        ({"class_name": "L1", "config": {"l1": "0.1"}}, SpecTypeError, r"l1='0\.1': expected a number"),
        ({"class_name": "L2", "config": {"l2": math.nan}}, SpecError, "l2=nan: expected a finite number"),
        ({"class_name": "L1L2", "config": {"l2": math.inf}}, SpecError, "l2=inf"),
        ({"class_name": "OrthogonalRegularizer", "config": {"mode": "all"}}, SpecError, "mode='all': expected 'rows'"),
        ({"class_name": "OrthogonalRegularizer", "config": {"factor": None}}, SpecTypeError, "factor=None"),
        (3, SpecTypeError, "kernel_regularizer=3: expected the name of a known regularizer"),
        (0.01, SpecTypeError, r"kernel_regularizer=0\.01"),
    ],
)
def test_bad_identifiers(identifier: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        get("kernel_regularizer", identifier)
    assert str(raised.value).startswith(f"kernel_regularizer={identifier!r}: ")


def largest(w: Array) -> Any:
    return np.abs(w).max()


class Largest:
    def __call__(self, w: Array) -> Any:
        return largest(w)

    def gradient(self, w: Array) -> Array:
        slope: Array = np.sign(w) * (np.abs(w) == largest(w))
        return slope

    def get_config(self) -> dict[str, Any]:
        return {"power": 3}


def test_a_callable_penalises_and_has_no_gradient() -> None:
    regularizer = get("kernel_regularizer", largest)
    assert isinstance(regularizer, UserRegularizer)
    penalty = regularizer(W.astype(np.float32))
    assert (float(penalty), penalty.dtype.name, penalty.shape) == (4.0, "float32", ())
    with pytest.raises(SpecError, match=r"kernel_regularizer=<function largest .*: has no gradient"):
        regularizer.gradient(W)


def test_old_configurations_name_the_coefficient_otherwise() -> None:
    assert get("r", {"class_name": "L1", "config": {"l": 0.5}}).l1 == 0.5
    assert get("r", {"class_name": "l2", "config": {"l": 0.5}}).l2 == 0.5
    assert get("r", {"class_name": "l1_l2", "config": {"l2": 0.5}}).l1 == float(np.float32(0.01))


def test_a_callable_is_written_by_what_it_is() -> None:
    kind = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    assert serialize(get("kernel_regularizer", largest)) == kind | {"config": "largest"}


def test_an_object_may_bring_its_gradient() -> None:
    regularizer = Largest()
    assert get("kernel_regularizer", regularizer) is regularizer
    assert isinstance(get("kernel_regularizer", Largest), Largest)


@pytest.mark.parametrize("result", [np.ones(2), "1", 1j])
def test_what_a_callable_returns_is_checked(result: Any) -> None:
    with pytest.raises(SpecError, match=r"kernel_regularizer=.*(single number|dtype)"):
        get("kernel_regularizer", lambda _: result)(W)


@pytest.fixture(scope="module")
def tf() -> Any:
    pytest.importorskip("tf_keras")
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def real_layer(tf: Any) -> Callable[[Any], Any]:
    """Return what builds the reference layer with a regularizer."""
    del tf
    layers = import_module("tf_keras.api._v1.keras.layers")
    return lambda identifier: layers.GRU(2, kernel_regularizer=identifier)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in ALL if name != "none"])
def test_penalties_and_gradients_of_tf_keras(name: str, dtype: str, tf: Any, real_layer: Any) -> None:
    w = W.astype(dtype)
    variable = tf.Variable(w)
    with tf.GradientTape() as tape:
        penalty = real_layer(serialize(ALL[name])).cell.kernel_regularizer(variable)
    # twelve terms are added in any order, a matrix product of length four is the longest chain before
    u = float(np.finfo(dtype).epsneg)
    np.testing.assert_allclose(ALL[name](w), penalty, rtol=32 * u)
    np.testing.assert_allclose(ALL[name].gradient(w), tape.gradient(penalty, variable), rtol=32 * u, atol=32 * u)


IDENTIFIERS: dict[str, Any] = {
    **{name: name for name in ("l1", "L1", "l2", "L2", "l1_l2", "L1L2", "orthogonal_regularizer")},
    "some": {"class_name": "L1L2", "config": {"l1": 0.1}},
    "other defaults": {"class_name": "l1_l2", "config": {"l1": 0.1}},
    "old name": {"class_name": "L1", "config": {"l": 0.3}},
    "old name of l2": {"class_name": "l2", "config": {"l": 0.3}},
    "no value": {"class_name": "L1L2", "config": {"l1": None, "l2": 1}},
    "negative": {"class_name": "L2", "config": {"l2": -1}},
    "module": {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.5}, "registered_name": None},
    "columns": {"class_name": "OrthogonalRegularizer", "config": {"factor": 1.0, "mode": "columns"}},
    "None": None,
}


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_configurations_are_those_of_the_real_layer(identifier: str, real_layer: Any) -> None:
    real = real_layer(IDENTIFIERS[identifier]).get_config()["kernel_regularizer"]
    ours = serialize(get("kernel_regularizer", IDENTIFIERS[identifier]))
    assert ours == real
    assert serialize(get("kernel_regularizer", real)) == real
    assert real_layer(ours).get_config()["kernel_regularizer"] == real


@pytest.mark.parametrize("function", [largest, Largest()])
def test_callables_are_written_as_by_the_real_layer(function: Any, real_layer: Any) -> None:
    with pytest.warns(UserWarning, match="serialize"):
        real = real_layer(function).get_config()["kernel_regularizer"]
    assert serialize(get("kernel_regularizer", function)) == real


@pytest.mark.parametrize("identifier", [{"class_name": "l3", "config": {}}, {"class_name": "L1"}, {}])
def test_the_real_layer_refuses_the_same_values(identifier: Any, real_layer: Any) -> None:
    for build in (real_layer, lambda given: get("kernel_regularizer", given)):
        with pytest.raises(ValueError, match=r"regularizer|config"):
            build(identifier)
