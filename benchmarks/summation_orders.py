"""Six correct GRUs in NumPy that add in different orders, behind the public protocol.

The equations are those of the reference; what differs is the arithmetic underneath: the order in which terms are added,
whether products and biases of a gate are one sum or added one after the other, the layout of the factors of a matrix
product, and the form of the update. The contract permits them all [arithmetic-sums, arithmetic-update].

Each is ``benchmarks.summation_orders:<name>`` to the runner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gruspec.backend import DTYPES, Capabilities
from gruspec.conformance.arrays import dtype_of
from gruspec.faults import FaultyBackend
from gruspec.faults.backend import FaultyLayer
from gruspec.reference.ieee import IEEENumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gruspec.backend import Weights
    from gruspec.spec import GRUSpec, WeightSettings

    Array = NDArray[Any]


def in_turn(terms: Array) -> Array:
    """Add the first to the second, their sum to the third, and so on; terms are along the first axis."""
    sums: Array = np.add.accumulate(terms)
    return np.asarray(sums[-1]) if len(sums) else np.zeros(terms.shape[1:], terms.dtype)


def from_the_end(terms: Array) -> Array:
    """Add the last to the one before it, and so on."""
    return in_turn(terms[::-1])


def in_pairs(terms: Array) -> Array:
    """Add neighbours, then neighbouring sums, until one is left."""
    while len(terms) > 1:
        even = len(terms) // 2 * 2
        terms = np.concatenate([terms[:even:2] + terms[1:even:2], terms[even:]])
    return in_turn(terms)


def in_four_parts(terms: Array) -> Array:
    """Add every fourth term to one of four sums, as vector units do."""
    return in_pairs(np.stack([in_turn(terms[part::4]) for part in range(4)]))


def largest_first(terms: Array) -> Array:
    """Add terms by magnitude, the largest first, so that the rest is rounded to its last place."""
    return in_turn(np.take_along_axis(terms, np.argsort(-np.abs(terms), axis=0), axis=0))


def transposed_product(a: Array, b: Array) -> Array:
    """Form a matrix product from transposed copies of its factors, as libraries with columns in a row do."""
    first, second = (np.ascontiguousarray(factor.swapaxes(-1, -2)) for factor in (b, a))
    product: Array = first @ second
    return product.swapaxes(-1, -2)


@dataclass(frozen=True)
class Way:
    """One way to compute.

    Parameters
    ----------
    summary
        One line that says what it is.
    update
        The form of the update, as of :class:`~gruspec.reference.ieee.IEEENumbers`.
    total
        Adds terms along the first axis.
    product
        Forms an inner product for itself; None if its terms join the sum that it is part of.
    """

    summary: str
    update: str
    total: Callable[[Array], Array]
    product: Callable[[Array, Array], Array] | None = None


def _terms(a: Array, b: Array) -> Array:
    """Return the terms of the inner products of (B, 1, m) and (1, m, n), as (m, B, 1, n)."""
    return np.moveaxis(a.swapaxes(-1, -2) * b, -2, 0)[:, :, None]


def _by(total: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    return lambda a, b: total(_terms(a, b))


WAYS = {
    "gates_in_turn": Way("each gate one sum, from first to last", "convex", in_turn),
    "gates_from_the_end": Way("each gate one sum, from last to first", "from-candidate", from_the_end),
    "gates_largest_first": Way("each gate one sum, the largest terms first", "from-state", largest_first),
    "products_in_pairs": Way("products and biases in turn, products by pairs", "from-state", in_turn, _by(in_pairs)),
    "products_in_four_parts": Way(
        "biases first, products in four parts", "from-candidate", from_the_end, _by(in_four_parts)
    ),
    "products_transposed": Way("products of the library, of transposed copies", "convex", in_pairs, transposed_product),
}


@dataclass(frozen=True, eq=False)
class Sums:
    """Elements (B, 1, n) or (1, m, n) as sums that are not formed yet: terms along one more axis, the first."""

    numbers: OrderedNumbers
    terms: Array

    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the elements."""
        return self.terms.shape[1:]

    @cached_property
    def values(self) -> Array:
        """The sums, formed once: an element is one number wherever it is used."""
        return self.numbers.way.total(self.terms)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # noqa: FBT001  NumPy's signature
        return np.array(self.values, dtype, copy=copy or None)

    def __add__(self, other: Sums) -> Sums:
        """Join two sums."""
        shape = np.broadcast_shapes(self.shape, other.shape)
        return Sums(
            self.numbers, np.concatenate([np.broadcast_to(s.terms, (len(s.terms), *shape)) for s in (self, other)])
        )

    def __mul__(self, other: Sums) -> Sums:
        """Multiply element by element."""
        return self.numbers.held(self.values * other.values)

    def __matmul__(self, other: Sums) -> Sums:
        """Form inner products, or leave their terms to a larger sum."""
        form = self.numbers.way.product
        if form is None:
            return Sums(self.numbers, _terms(self.values, other.values))
        return self.numbers.held(form(self.values, other.values))


