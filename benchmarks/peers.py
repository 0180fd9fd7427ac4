"""How many wrong GRUs the test suites of other projects catch, and how many the golden suite does.

Every fault of the catalogue is planted in the reference and put through the GRU tests of ONNX and of Keras 3, with
their own data and tolerances, and through the golden suite. A suite catches a fault if one of its tests fails. All
tests must pass without a fault first.

    python benchmarks/peers.py
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING

import click
from rich.console import Console

from benchmarks.peer_suites import tables
from gruspec.faults import CATALOGUE, FaultyBackend
from gruspec.report.steps import Steps

if TYPE_CHECKING:
    from benchmarks.peer_suites.suite import TestSuite

MODULES = {"onnx": "onnx_nodes", "keras": "keras_tests", "gruspec": "golden_cases"}
"""Modules of ``peer_suites`` by the name of the suite."""

NEEDS = {"onnx": "onnx", "keras": "keras, scipy, jax and pytest", "gruspec": "gruspec"}
"""What a suite needs."""

_EXAMPLES = """\b
Examples:
  python benchmarks/peers.py                      all faults, all suites
  python benchmarks/peers.py --suite onnx 'mask/*'
                                                  the faults of one family, one suite
  python benchmarks/peers.py --json               which test caught each fault
"""


@click.command(epilog=_EXAMPLES)
@click.argument("faults", nargs=-1, metavar="[FAULT]...")
@click.option("--suite", "names", multiple=True, type=click.Choice(list(MODULES)), help="Only this one. Repeatable.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print the test that caught each fault first, as JSON.")
def main(faults: tuple[str, ...], names: tuple[str, ...], *, markdown: bool, as_json: bool) -> None:
    """Run wrong GRUs through test suites: those named by FAULT, an id or a pattern, by default all of the catalogue.

    A suite catches a fault if one of its tests fails.

    Exit codes: 0 done, 1 a suite cannot be run or fails without a fault, 2 wrong usage.
    """
    if markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    chosen = _chosen(faults)
    suites = [_loaded(name) for name in MODULES if not names or name in names]
    caught = judged(suites, chosen)
    if as_json:
        click.echo(tables.document(caught, suites))
    elif markdown:
        click.echo(tables.markdown(caught, suites))
    else:
        out = Console()
        for table in tables.console_tables(caught, suites):
            out.print(table)
            out.print()


def judged(suites: list[TestSuite], faults: list[str]) -> tables.Caught:
    """Return which test of each suite catches each fault.

    Raises
    ------
    click.ClickException
        If the reference without a fault fails a test: the suite says nothing about faults then.
    """
    for suite in suites:
        left_out = "".join(f"\n  left out: {name}: {reason}" for name, reason in suite.left_out.items())
        click.echo(f"{suite.heading} {suite.version}: {len(suite.tests)} tests{left_out}", err=True)
        if failure := suite.first_failure(FaultyBackend()):
            raise click.ClickException(f"{failure[0]} fails without any fault: {failure[1]}")
    caught: dict[str, dict[str, str | None]] = {}
    with Steps("faults") as steps:
        for done, fault in enumerate(faults, start=1):
            failures = {suite.name: suite.first_failure(FaultyBackend(CATALOGUE[fault])) for suite in suites}
            caught[fault] = {name: failure and failure[0] for name, failure in failures.items()}
            steps.show(fault, done, len(faults))
    return caught


def _chosen(patterns: tuple[str, ...]) -> list[str]:
    for pattern in patterns:
        if not any(fnmatchcase(fault, pattern) for fault in CATALOGUE):
            raise click.UsageError(f"{pattern}: no such fault; gruspec faults --list shows all")
    return [fault for fault in CATALOGUE if not patterns or any(fnmatchcase(fault, pattern) for pattern in patterns)]


def _loaded(name: str) -> TestSuite:
    try:
        suite: TestSuite = import_module(f"benchmarks.peer_suites.{MODULES[name]}").suite()
    except (ImportError, RuntimeError) as error:
        raise click.ClickException(f"--suite {name}: {error}; it needs {NEEDS[name]}") from error
    return suite


if __name__ == "__main__":
    main()
