"""Faults of a call's arguments and of ``reset_states``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from argument_faults import always_training
from fault_kinds import (
    called,
    defaulting,
    replaced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fault_kinds import Arguments, Fault
    from layers_under_test import Layer


def _padded_axes(_layer: Layer, arguments: Arguments) -> None:
    if np.ndim(arguments["inputs"]) == 2:
        arguments["inputs"] = np.asarray(arguments["inputs"])[None]


def _first_row_of_state(_layer: Layer, arguments: Arguments) -> None:
    state = arguments.get("initial_state")
    if isinstance(state, np.ndarray):
        arguments["initial_state"] = np.broadcast_to(state[:1], (np.shape(arguments["inputs"])[0], state.shape[1]))


def _recorded_wins(layer: Layer, arguments: Arguments) -> None:
    if layer.stateful and layer.built and layer.states[0].any():
        arguments.pop("initial_state", None)


def _opposite_mask(_layer: Layer, arguments: Arguments) -> None:
    if arguments.get("mask") is not None:
        arguments["mask"] = np.asarray(arguments["mask"]) == 0


def _silent_unless_stateful(layer: Layer, reset: Any, states: Any = None) -> None:
    if layer.stateful:
        reset(states)


def _other_error(layer: Layer, reset: Any, states: Any = None) -> None:
    if not layer.stateful:
        raise ValueError("stateful")
    reset(states)


def _silent_unless_built(layer: Layer, reset: Any, states: Any = None) -> None:
    if layer.built or not layer.stateful:
        reset(states)


def _broadcast_states(layer: Layer, reset: Any, states: Any = None) -> None:
    if isinstance(states, np.ndarray) and states.shape in {(), (1, layer.units)}:
        states = np.broadcast_to(states, layer.states[0].shape)
    reset(states)


def _any_dtype(_layer: Layer, reset: Any, states: Any = None) -> None:
    reset(states if states is None else np.real(np.asarray(states)).astype(float))


def _kept_on_none(_layer: Layer, reset: Any, states: Any = None) -> None:
    if states is not None:
        reset(states)


CALL_FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "inputs": {
        "two axes": called(_padded_axes),
        "integers": called(lambda _, arguments: arguments.update(inputs=np.multiply(arguments["inputs"], 1.0))),
        "of another row": called(lambda _, arguments: arguments.update(inputs=np.roll(arguments["inputs"], 1, axis=0))),
    },
    "mask": {
        "ignored": called(lambda _, arguments: arguments.pop("mask", None)),
        "inverted": called(_opposite_mask),
        "outputs not held": defaulting("zero_output_for_mask", default=True),
    },
    "training": {
        "ignored": called(lambda _, arguments: arguments.pop("training", None)),
        "always": called(always_training),
    },
    "initial_state": {
        "ignored": called(lambda _, arguments: arguments.pop("initial_state", None)),
        "of the first row": called(_first_row_of_state),
        "the recorded one wins": called(_recorded_wins),
    },
}

METHOD_FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "reset_states": {
        "nothing": replaced("reset_states", lambda *_: None),
        "always zeros": replaced("reset_states", lambda _, reset, *__, **___: reset()),
    },
    "reset_states with states": {
        "ignored": replaced("reset_states", lambda _, reset, *__, **___: reset()),
        "of another row": replaced(
            "reset_states", lambda _, reset, states: reset(np.roll(np.reshape(states, (3, 2)), 1, axis=0))
        ),
    },
    "reset_states with None": {
        "nothing": replaced("reset_states", _kept_on_none),
        "ones": replaced(
            "reset_states",
            lambda layer, reset, states=None: reset(np.ones_like(layer.states[0]) if states is None else states),
        ),
    },
}

ERROR_FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "not stateful": {
        "silent": replaced("reset_states", _silent_unless_stateful),
        "ValueError": replaced("reset_states", _other_error),
    },
    "batch size unknown": {"silent": replaced("reset_states", _silent_unless_built)},
    "states of another size": {"broadcast": replaced("reset_states", _broadcast_states)},
    "states of another dtype": {"cast": replaced("reset_states", _any_dtype)},
}
