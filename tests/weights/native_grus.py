"""The native GRUs that run here, by the name of their layout, and why the others do not."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

from gruspec.backend import NATIVES_GROUP
from gruspec.errors import MissingDependency
from gruspec_natives.admission import DeclaredGRU

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
REGISTERED: dict[str, str] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][
    NATIVES_GROUP
]


@cache
def declared(layout: str) -> DeclaredGRU:
    """Return the native GRU that is registered for a layout."""
    module, _, attribute = REGISTERED[layout].partition(":")
    native = getattr(import_module(module), attribute)()
    assert isinstance(native, DeclaredGRU)
    return native


@cache
def absence(layout: str) -> str | None:
    """Return why the framework of a layout is not here; None if it is."""
    try:
        declared(layout).versions()
    except MissingDependency as error:
        return str(error)
    return None


ABSENT = {layout: reason for layout in REGISTERED if (reason := absence(layout))}
PRESENT = tuple(layout for layout in REGISTERED if layout not in ABSENT)
