"""``gruspec inspect``: the GRUs of files, and what they can become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gruspec.cli.options import as_json
from gruspec.errors import GruspecError

if TYPE_CHECKING:
    from gruspec.files.inspection import InspectedFile

_EXAMPLES = """\b
Examples:
  gruspec inspect model.h5              every GRU, and the layouts it can have
  gruspec inspect checkpoints/*.pt      of many files
  gruspec inspect w.npz --from keras --reset-after
                                        where the file does not tell
  gruspec inspect model.onnx --json     for programs
"""


@click.command("inspect", epilog=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--format", "format_name", metavar="NAME", help="Format of the files; found by looking at them if left out."
)
@click.option("--from", "layout", metavar="LAYOUT", help="Layout, where the tensors could be in several.")
@click.option("--reset-after/--reset-before", default=None, help="The variant, where the file does not tell it.")
@click.option("--activation", metavar="NAME", help="That of the candidate, where the file does not tell it.")
@click.option("--recurrent-activation", metavar="NAME", help="That of the gates, where the file does not tell it.")
@click.option("--units", type=click.IntRange(min=1), metavar="N", help="Where one vector holds all weights.")
@click.option(
    "--stack",
    type=(click.IntRange(min=1), click.IntRange(1, 2)),
    metavar="LAYERS DIRECTIONS",
    help="The same; 1 1 by default.",
)
@as_json
def command(
    *,
    files: tuple[Path, ...],
    format_name: str | None,
    layout: str | None,
    reset_after: bool | None,
    activation: str | None,
    recurrent_activation: str | None,
    units: int | None,
    stack: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """List every GRU of checkpoints and model files, and what each can become.

    A layout that can hold a GRU does so exactly, bit for bit; or with some biases folded, where `gruspec convert
    --allow-folding` is given; or it cannot, and the reason is told. Nothing of a file is ever executed.

    Exit codes: 0 every file was read, 1 one has no GRU, 2 wrong usage, 3 one is damaged, or something is missing.
    """
    from gruspec.files import Told, formats, open_file
    from gruspec.files.inspection import inspect_checkpoint
    from gruspec.layouts import check_activation, layout_named
    from gruspec.layouts.printing import printable
    from gruspec.report.console import console
    from gruspec.report.inspection import files_document, print_file
    from gruspec.report.json import text
    from gruspec.verification.jobs import code_of

    if layout is not None:
        layout_named(layout)
    if format_name is not None:
        formats().get(format_name)
    for option, name in (("--activation", activation), ("--recurrent-activation", recurrent_activation)):
        check_activation(option, name)
    told = Told(layout, reset_after, units, stack, activation, recurrent_activation)
    found: list[InspectedFile] = []
    problems: list[tuple[Path, GruspecError]] = []
    for path in files:
        try:
            with open_file(path, format=format_name) as checkpoint:
                found.append(inspect_checkpoint(checkpoint, told))
        except GruspecError as error:
            problems.append((path, error))
    if as_json:
        click.echo(text(files_document(found, problems)))
    else:
        out = console()
        for each in found:
            print_file(each, out)
    for _, problem in problems:
        click.echo(f"gruspec: {printable(problem)}", err=True)
    raise SystemExit(max([0 if each.grus else 1 for each in found] + [code_of(problem) for _, problem in problems]))
