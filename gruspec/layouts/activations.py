"""Names of activations."""

from __future__ import annotations

from gruspec.spec import ACTIVATIONS

HARD_SIGMOID_6 = "hard_sigmoid_6"
"""What Keras 3 calls hard_sigmoid, clip(x / 6 + 0.5, 0, 1): not the reference layer's clip(0.2 x + 0.5, 0, 1)."""

_OTHERS = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu6",
    "selu",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
)
"""Those that layers of frameworks can have beside the ones of the specification."""

KNOWN = (*ACTIVATIONS, HARD_SIGMOID_6, *_OTHERS)
"""Every name that stands for a function, whoever computes it."""
