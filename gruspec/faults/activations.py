"""Family ``activation``: other functions than the five of the specification, or these in other roles."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from gruspec.faults.fault import Fault
from gruspec.faults.functions import HARD_SIGMOIDS, RELUS, SIGMOIDS, TABLES, TANHS
from gruspec.faults.traits import RESET_MATTERS, other_activations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.faults.fault import Replacement
    from gruspec.spec import GRUSpec

_CLAUSES = {
    "tanh": "arithmetic-functions",
    "sigmoid": "arithmetic-functions",
    "hard_sigmoid": "hard-sigmoid",
    "relu": "activations",
}
"""The clause that another function in the place of an activation breaks."""


def activation_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    return chain(_roles(), _single_gates(), _functions(), _names())


def _anywhere(name: str) -> str:
    """Return the trait that an activation has a role."""
    return f"candidate-{name}|gates-{name}"


def _functions() -> Iterator[Fault]:
    for function in (*HARD_SIGMOIDS, *TANHS, *SIGMOIDS, *RELUS, *TABLES):
        activation = function.activation
        yield Fault(
            id=f"activation/{activation.replace('_', '-')}-{function.name}",
            does=function.does,
            clause=_CLAUSES[activation],
            where=(_anywhere(activation),),
            dtypes=function.dtypes,
            reports=function.reports,
            numbers=function.seams,
        )


def _names() -> Iterator[Fault]:
    for wanted, taken in (
        ("hard_sigmoid", "sigmoid"),
        ("sigmoid", "hard_sigmoid"),
        ("tanh", "sigmoid"),
        ("relu", "linear"),
    ):
        yield Fault(
            id=f"activation/{wanted.replace('_', '-')}-as-{taken.replace('_', '-')}",
            does=f"computes {taken} where {wanted} is asked for",
            clause="activations",
            where=(_anywhere(wanted),),
            numbers={"activation": _renamed(0, wanted, taken), "pull_to_preactivation": _renamed(1, wanted, taken)},
        )


def _renamed(place: int, wanted: str, taken: str) -> Replacement:
    """Return a seam that is given another name of an activation, in this place among its arguments."""

    def seam(_: Any, usual: Any, *arguments: Any) -> Any:
        name = taken if arguments[place] == wanted else arguments[place]
        return usual(*arguments[:place], name, *arguments[place + 1 :])

    return seam


def _roles() -> Iterator[Fault]:
    rows: tuple[tuple[str, str, str, Callable[[GRUSpec], GRUSpec]], ...] = (
        (
            "exchanged",
            "uses the activation for the gates and the recurrent activation for the candidate",
            "unequal-activations",
            lambda spec: replace(spec, activation=spec.recurrent_activation, recurrent_activation=spec.activation),
        ),
        (
            "one-for-all",
            "uses the activation of the candidate for the gates, too",
            "unequal-activations",
            lambda spec: replace(spec, recurrent_activation=spec.activation),
        ),
        (
            "gates-for-all",
            "uses the recurrent activation for the candidate, too",
            "unequal-activations",
            lambda spec: replace(spec, activation=spec.recurrent_activation),
        ),
        (
            "always-tanh",
            "ignores the activation: its candidate is always tanh",
            other_activations("candidate", "tanh"),
            lambda spec: replace(spec, activation="tanh"),
        ),
        (
            "always-sigmoid",
            "ignores the recurrent activation: its gates are always sigmoids",
            other_activations("gates", "sigmoid"),
            lambda spec: replace(spec, recurrent_activation="sigmoid"),
        ),
        (
            "always-hard-sigmoid",
            "ignores the recurrent activation: its gates are always hard sigmoids",
            other_activations("gates", "hard_sigmoid"),
            lambda spec: replace(spec, recurrent_activation="hard_sigmoid"),
        ),
    )
    for name, does, where, changed in rows:
        yield Fault(
            id=f"activation/{name}",
            does=does,
            clause="activations",
            where=(where,),
            spec=changed,
        )


def _single_gates() -> Iterator[Fault]:
    titles = {"z": "update gate", "r": "reset gate", "h": "candidate"}
    for gate, title in titles.items():
        matters = (RESET_MATTERS,) if gate == "r" else ()
        name = title.replace(" ", "-")
        yield Fault(
            id=f"activation/{name}-missing",
            does=f"applies no activation to the {title}",
            clause="activations",
            where=(other_activations("candidate" if gate == "h" else "gates", "linear"), *matters),
            definition={"activated": _activated(gate, lambda _, __, total: total)},
        )
        if gate != "h":
            yield Fault(
                id=f"activation/{name}-as-candidate",
                does=f"uses the activation of the candidate for the {title}",
                clause="activations",
                where=("unequal-activations", *matters),
                definition={"activated": _activated(gate, lambda usual, _, total: usual("h", total))},
            )
    yield Fault(
        id="activation/candidate-of-sigmoid",
        does="applies the recurrent activation to the argument of the candidate before the activation",
        clause="activations",
        where=(other_activations("gates", "linear"),),
        reports=("TensorFlow.jl PR#384",),
        definition={"activated": _activated("h", lambda usual, gate, total: usual(gate, usual("z", total)))},
    )


def _activated(gate: str, changed: Callable[[Any, str, Any], Any]) -> Replacement:
    return lambda _, usual, given, total: changed(usual, given, total) if given == gate else usual(given, total)
