"""The whole GRU specification in JAX.

``gruspec_jax.gru`` is a pure function for users. ``gruspec_jax.initial_params`` draws its weights,
``gruspec_jax.from_keras`` takes them from a layer of Keras, ``gruspec_jax.draw_dropout_masks`` draws the dropout masks
of a call in training, and ``gruspec_jax.backend`` is what gruspec runs. Importing this package imports neither JAX nor
NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .adapter import backend

if TYPE_CHECKING:
    from .dropout import draw_dropout_masks
    from .keras_import import KerasLayer, from_keras
    from .layer import gru, initial_params

__all__ = ["KerasLayer", "backend", "draw_dropout_masks", "from_keras", "gru", "initial_params"]

_HOMES = {
    "KerasLayer": "keras_import",
    "draw_dropout_masks": "dropout",
    "from_keras": "keras_import",
    "gru": "layer",
    "initial_params": "layer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
