"""Values of the definition with another way back for cotangents, or another value.

Each function takes the number system of a seam, which is a tape where the call is differentiated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.reference.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def detached(numbers: Any, array: Any) -> Any:
    """Return a value that sends no cotangent back."""
    return numbers.constant(array.value) if isinstance(numbers, Tape) else array


def scaled(numbers: Any, array: Any, factor: float) -> Any:
    """Return a value that sends ``factor`` times its cotangent back."""
    if not isinstance(numbers, Tape):
        return array
    return numbers.record(array.value, (array, lambda cotangent: cotangent * cotangent.dtype.type(factor)))


def changed(numbers: Any, array: Any, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    """Return a value changed element by element, which sends its cotangent back as it comes.

    What does not change is returned itself, so that the order of sums of cotangents does not change either.
    """
    if not isinstance(numbers, Tape):
        return change(array)
    found = change(array.value)
    if np.array_equal(found, array.value, equal_nan=True):
        return array
    return numbers.record(found, (array, lambda cotangent: cotangent))


def transposed(numbers: Any, array: Any) -> Any:
    """Return the last two axes swapped."""
    if not isinstance(numbers, Tape):
        return numbers.transposed(array)
    swap = numbers.numbers.transposed
    return numbers.record(swap(array.value), (array, swap))


def value(array: Any) -> NDArray[Any]:
    """Return the plain array behind a value."""
    plain: NDArray[Any] = getattr(array, "value", array)
    return plain
