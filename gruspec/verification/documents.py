"""Verifications as JSON, for certificates and for ``--json``."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.verification.results import Run, Side, Status, Verification


def status_of(verifications: Sequence[Verification]) -> Status:
    """Return one status for all: the worst."""
    statuses = {verification.status for verification in verifications}
    if "differs" in statuses:
        return "differs"
    return "verified" if statuses == {"verified"} else "not run"


def document(verifications: Sequence[Verification]) -> dict[str, Any]:
    """Return verifications, one for each converted GRU in order, of JSON's types.

    An infinite error is the string ``"inf"``.
    """
    return {"status": status_of(verifications), "grus": [_verification(each) for each in verifications]}


def _verification(verification: Verification) -> dict[str, Any]:
    return {
        "status": verification.status,
        "parts": list(verification.parts),
        "activation": verification.activation,
        "recurrent_activation": verification.recurrent_activation,
        "cases": list(verification.questions),
        "source": _side(verification.source),
        "target": _side(verification.target),
        "notes": list(verification.notes),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "layout": side.layout,
        "title": side.title,
        "dtype": side.dtype,
        "versions": dict(side.versions),
        "elements": side.elements,
        "error_in_bounds": _number(side.error),
        "runs": [_run(run) for run in side.runs],
        "reasons": list(side.reasons),
    }


def _run(run: Run) -> dict[str, Any]:
    found = asdict(run)
    return found | {"error": _number(run.error)}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
