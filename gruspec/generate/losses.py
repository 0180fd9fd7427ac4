"""Topic ``losses``: what regularizers of weights and of outputs add to a loss."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from gruspec.generate.covering import covering_array
from gruspec.generate.draws import Draw
from gruspec.generate.finish import shrinkage
from gruspec.generate.layers import draw_call, draw_weights, make_case
from gruspec.spec import GRUSpec, WeightSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case

_EITHER = (False, True)
_REGULARIZERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "l1": {"l1": 2.0**-4, "l2": 0.0},
    "both": {"l1": 2.0**-6, "l2": 2.0**-3},
}
_PLACES = ("kernel", "recurrent", "bias", "activity")
_PARAMETERS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(_PLACES, tuple(_REGULARIZERS)),
    **dict.fromkeys(("return_sequences", "return_state", "time_major", "use_bias"), _EITHER),
    "mask": ("none", "gaps"),
}
_SIZES = (3, 4, 2)
"""Batch, timesteps and input size: no two alike, since one of the first two divides."""


def loss_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield cases with every two regularizers and options together."""
    for reset_after in _EITHER:
        for row in _rows(reset_after=reset_after):
            yield _loss_case(row, attempt, reset_after=reset_after)


@cache
def _rows(*, reset_after: bool) -> tuple[dict[str, Any], ...]:
    def allowed(row: dict[str, Any]) -> bool:
        return any(row.get(place, "l1") != "none" for place in _PLACES)

    rows = covering_array(_PARAMETERS, 2, allowed, f"losses/{reset_after}")  # type: ignore[arg-type]
    return (*rows, *_ACTIVITY_OF_SEQUENCES)


def _loss_case(row: dict[str, Any], attempt: int, *, reset_after: bool) -> Case:
    switches = {name: row[name] for name in ("return_sequences", "return_state", "time_major", "use_bias")}
    spec = GRUSpec(units=3, reset_after=reset_after, **switches)
    words = [f"{place}-{row[place]}" for place in _PLACES if row[place] != "none"]
    words += [word for name, word in _WORDS.items() if row[name]] + ([] if row["use_bias"] else ["nobias"])
    case_id = f"losses/{spec.variant}/{'-'.join([*words, *(['gaps'] if row['mask'] == 'gaps' else [])])}"
    draw = Draw(f"{case_id}#{attempt}")
    settings = WeightSettings(
        **{f"{place}_regularizer": _configuration(row[place]) for place in _PLACES if row[place] != "none"}
    )
    call = draw_call(draw, spec, _SIZES, mask=row["mask"])
    weights = draw_weights(draw, spec, _SIZES[2], shrink=shrinkage(attempt))
    return replace(make_case(case_id, "losses", ["Losses"], spec, weights, [call]), settings=settings)


_ACTIVITY_OF_SEQUENCES = tuple(
    {**dict.fromkeys(_PLACES, "none"), "activity": penalty, "return_sequences": True, "return_state": False}
    | {"time_major": False, "use_bias": True, "mask": "none"}
    for penalty in ("l1", "both")
)
"""Rows about what divides an activity penalty and what does not."""

_WORDS = {"return_sequences": "seq", "return_state": "state", "time_major": "tm"}


def _configuration(name: str) -> dict[str, Any]:
    return {"class_name": "L1L2", "config": _REGULARIZERS[name]}
