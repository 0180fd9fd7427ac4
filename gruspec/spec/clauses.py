"""The clauses of ``docs/spec.md`` by id, for reports that name one. A test keeps the two equal."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAUSES: Mapping[str, str] = MappingProxyType(
    {
        "symbols": "Symbols and shapes",
        "rows": "Rows of a batch",
        "weights": "Weights and their shapes",
        "gate-order": "Order of the gates",
        "activations": "Activations",
        "hard-sigmoid": "Hard sigmoid",
        "reset-before": "Reset gate before the matrix product",
        "reset-after": "Reset gate after the matrix product",
        "update": "Update of the state",
        "bias": "Biases",
        "timesteps": "Recurrence over timesteps",
        "zero-timesteps": "No timesteps",
        "empty-batch": "No rows",
        "zero-input-size": "No features",
        "initial-state": "Initial state",
        "go-backwards": "Backward processing",
        "time-major": "Timesteps on the first axis",
        "unroll": "Unrolling",
        "implementation": "Implementation modes",
        "return-sequences": "Sequence of outputs",
        "last-output": "Last output",
        "return-state": "Final state",
        "mask-shape": "Shape of a mask",
        "mask-dtype": "Values of a mask",
        "mask-state": "State at masked timesteps",
        "mask-output": "Output at masked timesteps",
        "mask-all": "Fully masked rows",
        "zero-output": "Zero output at masked timesteps",
        "masked-nonfinite": "NaN and infinities at masked timesteps",
        "mask-order": "Order of a mask",
        "stateful": "Stateful layers",
        "stateful-initial-state": "Explicit state on a stateful layer",
        "reset-states": "Resetting the recorded state",
        "dropout-masks": "Explicit dropout masks",
        "losses": "Losses of regularizers",
        "gradients": "Gradients through masks and calls",
        "gradient-kinks": "Derivatives at corners",
        "nonfinite": "NaN and infinities",
        "signed-zero": "Sign of zero",
        "subnormals": "Subnormal numbers",
        "arithmetic-inputs": "A1: inputs are exact",
        "arithmetic-sums": "A2: sums and inner products",
        "arithmetic-operations": "A3: other operations",
        "arithmetic-functions": "A4: activations",
        "arithmetic-update": "A5: forms of the update",
        "arithmetic-underflow": "A6: underflow",
        "arithmetic-gradients": "A7: gradients",
        "admission": "What is judged",
        "verdict": "How an element is judged",
        "invalid-arguments": "Invalid arguments",
    }
)
"""Title of each clause by id, in the order of the text."""
