"""What a GRU is: its arguments and the shapes that follow from them. Standard library only.

The normative text is ``docs/spec.md``; the ids in square brackets in messages and docstrings are its clauses.
"""

from gruspec.spec.arguments import ACTIVATIONS, GRUSpec
from gruspec.spec.dropout import DROPOUT_RATES, acting_dropout, acting_masks, check_rates, dropout_mask_shapes
from gruspec.spec.initialization import WeightSettings
from gruspec.spec.shapes import (
    GATES,
    Dimensions,
    call_dimensions,
    check_carry,
    check_cotangents,
    check_reset,
    check_weights,
    mask_shapes,
    outputs_shape,
    state_shape,
    weight_shapes,
)

__all__ = [
    "ACTIVATIONS",
    "DROPOUT_RATES",
    "GATES",
    "Dimensions",
    "GRUSpec",
    "WeightSettings",
    "acting_dropout",
    "acting_masks",
    "call_dimensions",
    "check_carry",
    "check_cotangents",
    "check_rates",
    "check_reset",
    "check_weights",
    "dropout_mask_shapes",
    "mask_shapes",
    "outputs_shape",
    "state_shape",
    "weight_shapes",
]
