"""The report of a sweep: a table and its findings for a reader, or one document for programs."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gruspec import __version__
from gruspec.report.console import figure, paragraph, verbatim
from gruspec.report.json import FORMAT, number
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from gruspec.report.tally import Figures, Tally

_COLUMNS = ("cases", "pass", "fail", "error", "known", "unsupported", "worst", "median")
_MESSAGE_LINES = 14


@dataclass(frozen=True, kw_only=True)
class Found:
    """A failure as it is reported.

    Parameters
    ----------
    implementation, dtype, k
        Whose, in which dtype, and in which case.
    clause, case, message
        Of the simplest case that fails: its clause, what it is in words, and the verdict.
    numbers, numbers_before
        How many numbers that case gives to the layer, and how many the random case gave.
    tried, again
        How many cases were tried, and whether the random case failed again at all.
    path
        The script that shows the failure; None if it could not be written.
    problem
        Why there is no script; empty if there is one.
    """

    implementation: str
    dtype: str
    k: int
    clause: str
    case: str
    message: str
    numbers: int
    numbers_before: int
    tried: int
    again: bool
    path: str | None
    problem: str


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """A sweep that has ended, or was broken off.

    Parameters
    ----------
    tally
        Its cases.
    found
        Its findings.
    seed, next
        The seed, and the first case that has not been run.
    uncertified
        Numbers of cases that could not be certified.
    resume
        The command that goes on.
    """

    tally: Tally
    found: Sequence[Found]
    seed: int
    next: int
    uncertified: Sequence[int]
    resume: str


def print_sweep(report: SweepReport, out: Console) -> None:
    """Print the table, the findings, and how to go on."""
    tally = report.tally
    if tally.started is not None:
        run = f"random cases of seed {report.seed} before {report.next}"
        paragraph(out, f"{run}, in {', '.join(tally.started.dtypes)} on {tally.started.device}")
        paragraph(out, f"{tally.started.machine}, Python {tally.started.python}", style="dim")
        out.print()
        if tally.figures:
            out.print(_table(tally))
            out.print()
    for found in report.found:
        _print_found(found, out)
        out.print()
    _print_notes(report, out)
    _print_verdict(tally, out)
    verbatim(out, f"resume with: {report.resume}")


def _table(tally: Tally) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("implementation", no_wrap=True)
    table.add_column("dtype", no_wrap=True)
    for heading in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name in tally.started.implementations if tally.started else ():
        for index, (dtype, figures) in enumerate(tally.of(name).items()):
            table.add_row("" if index else Text(name, "bold"), dtype, *_cells(figures))
    return table


def _cells(figures: Figures) -> list[Text]:
    counts = figures.counts
    styled = (
        (counts.total(), ""),
        (counts["pass"], ""),
        (counts["fail"], "bold red"),
        (counts["error"], "bold red"),
        (figures.known, "yellow"),
        (counts["unsupported"], "dim"),
    )
    cells = [Text(str(count), style) if count else Text("·", "dim") for count, style in styled]
    beyond = "bold red" if figures.worst > 1 else ""
    return [*cells, Text(figure(figures.worst), beyond), Text(figure(figures.median))]


def _print_found(found: Found, out: Console) -> None:
    clause = f"{found.clause} ({CLAUSES[found.clause]})"
    heading = (" differs from the spec in ", (f"case {found.k}", "bold"), f", {found.dtype}; clause ", (clause, "bold"))
    paragraph(out, Text.assemble((found.implementation, "bold"), *heading))
    paragraph(out, found.case, indent=2, hanging=2)
    for line in [line for line in found.message.splitlines() if line.strip()][:_MESSAGE_LINES]:
        paragraph(out, line, indent=4, hanging=2)
    if found.again:
        shrunk = f"shrunk from {found.numbers_before} numbers to {found.numbers}, trying {found.tried} cases"
        paragraph(out, shrunk, indent=2, style="dim")
    else:
        paragraph(out, "as it was drawn: it did not fail again by itself", indent=2, style="yellow")
    if found.path is None:
        paragraph(out, f"no script: {found.problem}", indent=2, hanging=2, style="bold red")
    else:
        verbatim(out, f"run: {shlex.join(['python', found.path])}", indent=2)


def _print_notes(report: SweepReport, out: Console) -> None:
    for name, ending in report.tally.endings.items():
        if ending.problem:
            paragraph(out, f"could not run: {ending.problem}", style="bold red")
        if ending.restarts:
            paragraph(out, f"{name}: its process was started again {ending.restarts} times", style="dim")
    for name in report.tally.unjudged:
        paragraph(out, f"{name}: nothing was judged", style="bold red")
    for name, reason in report.tally.started.left_out.items() if report.tally.started else ():
        paragraph(out, f"{name} left out: {reason}", style="dim")
    if report.uncertified:
        numbers = ", ".join(map(str, report.uncertified))
        paragraph(out, f"left out, for they could not be certified: cases {numbers}", style="dim")


def _print_verdict(tally: Tally, out: Console) -> None:
    if tally.finished is None:
        paragraph(out, "broken off", style="bold red")
        return
    verdict = {0: ("conforms", "bold green"), 1: ("does not conform", "bold red")}
    text, style = verdict.get(tally.finished.exit_code, ("no verdict", "bold red"))
    counts = ", ".join(f"{count} {status}" for status, count in tally.finished.totals.items() if count)
    paragraph(out, Text.assemble((text, style), f": {counts or 'nothing ran'} in {tally.finished.seconds:.1f} s"))


def sweep_document(report: SweepReport) -> dict[str, Any]:
    """Return all of it; ``exit_code`` is None if the sweep was broken off."""
    tally = report.tally
    started, finished = tally.started, tally.finished
    return {
        "format": FORMAT,
        "gruspec": __version__,
        "seed": report.seed,
        "next": report.next,
        "resume": report.resume,
        "uncertified": list(report.uncertified),
        "machine": started.machine if started else "",
        "python": started.python if started else "",
        "device": started.device if started else "",
        "dtypes": list(started.dtypes) if started else [],
        "exit_code": finished.exit_code if finished else None,
        "left_out": dict(started.left_out) if started else {},
        "implementations": [_implementation(name, tally) for name in (started.implementations if started else ())],
        "findings": [asdict(found) for found in report.found],
    }


def _implementation(name: str, tally: Tally) -> dict[str, Any]:
    identity, ending = tally.identities.get(name), tally.endings.get(name)
    return {
        "name": name,
        "versions": dict(identity.versions) if identity else {},
        "problem": ending.problem if ending else "",
        "dtypes": [
            {
                "dtype": dtype,
                "cases": figures.counts.total(),
                **{status: figures.counts[status] for status in ("pass", "fail", "error", "unsupported")},
                "known": figures.known,
                "worst_error_in_bounds": number(figures.worst),
                "median_error_in_bounds": number(figures.median),
            }
            for dtype, figures in tally.of(name).items()
        ],
    }
