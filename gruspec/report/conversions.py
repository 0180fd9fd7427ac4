"""The report on conversions of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.files import certificate
from gruspec.layouts.printing import printable
from gruspec.report.console import console, figure, paragraph, verbatim
from gruspec.verification.documents import document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from gruspec.files import ConvertedGRU, FileConversion
    from gruspec.verification import Side, Verification
    from gruspec.verification.jobs import Outcome

_STYLES = {"verified": "", "differs": "bold red", "not run": "dim"}
_NAMES = 6


def print_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Print what was done with each file; why one was not converted is for standard error."""
    out = console()
    for outcome in outcomes:
        if outcome.conversion is not None:
            _print_conversion(outcome, outcome.conversion, out)


def _print_conversion(outcome: Outcome, conversion: FileConversion, out: Console) -> None:
    source = f"{conversion.source} ({conversion.source_format})"
    verbatim(out, printable(f"{source} -> {conversion.target} ({conversion.target_format})"))
    verifications: list[Verification | None] = [*outcome.verifications] or [None] * len(conversion.grus)
    for gru, verification in zip(conversion.grus, verifications, strict=True):
        _print_gru(gru, out)
        if verification is not None:
            _print_verification(verification, out)
    if conversion.carried:
        count = len(conversion.carried)
        paragraph(out, f"carried over bit for bit: {count} {'tensor' if count == 1 else 'tensors'}", indent=2)
    _print_left(conversion, out)
    if outcome.certificate is not None:
        verbatim(out, f"certificate: {printable(outcome.certificate)}", indent=2)


def _print_gru(gru: ConvertedGRU, out: Console) -> None:
    source, target = (path or "the GRU of the file" for path in (gru.source_path, gru.path))
    renamed = source if source == target else f"{source} -> {target}"
    variant = "reset-after" if gru.reset_after else "reset-before"
    dtype = gru.dtype if gru.dtype == gru.source_dtype else f"{gru.source_dtype} -> {gru.dtype}"
    paragraph(
        out,
        f"{printable(renamed)}: {gru.source_layout} -> {gru.layout}, {gru.exactness.value}; {variant}, {dtype}",
        indent=2,
    )
    if gru.folding:
        bounds = ", ".join(_bound(int(steps), bound) for steps, bound in gru.folding.items())
        paragraph(out, f"folded biases move outputs by {bounds}", indent=4, hanging=2)
    for note in gru.notes:
        paragraph(out, printable(note), indent=4, hanging=2, style="dim")


def _bound(steps: int, bound: float) -> str:
    return f"{'nothing' if bound == 0 else f'at most {figure(bound)}'} in {steps} {'step' if steps == 1 else 'steps'}"


def _print_verification(verification: Verification, out: Console) -> None:
    status = verification.status
    paragraph(
        out,
        f"{status}: {'; '.join(_side(side) for side in verification.sides)}",
        indent=4,
        hanging=2,
        style=_STYLES[status],
    )
    for side in verification.sides:
        for problem in side.problems:
            paragraph(out, f"{side.title}: {printable(problem)}", indent=6, hanging=2, style="bold red")
    for note in (*verification.reasons, *verification.notes):
        paragraph(out, printable(note), indent=6, hanging=2, style="dim")


def _side(side: Side) -> str:
    if not side.runs:
        return f"{side.title} was not run"
    versions = ", ".join(f"{name} {version}" for name, version in side.versions.items())
    return f"{side.title} ({versions}) errs by at most {figure(side.error)} bounds in {side.elements} elements"


def _print_left(conversion: FileConversion, out: Console) -> None:
    by_reason: dict[str, list[str]] = {}
    for name, reason in conversion.left.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        line = printable(f"left out: {', '.join(names[:_NAMES])}{more}: {reason}")
        paragraph(out, line, indent=2, hanging=2, style="yellow")


def conversions_document(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return what was done with each file: its certificate, or why there is none."""
    return {"conversions": [_outcome(outcome) for outcome in outcomes]}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    shown = document(outcome.verifications) if outcome.verifications else None
    return {
        "source": str(outcome.job.source),
        "target": str(outcome.job.target),
        "exit_code": outcome.code,
        "error": outcome.error,
        "certificate_path": None if outcome.certificate is None else str(outcome.certificate),
        "certificate": None if outcome.conversion is None else certificate(outcome.conversion, shown),
    }
