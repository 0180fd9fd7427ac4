"""``gruspec check``: run the golden suite on implementations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gruspec.cli.options import RunOptions, as_json, run_options
from gruspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.conformance import Event, Plan, ResultsWriter, Subject
    from gruspec.report.summary import Summary

_EXAMPLES = """\b
Examples:
  gruspec check                                     everything that is installed
  gruspec check torch --topic masking               one topic on one implementation
  gruspec check mypkg.adapter:backend               your own
  gruspec check --results mine.safetensors --dtype float32
                                                    results of a program in any language
"""


@click.command("check", epilog=_EXAMPLES)
@run_options
@click.option(
    "--save-results",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep what was computed, as DIR/IMPL.DTYPE.safetensors.",
)
@click.option("--force", is_flag=True, help="Let --save-results replace files.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge a file of results instead of running anything; needs one --dtype.",
)
@as_json
def command(*, save_results: Path | None, force: bool, results: Path | None, as_json: bool, **shared: Any) -> None:
    """Run the golden suite on implementations.

    Every result is judged by the arithmetic contract; nothing is compared within a chosen tolerance.

    IMPL is a name from `gruspec list`, or module:attribute for code that is not registered, imported from the current
    folder as well. Without any IMPL, all run whose framework is installed.

    Exit codes: 0 all conform, 1 one does not, 2 wrong usage, 3 data or environment not as needed, or nothing was
    judged.
    """
    options = RunOptions(**shared)
    plan, subjects = _from_file(results, options) if results else _from_registry(options)
    writer = None
    if save_results:
        from gruspec.conformance import ResultsWriter

        names = [subject.name for subject in subjects]
        writer = ResultsWriter(save_results, names, plan.dtypes, force=force)
    summary = _run(plan, subjects, writer, options.data)
    _print(summary, as_json=as_json)
    if writer is not None:
        for path in writer.write():
            click.echo(f"wrote {path}", err=True)
    raise SystemExit(summary.finished.exit_code if summary.finished else 1)


def _from_registry(options: RunOptions) -> tuple[Plan, Sequence[Subject]]:
    from gruspec.cli.selection import chosen_implementations, plan_for

    subjects, left_out = chosen_implementations(options)
    return plan_for(options, [subject.name for subject in subjects], left_out), subjects


def _from_file(path: Path, options: RunOptions) -> tuple[Plan, Sequence[Subject]]:
    from gruspec.cases import Suite
    from gruspec.cli.selection import plan_for
    from gruspec.conformance import Results

    if options.implementations:
        raise UsageError(f"--results {path} is judged by itself; leave out {', '.join(options.implementations)}")
    if len(options.dtypes) != 1:
        raise UsageError(f"--results {path}: say in which dtype it was computed, as in --dtype float32")
    found = Results(path, options.dtypes[0], Suite.load(options.golden).cases())
    return plan_for(options, [found.name]), [found]


def _run(plan: Plan, subjects: Sequence[Subject], writer: ResultsWriter | None, options: Sequence[str]) -> Summary:
    from gruspec.conformance import CaseFinished, run
    from gruspec.report.progress import followed
    from gruspec.report.summary import Summary

    summary = Summary(options)

    def consume(event: Event) -> None:
        summary.add(event)
        if writer is not None and isinstance(event, CaseFinished):
            writer.add(event)

    followed(run(plan, subjects), consume)
    return summary


def _print(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        from gruspec.report import json

        click.echo(json.text(json.summary_document(summary)))
    else:
        from gruspec.report import console

        console.print_summary(summary, console.console())
