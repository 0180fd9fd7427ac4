"""The arguments of the reference layer that decide how its weights come about and are kept in shape."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from gruspec.errors import SpecError, SpecTypeError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    Setting: TypeAlias = str | Mapping[str, Any] | None

INITIALIZERS = (
    "zeros",
    "ones",
    "constant",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "orthogonal",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
)
REGULARIZERS = ("l1", "l2", "l1_l2")
CONSTRAINTS = ("max_norm", "non_neg", "unit_norm", "min_max_norm", "radial_constraint")

_KNOWN = {"initializer": INITIALIZERS, "regularizer": REGULARIZERS, "constraint": CONSTRAINTS}


@dataclass(frozen=True, kw_only=True)
class WeightSettings:
    """Initializers, regularizers and constraints of a GRU layer, by the reference layer's names and defaults.

    A setting is the name of a built-in, a configuration ``{"class_name": ..., "config": {...}}``, or None where
    none is meant. Golden cases state their weights, so that initializers and constraints change no expected value;
    regularizers give the losses [losses].

    Raises
    ------
    SpecError
        If a name is not a built-in, or a configuration lacks ``class_name``.
    SpecTypeError
        If a setting is neither a string, a mapping nor None.

    Examples
    --------
    >>> WeightSettings().recurrent_initializer
    'orthogonal'
    >>> WeightSettings(kernel_constraint="max")
    Traceback (most recent call last):
        ...
    gruspec.errors.SpecError: kernel_constraint='max': not a known constraint; known are max_norm, ...
    """

    kernel_initializer: Setting = "glorot_uniform"
    recurrent_initializer: Setting = "orthogonal"
    bias_initializer: Setting = "zeros"
    kernel_regularizer: Setting = None
    recurrent_regularizer: Setting = None
    bias_regularizer: Setting = None
    activity_regularizer: Setting = None
    kernel_constraint: Setting = None
    recurrent_constraint: Setting = None
    bias_constraint: Setting = None

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))


def _check(name: str, value: object) -> None:
    kind = name.rpartition("_")[2]
    if value is None:
        return
    if isinstance(value, str):
        if value not in _KNOWN[kind]:
            raise SpecError(f"{name}={value!r}: not a known {kind}; known are {listed(_KNOWN[kind])}")
    elif isinstance(value, dict):
        if "class_name" not in value:
            raise SpecError(f"{name}={value!r}: a configuration needs 'class_name'")
    else:
        raise SpecTypeError(f"{name}={value!r}: expected a name, a configuration or None")
