"""The zip file around a Keras model: its members found and checked; nothing is unpacked under a name of theirs."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, NamedTuple

from gruspec.errors import FileError
from gruspec.files.hdf5 import most_unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The members that every archive has (``keras/src/saving/saving_lib.py``)."""

SIGNATURE = b"PK\x03\x04"
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
"""What zipfile raises on files that are not what they say."""

_LOCAL_HEADER = 30
"""Bytes of the fixed part of the header before a member; the lengths of the name and of the rest are its last."""
_BLOCK = 1 << 20


class Place(NamedTuple):
    """Where the weights are: a file, and the part of it."""

    path: Path
    start: int
    length: int


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive of Keras.

    Raises
    ------
    FileError
        If it is damaged, has a member twice, encrypted or under a name that leaves the archive, or lacks one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            yield archive
    except DAMAGED as error:
        raise FileError(f"{path}: a damaged zip file: {error}") from error


def _check_members(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    names = set()
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename:
            raise FileError(f"{path}: member {member.filename!r} has a name that leaves the archive")
        if member.filename in names:
            raise FileError(f"{path}: member {member.filename!r} is there twice")
        if member.flag_bits & 1:
            raise FileError(f"{path}: member {member.filename!r} is encrypted; save the model without that")
        names.add(member.filename)
    for needed in (CONFIG, METADATA, WEIGHTS):
        if needed not in names:
            raise FileError(f"{path}: {needed} is missing, which every model that Keras saves has")


def member_text(archive: zipfile.ZipFile, path: Path, name: str, longest: int) -> str:
    """Return a member that is text.

    Raises
    ------
    FileError
        If it is longer than ``longest`` bytes, or no UTF-8.
    """
    with archive.open(name) as stream:
        data = stream.read(longest + 1)
    if len(data) > longest:
        raise FileError(f"{path}: {name} has more than the {longest} bytes that are read")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: {name} is no text: {error}") from error


@contextmanager
def located_weights(archive: zipfile.ZipFile, path: Path) -> Iterator[Place]:
    """Give the place of the weights: in the archive where they are stored plain, else in a temporary file.

    Their checksum is compared.

    Raises
    ------
    FileError
        If they are damaged or too large.
    """
    member = archive.getinfo(WEIGHTS)
    most = most_unpacked(path.stat().st_size)
    if member.file_size > most:
        raise FileError(f"{path}: {WEIGHTS} has {member.file_size} bytes, more than the {most} of such an archive")
    if member.compress_type == zipfile.ZIP_STORED:
        with archive.open(member) as stream:
            _copy(path, stream, None, most)
        yield Place(path, _start(path, member), member.file_size)
        return
    with tempfile.TemporaryDirectory(prefix="gruspec-", ignore_cleanup_errors=True) as folder:
        unpacked = Path(folder, "weights.h5")
        with archive.open(member) as stream, unpacked.open("wb") as target:
            _copy(path, stream, target, most)
        yield Place(unpacked, 0, unpacked.stat().st_size)


def _copy(path: Path, source: IO[bytes], target: IO[bytes] | None, most: int) -> None:
    """Read a member to its end, which checks it, and copy it if it is to go somewhere."""
    total = 0
    while block := source.read(_BLOCK):
        total += len(block)
        if total > most:
            raise FileError(f"{path}: {WEIGHTS} is longer than it says")
        if target is not None:
            target.write(block)


def _start(path: Path, member: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin that zipfile has already read."""
    with path.open("rb") as stream:
        stream.seek(member.header_offset)
        header = stream.read(_LOCAL_HEADER)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return member.header_offset + _LOCAL_HEADER + lengths
