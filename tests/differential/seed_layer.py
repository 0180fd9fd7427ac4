"""The rebuilt seed layer against the real one, over many random uses.

``python tests/differential/seed_layer.py --examples 3000 --seed 1`` prints what was compared and exits with 1 if the
layers differ in a way that ``known_differences.py`` does not explain; it then prints the simplest example that does.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from examples import NAMES
from search import LARGEST_EXPLAINED_SHARE, Report, search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRESS = 100
"""Examples between two lines of progress."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a search as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1000, help="how many examples to compare (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same examples (default: 0)")
    given = parser.parse_args(arguments)
    report = search(given.examples, given.seed, progress=progress_to(sys.stderr.write))
    sys.stdout.write(summary(report))
    return 0 if report.passed else 1


def progress_to(write: Callable[[str], object]) -> Callable[[Report], None]:
    """Return a function that writes a line for every so many examples."""

    def progress(report: Report) -> None:
        if report.examples % PROGRESS == 0:
            write(f"{report.examples} examples, {report.judged} numbers compared, {report.seconds:.0f} s\n")

    return progress


def summary(report: Report) -> str:
    """Return what a search has found, in words; after a failure, with a program that shows it again."""
    count, undecided = max(report.examples, 1), report.unjudged / max(report.judged + report.unjudged, 1)
    known = f"{report.explained_examples} examples with a known difference ({report.explained_share:.1%}"
    lines = [
        f"{report.examples} examples, {1000 * report.seconds / count:.0f} ms each",
        f"{report.judged} numbers within the bounds, {report.unjudged} undecided by the contract ({undecided:.1%})",
        f"{report.refused} examples refused by both",
        f"{known}; at most {LARGEST_EXPLAINED_SHARE:.0%})",
        *(f"  {met / count:7.2%}  {name}" for name, met in report.explained.most_common()),
    ]
    if report.failure is not None:
        example, difference = report.failure
        lines += [f"UNEXPLAINED: {difference}", "", reproducer(example.source())]
    elif not report.passed:
        lines.append("TOO MUCH EXPLAINED: the known differences are met too often to say that the layers agree")
    return "\n".join(lines) + "\n"


def reproducer(source: str) -> str:
    """Return a program that compares one example, to be run in this folder."""
    return (
        "import numpy as np\n"
        f"from numpy import {', '.join(NAMES)}\n\n"
        "from comparison import compare\n"
        "from examples import ApplyConstraints, Assign, Build, Call, Example, Inspect, Reset, SetWeights\n"
        "from original import observed\n\n"
        f"example = {source}\n"
        "with observed():\n"
        "    print(compare(example).difference)\n"
    )


if __name__ == "__main__":
    sys.exit(main())
