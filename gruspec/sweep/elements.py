"""Simpler cases of the same structure: elements that are zero, one, a small integer, or of few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.generate.arrays import changed
from gruspec.generate.random_cases import free_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gruspec.cases import Case

    Pick = Callable[[], int]

_BITS = (1, 2, 4, 8)
_KEPT_WHOLE = ("dropout_masks/inputs", "dropout_masks/recurrent")
"""Arrays whose elements only go together with a rate."""


def simpler_elements(case: Case, pick: Pick) -> Case:
    """Return a case without expected values that has simpler elements in the places of some.

    Parameters
    ----------
    case
        The case to simplify.
    pick
        Gives, for each element, which of the numbers in its place to take: the first is the simplest, and beyond the
        last the element stays as it is.
    """

    def simpler(name: str, array: NDArray[Any]) -> NDArray[Any]:
        if name in _KEPT_WHOLE:
            return array
        found = [_picked(simpler_values(value), pick(), value) for value in array.ravel().tolist()]
        return np.array(found, dtype=array.dtype).reshape(array.shape)

    weights = {name: simpler(name, array) for name, array in case.weights.items()}
    return free_case(case.id, case.spec, weights, [changed(operation, simpler) for operation in case.calls])


def simpler_values(value: float) -> list[float]:
    """Return what may stand in the place of a number, the simplest first; of a mask's element, ``True``.

    Examples
    --------
    >>> simpler_values(1.37)
    [0.0, 1.0, -1.0, 1.5, 1.375, 1.3671875]
    >>> simpler_values(1.0), simpler_values(-0.0)
    ([0.0], [0.0])
    """
    if isinstance(value, bool):
        return [] if value else [True]
    if value == 0:
        return [0.0] if np.signbit(value) else []
    found = list(dict.fromkeys([0.0, 1.0, -1.0, float(round(value)), *(_rounded(value, bits) for bits in _BITS)]))
    return found[: found.index(value)] if value in found else found


def _picked(values: list[float], place: int, value: float) -> float:
    return values[place] if 0 <= place < len(values) else value


def _rounded(value: float, bits: int) -> float:
    """Round to a number of significant bits."""
    fraction, exponent = np.frexp(value)
    return float(np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits))
