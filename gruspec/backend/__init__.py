"""The protocol between gruspec and an implementation, and the registry of implementations.

An implementation is a :class:`Backend`: it declares what it can do, and binds a specification and weights to a
:class:`Layer` that is called with arrays. Arrays cross the protocol as NumPy, weights in the layout of the reference
layer. Nothing here imports a framework, and importing this package does not import NumPy.
"""

from gruspec.backend.capabilities import DEVICES, DTYPES, Capabilities
from gruspec.backend.dropout import refuse_dropout
from gruspec.backend.masks import MASKS, batch_major_mask, lengths_from_mask, mask_kind
from gruspec.backend.native import NATIVES_GROUP, NativeGRU, NativeResult
from gruspec.backend.protocol import (
    Backend,
    DifferentiableLayer,
    Differentiated,
    Layer,
    LayerScript,
    Output,
    RegularizedLayer,
    RegularizingBackend,
    RegularizingScriptedBackend,
    ScriptedBackend,
    Weights,
)
from gruspec.backend.registry import GROUP, Registration, Registry
from gruspec.backend.script import ScriptedCall

__all__ = [
    "DEVICES",
    "DTYPES",
    "GROUP",
    "MASKS",
    "NATIVES_GROUP",
    "Backend",
    "Capabilities",
    "DifferentiableLayer",
    "Differentiated",
    "Layer",
    "LayerScript",
    "NativeGRU",
    "NativeResult",
    "Output",
    "Registration",
    "Registry",
    "RegularizedLayer",
    "RegularizingBackend",
    "RegularizingScriptedBackend",
    "ScriptedBackend",
    "ScriptedCall",
    "Weights",
    "batch_major_mask",
    "lengths_from_mask",
    "mask_kind",
    "refuse_dropout",
]
