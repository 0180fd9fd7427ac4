"""The report for programs: one JSON document on standard output.

Numbers that JSON cannot write (infinities and NaN) are the strings ``"inf"``, ``"-inf"`` and ``"nan"``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gruspec import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gruspec.conformance import CaseFinished, Comparison, Failure, Worst
    from gruspec.report.summary import Summary

FORMAT = 1
"""Raised when a key changes its meaning or goes away."""


def text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text."""
    return json.dumps(document, indent=1, allow_nan=False)


def number(value: float) -> float | str:
    """Return a number as JSON can hold it.

    >>> number(0.5), number(float("inf"))
    (0.5, 'inf')
    """
    return value if abs(value) < float("inf") else str(value)


def summary_document(summary: Summary) -> dict[str, Any]:
    """Return everything that is known about a finished run."""
    started, finished = summary.started, summary.finished
    if started is None or finished is None:
        raise ValueError("the run has not finished")
    header = started.header
    return {
        "format": FORMAT,
        "gruspec": __version__,
        "suite": {
            "version": header.version,
            "spec_version": header.spec_version,
            "sha256": header.sha256,
            "seed": header.seed,
            "cases": started.cases,
        },
        "machine": started.machine,
        "python": started.python,
        "device": started.device,
        "dtypes": list(started.dtypes),
        "exit_code": finished.exit_code,
        "problems": list(finished.problems),
        "totals": dict(finished.totals),
        "seconds": round(finished.seconds, 6),
        "left_out": dict(started.left_out),
        "implementations": [_implementation(name, summary) for name in started.implementations],
    }


def _implementation(name: str, summary: Summary) -> dict[str, Any]:
    identity, ending = summary.identities.get(name), summary.endings[name]
    capabilities = identity.capabilities if identity else None
    return {
        "name": name,
        "versions": dict(identity.versions) if identity else {},
        "capabilities": asdict(capabilities) if capabilities else None,
        "problem": ending.problem,
        "restarts": ending.restarts,
        "seconds": round(ending.seconds, 6),
        "totals": dict(ending.totals),
        "results": [_result(result) for result in summary.of(name)],
    }


def _result(result: CaseFinished) -> dict[str, Any]:
    entry = result.expectation
    return {
        "id": result.id,
        "topic": result.topic,
        "clause": result.clause,
        "flags": list(result.flags),
        "dtype": result.dtype,
        "status": result.status,
        "message": result.message,
        "expected_failure": None if entry is None else {"reason": entry.reason, "report": entry.report},
        "elements": result.elements,
        "judged": result.judged,
        "error_in_bounds": number(result.fraction),
        "error_in_ulp": number(result.ulp),
        "worst": None if result.worst is None else _worst(result.worst),
        "seconds": round(result.seconds, 6),
        "paths": list(result.paths),
    }


def _worst(worst: Worst) -> dict[str, Any]:
    element = worst.element
    return {
        "call": worst.call,
        "output": worst.output,
        "index": list(element.index),
        "computed": number(element.computed),
        "expected": number(element.expected),
        "bound": number(element.bound),
    }


def parity_document(
    summary: Summary, comparisons: Sequence[Comparison], failed: Sequence[Failure], exit_code: int
) -> dict[str, Any]:
    """Return a run, how its results compare with each other, and who failed to give results."""
    document = summary_document(summary)
    for implementation in document["implementations"]:
        del implementation["results"]
    return document | {
        "exit_code": exit_code,
        "pairs": [_pair(comparison) for comparison in comparisons],
        "failures": [asdict(failure) for failure in failed],
    }


def _pair(comparison: Comparison) -> dict[str, Any]:
    return {
        "left": comparison.left._asdict(),
        "right": comparison.right._asdict(),
        "compared": comparison.compared,
        "agreeing": comparison.agreeing,
        "known": comparison.known,
        "difference_in_bounds": number(comparison.worst),
        "disagreements": [
            asdict(found)
            | {
                "index": list(found.index),
                "left": number(found.left),
                "right": number(found.right),
                "bound": number(found.bound),
                "fraction": number(found.fraction),
            }
            for found in comparison.disagreements
        ],
    }
