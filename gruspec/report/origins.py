"""The report on where weights come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.conformance import CONFORMS, DIFFERS
from gruspec.diagnosis.readings import (
    BIAS_FORMS,
    BY_GATE,
    BY_UNIT,
    COLUMN_MAJOR,
    COLUMNS,
    FLAT,
    MEMORY,
    MIXED,
    PER_GATE,
    ROWS,
    STACKED,
    WHOLE,
)
from gruspec.faults import CATALOGUE
from gruspec.report.console import figure, paragraph
from gruspec.report.json import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from rich.console import Console

    from gruspec.diagnosis.origin import Candidate, Function, Origin
    from gruspec.diagnosis.readings import Layout
    from gruspec.diagnosis.recorded import Recorded

_OTHERS: Final = 8

_ARRANGEMENTS: Mapping[str, str] = {
    WHOLE: "a kernel and a recurrent kernel of all gates",
    PER_GATE: "a kernel and a recurrent kernel for each gate",
    STACKED: "kernels stacked on recurrent kernels, both gates in one array and the candidate in another",
    FLAT: "all weights in one vector",
}
_ORIENTATIONS: Mapping[str, str] = {
    COLUMNS: "units in columns (D, u)",
    ROWS: "units in rows (u, D)",
    MIXED: "one kernel with units in columns, one in rows",
}
_PACKINGS: Mapping[str, str] = {
    BY_GATE: "",
    BY_UNIT: "unit by unit",
    MEMORY: "the memory of each block that of its transpose",
    COLUMN_MAJOR: "the memory of both whole kernels that of their transposes",
}
_BIASES = {form.id: form.words for form in BIAS_FORMS}


def exit_code(origin: Origin) -> int:
    """Return 0 if an origin is named, else 1."""
    return CONFORMS if origin.best.matches else DIFFERS


def print_origin(origin: Origin, out: Console) -> None:
    """Print the layout and the layer in words, the evidence, and what the pairs do not tell apart."""
    best = origin.best
    if best.matches:
        paragraph(out, f"these are weights of {_users(best)}", style="bold")
    else:
        paragraph(out, "nothing matches", style="bold red")
        paragraph(out, f"the nearest is {_users(best)}, with {_evidence(origin)}")
    for name, role in best.reading.layout.arrays:
        paragraph(out, f"{name}: {role}", indent=2, hanging=2)
    for line in (_layout(best.reading.layout), _function(best.function), _recorded(best.recorded)):
        paragraph(out, line, indent=2, hanging=2)
    if best.matches:
        paragraph(out, _evidence(origin), indent=2, hanging=2)
    _print_others(origin, out)


def _print_others(origin: Origin, out: Console) -> None:
    if not origin.others:
        return
    count = "1 other" if len(origin.others) == 1 else f"{len(origin.others)} others"
    paragraph(out, f"these pairs do not tell it from {count}:", style="yellow")
    for other in origin.others[:_OTHERS]:
        differing = [
            theirs
            for theirs, ours in zip(_words(other), _words(origin.best), strict=True)
            if theirs != ours or theirs == _users(other)
        ]
        paragraph(out, f"{'; '.join(differing)} ({figure(other.residual)} bounds)", indent=2, hanging=2, style="dim")
    if len(origin.others) > _OTHERS:
        paragraph(out, f"and {len(origin.others) - _OTHERS} more: see --json", indent=2, style="dim")


def _words(candidate: Candidate) -> tuple[str, ...]:
    layout = candidate.reading.layout
    arrays = ", ".join(f"{name}: {role}" for name, role in layout.arrays)
    return (
        _users(candidate),
        _layout(layout),
        arrays,
        _variant(candidate.function),
        _update(candidate.function),
        _gates(candidate.function),
        _recorded(candidate.recorded),
    )


def _users(candidate: Candidate) -> str:
    return " or ".join(candidate.frameworks) or "a layout of no framework that is known"


def _layout(layout: Layout) -> str:
    order = f"gates in the order {', '.join(layout.order)}" if layout.order else "an array for each gate"
    parts = (
        _ARRANGEMENTS[layout.arrangement],
        _ORIENTATIONS[layout.orientation],
        order,
        _PACKINGS[layout.packing],
        _BIASES[layout.bias],
    )
    return "; ".join(part for part in parts if part)


def _function(function: Function) -> str:
    return "; ".join((_variant(function), _update(function), _gates(function)))


def _variant(function: Function) -> str:
    return f"the reset gate {'after' if function.reset_after else 'before'} the recurrent product"


def _update(function: Function) -> str:
    return f"update {'(1 - z) h + z c' if function.complement else 'z h + (1 - z) c'}"


def _gates(function: Function) -> str:
    if function.fault:
        return f"tanh, and for the gates what {CATALOGUE[function.fault].does.removeprefix('has ')}"
    return f"tanh, and {function.gates} for the gates"


def _recorded(recorded: Recorded) -> str:
    axes = "(T, B, D)" if recorded.time_major else "(B, T, D)"
    return f"inputs {axes}, outputs of {'every timestep' if recorded.sequence else 'the last timestep'}"


def _evidence(origin: Origin) -> str:
    best, recorded = origin.best, origin.best.recorded
    rows, timesteps = recorded.inputs.shape[:2]
    judged = f"{timesteps} timesteps" if timesteps == origin.timesteps else f"the first {origin.timesteps} timesteps"
    return (
        f"a largest error of {figure(best.error)}, in {recorded.dtype}; {figure(best.residual)} bounds in {judged} of "
        f"{rows} {'row' if rows == 1 else 'rows'}"
    )


def document(origin: Origin) -> dict[str, Any]:
    """Return the origin of weights for programs."""
    return {
        "named": origin.best.matches,
        "dtype": origin.best.recorded.dtype,
        "judged_timesteps": origin.timesteps,
        "best": _candidate(origin.best),
        "others": [_candidate(other) for other in origin.others],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    layout, function = candidate.reading.layout, candidate.function
    return {
        "frameworks": list(candidate.frameworks),
        "arrays": dict(layout.arrays),
        "arrangement": layout.arrangement,
        "orientation": layout.orientation,
        "packing": layout.packing,
        "gate_order": layout.order or None,
        "bias": layout.bias,
        "variant": "reset-after" if function.reset_after else "reset-before",
        "update": "complement" if function.complement else "usual",
        "activation": "tanh",
        "recurrent_activation": function.fault or function.gates,
        "time_major": candidate.recorded.time_major,
        "return_sequences": candidate.recorded.sequence,
        "largest_error": number(candidate.error),
        "residual_in_bounds": number(candidate.residual),
    }
