"""How much of its bounds an implementation uses up."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from flint import ctx
from permitted_arithmetic import Choices, PermittedNumbers

from gruspec import certify as certification
from gruspec.cases import Call
from gruspec.certify import certify
from gruspec.errors import CertificationError
from gruspec.numerics import FORMATS, Format, store_bound
from gruspec.reference import Definition, run_operations
from gruspec.reference.balls import BallNumbers
from gruspec.reference.error_arrays import Precision
from gruspec.reference.error_numbers import ErrorNumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest
    from numpy.typing import NDArray

    from gruspec.cases import Case

    Floats = NDArray[np.float64]
    Shares = dict[str, Floats]


def certified(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases that can be certified."""
    for case in cases:
        try:
            yield certify(case)
        except CertificationError:
            continue


def arrays_of_calls(
    case: Case, numbers: Any, element: Callable[[Any], Any], definition: type[Definition[Any]] = Definition
) -> Iterator[tuple[Call, dict[str, Any]]]:
    """Yield each call with what it gives in some number system."""
    results = run_operations(
        numbers, case.spec, case.weights, case.calls, settings=case.settings, definition=definition
    )
    for call, result in zip(case.calls, results, strict=True):
        if isinstance(call, Call) and result is not None:
            yield call, result.arranged(element)


def shares_of_bounds(
    case: Case, numbers: PermittedNumbers, definition: type[Definition[Any]] = Definition
) -> list[Shares]:
    """Return each error as a share of what the verdict grants, infinite where nothing is granted, for each call."""
    return [
        {name: _shares(numbers.unit, call.expected[name], array) for name, array in computed.items()}
        for call, computed in arrays_of_calls(case, numbers, lambda array: array.values, definition)
    ]


def _shares(unit: Fraction, expected: Any, computed: Any) -> Floats:
    found = np.zeros(expected.kappa.shape)
    for index in np.ndindex(found.shape):
        kappa, value = Fraction(float(expected.kappa[index])), Fraction(float(expected.value[index]))
        rounding = abs(value) / 2**53 + Fraction(1, 2**1075)
        error = abs(computed[index] - value)
        granted = kappa * unit + rounding if kappa else 0
        found[index] = float(error / granted) if granted else np.inf if error else 0.0
    return found


def largest_share(case: Case, numbers: PermittedNumbers, definition: type[Definition[Any]] = Definition) -> float:
    """Return the largest share of any element's bound."""
    arrays = [array for call in shares_of_bounds(case, numbers, definition) for array in call.values()]
    return max(float(array.max(initial=0)) for array in arrays)


def ways(number: int, case: Case) -> Iterator[PermittedNumbers]:
    """Yield implementations that differ in all that the contract leaves open."""
    for dtype, extended in product(case.dtypes, (False, True)):
        flush = "Subnormal" not in case.flags and number % 2 == 0
        yield PermittedNumbers(FORMATS[dtype], Choices(number), extended=extended, flush=flush)


def repeated(cases: Iterable[Case], times: int) -> Iterator[Case]:
    """Yield each case so often that choices of form and order all come up, with subnormal results flushed and kept."""
    return (case for case in cases for _ in range(times))


def violation(cases: Iterable[Case]) -> str | None:
    """Return the first case with an implementation that leaves a bound."""
    for number, case in enumerate(certified(cases)):
        if any(largest_share(case, numbers) > 1 for numbers in ways(number, case)):
            return case.id
    return None


def steered_share(case: Case, seed: int, name: str = "state") -> float:
    """Return how much of the bound of one element can be used up: every single error is turned to where it adds.

    The element is the last one of the array ``name`` of the last call.
    """

    def run(directions: list[int]) -> tuple[Choices, PermittedNumbers]:
        choices = Choices(seed, directions=directions)
        return choices, PermittedNumbers(FORMATS[case.dtypes[0]], choices, extended=True)

    def error(directions: list[int]) -> tuple[float, int]:
        choices, numbers = run(directions)
        *_, (_, arrays) = arrays_of_calls(case, numbers, lambda array: array.values)
        return arrays[name].flat[-1], choices.errors

    start, count = error([])
    turned = [-1 if error([1] * i + [-1])[0] > start else 1 for i in range(count)]
    found = []
    for directions in (turned, [-direction for direction in turned]):
        _, numbers = run(directions)
        found.append(float(shares_of_bounds(case, numbers)[-1][name].flat[-1]))
    return max(found)


def arguments_of_activations(bits: int) -> Floats:
    """Return numbers next to the corners, and some of every size, of both signs."""
    corner = 2.5 + np.arange(-40, 41) * 2.0 ** (2 - bits)
    sizes = np.ldexp(1 + np.arange(8) / 8 + 2.0 ** (1 - bits), np.arange(-64, 9, 8)[:, None]).ravel()
    positive = np.concatenate([corner, np.arange(0, 4, 0.15625), sizes])
    return np.concatenate([positive, -positive])[None, None, :]


def exceeded(operation: Callable[[Any], Any], dtype: str, repeats: int = 4) -> NDArray[np.bool_]:
    """Return where some implementation of an operation on exact arguments leaves its bound.

    Parameters
    ----------
    operation
        Gives the result in a number system.
    dtype
        Format to compute in.
    repeats
        Number of implementations, each with and without extended results; every other one flushes subnormal ones.
    """
    granted = store_bound(operation(ErrorNumbers(Precision(FORMATS["float32"]))).settled().error).astype(np.float64)
    with ctx.workprec(256):
        exact = [_rational(ball) for ball in operation(BallNumbers()).flat]
    found = np.zeros(granted.shape, bool)
    for i, extended in product(range(repeats), (False, True)):
        numbers = PermittedNumbers(FORMATS[dtype], Choices(i), extended=extended, flush=i % 2 == 1)
        computed = operation(numbers).values.ravel()
        error = [float(abs(one - other) / numbers.unit) for one, other in zip(computed, exact, strict=True)]
        found |= np.array(error).reshape(found.shape) > granted
    return found


def _rational(ball: Any) -> Fraction:
    """Return the midpoint of a ball."""
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())
    return mantissa * Fraction(2) ** exponent


def stand_in_for_float32(patch: pytest.MonkeyPatch, bits: int) -> None:
    """Let a format of few bits stand in for float32: there terms of second order are not negligible."""
    patch.setitem(FORMATS, "float32", Format("float32", bits, -126, 127))
    patch.setattr(certification, "JUDGED_DTYPES", ("float32",))
    patch.setattr(certification, "UNDECIDED_SHARE", 100.0)


def halved(patch: pytest.MonkeyPatch) -> None:
    """Halve every bound."""
    patch.setattr(certification, "store_bound", lambda bound: store_bound(bound / 2))


def wrap(patch: pytest.MonkeyPatch, module: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Let a function of a module pass through another, which gets it as its first argument."""
    patch.setattr(module, name, partial(wrapper, getattr(module, name)))
