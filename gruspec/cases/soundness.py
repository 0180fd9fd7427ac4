"""What makes a case that was read from a file one that can be judged."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from gruspec.cases.model import GRADIENTS, Call, gradient_names, operation_arrays
from gruspec.errors import SpecError
from gruspec.numerics import FORMATS
from gruspec.spec import WeightSettings, acting_masks, call_dimensions, check_cotangents
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
    yield from _settings_defects(case.settings)
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
    """Yield what is wrong with dropout masks, cotangents, gradients and losses."""
    given = {**case.weights, **operation_arrays(call)}
    for name in gradient_names(case, call):
        found = call.expected.get(f"{GRADIENTS}{name}")
        if found is not None and found.kappa.shape != given[name].shape:
            yield f"{GRADIENTS}{name}: has shape {found.kappa.shape}, expected {given[name].shape}"
    if call.cotangents is not None and "outputs" not in call.cotangents:
        yield "cotangents: 'outputs' missing"
    if case.settings is not None and "losses" in call.expected:
        shape, wanted = call.expected["losses"].kappa.shape, (_losses(case),)
        if shape != wanted:
            yield f"losses: has shape {shape}, expected {wanted}"
    try:
        sizes = call_dimensions(
            case.spec, {name: array.shape for name, array in case.weights.items()}, call.inputs.shape
        )
        acting_masks(case.spec, call.dropout_masks, training=call.training, sizes=sizes)
        check_cotangents(case.spec, sizes, call.cotangents or {})
    except SpecError as error:
        yield str(error)


def _losses(case: Case) -> int:
    """Return how many losses a call has [losses]."""
    places = {"kernel_regularizer": 1, "recurrent_regularizer": 1, "bias_regularizer": int(case.spec.use_bias)}
    places["activity_regularizer"] = 1 + case.spec.return_state
    return sum(count for place, count in places.items() if getattr(case.settings, place) is not None)


def _settings_defects(settings: WeightSettings | None) -> Iterator[str]:
    """Yield what is not a regularizer with two factors: nothing else enters a loss that is judged."""
    for name, value in asdict(settings).items() if settings is not None else ():
        if not name.endswith("_regularizer"):
            if value != getattr(WeightSettings(), name):
                yield f"settings: {name} changes no expected value"
        elif value is not None and not (isinstance(value, dict) and value["class_name"] == "L1L2"):
            yield f"settings: {name}={value!r}: expected a configuration of L1L2"
