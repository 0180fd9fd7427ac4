"""gruspec: what a GRU is, proven golden data, and a verdict on every implementation.

Importing this package imports no framework and not even NumPy; names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gruspec.errors import GruspecError, Unsupported
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from gruspec.cases import Suite
    from gruspec.files import convert_file
    from gruspec.layouts import convert

__version__ = "0.1.0"
__all__ = ["GRUSpec", "GruspecError", "Suite", "Unsupported", "__version__", "convert", "convert_file"]

_LAZY = {"Suite": "gruspec.cases", "convert": "gruspec.layouts", "convert_file": "gruspec.files"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gruspec' has no attribute {name!r}")
