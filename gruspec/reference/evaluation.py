"""Running the definition over whole cases, in any number system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.reference.definition import Definition
from gruspec.reference.layer import ReferenceLayer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from gruspec.reference.numbers import A, DifferentiableNumbers
    from gruspec.reference.results import CallArguments, Result
    from gruspec.spec import GRUSpec, WeightSettings


def run_operations(
    numbers: DifferentiableNumbers[A],
    spec: GRUSpec,
    weights: Mapping[str, NDArray[np.float64]],
    operations: Iterable[CallArguments | Any],
    *,
    settings: WeightSettings | None = None,
    definition: type[Definition[Any]] = Definition,
) -> Iterator[Result[A] | None]:
    """Perform calls and state resets in order, carrying the state of a stateful layer [stateful].

    Parameters
    ----------
    numbers
        Arithmetic to compute in.
    spec, weights
        The layer; weights in the reference layout.
    operations
        Calls, and resets: anything with an attribute ``states``.
    settings
        Regularizers, if losses are wanted.
    definition
        The equations; a subclass is a different GRU.

    Yields
    ------
    Result or None
        One for each operation; None for a reset.
    """
    layer = ReferenceLayer(numbers, spec, weights, settings=settings, definition=definition)
    for operation in operations:
        if hasattr(operation, "states"):
            layer.reset_states(operation.states)
            yield None
        else:
            yield layer.call(operation)
