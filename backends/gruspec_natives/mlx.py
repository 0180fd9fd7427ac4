"""mlx.nn.GRU, on the CPU where there is nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from .admission import Run


class MlxGRU(DeclaredGRU):
    """``mlx.nn.GRU``, with weights loaded strictly. It returns outputs and no state."""

    layout: ClassVar = "mlx"
    title: ClassVar = "mlx.nn.GRU"
    modules: ClassVar = ("mlx",)
    dtypes: ClassVar = ("float32",)

    def _run(self, run: Run) -> NativeResult:
        import mlx.core as mx
        from mlx import nn

        with mx.stream(mx.cpu):
            module = nn.GRU(run.sizes.input_size, run.sizes.units, bias=run.use_bias)
            module.load_weights([(name, mx.array(values)) for name, values in run.arrays.items()], strict=True)
            outputs = module(mx.array(run.inputs), mx.array(run.initial_state[0]))
            return NativeResult(np.array(outputs), None)
