"""Family ``reset``: the reset gate in another place than that of its variant, or in none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.faults.fault import BOTH, Fault
from gruspec.faults.gates import complement, unseen_state
from gruspec.faults.traits import RESET_MATTERS, STATE_MATTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.faults.fault import Replacement


def reset_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    for name, does, variants, where, reports, total in _PLACEMENTS:
        yield Fault(
            id=f"reset/{name}",
            does=does,
            clause=variants[0],
            variants=variants,
            where=where,
            reports=reports,
            definition={"candidate": _candidate(variants, total)},
        )
    for name, does, reports, changed in _GATES:
        yield Fault(
            id=f"reset/{name}",
            does=does,
            clause="reset-before",
            where=(RESET_MATTERS,),
            reports=reports,
            definition={"candidate": changed},
        )
    yield unseen_state("reset", "r", "reset gate")
    yield Fault(
        id="reset/product-not-cleared",
        does="adds the recurrent product of the candidate to that of the step before, as only a bias clears the buffer",
        clause="reset-after",
        variants=("reset-after",),
        where=("no-bias", "several-steps"),
        reports=("onnxruntime PR#3893", "onnxruntime PR#3797"),
        definition={"recurrence": _accumulating},
    )


def _candidate(variants: tuple[str, ...], total: Callable[[Any, Any, Any, Any], Any]) -> Replacement:
    """Return a candidate with another argument of its activation, in some variants."""

    def candidate(definition: Any, usual: Any, inputs: Any, state: Any, reset: Any) -> Any:
        if definition.spec.variant not in variants:
            return usual(inputs, state, reset)
        return definition.activated("h", total(definition, definition.projection("h", inputs), state, reset))

    return candidate


_PLACEMENTS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...], Callable[..., Any]], ...] = (
    (
        "after-as-before",
        "computes reset-before where reset-after is asked for, the recurrent bias of the candidate added ungated",
        ("reset-after",),
        (RESET_MATTERS,),
        ("onnxscript#2852", "pytorch#189225", "keras-onnx PR#33", "burn#2701"),
        lambda definition, projection, state, reset: projection + definition.recurrence("h", reset * state),
    ),
    (
        "before-as-after",
        "computes reset-after where reset-before is asked for",
        ("reset-before",),
        (STATE_MATTERS,),
        (),
        lambda definition, projection, state, reset: projection + reset * definition.recurrence("h", state),
    ),
    (
        "whole-argument",
        "multiplies the whole argument of the candidate's activation by the reset gate",
        BOTH,
        (),
        (),
        lambda definition, projection, state, reset: reset * (projection + definition.recurrence("h", state)),
    ),
    (
        "input-part",
        "multiplies the input part of the candidate by the reset gate instead of the recurrent part",
        BOTH,
        (),
        (),
        lambda definition, projection, state, reset: reset * projection + definition.recurrence("h", state),
    ),
    (
        "input-part-too",
        "multiplies the input part of the candidate by the reset gate, too",
        ("reset-before",),
        (),
        (),
        lambda definition, projection, state, reset: reset * projection + definition.recurrence("h", reset * state),
    ),
    (
        "ignored",
        "computes the candidate without the reset gate",
        BOTH,
        (RESET_MATTERS,),
        ("GRU-D#2",),
        lambda definition, projection, state, _: projection + definition.recurrence("h", state),
    ),
    (
        "both-sides",
        "applies the reset gate before the recurrent product and after it",
        BOTH,
        (STATE_MATTERS,),
        (),
        lambda definition, projection, state, reset: projection + reset * definition.recurrence("h", reset * state),
    ),
    (
        "recurrent-part-missing",
        "computes the candidate from the inputs alone",
        BOTH,
        (RESET_MATTERS,),
        (),
        lambda _, projection, __, ___: projection,
    ),
)
"""Name, what it does, variants, where, reports, and the argument of the candidate's activation."""


_GATES: tuple[tuple[str, str, tuple[str, ...], Replacement], ...] = (
    (
        "complement",
        "resets where it should keep: it multiplies by 1 - r instead of r",
        (),
        lambda definition, usual, inputs, state, reset: usual(inputs, state, complement(definition, reset)),
    ),
    (
        "twice",
        "applies the reset gate twice in its place",
        (),
        lambda _, usual, inputs, state, reset: usual(inputs, state, reset * reset),
    ),
    (
        "update-gate",
        "resets by the update gate: it computes the reset gate from the weights of the update gate",
        (),
        lambda definition, usual, inputs, state, _: usual(inputs, state, definition.gate("z", inputs, state)),
    ),
)
"""Name, what it does, reports, and the candidate with another gate."""


def _accumulating(definition: Any, usual: Any, gate: str, state: Any) -> Any:
    product = usual(gate, state)
    if gate != "h" or definition.spec.use_bias or not definition.spec.reset_after:
        return product
    product = product + definition.product if hasattr(definition, "product") else product
    definition.product = product
    return product
