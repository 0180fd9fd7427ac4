"""Every layout that gruspec knows, by name."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

from gruspec.errors import UsageError, listed
from gruspec.layouts.layers import LAYERS
from gruspec.layouts.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.layouts.layout import Layout

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in (*LAYERS, *OPERATORS)})
"""Every layout by name, the likeliest first where arrays can be in several."""


def layout_named(name: str) -> Layout:
    """Return a layout by name.

    Raises
    ------
    UsageError
        If there is none. The message lists those there are.
    """
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{name}: no such layout; {hint}there are {listed(LAYOUTS)}")
    return LAYOUTS[name]
