"""Reverse accumulation through the definition, over any number system: the backward pass needs no second derivation.

A :class:`Tape` is itself a number system. What the definition computes over it is recorded, and
:meth:`Tape.pull_back` sends cotangents back through the record, in the arithmetic of the number system underneath
[arithmetic-gradients].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from gruspec.reference.numbers import A, DifferentiableNumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray


class Node(Generic[A]):
    """A recorded value; shapes as in :class:`~gruspec.reference.definition.Definition`.

    Parameters
    ----------
    tape
        Where it is recorded.
    value
        The value.
    sources
        The nodes that it was computed from, each with the function that turns a cotangent of this node into its
        contribution to the cotangent of the source. None for a constant.
    names_errors
        Whether a cotangent is one number of the implementation that everything before it shares, as of a state.
    """

    def __init__(
        self,
        tape: Tape[A],
        value: A,
        sources: Iterable[tuple[Node[A], Callable[[A], A]]] | None,
        *,
        names_errors: bool = False,
    ) -> None:
        self.tape = tape
        self.value = value
        self.constant = sources is None
        self.sources = [(node, pull) for node, pull in sources or () if not node.constant]
        self.names_errors = names_errors
        self.cotangent: A | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.value.shape

    def __add__(self, other: Node[A]) -> Node[A]:
        """Return the sum; a bias (1, 1, u) serves all rows, and its cotangent keeps them apart."""
        return self.tape.record(
            self.value + other.value, (self, lambda cotangent: cotangent), (other, lambda cotangent: cotangent)
        )

    def __mul__(self, other: Node[A]) -> Node[A]:
        """Return the product, element by element."""
        return self.tape.record(
            self.value * other.value,
            (self, lambda cotangent: cotangent * other.value),
            (other, lambda cotangent: cotangent * self.value),
        )

    def __matmul__(self, other: Node[A]) -> Node[A]:
        """Return (B, 1, m) times (1, m, n); the cotangent of the weights (B, m, n) keeps rows apart."""
        transposed = self.tape.numbers.transposed
        return self.tape.record(
            self.value @ other.value,
            (self, lambda cotangent: cotangent @ transposed(other.value)),
            (other, lambda cotangent: transposed(self.value) * cotangent),
        )

    def receive(self, cotangent: A) -> None:
        """Add to the cotangent."""
        self.cotangent = cotangent if self.cotangent is None else self.cotangent + cotangent


class Tape(Generic[A]):
    """A record of what is computed, as a number system over another one.

    Parameters
    ----------
    numbers
        The arithmetic of values and of cotangents.
    """

    def __init__(self, numbers: DifferentiableNumbers[A]) -> None:
        self.numbers = numbers
        self._nodes: list[Node[A]] = []

    def variable(self, value: A) -> Node[A]:
        """Return a value to differentiate by."""
        return self.record(value)

    def constant(self, value: A) -> Node[A]:
        """Return a value that takes no cotangent."""
        return Node(self, value, None)

    def lift(self, values: NDArray[np.float64]) -> Node[A]:
        """Return given values, as constants."""
        return self.constant(self.numbers.lift(values))

    def zeros(self, shape: tuple[int, ...]) -> Node[A]:
        """Return exact zeros, as constants."""
        return self.constant(self.numbers.zeros(shape))

    def record(self, value: A, *sources: tuple[Node[A], Callable[[A], A]], names_errors: bool = False) -> Node[A]:
        """Return the node of a value, after those that it was computed from."""
        node = Node(self, value, sources, names_errors=names_errors)
        self._nodes.append(node)
        return node

    def select(self, condition: NDArray[np.bool_], chosen: Node[A], other: Node[A]) -> Node[A]:
        """Return ``chosen`` where the condition holds, else ``other``; the cotangent goes to the one that was taken."""
        numbers = self.numbers

        def kept(cotangent: A) -> A:
            return numbers.select(condition, cotangent, numbers.zeros(cotangent.shape))

        def others(cotangent: A) -> A:
            return numbers.select(condition, numbers.zeros(cotangent.shape), cotangent)

        return self.record(numbers.select(condition, chosen.value, other.value), (chosen, kept), (other, others))

    def activation(self, name: str, preactivation: Node[A]) -> Node[A]:
        """Apply an activation [gradient-kinks]."""
        activated = self.numbers.activation(name, preactivation.value)

        def pull(cotangent: A) -> A:
            return self.numbers.pull_to_preactivation(cotangent, name, preactivation.value, activated)

        return self.record(activated, (preactivation, pull))

    def blend(self, update: Node[A], state: Node[A], candidate: Node[A]) -> Node[A]:
        """Combine state and candidate."""
        values = (update.value, state.value, candidate.value)
        pulls = (self.numbers.pull_to_update, self.numbers.pull_to_state, self.numbers.pull_to_candidate)

        def through(pull: Callable[[A, A, A, A], A]) -> Callable[[A], A]:
            return lambda cotangent: pull(cotangent, *values)

        sources = zip((update, state, candidate), map(through, pulls), strict=True)
        return self.record(self.numbers.blend(*values), *sources, names_errors=True)

    def pull_back(self, cotangents: Iterable[tuple[Node[A], A]]) -> None:
        """Send cotangents of some nodes back to all that they were computed from."""
        for node, cotangent in cotangents:
            if not node.constant:
                node.receive(cotangent)
        for node in reversed(self._nodes):
            if node.cotangent is None:
                continue
            if node.names_errors:
                node.cotangent = self.numbers.named(node.cotangent)
            for source, pull in node.sources:
                source.receive(pull(node.cotangent))

    def gradient(self, variable: Node[A]) -> Any:
        """Return the cotangent that a variable has received, rows apart; exact zeros if it has received none."""
        return self.numbers.zeros(variable.shape) if variable.cotangent is None else variable.cotangent
