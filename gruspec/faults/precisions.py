"""Family ``precision``: arithmetic in too low a precision, lost subnormal numbers, swallowed NaN and infinities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import DTYPES, Fault
from gruspec.faults.nodes import changed, value
from gruspec.faults.traits import STATE_MATTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement, Seams
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

    Array = NDArray[Any]
    Rounding = Callable[[Array], Array]

_FINE_BUT_IN_FLOAT64 = ("float64",)
"""For float32 inside float64, and for what stays inside the contract in float32."""


def precision_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _low_precision()
    yield from _inexact_functions()
    yield from _subnormals()
    yield from _not_finite()


def _to_bits(bits: int) -> Rounding:
    """Return rounding to so many significant bits, the exponent being what it may."""

    def rounded(array: Array) -> Array:
        mantissas, exponents = np.frexp(array)
        found: Array = np.ldexp(np.rint(np.ldexp(mantissas, bits)), exponents - bits)
        return found

    return rounded


def _through(dtype: type[np.floating[Any]]) -> Rounding:
    return lambda array: array.astype(dtype).astype(array.dtype)


_FORMATS: dict[str, tuple[Rounding, tuple[str, ...]]] = {
    "float16": (_through(np.float16), DTYPES),
    "bfloat16": (_to_bits(8), DTYPES),
    "tf32": (_to_bits(11), DTYPES),
    "float32": (_through(np.float32), _FINE_BUT_IN_FLOAT64),
}
"""Formats to which something is rounded, with the dtypes in which that is an error."""


def _low_precision() -> Iterator[Fault]:
    for name, (rounding, dtypes) in _FORMATS.items():
        yield Fault(
            id=f"precision/products-{name}",
            does=f"rounds the factors of the matrix products to {name}",
            clause="arithmetic-inputs",
            dtypes=dtypes,
            definition=_rounded_factors(rounding),
            reports=("pytorch#53635",) if name == "tf32" else (),
        )
    for name in ("float16", "bfloat16", "float32"):
        rounding, dtypes = _FORMATS[name]
        results: dict[str, tuple[str, str, tuple[str, ...], Seams]] = {
            "sums": (
                f"rounds the matrix products to {name} after adding the bias",
                "arithmetic-sums",
                (),
                {seam: _rounded_result(rounding) for seam in ("projection", "recurrence")},
            ),
            "state": (
                f"keeps the state in {name} from step to step and from call to call",
                "arithmetic-operations",
                (STATE_MATTERS,),
                {"cell": _rounded_state(rounding)},
            ),
            "outputs": (
                f"rounds each new state, which is the output of its step too, to {name}",
                "arithmetic-operations",
                (),
                {"cell": _rounded_result(rounding)},
            ),
            "gates": (
                f"rounds the values of both gates to {name}",
                "arithmetic-functions",
                (),
                {"gate": _rounded_result(rounding)},
            ),
            "candidate": (
                f"rounds the candidate to {name}",
                "arithmetic-functions",
                (),
                {"candidate": _rounded_result(rounding)},
            ),
        }
        for what, (does, clause, where, definition) in results.items():
            yield Fault(
                id=f"precision/{what}-{name}",
                does=does,
                clause=clause,
                where=where,
                dtypes=dtypes,
                definition=definition,
            )
        yield Fault(
            id=f"precision/activations-{name}",
            does=f"rounds the arguments of all activations to {name}",
            clause="arithmetic-functions",
            dtypes=dtypes,
            numbers={"activation": _of_rounded(rounding)},
        )
    for kind, dtypes in ((np.float16, DTYPES), (np.float32, _FINE_BUT_IN_FLOAT64)):
        yield Fault(
            id=f"precision/computes-in-{kind.__name__}",
            does=f"computes everything in {kind.__name__}",
            clause="arithmetic-operations",
            dtypes=dtypes,
            computes_in=kind,
        )


def _rounded_factors(rounding: Rounding) -> Seams:
    def weight(self: Any, usual: Any, name: str) -> Any:
        block = usual(name)
        return changed(self.numbers, block, rounding) if "kernel" in name else block

    def dropped(self: Any, usual: Any, name: str, values: Any) -> Any:
        found = usual(name, values)
        return found if name == "inputs" else changed(self.numbers, found, rounding)

    return {"weight": weight, "dropped": dropped}


def _rounded_result(rounding: Rounding) -> Replacement:
    return lambda self, usual, *arguments: changed(self.numbers, usual(*arguments), rounding)


def _rounded_state(rounding: Rounding) -> Replacement:
    return lambda self, usual, inputs, state: usual(inputs, changed(self.numbers, state, rounding))


def _of_rounded(rounding: Rounding) -> Replacement:
    return lambda _, usual, name, preactivation: usual(name, rounding(preactivation))


def _inexact_functions() -> Iterator[Fault]:
    def blend(_: Any, usual: Any, *values: Array) -> Any:
        found = usual(*values)
        return found * found.dtype.type(1 + 2.0**-20)

    yield Fault(
        id="precision/update-inexact",
        does="has a relative error of 2^-20 in the update",
        clause="arithmetic-update",
        numbers={"blend": blend},
    )
    for bits in (12, 20):
        yield Fault(
            id=f"precision/sigmoid-reciprocal-{bits}-bits",
            does=f"divides in sigmoid by a reciprocal that has {bits} correct bits",
            clause="arithmetic-functions",
            where=("candidate-sigmoid|gates-sigmoid",),
            numbers={"activation": _approximated("sigmoid", _to_bits(bits))},
        )
    for name in ("tanh", "sigmoid"):
        yield Fault(
            id=f"precision/{name}-float32",
            does=f"computes {name} in float32 whatever the dtype of the layer",
            clause="arithmetic-functions",
            where=(f"candidate-{name}|gates-{name}",),
            dtypes=_FINE_BUT_IN_FLOAT64,
            numbers={"activation": _in_float32(name)},
        )


def _approximated(wanted: str, approximation: Rounding) -> Replacement:
    def activation(_: Any, usual: Any, name: str, preactivation: Array) -> Array:
        found: Array = usual(name, preactivation)
        return approximation(found) if name == wanted else found

    return activation


def _in_float32(wanted: str) -> Replacement:
    def activation(_: Any, usual: Any, name: str, preactivation: Array) -> Array:
        if name != wanted:
            found: Array = usual(name, preactivation)
            return found
        single: Array = usual(name, preactivation.astype(np.float32))
        return single.astype(preactivation.dtype)

    return activation


def _flushed(array: Array) -> Array:
    return np.where(np.abs(array) < np.finfo(array.dtype).tiny, array.dtype.type(0), array)


def _subnormals() -> Iterator[Fault]:
    yield Fault(
        id="precision/subnormal-results-flushed",
        does="replaces subnormal results by zero, without declaring it",
        clause="subnormals",
        where=("subnormal",),
        definition={"cell": _rounded_result(_flushed)},
    )
    yield Fault(
        id="precision/subnormal-operands-flushed",
        does="takes subnormal inputs, states and weights for zero, without declaring it",
        clause="subnormals",
        where=("subnormal",),
        definition={**_rounded_factors(_flushed), "cell": _rounded_state(_flushed)},
    )


def _not_finite() -> Iterator[Fault]:
    for name, highest in (("relu", None), ("hard_sigmoid", 0.0), ("hard_sigmoid", 1.0), ("sigmoid", 1.0)):
        becomes = int(highest or 0)
        yield Fault(
            id=f"precision/nan-{name.replace('_', '-')}-{becomes}",
            does=f"turns NaN into {becomes} in {name}, by comparisons that are false for NaN",
            clause="nonfinite",
            where=("nonfinite", f"candidate-{name}|gates-{name}"),
            reports=_NAN_REPORTS.get((name, becomes), ()),
            numbers={"activation": _approximated(name, _without_nan(becomes))},
        )
    zeroed: dict[str, tuple[str, Seams]] = {
        "inputs": ("takes NaN in inputs for 0", {"projection": _of_changed(_without_nan(0))}),
        "state": ("takes NaN in a state for 0", {"cell": _rounded_state(_without_nan(0))}),
        "result": ("turns NaN in a new state into 0", {"cell": _rounded_result(_without_nan(0))}),
        "gates-and-candidate": (
            "turns NaN into 1 in both gates and 0 in the candidate, so that NaN inputs leave the state as it was",
            {"gate": _rounded_result(_without_nan(1)), "candidate": _rounded_result(_without_nan(0))},
        ),
        "activations": (
            "turns NaN into 0 in every activation",
            {seam: _rounded_result(_without_nan(0)) for seam in ("gate", "candidate")},
        ),
    }
    for name, (does, definition) in zeroed.items():
        yield Fault(
            id=f"precision/nan-{name}", does=does, clause="nonfinite", where=("nonfinite",), definition=definition
        )
    yield Fault(
        id="precision/infinities-clamped",
        does="replaces infinite inputs by the largest finite numbers",
        clause="nonfinite",
        where=("nonfinite",),
        definition={"projection": _of_changed(_clamped)},
    )
    yield Fault(
        id="precision/zero-weights-skipped",
        does="skips weights that are zero, so that NaN and infinities do not reach what they feed",
        clause="nonfinite",
        where=("nonfinite",),
        definition={"projection": _product_without_zeros},
    )
    yield Fault(
        id="precision/rows-share-nan",
        does="lets NaN in the inputs of one row reach all rows and timesteps",
        clause="rows",
        where=("nonfinite", "several-rows"),
        arguments=_nan_for_all,
    )


_NAN_REPORTS = {
    ("relu", 0): ("pytorch#7999", "mxnet#11115"),
    ("hard_sigmoid", 1): ("tvm#17999", "openvino#35930"),
}


def _without_nan(instead: float) -> Rounding:
    return lambda array: np.where(np.isnan(array), array.dtype.type(instead), array)


def _clamped(array: Array) -> Array:
    limits = np.finfo(array.dtype)
    return np.clip(array, limits.min, limits.max)


def _of_changed(change: Rounding) -> Replacement:
    return lambda self, usual, gate, inputs: usual(gate, changed(self.numbers, inputs, change))


def _product_without_zeros(self: Any, usual: Any, gate: str, inputs: Any) -> Any:
    product, factors = usual(gate, inputs), value(self.weight(f"kernel_{gate}"))
    rows = value(inputs)
    if np.isfinite(rows).all():
        return product
    terms = np.where(factors == 0, 0, np.swapaxes(rows, 1, 2) * factors)
    total = terms.sum(axis=1, keepdims=True) + value(self.weight(f"bias_{gate}"))
    return changed(self.numbers, product, lambda array: np.where(np.isfinite(array), array, total))


def _nan_for_all(_: GRUSpec, given: Arguments) -> Arguments:
    return replace(given, inputs=np.full_like(given.inputs, np.nan)) if np.isnan(given.inputs).any() else given
