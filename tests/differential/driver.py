"""A layer driven by operations: what the original and the rebuilt layer have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from examples import ApplyConstraints, Assign, Build, Call, Construct, Inspect, Reset, SetWeights
from outcomes import Returned, attempt, layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from examples import Example, Operation
    from outcomes import Outcome

ATTRIBUTES = (
    "units",
    "use_bias",
    "dropout",
    "recurrent_dropout",
    "implementation",
    "reset_after",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "time_major",
    "zero_output_for_mask",
    "supports_masking",
    "trainable",
    "built",
)
"""Attributes of a layer that must be equal."""

CELL_ATTRIBUTES = ("units", "state_size", "output_size")
"""Attributes of its cell that must be equal."""


class Driver(ABC):
    """One of the two layers.

    Parameters
    ----------
    example
        Its constructor arguments count.

    Attributes
    ----------
    layer
        The layer itself, once it is constructed.
    """

    warned: ClassVar[Literal["error", "ignore"]]

    def __init__(self, example: Example) -> None:
        self.layer: Any = None
        self._example = example

    @staticmethod
    @abstractmethod
    def layer_class() -> Any:
        """Return the class of the layer."""

    @abstractmethod
    def called(self, call: Call) -> tuple[Any, Mapping[str, Any]]:
        """Call the layer; return what it returns, and gradients by name where the call has cotangents."""

    @abstractmethod
    def apply_constraints(self) -> None:
        """Apply the constraints to the weights."""

    @staticmethod
    @abstractmethod
    def plain_shape(shape: Any) -> tuple[int | None, ...]:
        """Return a shape that the layer computed as a tuple."""

    @staticmethod
    @abstractmethod
    def lifted(values: Any) -> Any:
        """Return an array as the layer's activations take it."""

    def perform(self, operation: Operation) -> Outcome:
        """Perform an operation."""
        return attempt(lambda: self._performed(operation), self.warned)

    def reconfigured(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of a layer that is made from one."""
        found: dict[str, Any] = self.layer_class().from_config(dict(configuration)).get_config()
        return found

    def recorded(self) -> dict[str, Any]:
        """Return the recorded state by its name in results, if there is one."""
        (state,) = self.layer.states
        return {} if state is None else {"recorded": np.asarray(state)}

    def _performed(self, operation: Operation) -> Returned:
        match operation:
            case Construct():
                positional, named = self._example.constructor()
                self.layer = self.layer_class()(*positional, **named)
                return Returned()
            case Call():
                return self._call(operation)
            case Inspect():
                return self._inspected(operation)
            case Reset():
                given = [] if operation.states is None else [operation.states]
                return Returned(facts={"returned": self.layer.reset_states(*given)}, arrays=self.recorded())
            case Build():
                self.layer.build(operation.shape)
            case SetWeights():
                self.layer.set_weights(operation.weights)
            case ApplyConstraints():
                self.apply_constraints()
            case Assign():
                setattr(self.layer, operation.name, operation.value)
        return self._weights()

    def _call(self, call: Call) -> Returned:
        result, gradients = self.called(call)
        flat = result if isinstance(result, list) else [result]
        found = dict(zip(("outputs", "state"), flat, strict=False))
        found |= {f"losses/{position}": loss for position, loss in enumerate(self.layer.losses)}
        found |= {f"gradients/{name}": gradient for name, gradient in gradients.items()} | self.recorded()
        return Returned({name: np.asarray(array) for name, array in found.items()}, {"layout": layout(result)})

    def _weights(self) -> Returned:
        layer = self.layer
        arrays = {f"weights/{position}": np.asarray(weight) for position, weight in enumerate(layer.get_weights())}
        counts = {"trainable": len(layer.trainable_weights), "non-trainable": len(layer.non_trainable_weights)}
        facts = {"built": layer.built, **counts, "parameters": layer.count_params() if layer.built else None}
        return Returned(arrays | self.recorded(), facts)

    def _inspected(self, operation: Inspect) -> Returned:
        layer = self.layer
        mask, shape = layer.compute_mask(None, operation.mask), layer.compute_output_shape(operation.shape)
        facts = {
            "mask": layout(mask),
            "mask passed on": [each is operation.mask for each in (mask if isinstance(mask, list) else [mask])],
            "shape": [self.plain_shape(each) for each in shape] if isinstance(shape, list) else self.plain_shape(shape),
            **{name: getattr(layer, name) for name in ATTRIBUTES},
            **{f"cell.{name}": getattr(layer.cell, name) for name in CELL_ATTRIBUTES},
        }
        values = self.lifted(operation.values)
        names = ("activation", "recurrent_activation")
        return Returned({name: np.asarray(getattr(layer, name)(values)) for name in names}, facts)
