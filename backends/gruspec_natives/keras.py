"""The GRU layers of Keras: legacy Keras's where it is installed, else Keras 3's."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult
from gruspec.errors import MissingDependency

from .admission import DeclaredGRU
from .tensorflow_loading import load_tensorflow, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .admission import Run


class LegacyKerasGRU(DeclaredGRU):
    """The GRU layers of legacy Keras: of version 1 where the reset gate is applied before, of version 2 where after.

    Each is the class in which the variant is the default.
    """

    layout: ClassVar = "keras"
    title: ClassVar = "tf_keras.layers.GRU"
    modules: ClassVar = ("tensorflow", "tf_keras")
    extra: ClassVar = "tensorflow"
    dtypes: ClassVar = ("float16", "bfloat16", "float32", "float64")
    activations: ClassVar = ("tanh", "sigmoid", "hard_sigmoid", "relu", "linear")
    recurrent_activations: ClassVar = activations

    def _run(self, run: Run) -> NativeResult:
        tf = load_tensorflow()
        layers = import_module("tf_keras.layers" if run.reset_after else "tf_keras.api._v1.keras.layers")
        with tf.device("/CPU:0"), quiet():
            layer = layers.GRU(**_arguments(run), kernel_initializer="zeros", recurrent_initializer="zeros")
            layer.cell.build((None, run.sizes.input_size))
            layer.set_weights(_in_order(layer.cell.weights, run.arrays))
            outputs, state = layer(tf.constant(run.inputs), initial_state=tf.constant(run.initial_state[0]))
        return NativeResult(outputs.numpy(), state.numpy()[None])


class Keras3GRU(DeclaredGRU):
    """The GRU layer of Keras 3. Its hard sigmoid is another function: clip(x / 6 + 1 / 2, 0, 1)."""

    layout: ClassVar = "keras"
    title: ClassVar = "keras.layers.GRU"
    modules: ClassVar = ("keras",)
    dtypes: ClassVar = ("float32",)
    activations: ClassVar = ("tanh", "sigmoid", "relu", "linear")
    recurrent_activations: ClassVar = activations

    def versions(self) -> Mapping[str, str]:
        """Return the version of Keras, and what computes for it.

        Raises
        ------
        MissingDependency
            If one of both is not installed.
        """
        return {**super().versions(), "keras.backend": _load_keras().backend.backend()}

    def _require_modules(self) -> None:
        super()._require_modules()
        _load_keras()

    def _run(self, run: Run) -> NativeResult:
        keras = _load_keras()
        with keras.device("cpu"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on JAX, Keras reads its variables in a way that NumPy 2 deprecates
            layer = keras.layers.GRU(**_arguments(run))
            layer.build(run.inputs.shape)
            layer.set_weights(_in_order(layer.weights, run.arrays))
            outputs, state = layer(
                keras.ops.convert_to_tensor(run.inputs),
                initial_state=keras.ops.convert_to_tensor(run.initial_state[0]),
            )
        return NativeResult(np.array(keras.ops.convert_to_numpy(outputs)), keras.ops.convert_to_numpy(state)[None])


KerasGRU: type[DeclaredGRU] = Keras3GRU if find_spec("tf_keras") is None else LegacyKerasGRU
"""The one that runs here."""


def _load_keras() -> Any:
    try:
        return import_module("keras")
    except ImportError as error:
        raise MissingDependency(f"keras: {error}; KERAS_BACKEND chooses among tensorflow, jax, torch") from error


def _arguments(run: Run) -> dict[str, Any]:
    return {
        "units": run.sizes.units,
        "activation": run.activation,
        "recurrent_activation": run.recurrent_activation,
        "use_bias": run.use_bias,
        "reset_after": run.reset_after,
        "return_sequences": True,
        "return_state": True,
        "dtype": run.dtype,
    }


def _in_order(variables: list[Any], arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the arrays in the order of the variables that have their names."""
    return [arrays[variable.name.rpartition("/")[2].partition(":")[0]] for variable in variables]
