"""flax.linen.GRUCell, driven by flax.linen.RNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU
from .jax_numbers import ACTIVATIONS, DTYPES, activation, computing, nested

if TYPE_CHECKING:
    from .admission import Run


class LinenCell(DeclaredGRU):
    """``flax.linen.GRUCell``, applied with its parameters."""

    layout: ClassVar = "linen"
    title: ClassVar = "flax.linen.GRUCell"
    modules: ClassVar = ("flax", "jax", "jaxlib")
    dtypes: ClassVar = DTYPES
    activations: ClassVar = ACTIVATIONS
    recurrent_activations: ClassVar = ACTIVATIONS

    def _run(self, run: Run) -> NativeResult:
        from flax import linen

        with computing(run.dtype):
            cell = linen.GRUCell(
                run.sizes.units,
                gate_fn=activation(run.recurrent_activation),
                activation_fn=activation(run.activation),
                dtype=run.dtype,
                param_dtype=run.dtype,
            )
            state, outputs = linen.RNN(cell, return_carry=True).apply(
                {"params": {"cell": nested(run.arrays)}}, run.inputs, initial_carry=run.initial_state[0]
            )
            return NativeResult(np.array(outputs), np.array(state)[None])
