"""The lines of the seed page and the rows that answer for each.

The seed page is the published page of ``tf.compat.v1.keras.layers.GRU``: an introduction, the arguments, the call
arguments, the attributes, and the method ``reset_states`` with the errors that it raises. Lines that explain a name
stand here by that name; the others by what they are about.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENT, CALL_ARGUMENT, ATTRIBUTE = "argument", "call argument", "attribute"
METHOD, ERROR, NOTE = "method", "error", "note"


class Key(NamedTuple):
    """What a row is about: one of the kinds above, and a name or a few words."""

    kind: str
    name: str


Lines: TypeAlias = "Mapping[str, Mapping[str, tuple[Key, ...]]]"


def _named(kind: str, *names: str) -> dict[str, tuple[Key, ...]]:
    """Return a line for each name, with the row of that name."""
    return {name: (Key(kind, name),) for name in names}


def _with_notes(lines: dict[str, tuple[Key, ...]], notes: dict[str, tuple[str, ...]]) -> dict[str, tuple[Key, ...]]:
    """Return the lines, some of which say more than what the name means."""
    return {name: (*rows, *(Key(NOTE, note) for note in notes.get(name, ()))) for name, rows in lines.items()}


LINES: Lines = MappingProxyType(
    {
        "Introduction": {
            "name and paper": (Key(NOTE, "gated recurrent unit"),),
            "base classes": (Key(NOTE, "every layer"),),
            "two variants": (Key(NOTE, "reset gate before the product"), Key(NOTE, "reset gate after the product")),
            "relation to CuDNNGRU": (Key(NOTE, "compatible with CuDNNGRU"), Key(NOTE, "separate biases")),
        },
        "Arguments": _with_notes(
            _named(
                ARGUMENT,
                "units",
                "activation",
                "recurrent_activation",
                "use_bias",
                "kernel_initializer",
                "recurrent_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "recurrent_regularizer",
                "bias_regularizer",
                "activity_regularizer",
                "kernel_constraint",
                "recurrent_constraint",
                "bias_constraint",
                "dropout",
                "recurrent_dropout",
                "return_sequences",
                "return_state",
                "go_backwards",
                "stateful",
                "unroll",
                "time_major",
                "reset_after",
            ),
            {
                "activation": ("activation=None",),
                "recurrent_activation": ("recurrent_activation=None",),
                "dropout": ("dropout between 0 and 1",),
                "recurrent_dropout": ("recurrent_dropout between 0 and 1",),
                "unroll": ("long sequences unrolled",),
                "time_major": ("batch-major by default",),
                "reset_after": ("compatible with CuDNNGRU",),
            },
        ),
        "Call arguments": _with_notes(
            _named(CALL_ARGUMENT, "inputs", "mask", "training", "initial_state"),
            {"mask": ("mask by row and timestep",), "training": ("training without dropout",)},
        ),
        "Attributes": _named(
            ATTRIBUTE,
            "activation",
            "bias_constraint",
            "bias_initializer",
            "bias_regularizer",
            "dropout",
            "implementation",
            "kernel_constraint",
            "kernel_initializer",
            "kernel_regularizer",
            "recurrent_activation",
            "recurrent_constraint",
            "recurrent_dropout",
            "recurrent_initializer",
            "recurrent_regularizer",
            "reset_after",
            "states",
            "units",
            "use_bias",
        ),
        "Methods": {
            "reset_states": (Key(METHOD, "reset_states"),),
            "for stateful layers only": (Key(ERROR, "not stateful"),),
            "states": (Key(METHOD, "reset_states with states"), Key(METHOD, "reset_states with None")),
        },
        "Errors": {
            "AttributeError": (Key(ERROR, "not stateful"),),
            "ValueError for the batch size": (Key(ERROR, "batch size unknown"),),
            "ValueError for the array": (Key(ERROR, "states of another size"), Key(ERROR, "states of another dtype")),
        },
    }
)
"""By section and subject, in the order of the page."""
