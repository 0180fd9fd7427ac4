"""Ways in which a layer class can be made wrong: each makes a faulty subclass of the class that it is given."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from layers_under_test import Array, Layer, LayerClass

    Fault: TypeAlias = Callable[[LayerClass], LayerClass]
    Arguments: TypeAlias = dict[str, Any]


def constructed(change: Callable[[Arguments], Any]) -> Fault:
    """Plant a change of the constructor's arguments, by name as they are given."""

    def plant(gru: LayerClass) -> LayerClass:
        def construct(layer: Layer, *args: Any, **kwargs: Any) -> None:
            arguments = _by_name(gru.__init__, layer, args, kwargs)
            change(arguments)
            gru.__init__(layer, **arguments)

        return subclass(gru, __init__=construct)

    return plant


def called(change: Callable[[Layer, Arguments], Any]) -> Fault:
    """Plant a change of the arguments of each call, by name as they are given."""

    def plant(gru: LayerClass) -> LayerClass:
        def call(layer: Layer, *args: Any, **kwargs: Any) -> Any:
            arguments = _by_name(gru.__call__, layer, args, kwargs)
            change(layer, arguments)
            return gru.__call__(layer, **arguments)

        return subclass(gru, __call__=call)

    return plant


def replaced(name: str, function: Callable[..., Any]) -> Fault:
    """Plant ``function(layer, method, ...)`` for a method; it gets the right method to call."""

    def plant(gru: LayerClass) -> LayerClass:
        def method(layer: Layer, *args: Any, **kwargs: Any) -> Any:
            def right(*changed: Any, **named: Any) -> Any:
                return getattr(gru, name)(layer, *changed, **named)

            return function(layer, right, *args, **kwargs)

        return subclass(gru, **{name: method})

    return plant


def returned(change: Callable[[Layer, Any], Any]) -> Fault:
    """Plant a change of what a call returns."""
    return replaced("__call__", lambda layer, call, *args, **kwargs: change(layer, call(*args, **kwargs)))


def weighted(change: Callable[[Layer, list[Array]], Any]) -> Fault:
    """Plant a change of the weights that are set, as copies in a list."""

    def set_weights(layer: Layer, right: Callable[[list[Array]], None], weights: list[Array]) -> None:
        copies = [np.array(each) for each in weights]
        change(layer, copies)
        right(copies)

    return replaced("set_weights", set_weights)


def reporting(name: str, change: Callable[[Any], Any]) -> Fault:
    """Plant a change of the value of an attribute."""

    def plant(gru: LayerClass) -> LayerClass:
        faulty = subclass(gru, **{name: property(lambda layer: change(getattr(super(faulty, layer), name)))})
        return faulty

    return plant


def assignable(name: str) -> Fault:
    """Plant an attribute that takes what is assigned to it, and stays as it is."""

    def plant(gru: LayerClass) -> LayerClass:
        faulty = subclass(
            gru, **{name: property(lambda layer: getattr(super(faulty, layer), name), lambda _layer, _value: None)}
        )
        return faulty

    return plant


def ignored(argument: str) -> Fault:
    """Plant that an argument of the constructor is not looked at."""
    return constructed(lambda arguments: arguments.pop(argument, None))


def inverted(flag: str, *, default: bool = False) -> Fault:
    """Plant that a flag of the constructor means the opposite."""
    return constructed(lambda arguments: arguments.update({flag: not arguments.get(flag, default)}))


def misdirected(argument: str, other: str) -> Fault:
    """Plant that an argument of the constructor is taken for another one."""

    def change(arguments: Arguments) -> None:
        if argument in arguments:
            arguments[other] = arguments.pop(argument)

    return constructed(change)


def defaulting(argument: str, default: object) -> Fault:
    """Plant another default of an argument of the constructor."""
    return constructed(lambda arguments: arguments.setdefault(argument, default))


def subclass(gru: LayerClass, **members: Any) -> LayerClass:
    """Return a subclass of the same name with other members."""
    return cast("LayerClass", type(gru.__name__, (gru,), members))


def _by_name(function: Callable[..., Any], layer: Layer, args: tuple[Any, ...], kwargs: Arguments) -> Arguments:
    """Return the arguments of a method by name, without the layer."""
    signature = inspect.signature(function)
    bound = dict(signature.bind(layer, *args, **kwargs).arguments)
    del bound[next(iter(signature.parameters))]
    rest = [name for name, parameter in signature.parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    for name in rest:
        bound |= bound.pop(name, {})
    return bound
