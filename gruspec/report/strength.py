"""The report on how strong a suite is: the catalogue of faults, and what catches each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from gruspec.faults import CATALOGUE
from gruspec.report.console import paragraph, titled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from gruspec.diagnosis.kills import Row
    from gruspec.faults import Fault

_FAMILY = ("family", "faults", "caught", "fewest cases")


def print_catalogue(names: Iterable[str], out: Console) -> None:
    """Print what each fault does."""
    for name in names:
        fault = CATALOGUE[name]
        out.print(name, style="bold")
        paragraph(out, f"{fault.does}", indent=2)
        paragraph(out, f"breaks {titled(fault.clause)}; shows {_region(fault)}", indent=2, style="dim")
        if fault.reports:
            paragraph(out, f"reported as {', '.join(fault.reports)}", indent=2, style="dim")


def print_matrix(rows: Sequence[Row], subset: Sequence[str], out: Console) -> None:
    """Print how many faults of each family are caught, and those that survive."""
    families: dict[str, list[Row]] = {}
    for row in rows:
        families.setdefault(row.fault.family, []).append(row)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in _FAMILY:
        table.add_column(heading, justify="left" if heading == "family" else "right")
    for family, found in [*families.items(), ("all", list(rows))]:
        caught = sum(not row.survives() for row in found)
        weakest = min(row.weakest for row in found)
        style = "bold" if family == "all" else "" if caught == len(found) else "red"
        table.add_row(family, str(len(found)), str(caught), str(weakest), style=style)
    out.print(table)
    for row in rows:
        if places := row.survives():
            where = ", ".join(f"{variant} {dtype}" for variant, dtype in places)
            paragraph(out, f"{row.fault.id} survives in {where}: {row.fault.does}", hanging=2, style="bold red")
    out.print()
    paragraph(
        out,
        "fewest cases: that catch a fault in the variant and dtype where fewest do. "
        f"The same faults are caught by {len(subset)} cases.",
    )


def catalogue_document(names: Iterable[str]) -> dict[str, Any]:
    """Return what each fault is."""
    return {"faults": [_fault(CATALOGUE[name]) for name in names]}


def matrix_document(rows: Iterable[Row], subset: Sequence[str]) -> dict[str, Any]:
    """Return what catches each fault, by variant and dtype, and a subset of cases that catches as much."""
    return {
        "faults": [
            _fault(row.fault)
            | {"caught": {f"{variant}/{dtype}": list(cases) for (variant, dtype), cases in row.places.items()}}
            for row in rows
        ],
        "subset": list(subset),
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "id": fault.id,
        "family": fault.family,
        "does": fault.does,
        "clause": fault.clause,
        "variants": list(fault.variants),
        "where": list(fault.where),
        "dtypes": list(fault.dtypes),
        "reports": list(fault.reports),
    }


def _region(fault: Fault) -> str:
    conditions = ", ".join(condition.replace("|", " or ") for condition in fault.where)
    where = f" in cases with {conditions}" if conditions else ""
    return f"in {' and '.join(fault.variants)}, {' and '.join(fault.dtypes)}{where}"
