"""``gruspec diagnose``: name what an implementation does differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gruspec.cli.options import RunOptions, as_json, results_file, run_options

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLES = """\b
Examples:
  gruspec diagnose mypkg.adapter:backend            which wrong GRU it is
  gruspec diagnose --results mine.safetensors --dtype float32
                                                    the same for a program in any language
  gruspec diagnose tf-v1 --topic masking            from some cases only
"""


@click.command("diagnose", epilog=_EXAMPLES)
@run_options
@results_file
@as_json
def command(*, results: Path | None, as_json: bool, **shared: Any) -> None:
    """Name what an implementation does differently.

    The golden suite is run. Where the implementation differs from the specification, its outputs are compared with what
    every wrong GRU of the catalogue (`gruspec faults --list`) computes, alone, in pairs, and in larger sets where these
    explain more.

    Exit codes: 0 there is nothing to explain, 1 there is, 2 wrong usage, 3 data or environment not as needed.
    """
    from gruspec.cli.selection import registry_plan, results_plan
    from gruspec.conformance import run
    from gruspec.diagnosis.observations import Observed
    from gruspec.report import diagnoses, json
    from gruspec.report.console import console
    from gruspec.report.progress import followed
    from gruspec.report.summary import Summary

    options = RunOptions(**shared)
    plan, subjects = results_plan(results, options) if results else registry_plan(options)
    summary, observed = Summary(), Observed(plan.cases)
    followed(run(plan, subjects), summary.add, observed.add)
    found = diagnoses.explained(observed)
    if as_json:
        click.echo(json.text({"diagnoses": [diagnoses.document(name, each) for name, each in found.items()]}))
    else:
        out = console()
        for name, each in found.items():
            diagnoses.print_diagnosis(name, each, out)
    raise SystemExit(diagnoses.exit_code(summary, found))
