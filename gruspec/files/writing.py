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
    from collections.abc import Iterator


@contextmanager
def appearing(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a place to write to, and put what was written there at ``path`` in the end.

    The place is in a new folder beside ``path``, and has its name, so that formats of several files fit: everything in
    the folder is synchronised and moved, the one named as ``path`` last. Whatever goes wrong before, an interruption
    too, leaves nothing.

    Parameters
    ----------
    path
        Where a file, a folder, or files whose names begin so, are to be.
    force
        Replace what is there.

    Raises
    ------
    RefusedFile
        If something is there already, or the folder is not.
    """
    _check_free(path, force=force)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent))
    try:
        yield folder / path.name
        written = sorted(folder.iterdir(), key=lambda entry: (entry.name == path.name, entry.name))
        for entry in written:
            _synchronise(entry)
        targets = [path.parent / entry.name for entry in written]
        for target in targets:
            _check_free(target, force=force)
        for entry, target in zip(written, targets, strict=True):
            if entry.is_dir() and target.is_dir():
                shutil.rmtree(target)
            entry.replace(target)
        _synchronise_folder(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_free(path: Path, *, force: bool) -> None:
    if not path.parent.is_dir():
        raise RefusedFile(f"{path}: there is no folder {path.parent}; make it first")
    if not force and (path.exists() or path.is_symlink()):
        raise RefusedFile(f"{path}: exists already and is left as it is; --force (force=True) replaces it")


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
