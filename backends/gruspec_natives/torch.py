"""torch.nn.GRU and torch.nn.GRUCell, with state dictionaries loaded strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.backend import NativeResult

from .admission import DeclaredGRU

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .admission import Run


class TorchGRU(DeclaredGRU):
    """``torch.nn.GRU`` on the CPU."""

    layout: ClassVar = "torch"
    title: ClassVar = "torch.nn.GRU"
    modules: ClassVar = ("torch",)
    extra: ClassVar = "torch"
    dtypes: ClassVar = ("float16", "bfloat16", "float32", "float64")

    def _run(self, run: Run) -> NativeResult:
        import torch

        module = torch.nn.GRU(
            run.sizes.input_size,
            run.sizes.units,
            num_layers=run.sizes.layers,
            bidirectional=run.sizes.directions == 2,
            bias=run.use_bias,
            batch_first=True,
            dtype=getattr(torch, run.dtype),
        )
        module.load_state_dict(_tensors(run.arrays), strict=True)
        with torch.inference_mode():
            outputs, states = module(_tensor(run.inputs), _tensor(run.initial_state))
        return NativeResult(_array(outputs), _array(states))


class TorchCell(DeclaredGRU):
    """``torch.nn.GRUCell`` on the CPU, called once a timestep."""

    layout: ClassVar = "torch-cell"
    title: ClassVar = "torch.nn.GRUCell"
    modules: ClassVar = TorchGRU.modules
    extra: ClassVar = TorchGRU.extra
    dtypes: ClassVar = TorchGRU.dtypes

    def _run(self, run: Run) -> NativeResult:
        import torch

        cell = torch.nn.GRUCell(
            run.sizes.input_size, run.sizes.units, bias=run.use_bias, dtype=getattr(torch, run.dtype)
        )
        cell.load_state_dict(_tensors(run.arrays), strict=True)
        state = _tensor(run.initial_state[0])
        outputs = [state]
        with torch.inference_mode():
            for inputs in run.timesteps:
                outputs.append(cell(_tensor(inputs), outputs[-1]))
            return NativeResult(_array(torch.stack(outputs[1:], dim=1)), _array(outputs[-1][None]))


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: _tensor(values) for name, values in arrays.items()}


def _tensor(values: NDArray[Any]) -> Any:
    import torch

    values = np.array(values)
    if values.dtype.name == "bfloat16":
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def _array(tensor: Any) -> NDArray[Any]:
    import torch

    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        bits: NDArray[Any] = tensor.contiguous().view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: NDArray[Any] = tensor.numpy()
    return array
