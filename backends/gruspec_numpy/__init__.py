"""The reference layer, ``tf.compat.v1.keras.layers.GRU``, whole and trainable in NumPy alone.

``gruspec_numpy.GRU`` is the layer; ``initializers``, ``regularizers``, ``constraints`` and ``activations`` are modules
with what its arguments may be. ``gruspec_numpy.backend`` is what gruspec runs: the same layer behind the protocol. The
equations here are independent of gruspec's reference on purpose, so that the two can judge each other. Importing this
package does not import NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .adapter import backend

if TYPE_CHECKING:
    from .layer import GRU

__all__ = ["GRU", "backend"]


def __getattr__(name: str) -> Any:
    if name == "GRU":
        from .layer import GRU

        return GRU
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has GRU and backend")
