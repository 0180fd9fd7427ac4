"""Progress of long work that counts steps."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from types import TracebackType

_EVERY = 10.0


class Steps:
    """A bar on a terminal, now and then a line elsewhere; on standard error.

    Parameters
    ----------
    what
        What is counted, in the plural.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bars = Progress(
            BarColumn(32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bars.add_task("", total=None)
        self._spoken = monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, current: str, done: int, total: int) -> None:
        """Take a step: ``current`` is the ``done``-th of ``total``."""
        self._bars.update(self._task, description=current, completed=done, total=total)
        if not self._console.is_terminal and (done == total or monotonic() - self._spoken > _EVERY):
            self._spoken = monotonic()
            self._console.print(f"{done}/{total} {self._what}, {current}")
