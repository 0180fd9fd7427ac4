"""The page ``docs/outside-faults.md``, rendered from the faults; ``python tests/meta/outside_page.py`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from outside_faults import FAULTS
from outside_survivors import SURVIVED

if TYPE_CHECKING:
    from outside_planting import OutsideFault, Report

PAGE = Path(__file__).parents[2] / "docs" / "outside-faults.md"
COMMAND = "python tests/meta/outside_page.py"

ALL = len(FAULTS)
REPLAYS = sum(bool(fault.reports) for fault in FAULTS.values())

HEAD = f"""\
# Faults from outside

The catalogue of faults (`gruspec faults --list`) and the golden suite come from the same hands, so a blind spot of one
may be one of the other. Therefore {ALL} more faults are planted in a second GRU, in [tests/meta/](../tests/meta/), that
knows the public backend protocol and nothing else of gruspec. `pytest tests/meta/test_outside_faults.py` tells which of
them the suite catches, and that the second GRU passes without them.

## How they were chosen

They were written without looking at the golden data. {REPLAYS} replay reports of real bugs, from issues and pull
requests of other projects. {ALL - REPLAYS} are inventions, of kinds that happen when a GRU is written for speed or for
one use only; three of these were measured in a framework. A report stands for its mechanism: where it is about an LSTM,
or about something next to a GRU, the fault is the same mistake in a GRU. The software that the reports are about was
not run.

## What they showed

Version 1.1.0 of the golden suite caught {ALL - len(SURVIVED)} of the {ALL}, and {len(SURVIVED)} survived. Each survivor
made the suite grow. Version 1.2.0 catches all of them, in float32 and in float64. How the suite does on faults that it
has not met is said by its first number, not by the latest.
"""


def render() -> str:
    """Return the text of the page."""
    replays = [_line(name, fault, _links(fault), fault.says) for name, fault in FAULTS.items() if fault.reports]
    inventions = [_line(name, fault) for name, fault in FAULTS.items() if not fault.reports]
    return "\n".join(
        [
            HEAD,
            "## Faults that replay reports",
            "",
            "| fault | what the GRU does | suite 1.1.0 | report | what it says |",
            "|---|---|---|---|---|",
            *replays,
            "",
            "## Inventions",
            "",
            "| fault | what the GRU does | suite 1.1.0 |",
            "|---|---|---|",
            *inventions,
            "",
            f"This page is written by `{COMMAND}`.",
            "",
        ]
    )


def _line(name: str, fault: OutsideFault, *more: str) -> str:
    cells = (f"`{name}`", fault.does, "survived" if name in SURVIVED else "caught", *more)
    return f"| {' | '.join(cells)} |"


def _links(fault: OutsideFault) -> str:
    return ", ".join(map(_link, fault.reports))


def _link(report: Report) -> str:
    return f"[{report.reference}](https://github.com/{report.reference.replace('#', '/issues/')})"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
