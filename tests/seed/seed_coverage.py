"""The page ``docs/seed-coverage.md``, rendered from the rows and the golden cases.

``python tests/seed/seed_coverage.py`` says whether the page is up to date; with ``--write`` it writes it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from golden_exercise import topics_that
from page_lines import LINES
from seed_rows import ROWS, check_name

from gruspec import Suite
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from page_lines import Key, Lines
    from seed_rows import Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "seed-coverage.md"
COMMAND = "python tests/seed/seed_coverage.py --write"
OUTSIDE = "outside the specification"

HEAD = f"""\
# Coverage of the seed page

The seed page is the published page of `tf.compat.v1.keras.layers.GRU`, from which this project started. Each line of it
has rows here: what it means, the clauses of [the specification](spec.md) that state it, the topics of the golden data
whose cases exercise it, and the test that shows it on `gruspec_numpy.GRU`, the same layer in NumPy. Each of these tests
fails when a fault is planted in just that part of the layer. The topics of an attribute are those of the argument that
it reports.

This page is written by `{COMMAND}`, which finds the topics by looking at the cases.
"""


def render(suite: Suite, lines: Lines = LINES, rows: Mapping[Key, Row] = ROWS) -> str:
    """Return the text of the page."""
    return "\n".join([HEAD, *(_section(title, section, rows, suite) for title, section in lines.items())])


def defects(lines: Lines = LINES, rows: Mapping[Key, Row] = ROWS) -> list[str]:
    """Return what is wrong with lines and rows: names that are nowhere, and what has no counterpart."""
    used = {key for section in lines.values() for keys in section.values() for key in keys}
    subjects = [(f"{title}, {subject}", keys) for title, section in lines.items() for subject, keys in section.items()]
    return [
        *(f"{subject}: no row" for subject, keys in subjects if not keys),
        *(f"{subject}: {key} is no row" for subject, keys in subjects for key in keys if key not in rows),
        *(f"{key}: on no line" for key in rows if key not in used),
        *(
            f"{key}: no clause {clause!r}"
            for key, row in rows.items()
            for clause in row.clauses
            if clause not in CLAUSES
        ),
        *(f"{key}: outside the specification, yet in golden data" for key, row in rows.items() if _contradicts(row)),
    ]


def _contradicts(row: Row) -> bool:
    return not row.clauses and not isinstance(row.golden, str)


def _section(title: str, lines: Mapping[str, Sequence[Key]], rows: Mapping[Key, Row], suite: Suite) -> str:
    table = ["| Line | Kind | What it means | Clauses | Golden topics | Test |", "|---|---|---|---|---|---|"]
    table += [_line(subject, key, rows[key], suite) for subject, keys in lines.items() for key in keys]
    return "\n".join([f"## {title}", "", *table, ""])


def _line(subject: str, key: Key, row: Row, suite: Suite) -> str:
    module, function = check_name(key)
    cells = (
        f"`{subject}`" if subject == key.name else subject,
        key.kind if subject == key.name else f"{key.kind}: {key.name}",
        row.says,
        ", ".join(f"[{clause}](spec.md#{_anchor(clause)})" for clause in row.clauses) or OUTSIDE,
        _topics(row, suite),
        f"[{function}](../tests/seed/{module}.py)",
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _anchor(clause: str) -> str:
    """Return the anchor of the heading ``<clause> — <title>``, as GitHub forms it."""
    kept = "".join(each for each in f"{clause} — {CLAUSES[clause]}".lower() if each.isalnum() or each in " -_")
    return kept.replace(" ", "-")


def _topics(row: Row, suite: Suite) -> str:
    if isinstance(row.golden, str):
        return row.golden
    found = topics_that(row.golden, suite)
    if not found:
        raise ValueError(f"{row.says!r}: no golden case exercises it; state why, or add cases")
    return "all" if found == suite.topics else ", ".join(found)


def main(arguments: Sequence[str]) -> str | None:
    """Check the page, or write it; return what is wrong, or None."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page")
    write = parser.parse_args(arguments).write
    if found := defects():
        return "\n".join(found)
    text = render(Suite.load())
    if write:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        return f"{PAGE.relative_to(ROOT)}: not up to date; run: {COMMAND}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
