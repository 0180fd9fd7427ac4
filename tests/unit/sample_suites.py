"""Small suites for the implementations in ``sample_backends``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec import GRUSpec
from gruspec.backend import Registration
from gruspec.cases import Call, Case, Expected, Flag, ResetStates, write_manifest, write_topic
from gruspec.conformance import Event, Expectations, Header, Implementation, Plan, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

UNITS = 2
FLAGS = {"Odd": Flag("Odd", catches="superstition", effect="users in room 13 see other results")}
HEADER = Header(version="test", spec_version="1", sha256="0" * 64)


def expected(inputs: Any, kappa: float = 0.0) -> dict[str, Expected]:
    value = inputs[:, -1, :]
    found = Expected(value, np.full(value.shape, kappa, np.float32))
    return {"outputs": found, "state": found}


def case(name: str = "plain", *, first: float = 1.0, kappa: float = 0.0, topic: str = "echo", **changes: Any) -> Case:
    inputs = np.arange(1.0, 13.0).reshape(2, 3, UNITS)
    inputs[0, 0, 0] = first
    call = Call(inputs, expected=expected(inputs, kappa))
    weights = {"kernel": np.zeros((UNITS, 3 * UNITS)), "recurrent_kernel": np.zeros((UNITS, 3 * UNITS))}
    arguments: dict[str, Any] = {
        "clause": "last-output",
        "flags": (),
        "dtypes": ("float32", "float64"),
        "spec": GRUSpec(units=UNITS, use_bias=False, return_state=True),
        "weights": weights,
        "calls": (call,),
    }
    return Case(id=f"{topic}/{name}", topic=topic, **arguments | changes)


def suite() -> list[Case]:
    """One case before, one that samples misbehave in, and two after it."""
    return [case("before"), case("thirteen", first=13.0, flags=("Odd",)), case("after"), case("last", topic="other")]


def refused_call() -> Case:
    inputs = np.ones((2, 3, UNITS))
    call = Call(inputs, initial_state=np.ones((5, UNITS)), raises="ValueError")
    return case("refused-call", result="invalid", calls=(call,))


def refused_reset() -> Case:
    good = case().calls[0]
    return case("refused-reset", result="invalid", calls=(good, ResetStates(raises="AttributeError"), good))


def refused_layer() -> Case:
    return case("refused-layer", result="invalid", raises="ValueError", calls=())


def implementation(name: str, **options: Any) -> Implementation:
    return Implementation(Registration(name, f"sample_backends:{name}"), **options)


def play(cases: Sequence[Case], *names: str, timeout: float = 60.0, **plan: Any) -> list[Event]:
    """Run samples on cases and return all events."""
    options: dict[str, Any] = {"cases": cases, "header": HEADER} | plan
    return list(run(Plan(**options), [implementation(name, timeout=timeout) for name in names]))


def expecting(name: str, *entries: Any) -> dict[str, Expectations]:
    return {name: Expectations(entries, source=f"{name}.toml")}


def write_golden(root: Path, cases: Sequence[Case]) -> Path:
    counts: dict[str, int] = {}
    files = []
    for topic in dict.fromkeys(found.topic for found in cases):
        chosen = [found for found in cases if found.topic == topic]
        counts[topic] = len(chosen)
        write_topic(root, topic, "a topic", FLAGS, chosen)
        files += [f"cases/{topic}.json", f"tensors/{topic}.safetensors"]
    versions = {"suite_version": "9.9", "spec_version": "1.0", "generator": {}, "tools": {}}
    write_manifest(root, versions, counts, files)
    return root
