"""What is asked of an implementation for one case, and what comes back, as messages."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gruspec.cases.model import ResetStates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gruspec.cases.model import Case, Operation

Outputs: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Computed arrays by ``<call index>/<output name>``."""


@dataclass(frozen=True)
class Step:
    """How the construction of the layer, or one operation on it, ended.

    Parameters
    ----------
    how
        ``"returned"``, ``"unsupported"`` with ``reasons``, or ``"raised"`` with ``classes`` and ``text``.
    reasons
        Why the implementation declined.
    classes
        Names of the exception's class and of all its bases.
    text
        The exception as its last traceback line, or what is wrong with the kind of object that was returned.
    traceback
        The whole traceback.
    """

    how: Literal["returned", "unsupported", "raised"]
    reasons: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    text: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Reply:
    """What an implementation did with one case in one dtype.

    ``steps`` has the construction first and then the operations, as far as they were tried. ``paths`` are the code
    paths that the layer says its calls took. ``crash`` says how the process ended where it did; nothing else is known
    then.
    """

    steps: tuple[Step, ...] = ()
    outputs: Outputs = field(default_factory=dict)
    seconds: float = 0.0
    crash: str = ""
    paths: tuple[str, ...] = ()

    def header(self) -> dict[str, Any]:
        """Return everything but the arrays, for a message."""
        steps = [asdict(step) for step in self.steps]
        return {"steps": steps, "seconds": self.seconds, "paths": list(self.paths)}

    @classmethod
    def from_message(cls, header: Mapping[str, Any], outputs: Outputs) -> Reply:
        """Return the reply that :meth:`header` and its arrays came from."""
        steps = (
            Step(**step | {"reasons": tuple(step["reasons"]), "classes": tuple(step["classes"])})
            for step in header["steps"]
        )
        return cls(tuple(steps), outputs, header["seconds"], paths=tuple(header["paths"]))


def case_message(case: Case, dtypes: Sequence[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the request to run a case: all that an implementation may know of it, without any expected value."""
    arrays: dict[str, NDArray[Any]] = {f"weights/{name}": array for name, array in case.weights.items()}
    operations = []
    for index, operation in enumerate(case.calls):
        header, given = _operation_message(operation)
        operations.append(header)
        arrays |= {f"{index}/{name}": array for name, array in given.items() if array is not None}
    header = {
        "kind": "case",
        "dtypes": list(dtypes),
        "spec": case.spec.to_dict(),
        "weights": list(case.weights),
        "settings": None if case.settings is None else asdict(case.settings),
        "operations": operations,
    }
    return header, arrays


def _operation_message(operation: Operation) -> tuple[dict[str, Any], dict[str, NDArray[Any] | None]]:
    if isinstance(operation, ResetStates):
        return {"op": "reset_states"}, {"states": operation.states}
    masks, cotangents = operation.dropout_masks, operation.cotangents
    header = {
        "op": "call",
        "training": operation.training,
        "dropout_masks": None if masks is None else list(masks),
        "cotangents": None if cotangents is None else list(cotangents),
    }
    arrays: dict[str, NDArray[Any] | None] = {
        "inputs": operation.inputs,
        "mask": operation.mask,
        "initial_state": operation.initial_state,
    }
    arrays |= {f"dropout_masks/{name}": array for name, array in (masks or {}).items()}
    return header, arrays | {f"cotangents/{name}": array for name, array in (cotangents or {}).items()}
