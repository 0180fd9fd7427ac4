"""The options of the layer in all their combinations: topics ``basic``, ``masking``, ``stateful`` and ``common``.

For each variant there are two covering arrays. For a single call its strength is 3: any three values of any three
parameters, sizes and activations included, stand together in some case. For two or three calls of a stateful layer it
is 2.

Few of these cases lie in the region that nearly every framework has: reset-after, tanh and sigmoid, forwards, with no
mask or right padding. The topic ``common`` covers that region by itself, again by any three values.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from gruspec.cases import ResetStates
from gruspec.generate.clauses import exercised_clause
from gruspec.generate.covering import covering_array
from gruspec.generate.draws import Draw
from gruspec.generate.finish import shrinkage
from gruspec.generate.layers import draw_call, draw_weights, make_case
from gruspec.generate.masks import MASK_KINDS, MINIMAL_TIMESTEPS
from gruspec.spec import ACTIVATIONS, GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gruspec.cases import Case, Operation

SINGLE_CALL_STRENGTH = 3
STATEFUL_STRENGTH = 2

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "mask": MASK_KINDS,
    "initial_state": ("none", "zero", "non-zero"),
    "go_backwards": (False, True),
    "return_sequences": (False, True),
    "return_state": (False, True),
    "time_major": (False, True),
    "unroll": (False, True),
    "zero_output_for_mask": (False, True),
    "use_bias": (False, True),
    "activation": ACTIVATIONS,
    "recurrent_activation": ACTIVATIONS,
    "batch": (1, 2, 3, 5),
    "timesteps": (1, 2, 7, 33),
    "input_size": (1, 3, 5),
    "units": (1, 4, 5, 8, 17),
}

COMMON: dict[str, tuple[Any, ...]] = {
    "mask": ("none", "right-padded"),
    "go_backwards": (False,),
    "unroll": (False,),
    "activation": ("tanh",),
    "recurrent_activation": ("sigmoid",),
    "calls": ("one",),
}
"""Parameters that are narrower in the region that nearly every framework has."""

REMEMBERED = 7
"""Most timesteps of a sequence that does not forget the state it starts from."""

STATEFUL_CALLS = ("two", "three", "reset", "reset-values", "explicit-state")

_LONG = 33
_MOST_LONG_OUTPUTS = 25
_UNBOUNDED = ("relu", "linear")
SWITCHES = ("go_backwards", "return_sequences", "return_state", "time_major", "unroll", "zero_output_for_mask")
_ARGUMENTS = (
    *SWITCHES,
    "units",
    "activation",
    "recurrent_activation",
    "use_bias",
    "dropout",
    "recurrent_dropout",
    "implementation",
)
_RATES = {"dropout": "drop", "recurrent_dropout": "recdrop"}
_SHORT = {
    "go_backwards": "back",
    "return_sequences": "seq",
    "return_state": "state",
    "time_major": "tm",
    "unroll": "unroll",
    "zero_output_for_mask": "zero",
    "right-padded": "right",
    "left-padded": "left",
    "all-masked-row": "empty-row",
    "first-step-masked": "late",
    "non-zero": "h0",
    "zero": "h00",
    "hard_sigmoid": "hs",
    "sigmoid": "sig",
    "linear": "lin",
}
"""Short names in ids; others stand as they are."""


def allowed(row: Mapping[str, Any]) -> bool:
    """Return whether a row, which may be partial, makes sense and is not too large.

    A mask needs timesteps to be what it is; the longest sequences do without the largest batches of many units; an
    explicit state of a stateful layer needs a sequence that is too short to forget it.
    """
    timesteps, mask = row.get("timesteps", _LONG), row.get("mask", "none")
    outputs = row.get("batch", 1) * row.get("units", 1)
    fits_mask: bool = timesteps >= MINIMAL_TIMESTEPS.get(mask, 1)
    if "timesteps" not in row:
        return fits_mask
    fits_size = timesteps < _LONG or outputs <= _MOST_LONG_OUTPUTS
    return fits_mask and fits_size and (timesteps <= REMEMBERED or row.get("calls") != "explicit-state")


@cache
def option_rows(variant: str) -> tuple[dict[str, Any], ...]:
    """Return the covering arrays of a variant, one after the other."""
    single = PARAMETERS | {"calls": ("one",)}
    stateful = PARAMETERS | {"calls": STATEFUL_CALLS}
    return (
        *covering_array(single, SINGLE_CALL_STRENGTH, allowed, f"options/{variant}/single"),
        *covering_array(stateful, STATEFUL_STRENGTH, allowed, f"options/{variant}/stateful"),
    )


@cache
def common_rows() -> tuple[dict[str, Any], ...]:
    """Return the covering array of the region that nearly every framework has."""
    return tuple(covering_array(PARAMETERS | COMMON, SINGLE_CALL_STRENGTH, allowed, "options/common"))


def option_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield a case for each row of every covering array."""
    for reset_after in (False, True):
        variant = "reset-after" if reset_after else "reset-before"
        for row in option_rows(variant):
            yield option_case(_topic(row), row, reset_after=reset_after, attempt=attempt)
    for row in common_rows():
        yield option_case("common", row, reset_after=True, attempt=attempt)


