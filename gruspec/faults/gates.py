"""Families ``gate-order`` and ``update``: blocks of weights taken for one another, and the update turned round."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

from gruspec.faults.fault import Fault
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.faults.fault import Replacement

_ARRAYS = {
    "kernel": ((), (), ("keras#15915", "keras#8720")),
    "recurrent_kernel": (("initial-state|several-steps",), (), ()),
}


def gate_faults() -> Iterator[Fault]:
    """Yield the faults of both families."""
    yield from _orders()


def _taken(name: str, order: tuple[str, ...]) -> Replacement:
    blocks = {f"{name}_{gate}": f"{name}_{other}" for gate, other in zip(GATES, order, strict=True)}

    def weight(_: Any, usual: Any, block: str) -> Any:
        return usual(blocks.get(block, block))

    return weight


def _orders() -> Iterator[Fault]:
    for name, (where, _, reports) in _ARRAYS.items():
        for order in list(permutations(GATES))[1:]:
            letters = "".join(order)
            yield Fault(
                id=f"gate-order/{name.replace('_', '-')}-{letters}",
                does=f"reads the gates of the {name} in the order {', '.join(order)} instead of z, r, h",
                clause="gate-order",
                where=where,
                reports=reports,
                definition={"weight": _taken(name, order)},
            )
