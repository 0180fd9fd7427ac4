"""``gruspec check``: run the golden suite on implementations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gruspec.cli.options import RunOptions, as_json, results_file, run_options

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
@results_file
@as_json
def command(*, save_results: Path | None, force: bool, results: Path | None, as_json: bool, **shared: Any) -> None:
    """Run the golden suite on implementations.

    Every result is judged by the arithmetic contract; nothing is compared within a chosen tolerance.

    IMPL is a name from `gruspec list`, or module:attribute for code that is not registered, imported from the current
    folder as well. Without any IMPL, all run whose framework is installed.

    Exit codes: 0 all conform, 1 one does not, 2 wrong usage, 3 data or environment not as needed, or nothing was
    judged.
    """
    from gruspec.cli.selection import registry_plan, results_plan

    options = RunOptions(**shared)
    plan, subjects = results_plan(results, options) if results else registry_plan(options)
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
