"""Bounds for the losses of regularizers and for their gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.reference import Definition, Sequence
from gruspec.reference.error_arrays import EXACT_ZERO_GRID, ErrorArray, exact_array, finite_errors
from gruspec.reference.error_sums import divided

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Ordered

    from numpy.typing import NDArray

SLOPE_ROUNDINGS = 4.0
"""Roundings of a regularizer's slope beside that of its product with the value: of coefficient and divisor."""

DEFAULT = 0.01
"""Each coefficient of a regularizer that is given by name."""


class Penalty(NamedTuple):
    """Coefficients of a regularizer: of the absolute values, of the squares, of the cosines between rows."""

    l1: float = 0.0
    l2: float = 0.0
    orthogonal: float = 0.0


SMALLEST_SQUARED_NORM = 1e-12
"""Squared norms of rows below it count as it (``tf.math.l2_normalize``)."""

_BY_NAME = {
    "l1": ("l1",),
    "l2": ("l2",),
    "l1_l2": ("l1", "l2"),
    "orthogonal_regularizer": ("orthogonal",),
}


def penalty(identifier: Any) -> Penalty | None:
    """Return what a regularizer's name or configuration means; coefficients are kept in float32."""
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return Penalty(**dict.fromkeys(_BY_NAME[identifier], float(np.float32(DEFAULT))))
    return Penalty(**{name: float(np.float32(value)) for name, value in identifier["config"].items()})


def orthogonal_loss(factor: float, weight: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean absolute cosine between two rows of a matrix (n, m), times ``factor``, and its bound.

    An entry of a normalised row has m + 1 roundings in its squared norm, halved by the root, and two more; a cosine has
    those of two entries and m of its inner product, each relative to at most 1 by the inequality of Cauchy and Schwarz.
    The mean of n^2 of them and the factor add n^2 + 4.
    """
    rows, columns = weight.shape
    unit = weight / np.sqrt(np.maximum(np.square(weight).sum(axis=1, keepdims=True), SMALLEST_SQUARED_NORM))
    cosines = np.abs(unit @ unit.T) * (1 - np.eye(rows))
    mean = cosines.sum() / max(rows * (rows - 1), 1)
    return factor * float(mean), factor * (2 * ((columns + 1) / 2 + 2) + columns + rows * rows + 4)


def slope(penalized: Penalty, values: ErrorArray, divisor: int = 1) -> ErrorArray:
    """Return the derivative ``(l1 sign(w) + 2 l2 w) / divisor``; around 0 the sign may be any."""
    a = values.settled()
    unit = a.precision.unit_roundoff
    certain, zero = np.abs(a.value) > unit * a.error, (a.value == 0) & (a.error == 0)
    sign = ErrorArray(
        a.precision,
        np.where(certain, np.sign(a.value), 0.0),
        np.zeros((0, *a.shape)),
        np.where(certain | zero, 0.0, 1 / unit),
        np.where(zero, EXACT_ZERO_GRID, np.where(certain, 1.0, 0.0)),
    )
    factors = [exact_array(a.precision, np.full((1, 1, 1), factor)) for factor in (penalized.l1, 2 * penalized.l2)]
    total = divided(sign * factors[0] + a * factors[1], divisor)
    return finite_errors(
        a.precision, total.value, total.coefficients, total.rest + SLOPE_ROUNDINGS * np.abs(total.value), total.grid
    )


def activity_definition(acting: Callable[[], Penalty | None]) -> type[Definition[Any]]:
    """Return the definition on a tape, where what a layer returns also has an activity regularizer's cotangents.

    Parameters
    ----------
    acting
        Returns the coefficients that act in the present call, if any do.
    """

    class ActivityDefinition(Definition[Any]):
        def sequence(self, inputs: Ordered[Any], state: Any, mask: NDArray[np.bool_] | None) -> Sequence[Any]:
            done = super().sequence(inputs, state, mask)
            penalized = acting()
            if penalized is None:
                return done
            batch = state.shape[0]
            divisor = len(inputs) if self.spec.return_sequences and self.spec.time_major else batch

            def regularized(node: Any, count: int) -> Any:
                tape: Any = self.numbers
                return tape.record(
                    node.value, (node, lambda cotangent: cotangent + slope(penalized, node.value, count))
                )

            outputs = [regularized(output, divisor) for output in done.outputs]
            final = regularized(done.state, batch) if self.spec.return_state else done.state
            return Sequence(outputs, regularized(done.last, divisor), final)

    return ActivityDefinition


def with_weight_slope(penalized: Penalty, gradient: ErrorArray, weight: NDArray[np.float64]) -> ErrorArray:
    """Return the gradient of a weight, or of a block of it, with that of its regularizer added.

    The derivative of an orthogonal regularizer has no bound here.
    """
    total = (gradient + slope(penalized, exact_array(gradient.precision, weight))).settled()
    return replace(total, rest=np.full(total.shape, np.inf)) if penalized.orthogonal else total
