"""``gruspec list``: the implementations that are registered here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import click

from gruspec.backend import Capabilities, Registry
from gruspec.cli.options import as_json
from gruspec.errors import MissingDependency, PluginError

_COLUMNS = ("name", "kind", "dtypes", "devices", "")


@dataclass(frozen=True)
class _Entry:
    """A registered implementation; ``problem`` says why it cannot run here."""

    name: str
    reference: str
    distribution: str | None
    capabilities: Capabilities | None = None
    problem: str = ""

    def cells(self) -> tuple[str, ...]:
        if self.capabilities is None:
            return (self.name, "broken", "", "", "")
        state = "" if self.problem else "installed"
        return (
            self.name,
            self.capabilities.kind,
            " ".join(self.capabilities.dtypes),
            " ".join(self.capabilities.devices),
            state,
        )

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "reference": self.reference,
            "distribution": self.distribution,
            "installed": not self.problem,
            "problem": self.problem,
            "capabilities": None if self.capabilities is None else asdict(self.capabilities),
        }


_EXAMPLES = """\b
Examples:
  gruspec list
  gruspec list --json
"""


@click.command("list", epilog=_EXAMPLES)
@as_json
def command(*, as_json: bool) -> None:
    """List implementations and what they can do.

    Each comes with what is missing to run it here, or with the reason why it cannot be loaded. No framework is
    imported.
    """
    entries = _entries()
    if as_json:
        click.echo(json.dumps({"implementations": [entry.document() for entry in entries]}, indent=1))
        return
    rows = [_COLUMNS, *(entry.cells() for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    click.secho(_line(_COLUMNS, widths), dim=True)
    for entry in entries:
        click.echo(_line(entry.cells(), widths))
        if entry.capabilities is not None:
            click.secho(f"  {entry.capabilities.summary}", dim=True)
        if entry.problem:
            click.secho(f"  {entry.problem}", fg="yellow")
    click.echo("\nRun one: gruspec check NAME. Your own, without registering it: gruspec check module:attribute")


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _entries() -> list[_Entry]:
    registry = Registry()
    found = []
    for name in registry.names():
        registration = registry.get(name)
        source = (name, registration.reference, registration.distribution)
        try:
            capabilities = registration.load().capabilities()
        except PluginError as error:
            found.append(_Entry(*source, problem=str(error)))
            continue
        try:
            registration.load_runnable()
        except (MissingDependency, PluginError) as error:
            found.append(_Entry(*source, capabilities, str(error)))
        else:
            found.append(_Entry(*source, capabilities))
    return found
