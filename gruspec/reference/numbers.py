"""The operations that the definition needs from a number system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
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
