"""The operations that the definition needs from a number system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Elements(Protocol):
    """An array of numbers of some system: shaped, sliceable, with sums, products and matrix products."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Axis lengths."""
        ...

    def __add__(self, other: Any) -> Any: ...

    def __mul__(self, other: Any) -> Any: ...

    def __matmul__(self, other: Any) -> Any: ...


A = TypeVar("A", bound=Elements)


class NumberSystem(Protocol[A]):
    """Arithmetic over arrays of one kind of number."""

    def lift(self, values: NDArray[np.float64]) -> A:
        """Return the given values, exactly."""
        ...

    def zeros(self, shape: tuple[int, ...]) -> A:
        """Return exact zeros."""
        ...

    def select(self, condition: NDArray[np.bool_], chosen: A, other: A) -> A:
        """Return ``chosen`` where the condition holds, else ``other``, without arithmetic."""
        ...

    def activation(self, name: str, preactivation: A) -> A:
        """Apply an activation of the specification element by element [activations]."""
        ...

    def blend(self, update: A, state: A, candidate: A) -> A:
        """Return ``z h + (1 - z) n`` in any permitted form [update, arithmetic-update]."""
        ...


class DifferentiableNumbers(NumberSystem[A], Protocol[A]):
    """What training needs beside the definition: reverse accumulation and losses [arithmetic-gradients, losses]."""

    def pull_to_preactivation(self, cotangent: A, name: str, preactivation: A, activated: A) -> A:
        """Return an activation's cotangent times its derivative, at a point with a known value [gradient-kinks]."""
        ...

    def pull_to_update(self, cotangent: A, update: A, state: A, candidate: A) -> A:
        """Return the contribution of a blend's cotangent to that of the update gate, ``g (h - n)``."""
        ...

    def pull_to_state(self, cotangent: A, update: A, state: A, candidate: A) -> A:
        """Return its contribution to the cotangent of the state, ``g z``."""
        ...

    def pull_to_candidate(self, cotangent: A, update: A, state: A, candidate: A) -> A:
        """Return its contribution to the cotangent of the candidate, ``g (1 - z)``."""
        ...

    def transposed(self, array: A) -> A:
        """Return the last two axes swapped."""
        ...

    def over_rows(self, array: A) -> A:
        """Return the sum over the first axis, which stays with length 1."""
        ...

    def absolute(self, array: A) -> A:
        """Return magnitudes."""
        ...

    def total(self, arrays: Sequence[A]) -> A:
        """Return the sum of all elements of all arrays, (1, 1, 1)."""
        ...

    def divided(self, array: A, divisor: int) -> A:
        """Return quotients by a positive integer."""
        ...

    def named(self, cotangent: A) -> A:
        """Return a cotangent as one number that an implementation holds, its sum formed."""
        ...