def option_case(topic: str, row: Mapping[str, Any], *, reset_after: bool, attempt: int = 0) -> Case:
    """Return the case of a row; later attempts draw smaller weights."""
    spec = row_spec(row, reset_after=reset_after)
    case_id = f"{topic}/{spec.variant}/{row_words(row)}"
    draw = Draw(f"{case_id}#{attempt}")
    unbounded = sum(row[name] in _UNBOUNDED for name in ("activation", "recurrent_activation"))
    shrink = shrinkage(attempt) + (unbounded if row["timesteps"] == _LONG else 0)
    weights = draw_weights(draw, spec, row["input_size"], shrink=shrink)
    operations = case_operations(case_id, attempt, spec, row)
    return make_case(case_id, exercised_clause(spec, operations), (), spec, weights, operations)


def row_spec(row: Mapping[str, Any], *, reset_after: bool) -> GRUSpec:
    """Return the layer of a row; what the row does not tell has its default."""
    given = {name: row[name] for name in _ARGUMENTS if name in row}
    return GRUSpec(reset_after=reset_after, stateful=row["calls"] != "one", **given)


def case_operations(case_id: str, attempt: int, spec: GRUSpec, row: Mapping[str, Any]) -> list[Operation]:
    """Return the calls and resets of a row."""

    def call(i: int, timesteps: int, initial_state: str) -> Operation:
        sizes = (row["batch"], timesteps, row["input_size"])
        draw = Draw(f"{case_id}#{attempt}/{i}")
        return draw_call(draw, spec, sizes, mask=row["mask"], initial_state=initial_state)

    timesteps = row["timesteps"]
    shorter = max(MINIMAL_TIMESTEPS.get(row["mask"], 1), timesteps - 2)
    first, last = call(0, timesteps, row["initial_state"]), call(2, shorter, "none")
    if row["calls"] == "one":
        return [first]
    if row["calls"] == "two":
        return [first, last]
    if row["calls"] == "three":
        return [first, call(1, timesteps, "none"), last]
    if row["calls"] == "explicit-state":
        return [first, call(1, timesteps, "non-zero")]
    values = Draw(f"{case_id}#{attempt}").distinct("reset", (row["batch"], spec.units), -1)
    return [first, ResetStates(values if row["calls"] == "reset-values" else None), last]


def _topic(row: Mapping[str, Any]) -> str:
    if row["calls"] != "one":
        return "stateful"
    return "basic" if row["mask"] == "none" else "masking"


def row_words(row: Mapping[str, Any]) -> str:
    """Return the last part of the id of a row's case."""
    parts = [row["calls"]] if row["calls"] != "one" else []
    parts += [row[name] for name in ("mask", "initial_state") if row[name] != "none"]
    parts += [name for name in SWITCHES if row[name]]
    parts += [] if row["use_bias"] else ["nobias"]
    parts += [f"{word}{100 * row[name]:.0f}" for name, word in _RATES.items() if row.get(name)]
    parts += ["fused"] if row.get("implementation", 1) != 1 else []
    parts += [] if row.get("training", True) else ["inference"]
    parts += [row["activation"], row["recurrent_activation"]]
    sizes = f"b{row['batch']}t{row['timesteps']}d{row['input_size']}u{row['units']}"
    return "-".join([*(_SHORT.get(part, part) for part in parts), sizes])
