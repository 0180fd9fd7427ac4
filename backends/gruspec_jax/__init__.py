"""The whole GRU specification in JAX.

``gruspec_jax.gru`` is a pure function for users, ``gruspec_jax.initial_params`` draws its weights, and
``gruspec_jax.backend`` is what gruspec runs. Importing this package imports neither JAX nor NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .adapter import backend

if TYPE_CHECKING:
    from .layer import gru, initial_params

__all__ = ["backend", "gru", "initial_params"]


def __getattr__(name: str) -> Any:
    if name in ("gru", "initial_params"):
        from . import layer

        return getattr(layer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has backend, gru and initial_params")
