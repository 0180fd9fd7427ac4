"""The report on what is in files: their GRUs, and what each can become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from gruspec.files import InspectedGRU, open_file
from gruspec.files.inspection import EXACT, FOLDED, becomes
from gruspec.report.console import paragraph, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import Console

    from gruspec.errors import GruspecError
    from gruspec.files import FoundGRU, Told
    from gruspec.layouts import Sizes

_VARIANTS = {True: "reset-after", False: "reset-before", None: "variant not told"}


@dataclass(frozen=True)
class Inspected:
    """What is in a file: its format, how many tensors it has, and its GRUs."""

    path: Path
    format: str
    tensors: int
    grus: tuple[InspectedGRU, ...]


def inspected(path: Path, format_name: str | None, told: Told) -> Inspected:
    """Return what is in a file.

    Parameters
    ----------
    path
        The file.
    format_name
        Name of its format; found by looking at it for None.
    told
        What the file does not tell.

    Raises
    ------
    FileError
        If it is damaged or of no known format.
    MissingDependency
        If its format needs a module that is not installed.
    """
    with open_file(path, format=format_name) as checkpoint:
        grus = tuple(InspectedGRU(gru, becomes(checkpoint, gru, told)) for gru in checkpoint.grus)
        return Inspected(path, checkpoint.format, len(checkpoint.tensors), grus)


def print_file(found: Inspected, out: Console) -> None:
    """Print the GRUs of a file."""
    count = len(found.grus)
    grus = "no GRU" if not count else "1 GRU" if count == 1 else f"{count} GRUs"
    tensors = "1 tensor" if found.tensors == 1 else f"{found.tensors} tensors"
    verbatim(out, Text(f"{found.path}: {found.format}, {tensors}, {grus}", "bold"))
    for each in found.grus:
        _print_gru(each, out)
    out.print()


def _print_gru(found: InspectedGRU, out: Console) -> None:
    gru = found.gru
    paragraph(out, gru.path or "the GRU of the file", indent=2, style="bold")
    paragraph(out, " or ".join(gru.layouts) + ", " + ", ".join(_facts(gru)), indent=4, hanging=2)
    if gru.options:
        options = ", ".join(f"{name}={value!r}" for name, value in gru.options.items())
        paragraph(out, options, indent=4, hanging=2, style="dim")
    for heading, value in (("exactly", EXACT), ("with folded biases", FOLDED)):
        if names := [name for name, answer in found.becomes.items() if answer == value]:
            paragraph(out, f"{heading}: {', '.join(names)}", indent=4, hanging=2)
    for reason, names in _by_reason(found).items():
        paragraph(out, f"not {', '.join(names)}: {reason}", indent=4, hanging=2, style="dim")


def _facts(gru: FoundGRU) -> list[str]:
    return [
        _VARIANTS[gru.reset_after],
        *_sizes(gru.sizes),
        "bias" if gru.use_bias else "no bias",
        gru.dtype,
        f"{gru.activation or 'activation not told'} and {gru.recurrent_activation or 'recurrent activation not told'}",
    ]


def _sizes(sizes: Sizes | None) -> list[str]:
    if sizes is None:
        return ["sizes not told"]
    shown = [f"{sizes.units} units", f"input size {sizes.input_size}"]
    shown += [f"{sizes.layers} layers"] if sizes.layers > 1 else []
    return shown + (["2 directions"] if sizes.directions > 1 else [])


def _by_reason(found: InspectedGRU) -> dict[str, list[str]]:
    """Return which layouts cannot hold a GRU, by each of the reasons."""
    reasons: dict[str, list[str]] = {}
    for name, answer in found.becomes.items():
        for reason in () if answer in (EXACT, FOLDED) else answer.split("; "):
            reasons.setdefault(reason, []).append(name)
    return reasons


def files_document(found: Sequence[Inspected], problems: Iterable[tuple[Path, GruspecError]]) -> dict[str, Any]:
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
