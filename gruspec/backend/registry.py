"""Implementations by name: the entry-point group ``gruspec.backends``, and ``module:attribute`` references."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from gruspec.backend.capabilities import Capabilities
from gruspec.backend.protocol import Backend
from gruspec.errors import MissingDependency, PluginError, UsageError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GROUP = "gruspec.backends"


@dataclass(frozen=True)
class Registration:
    """A name and where its implementation comes from; nothing is imported until :meth:`load`."""

    name: str
    reference: str
    distribution: str | None = None

    def load(self) -> Backend:
        """Import the implementation. Its framework is not imported.

        Raises
        ------
        PluginError
            If the reference cannot be imported, or does not give a backend that says what it can do.
        """
        module, _, attribute = self.reference.partition(":")
        try:
            factory = cast("Callable[[], object]", getattr(import_module(module), attribute))
            backend = factory()
        except Exception as error:
            what = self.name if self.name == self.reference else f"{self.name}: {self.reference}"
            raise PluginError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
        if not isinstance(backend, Backend):
            raise PluginError(f"{self.name}: {self.reference} gives {type(backend).__name__}, which is not a Backend")
        try:
            declared: object = backend.capabilities()
        except Exception as error:
            raise PluginError(f"{self.name}: capabilities() raised {type(error).__name__}: {error}") from error
        if not isinstance(declared, Capabilities):
            raise PluginError(f"{self.name}: capabilities() gives {type(declared).__name__}, not Capabilities")
        return backend

    def load_runnable(self) -> Backend:
        """Import the implementation and check that its framework is installed.

        Raises
        ------
        MissingDependency
            If a module it needs is not importable; the message says what to install.
        PluginError
            As from :meth:`load`, or if a module that it needs cannot even be looked for.
        """
        backend = self.load()
        capabilities = backend.capabilities()
        try:
            missing = missing_modules(capabilities)
        except (ImportError, ValueError) as error:
            raise PluginError(f"{self.name}: modules={capabilities.modules!r}: {error}") from error
        if missing:
            hint = (
                f"; pip install '{self.distribution or 'gruspec'}[{capabilities.extra}]'" if capabilities.extra else ""
            )
            raise MissingDependency(f"{self.name} needs {listed(missing)}, which cannot be imported{hint}")
        return backend


def missing_modules(capabilities: Capabilities) -> list[str]:
    """Return the modules an implementation needs that are not installed; nothing is imported."""
    return [module for module in capabilities.modules if find_spec(module) is None]


class Registry:
    """The implementations that are registered in this environment.

    Raises
    ------
    PluginError
        If two distributions register the same name.
    """

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        self._registrations: dict[str, Registration] = {}
        for point in entry_points(group=GROUP) if points is None else points:
            found = Registration(point.name, point.value, point.dist.name if point.dist else None)
            other = self._registrations.get(found.name)
            if other is not None and other != found:
                raise PluginError(
                    f"{found.name}: registered by {other.distribution} as {other.reference} and by "
                    f"{found.distribution} as {found.reference}; uninstall one of them"
                )
            self._registrations[found.name] = found

    def names(self) -> list[str]:
        """Return all names in order, without importing anything."""
        return sorted(self._registrations)

    def get(self, name: str) -> Registration:
        """Return a registration by name, or for a reference ``module:attribute``.

        Raises
        ------
        UsageError
            If there is no such name. The message lists those there are.
        """
        if ":" in name:
            return Registration(name, name)
        if name not in self._registrations:
            near = difflib.get_close_matches(name, self.names(), n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"{name}: no such implementation; {hint}there are {listed(self.names())}, or module:attribute"
            )
        return self._registrations[name]
