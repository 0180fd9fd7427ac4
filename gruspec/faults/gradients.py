"""Family ``gradient``: results that are right, and derivatives that are not."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import Fault
from gruspec.faults.nodes import detached, scaled
from gruspec.reference.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement, Seams
    from gruspec.spec import GRUSpec

    Array = NDArray[Any]
    Way = Callable[[Any, Any], Any]
    Arrays = dict[str, Array]

FROM_A_STATE = "initial-state|several-steps|several-calls"
"""Where a slope by the state, or by the recurrent kernel, is not lost on a state of zeros that nobody gave."""


def gradient_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _paths()
    yield from _pulls()
    yield from _times()
    yield from _masked()
    yield from _dropped()


def gradient_fault(name: str, does: str, *where: str, **more: Any) -> Fault:
    """Return a fault of the family; it shows in calls with cotangents, under the conditions ``where``."""
    more = {"clause": "gradients"} | more
    return Fault(id=f"gradient/{name}", does=does, where=("gradients", *where), **more)


_WAYS: dict[str, tuple[str, Way]] = {
    "lost": ("sends no cotangent back {path}", detached),
    "doubled": ("sends cotangents back twice {path}", lambda numbers, array: scaled(numbers, array, 2)),
    "negated": ("turns the sign of the cotangent {path}", lambda numbers, array: scaled(numbers, array, -1)),
}


def _result(seam: str) -> Callable[[Way], Seams]:
    return lambda way: {seam: lambda self, usual, *arguments: way(self.numbers, usual(*arguments))}


def _result_of(seam: str, name: str) -> Callable[[Way], Seams]:
    def seams(way: Way) -> Seams:
        def result(self: Any, usual: Any, given: str, *arguments: Any) -> Any:
            found = usual(given, *arguments)
            return way(self.numbers, found) if given == name else found

        return {seam: result}

    return seams


def _state_of(name: str) -> Callable[[Way], Seams]:
    """Return the path from the state into a gate, or into the candidate."""

    def seams(way: Way) -> Seams:
        def gate(self: Any, usual: Any, given: str, inputs: Any, state: Any) -> Any:
            return usual(given, inputs, way(self.numbers, state) if given == name else state)

        def candidate(self: Any, usual: Any, inputs: Any, state: Any, reset: Any) -> Any:
            return usual(inputs, way(self.numbers, state), reset)

        return {"candidate": candidate} if name == "h" else {"gate": gate}

    return seams


def _inputs_of(name: str) -> Callable[[Way], Seams]:
    def seams(way: Way) -> Seams:
        def projection(self: Any, usual: Any, given: str, inputs: Any) -> Any:
            return usual(given, way(self.numbers, inputs) if given == name else inputs)

        return {"projection": projection}

    return seams


def _recurrent_products(way: Way) -> Seams:
    return {"recurrence": lambda self, usual, gate, state: usual(gate, way(self.numbers, state))}


_GATE_NAMES = {"z": "update gate", "r": "reset gate", "h": "candidate"}

_PATHS: dict[str, tuple[str, tuple[str, ...], Callable[[Way], Seams]]] = {
    "update": ("through the update gate", (), _result_of("gate", "z")),
    "reset": ("through the reset gate", (), _result_of("gate", "r")),
    "candidate": ("through the candidate", (), _result("candidate")),
    "recurrent-products": ("through the matrix products to the state", (FROM_A_STATE,), _recurrent_products),
    **{
        f"state-to-{gate}": (f"from the {words} to the state", (FROM_A_STATE,), _state_of(gate))
        for gate, words in _GATE_NAMES.items()
    },
    **{
        f"inputs-to-{gate}": (f"from the {words} to the inputs", (), _inputs_of(gate))
        for gate, words in _GATE_NAMES.items()
    },
}


def _paths() -> Iterator[Fault]:
    for path, (words, where, seams) in _PATHS.items():
        for name, (does, way) in _WAYS.items():
            yield gradient_fault(f"{path}-{name}", does.format(path=words), *where, definition=seams(way))


def _pulls() -> Iterator[Fault]:
    """Yield wrong derivatives of the update by the state."""
    pulls: dict[str, tuple[str, Replacement]] = {
        "lost": (
            "sends no cotangent back from the update to the state that it mixes",
            lambda _, usual, *given: np.zeros_like(usual(*given)),
        ),
        "doubled": (
            "sends cotangents back twice from the update to the state that it mixes",
            lambda _, usual, *given: 2 * usual(*given),
        ),
        "ungated": (
            "sends the whole cotangent of a new state to the old one, not its share z",
            lambda _, usual, cotangent, *given: np.broadcast_to(cotangent, usual(cotangent, *given).shape),
        ),
        "of-candidate": (
            "sends the share 1 - z of a cotangent to the state, not z",
            lambda self, _, *given: self.pull_to_candidate(*given),
        ),
    }
    for name, (does, pull) in pulls.items():
        yield gradient_fault(f"direct-{name}", does, FROM_A_STATE, numbers={"pull_to_state": pull})
    yield gradient_fault(
        "candidate-of-state",
        "sends the share z of a cotangent to the candidate, not 1 - z",
        numbers={"pull_to_candidate": lambda self, _, *given: self.pull_to_state(*given)},
    )
    yield gradient_fault(
        "update-without-candidate",
        "takes the state for the derivative of the update by its gate, not the state less the candidate",
        numbers={"pull_to_update": lambda _, __, cotangent, ___, state, ____: cotangent * state},
    )
    yield gradient_fault(
        "variant",
        "computes the values of its variant and the derivatives of the other one",
        f"{FROM_A_STATE}|bias",
        definition={"candidate": _of_other_variant},
    )


def _of_other_variant(self: Any, usual: Any, inputs: Any, state: Any, reset: Any) -> Any:
    found = usual(inputs, state, reset)
    if not isinstance(self.numbers, Tape):
        return found
    other = copy(self)
    other.spec = replace(self.spec, reset_after=not self.spec.reset_after)
    wrong = usual.func(other, inputs, state, reset)
    return self.numbers.record(found.value, (wrong, lambda cotangent: cotangent))


def _times() -> Iterator[Fault]:
    for steps, words in (
        (1, "at every timestep"),
        (2, "after every second timestep"),
        (4, "after every fourth timestep"),
    ):
        yield gradient_fault(
            f"truncated-{steps}",
            f"cuts the gradient through the state {words}",
            "several-steps" if steps == 1 else f"{_MORE_STEPS[steps]}-steps",
            definition={"cell": _truncated(steps)},
        )
    for name, words in (("first", "that is processed first"), ("last", "that is processed last")):
        yield gradient_fault(
            f"weights-{name}-step",
            f"differentiates by the weights at the timestep only {words}, and does not add up over timesteps",
            "several-steps",
            definition=_weights_at(name),
        )
    yield gradient_fault(
        "state-clipped",
        "clips the cotangent of each state to [-1/4, 1/4] on its way back",
        numbers={"named": lambda _, usual, cotangent: np.clip(usual(cotangent), -0.25, 0.25)},
    )
    yield gradient_fault(
        "inputs-order",
        "returns the gradients of inputs in the order of processing, not of time",
        "backwards",
        "several-steps",
        returned=_inputs_turned,
    )


_MORE_STEPS = {2: "three", 4: "five"}


def _truncated(steps: int) -> Replacement:
    count = f"_truncated_{steps}"

    def cell(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
        done = getattr(self, count, 0)
        setattr(self, count, done + 1)
        return usual(inputs, detached(self.numbers, state) if done and done % steps == 0 else state)

    return cell


def _weights_at(which: str) -> Seams:
    def sequence(self: Any, usual: Any, inputs: Any, *arguments: Any) -> Any:
        self.differentiated_step = 0 if which == "first" else len(inputs) - 1
        return usual(inputs, *arguments)

    def cell(self: Any, usual: Any, *arguments: Any) -> Any:
        new = usual(*arguments)
        self.differentiated_step -= 1
        return new

    def weight(self: Any, usual: Any, name: str) -> Any:
        block = usual(name)
        return block if self.differentiated_step == 0 else detached(self.numbers, block)

    return {"sequence": sequence, "cell": cell, "weight": weight}


def _inputs_turned(spec: GRUSpec, arrays: Arrays) -> Arrays:
    name = "gradients/inputs"
    if name not in arrays or not spec.go_backwards:
        return arrays
    return arrays | {name: np.flip(arrays[name], axis=0 if spec.time_major else 1)}


def _masked() -> Iterator[Fault]:
    yield gradient_fault(
        "masked-state-lost",
        "cuts the gradient of the state at masked timesteps",
        "mask",
        definition={
            "next_state": lambda self, usual, valid, new, state: usual(valid, new, detached(self.numbers, state))
        },
    )
    yield gradient_fault(
        "masked-state-computed",
        "sends the cotangent of a state that a masked timestep keeps through that timestep too",
        "mask",
        definition={"next_state": _sent_to_both},
    )
    held = ("mask", "held-output")
    yield gradient_fault(
        "held-lost",
        "sends the cotangent of a held output to nothing, not to the step that made it",
        *held,
        definition={
            "next_output": _only(
                lambda self, usual, valid, new, output: usual(valid, new, detached(self.numbers, output)), zeroed=False
            )
        },
    )
    yield gradient_fault(
        "held-to-masked-step",
        "sends the cotangent of a held output to the masked timestep, as if it had been computed there",
        *held,
        definition={"next_output": _only(_sent_to_new, zeroed=False)},
    )
    yield gradient_fault(
        "held-to-state",
        "sends cotangents of outputs before the first valid timestep to the initial state",
        "masked-start",
        "held-output",
        definition={"cell": _remembered_state, "next_output": _only(_sent_to_state, zeroed=False)},
    )
    yield gradient_fault(
        "zeroed-to-masked-step",
        "sends the cotangent of a zeroed output to the masked timestep",
        "mask",
        "zero-output",
        definition={"next_output": _only(_sent_to_new, zeroed=True)},
    )
    yield gradient_fault(
        "zeroed-to-valid-step",
        "sends the cotangent of a zeroed output to the last valid timestep before it",
        "mask",
        "zero-output",
        definition={"next_output": _only(_sent_to_held, zeroed=True)},
    )


def _sent_to_both(self: Any, usual: Any, valid: Array, new: Any, state: Any) -> Any:
    found = usual(valid, new, state)
    if not isinstance(self.numbers, Tape):
        return found
    return self.numbers.record(
        found.value,
        (new, lambda cotangent: cotangent),
        (state, lambda cotangent: np.where(valid, cotangent.dtype.type(0), cotangent)),
    )


def _sent_to_new(self: Any, usual: Any, valid: Array, new: Any, output: Any) -> Any:
    return _sent_to(self, usual(valid, new, output), new)


def _sent_to_held(self: Any, usual: Any, valid: Array, new: Any, output: Any) -> Any:
    return _sent_to(self, usual(valid, new, output), self.numbers.select(valid, new, output))


def _sent_to(self: Any, found: Any, source: Any) -> Any:
    if not isinstance(self.numbers, Tape):
        return found
    return self.numbers.record(found.value, (source, lambda cotangent: cotangent))


def _only(replacement: Replacement, *, zeroed: bool) -> Replacement:
    def next_output(self: Any, usual: Any, *arguments: Any) -> Any:
        return replacement(self, usual, *arguments) if self.spec.zero_output_for_mask == zeroed else usual(*arguments)

    return next_output


def _remembered_state(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
    self.state_before = state
    return usual(inputs, state)


def _sent_to_state(self: Any, usual: Any, valid: Array, new: Any, output: Any) -> Any:
    found = usual(valid, new, output)
    self.seen_valid = valid | getattr(self, "seen_valid", np.False_)
    unseen = ~self.seen_valid
    if not (isinstance(self.numbers, Tape) and unseen.any()):
        return found
    return self.numbers.record(
        found.value,
        (found, lambda cotangent: cotangent),
        (self.state_before, lambda cotangent: np.where(unseen, cotangent, cotangent.dtype.type(0))),
    )


def _dropped() -> Iterator[Fault]:
    for kind, words, where in (("inputs", "inputs", ()), ("recurrent", "state", (FROM_A_STATE,))):
        yield gradient_fault(
            f"undropped-{words}",
            f"leaves the dropout masks out of the gradients by the {words}",
            f"{kind}-dropout",
            *where,
            definition={"dropped": _undropped_back(kind)},
        )


def _undropped_back(kind: str) -> Replacement:
    def dropped(self: Any, usual: Any, name: str, values: Any) -> Any:
        found = usual(name, values)
        return _sent_to(self, found, values) if name.startswith(kind) and found is not values else found

    return dropped
