"""``gruspec faults``: the catalogue of wrong GRUs, and which of them the golden suite catches."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import click

from gruspec.cli.options import FOLDER, as_json
from gruspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.diagnosis.kills import Row

_EXAMPLES = """\b
Examples:
  gruspec faults                       how strong the golden suite is
  gruspec faults --list                the catalogue, with the real bugs behind it
  gruspec faults --family mask         one family
  gruspec faults gate-order/kernel-rzh --json
                                       the cases that catch one fault
"""


@click.command("faults", epilog=_EXAMPLES)
@click.argument("faults", nargs=-1, metavar="[FAULT]...")
@click.option("--family", "families", multiple=True, metavar="FAMILY", help="Only this family. Repeatable.")
@click.option("--list", "only_list", is_flag=True, help="Say what each fault does, and run nothing.")
@click.option("--golden", type=FOLDER, metavar="DIR", help="Golden data other than this installation's.")
@click.option(
    "--subset",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the ids of a small subset of cases that catches as much, as small as was found, as JSON.",
)
@click.option("--force", is_flag=True, help="Let --subset replace a file.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Processes at a time.")
@as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    faults: tuple[str, ...],
    families: tuple[str, ...],
    only_list: bool,
    golden: Path | None,
    subset: Path | None,
    force: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Show which wrong GRUs the golden suite catches.

    Each fault of the catalogue is planted in the reference, and every case that it can show in is judged: the kill
    matrix. A fault must be caught in each variant (reset-before, reset-after) and each dtype in which it can be
    observed.

    Exit codes: 0 every fault is caught, 1 one survives, 2 wrong usage, 3 data or environment not as needed.
    """
    from gruspec.cases.files import write_bytes
    from gruspec.cli.selection import refuse_ignored
    from gruspec.diagnosis.kills import kill_matrix
    from gruspec.diagnosis.subset import small_subset
    from gruspec.report import strength
    from gruspec.report.console import console
    from gruspec.report.json import text
    from gruspec.report.steps import Steps

    names = _chosen(faults, families)
    if only_list:
        refuse_ignored(context, ("faults", "families", "only_list", "as_json"), "--list: nothing is run")
        click.echo(text(strength.catalogue_document(names))) if as_json else strength.print_catalogue(names, console())
        return
    if subset is not None:
        _refuse_target(subset, force=force, partly=bool(faults or families))
    elif force:
        raise UsageError("--force is for --subset FILE; nothing else is written")
    with Steps("faults") as steps:
        rows = list(kill_matrix(names, golden, jobs=jobs, progress=steps.show))
    cases = small_subset(rows)
    if as_json:
        click.echo(text(strength.matrix_document(rows, cases)))
    else:
        strength.print_matrix(rows, cases, console())
    if subset is not None:
        write_bytes(subset, f"{text({'cases': cases})}\n".encode())
        click.echo(f"wrote {subset}", err=True)
    raise SystemExit(_code(rows))


def _chosen(faults: Sequence[str], families: Sequence[str]) -> list[str]:
    from gruspec.cli.selection import nearest
    from gruspec.faults import CATALOGUE

    known = list(dict.fromkeys(fault.family for fault in CATALOGUE.values()))
    for given, names, what in ((faults, CATALOGUE, "fault"), (families, known, "family")):
        for name in given:
            if name not in names:
                raise UsageError(f"{name}: no such {what}{nearest(name, names)}; gruspec faults --list shows all")
    return [
        name
        for name, fault in CATALOGUE.items()
        if not (faults or families) or name in faults or fault.family in families
    ]


def _refuse_target(path: Path, *, force: bool, partly: bool) -> None:
    """Refuse, before any work, a file that cannot or must not be written."""
    if partly:
        raise UsageError(f"--subset {path}: a subset for some faults has not the power of the suite; name no faults")
    if path.exists() and not force:
        raise UsageError(f"--subset {path}: exists; it is replaced only with --force")
    try:
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"--subset {path}: nothing can be written to {path.parent} ({error.strerror}); name a file in a folder "
            "that is there and can be written to"
        ) from error


def _code(rows: Sequence[Row]) -> int:
    return 1 if any(row.survives() for row in rows) else 0
