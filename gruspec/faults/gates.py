"""Families ``gate-order`` and ``update``: blocks of weights taken for one another, and the update done otherwise."""

from __future__ import annotations

from itertools import chain, permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import BOTH, Fault
from gruspec.faults.traits import STATE_MATTERS
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.faults.fault import Replacement

_PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "kernel": (BOTH, ()),
    "recurrent_kernel": (BOTH, (STATE_MATTERS,)),
    "bias": (BOTH, ("bias",)),
    "recurrent_bias": (("reset-after",), ("bias",)),
}
"""The variants and the region in which the order of the gates of an array can be observed."""

_OPENVINO = "openvino PR#17651"

_REPORTS = {("bias", "rzh"): (_OPENVINO,)}


def gate_faults() -> Iterator[Fault]:
    """Yield the faults of both families."""
    return chain(_orders(), _joint_orders(), _updates())


def _taken(order: tuple[str, ...], names: tuple[str, ...]) -> Replacement:
    blocks = {f"{name}_{gate}": f"{name}_{other}" for name in names for gate, other in zip(GATES, order, strict=True)}
    return lambda _, usual, block: usual(blocks.get(block, block))


def _orders() -> Iterator[Fault]:
    for name, (variants, where) in _PLACES.items():
        title = name.replace("_", " ")
        for order in list(permutations(GATES))[1:]:
            letters = "".join(order)
            yield Fault(
                id=f"gate-order/{name.replace('_', '-')}-{letters}",
                does=f"reads the gates of the {title} in the order {', '.join(order)} instead of z, r, h",
                clause="gate-order",
                variants=variants,
                where=where,
                reports=_REPORTS.get((name, letters), ()),
                definition={"weight": _taken(order, (name,))},
            )


def _joint_orders() -> Iterator[Fault]:
    for order, reports in (("rzh", ("keras#15915", "keras#8720")), ("hzr", ()), ("hrz", ())):
        yield Fault(
            id=f"gate-order/all-{order}",
            does=f"reads the gates of every array in the order {', '.join(order)} instead of z, r, h"
            + (", so that the update and the reset gate have changed places" if order == "rzh" else ""),
            clause="gate-order",
            reports=reports,
            definition={"weight": _taken(tuple(order), tuple(_PLACES))},
        )
    yield Fault(
        id="gate-order/kernels-rzh",
        does="reads the gates of both kernels in the order r, z, h but those of the biases in the order z, r, h",
        clause="gate-order",
        definition={"weight": _taken(tuple("rzh"), ("kernel", "recurrent_kernel"))},
    )
    yield Fault(
        id="gate-order/biases-rzh",
        does="reads the gates of both biases in the order r, z, h but those of the kernels in the order z, r, h",
        clause="gate-order",
        where=("bias",),
        reports=(_OPENVINO,),
        definition={"weight": _taken(tuple("rzh"), ("bias", "recurrent_bias"))},
    )


def complement(definition: Any, gate: Any) -> Any:
    """Return one minus a gate (B, 1, u), in the number system of a definition and differentiable there."""
    numbers = definition.numbers
    return numbers.blend(gate, numbers.zeros(gate.shape), numbers.lift(np.ones(gate.shape)))


def _negated(definition: Any, gate: Any) -> Any:
    return definition.numbers.lift(np.full(gate.shape, -1.0)) * gate


def _nothing(definition: Any, like: Any) -> Any:
    return definition.numbers.zeros(like.shape)


_UPDATES: dict[str, tuple[str, Callable[..., Any]]] = {
    "complement": (
        "weights the candidate with z and the state with 1 - z, as in the other convention: (1 - z) h + z c",
        lambda _, usual, z, h, c: usual(z, c, h),
    ),
    "state-only": (
        "never takes the candidate: it mixes the state with itself",
        lambda _, usual, z, h, __: usual(z, h, h),
    ),
    "candidate-missing": (
        "leaves out the candidate: the new state is z h",
        lambda self, usual, z, h, c: usual(z, h, _nothing(self, c)),
    ),
    "candidate-kept": (
        "weights the candidate with z instead of 1 - z: z h + z c",
        lambda _, __, z, h, c: z * (h + c),
    ),
    "candidate-unweighted": (
        "adds the candidate as a whole: z h + c",
        lambda _, __, z, h, c: z * h + c,
    ),
    "sign": (
        "has the wrong sign in the short form of the update: c - z (h - c) instead of c + z (h - c)",
        lambda self, usual, z, h, c: usual(_negated(self, z), h, c),
    ),
}
"""Faults that show everywhere: what each does, and its update."""

_UPDATES_WITH_STATE: dict[str, tuple[str, Callable[..., Any]]] = {
    "both-renewed": (
        "weights the state with 1 - z instead of z: (1 - z) h + (1 - z) c",
        lambda self, _, z, h, c: complement(self, z) * (h + c),
    ),
    "candidate-only": (
        "forgets the state: the new state is (1 - z) c",
        lambda self, usual, z, h, c: usual(z, _nothing(self, h), c),
    ),
    "state-unweighted": (
        "adds the state as a whole: h + (1 - z) c",
        lambda self, usual, z, h, c: h + usual(z, _nothing(self, h), c),
    ),
}
"""Faults that need a state."""


def _updates() -> Iterator[Fault]:
    for table, where in ((_UPDATES, ()), (_UPDATES_WITH_STATE, (STATE_MATTERS,))):
        for name, (does, mixed) in table.items():
            yield Fault(id=f"update/{name}", does=does, clause="update", where=where, definition={"mixed": mixed})
    yield Fault(
        id="update/candidate-alone",
        does="has no update gate: the new state is the candidate, as in a plain recurrent layer",
        clause="update",
        definition={"mixed": lambda _, __, ___, ____, candidate: candidate},
    )
    yield Fault(
        id="update/reset-gate",
        does="computes the update gate from the weights of the reset gate, so that both gates are the same",
        clause="update",
        definition={"gate": lambda _, usual, __, inputs, state: usual("r", inputs, state)},
    )
    yield unseen_state("update", "z", "update gate")
    yield Fault(
        id="update/state-overwritten",
        does="multiplies the state by the reset gate in place, so that the update mixes r * h in instead of h",
        clause="update",
        where=(STATE_MATTERS,),
        definition={"gate": _overwriting, "mixed": _of_overwritten},
    )


def unseen_state(family: str, gate: str, title: str) -> Fault:
    """Return the fault of a gate that does not see the state."""
    block = f"recurrent_kernel_{gate}"

    def weight(definition: Any, usual: Any, name: str) -> Any:
        units = definition.spec.units
        return definition.numbers.zeros((1, units, units)) if name == block else usual(name)

    return Fault(
        id=f"{family}/gate-without-state",
        does=f"computes the {title} without the state, from the inputs and the biases alone",
        clause="reset-before",
        where=(STATE_MATTERS,),
        definition={"weight": weight},
    )


def _overwriting(definition: Any, usual: Any, gate: str, inputs: Any, state: Any) -> Any:
    found = usual(gate, inputs, state)
    if gate == "r":
        definition.overwritten = found * state
    return found


def _of_overwritten(definition: Any, usual: Any, update: Any, _: Any, candidate: Any) -> Any:
    return usual(update, definition.overwritten, candidate)
