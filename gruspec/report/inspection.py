"""The report on what is in files: their GRUs, and what each can become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from gruspec.files.inspection import EXACT, FOLDED
from gruspec.layouts import LAYOUTS
from gruspec.layouts.printing import printable
from gruspec.report.console import paragraph, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from gruspec.errors import GruspecError
    from gruspec.files import FoundGRU
    from gruspec.files.inspection import InspectedFile, InspectedGRU
    from gruspec.layouts import Sizes

_VARIANTS = {True: "reset-after", False: "reset-before", None: "variant not told"}
_CONDITIONS = ("", *(f", if {_VARIANTS[variant]}" for variant in (True, False)))


def print_file(found: InspectedFile, out: Console) -> None:
    """Print the GRUs of a file."""
    count = len(found.grus)
    grus = "no GRU" if not count else "1 GRU" if count == 1 else f"{count} GRUs"
    tensors = "1 tensor" if found.tensors == 1 else f"{found.tensors} tensors"
    verbatim(out, Text(f"{printable(found.path)}: {found.format}, {tensors}, {grus}", "bold"))
    for each in found.grus:
        _print_gru(each, out)
    out.print()


def _print_gru(found: InspectedGRU, out: Console) -> None:
    gru = found.gru
    paragraph(out, printable(gru.path) or "the GRU of the file", indent=2, style="bold")
    paragraph(out, " or ".join(gru.layouts) + ", " + ", ".join(_facts(gru)), indent=4, hanging=2)
    if gru.options:
        options = ", ".join(f"{printable(name)}={value!r}" for name, value in gru.options.items())
        paragraph(out, options, indent=4, hanging=2, style="dim")
    if found.unread is not None:
        doubt = "" if gru.is_certain else "only its name and its length say that this is a GRU; "
        paragraph(out, f"cannot be read: {doubt}{printable(found.unread)}", indent=4, hanging=2, style="yellow")
        return
    for heading, answer in (("exactly", EXACT), ("with folded biases", FOLDED)):
        for condition in _CONDITIONS:
            if names := [name for name, known in _answers(found) if (answer, condition) in known]:
                paragraph(out, f"{heading}{condition}: {', '.join(names)}", indent=4, hanging=2)
    for (reason, condition), names in _by_reason(found).items():
        line = f"not {', '.join(names)}{condition}: {printable(reason)}"
        paragraph(out, line, indent=4, hanging=2, style="dim")


def _facts(gru: FoundGRU) -> list[str]:
    return [
        _VARIANTS[gru.reset_after],
        *_sizes(gru.sizes),
        "bias" if gru.use_bias else "no bias",
        gru.dtype,
        printable(gru.activation or "activation not told")
        + " and "
        + printable(gru.recurrent_activation or "recurrent activation not told"),
    ]


def _sizes(sizes: Sizes | None) -> list[str]:
    if sizes is None:
        return ["sizes not told"]
    shown = [f"{sizes.units} units", f"input size {sizes.input_size}"]
    shown += [f"{sizes.layers} layers"] if sizes.layers > 1 else []
    return shown + (["2 directions"] if sizes.directions > 1 else [])


def _answers(found: InspectedGRU) -> Iterator[tuple[str, dict[tuple[str, str], None]]]:
    """Yield every layout with its answers, each with the condition under which it holds."""
    for name in LAYOUTS:
        by_variant = found.of_layout(name)
        same = len(set(by_variant.values())) == 1
        yield (
            name,
            {(answer, "" if same else f", if {_VARIANTS[variant]}"): None for variant, answer in by_variant.items()},
        )


def _by_reason(found: InspectedGRU) -> dict[tuple[str, str], list[str]]:
    """Return which layouts cannot hold a GRU, by each of the reasons and the condition under which it is one."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, known in _answers(found):
        for answer, condition in known:
            for reason in () if answer in (EXACT, FOLDED) else answer.split("; "):
                reasons.setdefault((reason, condition), []).append(name)
    return reasons


def files_document(found: Sequence[InspectedFile], problems: Iterable[tuple[Path, GruspecError]]) -> dict[str, Any]:
    """Return what is in files, and why others could not be read."""
    return {
        "files": [
            {
                "path": str(each.path),
                "format": each.format,
                "tensors": each.tensors,
                "grus": [_gru(gru) for gru in each.grus],
            }
            for each in found
        ],
        "problems": [{"path": str(path), "problem": str(error)} for path, error in problems],
    }


def _gru(found: InspectedGRU) -> dict[str, Any]:
    gru = found.gru
    return {
        "path": gru.path,
        "layouts": list(gru.layouts),
        "reset_after": gru.reset_after,
        "sizes": None if gru.sizes is None else gru.sizes._asdict(),
        "use_bias": gru.use_bias,
        "dtype": gru.dtype,
        "activation": gru.activation,
        "recurrent_activation": gru.recurrent_activation,
        "options": {name: value if _plain(value) else str(value) for name, value in gru.options.items()},
        "names": dict(gru.names),
        "becomes": dict(found.becomes),
    }


def _plain(value: object) -> bool:
    """Return whether JSON can write a value as it is."""
    return (
        value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and abs(value) < float("inf"))
    )
