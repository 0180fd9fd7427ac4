"""The ONNX GRU operator, run by ONNX Runtime.

``gruspec_onnx.gru_model`` and ``gruspec_onnx.gru_weights`` write a GRU as ONNX; ``gruspec_onnx.backend`` is what
gruspec runs. Importing this package imports neither onnx nor onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .adapter import backend

if TYPE_CHECKING:
    from .model import Structure, gru_model
    from .weights import gru_weights

__all__ = ["Structure", "backend", "gru_model", "gru_weights"]

_HOMES = {"Structure": "model", "gru_model": "model", "gru_weights": "weights"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
