"""What makes a case that was read from a file one that can be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.cases.model import GRADIENTS, Call, gradient_names, operation_arrays
from gruspec.errors import listed
from gruspec.numerics import FORMATS
from gruspec.spec import DROPOUT_RATES
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases.model import Case

_OUTPUTS = ("outputs", "state")


def defects(case: Case) -> Iterator[str]:
    """Yield what is wrong with a case, one sentence each; nothing if it can be judged."""
    if case.clause not in CLAUSES:
        yield f"clause={case.clause!r}: no clause of the specification"
    if case.result not in ("valid", "invalid"):
        yield f"result={case.result!r}: expected 'valid' or 'invalid'"
    if not case.dtypes:
        yield "dtypes: empty; the case would never be judged"
    for dtype in case.dtypes:
        if dtype not in FORMATS:
            yield f"dtypes: {dtype!r} is not a known dtype"
    if (case.result == "invalid") != bool(case.raises or any(call.raises for call in case.calls)):
        yield f"result={case.result!r}: does not go with what raises"
    if case.raises is None:
        for i, call in enumerate(case.calls):
            if isinstance(call, Call) and case.result == "valid":
                yield from (f"call {i}: {text}" for text in _call_defects(case, call))


def _call_defects(case: Case, call: Call) -> Iterator[str]:
    losses = () if case.settings is None else ("losses",)
    needed = {*_OUTPUTS, *losses, *(f"{GRADIENTS}{name}" for name in gradient_names(case, call))}
    if set(call.expected) != needed:
        yield f"expected: has {sorted(call.expected)}; needs {sorted(needed)}"
    yield from _training_defects(case, call)
    for name, expected in call.expected.items():
        if expected.value is not None and expected.value.shape != expected.kappa.shape:
            yield f"{name}: value has shape {expected.value.shape}, kappa {expected.kappa.shape}"


def _training_defects(case: Case, call: Call) -> Iterator[str]:
    """Yield what is wrong with cotangents, gradients and dropout masks."""
    for name, cotangent in (call.cotangents or {}).items():
        if name not in _OUTPUTS or (name == "state" and not case.spec.return_state):
            yield f"cotangents: {name!r} is nothing that the call returns"
        elif name in call.expected and cotangent.shape != call.expected[name].kappa.shape:
            yield f"cotangents: {name} has shape {cotangent.shape}, expected {call.expected[name].kappa.shape}"
    if call.cotangents is not None and "outputs" not in call.cotangents:
        yield "cotangents: 'outputs' missing"
    given = {**case.weights, **operation_arrays(call)}
    for name in gradient_names(case, call):
        found = call.expected.get(f"{GRADIENTS}{name}")
        if found is not None and found.kappa.shape != given[name].shape:
            yield f"{GRADIENTS}{name}: has shape {found.kappa.shape}, expected {given[name].shape}"
    if unknown := set(call.dropout_masks or {}) - set(DROPOUT_RATES):
        yield f"dropout_masks: unknown {listed(sorted(unknown))}; known are {listed(DROPOUT_RATES)}"
