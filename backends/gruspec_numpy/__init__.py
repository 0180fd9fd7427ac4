"""The whole GRU specification in NumPy, vectorised and in the dtype asked for.

The equations here are independent of gruspec's reference on purpose, so that the two can judge each other.
``gruspec_numpy.GRU`` is the layer for users; ``gruspec_numpy.backend`` is what gruspec runs. Importing this package
does not import NumPy.
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
