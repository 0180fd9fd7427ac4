"""What a new file may replace: never what it is made from, and of folders only checkpoints of its own format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gruspec.errors import RefusedFile
from gruspec.files.hashing import files_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gruspec.files.checkpoint import Checkpoint
    from gruspec.files.format import Format


def files_read(checkpoint: Checkpoint) -> list[Path]:
    """Return the files of an open checkpoint."""
    return list(checkpoint.files) or files_of(checkpoint.path)


def check_apart(path: Path, read: Mapping[str, Checkpoint]) -> None:
    """Check that replacing a path would take nothing of the checkpoints that are read.

    Parameters
    ----------
    path
        To write to.
    read
        Open checkpoints by their role: ``source``, ``template``.

    Raises
    ------
    RefusedFile
        If it is one of them, one of their files, or a folder around them.
    """
    if not os.path.exists(path):  # noqa: PTH110  takes a name that no file can have
        return
    place = path.resolve()
    for role, checkpoint in read.items():
        if checkpoint.path.exists() and path.samefile(checkpoint.path):
            raise RefusedFile(f"{path}: is the {role}; write to another name")
        for file in files_read(checkpoint):
            if path.samefile(file):
                raise RefusedFile(f"{path}: is a file of the {role}; write to another name")
            if path.is_dir() and file.resolve().is_relative_to(place):
                raise RefusedFile(f"{path}: the {role} is in this folder; write to another name")


def check_replaceable(path: Path, writer: Format, read: Mapping[str, Checkpoint]) -> None:
    """Check that what is at a path may be replaced by a file of a format.

    Raises
    ------
    RefusedFile
        As of :func:`check_apart`, or if it is a folder with anything but a checkpoint of this format.
    """
    check_apart(path, read)
    if path.is_dir() and any(path.iterdir()) and not (writer.folder and writer.recognises(path)):
        raise RefusedFile(f"{path}: is a folder, and no checkpoint of format {writer.name}; it is left as it is")
