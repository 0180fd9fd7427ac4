"""The tests of Keras 3 for its layer GRU, as they are shipped, with another computation inside the layer.

Keras keeps all that surrounds the computation: construction, configuration, weights, dropout masks, the checks of
arguments. What a call of the layer computes, the state that it records and the losses of its regularizers come from
the implementation under test.
"""

from __future__ import annotations

import os
import unittest
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest import mock
from weakref import WeakKeyDictionary

import numpy as np

from benchmarks.peer_suites.suite import NotExpressible, TestSuite
from gruspec.spec import GRUSpec, WeightSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gruspec.faults import FaultyBackend

    Array = NDArray[Any]

_MODULE = "keras.src.layers.rnn.gru_test"
_ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear")
"""Those that are the same functions in Keras 3; its hard_sigmoid has slope 1/6."""

_SHARED = (
    "units",
    "use_bias",
    "dropout",
    "recurrent_dropout",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "reset_after",
    "zero_output_for_mask",
)
"""Arguments of the specification that are attributes of the Keras layer."""

_REGULARIZERS = ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "activity_regularizer")


def suite() -> TestSuite:
    """Return the tests that Keras runs on its NumPy backend.

    Raises
    ------
    ImportError
        If Keras 3, or what its tests import, is not installed.
    RuntimeError
        If Keras was imported before with another backend.
    """
    os.environ["KERAS_BACKEND"] = "numpy"
    keras = import_module("keras")
    if (chosen := keras.config.backend()) != "numpy":
        raise RuntimeError(f"Keras runs on {chosen}; start a new process, with KERAS_BACKEND=numpy")
    cases = import_module(_MODULE).GRUTest
    tests, left_out = {}, {}
    for name in unittest.TestLoader().getTestCaseNames(cases):
        if reason := _skipped(getattr(cases, name)):
            left_out[name] = reason
        else:
            tests[name] = partial(_check, keras, cases, name)
    return TestSuite("keras", "Keras 3 tests", keras.__version__, tests, left_out)


def _skipped(test: Any) -> str:
    """Return why pytest would skip a test, or nothing."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "skipif" and mark.args[0]]
    return marks[0].kwargs["reason"] if marks else ""


def _check(keras: Any, cases: Any, name: str, backend: FaultyBackend) -> None:
    keras.utils.set_random_seed(0)
    with computed_by(backend, keras.layers.GRU):
        cases(name).debug()


@contextmanager
def computed_by(backend: FaultyBackend, layer_class: Any) -> Iterator[None]:
    """Let calls of a Keras layer class be computed by an implementation.

    Parameters
    ----------
    backend
        The implementation.
    layer_class
        ``keras.layers.GRU``; it is changed as long as the context lasts.
    """
    computations: WeakKeyDictionary[Any, _Computation] = WeakKeyDictionary()
    usual_reset, usual_losses = layer_class.reset_state, layer_class.losses

    def call(self: Any, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:  # noqa: FBT001, FBT002  the signature of the layer
        if self not in computations:
            computations[self] = _Computation(backend, self)
        return computations[self](sequences, initial_state, mask, training=training)

    def reset_state(self: Any) -> None:
        usual_reset(self)
        if self in computations:
            computations[self].layer.reset_states()

    def losses(self: Any) -> list[Any]:
        return list(computations[self].layer.losses) if self in computations else usual_losses.__get__(self)

    with mock.patch.multiple(layer_class, call=call, reset_state=reset_state, losses=property(losses)):
        yield


class _Computation:
    """What a Keras layer computes: an implementation bound to the layer's arguments and to its weights as they are.

    An implementation that lacks the layer's dtype computes in float32, and its results are cast.
    """

    def __init__(self, backend: FaultyBackend, keras_layer: Any) -> None:
        self._keras_layer = keras_layer
        self._wanted = keras_layer.compute_dtype
        self._dtype = self._wanted if self._wanted in backend.capabilities().dtypes else "float32"
        cell = keras_layer.cell
        names = ("kernel", "recurrent_kernel", "bias") if cell.use_bias else ("kernel", "recurrent_kernel")
        weights = {name: self._taken(getattr(cell, name)) for name in names}
        self.layer = backend.prepare(
            _spec(keras_layer), weights, dtype=self._dtype, device="cpu", settings=_settings(keras_layer)
        )

    def __call__(self, sequences: Any, initial_state: Any, mask: Any, *, training: bool) -> Any:
        inputs = self._taken(sequences)
        (given,) = initial_state if isinstance(initial_state, (list, tuple)) else (initial_state,)
        output = self.layer(
            inputs,
            mask=None if mask is None else np.asarray(mask),
            initial_state=None if given is None else self._taken(given),
            training=bool(training),
            dropout_masks=self._dropout_masks(inputs),
        )
        found = self._given_back(output.outputs)
        return (found, self._given_back(output.state)) if self._keras_layer.return_state else found

    def _taken(self, array: Any) -> Array:
        return np.asarray(array).astype(self._dtype)

    def _given_back(self, array: Any) -> Array:
        """Return a result in the dtype of the Keras layer, unless it has not even the dtype that was asked for."""
        result = np.asarray(array)
        return result.astype(self._wanted) if result.dtype == self._dtype else result

    def _dropout_masks(self, inputs: Array) -> dict[str, Array]:
        """Return the masks that Keras draws for a call, in training or not."""
        cell, masks = self._keras_layer.cell, {}
        states = np.zeros((inputs.shape[0], cell.units), inputs.dtype)
        for name, drawn in (
            ("inputs", cell.get_dropout_mask(inputs[:, 0])),
            ("recurrent", cell.get_recurrent_dropout_mask(states)),
        ):
            if drawn is not None:
                masks[name] = np.stack(drawn) if isinstance(drawn, list) else np.asarray(drawn)[None]
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
        return masks


def _spec(keras_layer: Any) -> GRUSpec:
    shared = {name: getattr(keras_layer, name) for name in _SHARED}
    return GRUSpec(
        **shared,
        activation=_activation(keras_layer.activation),
        recurrent_activation=_activation(keras_layer.recurrent_activation),
        implementation=keras_layer.cell.implementation,
    )


def _activation(function: Any) -> str:
    name: str = function.__name__
    if name not in _ACTIVATIONS:
        raise NotExpressible(f"activation {name}")
    return name


def _settings(keras_layer: Any) -> WeightSettings | None:
    found = {name: getattr(keras_layer, name) for name in _REGULARIZERS}
    factors = {
        name: {"class_name": "L1L2", "config": {key: float(getattr(given, key, 0)) for key in ("l1", "l2")}}
        for name, given in found.items()
        if given is not None
    }
    return WeightSettings(**factors) if factors else None
