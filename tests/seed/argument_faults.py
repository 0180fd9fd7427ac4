"""Faults of the constructor's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fault_kinds import (
    called,
    constructed,
    defaulting,
    ignored,
    inverted,
    misdirected,
    replaced,
    reporting,
    returned,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fault_kinds import Arguments, Fault
    from layers_under_test import Layer


def _steep(arguments: Arguments) -> None:
    if arguments.get("recurrent_activation", "hard_sigmoid") == "hard_sigmoid":
        arguments["recurrent_activation"] = lambda x: np.clip(x / 6 + 0.5, 0, 1)


def _turned(layer: Layer, result: Any) -> Any:
    """Return a sequence that is turned to the order of time again."""
    turns = layer.go_backwards and layer.return_sequences
    return result[:, ::-1] if turns else result


def _batch_major(layer: Layer, result: Any) -> Any:
    if not (layer.time_major and layer.return_sequences):
        return result
    return [result[0].swapaxes(0, 1), *result[1:]] if isinstance(result, list) else result.swapaxes(0, 1)


def _unrolled_mask(layer: Layer, arguments: Arguments) -> None:
    if layer.unroll and layer.go_backwards and arguments.get("mask") is not None:
        mask = np.asarray(arguments["mask"])
        arguments["mask"] = mask[::-1] if layer.time_major else mask[:, ::-1]


def _unrolled_holds(arguments: Arguments) -> None:
    if arguments.get("unroll"):
        arguments.pop("zero_output_for_mask", None)


def _exchange_rows(layer: Layer, call: Any, *args: Any, **kwargs: Any) -> Any:
    result = call(*args, **kwargs)
    if layer.stateful:
        layer.reset_states(np.roll(layer.states[0], 1, axis=0))
    return result


def _of_setting(argument: str, other: str, default: object) -> dict[str, Fault]:
    """Return the faults of an initializer, a regularizer or a constraint."""
    return {
        "ignored": ignored(argument),
        "applied to another weight": misdirected(argument, other),
        "another default": defaulting(argument, default),
    }


def always_training(_layer: Layer, arguments: Arguments) -> None:
    """Let dropout act in a call."""
    arguments["training"] = True


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "units": {
        "one more": constructed(lambda arguments: arguments.update(units=arguments["units"] + 1)),
        "none taken for one": constructed(lambda arguments: arguments.update(units=arguments["units"] or 1)),
    },
    "activation": {
        "ignored": ignored("activation"),
        "taken for the other": misdirected("activation", "recurrent_activation"),
        "another default": defaulting("activation", "sigmoid"),
    },
    "recurrent_activation": {
        "ignored": ignored("recurrent_activation"),
        "slope 1/6": constructed(_steep),
        "another default": defaulting("recurrent_activation", "sigmoid"),
    },
    "use_bias": {"ignored": ignored("use_bias"), "inverted": inverted("use_bias", default=True)},
    "kernel_initializer": _of_setting("kernel_initializer", "recurrent_initializer", "he_uniform"),
    "recurrent_initializer": _of_setting("recurrent_initializer", "kernel_initializer", "glorot_uniform"),
    "bias_initializer": _of_setting("bias_initializer", "kernel_initializer", "ones"),
    "kernel_regularizer": _of_setting("kernel_regularizer", "recurrent_regularizer", "l2"),
    "recurrent_regularizer": _of_setting("recurrent_regularizer", "kernel_regularizer", "l2"),
    "bias_regularizer": _of_setting("bias_regularizer", "activity_regularizer", "l2"),
    "activity_regularizer": {
        "ignored": ignored("activity_regularizer"),
        "applied to the kernel": misdirected("activity_regularizer", "kernel_regularizer"),
        "outputs only": reporting("losses", lambda losses: losses[:1]),
        "not divided": reporting("losses", lambda losses: [2 * loss for loss in losses]),
    },
    "kernel_constraint": _of_setting("kernel_constraint", "recurrent_constraint", "non_neg"),
    "recurrent_constraint": _of_setting("recurrent_constraint", "kernel_constraint", "non_neg"),
    "bias_constraint": _of_setting("bias_constraint", "kernel_constraint", "non_neg"),
    "dropout": {
        "ignored": ignored("dropout"),
        "taken for the other": misdirected("dropout", "recurrent_dropout"),
        "always": called(always_training),
    },
    "recurrent_dropout": {
        "ignored": ignored("recurrent_dropout"),
        "taken for the other": misdirected("recurrent_dropout", "dropout"),
        "always": called(always_training),
    },
    "return_sequences": {"ignored": ignored("return_sequences"), "inverted": inverted("return_sequences")},
    "return_state": {
        "ignored": ignored("return_state"),
        "inverted": inverted("return_state"),
        "output for state": returned(lambda _, result: [result[0]] * 2 if isinstance(result, list) else result),
    },
    "go_backwards": {
        "ignored": ignored("go_backwards"),
        "inverted": inverted("go_backwards"),
        "outputs in the order of time": returned(_turned),
    },
    "stateful": {"ignored": ignored("stateful"), "of the row before": replaced("__call__", _exchange_rows)},
    "unroll": {"mask not reversed": called(_unrolled_mask), "outputs held": constructed(_unrolled_holds)},
    "time_major": {"ignored": ignored("time_major"), "batch-major outputs": returned(_batch_major)},
    "reset_after": {"ignored": ignored("reset_after"), "another default": defaulting("reset_after", default=True)},
}
