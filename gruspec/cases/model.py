"""A golden case in memory: what to run, and what must come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec, WeightSettings

Floats: TypeAlias = "NDArray[np.float64]"
Mask: TypeAlias = "NDArray[np.bool_]"


@dataclass(frozen=True)
class Expected:
    """Proven values and their bounds, of equal shape.

    ``value`` is the exact result correctly rounded to float64; ``kappa`` bounds the error of a conforming
    implementation in units of the unit roundoff of its dtype [verdict]. A case that only compares implementations with
    each other may leave ``value`` out.
    """

    value: Floats | None
    kappa: NDArray[np.float32]


@dataclass(frozen=True)
class Call:
    """One call of the layer.

    ``cotangents`` has ``outputs`` and, where the state is returned, ``state``; with them the call is differentiated.
    ``expected`` has ``outputs`` and ``state``, with cotangents also ``gradients/<argument>`` of :func:`gradient_names`,
    and ``losses`` where the case has regularizers. It is empty where ``raises`` is set.
    """

    inputs: Floats
    mask: Mask | None = None
    initial_state: Floats | None = None
    training: bool = False
    dropout_masks: Mapping[str, Floats] | None = None
    cotangents: Mapping[str, Floats] | None = None
    expected: Mapping[str, Expected] = field(default_factory=dict)
    raises: str | None = None


@dataclass(frozen=True)
class ResetStates:
    """Set the recorded state to ``states`` (B, u), or to zeros."""

    states: Floats | None = None
    raises: str | None = None


Operation: TypeAlias = Call | ResetStates

GRADIENTS = "gradients/"
"""Prefix of the names of gradients among what a call gives."""


@dataclass(frozen=True)
class Flag:
    """A property that cases share: what they catch, and what failing them means for users."""

    name: str
    catches: str
    effect: str


@dataclass(frozen=True)
class Case:
    """A layer, its weights, and the operations to perform in order.

    ``weights`` are in the reference layer's layout; ``dtypes`` names the only dtypes in which the case is judged;
    ``settings`` has the regularizers of a case about losses.
    ``result`` is ``"invalid"`` where some operation, or the construction itself (``raises``), must be refused.
    """

    id: str
    topic: str
    clause: str
    flags: tuple[str, ...]
    dtypes: tuple[str, ...]
    spec: GRUSpec
    weights: Mapping[str, Floats]
    calls: tuple[Operation, ...]
    result: Literal["valid", "invalid"] = "valid"
    raises: str | None = None
    settings: WeightSettings | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every array of the case by its name inside the case, in a fixed order."""
        found: dict[str, NDArray[Any]] = dict(self.weights)
        for i, call in enumerate(self.calls):
            found |= {f"{i}/{name}": array for name, array in operation_arrays(call).items()}
        return found


def judged_outputs(case: Case) -> Iterator[tuple[int, str, Expected]]:
    """Yield what is judged of a case: the index of a call, the name of an output, and what is expected of it."""
    for index, operation in enumerate(case.calls):
        if isinstance(operation, Call):
            for name, expected in operation.expected.items():
                if name != "state" or case.spec.return_state:
                    yield index, name, expected


def gradient_names(case: Case, call: Call) -> tuple[str, ...]:
    """Return the names of the arguments that a call is differentiated by; none without cotangents."""
    if call.cotangents is None:
        return ()
    state = () if call.initial_state is None else ("initial_state",)
    return ("inputs", *state, *case.weights)


def operation_arrays(operation: Operation) -> dict[str, NDArray[Any]]:
    """Return the arrays of one operation by name, without those that are absent."""
    if isinstance(operation, ResetStates):
        return {} if operation.states is None else {"states": operation.states}
    named: dict[str, NDArray[Any] | None] = {
        "inputs": operation.inputs,
        "mask": operation.mask,
        "initial_state": operation.initial_state,
    }
    named |= {f"dropout_masks/{name}": array for name, array in (operation.dropout_masks or {}).items()}
    named |= {f"{GRADIENTS}cotangents/{name}": array for name, array in (operation.cotangents or {}).items()}
    for name, expected in operation.expected.items():
        named |= {f"{name}/value": expected.value, f"{name}/kappa": expected.kappa}
    return {name: array for name, array in named.items() if array is not None}
