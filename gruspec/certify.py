"""A case without expected values in, the same case with proven values and bounds out.

The value is the exact real result, correctly rounded to float64: the precision of ball arithmetic rises until the
rounding of every element is decided. ``kappa`` is what the definition yields over error arrays. Where NaN or infinities
are involved, an element has an expected value only if every permitted form of the arithmetic agrees on its kind.

Bounds are counted for one dtype. Those for float32 hold in float64 as well, where terms of second order are smaller;
each half precision needs bounds of its own.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call, Expected, operation_arrays
from gruspec.errors import CertificationError, SpecError, listed
from gruspec.numerics import FORMATS, exactly_representable, nearest_float, store_bound
from gruspec.reference import run_operations
from gruspec.reference.error_arrays import Precision
from gruspec.reference.error_numbers import ErrorNumbers
from gruspec.reference.ieee import PERMITTED_FORMS
from gruspec.reference.losses import regularizer_factors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from gruspec.cases import Case, Operation
    from gruspec.numerics import Format
    from gruspec.reference import DifferentiableNumbers, Result

    Array = NDArray[Any]

JUDGED_DTYPES = ("float32", "float64")
"""Dtypes for which the stored bounds hold, counted for float32."""

HALF_PRECISIONS = ("float16", "bfloat16")
"""Dtypes for which a case can be certified afresh, to be judged in that dtype alone."""

COMPOUNDED = 4
"""Bounds for a half precision count each rounding as ``1 + COMPOUNDED u`` roundings.

