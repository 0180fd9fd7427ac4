"""What initializers, regularizers and constraints have in common: they are found by name and written as classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gruspec.errors import SpecTypeError

from .configurations import construct, read, unknown, write, write_callable


@dataclass(frozen=True)
class Kind:
    """A kind of built-in.

    Parameters
    ----------
    noun
        ``"initializer"``; its plural is the module in configurations.
    factories
        By name: a built-in class, or what builds one with other defaults.
    current
        ``current(name, config)`` returns the arguments of a configuration by the names that they have today.
    """

    noun: str
    factories: Mapping[str, Callable[..., Any]]
    current: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = lambda _name, config: config

    def get(self, argument_name: str, identifier: object) -> Any:
        """Return the object that a layer's argument means, or None for None.

        Parameters
        ----------
        argument_name
            Named in errors.
        identifier
            A name, a configuration, a class to be built without arguments, any other callable, or None.

        Raises
        ------
        SpecError
            If a name is unknown, a configuration incomplete, or a value in it out of range.
        SpecTypeError
            If the identifier, or a value in a configuration, is of another type.
        """
        if isinstance(identifier, str):
            return self._named(argument_name, identifier, identifier, {})
        if isinstance(identifier, Mapping):
            return self._named(argument_name, identifier, *read(argument_name, identifier))
        found = _built(argument_name, identifier) if isinstance(identifier, type) else identifier
        if found is None or callable(found):
            return found
        raise SpecTypeError(
            f"{argument_name}={identifier!r}: expected the name of a known {self.noun}, a configuration, a callable "
            "or None"
        )

    def serialize(self, found: Any) -> dict[str, Any] | None:
        """Return the configuration that the reference layer's ``get_config`` gives, or None for None.

        Raises
        ------
        SpecTypeError
            If it is a user's object that has neither ``get_config`` nor a name.
        """
        if found is None:
            return None
        if type(found) in self.factories.values():
            return write(f"{self.noun}s", type(found).__name__, found.get_config())
        return write_callable(found)

    def _named(self, argument_name: str, identifier: object, name: str, config: Mapping[str, Any]) -> Any:
        if name not in self.factories:
            raise unknown(argument_name, identifier, self.noun, self.factories)
        return construct(argument_name, identifier, self.factories[name], self.current(name, config))


def _built(argument_name: str, user_class: type) -> Any:
    try:
        return user_class()
    except TypeError as error:
        raise SpecTypeError(
            f"{argument_name}={user_class!r}: cannot be built without arguments ({error}); give an instance"
        ) from error
