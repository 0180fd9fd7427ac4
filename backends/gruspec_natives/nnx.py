"""flax.nnx.GRUCell, driven by flax.nnx.RNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU
from .jax_numbers import ACTIVATIONS, DTYPES, activation, computing, nested

if TYPE_CHECKING:
    from .admission import Run


class NnxCell(DeclaredGRU):
    """``flax.nnx.GRUCell``, with its parameters replaced by ``nnx.update``.

    Its own initializer of recurrent kernels does not exist in half precisions.
    """

    layout: ClassVar = "nnx"
    title: ClassVar = "flax.nnx.GRUCell"
    modules: ClassVar = ("flax", "jax", "jaxlib")
    dtypes: ClassVar = DTYPES
    activations: ClassVar = ACTIVATIONS
    recurrent_activations: ClassVar = ACTIVATIONS

    def _run(self, run: Run) -> NativeResult:
        import jax
        from flax import nnx

        with computing(run.dtype):
            cell = nnx.GRUCell(
                run.sizes.input_size,
                run.sizes.units,
                gate_fn=activation(run.recurrent_activation),
                activation_fn=activation(run.activation),
                kernel_init=nnx.initializers.zeros,
                recurrent_kernel_init=nnx.initializers.zeros,
                dtype=run.dtype,
                param_dtype=run.dtype,
                rngs=nnx.Rngs(0),
            )
            nnx.update(cell, nnx.State(jax.tree.map(jax.numpy.asarray, nested(run.arrays))))
            final, outputs = nnx.RNN(cell, return_carry=True)(
                jax.numpy.asarray(run.inputs), initial_carry=jax.numpy.asarray(run.initial_state[0])
            )
            return NativeResult(np.array(outputs), np.array(final)[None])
