"""``gruspec generate``: write the golden data, or prove that it is what would be written."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from gruspec.cli.options import FOLDER
from gruspec.errors import MissingDependency, UsageError

_EXAMPLES = """\b
Examples:
  gruspec generate --check                  whether the data here is what the definition says
  gruspec generate --output golden --force  write it anew
"""


@click.command("generate", epilog=_EXAMPLES)
@click.option("--check", is_flag=True, help="Write nothing; compare with the golden data byte for byte.")
@click.option("--golden", type=FOLDER, metavar="DIR", help="With --check: data other than this installation's.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the golden data to this folder.",
)
@click.option("--force", is_flag=True, help="Let --output replace golden data that is there.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Processes that prove values at a time."
)
def command(*, check: bool, golden: Path | None, output: Path | None, force: bool, jobs: int) -> None:
    """Write the golden data with proven values, or check it.

    The same files come out on every machine, byte for byte.

    Exit codes: 0 done, or no difference; 1 files differ; 2 wrong usage; 3 something is not installed.
    """
    if check == (output is not None):
        raise UsageError("say either --check or --output DIR")
    if check and force:
        raise UsageError("--force is for --output; --check replaces nothing")
    if output is not None and not force and output.exists() and any(output.iterdir()):
        raise UsageError(f"{output}: not empty; golden data is replaced only with --force")
    if find_spec("flint") is None:
        raise MissingDependency("generate needs flint (python-flint); pip install 'gruspec[reference]'")
    with tempfile.TemporaryDirectory(prefix="gruspec-") as folder:
        fresh = Path(folder) / "golden"
        fresh.mkdir()
        _generate(fresh, jobs)
        if output is None:
            raise SystemExit(_compare(fresh, golden))
        _replace(output, fresh)


def _generate(root: Path, jobs: int) -> None:
    from gruspec.generate import generate
    from gruspec.report.steps import Steps

    with Steps("cases") as steps:
        generate(root, jobs=jobs, progress=steps.show)


def _compare(fresh: Path, golden: Path | None) -> int:
    from gruspec.cases import golden_root
    from gruspec.generate import differences

    root = golden or golden_root()
    differing = differences(root, fresh)
    for name in differing:
        there, generated = (root / name).is_file(), (fresh / name).is_file()
        click.echo(
            f"{root / name}: {'differs' if there and generated else 'missing' if generated else 'not generated'}"
        )
    if differing:
        click.echo("not what the definition says; write it anew with: gruspec generate --output DIR --force")
        return 1
    click.echo(f"{root}: what the definition says")
    return 0


def _replace(output: Path, fresh: Path) -> None:
    """Put generated files in their place; those that an old manifest listed and nobody generates now go away."""
    generated = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()}
    for name in _listed(output) - generated:
        (output / name).unlink(missing_ok=True)
    for name in sorted(generated):
        target = output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fresh / name, target)
    click.echo(f"{len(generated)} files written to {output}")


def _listed(root: Path) -> set[str]:
    """Return the files that a folder's own manifest speaks for; none if it has no manifest that can be read."""
    try:
        names = json.loads((root / "manifest.json").read_bytes())["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return set()
    return {name for name in names if (root / name).resolve().is_relative_to(root.resolve())}
