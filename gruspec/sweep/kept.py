"""An implementation whose process lives through many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gruspec.cases import Case
    from gruspec.conformance import Subject
    from gruspec.conformance.implementation import Identity
    from gruspec.conformance.replies import Reply


class Kept:
    """A subject that stays open between runs, until :meth:`end`.

    A run closes its subjects when it has used them. That is only noted here, unless they are to be closed at once in
    the middle of a run: it is then broken off.
    """

    def __init__(self, subject: Subject) -> None:
        self.name = subject.name
        self._subject = subject
        self._identity: Identity | None = None
        self._in_use = False

    @property
    def restarts(self) -> int:
        """How often the process was started again, in all runs."""
        return self._subject.restarts

    @restarts.setter
    def restarts(self, count: int) -> None:
        self._subject.restarts = count

    def open(self) -> Identity:
        """Start, or go on.

        Raises
        ------
        MissingDependency, DeviceUnavailable, PluginError
            If it cannot run here.
        """
        self._in_use = True
        if self._identity is None:
            self._identity = self._subject.open()
        return self._identity

    def perform(self, case: Case, dtypes: Sequence[str]) -> Iterator[tuple[str, Reply | None]]:
        """Run a case, as the subject does."""
        return self._subject.perform(case, dtypes)

    def close(self, *, at_once: bool = False) -> None:
        """Note that a run has ended; stop only a run that is broken off."""
        if not at_once:
            self._in_use = False
        elif self._in_use:
            self._subject.close(at_once=True)

    def end(self) -> None:
        """Stop the process."""
        self._subject.close()
