"""The cells of TensorFlow: the one of TensorFlow 1, and the operation that does a whole timestep."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from gruspec.backend import NativeResult

from .admission import DeclaredGRU
from .tensorflow_loading import load_tensorflow, quiet

if TYPE_CHECKING:
    from .admission import Run


class LegacyCell(DeclaredGRU):
    """``tf.compat.v1.nn.rnn_cell.GRUCell`` of legacy Keras, in a graph, driven by ``dynamic_rnn``.

    The public name gives this class only if TF_USE_LEGACY_KERAS was set before TensorFlow was imported, so it is taken
    from where that name leads.
    """

    layout: ClassVar = "tf-gru-cell"
    title: ClassVar = "tf.compat.v1.nn.rnn_cell.GRUCell"
    modules: ClassVar = ("tensorflow", "tf_keras")
    extra: ClassVar = "tensorflow"
    dtypes: ClassVar = ("float16", "bfloat16", "float32", "float64")
    activations: ClassVar = ("tanh", "sigmoid", "hard_sigmoid", "relu", "linear")

    def _run(self, run: Run) -> NativeResult:
        tf = load_tensorflow()
        cells = import_module("tf_keras.api._v1.keras.__internal__.legacy.rnn_cell")
        v1 = tf.compat.v1
        with quiet(), tf.Graph().as_default(), tf.device("/CPU:0"):
            cell = cells.GRUCell(run.sizes.units, activation=run.activation, dtype=run.dtype)
            fed = {v1.placeholder(run.dtype, run.inputs.shape): run.inputs}
            (inputs,) = fed
            initial = v1.placeholder(run.dtype, run.initial_state[0].shape)
            fed[initial] = run.initial_state[0]
            computed = v1.nn.dynamic_rnn(cell, inputs, initial_state=initial)
            with v1.Session() as session:
                for variable in cell.weights:
                    name = variable.name.removeprefix("rnn/gru_cell/").removesuffix(":0")
                    variable.load(run.arrays[name], session)
                outputs, state = session.run(computed, fed)
        return NativeResult(outputs, state[None])


class BlockCell(DeclaredGRU):
    """``tf.raw_ops.GRUBlockCell``, called once a timestep."""

    layout: ClassVar = "tf-gru-block-cell"
    title: ClassVar = "tf.raw_ops.GRUBlockCell"
    modules: ClassVar = ("tensorflow",)
    extra: ClassVar = "tensorflow"
    dtypes: ClassVar = ("float32",)

    def _run(self, run: Run) -> NativeResult:
        tf = load_tensorflow()
        with tf.device("/CPU:0"):
            weights = {name: tf.constant(values) for name, values in run.arrays.items()}
            states = [tf.constant(run.initial_state[0])]
            for inputs in run.timesteps:
                cell = tf.raw_ops.GRUBlockCell(x=tf.constant(inputs), h_prev=states[-1], **weights)
                states.append(cell.h)
            return NativeResult(tf.stack(states[1:], axis=1).numpy(), states[-1].numpy()[None])
