"""The report for a reader at a terminal, on standard output."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gruspec.conformance import judged
from gruspec.report.summary import Difference, Row, Summary, total
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.cases.model import Flag
    from gruspec.conformance import CaseFinished, Comparison, Disagreement, Failure, Status, SuiteStarted

WIDTH = 100

_ALWAYS: tuple[Status, ...] = ("pass", "fail")
_SOMETIMES: tuple[Status, ...] = ("error", "xpass", "xfail", "unsupported")
_STYLES = {"fail": "bold red", "error": "bold red", "xpass": "bold red", "xfail": "yellow", "unsupported": "dim"}
_EXAMPLES = 2
_REASONS = 6
_LINES = {"fail": 2, "error": 14}


def console() -> Console:
    """Return standard output: as wide as the terminal, or 100 columns where there is none."""
    found = Console(highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = WIDTH
    return found


def print_summary(summary: Summary, out: Console) -> None:
    """Print the whole report of a run."""
    if summary.started is None:
        return
    _print_heading(summary.started, out)
    out.print(_table(summary))
    for name in summary.started.implementations:
        _print_paths(name, summary, out)
    for name in summary.started.implementations:
        _print_declined(name, summary, out)
    for name in summary.started.implementations:
        _print_expected(name, summary, out)
    notes = dict(summary.started.header.flags)
    for name in summary.started.implementations:
        _print_differences(name, notes, summary, out)
    _print_ending(summary, out)


def figure(number: float) -> str:
    """Return an error in few digits; a dot for none.

    >>> figure(0.31415), figure(12345678.0), figure(float("inf")), figure(0.0)
    ('0.314', '1.23e+07', 'inf', '·')
    """
    return "·" if number == 0 else "inf" if math.isinf(number) else f"{number:.3g}"


def paragraph(out: Console, text: str | Text, *, indent: int = 0, hanging: int = 0, style: str = "") -> None:
    """Print text, wrapped at the width; lines after the first are ``hanging`` further. Brackets are brackets."""
    whole = text if isinstance(text, Text) else Text(text, style)
    for number, line in enumerate(whole.wrap(out, max(WIDTH // 2, out.width - indent - hanging))):
        line.rstrip()
        verbatim(out, line, indent=indent + (hanging if number else 0))


def verbatim(out: Console, text: str | Text, *, indent: int = 0) -> None:
    """Print a line that may be copied: it is not wrapped."""
    out.print(Text(" " * indent).append_text(text if isinstance(text, Text) else Text(text)), soft_wrap=True)


def _counted(out: Console, count: int, text: str, *, style: str = "") -> None:
    paragraph(out, f"{count:6}  {text}", hanging=8, style=style)


def _print_heading(started: SuiteStarted, out: Console) -> None:
    header = started.header
    suite = f"suite {header.version}" + (f" of specification {header.spec_version}" if header.spec_version else "")
    source = f"manifest {header.sha256[:12]}" if header.sha256 else f"seed {header.seed}"
    paragraph(out, f"{suite}, {source}: {started.cases} cases in {', '.join(started.dtypes)} on {started.device}")
    paragraph(out, f"{started.machine}, Python {started.python}", style="dim")
    out.print()


def _table(summary: Summary) -> Table:
    names = summary.started.implementations if summary.started else ()
    rows = {name: summary.rows(name) for name in names if name in summary.endings}
    everything = total(row for by_topic in rows.values() for row in by_topic.values())
    statuses = [*_ALWAYS, *(status for status in _SOMETIMES if everything.counts[status])]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("implementation", no_wrap=True)
    table.add_column("topic", no_wrap=True)
    for heading in (*statuses, "error/bound", "ulp", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, by_topic in rows.items():
        for index, (topic, row) in enumerate(by_topic.items()):
            table.add_row("" if index else Text(name, "bold"), topic, *_cells(row, statuses))
        if len(by_topic) != 1:
            whole = total(by_topic.values())
            whole.seconds = summary.endings[name].seconds
            first = "" if by_topic else Text(name, "bold")
            table.add_row(first, "all" if by_topic else "cannot run", *_cells(whole, statuses), style="bold")
        table.add_row()
    return table


def _cells(row: Row, statuses: Sequence[Status]) -> list[Text]:
    counts = [
        Text(str(count), _STYLES.get(status, "")) if (count := row.counts[status]) else Text("·", "dim")
        for status in statuses
    ]
    beyond = "bold red" if row.fraction > 1 else ""
    return [*counts, Text(figure(row.fraction), beyond), Text(figure(row.ulp)), Text(f"{row.seconds:.2f}", "dim")]


def _print_declined(name: str, summary: Summary, out: Console) -> None:
    reasons = summary.declined(name)
    if not reasons:
        return
    paragraph(out, f"{name} does not support", style="dim")
    for reason, count in reasons.most_common(_REASONS):
        _counted(out, count, reason, style="dim")
    if len(reasons) > _REASONS:
        paragraph(out, f"and {len(reasons) - _REASONS} more reasons: see --json", indent=8, style="dim")
    out.print()


def _print_paths(name: str, summary: Summary, out: Console) -> None:
    if paths := summary.paths(name):
        taken = ", ".join(f"{path} in {count}" for path, count in paths.most_common())
        paragraph(out, f"{name} took the code path {taken} cases", style="dim")
        out.print()


def _print_expected(name: str, summary: Summary, out: Console) -> None:
    if known := summary.expected(name, "xfail"):
        paragraph(out, f"{name} fails as expected", style="yellow")
        for entry, results in known.items():
            report = f" ({entry.report})" if entry.report else ""
            _counted(out, len(results), f"{entry}: {entry.reason}{report}")
        out.print()
    if passing := summary.expected(name, "xpass"):
        heading = f"{name} passes where a failure is expected; take these cases out of its expectations"
        paragraph(out, heading, style="bold red")
        for entry, results in passing.items():
            ids = list(dict.fromkeys(result.id for result in results))
            more = f" and {len(ids) - _EXAMPLES} more" if len(ids) > _EXAMPLES else ""
            _counted(out, len(results), f"{entry}: {', '.join(ids[:_EXAMPLES])}{more}")
        out.print()


def _print_differences(name: str, notes: dict[str, Flag], summary: Summary, out: Console) -> None:
    """Print where an implementation differs: all of it, or the clause that may explain the others and their names."""
    differences = summary.differences(name)
    consequences = differences[1:] if differences and differences[0].is_elementary else []
    for difference in differences[: len(differences) - len(consequences)]:
        _print_difference(name, difference, notes, summary, out)
    if consequences:
        number = "1 other clause" if len(consequences) == 1 else f"{len(consequences)} other clauses"
        paragraph(out, Text.assemble((name, "bold"), f" also fails in {number}, which may follow from this"))
        for difference in consequences:
            paragraph(out, f"{titled(difference.clause)}: {_failing(difference)}", indent=2, hanging=2)
        out.print()


def titled(clause: str) -> str:
    """Return the id of a clause with its title."""
    title = CLAUSES.get(clause)
    return f"{clause} ({title})" if title else clause


def _failing(difference: Difference) -> str:
    cases = "1 case" if difference.cases == 1 else f"{difference.cases} cases"
    return f"{len(difference.ids)} of {cases}, in {', '.join(difference.dtypes)}"


def _print_difference(
    name: str, difference: Difference, notes: dict[str, Flag], summary: Summary, out: Console
) -> None:
    """Print one clause; of ``notes``, those that have been printed are taken out."""
    heading = (" differs from the spec in clause ", (titled(difference.clause), "bold"), f": {_failing(difference)}")
    paragraph(out, Text.assemble((name, "bold"), *heading))
    examples = difference.examples(_EXAMPLES)
    for example in examples:
        _print_example(example, out)
    for flag in difference.flags:
        if note := notes.pop(flag, None):
            paragraph(out, f"{flag} catches: {note.catches}", indent=2, hanging=2, style="dim")
            paragraph(out, f"failing it means: {note.effect}", indent=4, hanging=2, style="dim")
    verbatim(out, f"next: {_next(name, examples[0], summary)}", indent=2)
    out.print()


def _next(name: str, example: CaseFinished, summary: Summary) -> str:
    identity = summary.identities.get(name)
    if identity is not None and identity.capabilities is None:
        return f"look {example.id} up in cases/{example.topic}.json of the golden data, and compute it again"
    device = summary.started.device if summary.started else "cpu"
    elsewhere = ("--device", device) if device != "cpu" else ()
    chosen = ("--case", example.id, "--dtype", example.dtype)
    return shlex.join(["gruspec", "check", name, *chosen, *elsewhere, *summary.options])


def _print_example(example: CaseFinished, out: Console) -> None:
    verbatim(out, f"{example.id}, {example.dtype}", indent=2)
    lines = [line for line in example.message.splitlines() if line.strip()]
    style = "red" if example.status == "error" else ""
    for line in lines[: _LINES[example.status]]:
        paragraph(out, line, indent=4, hanging=2, style=style)


def _print_ending(summary: Summary, out: Console) -> None:
    _print_absent(summary, out)
    if summary.finished is not None:
        for problem in summary.finished.problems:
            paragraph(out, problem, style="bold red")
        for name in summary.unjudged():
            paragraph(out, f"{name}: nothing was judged", style="bold red")
        verdict = {0: ("conforms", "bold green"), 1: ("does not conform", "bold red")}
        nothing = "no verdict" if judged(summary.finished.totals) else "no verdict: nothing was judged"
        text, style = verdict.get(summary.finished.exit_code, (nothing, "bold red"))
        counts = ", ".join(f"{count} {status}" for status, count in summary.finished.totals.items() if count)
        paragraph(out, Text.assemble((text, style), f": {counts or 'nothing ran'} in {summary.finished.seconds:.1f} s"))


def _print_absent(summary: Summary, out: Console) -> None:
    for name, ending in summary.endings.items():
        if ending.problem:
            paragraph(out, f"could not run: {ending.problem}", style="bold red")
        if ending.restarts:
            paragraph(out, f"{name}: its process was started again {ending.restarts} times", style="dim")
    if summary.started is not None:
        for name, reason in summary.started.left_out.items():
            paragraph(out, f"{name} left out: {reason}", style="dim")


def print_parity(summary: Summary, comparisons: Sequence[Comparison], failed: Sequence[Failure], out: Console) -> None:
    """Print the pairs, where they disagree, and who failed to give results."""
    if summary.started is not None:
        _print_heading(summary.started, out)
    compared = [comparison for comparison in comparisons if comparison.compared]
    if compared:
        out.print(_pairs(compared))
    for comparison in compared:
        _print_disagreements(comparison, out)
    for failure in failed:
        number = "1 case" if failure.cases == 1 else f"{failure.cases} cases"
        paragraph(out, f"{failure.implementation} failed {number}: {failure.message}", style="bold red")
    if not compared:
        paragraph(out, "nothing was compared", style="bold red")
    elif absent := [comparison for comparison in comparisons if not comparison.compared]:
        paragraph(out, f"not compared: {', '.join(f'{pair.left} and {pair.right}' for pair in absent)}", style="dim")
    _print_absent(summary, out)


def _pairs(comparisons: Sequence[Comparison]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("pair", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("compared", "agree", "known", "differ", "difference/bound"):
        table.add_column(heading, justify="right", no_wrap=True)
    for comparison in comparisons:
        differ = len(comparison.disagreements)
        table.add_row(
            str(comparison.left),
            str(comparison.right),
            str(comparison.compared),
            str(comparison.agreeing),
            Text(str(comparison.known) if comparison.known else "·", "yellow" if comparison.known else "dim"),
            Text(str(differ) if differ else "·", "bold red" if differ else "dim"),
            Text(figure(comparison.worst), "bold red" if comparison.worst > 1 else ""),
        )
    return table


def _print_disagreements(comparison: Comparison, out: Console) -> None:
    by_clause: dict[str, list[Disagreement]] = {}
    for found in comparison.disagreements:
        by_clause.setdefault(found.clause, []).append(found)
    for clause, disagreements in by_clause.items():
        out.print()
        number = "1 case" if len(disagreements) == 1 else f"{len(disagreements)} cases"
        paragraph(out, f"{comparison.left} and {comparison.right} differ in clause {clause}: {number}", style="bold")
        for found in disagreements[:_EXAMPLES]:
            verbatim(out, found.id, indent=2)
            paragraph(out, _disagreement(found), indent=4, hanging=2)


def _disagreement(found: Disagreement) -> str:
    if found.message:
        return f"{found.output} of call {found.call}: {found.message}"
    allowed = (
        f"{figure(found.fraction)} times what their bounds allow, {found.bound:.3g}" if found.bound else "must be equal"
    )
    where = f"{found.output}[{', '.join(map(str, found.index))}] of call {found.call}"
    return f"{where}: {found.left:.9g} and {found.right:.9g}, {allowed}"
