"""Layers of Keras for PyTorch: read, and as ``torch.nn.GRU`` where that can hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from gruspec.errors import RefusedConversion
from gruspec.files.keras_layers import keras_gru
from gruspec.layouts import convert

from .arguments import from_numpy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from gruspec.spec import GRUSpec

_LACKING: Mapping[str, str] = {
    "go_backwards": "it has no direction from last to first without one from first to last",
    "stateful": "it records no state from call to call",
    "dropout": "it has dropout between layers alone",
    "recurrent_dropout": "it has dropout between layers alone",
}
"""Arguments of the reference layer that ``torch.nn.GRU`` would ignore, and why."""

_HOLDS_ALL = "gruspec_torch.GRU.from_keras"


class KerasLayer(NamedTuple):
    """The arguments of a layer, and its weights in the reference layer's layout."""

    spec: GRUSpec
    weights: Mapping[str, Tensor]


def keras_layer(source: Any, layer: str | None, dtype: torch.dtype | None) -> KerasLayer:
    """Return a layer of Keras with its weights in a dtype, by default their own.

    Raises
    ------
    UsageError, FileError, SpecError
        As :func:`gruspec.files.keras_layers.keras_gru`.
    SpecTypeError
        If the dtype cannot hold a weight.
    """
    found = keras_gru(source, layer)
    arrays = convert(found.weights, "keras", "keras", reset_after=found.spec.reset_after, dtype=_name(dtype)).arrays
    return KerasLayer(found.spec, {name: from_numpy(array) for name, array in arrays.items()})


def to_torch_nn(
    source: Any,
    layer: str | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> torch.nn.GRU:
    """Return ``torch.nn.GRU`` with the weights of a GRU layer of Keras, where it computes the same.

    It does for ``reset_after=True`` with tanh and sigmoid. The module always returns the sequence and the state, is
    batch-first unless the layer is time-major, and is in evaluation mode. It takes padding as packed sequences, and its
    outputs at padded timesteps are zeros, as under ``zero_output_for_mask``.

    Parameters
    ----------
    source, layer, device, dtype
        As of :meth:`gruspec_torch.GRU.from_keras`.

    Raises
    ------
    RefusedConversion
        If it cannot hold the layer: the message names every argument and value.
    UsageError, FileError, SpecError
        As :func:`gruspec.files.keras_layers.keras_gru`.
    SpecTypeError
        If the dtype cannot hold a weight.
    """
    found = keras_gru(source, layer)
    spec, input_size = found.spec, len(found.weights["kernel"])
    reasons = [*_refusals(spec, input_size)]
    try:
        converted = convert(
            found.weights,
            "keras",
            "torch",
            reset_after=spec.reset_after,
            dtype=_name(dtype),
            activation=spec.activation,
            recurrent_activation=spec.recurrent_activation,
        )
    except RefusedConversion as error:
        raise RefusedConversion("torch.nn.GRU", (*error.reasons, *reasons), [_HOLDS_ALL]) from error
    if reasons:
        raise RefusedConversion("torch.nn.GRU", reasons, [_HOLDS_ALL])
    parameters = {name: from_numpy(array) for name, array in converted.arrays.items()}
    module = torch.nn.GRU(
        input_size,
        spec.units,
        bias=spec.use_bias,
        batch_first=not spec.time_major,
        device="meta",
        dtype=parameters["weight_ih_l0"].dtype,
    )
    module.to_empty(device=torch.empty(0, device=device).device)
    module.load_state_dict(parameters)
    return module.eval()


def _refusals(spec: GRUSpec, input_size: int) -> Iterator[str]:
    if input_size == 0:
        yield "input size 0: it needs at least one"
    for name, reason in _LACKING.items():
        if value := getattr(spec, name):
            yield f"{name}={value}: {reason}"


def _name(dtype: torch.dtype | None) -> str | None:
    return None if dtype is None else str(dtype).removeprefix("torch.")
