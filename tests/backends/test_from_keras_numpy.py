"""Layers of Keras as layers of NumPy: what a layer or a file says reaches the layer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gruspec_numpy
from gruspec.errors import SpecError, UsageError

tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("flint")

from whole_layers import cases, failures, live_layer, results, running, saved_models  # noqa: E402  needs all of them

if TYPE_CHECKING:
    from pathlib import Path

    from gruspec.cases import Case

V1 = import_module("gruspec_tensorflow.adapter").V1.resolve()
BoundLayer = import_module("gruspec_numpy.adapter").BoundLayer
CASES = cases("numpy/")
X = np.random.default_rng(3).uniform(-2, 2, (2, 5, 3)).astype("float32")


def close(computed: Any, expected: Any) -> None:
    np.testing.assert_allclose(computed, np.asarray(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_both_layers_are_within_the_bounds(case: Case, dtype: str) -> None:
    keras = live_layer(case, dtype)
    layer = gruspec_numpy.from_keras(keras)
    assert layer.dtype == dtype
    assert failures(case, results(case, running(keras, case), dtype), dtype) == []
    assert failures(case, results(case, BoundLayer(layer), dtype), dtype) == []


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_model_files(suffix: str, tmp_path: Path) -> None:
    for path, name, layer in saved_models(tmp_path, suffix, X):
        close(gruspec_numpy.from_keras(path, name)(X), layer(X))


def test_dtype_can_be_another() -> None:
    layer = V1(4)
    expected = layer(X)
    found = gruspec_numpy.from_keras(layer, dtype="float64")
    assert found.get_weights()[0].dtype == np.float64
    close(found(X), expected)


def test_what_is_no_layer_of_the_specification_is_refused() -> None:
    layer = V1(4, activation="swish")
    layer(X)
    with pytest.raises(SpecError, match="activation='swish'"):
        gruspec_numpy.from_keras(layer)
    with pytest.raises(UsageError, match="0 weights of 3"):
        gruspec_numpy.from_keras(V1(4))
