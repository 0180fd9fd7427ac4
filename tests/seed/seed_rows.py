"""What the seed page documents, row by row: the meaning, the clauses that state it, and how golden cases exercise it.

Each row has one check, where :func:`check_name` says, and faults that this check must notice.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from golden_exercise import regularized, some, some_call, some_reset, varied
from page_lines import ARGUMENT, ATTRIBUTE, CALL_ARGUMENT, ERROR, METHOD, NOTE, Key

from gruspec.cases import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from golden_exercise import Exercise

    from gruspec.cases import Case
    from gruspec.cases.model import Floats

STATED = "none: a case states its weights"
UPDATED = "none: no case updates its weights"
OBJECTS = "none: a case is data, not an object"
FLOATS = "none: cases keep states in float64"


class Row(NamedTuple):
    """One documented fact.

    ``clauses`` are ids of the specification; none means that the fact is outside of it. ``golden`` tells whether the
    cases of a topic exercise it, or says why none does.
    """

    says: str
    clauses: tuple[str, ...]
    golden: Exercise | str


def check_name(key: Key) -> tuple[str, str]:
    """Return the module and the function that check a row.

    Examples
    --------
    >>> check_name(Key("call argument", "mask"))
    ('call_argument_checks', 'mask')
    >>> check_name(Key("argument", "bias_constraint"))
    ('weight_argument_checks', 'bias_constraint')
    >>> check_name(Key("note", "activation=None"))
    ('note_checks', 'activation_none')
    """
    kind, function = (re.sub(r"\W+", "_", text).lower() for text in key)
    about_weights = key.kind == ARGUMENT and function.endswith(("_initializer", "_regularizer", "_constraint"))
    return f"weight_{kind}_checks" if about_weights else f"{kind}_checks", function


def _sequences(case: Case) -> list[Floats]:
    """Return the inputs of the calls, timesteps first."""
    inputs = [call.inputs for call in case.calls if isinstance(call, Call)]
    return inputs if case.spec.time_major else [each.swapaxes(0, 1) for each in inputs if each.ndim == 3]


def _trains(case: Case) -> bool:
    return any(isinstance(call, Call) and call.training for call in case.calls)


_ARGUMENTS = {
    "units": Row("A positive integer u: the size of each output and state", ("symbols", "weights"), varied("units")),
    "activation": Row("The function f of the candidate; tanh by default", ("activations",), varied("activation")),
    "recurrent_activation": Row(
        "The function s of both gates; hard_sigmoid by default, clip(0.2 x + 0.5, 0, 1)",
        ("activations", "hard-sigmoid"),
        varied("recurrent_activation"),
    ),
    "use_bias": Row("Whether there are biases", ("weights", "bias"), varied("use_bias")),
    "kernel_initializer": Row("First values of the kernel (D, 3u); glorot_uniform by default", (), STATED),
    "recurrent_initializer": Row("First values of the recurrent kernel (u, 3u); orthogonal by default", (), STATED),
    "bias_initializer": Row("First values of the bias, (3u,) or (2, 3u); zeros by default", (), STATED),
    "kernel_regularizer": Row("A loss that the kernel alone adds", ("losses",), regularized("kernel_regularizer")),
    "recurrent_regularizer": Row(
        "A loss that the recurrent kernel alone adds", ("losses",), regularized("recurrent_regularizer")
    ),
    "bias_regularizer": Row("A loss that the bias alone adds", ("losses",), regularized("bias_regularizer")),
    "activity_regularizer": Row(
        "A loss that each array adds which a call returns, over the length of its first axis",
        ("losses",),
        regularized("activity_regularizer"),
    ),
    "kernel_constraint": Row("What the kernel alone is projected to after an update", (), UPDATED),
    "recurrent_constraint": Row("What the recurrent kernel alone is projected to after an update", (), UPDATED),
    "bias_constraint": Row("What the bias alone is projected to after an update", (), UPDATED),
    "dropout": Row(
        "The rate at which inputs are dropped in their products with the kernel, in training",
        ("dropout-masks",),
        varied("dropout"),
    ),
    "recurrent_dropout": Row(
        "The rate at which states are dropped in their products with the recurrent kernel, in training",
        ("dropout-masks",),
        varied("recurrent_dropout"),
    ),
    "return_sequences": Row(
        "Whether all outputs are returned, or the last one",
        ("return-sequences", "last-output"),
        varied("return_sequences"),
    ),
    "return_state": Row("Whether the state is returned after the output", ("return-state",), varied("return_state")),
    "go_backwards": Row(
        "Whether timesteps are processed from last to first; outputs stay in that order",
        ("go-backwards", "mask-order"),
        varied("go_backwards"),
    ),
    "stateful": Row("Whether each row goes on from its state in the call before", ("stateful",), varied("stateful")),
    "unroll": Row("How the loop is run: it changes no result", ("unroll",), varied("unroll")),
    "time_major": Row(
        "Whether timesteps are the first axis of inputs, mask and sequence", ("time-major",), varied("time_major")
    ),
    "reset_after": Row(
        "Whether the reset gate follows the recurrent product; False by default",
        ("reset-before", "reset-after"),
        varied("reset_after"),
    ),
}

_ATTRIBUTES = {
    "activation": "The function of the candidate",
    "bias_constraint": "The constraint on the bias, or None",
    "bias_initializer": "The initializer of the bias",
    "bias_regularizer": "The regularizer of the bias, or None",
    "dropout": "The rate after clipping to [0, 1]",
    "kernel_constraint": "The constraint on the kernel, or None",
    "kernel_initializer": "The initializer of the kernel",
    "kernel_regularizer": "The regularizer of the kernel, or None",
    "recurrent_activation": "The function of the gates",
    "recurrent_constraint": "The constraint on the recurrent kernel, or None",
    "recurrent_dropout": "The rate after clipping to [0, 1]",
    "recurrent_initializer": "The initializer of the recurrent kernel",
    "recurrent_regularizer": "The regularizer of the recurrent kernel, or None",
    "reset_after": "The variant",
    "units": "The number of units",
    "use_bias": "Whether there are biases",
}

_CALL_ARGUMENTS = {
    "inputs": Row(
        "A sequence for each row, with exactly three axes",
        ("symbols", "rows", "invalid-arguments"),
        some(lambda case: case.result == "valid"),
    ),
    "mask": Row(
        "True where a timestep counts; where it is False the input is not used",
        ("mask-dtype", "mask-state", "mask-output", "masked-nonfinite"),
        some_call(lambda call: call.mask is not None),
    ),
    "training": Row("Whether dropout acts", ("dropout-masks",), some_call(lambda call: call.training)),
    "initial_state": Row(
        "The state before the timestep that is processed first",
        ("initial-state", "stateful-initial-state"),
        some_call(lambda call: call.initial_state is not None),
    ),
}

_METHODS = {
    "reset_states": Row(
        "The recorded state is replaced",
        ("reset-states",),
        some_reset(lambda reset: reset.raises is None, after_call=True),
    ),
    "reset_states with states": Row(
        "The next call starts from the given array (B, u)",
        ("reset-states",),
        some_reset(lambda reset: reset.raises is None and reset.states is not None, after_call=True),
    ),
    "reset_states with None": Row(
        "The next call starts from zeros (B, u)",
        ("reset-states",),
        some_reset(lambda reset: reset.raises is None and reset.states is None, after_call=True),
    ),
}

_ERRORS = {
    "not stateful": Row(
        "reset_states: AttributeError unless the layer is stateful",
        ("reset-states", "invalid-arguments"),
        some_reset(lambda reset: reset.raises == "AttributeError", after_call=True),
    ),
    "batch size unknown": Row(
        "reset_states: ValueError as long as the batch size is unknown",
        ("reset-states", "invalid-arguments"),
        some_reset(lambda reset: reset.raises == "ValueError", after_call=False),
    ),
    "states of another size": Row(
        "reset_states: ValueError for an array that is not (B, u)",
        ("reset-states", "invalid-arguments"),
        some_reset(lambda reset: reset.raises == "ValueError", after_call=True),
    ),
    "states of another dtype": Row(
        "reset_states: ValueError for complex numbers, texts and objects; real numbers are cast",
        ("reset-states", "initial-state", "invalid-arguments"),
        FLOATS,
    ),
}

_NOTES = {
    "gated recurrent unit": Row(
        "Two gates: z keeps the old state and 1 - z takes the candidate, at one timestep after the other",
        ("update", "gate-order", "timesteps"),
        some(lambda case: case.clause in {"update", "gate-order", "timesteps"}),
    ),
    "every layer": Row("A layer: built once, with weights, a configuration and a record of losses", (), OBJECTS),
    "reset gate before the product": Row(
        "The default variant: (r * h) @ U_h", ("reset-before",), some(lambda case: not case.spec.reset_after)
    ),
    "reset gate after the product": Row(
        "The other variant: r * (h @ U_h + b'_h)", ("reset-after",), some(lambda case: case.spec.reset_after)
    ),
    "compatible with CuDNNGRU": Row(
        "With reset_after=True and recurrent_activation='sigmoid' it computes what cuDNN does, on a CPU",
        ("reset-after", "bias"),
        some(
            lambda case: (
                case.spec.reset_after
                and case.spec.use_bias
                and (case.spec.activation, case.spec.recurrent_activation) == ("tanh", "sigmoid")
            )
        ),
    ),
    "separate biases": Row(
        "With reset_after=True the bias is (2, 3u): of the inputs, and of the state",
        ("weights", "bias"),
        some(lambda case: case.spec.reset_after and case.spec.use_bias),
    ),
    "activation=None": Row(
        "No function: the candidate is linear", ("activations",), some(lambda case: case.spec.activation == "linear")
    ),
    "recurrent_activation=None": Row(
        "No function: the gates are linear",
        ("activations",),
        some(lambda case: case.spec.recurrent_activation == "linear"),
    ),
    "dropout between 0 and 1": Row(
        "Rates outside are clipped; a rate of 1 in training is refused",
        ("dropout-masks", "invalid-arguments"),
        some(lambda case: case.spec.dropout == 1),
    ),
    "recurrent_dropout between 0 and 1": Row(
        "Rates outside are clipped; a rate of 1 in training is refused",
        ("dropout-masks", "invalid-arguments"),
        some(lambda case: case.spec.recurrent_dropout == 1),
    ),
    "long sequences unrolled": Row(
        "Unrolling has no limit, and changes nothing",
        ("unroll",),
        some(lambda case: case.spec.unroll and max(map(len, _sequences(case)), default=0) > 30),
    ),
    "batch-major by default": Row(
        "Unless told otherwise inputs and sequences are (B, T, ...)",
        ("symbols", "time-major"),
        some(lambda case: not case.spec.time_major),
    ),
    "mask by row and timestep": Row(
        "A mask is (B, T) or (B, T, 1), timesteps first under time_major",
        ("mask-shape",),
        some_call(lambda call: call.mask is not None),
    ),
    "training without dropout": Row(
        "training matters only where there is dropout",
        ("dropout-masks",),
        some(lambda case: not (case.spec.dropout or case.spec.recurrent_dropout) and _trains(case)),
    ),
}

ROWS: Mapping[Key, Row] = MappingProxyType(
    {
        **{Key(ARGUMENT, name): row for name, row in _ARGUMENTS.items()},
        **{Key(CALL_ARGUMENT, name): row for name, row in _CALL_ARGUMENTS.items()},
        **{
            Key(ATTRIBUTE, name): _ARGUMENTS[name]._replace(says=f"{says}; read-only")
            for name, says in _ATTRIBUTES.items()
        },
        Key(ATTRIBUTE, "implementation"): Row(
            "1 for gate by gate; all else is the same function, with one dropout mask for the inputs of every gate; "
            "read-only",
            ("implementation", "dropout-masks"),
            varied("implementation"),
        ),
        Key(ATTRIBUTE, "states"): Row(
            "The recorded state in a list; [None] unless the layer is stateful and built; may be assigned to",
            ("stateful", "stateful-initial-state"),
            varied("stateful"),
        ),
        **{Key(METHOD, name): row for name, row in _METHODS.items()},
        **{Key(ERROR, name): row for name, row in _ERRORS.items()},
        **{Key(NOTE, name): row for name, row in _NOTES.items()},
    }
)
"""By kind and name."""
