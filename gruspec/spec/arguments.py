"""The arguments of the reference layer that decide what a GRU computes from given weights."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from gruspec.errors import SpecError, SpecTypeError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTIVATIONS = ("tanh", "sigmoid", "hard_sigmoid", "relu", "linear")
"""Element-wise activations with a clause in the specification [activations]."""

_FLAGS = (
    "use_bias",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "time_major",
    "reset_after",
    "zero_output_for_mask",
)


@dataclass(frozen=True, kw_only=True)
class GRUSpec:
    """A GRU layer as a function of its weights, inputs, mask and initial state.

    Names and defaults are those of ``tf.compat.v1.keras.layers.GRU``. Arguments that only decide how weights come
    about (initializers, regularizers, constraints) are in :class:`gruspec.spec.WeightSettings`.

    Parameters
    ----------
    units
        Number of units ``u``, the last axis of outputs and state. Positive.
    activation, recurrent_activation
        Name in :data:`ACTIVATIONS`, or None for ``"linear"``. The candidate uses ``activation``, both gates use
        ``recurrent_activation`` [activations].
    use_bias
        Whether the layer has a ``bias`` [weights].
    dropout, recurrent_dropout
        Rates, clipped to [0, 1]. They act only in training.
    return_sequences
        Return the output of every timestep instead of the last one [return-sequences].
    return_state
        Return the final state too [return-state].
    go_backwards
        Process timesteps from last to first; outputs stay in processing order [go-backwards].
    stateful
        Start each call from the final state of the previous one [stateful].
    unroll
        An execution hint that never changes a result [unroll].
    time_major
        Inputs, mask and output sequence have timesteps on the first axis [time-major].
    reset_after
        Apply the reset gate after the recurrent matrix product instead of before it [reset-after].
    zero_output_for_mask
        Output zeros at masked timesteps instead of holding the previous output [zero-output].
    implementation
        1: gate by gate; any other value: fused. They differ only under dropout. Non-zero ``recurrent_dropout``
        forces 1 [implementation].

    Raises
    ------
    SpecError
        If a value is outside its range. The message names the argument and the value.
    SpecTypeError
        If a value has the wrong type.

    Examples
    --------
    >>> GRUSpec(units=4, activation=None).activation
    'linear'
    >>> GRUSpec(units=0)
    Traceback (most recent call last):
        ...
    gruspec.errors.SpecError: units=0: expected a positive integer
    """

    units: int
    activation: str = "tanh"
    recurrent_activation: str = "hard_sigmoid"
    use_bias: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    unroll: bool = False
    time_major: bool = False
    reset_after: bool = False
    zero_output_for_mask: bool = False
    implementation: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", _integer("units", self.units))
        if self.units <= 0:
            raise SpecError(f"units={self.units}: expected a positive integer")
        for name in ("activation", "recurrent_activation"):
            object.__setattr__(self, name, _activation(name, getattr(self, name)))
        for name in _FLAGS:
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise SpecTypeError(f"{name}={value!r}: expected True or False")
        for name in ("dropout", "recurrent_dropout"):
            object.__setattr__(self, name, _rate(name, getattr(self, name)))
        implementation = _integer("implementation", self.implementation)
        object.__setattr__(self, "implementation", 1 if self.recurrent_dropout else implementation)

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments by name, in the order of the reference layer."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, arguments: Mapping[str, Any]) -> GRUSpec:
        """Build a specification from arguments by name.

        Raises
        ------
        SpecTypeError
            If a name is not an argument, or ``units`` is missing.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in arguments:
            if name not in known:
                raise SpecTypeError(f"{name}: not an argument of a GRU; known are {listed(known)}")
        if "units" not in arguments:
            raise SpecTypeError("units: missing; it has no default")
        return cls(**arguments)

    @property
    def variant(self) -> str:
        """``"reset-after"`` or ``"reset-before"``."""
        return "reset-after" if self.reset_after else "reset-before"


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise SpecTypeError(f"{name}={value!r}: expected an integer")
    return int(value.__index__())


def _activation(name: str, value: object) -> str:
    if value is None:
        return "linear"
    if not isinstance(value, str):
        raise SpecTypeError(f"{name}={value!r}: expected the name of an activation, or None for 'linear'")
    if value not in ACTIVATIONS:
        raise SpecError(f"{name}={value!r}: not a known activation; known are {listed(ACTIVATIONS)}")
    return value


def _rate(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecTypeError(f"{name}={value!r}: expected a number between 0 and 1")
    if math.isnan(value):
        raise SpecError(f"{name}={value!r}: expected a number between 0 and 1")
    return min(1.0, max(0.0, float(value)))
