"""The RNN operator of MXNet, which takes all weights as one vector."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from .admission import Run


class RnnOperator(DeclaredGRU):
    """``mx.nd.RNN`` in mode ``gru``. MXNet 1.9.1, the last one, needs NumPy below 1.24."""

    layout: ClassVar = "mxnet"
    title: ClassVar = "mx.nd.RNN"
    modules: ClassVar = ("mxnet",)
    dtypes: ClassVar = ("float32", "float64")

    def _run(self, run: Run) -> NativeResult:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mxnet as mx

        inputs, parameters, state = (
            mx.nd.array(np.ascontiguousarray(values), dtype=run.dtype)
            for values in (run.inputs.swapaxes(0, 1), run.arrays["parameters"], run.initial_state)
        )
        outputs, states = mx.nd.RNN(
            data=inputs,
            parameters=parameters,
            state=state,
            state_size=run.sizes.units,
            num_layers=run.sizes.layers,
            bidirectional=run.sizes.directions == 2,
            mode="gru",
            state_outputs=True,
        )
        return NativeResult(outputs.asnumpy().swapaxes(0, 1), states.asnumpy())
