"""Family ``dropout``: masks that are scaled, shared, exchanged, drawn anew, forgotten or put in the wrong place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import Fault
from gruspec.faults.nodes import changed
from gruspec.faults.traits import STATE_MATTERS
from gruspec.spec import GATES
from gruspec.spec.dropout import DROPOUT_RATES, acting_dropout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement, Seams
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

_WORDS = {"inputs": "inputs", "recurrent": "state"}
_FROM_A_STATE = ("recurrent-dropout", STATE_MATTERS)
_ACTS = {"inputs": ("inputs-dropout",), "recurrent": _FROM_A_STATE}
_GATEWISE = {"inputs": ("gatewise-dropout",), "recurrent": _FROM_A_STATE}


def dropout_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    for kind in DROPOUT_RATES:
        yield from _wrong_masks(kind)
        yield from _wrong_gates(kind)
    yield from _wrong_places()
    yield from _wrong_times()


def _fault(name: str, does: str, *where: str, **more: Any) -> Fault:
    return Fault(id=f"dropout/{name}", does=does, clause="dropout-masks", where=where, **more)


def _wrong_masks(kind: str) -> Iterator[Fault]:
    """Yield wrong scales of one kind of mask; that of a keep probability is the right one at a rate of 1/2."""
    words, acts = _WORDS[kind], _ACTS[kind]
    changes: dict[str, tuple[str, Callable[[NDArray[Any], float], NDArray[Any]], tuple[str, ...]]] = {
        "scaled-twice": ("divides the dropout masks by 1 - rate once more", lambda m, rate: m / (1 - rate), ()),
        "unscaled": ("keeps entries without dividing them by 1 - rate", lambda m, rate: m * (1 - rate), ()),
        "inverted": (
            "keeps what should be dropped and drops what should be kept",
            lambda m, rate: np.where(m == 0, 1 / (1 - rate), 0).astype(m.dtype),
            (),
        ),
        "keep-probability": (
            "takes the rate for the probability of keeping, and divides by the rate instead of 1 - rate",
            lambda m, rate: m * ((1 - rate) / rate),
            ("uneven-dropout",),
        ),
    }
    for name, (does, change, where) in changes.items():
        yield _fault(
            f"{words}-{name}", f"{does}, for the {words}", *acts, *where, arguments=_masks_changed(kind, change)
        )
    yield _fault(f"{words}-ignored", f"ignores dropout of the {words}", *acts, definition={"dropped": _undropped(kind)})


def _masks_changed(
    kind: str, change: Callable[[NDArray[Any], float], NDArray[Any]]
) -> Callable[[GRUSpec, Arguments], Arguments]:
    def arguments(spec: GRUSpec, given: Arguments) -> Arguments:
        masks = dict(given.dropout_masks or {})
        if kind not in acting_dropout(spec, training=given.training) or kind not in masks:
            return given
        masks[kind] = change(masks[kind], getattr(spec, DROPOUT_RATES[kind]))
        return replace(given, dropout_masks=masks)

    return arguments


def _undropped(kind: str) -> Replacement:
    return lambda _, usual, name, values: values if name.startswith(kind) else usual(name, values)


def _wrong_gates(kind: str) -> Iterator[Fault]:
    words, where = _WORDS[kind], _GATEWISE[kind]
    for gate in GATES:
        yield _fault(
            f"{words}-shares-{gate}",
            f"drops the {words} of all gates by the mask of {gate}, where each gate has its own",
            *where,
            definition={"dropped": _redirected(kind, dict.fromkeys(GATES, gate))},
            reports=("keras PR#20656",) if (kind, gate) == ("recurrent", "z") else (),
        )
    for one, other in ("zr", "zh", "rh"):
        yield _fault(
            f"{words}-exchanges-{one}{other}",
            f"exchanges the dropout masks of the {words} for {one} and {other}",
            *where,
            definition={"dropped": _redirected(kind, {one: other, other: one})},
        )


def _redirected(kind: str, gates: dict[str, str]) -> Replacement:
    names = {f"{kind}_{gate}": f"{kind}_{other}" for gate, other in gates.items()}
    return lambda _, usual, name, values: usual(names.get(name, name), values)


def _wrong_places() -> Iterator[Fault]:
    acts = "recurrent-dropout"
    kept_whole = _undropped("recurrent")
    yield _fault(
        "state-in-update",
        "drops the state by one mask before everything, so that the update mixes the dropped state too",
        *_FROM_A_STATE,
        definition={"dropped": kept_whole, "cell": _cell_of_dropped_state},
        reports=("keras#20276",),
    )
    yield _fault(
        "state-after-update",
        "drops the new state instead of the state in the matrix products",
        acts,
        definition={"dropped": kept_whole, "cell": _result_dropped},
        reports=("tensorflow#11650",),
    )
    yield _fault(
        "candidate-dropped",
        "drops the candidate instead of the state in the matrix products",
        acts,
        definition={"dropped": kept_whole, "candidate": _result_dropped},
    )
    yield _fault(
        "products-dropped",
        "multiplies the dropout masks of the state with the matrix products instead of with the state",
        acts,
        definition={"dropped": kept_whole, "recurrence": _product_dropped},
    )
    yield _fault(
        "masks-of-kinds-exchanged",
        "exchanges the dropout masks of inputs and state, where their shapes are equal",
        "gatewise-dropout",
        acts,
        "size-of-units",
        arguments=_kinds_exchanged,
    )


def _cell_of_dropped_state(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
    mask = self.dropout_masks.get("recurrent_z")
    return usual(inputs, state if mask is None else state * mask)


def _result_dropped(self: Any, usual: Any, *arguments: Any) -> Any:
    mask = self.dropout_masks.get("recurrent_h")
    found = usual(*arguments)
    return found if mask is None else found * mask


def _product_dropped(self: Any, usual: Any, gate: str, state: Any) -> Any:
    mask = self.dropout_masks.get(f"recurrent_{gate}")
    product = usual(gate, state)
    return product if mask is None else product * mask


def _kinds_exchanged(_: GRUSpec, given: Arguments) -> Arguments:
    masks = given.dropout_masks or {}
    if {"inputs", "recurrent"} - set(masks) or masks["inputs"].shape != masks["recurrent"].shape:
        return given
    return replace(given, dropout_masks={"inputs": masks["recurrent"], "recurrent": masks["inputs"]})


def _wrong_times() -> Iterator[Fault]:
    def in_inference(_: GRUSpec, given: Arguments) -> Arguments:
        return replace(given, training=given.training or bool(given.dropout_masks))

    def scaled_in_inference(spec: GRUSpec, given: Arguments) -> Arguments:
        if given.training or not 0 < spec.dropout < 1:
            return given
        return replace(given, inputs=given.inputs * given.inputs.dtype.type(1 - spec.dropout))

    yield _fault("in-inference", "drops outside training too", "idle-dropout", arguments=in_inference)
    yield _fault(
        "inference-scaled",
        "multiplies the inputs by 1 - dropout outside training, though the masks of training are scaled already",
        "idle-rate",
        arguments=scaled_in_inference,
    )
    for kind, words in _WORDS.items():
        acts = f"{kind}-dropout"
        yield _fault(
            f"{words}-each-step",
            f"drops the {words} by other masks at every timestep: row i has those of row i + 1 at the next one",
            acts,
            "several-rows",
            "several-steps",
            definition=_after_a_step(_rolled(kind)),
        )
        yield _fault(
            f"{words}-first-step-only",
            f"drops the {words} at the first timestep only",
            acts,
            "several-steps",
            definition=_after_a_step(_forgotten(kind)),
        )


def _after_a_step(change: Callable[[Any, dict[str, Any]], dict[str, Any]]) -> Seams:
    def cell(self: Any, usual: Any, inputs: Any, state: Any) -> Any:
        new = usual(inputs, state)
        self.dropout_masks = change(self.numbers, dict(self.dropout_masks))
        return new

    return {"cell": cell}


def _rolled(kind: str) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    def change(numbers: Any, masks: dict[str, Any]) -> dict[str, Any]:
        def roll(mask: Any) -> Any:
            return changed(numbers, mask, lambda array: np.roll(array, -1, axis=0))

        return {name: roll(mask) if name.startswith(kind) else mask for name, mask in masks.items()}

    return change


def _forgotten(kind: str) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    return lambda _, masks: {name: mask for name, mask in masks.items() if not name.startswith(kind)}
