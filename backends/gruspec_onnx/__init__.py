"""The ONNX GRU operator, run by ONNX Runtime.

``gruspec_onnx.export`` makes a model of a layer of Keras, ``gruspec_onnx.layer_model`` of any layer;
``gruspec_onnx.gru_model`` and ``gruspec_onnx.gru_weights`` give the bare operator and its weights, and
``gruspec_onnx.backend`` is what gruspec runs. Importing this package imports neither onnx nor onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .adapter import backend

if TYPE_CHECKING:
    from .keras_export import export
    from .model import Structure, gru_model
    from .weights import gru_weights
    from .whole_model import layer_model

__all__ = ["Structure", "backend", "export", "gru_model", "gru_weights", "layer_model"]

_HOMES = {
    "Structure": "model",
    "export": "keras_export",
    "gru_model": "model",
    "gru_weights": "weights",
    "layer_model": "whole_model",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
