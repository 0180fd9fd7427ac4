"""The report on what implementations do differently."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gruspec.conformance import CONFORMS, DIFFERS, ENVIRONMENT
from gruspec.diagnosis.explanation import diagnose
from gruspec.report.console import figure, paragraph, titled
from gruspec.report.json import number
from gruspec.report.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from gruspec.diagnosis.explanation import Diagnosis, Explanation
    from gruspec.diagnosis.observations import Observed
    from gruspec.report.summary import Summary

_CLAUSES = 4


def explained(observed: Observed) -> dict[str, Diagnosis]:
    """Return a diagnosis of each implementation, showing progress."""
    found = {}
    for name, observations in observed.by_implementation.items():
        with Steps(f"tries to explain {name}") as steps:
            found[name] = diagnose(observations, progress=steps.show)
    return found


def exit_code(summary: Summary, found: Mapping[str, Diagnosis]) -> int:
    """Return the exit code of a run that explains instead of judging."""
    if summary.finished is not None and summary.finished.exit_code >= ENVIRONMENT:
        return ENVIRONMENT
    return DIFFERS if any(diagnosis.failing for diagnosis in found.values()) else CONFORMS


def print_diagnosis(name: str, diagnosis: Diagnosis, out: Console) -> None:
    """Print what an implementation does, the evidence, and what else it might be."""
    if not diagnosis.failing:
        paragraph(out, f"{name} does what the specification says in all {diagnosis.observations} cases x dtypes")
        return
    best = diagnosis.best
    if not diagnosis.is_named:
        paragraph(out, f"{name} fails {diagnosis.failing} of {diagnosis.observations} cases x dtypes", style="bold red")
        nearest = "" if best is None else "; the nearest is a GRU that"
        paragraph(out, f"nothing in the catalogue of wrong GRUs does what it does{nearest}", indent=2)
    if best is None:
        return
    if diagnosis.is_named:
        whole = "" if best.is_whole else " in part"
        paragraph(out, f"{name} does{whole} what a GRU does that", style="bold red")
    _print_faults(best, out, style="bold" if diagnosis.is_named else "")
    paragraph(out, _evidence(best), indent=2, hanging=2)
    if not best.is_whole:
        paragraph(out, f"not explained: {_left(best)}", indent=2, hanging=2)
    for title, others in (
        ("or, which these cases do not tell apart", diagnosis.same),
        ("less well", diagnosis.alternatives),
    ):
        for other in others:
            names = " and ".join(fault.id for fault in other.faults)
            tried = "" if other.failing == diagnosis.failing else " that were tried"
            paragraph(out, f"{title}: {names} ({_evidence(other, tried)})", indent=2, hanging=2, style="dim")
    out.print()


def _print_faults(explanation: Explanation, out: Console, *, style: str) -> None:
    for fault in explanation.faults:
        paragraph(out, fault.does, indent=2, hanging=2, style=style)
        reports = f"; reported before: {', '.join(fault.reports)}" if fault.reports else ""
        paragraph(out, f"{fault.id}, against clause {titled(fault.clause)}{reports}", indent=4, hanging=2, style="dim")


def _evidence(explanation: Explanation, tried: str = "") -> str:
    contradicted = f", but would fail {explanation.contradicted} that pass" if explanation.contradicted else ""
    return (
        f"explains {explanation.explained} of {explanation.failing} failing cases x dtypes{tried} within "
        f"{figure(explanation.residual)} bounds{contradicted}"
    )


def _left(explanation: Explanation) -> str:
    clauses = Counter(each.case.clause for each in explanation.unexplained if each.failing)
    named = ", ".join(f"{count} in {clause}" for clause, count in clauses.most_common(_CLAUSES))
    return named or "passing cases that it would fail"


def document(name: str, diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis for programs."""
    return {
        "implementation": name,
        "observations": diagnosis.observations,
        "failing": diagnosis.failing,
        "named": diagnosis.is_named,
        "best": None if diagnosis.best is None else _explanation(diagnosis.best),
        "same": [_explanation(other) for other in diagnosis.same],
        "alternatives": [_explanation(other) for other in diagnosis.alternatives],
    }


def _explanation(explanation: Explanation) -> dict[str, Any]:
    return {
        "faults": [
            {"id": fault.id, "does": fault.does, "clause": fault.clause, "reports": list(fault.reports)}
            for fault in explanation.faults
        ],
        "explained": explanation.explained,
        "of": explanation.failing,
        "contradicted": explanation.contradicted,
        "residual_in_bounds": number(explanation.residual),
        "whole": explanation.is_whole,
        "unexplained": [f"{each.case.id} {each.dtype}" for each in explanation.unexplained],
    }
