"""``gruspec parity``: implementations against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gruspec.cli.options import RunOptions, as_json, run_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.conformance import Comparison, Failure
    from gruspec.report.summary import Summary

_EXAMPLES = """\b
Examples:
  gruspec parity torch jax            whether one may replace the other
  gruspec parity                      all that are installed
  gruspec parity tf-v1 tf-v2 --topic masking
  gruspec parity --random 200 --seed 7
                                      on fresh random cases, which have bounds but no expected values
"""


@click.command("parity", epilog=_EXAMPLES)
@run_options
@click.option("--random", type=click.IntRange(min=1), metavar="N", help="N random cases instead of the golden ones.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random cases.")
@as_json
def command(*, random: int | None, seed: int, as_json: bool, **shared: Any) -> None:
    """Compare implementations with each other.

    Every two of them are compared on every case that both can run. Two results agree if they differ by no more than
    the sum of their bounds. The same implementation is also compared with itself across dtypes. A disagreement counts
    as known where one of the two is expected to fail.

    Exit codes: 0 all agree, 1 two differ or one failed unexpectedly, 2 wrong usage, 3 data or environment not as
    needed, or nothing was compared.
    """
    from gruspec.cli.selection import chosen_implementations, plan_for, random_suite
    from gruspec.conformance import CONFORMS, DIFFERS, ENVIRONMENT, CaseFinished, Event, compare, failures, run
    from gruspec.report.progress import followed
    from gruspec.report.summary import Summary

    options = RunOptions(**shared)
    subjects, left_out = chosen_implementations(options)
    names = [subject.name for subject in subjects]
    plan = plan_for(options, names, left_out, random_suite(options, random, seed) if random else None)
    summary, results = Summary(), list[CaseFinished]()

    def consume(event: Event) -> None:
        summary.add(event)
        if isinstance(event, CaseFinished):
            results.append(event)

    followed(run(plan, subjects), consume)
    comparisons, failed = compare(results, plan.cases), failures(results, plan.cases)
    code = summary.finished.exit_code if summary.finished else DIFFERS
    if code in {CONFORMS, DIFFERS}:
        if failed or any(comparison.disagreements for comparison in comparisons):
            code = DIFFERS
        else:
            code = CONFORMS if any(comparison.compared for comparison in comparisons) else ENVIRONMENT
    _print(summary, comparisons, failed, code, as_json=as_json)
    raise SystemExit(code)


def _print(
    summary: Summary, comparisons: Sequence[Comparison], failed: Sequence[Failure], code: int, *, as_json: bool
) -> None:
    if as_json:
        from gruspec.report import json

        click.echo(json.text(json.parity_document(summary, comparisons, failed, code)))
    else:
        from gruspec.report import console

        console.print_parity(summary, comparisons, failed, console.console())
