"""The whole GRU specification in PyTorch, and an adapter over ``torch.nn.GRU``.

``gruspec_torch.GRU`` is a module for users. ``gruspec_torch.complete`` runs it for gruspec, ``gruspec_torch.native``
runs what PyTorch ships. Importing this package imports neither PyTorch nor NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .adapter import complete
from .native import native

if TYPE_CHECKING:
    from .layer import GRU

__all__ = ["GRU", "complete", "native"]


def __getattr__(name: str) -> Any:
    if name == "GRU":
        from .layer import GRU

        return GRU
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has GRU, complete and native")
