"""``gruspec diagnose``: name what an implementation does differently, or where weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gruspec.cli.options import RunOptions, as_json, results_file, run_options
from gruspec.errors import UsageError

_EXAMPLES = """\b
Examples:
  gruspec diagnose mypkg.adapter:backend            which wrong GRU it is
  gruspec diagnose --results mine.safetensors --dtype float32
                                                    the same for a program in any language
  gruspec diagnose tf-v1 --topic masking            from some cases only
  gruspec diagnose --weights w.safetensors --pairs p.npz
                                                    which layout and variant weights of unknown origin have
"""

_ARRAYS = click.Path(path_type=Path)


@click.command("diagnose", epilog=_EXAMPLES)
@run_options
@results_file
@click.option("--weights", type=_ARRAYS, metavar="FILE", help="Weights of unknown origin; needs --pairs.")
@click.option("--pairs", type=_ARRAYS, metavar="FILE", help="Inputs and the outputs recorded for them with --weights.")
@as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    results: Path | None,
    weights: Path | None,
    pairs: Path | None,
    as_json: bool,
    **shared: Any,
) -> None:
    """Name what an implementation does differently, or where weights come from.

    The golden suite is run. Where the implementation differs from the specification, its outputs are compared with what
    every wrong GRU of the catalogue (`gruspec faults --list`) computes, alone, in pairs, and in larger sets where these
    explain more.

    With --weights and --pairs nothing is run: layouts, variants and activations are tried until the weights turn the
    recorded inputs into the recorded outputs. Files are .safetensors or .npz; docs/diagnosis.md says what they hold.

    Exit codes: 0 there is nothing to explain, or the origin is named, 1 there is, or nothing matches, 2 wrong usage,
    3 data or environment not as needed.
    """
    if weights is not None or pairs is not None:
        raise SystemExit(_origin(context, weights, pairs, as_json=as_json))
    raise SystemExit(_explanations(results, RunOptions(**shared), as_json=as_json))


def _explanations(results: Path | None, options: RunOptions, *, as_json: bool) -> int:
    from gruspec.cli.selection import registry_plan, results_plan
    from gruspec.conformance import run
    from gruspec.diagnosis.observations import Observed
    from gruspec.report import diagnoses, json
    from gruspec.report.console import console
    from gruspec.report.progress import followed
    from gruspec.report.summary import Summary

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
    return diagnoses.exit_code(summary, found)


def _origin(context: click.Context, weights: Path | None, pairs: Path | None, *, as_json: bool) -> int:
    from gruspec.cli.selection import refuse_ignored
    from gruspec.diagnosis.origin import find_origin
    from gruspec.diagnosis.recorded import read_arrays
    from gruspec.report import json, origins
    from gruspec.report.console import console

    if weights is None or pairs is None:
        given, other = (f"--pairs {pairs}", "--weights") if weights is None else (f"--weights {weights}", "--pairs")
        raise UsageError(f"{given}: give both --weights and --pairs; add {other} FILE")
    refuse_ignored(context, ("weights", "pairs", "as_json"), f"--weights {weights}: nothing is run")
    origin = find_origin(read_arrays(weights), read_arrays(pairs))
    if as_json:
        click.echo(json.text({"origin": origins.document(origin)}))
    else:
        origins.print_origin(origin, console())
    return origins.exit_code(origin)
