"""Faults of what the page says besides names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fault_kinds import (
    called,
    constructed,
    defaulting,
    inverted,
    replaced,
    subclass,
    weighted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fault_kinds import Arguments, Fault
    from layers_under_test import Array, Layer, LayerClass


def _exchange_gates(_layer: Layer, weights: list[Array]) -> None:
    for i, array in enumerate(weights):
        update, reset, candidate = np.split(array, 3, axis=-1)
        weights[i] = np.concatenate([reset, update, candidate], axis=-1)


def _complement_update(_layer: Layer, weights: list[Array]) -> None:
    for array in weights:
        array[..., : array.shape[-1] // 3] *= -1


def _merge_biases(_layer: Layer, weights: list[Array]) -> None:
    bias = weights[-1]
    if bias.ndim == 2:
        weights[-1] = np.stack([bias.sum(axis=0), 0 * bias[0]])


def _none_is_default(argument: str) -> Fault:
    def change(arguments: Arguments) -> None:
        if arguments.get(argument, "") is None:
            del arguments[argument]

    return constructed(change)


def _broadcast_mask(_layer: Layer, arguments: Arguments) -> None:
    mask = arguments.get("mask")
    if mask is not None and len(mask) == 1:
        arguments["mask"] = np.repeat(mask, len(arguments["inputs"]), axis=0)


def _halved_in_training(_layer: Layer, arguments: Arguments) -> None:
    if arguments.get("training"):
        arguments["inputs"] = np.asarray(arguments["inputs"]) / 2


def _shortened(layer: Layer, arguments: Arguments) -> None:
    if layer.unroll:
        arguments["inputs"] = np.where(
            np.arange(np.shape(arguments["inputs"])[1])[:, None] < 100, arguments["inputs"], 0
        )


def _exchange_biases(_layer: Layer, weights: list[Array]) -> None:
    if weights[-1].ndim == 2:
        weights[-1] = weights[-1][::-1]


def _rate(name: str, change: Callable[[float], float]) -> Fault:
    def changed(arguments: Arguments) -> None:
        if name in arguments:
            arguments[name] = change(arguments[name])

    return constructed(changed)


def _of_rate(name: str) -> dict[str, Fault]:
    return {
        "sign ignored": _rate(name, abs),
        "never 1": _rate(name, lambda rate: min(rate, 0.999)),
    }


def _without(key: str) -> Fault:
    def get_config(_layer: Layer, right: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in right().items() if name != key}

    return replaced("get_config", get_config)


def _swallowing(gru: LayerClass) -> LayerClass:
    """Return a class whose constructor drops an argument that it does not know."""

    def construct(layer: Layer, *args: Any, no_such_argument: object = None, **kwargs: Any) -> None:
        del no_such_argument
        gru.__init__(layer, *args, **kwargs)

    return subclass(gru, __init__=construct)


def _hard(arguments: Arguments) -> None:
    if arguments.get("recurrent_activation") == "sigmoid":
        del arguments["recurrent_activation"]


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "gated recurrent unit": {
        "gates exchanged": weighted(_exchange_gates),
        "update complemented": weighted(_complement_update),
    },
    "every layer": {
        "incomplete configuration": _without("go_backwards"),
        "unknown arguments dropped": _swallowing,
        "weights not set": replaced("set_weights", lambda *_: None),
    },
    "reset gate before the product": {"after it": inverted("reset_after")},
    "reset gate after the product": {"before it": inverted("reset_after"), "biases merged": weighted(_merge_biases)},
    "compatible with CuDNNGRU": {
        "hard sigmoid": constructed(_hard),
        "gates exchanged": weighted(_exchange_gates),
        "biases exchanged": weighted(_exchange_biases),
    },
    "separate biases": {"merged": weighted(_merge_biases), "exchanged": weighted(_exchange_biases)},
    "activation=None": {"the default": _none_is_default("activation")},
    "recurrent_activation=None": {"the default": _none_is_default("recurrent_activation")},
    "dropout between 0 and 1": _of_rate("dropout"),
    "recurrent_dropout between 0 and 1": _of_rate("recurrent_dropout"),
    "long sequences unrolled": {"up to 100 timesteps": called(_shortened)},
    "batch-major by default": {"time-major": defaulting("time_major", default=True)},
    "mask by row and timestep": {
        "broadcast": called(_broadcast_mask),
        "ignored": called(lambda _, arguments: arguments.pop("mask", None)),
    },
    "training without dropout": {"halved inputs": called(_halved_in_training)},
}
