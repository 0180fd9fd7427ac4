"""New names for tensors and GRUs: of one, or of everything below a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.errors import UsageError
from gruspec.files.selecting import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SEPARATORS = ("/", ".")


class Renames:
    """Rules ``old=new``, of which the first that fits a name gives it another.

    A rule fits a name that is ``old``, or begins with it before a separator (``/`` or ``.``), or begins with it where
    ``old`` ends in a separator; an empty ``new`` takes the separator with it.

    Parameters
    ----------
    rules
        As on the command line.

    Raises
    ------
    UsageError
        If a rule has no ``=``, or nothing before it.

    Examples
    --------
    >>> renames = Renames(["encoder=enc", "model.="])
    >>> renames("encoder.rnn"), renames("encoder2"), renames("model.rnn")
    ('enc.rnn', 'encoder2', 'rnn')
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self._rules: list[tuple[str, str]] = []
        self._unused: dict[str, None] = {}
        for rule in rules:
            old, equals, new = rule.partition("=")
            if not equals or not old:
                raise UsageError(f"rename={rule!r}: expected old=new, names or the beginnings of paths")
            self._rules.append((old, new))
            self._unused[old] = None

    def __call__(self, name: str) -> str:
        """Return the new name of a tensor, or the new path of a GRU."""
        for old, new in self._rules:
            renamed = _renamed(name, old, new)
            if renamed is not None:
                self._unused.pop(old, None)
                return renamed
        return name

    def check_used(self, names: Sequence[str]) -> None:
        """Check that every rule has fitted something.

        Raises
        ------
        UsageError
            If one has not. The message lists the names that there are.
        """
        for old in self._unused:
            raise UsageError(f"rename={old!r}: nothing has this name or path; there are {some(names)}")


def _renamed(name: str, old: str, new: str) -> str | None:
    if name == old:
        return new
    if not name.startswith(old):
        return None
    rest = name[len(old) :]
    if old.endswith(_SEPARATORS):
        return new + rest
    if rest.startswith(_SEPARATORS):
        return new + (rest if new else rest[1:])
    return None
