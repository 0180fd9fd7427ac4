"""cuDNN, by the two ways to it that TensorFlow has; on a GPU only."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult
from gruspec.errors import Unsupported

from .admission import DeclaredGRU
from .tensorflow_loading import load_tensorflow, quiet

if TYPE_CHECKING:
    from .admission import Run


class CuDNNGRU(DeclaredGRU):
    """``CuDNNGRU`` of legacy Keras. It builds, loads and saves anywhere, and runs on a GPU."""

    layout: ClassVar = "cudnn-gru"
    title: ClassVar = "tf.compat.v1.keras.layers.CuDNNGRU"
    modules: ClassVar = ("tensorflow", "tf_keras")
    extra: ClassVar = "tensorflow"
    dtypes: ClassVar = ("float32", "float64")

    def _run(self, run: Run) -> NativeResult:
        tf = _on_gpu(self.title)
        layers = import_module("tf_keras.api._v1.keras.layers")
        with tf.device("/GPU:0"), quiet():
            layer = layers.CuDNNGRU(run.sizes.units, return_sequences=True, return_state=True, dtype=run.dtype)
            layer.build((None, None, run.sizes.input_size))
            layer.set_weights([run.arrays[name] for name in ("kernel", "recurrent_kernel", "bias")])
            outputs, state = layer(tf.constant(run.inputs), initial_state=tf.constant(run.initial_state[0]))
        return NativeResult(outputs.numpy(), state.numpy()[None])


class CuDNNParameters(DeclaredGRU):
    """cuDNN with its flat parameter buffer, by ``tf.raw_ops.CudnnRNN``."""

    layout: ClassVar = "cudnn"
    title: ClassVar = "tf.raw_ops.CudnnRNN"
    modules: ClassVar = ("tensorflow",)
    extra: ClassVar = "tensorflow"
    dtypes: ClassVar = ("float16", "float32", "float64")

    def _run(self, run: Run) -> NativeResult:
        tf = _on_gpu(self.title)
        with tf.device("/GPU:0"):
            computed = tf.raw_ops.CudnnRNN(
                input=tf.constant(np.ascontiguousarray(run.inputs.swapaxes(0, 1))),
                input_h=tf.constant(run.initial_state),
                input_c=tf.constant(np.zeros((), run.inputs.dtype)),
                params=tf.constant(run.arrays["params"]),
                rnn_mode="gru",
                input_mode="linear_input",
                direction="bidirectional" if run.sizes.directions == 2 else "unidirectional",
                is_training=False,
            )
            return NativeResult(computed.output.numpy().swapaxes(0, 1), computed.output_h.numpy())


def _on_gpu(title: str) -> Any:
    tf = load_tensorflow()
    if not tf.config.list_physical_devices("GPU"):
        raise Unsupported(f"device: {title} needs a GPU that TensorFlow sees")
    return tf
