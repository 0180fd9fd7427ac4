"""Faults of the attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fault_kinds import assignable, reporting, subclass

from gruspec_numpy import activations, constraints, initializers, regularizers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fault_kinds import Fault
    from layers_under_test import Layer, LayerClass


def _of(name: str, wrong: Callable[[Any], Any]) -> dict[str, Fault]:
    """Return the faults of an attribute; ``wrong`` makes a wrong value of the right one."""
    return {"wrong": reporting(name, wrong), "assignable": assignable(name)}


def _always(name: str, value: object) -> dict[str, Fault]:
    """Return the faults of an attribute that is wrong by being one object whatever the argument was."""
    return _of(name, lambda _: value)


def _without_effect(gru: LayerClass) -> LayerClass:
    """Return a class that reports the implementation that was asked for, and always has 1."""

    def construct(layer: Layer, *args: Any, implementation: int = 1, **kwargs: Any) -> None:
        gru.__init__(layer, *args, **kwargs)
        layer.asked = 1 if layer.recurrent_dropout else implementation

    return subclass(gru, __init__=construct, implementation=property(lambda layer: layer.asked))


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "activation": _always("activation", activations.ACTIVATIONS["softplus"]),
    "recurrent_activation": _always("recurrent_activation", activations.ACTIVATIONS["softplus"]),
    "kernel_initializer": _always("kernel_initializer", initializers.Zeros()),
    "recurrent_initializer": _always("recurrent_initializer", initializers.Zeros()),
    "bias_initializer": _always("bias_initializer", initializers.Ones()),
    "kernel_regularizer": _always("kernel_regularizer", regularizers.L1()),
    "recurrent_regularizer": _always("recurrent_regularizer", regularizers.L1()),
    "bias_regularizer": _always("bias_regularizer", regularizers.L1()),
    "kernel_constraint": _always("kernel_constraint", constraints.NonNeg()),
    "recurrent_constraint": _always("recurrent_constraint", constraints.NonNeg()),
    "bias_constraint": _always("bias_constraint", constraints.NonNeg()),
    "dropout": _of("dropout", lambda rate: 1 - rate),
    "recurrent_dropout": _of("recurrent_dropout", lambda rate: 1 - rate),
    "reset_after": _of("reset_after", lambda flag: not flag),
    "use_bias": _of("use_bias", lambda flag: not flag),
    "units": _of("units", lambda units: units + 1),
    "implementation": _of("implementation", lambda number: number or 1) | {"without effect": _without_effect},
    "states": {
        "zeros": reporting("states", lambda states: [np.zeros_like(each) for each in states]),
        "assigned in vain": assignable("states"),
    },
}
