"""What a file format is to gruspec.

Formats that need a framework register under the entry-point group ``gruspec.formats``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from gruspec.layouts import layout_named

if TYPE_CHECKING:
    from pathlib import Path

    from gruspec.files.checkpoint import Checkpoint, Contents, Entry, WrittenGRU

GROUP = "gruspec.formats"


class Format(ABC):
    """A reader, and where there is one a writer, of files of one kind.

    Importing a format imports no framework; :meth:`read` and :meth:`write` do. Nothing of a file is ever executed, and
    a file that is not what it says raises :class:`gruspec.errors.FileError` with the file and the tensor or offset.
    """

    name: ClassVar[str]
    """As in ``--format`` and in certificates."""
    title: ClassVar[str]
    """What it is, in a few words."""
    suffixes: ClassVar[tuple[str, ...]]
    """Endings of names that mean this format when a file is written, longest first."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Modules that must be importable."""
    extra: ClassVar[str | None] = None
    """The extra of the distribution that brings them."""
    mapped: ClassVar[bool] = False
    """Whether files larger than memory can be read and written."""
    sequential: ClassVar[bool] = False
    """Whether the writer writes one file from its beginning to its end, and never changes what it has written."""
    writable: ClassVar[bool] = True
    """Whether there is a writer."""
    folder: ClassVar[bool] = False
    """Whether a 'file' of this format is a folder."""
    states: ClassVar[frozenset[str]] = frozenset()
    """What its writer says of a layer beside the weights, by the names of the reference layer: ``reset_after``,
    ``go_backwards``, ``time_major``, ``zero_output_for_mask``. It needs no note then."""

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Return whether a file looks like one of this format, by its first bytes or the names in a folder."""

    @abstractmethod
    def read(self, path: Path) -> Checkpoint:
        """Open a file.

        Raises
        ------
        FileError
            If it is damaged, hostile or larger than it may be.
        """

    def write(self, path: Path, contents: Contents) -> None:
        """Write a new file, or folder, at a path where there is none. The caller makes this atomic.

        Raises
        ------
        RefusedFile
            If the format cannot hold the contents: the message names what.
        """
        raise NotImplementedError(self.name)

    def refuses(self, entry: Entry) -> str | None:  # noqa: ARG002  for formats that cannot hold everything
        """Return why the format cannot hold a tensor that is no part of a GRU, so that it is left; None if it can."""
        return None

    def stated(self, gru: WrittenGRU) -> tuple[str, ...]:  # noqa: ARG002  for formats that must state more than they know
        """Return notes on what the writer states about a GRU although nobody has told it."""
        return ()

    def array_name(self, path: str, layout: str, array: str) -> str:
        """Return the name of the tensor for an array of a GRU at a path."""
        return f"{path}{layout_named(layout).separator}{array}" if path else array
