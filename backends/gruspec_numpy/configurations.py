"""Configurations: how the reference layer writes an object as a dict, and how such a dict is read.

A built-in is written as ``{"module": ..., "class_name": ..., "config": ..., "registered_name": None}``. Only
``class_name`` and ``config`` count when it is read (tf_keras 2.21, ``saving/serialization_lib.py``).
"""

from __future__ import annotations

import codecs
import inspect
import marshal
import math
from collections.abc import Mapping
from numbers import Real
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gruspec.errors import SpecError, SpecTypeError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def read(argument_name: str, configuration: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the class name and the arguments that a configuration states.

    A function is written with its name for ``config``: it gives that name and no arguments.

    Raises
    ------
    SpecError
        If ``class_name`` or ``config`` is missing.
    SpecTypeError
        If one of them is of another type.
    """
    if missing := [key for key in ("class_name", "config") if key not in configuration]:
        raise SpecError(
            f"{argument_name}={configuration!r}: lacks {listed(missing)}; "
            'expected {"class_name": ..., "config": {...}}, as get_config gives'
        )
    class_name, config = configuration["class_name"], configuration["config"]
    if class_name == "function" and isinstance(config, str):
        return config, {}
    if not isinstance(class_name, str) or not isinstance(config, Mapping):
        raise SpecTypeError(f"{argument_name}={configuration!r}: expected a string class_name and a dict config")
    return class_name, config


def construct(argument_name: str, identifier: object, factory: Callable[..., T], config: Mapping[str, Any]) -> T:
    """Return what a factory makes of the arguments in a configuration.

    Raises
    ------
    SpecTypeError
        If the factory does not take these arguments.
    SpecError
        If it refuses a value.
    """
    signature = inspect.signature(factory)
    try:
        signature.bind(**config)
    except TypeError as error:
        known = listed(signature.parameters)
        raise SpecTypeError(f"{argument_name}={identifier!r}: {error}; its arguments are {known}") from error
    try:
        return factory(**config)
    except (SpecError, SpecTypeError) as error:
        raise type(error)(f"{argument_name}={identifier!r}: {error}") from error


def unknown(argument_name: str, identifier: object, kind: str, names: Iterable[str]) -> SpecError:
    """Return the error for a name that is not a built-in."""
    return SpecError(f"{argument_name}={identifier!r}: not a known {kind}; known are {listed(names)}")


def write(module: str, class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a built-in of ``keras.<module>``."""
    return {
        "module": f"keras.{module}",
        "class_name": class_name,
        "config": _plain(config),
        "registered_name": None,
    }


def write_callable(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the configuration of a user's callable, as the reference layer writes it.

    It records what the callable was; neither the reference layer nor this package makes a callable from it. Of a
    lambda it keeps the bytecode.

    Raises
    ------
    SpecTypeError
        If the callable has neither ``get_config`` nor a name.
    """
    if isinstance(function, FunctionType) and function.__name__ == "<lambda>":
        return {"class_name": "__lambda__", "config": {"value": _bytecode(function)}}
    kind = type(function)
    if hasattr(function, "get_config"):
        config = _plain(function.get_config())
    elif hasattr(function, "__name__"):
        config = function.__name__
    else:
        raise SpecTypeError(f"{function!r}: cannot be written to a configuration; give it a get_config method")
    return {
        "module": None if kind.__module__ == "__main__" else kind.__module__,
        "class_name": kind.__name__,
        "config": config,
        "registered_name": kind.__name__,
    }


def array_from(value: Any) -> Any:
    """Return the array that a configuration states as ``__numpy__``, and any other value as it is."""
    if isinstance(value, Mapping) and value.get("class_name") == "__numpy__":
        return np.array(value["config"]["value"], value["config"]["dtype"])
    return value


def number(name: str, value: object) -> Any:
    """Return a parameter as it is given.

    Raises
    ------
    SpecTypeError
        If it is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecTypeError(f"{name}={value!r}: expected a number")
    return value


def rounded(name: str, value: object, *, least: float = -math.inf) -> float:
    """Return a parameter rounded to float32, as tf_keras keeps those of regularizers and activation layers.

    Raises
    ------
    SpecTypeError
        If it is not a number.
    SpecError
        If it is below ``least``, or not finite in float32.
    """
    with np.errstate(over="ignore"):
        kept = float(np.float32(number(name, value)))
    if not (math.isfinite(kept) and kept >= least):
        bound = "" if least == -math.inf else f", not below {least}"
        raise SpecError(f"{name}={value!r}: expected a finite number{bound}")
    return kept


def _plain(value: Any) -> Any:
    """Return a value of a configuration without NumPy objects, as the reference layer writes it."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    if isinstance(value, np.ndarray) and value.ndim:
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
    return value.item() if isinstance(value, np.ndarray | np.generic) else value


def _bytecode(function: FunctionType) -> tuple[str, tuple[Any, ...] | None, tuple[Any, ...] | None]:
    """Return code, defaults and closure, as ``func_dump`` of tf_keras ``utils/generic_utils.py`` does."""
    code = codecs.encode(marshal.dumps(function.__code__), "base64").decode("ascii")
    closure = tuple(cell.cell_contents for cell in function.__closure__) if function.__closure__ else None
    return code, function.__defaults__, closure
