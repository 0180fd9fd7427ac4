"""One call with its vector-Jacobian products, by the tape over any number system [gradients]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from gruspec.reference.definition import Definition, Sequence
from gruspec.reference.numbers import A, DifferentiableNumbers
from gruspec.reference.tape import Node, Tape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence as Ordered

    import numpy as np
    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec


class Gradients(NamedTuple, Generic[A]):
    """Gradients of one call.

    ``inputs`` has one array (B, 1, D) per timestep, in the order of time; ``initial_state`` is (B, 1, u), ``blocks``
    has one array (1, ., u) for each block of the weights.
    """

    inputs: Ordered[A]
    initial_state: A
    blocks: Mapping[str, A]


def differentiate(
    numbers: DifferentiableNumbers[A],
    spec: GRUSpec,
    blocks: Mapping[str, A],
    dropout_masks: Mapping[str, A],
    inputs: Ordered[A],
    state: A,
    mask: NDArray[np.bool_] | None,
    cotangents: Mapping[str, Any],
    *,
    definition: type[Definition[Any]] = Definition,
) -> tuple[Sequence[A], Gradients[A]]:
    """Run a sequence and pull cotangents back through it.

    Parameters
    ----------
    numbers
        Arithmetic to compute in.
    spec, blocks, dropout_masks
        What a :class:`~gruspec.reference.definition.Definition` is bound to.
    inputs, state, mask
        Of :meth:`~gruspec.reference.definition.Definition.sequence`.
    cotangents
        ``outputs``: one array (B, 1, u) for each output that the layer returns, in processing order: all under
        ``return_sequences``, else the last. ``state`` (B, 1, u). Either may be absent.
    definition
        The equations.
    """
    tape = Tape(numbers)
    weights = {name: tape.variable(block) for name, block in blocks.items()}
    steps, start = [tape.variable(step) for step in inputs], tape.variable(state)
    masks = {name: tape.constant(array) for name, array in dropout_masks.items()}
    done: Sequence[Node[A]] = definition(tape, spec, weights, masks).sequence(steps, start, mask)
    returned = done.outputs if spec.return_sequences else [done.last]
    seeds = list(zip(returned, cotangents["outputs"], strict=True)) if "outputs" in cotangents else []
    if "state" in cotangents:
        seeds.append((done.state, cotangents["state"]))
    tape.pull_back(seeds)
    gradients = Gradients(
        [tape.gradient(step) for step in steps],
        tape.gradient(start),
        {name: numbers.over_rows(tape.gradient(weight)) for name, weight in weights.items()},
    )
    return Sequence([output.value for output in done.outputs], done.last.value, done.state.value), gradients
