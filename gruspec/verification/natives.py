"""The frameworks' own GRUs by the name of their layout: the entry-point group ``gruspec.natives``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gruspec.backend.native import NATIVES_GROUP, NativeGRU
from gruspec.errors import MissingDependency, PluginError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable


class Natives:
    """The native GRUs that are registered in this environment; none is imported until it is asked for.

    Raises
    ------
    PluginError
        If two distributions register a GRU for the same layout.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._points: dict[str, EntryPoint] = {}
        for point in entry_points(group=NATIVES_GROUP) if points is None else points:
            other = self._points.get(point.name)
            if other is not None and other != point:
                raise PluginError(
                    f"{point.name}: {other.value} and {point.value} are both registered for this layout; uninstall one"
                )
            self._points[point.name] = point

    def names(self) -> list[str]:
        """Return the layouts for which one is registered, in order."""
        return sorted(self._points)

    def get(self, layout: str) -> NativeGRU:
        """Return the GRU of a framework that has this layout. The framework is not imported.

        Raises
        ------
        MissingDependency
            If none is registered, or its framework is not importable: the message names the extra that brings it.
        PluginError
            If what is registered cannot be loaded.
        """
        if layout not in self._points:
            raise MissingDependency(f"no framework is known here that runs weights of layout {layout}")
        point = self._points[layout]
        module, _, attribute = point.value.partition(":")
        try:
            native = getattr(import_module(module), attribute)()
        except Exception as error:
            raise PluginError(f"{layout}: {point.value} cannot be loaded: {type(error).__name__}: {error}") from error
        if not isinstance(native, NativeGRU):
            raise PluginError(f"{layout}: {point.value} gives {type(native).__name__}, which is not a NativeGRU")
        if missing := [name for name in native.modules if not _importable(name)]:
            distribution = point.dist.name if point.dist else "gruspec"
            hint = f"; pip install '{distribution}[{native.extra}]'" if native.extra else ""
            raise MissingDependency(f"{native.title} needs {listed(missing)}, which cannot be imported{hint}")
        return native


def _importable(module: str) -> bool:
    """Return whether a module can be found, without importing it; its parents are imported where it has some."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
