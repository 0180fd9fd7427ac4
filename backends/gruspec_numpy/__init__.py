"""The reference layer, ``tf.compat.v1.keras.layers.GRU``, whole and trainable in NumPy alone.

``gruspec_numpy.GRU`` is the layer, and ``gruspec_numpy.from_keras`` makes one of a layer of Keras; ``initializers``,
``regularizers``, ``constraints`` and ``activations`` are modules with what its arguments may be.
``gruspec_numpy.backend`` is what gruspec runs: the same layer behind the protocol. The equations here are independent
of gruspec's reference on purpose, so that the two can judge each other. Importing this package does not import NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .adapter import backend

if TYPE_CHECKING:
    from .keras_import import from_keras
    from .layer import GRU

__all__ = ["GRU", "backend", "from_keras"]

_HOMES = {"GRU": "layer", "from_keras": "keras_import"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
