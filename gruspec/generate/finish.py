"""From a drawn case to a finished one: certified, judging sharply, and decided alike in every dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call, ResetStates
from gruspec.cases.model import GRADIENTS
from gruspec.certify import certify
from gruspec.errors import CertificationError
from gruspec.reference import run_operations
from gruspec.reference.ieee import FLOAT64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gruspec.cases import Case, Operation
    from gruspec.reference import Result
    from gruspec.spec import GRUSpec

    Seen = Callable[[GRUSpec, Result[Any]], list[NDArray[Any]]]

ATTEMPTS = 16
"""How often a case is drawn; every fourth attempt draws smaller weights."""

WIDEST_BOUND = 2000
"""Largest kappa of a finished case; weights that amplify errors beyond it are drawn again."""

WIDEST_GRADIENT_BOUND = 10_000
"""The same for gradients: that of a weight is a sum over all timesteps and rows."""

VISIBLE = 2.0**-14
"""A difference above the bound of nearly every element."""


def finished(draw: Callable[[int], Case], complete: Callable[[Case], Case] = certify) -> Case:
    """Return the first attempt at a case that can be finished.

    Parameters
    ----------
    draw
        Gives the case of each attempt; :func:`shrinkage` says how much smaller its weights should be.
    complete
        Adds what is expected: :func:`gruspec.certify.certify`, or :func:`gruspec.certify.bounded` for bounds alone.

    Raises
    ------
    CertificationError
        If no attempt succeeds. The message says why the last did not.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        try:
            case = complete(draw(attempt))
            _require_sharp(case)
            _require_decisive(case)
        except CertificationError as error:
            reason = str(error)
        else:
            return case
    raise CertificationError(f"{ATTEMPTS} attempts failed; the last: {reason}")


def shrinkage(attempt: int) -> int:
    """Return the power of two by which the weights of an attempt are smaller than those of the first."""
    return attempt // 4


def _require_sharp(case: Case) -> None:
    for call in case.calls:
        for name, expected in call.expected.items() if isinstance(call, Call) else ():
            most = WIDEST_GRADIENT_BOUND if name.startswith(GRADIENTS) else WIDEST_BOUND
            if (widest := float(expected.kappa.max(initial=0))) > most:
                raise CertificationError(f"{case.id}: kappa of {name} reaches {widest:.0f}, more than {most}")


def _require_decisive(case: Case) -> None:
    """Refuse a case in which an ignored initial state shows in one dtype and not in another."""
    if 0 < explicit_state_effect(case.spec, case.weights, case.calls) <= VISIBLE:
        raise CertificationError(f"{case.id}: whether a given state is ignored hardly shows")


def explicit_state_effect(
    spec: GRUSpec, weights: Mapping[str, NDArray[np.float64]], calls: Sequence[Operation]
) -> float:
    """Return by how much results change if a stateful layer prefers its recorded state to the one it is given."""
    return _effect(spec, weights, calls, _returned)


def explicit_state_effect_on_gradients(
    spec: GRUSpec, weights: Mapping[str, NDArray[np.float64]], calls: Sequence[Operation]
) -> float:
    """Return the same for gradients, which may show what no result does."""
    return _effect(spec, weights, calls, _gradients)


@np.errstate(over="ignore", invalid="ignore")
def _effect(spec: GRUSpec, weights: Mapping[str, NDArray[np.float64]], calls: Sequence[Operation], seen: Seen) -> float:
    calls = [call for call in calls if call.raises is None]
    if not (spec.stateful and any(isinstance(call, Call) and call.initial_state is not None for call in calls[1:])):
        return 0.0
    results = list(run_operations(FLOAT64, spec, weights, calls))
    effect = 0.0
    recorded: NDArray[Any] | None = None
    for call, result in zip(calls, results, strict=True):
        if isinstance(call, ResetStates) or result is None:
            recorded = call.states if isinstance(call, ResetStates) else None
            continue
        if recorded is not None and recorded.any() and call.initial_state is not None:
            given = replace(call, initial_state=np.asarray(recorded, np.float64))
            (ignoring,) = run_operations(FLOAT64, spec, weights, [given])
            pairs = zip(seen(spec, result), [] if ignoring is None else seen(spec, ignoring), strict=True)
            effect = max(effect, *(float(np.abs(a - b).max(initial=0)) for a, b in pairs), 0.0)
        recorded = result.state[:, 0]
    return effect


def _gradients(_: GRUSpec, result: Result[Any]) -> list[NDArray[Any]]:
    found = result.arranged(np.asarray)
    return [array for name, array in found.items() if name.startswith(GRADIENTS)]


def _returned(spec: GRUSpec, result: Result[Any]) -> list[NDArray[Any]]:
    state = [result.state] if spec.return_state else []
    return [*(result.steps if spec.return_sequences else [result.last]), *state]
