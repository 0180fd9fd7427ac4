"""The zip archive that ``torch.save`` writes, checked and mapped: no record of it is ever unpacked to a disk."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.errors import FileError, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.files.mapping import MappedFile

    from .records import Budget

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 1
_MEMBER = 1200
"""Bytes of memory that an entry of the directory takes at most."""
_DAMAGED = (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError, EOFError)
"""What :mod:`zipfile` raises for directories that are none."""


class Record(NamedTuple):
    """A record: where its bytes are in the file, how many, how many they are unpacked, and their checksum."""

    name: str
    start: int
    packed: int
    size: int
    deflated: bool
    checksum: int


class Archive:
    """The records of an archive by name.

    Parameters
    ----------
    data
        The file.
    budget
        Charged for every record of the directory.

    Raises
    ------
    FileError
        If the directory is damaged, or records overlap, lie outside the file, have names that lead out of a folder, or
        come twice, or are packed in a way that PyTorch does not use.
    """

    def __init__(self, data: MappedFile, budget: Budget) -> None:
        self._path, self._data = data.path, data
        self._sound: set[str] = set()
        self.records: dict[str, Record] = {}
        try:
            with zipfile.ZipFile(data.path) as directory:
                entries = directory.infolist()
        except _DAMAGED as error:
            raise FileError(f"{data.path}: its zip directory is damaged: {error}") from error
        budget.take(_MEMBER * len(entries), "its zip directory")
        for entry in entries:
            if entry.filename in self.records:
                raise FileError(f"{data.path}: has the record {entry.filename!r} twice")
            self.records[entry.filename] = self._checked(entry)
        self._check_apart()

    def _checked(self, entry: zipfile.ZipInfo) -> Record:
        """Return a record whose own header agrees with the directory."""
        name, what = entry.filename, f"{self._path}: record {entry.filename!r}"
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in entry.orig_filename:
            raise FileError(f"{what} has a name that leads out of its folder")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(f"{what} is encrypted or packed as {entry.compress_type}; PyTorch stores or deflates")
        header = entry.header_offset
        if header < 0 or header + _LOCAL_HEADER.size > len(self._data):
            raise FileError(f"{what} is said to be at offset {header}, outside the file")
        magic, name_length, extra_length = _LOCAL_HEADER.unpack(self._data.bytes(header, _LOCAL_HEADER.size))
        start = header + _LOCAL_HEADER.size + name_length + extra_length
        inside = self._data.bytes(header + _LOCAL_HEADER.size, name_length)
        if magic != b"PK\x03\x04" or inside != entry.orig_filename.encode("utf-8", "surrogateescape"):
            raise FileError(f"{what}: there is another one at its offset {header}")
        deflated = entry.compress_type == zipfile.ZIP_DEFLATED
        if start + entry.compress_size > len(self._data) or not (deflated or entry.compress_size == entry.file_size):
            raise FileError(
                f"{what}: {entry.compress_size} bytes at offset {start}, {entry.file_size} unpacked, are not in a file "
                f"of {len(self._data)} bytes"
            )
        return Record(name, start, entry.compress_size, entry.file_size, deflated, entry.CRC)

    def _check_apart(self) -> None:
        end, before = 0, ""
        for record in sorted(self.records.values(), key=lambda record: (record.start, record.packed)):
            if record.start < end:
                raise FileError(f"{self._path}: the records {before!r} and {record.name!r} overlap")
            end, before = record.start + record.packed, record.name

    def folder(self) -> str:
        """Return what stands before the names of all records of a state dict.

        Raises
        ------
        FileError
            If this is an archive of something else.
        """
        found = [name for name in self.records if PurePosixPath(name).name == "data.pkl"]
        folder = found[0].removesuffix("data.pkl") if len(found) == 1 else ""
        if any(PurePosixPath(name).name == "constants.pkl" for name in self.records):
            raise FileError(
                f"{self._path}: is a TorchScript archive, whose code would have to be executed; where it is trusted, "
                "torch.save(torch.jit.load(...).state_dict(), ...) writes the tensors alone"
            )
        if len(found) != 1:
            raise FileError(
                f"{self._path}: is an archive with {len(found)} records data.pkl, where torch.save writes one; "
                f"it has {listed(list(self.records)[:8])}"
            )
        return folder

    def array(self, name: str, what: str) -> NDArray[np.uint8]:
        """Return the bytes of a record, read-only: mapped where it is stored, unpacked where it is deflated.

        Raises
        ------
        FileError
            If there is no such record, it does not have the size or the checksum that the directory gives, or it is
            deflated and larger than eight times the file and 16 MiB.
        """
        if name not in self.records:
            raise FileError(f"{self._path}: {what} is said to be in a record {name!r}, which there is not")
        record = self.records[name]
        if record.deflated:
            found = np.frombuffer(self._inflated(record), np.uint8)
        else:
            found = self._data.view(record.start, (record.packed,), np.dtype(np.uint8))
        self._check_sum(record, found)
        return found

    def _inflated(self, record: Record) -> bytes:
        what = f"{self._path}: record {record.name!r}"
        if record.size > 8 * len(self._data) + 16 * 2**20:
            raise FileError(f"{what} is said to be {record.size} bytes unpacked, far more than the file has")
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            found = unpacker.decompress(self._data.bytes(record.start, record.packed), record.size + 1)
        except zlib.error as error:
            raise FileError(f"{what} cannot be unpacked: {error}") from error
        if len(found) != record.size or not unpacker.eof:
            raise FileError(f"{what} is not {record.size} bytes unpacked, as the directory says")
        return found

    def _check_sum(self, record: Record, found: NDArray[Any]) -> None:
        """Compare the checksum, once; PyTorch writes 0 where it is told to compute none."""
        if record.name in self._sound or record.checksum == 0:
            return
        if zlib.crc32(found.data) != record.checksum:
            raise FileError(f"{self._path}: record {record.name!r} is damaged: its checksum is another")
        self._sound.add(record.name)
