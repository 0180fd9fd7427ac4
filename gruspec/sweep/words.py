"""Cases in words and in figures, for people who are to look at one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from gruspec.cases import Call
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from gruspec.cases import Case, Operation

_DEFAULTS = {field.name: field.default for field in fields(GRUSpec)}


def layer_words(spec: GRUSpec) -> str:
    """Return a layer as it is written in Python, with the arguments that are not at their defaults.

    >>> layer_words(GRUSpec(units=2, unroll=True, recurrent_activation="sigmoid"))
    "GRU(units=2, recurrent_activation='sigmoid', unroll=True)"
    """
    given = {name: value for name, value in spec.to_dict().items() if value != _DEFAULTS[name]}
    return f"GRU({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def case_words(case: Case) -> str:
    """Return the layer of a case and the operations on it."""
    return "; ".join([layer_words(case.spec), *map(_operation_words, case.calls)])


def _operation_words(operation: Operation) -> str:
    if not isinstance(operation, Call):
        return "reset_states()" if operation.states is None else "reset_states(states)"
    given = {
        "mask": operation.mask,
        "initial_state": operation.initial_state,
        "dropout_masks": operation.dropout_masks,
        "cotangents": operation.cotangents,
    }
    parts = [f"inputs {operation.inputs.shape}", *(name for name, value in given.items() if value is not None)]
    return f"call with {', '.join([*parts, 'training'] if operation.training else parts)}"


def numbers_given(case: Case) -> int:
    """Return how many numbers a case gives to the layer, weights included."""
    given = (array for name, array in case.arrays().items() if not name.endswith(("/value", "/kappa")))
    return sum(array.size for array in given)
