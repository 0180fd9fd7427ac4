"""The rebuilt layer, ``gruspec_numpy.GRU``, driven by operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from driver import Driver

import gruspec_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from examples import Call


class Rebuilt(Driver):
    """The rebuilt layer; warnings that it lets out are errors."""

    warned: ClassVar[Literal["error", "ignore"]] = "error"

    @staticmethod
    def layer_class() -> Any:
        """Return the class of the layer."""
        return gruspec_numpy.GRU

    @staticmethod
    def plain_shape(shape: Any) -> tuple[int | None, ...]:
        """Return a shape that the layer computed, which is a tuple."""
        found: tuple[int | None, ...] = shape
        return found

    @staticmethod
    def lifted(values: Any) -> Any:
        """Return the array itself."""
        return values

    def called(self, call: Call) -> tuple[Any, Mapping[str, Any]]:
        """Call the layer; return what it returns, and gradients by name where the call has cotangents."""
        inputs, state = call.inputs, call.initial_state
        if state is not None:
            inputs, state = call.passed(inputs, state)
        named = dict(call.extra) | ({} if call.dropout_masks is None else {"dropout_masks": call.dropout_masks})
        if call.cotangents is None:
            return self.layer(inputs, state, call.passed_mask(), call.training, **named), {}
        result, gradients = self.layer.vjp(
            inputs, state, call.passed_mask(), call.training, cotangents=call.cotangents, losses=call.losses, **named
        )
        return result, gradients

    def apply_constraints(self) -> None:
        """Apply the constraints to the weights."""
        self.layer.apply_constraints()
