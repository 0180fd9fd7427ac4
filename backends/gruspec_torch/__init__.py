"""The whole GRU specification in PyTorch, and an adapter over ``torch.nn.GRU``.

``gruspec_torch.GRU`` is a module for users; ``GRU.from_keras`` makes one of a layer of Keras, and
``gruspec_torch.to_torch_nn`` a ``torch.nn.GRU`` where that can hold it. ``gruspec_torch.complete`` runs the module for
gruspec, ``gruspec_torch.native`` runs what PyTorch ships. Importing this package imports neither PyTorch nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .adapter import complete
from .native import native

if TYPE_CHECKING:
    from .keras_import import to_torch_nn
    from .layer import GRU

__all__ = ["GRU", "complete", "native", "to_torch_nn"]

_HOMES = {"GRU": "layer", "to_torch_nn": "keras_import"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
