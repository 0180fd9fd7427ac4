"""What a GRU is: its arguments and the shapes that follow from them. Standard library only.

The normative text is ``docs/spec.md``; the ids in square brackets in messages and docstrings are its clauses.
"""

from gruspec.spec.arguments import ACTIVATIONS, GRUSpec
from gruspec.spec.initialization import WeightSettings
from gruspec.spec.shapes import (
    GATES,
    Dimensions,
    call_dimensions,
    check_carry,
    check_reset,
    mask_shapes,
    outputs_shape,
    state_shape,
    weight_shapes,
)

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "Dimensions",
    "GRUSpec",
    "WeightSettings",
    "call_dimensions",
    "check_carry",
    "check_reset",
    "mask_shapes",
    "outputs_shape",
    "state_shape",
    "weight_shapes",
]
