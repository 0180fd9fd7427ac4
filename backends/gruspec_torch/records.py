"""What stands for the parts of a pickle that are no plain values, and the memory that all of it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gruspec.errors import FileError


@dataclass(frozen=True, slots=True)
class Global:
    """A name that loading would import."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """The call of a name."""

    function: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Storage that is kept outside the pickle, by its persistent identifier."""

    identifier: Any


class Unpickled(NamedTuple):
    """The value of a pickle, and all storage that it mentions."""

    value: Any
    stored: list[Stored]


class Budget:
    """How much memory may still be taken, in bytes.

    Parameters
    ----------
    path
        Of the file, for the message.
    size
        Of the file: what is read from it may take nine times as much, and 48 MiB.
    """

    def __init__(self, path: object, size: int) -> None:
        self._path, self.left = path, 9 * size + 48 * 2**20

    def take(self, amount: int, what: str) -> None:
        """Take from it.

        Raises
        ------
        FileError
            If there is not that much left.
        """
        self.left -= amount
        if self.left < 0:
            raise FileError(f"{self._path}: {what} would take far more memory than the file has bytes")
