"""``gruspec check``: run the golden suite on implementations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gruspec.cli.options import RunOptions, as_json, results_file, run_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.conformance import Plan, ResultsWriter, Subject
    from gruspec.diagnosis.observations import Observed
    from gruspec.report.progress import Consumer
    from gruspec.report.summary import Summary

_EXAMPLES = """\b
Examples:
  gruspec check                                     everything that is installed
  gruspec check torch --topic masking               one topic on one implementation
  gruspec check mypkg.adapter:backend               your own
  gruspec check mypkg.adapter:backend --quick --explain
                                                    a few cases, and what is done differently
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
@click.option("--explain", is_flag=True, help="Name what failing implementations do differently, as diagnose does.")
@as_json
def command(
    *, save_results: Path | None, force: bool, results: Path | None, explain: bool, as_json: bool, **shared: Any
) -> None:
    """Run the golden suite on implementations.

    Every result is judged by the arithmetic contract; nothing is compared within a chosen tolerance.

    IMPL is a name from `gruspec list`, or module:attribute for code that is not registered, imported from the current
    folder as well. Without any IMPL, all run whose framework is installed.

    Exit codes: 0 all conform, 1 one does not, 2 wrong usage, 3 data or environment not as needed, or nothing was
    judged.
    """
    from gruspec.cli.selection import registry_plan, results_plan
    from gruspec.conformance import run
    from gruspec.report.progress import followed
    from gruspec.report.summary import Summary

    options = RunOptions(**shared)
    plan, subjects = results_plan(results, options) if results else registry_plan(options)
    summary = Summary(options.data)
    consumers: list[Consumer] = [summary.add]
    writer = _writer(save_results, plan, subjects, force=force) if save_results else None
    if writer is not None:
        consumers.append(writer.add)
    observed = _observed(plan) if explain else None
    if observed is not None:
        consumers.append(observed.add)
    followed(run(plan, subjects), *consumers)
    _print(summary, observed, as_json=as_json)
    if writer is not None:
        for path in writer.write():
            click.echo(f"wrote {path}", err=True)
    raise SystemExit(summary.finished.exit_code if summary.finished else 1)


def _writer(folder: Path, plan: Plan, subjects: Sequence[Subject], *, force: bool) -> ResultsWriter:
    from gruspec.conformance import ResultsWriter

    return ResultsWriter(folder, [subject.name for subject in subjects], plan.dtypes, force=force)


def _observed(plan: Plan) -> Observed:
    from gruspec.diagnosis.observations import Observed

    return Observed(plan.cases)


def _print(summary: Summary, observed: Observed | None, *, as_json: bool) -> None:
    from gruspec.report import console, json

    if observed is None:
        diagnoses = {}
    else:
        from gruspec.report.diagnoses import document, explained, print_diagnosis

        diagnoses = explained(observed)
    if as_json:
        found = {"diagnoses": [document(name, each) for name, each in diagnoses.items()]} if diagnoses else {}
        click.echo(json.text(json.summary_document(summary) | found))
        return
    out = console.console()
    console.print_summary(summary, out)
    for name, diagnosis in diagnoses.items():
        out.print()
        print_diagnosis(name, diagnosis, out)
