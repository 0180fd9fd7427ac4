"""Activations by the names and configurations of the reference layer [activations].

``ACTIVATIONS`` has one entry for each name of a function in ``tf_keras.activations``. :func:`get` takes all that the
reference layer takes: such a name; the name or configuration of one of tf_keras's activation layers without weights
(``"LeakyReLU"``, ``{"class_name": "ReLU", "config": {"max_value": 6.0}}``); a callable; None for ``linear``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import SpecError, SpecTypeError

from . import activation_functions as functions
from .activation_layers import LAYERS
from .arguments import as_real
from .configurations import construct, read, unknown, write, write_callable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .activation_functions import Apply, Array, Pullback, Slope


@dataclass(frozen=True)
class Activation:
    """An activation and its derivative.

    Parameters
    ----------
    name
        What it is called; for :data:`ACTIVATIONS`, also what stands for it in a layer's configuration.
    apply
        ``apply(x)`` replaces ``x`` by the activated values, in its dtype. A layer applies it to arrays (B, u).
    pullback
        ``pullback(preactivation, activated, cotangent)`` returns the cotangent of the preactivation as a new array in
        the cotangent's dtype. The three arrays have one shape, and none is written to.
    elementwise
        Whether each value depends on its own element only. Where it is False, two gates must not be activated as one
        array.
    configuration
        Returns what stands for the activation in a layer's configuration, where that is not its name.
    """

    name: str
    apply: Apply
    pullback: Pullback
    elementwise: bool = True
    configuration: Callable[[], dict[str, Any]] | None = None

    def __call__(self, x: Any) -> Array:
        """Return the activated values of an array, which stays as it is, or of what can be made one."""
        activated = np.array(x)
        self.apply(activated)
        return activated


def get(argument_name: str, identifier: object) -> Activation:
    """Return the activation that a layer's argument means.

    Parameters
    ----------
    argument_name
        Named in errors.
    identifier
        An :class:`Activation`, a name, a configuration, None for ``linear``, or a callable that takes an array and
        returns one of the same shape. A callable has no derivative: give an :class:`Activation` where one is needed.

    Raises
    ------
    SpecError
        If a name is unknown, a configuration incomplete, or a value in it out of range.
    SpecTypeError
        If the identifier, or a value in a configuration, is of another type.

    Examples
    --------
    >>> get("activation", "silu").name
    'swish'
    >>> get("activation", "tan")
    Traceback (most recent call last):
        ...
    gruspec.errors.SpecError: activation='tan': not a known activation; known are tanh, sigmoid, ...
    """
    if isinstance(identifier, Activation):
        return identifier
    if identifier is None:
        return ACTIVATIONS["linear"]
    if isinstance(identifier, str):
        return _named(argument_name, identifier, identifier, {})
    if isinstance(identifier, Mapping):
        return _named(argument_name, identifier, *read(argument_name, identifier))
    if callable(identifier) and not isinstance(identifier, type):
        return _of_callable(argument_name, identifier)
    raise SpecTypeError(
        f"{argument_name}={identifier!r}: expected the name of an activation, a configuration, a callable, "
        "or None for 'linear'"
    )


def serialize(activation: Activation) -> str | dict[str, Any]:
    """Return what stands for an activation in the configuration that the reference layer's ``get_config`` gives.

    Raises
    ------
    SpecTypeError
        If it is a user's object that has neither ``get_config`` nor a name.

    Examples
    --------
    >>> serialize(get("activation", None))
    'linear'
    >>> serialize(get("activation", "ELU"))["config"]
    {'name': 'elu', 'trainable': True, 'dtype': 'float32', 'alpha': 1.0}
    """
    return activation.name if activation.configuration is None else activation.configuration()


def _named(argument_name: str, identifier: object, name: str, config: Mapping[str, Any]) -> Activation:
    if name in LAYERS:
        return _of_layer(argument_name, identifier, name, config)
    if name == "PReLU":
        raise SpecError(f"{argument_name}={identifier!r}: has a weight of its own, which a GRU does not keep")
    if name not in ACTIVATIONS:
        raise unknown(argument_name, identifier, "activation", [*ACTIVATIONS, *LAYERS])
    if config:
        raise SpecTypeError(f"{argument_name}={identifier!r}: {name!r} takes no arguments; its config must be empty")
    return ACTIVATIONS[name]


def _of_layer(argument_name: str, identifier: object, class_name: str, config: Mapping[str, Any]) -> Activation:
    layer = LAYERS[class_name]
    common = {key: config.get(key, default) for key, default in layer.common.items()}
    parameters = {key: value for key, value in config.items() if key not in common}
    built = construct(argument_name, identifier, layer.build, parameters)
    written = write("layers", class_name, {**common, **built.config})
    return Activation(
        class_name,
        _silent(built.apply),
        _silent(built.pullback),
        elementwise=built.elementwise,
        configuration=lambda: copy.deepcopy(written),
    )


def _of_callable(argument_name: str, function: Callable[[Array], Any]) -> Activation:
    shown = f"{argument_name}={function!r}"

    def apply(x: Array) -> None:
        activated = as_real(f"{shown}: result", function(x), x.dtype.name)
        if activated.shape != x.shape:
            raise SpecError(f"{shown}: returned shape {activated.shape} for {x.shape}; expected the same shape")
        x[...] = activated

    def pullback(_x: Array, _y: Array, _cotangent: Array) -> Array:
        raise SpecError(
            f"{shown}: a callable has no derivative; for gradients give a name, or a "
            "gruspec_numpy.activations.Activation with a pullback"
        )

    def configuration() -> dict[str, Any]:
        written = write_callable(function)
        bytecode: dict[str, Any] = written["config"]
        return bytecode if written["class_name"] == "__lambda__" else written

    name = getattr(function, "__name__", type(function).__name__)
    return Activation(name, apply, pullback, elementwise=False, configuration=configuration)


_silent = np.errstate(all="ignore")


def _elementwise(name: str, apply: Apply, slope: Slope) -> Activation:
    return Activation(name, apply, _silent(functions.pullback_of(slope)))


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": _elementwise("tanh", functions.tanh, functions.tanh_slope),
    "sigmoid": _elementwise("sigmoid", functions.sigmoid, functions.sigmoid_slope),
    "hard_sigmoid": _elementwise("hard_sigmoid", functions.hard_sigmoid, functions.hard_sigmoid_slope),
    "relu": _elementwise("relu", functions.relu, functions.relu_slope),
    "linear": _elementwise("linear", functions.linear, functions.linear_slope),
    "leaky_relu": _elementwise(
        "leaky_relu",
        _silent(partial(functions.rectifier, slope=0.2)),
        partial(functions.rectifier_slope, slope=0.2),
    ),
    "relu6": _elementwise(
        "relu6",
        _silent(partial(functions.rectifier, maximum=6.0)),
        partial(functions.rectifier_slope, maximum=6.0),
    ),
    "elu": _elementwise("elu", _silent(functions.elu), functions.elu_slope),
    "selu": _elementwise("selu", _silent(functions.selu), functions.selu_slope),
    "gelu": _elementwise("gelu", _silent(functions.gelu), functions.gelu_slope),
    "swish": _elementwise("swish", _silent(functions.swish), functions.swish_slope),
    "silu": _elementwise("swish", _silent(functions.swish), functions.swish_slope),
    "mish": _elementwise("mish", _silent(functions.mish), functions.mish_slope),
    "softplus": _elementwise("softplus", _silent(functions.softplus), functions.softplus_slope),
    "softsign": _elementwise("softsign", _silent(functions.softsign), functions.softsign_slope),
    "exponential": _elementwise("exponential", _silent(functions.exponential), functions.exponential_slope),
    "softmax": Activation(
        "softmax", _silent(functions.softmax), _silent(functions.softmax_pullback), elementwise=False
    ),
    "log_softmax": Activation(
        "log_softmax", _silent(functions.log_softmax), _silent(functions.log_softmax_pullback), elementwise=False
    ),
}
"""By the names of the functions in ``tf_keras.activations``; ``silu`` is another name of ``swish``."""
