"""Initializers by the names and configurations of the reference layer (tf_keras 2.21, ``initializers/__init__.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .initializer_classes import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    Initializer,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    Published,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from .kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]


def get(argument_name: str, identifier: object) -> Any:
    """Return the initializer that a layer's argument means, or None for None: the layer's default.

    Parameters
    ----------
    argument_name
        Named in errors.
    identifier
        A name, a configuration, a class to be built without arguments, any other callable
        ``(shape, dtype) -> values``, or None.

    Raises
    ------
    SpecError
        If a name is unknown, a configuration incomplete, or a value in it out of range.
    SpecTypeError
        If the identifier, or a value in a configuration, is of another type.

    Examples
    --------
    >>> get("bias_initializer", "ones")((2,), "float64")
    array([1., 1.])
    >>> get("kernel_initializer", {"class_name": "VarianceScaling", "config": {"scale": 0}})
    Traceback (most recent call last):
        ...
    gruspec.errors.SpecError: kernel_initializer={...}: scale=0: expected a positive number
    """
    return _KIND.get(argument_name, identifier)


def serialize(initializer: Any) -> dict[str, Any] | None:
    """Return the configuration that the reference layer's ``get_config`` gives, or None for None.

    Raises
    ------
    SpecTypeError
        If it is a user's object that has neither ``get_config`` nor a name.

    Examples
    --------
    >>> serialize(Identity(2))["config"]
    {'gain': 2}
    """
    return _KIND.serialize(initializer)


_SNAKE_CASE: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
}

_ALIASES: dict[str, type[Initializer]] = {
    "zero": Zeros,
    "one": Ones,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    **{f"{found.__name__}V2": found for found in _SNAKE_CASE.values()},
    **{f"{name}V2": found for name, found in _SNAKE_CASE.items() if issubclass(found, Published)},
}
"""Names from old configurations, which tf_keras still reads."""


def _without_dtype(_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the dtype that TensorFlow 1 wrote; a call states it."""
    return {key: value for key, value in config.items() if key != "dtype"}


_KIND = Kind(
    "initializer",
    {**_SNAKE_CASE, **{found.__name__: found for found in _SNAKE_CASE.values()}, **_ALIASES},
    _without_dtype,
)
