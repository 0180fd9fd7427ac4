"""paddle.nn.GRU on the CPU, with its state dictionary set."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gruspec.backend import NativeResult
from gruspec.errors import Unsupported, listed

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from .admission import Run


class PaddleGRU(DeclaredGRU):
    """``paddle.nn.GRU`` with both biases.

    Without one of them, Paddle 3.3 gives parameters the names of others, and the process ends in its operator.
    """

    layout: ClassVar = "paddle"
    title: ClassVar = "paddle.nn.GRU"
    modules: ClassVar = ("paddle",)
    dtypes: ClassVar = ("float32", "float64")

    def _run(self, run: Run) -> NativeResult:
        absent = [name for name in ("bias_ih", "bias_hh") if f"{name}_l0" not in run.arrays]
        if absent:
            raise Unsupported(f"{absent[0]}: paddle.nn.GRU runs only with both biases")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import paddle

        paddle.set_device("cpu")
        usual = paddle.get_default_dtype()
        paddle.set_default_dtype(run.dtype)
        try:
            module = paddle.nn.GRU(
                run.sizes.input_size,
                run.sizes.units,
                num_layers=run.sizes.layers,
                direction="bidirect" if run.sizes.directions == 2 else "forward",
            )
        finally:
            paddle.set_default_dtype(usual)
        module.eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every parameter has a second name, 0.cell.weight_ih, that is not given
            _, unexpected = module.set_state_dict({name: np.ascontiguousarray(run.arrays[name]) for name in run.arrays})
        if unexpected:
            raise Unsupported(f"{listed(unexpected)}: this version of paddle.nn.GRU has no such parameters")
        with paddle.no_grad():
            outputs, states = module(
                *(paddle.to_tensor(np.ascontiguousarray(values)) for values in (run.inputs, run.initial_state))
            )
        return NativeResult(outputs.numpy(), states.numpy())
