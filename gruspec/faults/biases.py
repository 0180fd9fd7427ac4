"""Family ``bias``: biases dropped, doubled, exchanged, or added on the wrong side of the reset gate."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from gruspec.faults.fault import BOTH, Fault
from gruspec.faults.nodes import value
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.faults.fault import Replacement

_ROWS = {"bias": ("input", BOTH), "recurrent_bias": ("recurrent", ("reset-after",))}
"""What each row of the bias is called, and the variants that have it."""

_SOURCES = {"bias": ("bias",), "recurrent_bias": ("recurrent_bias",), "both": ("bias", "recurrent_bias"), "none": ()}


def bias_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    return chain(_single(), _of_gates(), _of_candidate())


def _zero(definition: Any) -> Any:
    return definition.numbers.zeros((1, 1, definition.spec.units))


def _dropped(blocks: frozenset[str]) -> Replacement:
    return lambda definition, usual, name: _zero(definition) if name in blocks else usual(name)


def _doubled(blocks: frozenset[str]) -> Replacement:
    return lambda _, usual, name: usual(name) + usual(name) if name in blocks else usual(name)


def _blocks(rows: tuple[str, ...], gates: tuple[str, ...] = GATES) -> frozenset[str]:
    return frozenset(f"{row}_{gate}" for row in rows for gate in gates)


def _fault(name: str, does: str, weight: Replacement, variants: tuple[str, ...], *reports: str) -> Fault:
    return Fault(
        id=f"bias/{name}",
        does=does,
        clause="bias",
        variants=variants,
        where=("bias",),
        reports=reports,
        definition={"weight": _only_in(variants, weight)},
    )


def _only_in(variants: tuple[str, ...], weight: Replacement) -> Replacement:
    def seam(definition: Any, usual: Any, name: str) -> Any:
        return weight(definition, usual, name) if definition.spec.variant in variants else usual(name)

    return seam


_REPORTS = {"recurrent-h-dropped": ("flax#5594",)}


def _single() -> Iterator[Fault]:
    for row, (title, variants) in _ROWS.items():
        for gate in GATES:
            blocks = _blocks((row,), (gate,))
            name = f"{title}-{gate}-dropped"
            does = f"leaves out the {title} bias of gate {gate}"
            yield _fault(name, does, _dropped(blocks), variants, *_REPORTS.get(name, ()))
            yield _fault(
                f"{title}-{gate}-doubled", f"adds the {title} bias of gate {gate} twice", _doubled(blocks), variants
            )


def _of_gates() -> Iterator[Fault]:
    both, after = _blocks(tuple(_ROWS)), ("reset-after",)
    yield _fault("all-dropped", "ignores the bias", _dropped(both), BOTH, "deep-learning-from-scratch-2#13")
    yield _fault("all-doubled", "adds every bias twice", _doubled(both), BOTH, "tensorflow#54507", "tensorflow#54492")
    for row, (title, _) in _ROWS.items():
        yield _fault(f"{title}-dropped", f"ignores the {title} bias", _dropped(_blocks((row,))), after)
    yield _fault(
        "recurrent-gates-dropped",
        "keeps the recurrent bias of the candidate and loses those of the gates, as in a layout without room for them",
        _dropped(_blocks(("recurrent_bias",), ("z", "r"))),
        after,
    )
    for row, (title, _) in _ROWS.items():
        other = "recurrent" if title == "input" else "input"
        yield _fault(
            f"{title}-for-both",
            f"adds the {title} bias in the place of the {other} bias, too",
            _from_row(row),
            after,
        )


def _from_row(row: str) -> Replacement:
    def weight(_: Any, usual: Any, name: str) -> Any:
        kind, _, gate = name.rpartition("_")
        return usual(f"{row}_{gate}" if kind in _ROWS else name)

    return weight


def _of_candidate() -> Iterator[Fault]:
    places = (
        (
            "candidate-folded",
            "adds the recurrent bias of the candidate outside the reset gate, as if the two biases were one",
            {"bias_h": "both", "recurrent_bias_h": "none"},
            ("coremltools#1124",),
        ),
        (
            "candidate-gated",
            "adds the input bias of the candidate inside the reset gate, as if the two biases were one",
            {"bias_h": "none", "recurrent_bias_h": "both"},
            (),
        ),
        (
            "rows-exchanged",
            "takes the input bias for the recurrent bias and the other way round, which shows in the candidate",
            {"bias_h": "recurrent_bias", "recurrent_bias_h": "bias"},
            (),
        ),
    )
    for name, does, sources, reports in places:
        yield _fault(name, does, _placed(sources), ("reset-after",), *reports)
    yield Fault(
        id="bias/recurrent-h-skipped-at-zero-state",
        does="skips the recurrent part of the candidate, its bias included, where the state is zero",
        clause="bias",
        variants=("reset-after",),
        where=("bias",),
        reports=("mlx#3249",),
        definition={"recurrence": _skipping},
    )


def _placed(sources: dict[str, str]) -> Replacement:
    def weight(definition: Any, usual: Any, name: str) -> Any:
        if name not in sources:
            return usual(name)
        biases = [usual(f"{row}_h") for row in _SOURCES[sources[name]]]
        return sum(biases[1:], biases[0]) if biases else _zero(definition)

    return weight


def _skipping(definition: Any, usual: Any, gate: str, state: Any) -> Any:
    if gate != "h" or not definition.spec.reset_after or value(state).any():
        return usual(gate, state)
    return definition.numbers.zeros(state.shape)
