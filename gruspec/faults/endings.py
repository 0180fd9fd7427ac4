"""Seams that change what a sequence gives: its outputs, its last output or its final state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from gruspec.faults.fault import Seams
    from gruspec.reference.definition import Sequence


def ending(change: Callable[[Any, Sequence[Any]], Sequence[Any]]) -> Seams:
    """Change what a sequence of at least one timestep gives.

    Parameters
    ----------
    change
        Is given the definition and the right results.
    """

    def sequence(self: Any, usual: Any, inputs: Any, state: Any, mask: Any) -> Any:
        done = usual(inputs, state, mask)
        return change(self, done) if inputs else done

    return {"sequence": sequence}


def with_state(definition: Any, done: Sequence[Any], state: Any) -> Sequence[Any]:
    """Return the results with another final state, if the layer returns or records it."""
    spec = definition.spec
    return replace(done, state=state) if spec.return_state or spec.stateful else done
