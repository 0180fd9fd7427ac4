"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gruspec.errors import RefusedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BEGINNING, _UNFINISHED, _REPLACED = ".gruspec.", ".unfinished", ".replaced"
"""Names of folders beside a file that appears: short, so that every name a file can have is possible."""


def refuse_folder(path: Path) -> None:
    """Refuse to replace a folder.

    Raises
    ------
    RefusedFile
        If it is one.
    """
    if path.is_dir():
        raise RefusedFile(f"{path}: is a folder; it is left as it is")


@contextmanager
def appearing(
    path: Path,
    *,
    force: bool = False,
    check: Callable[[Path], None] = refuse_folder,
    obsolete: Iterable[Path] = (),
) -> Iterator[Path]:
    """Give a place to write to, and put what was written there at ``path`` in the end.

    The place is in a new folder beside ``path``, and has its name, so that formats of several files fit: everything in
    the folder is synchronised and moved, the one named as ``path`` last. Whatever goes wrong before, an interruption
    too, leaves nothing, and what was there as it was.

    Parameters
    ----------
    path
        Where a file, a folder, or files whose names begin so, are to be.
    force
        Replace what is there.
    check
        Raises if something that is there must not be replaced.
    obsolete
        Files that are removed with what is replaced, unless they are written too.

    Raises
    ------
    RefusedFile
        If something is there already, or the folder is not.
    """
    _check_free(path, force=force, check=check)
    folder = Path(tempfile.mkdtemp(prefix=_BEGINNING, suffix=_UNFINISHED, dir=path.parent))
    try:
        yield folder / path.name
        written = sorted(folder.iterdir(), key=lambda entry: (entry.name == path.name, entry.name))
        for entry in written:
            _synchronise(entry)
        targets = [path.parent / entry.name for entry in written]
        for target in targets:
            _check_free(target, force=force, check=check)
        for entry, target in zip(written, targets, strict=True):
            _put(entry, target)
        for old in obsolete:
            if force and old not in targets:
                old.unlink(missing_ok=True)
        _synchronise_folder(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(entry: Path, target: Path) -> None:
    """Move a file or folder to where it is to be; a folder that is there is deleted once the new one is."""
    if target.is_symlink() or not target.is_dir():
        entry.replace(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=_BEGINNING, suffix=_REPLACED, dir=target.parent))
    old = target.replace(aside / target.name)
    try:
        entry.replace(target)
    except BaseException:
        old.replace(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check_free(path: Path, *, force: bool, check: Callable[[Path], None]) -> None:
    if not path.parent.is_dir():
        raise RefusedFile(f"{path}: there is no folder {path.parent}; make it first")
    if not os.path.lexists(path):
        return
    if not force:
        raise RefusedFile(f"{path}: exists already and is left as it is; --force (force=True) replaces it")
    check(path)


def _synchronise(entry: Path) -> None:
    """Write a file, or every file of a folder, through to the disk."""
    for path in (entry, *entry.rglob("*")) if entry.is_dir() else (entry,):
        if path.is_dir():
            _synchronise_folder(path)
        else:
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _synchronise_folder(folder: Path) -> None:
    if os.name != "posix":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
