"""haiku.GRU, driven by haiku.dynamic_unroll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU
from .jax_numbers import DTYPES, computing

if TYPE_CHECKING:
    from .admission import Run


class HaikuGRU(DeclaredGRU):
    """``haiku.GRU``, applied with its parameters."""

    layout: ClassVar = "haiku"
    title: ClassVar = "haiku.GRU"
    modules: ClassVar = ("haiku", "jax", "jaxlib")
    dtypes: ClassVar = DTYPES

    def _run(self, run: Run) -> NativeResult:
        import haiku

        def unrolled(inputs: Any, state: Any) -> Any:
            return haiku.dynamic_unroll(haiku.GRU(run.sizes.units), inputs, state, time_major=False)

        with computing(run.dtype):
            transformed = haiku.without_apply_rng(haiku.transform(unrolled))
            outputs, state = transformed.apply({"gru": run.arrays}, run.inputs, run.initial_state[0])
            return NativeResult(np.array(outputs), np.array(state)[None])