class OrderedNumbers:
    """A number system that adds in one way, and does everything else as IEEE arithmetic does.

    Parameters
    ----------
    dtype
        The dtype of all arithmetic.
    way
        How to add.
    """

    def __init__(self, dtype: np.dtype[Any], way: Way) -> None:
        self.way = way
        self._ieee = IEEENumbers(dtype, way.update)

    def held(self, values: Array) -> Sums:
        """Return numbers that are formed."""
        return Sums(self, values[None])

    def lift(self, values: NDArray[np.float64]) -> Sums:
        """Return the values in the dtype."""
        return self.held(self._ieee.lift(values))

    def zeros(self, shape: tuple[int, ...]) -> Sums:
        """Return exact zeros."""
        return self.held(self._ieee.zeros(shape))

    def select(self, condition: NDArray[np.bool_], chosen: Sums, other: Sums) -> Sums:
        """Return ``chosen`` where the condition holds, else ``other``."""
        return self.held(self._ieee.select(condition, chosen.values, other.values))

    def activation(self, name: str, preactivation: Sums) -> Sums:
        """Apply an activation."""
        return self.held(self._ieee.activation(name, preactivation.values))

    def pull_to_preactivation(self, cotangent: Sums, name: str, preactivation: Sums, activated: Sums) -> Sums:
        """Return the cotangent times the derivative of an activation."""
        values = (cotangent.values, name, preactivation.values, activated.values)
        return self.held(self._ieee.pull_to_preactivation(*values))

    def blend(self, *parts: Sums) -> Sums:
        """Combine state and candidate."""
        return self._elementwise(self._ieee.blend, *parts)

    def pull_to_update(self, *parts: Sums) -> Sums:
        """Return ``g (h - n)``."""
        return self._elementwise(self._ieee.pull_to_update, *parts)

    def pull_to_state(self, *parts: Sums) -> Sums:
        """Return ``g z``."""
        return self._elementwise(self._ieee.pull_to_state, *parts)

    def pull_to_candidate(self, *parts: Sums) -> Sums:
        """Return ``g (1 - z)``."""
        return self._elementwise(self._ieee.pull_to_candidate, *parts)

    def transposed(self, array: Sums) -> Sums:
        """Return the last two axes swapped."""
        return self._elementwise(self._ieee.transposed, array)

    def absolute(self, array: Sums) -> Sums:
        """Return magnitudes."""
        return self._elementwise(self._ieee.absolute, array)

    def named(self, cotangent: Sums) -> Sums:
        """Form the sum of a cotangent."""
        return self._elementwise(self._ieee.named, cotangent)

    def divided(self, array: Sums, divisor: int) -> Sums:
        """Return quotients."""
        return self.held(self._ieee.divided(array.values, divisor))

    def over_rows(self, array: Sums) -> Sums:
        """Return the sum over the first axis, of all terms of all rows."""
        return Sums(self, array.terms.reshape(-1, 1, *array.shape[1:]))

    def total(self, arrays: Sequence[Sums]) -> Sums:
        """Return the sum of all elements."""
        return Sums(self, np.concatenate([array.values.reshape(-1, 1, 1, 1) for array in arrays]))

    def _elementwise(self, operation: Callable[..., Array], *arrays: Sums) -> Sums:
        return self.held(operation(*(array.values for array in arrays)))


class OrderedBackend(FaultyBackend):
    """The reference without a fault, over sums formed in one way."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way

    def capabilities(self) -> Capabilities:
        """Return that everything is declared, in every dtype."""
        return Capabilities(summary=self._way.summary, losses=True, dtypes=DTYPES)

    def prepare(
        self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str, settings: WeightSettings | None = None
    ) -> FaultyLayer:
        """Bind a layer."""
        self.capabilities().require(spec, dtype=dtype, device=device)
        numbers = cast("IEEENumbers", OrderedNumbers(dtype_of(dtype), self._way))
        return FaultyLayer(self, spec, weights, numbers, dtype, settings)


def __getattr__(name: str) -> Callable[[], OrderedBackend]:
    """Return what makes the implementation of a name."""
    if name not in WAYS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(OrderedBackend, WAYS[name])