Error arrays charge the k roundings of one formula k times u, where their product reaches ``(1 + u)**k - 1``. In float32
the margin of stored bounds pays for the difference. No formula but a sum, which is charged whole, has more than four.
"""

PRECISIONS = (128, 256, 512, 1024, 2048, 4096)
"""Working precisions of ball arithmetic, in bits, tried in this order."""

SUBNORMAL = "Subnormal"
"""Flag of the cases in which gradual underflow is demanded."""

UNDECIDED_SHARE = 0.25
"""An element is judged only where kappa u is at most this share of max(1, |value|) [admission]."""

_round_all = np.frompyfunc(nearest_float, 1, 1)


def certify(case: Case, *, dtype: str | None = None) -> Case:
    """Return the case with expected values, bounds and the dtypes in which it is judged.

    Parameters
    ----------
    case
        It is judged in the dtypes in which its arrays are exact, of those that bounds are counted for.
    dtype
        What bounds are counted for: ``"float32"``, which judges in float64 too, or ``"float64"``, ``"float16"`` or
        ``"bfloat16"``, which judge in that dtype alone. By default float32 if all arrays are exact in it, else float64.

    Raises
    ------
    CertificationError
        If an element's rounding is undecided at the highest precision, if permitted forms disagree about NaN or
        infinities, if an element could not be judged, or if no dtype is left: draw the case again. In half precisions
        also if an array has NaN or infinities.
    SpecError
        If bounds cannot be counted for the dtype.
    """
    dtype = _counted_for(case, dtype)
    _require_finite_cotangents(case)
    kinds = _agreed_kinds(case, dtype)
    bounds, peak = _bounds(case, dtype)
    dtypes = _dtypes(case, peak, dtype)
    values = _values(case, kinds)
    calls: list[Operation] = []
    for i, operation in enumerate(case.calls):
        if isinstance(operation, Call) and operation.raises is None:
            expected = {name: _expected(value, bounds[i][name]) for name, value in values[i].items()}
            calls.append(dataclasses.replace(operation, expected=expected))
        else:
            calls.append(operation)
    return dataclasses.replace(case, calls=tuple(calls), dtypes=dtypes)


def bounded(case: Case, *, dtype: str | None = None) -> Case:
    """Return the case with bounds but without values: enough to compare implementations with each other.

    Unlike :func:`certify`, whose parameters it has, this needs no ball arithmetic.
    """
    dtype = _counted_for(case, dtype)
    _require_finite_cotangents(case)
    bounds, peak = _bounds(case, dtype)
    calls = tuple(
        dataclasses.replace(
            operation, expected={name: Expected(None, store_bound(bound)) for name, bound in bounds[i].items()}
        )
        if isinstance(operation, Call)
        else operation
        for i, operation in enumerate(case.calls)
    )
    return dataclasses.replace(case, calls=calls, dtypes=_dtypes(case, peak, dtype))


def _counted_for(case: Case, dtype: str | None) -> str:
    """Return the dtype that bounds are counted for."""
    if dtype is None:
        narrow = all(exactly_representable(array, FORMATS["float32"]) for array in _given(case))
        return "float32" if narrow else "float64"
    if dtype not in (known := (*JUDGED_DTYPES, *HALF_PRECISIONS)):
        raise SpecError(f"dtype={dtype!r}: bounds can be counted for {listed(known)}")
    return dtype


def _require_finite_cotangents(case: Case) -> None:
    """Refuse cotangents that are not finite: a slope of zero may be multiplied by them, or select instead."""
    for call in case.calls:
        for name, cotangent in (call.cotangents or {}).items() if isinstance(call, Call) else ():
            if not np.isfinite(cotangent).all():
                raise CertificationError(f"{case.id}: the cotangent of {name} is not finite")


def _run(case: Case, numbers: DifferentiableNumbers[Any]) -> Iterator[Result[Any] | None]:
    """Perform the operations; those that must be refused leave no trace."""
    accepted = [operation for operation in case.calls if operation.raises is None]
    results = run_operations(numbers, case.spec, case.weights, accepted, settings=case.settings)
    return (next(results) if operation.raises is None else None for operation in case.calls)


def _arranged(results: Iterable[Result[Any] | None], element: Callable[[Any], Array]) -> list[dict[str, Array]]:
    """Turn results in some number system into plain arrays, laid out as the layer returns them."""
    return [{} if result is None else result.arranged(element) for result in results]


def _bounds(case: Case, dtype: str) -> tuple[list[dict[str, Array]], float]:
    """Return bounds on the error of every element, in roundoffs of a dtype, and the largest intermediate magnitude.

    Raises
    ------
    CertificationError
        If an element could not be judged. This also keeps values away from ball arithmetic that grow without limit.
    """
    precision = Precision(FORMATS[dtype], gradual=SUBNORMAL in case.flags)
    unit, compounding = precision.unit_roundoff, 1.0
    if dtype in HALF_PRECISIONS:
        compounding += COMPOUNDED * unit
        precision.unit_roundoff *= compounding
    with np.errstate(invalid="ignore", over="ignore"):
        results = list(_run(case, ErrorNumbers(precision)))
        bounds = _arranged(results, lambda array: compounding * array.settled().error)
        values = _arranged(results, lambda array: array.value)
    for bound, value in zip(bounds, values, strict=True):
        for name in bound:
            size = np.where(np.isnan(value[name]), 1.0, np.abs(value[name]))
            reach = UNDECIDED_SHARE * np.maximum(1.0, size)
            if not (store_bound(bound[name]) * unit <= reach).all():
                raise CertificationError(f"{case.id}: {name} has an element whose bound is too wide to judge it")
    if precision.infinite and _is_finite(case):
        raise CertificationError(f"{case.id}: an intermediate result overflows")
    return bounds, precision.peak


def _is_finite(case: Case) -> bool:
    return all(np.isfinite(array).all() for array in case.arrays().values())


def _agreed_kinds(case: Case, dtype: str) -> list[dict[str, Array]] | None:
    """Return NaN, infinities, or 0 for finite, by element; None for a case of finite arrays.

    Raises
    ------
    CertificationError
        If permitted forms disagree, or for a half precision, in which none is tried.
    """
    if _is_finite(case):
        return None
    if dtype in HALF_PRECISIONS:
        raise CertificationError(f"{case.id}: NaN or infinities are not judged in {dtype}")
    with np.errstate(all="ignore"):
        forms = [
            _arranged(_run(case, numbers), lambda array: np.where(np.isfinite(array), 0.0, array))
            for numbers in PERMITTED_FORMS
        ]
    for other in forms[1:]:
        for one, another in zip(forms[0], other, strict=True):
            if any(not np.array_equal(one[name], another[name], equal_nan=True) for name in one):
                raise CertificationError(f"{case.id}: permitted forms disagree about NaN or infinities")
    return forms[0]


def _values(case: Case, kinds: list[dict[str, Array]] | None) -> list[dict[str, Array]]:
    from flint import ctx

    from gruspec.reference.balls import BallNumbers

    for bits in PRECISIONS:
        with ctx.workprec(bits):
            rounded = _arranged(_run(case, BallNumbers()), _round_all)
        if kinds is not None:
            rounded = [
                {name: np.where(kind[name] == 0, array, kind[name]) for name, array in values.items()}
                for values, kind in zip(rounded, kinds, strict=True)
            ]
        if not any(value is None for values in rounded for array in values.values() for value in array.flat):
            return [{name: array.astype(np.float64) for name, array in values.items()} for values in rounded]
    raise CertificationError(f"{case.id}: a rounding is undecided at {PRECISIONS[-1]} bits")


def _expected(value: Array, bound: Array) -> Expected:
    one_nan = np.where(np.isnan(value), np.nan, value)  # the sign of a computed NaN depends on the machine
    return Expected(one_nan, store_bound(np.where(np.isfinite(value), bound, 0.0)))


def _dtypes(case: Case, peak: float, dtype: str) -> tuple[str, ...]:
    given = _given(case)
    dtypes = tuple(
        name
        for name in (JUDGED_DTYPES if dtype == "float32" else (dtype,))
        if peak < FORMATS[name].largest / 2
        and all(exactly_representable(array, FORMATS[name]) for array in given)
        and (SUBNORMAL in case.flags or all(_is_normal(array, FORMATS[name]) for array in given))
    )
    if not dtypes:
        raise CertificationError(f"{case.id}: no dtype holds its inputs and intermediate results")
    return dtypes


def _given(case: Case) -> list[Array]:
    """Return the numbers that an implementation is given."""
    given = [
        array
        for arrays in (case.weights, *(operation_arrays(operation) for operation in case.calls))
        for name, array in arrays.items()
        if array.dtype == np.float64 and not name.endswith("/value")
    ]
    return given if case.settings is None else [*given, regularizer_factors(case.settings)]


def _is_normal(values: Array, format_: Format) -> bool:
    """Return whether no value is subnormal: exact operations may flush it to zero."""
    return not ((values != 0) & (np.abs(values) < format_.smallest_normal)).any()
