"""What regularizers add to a loss [losses]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gruspec.reference.numbers import A, DifferentiableNumbers
    from gruspec.reference.results import Result
    from gruspec.spec import WeightSettings

_WEIGHTS = {
    "kernel": "kernel_regularizer",
    "recurrent_kernel": "recurrent_regularizer",
    "bias": "bias_regularizer",
}


def losses(
    numbers: DifferentiableNumbers[A],
    settings: WeightSettings,
    result: Result[A],
    weights: Mapping[str, NDArray[np.float64]],
) -> tuple[A, ...]:
    """Return the losses of a call, each (1, 1, 1).

    The activity regularizer comes first: of the outputs and, where the layer returns it, of the state, each divided by
    the length of its first axis, or 0 where that is 0. Then those of kernel, recurrent kernel and bias. What has no
    regularizer is left out.
    """
    spec, found = result.spec, []
    if settings.activity_regularizer is not None:
        outputs = result.steps if spec.return_sequences else (result.last,)
        batch = result.last.shape[0]
        first = len(result.steps) if spec.return_sequences and spec.time_major else batch
        found.append(numbers.divided(_penalty(numbers, settings.activity_regularizer, outputs), max(1, first)))
        if spec.return_state:
            of_state = _penalty(numbers, settings.activity_regularizer, [result.state])
            found.append(numbers.divided(of_state, max(1, batch)))
    for name, setting in _WEIGHTS.items():
        regularizer = getattr(settings, setting)
        if regularizer is not None and name in weights:
            weight = weights[name]
            found.append(_penalty(numbers, regularizer, [numbers.lift(weight.reshape(1, 1, -1))]))
    return tuple(found)


def _penalty(numbers: DifferentiableNumbers[A], regularizer: Any, arrays: Sequence[A]) -> A:
    """Return ``l1 * sum |w| + l2 * sum w^2``."""
    total = numbers.zeros((1, 1, 1))
    for factor, squared in zip(_factors(regularizer), (False, True), strict=True):
        if factor:
            terms = [array * array if squared else numbers.absolute(array) for array in arrays]
            total = total + numbers.total(terms) * numbers.lift(np.full((1, 1, 1), factor))
    return total


def regularizer_factors(settings: WeightSettings) -> NDArray[np.float64]:
    """Return the factors of all regularizers, (n,): they are inputs of a case as its weights are."""
    given = [getattr(settings, name) for name in (*_WEIGHTS.values(), "activity_regularizer")]
    return np.array([_factors(regularizer) for regularizer in given if regularizer is not None]).reshape(-1)


def _factors(regularizer: Any) -> tuple[float, float]:
    """Return l1 and l2.

    Raises
    ------
    SpecError
        If the regularizer is no configuration of ``L1L2``.
    """
    if not isinstance(regularizer, dict) or regularizer["class_name"] != "L1L2":
        raise SpecError(f"regularizer={regularizer!r}: expected a configuration of L1L2")
    factors = regularizer.get("config", {})
    return float(factors.get("l1", 0.0)), float(factors.get("l2", 0.0))
