"""equinox.nn.GRUCell, driven by jax.lax.scan and mapped over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU
from .jax_numbers import DTYPES, computing

if TYPE_CHECKING:
    from .admission import Run


class EquinoxCell(DeclaredGRU):
    """``equinox.nn.GRUCell``, with its arrays replaced by ``equinox.tree_at``."""

    layout: ClassVar = "equinox"
    title: ClassVar = "equinox.nn.GRUCell"
    modules: ClassVar = ("equinox", "jax", "jaxlib")
    dtypes: ClassVar = DTYPES

    def _run(self, run: Run) -> NativeResult:
        import equinox
        import jax

        names = tuple(run.arrays)

        def parameters(cell: Any) -> list[Any]:
            return [getattr(cell, name) for name in names]

        with computing(run.dtype):
            cell = equinox.nn.GRUCell(
                run.sizes.input_size,
                run.sizes.units,
                use_bias=run.use_bias,
                dtype=jax.numpy.dtype(run.dtype),
                key=jax.random.key(0),
            )
            cell = equinox.tree_at(parameters, cell, [jax.numpy.asarray(run.arrays[name]) for name in names])

            def step(state: Any, inputs: Any) -> tuple[Any, Any]:
                state = cell(inputs, state)
                return state, state

            def sequence(state: Any, inputs: Any) -> Any:
                return jax.lax.scan(step, state, inputs)

            state, outputs = jax.vmap(sequence)(run.initial_state[0], run.inputs)
            return NativeResult(np.array(outputs), np.array(state)[None])
