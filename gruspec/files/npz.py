"""Files of NumPy arrays by name, ``.npz``: zip archives of ``.npy`` members, mapped where they are not compressed."""

from __future__ import annotations

import struct
import tokenize
import warnings
import zipfile
import zlib
from functools import partial
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.lib import format as npy

from gruspec.errors import FileError, RefusedFile, listed
from gruspec.files.checkpoint import Checkpoint, Tensor
from gruspec.files.finding import find_grus
from gruspec.files.format import Format
from gruspec.files.mapping import MappedFile, byte_count, possible_shape
from gruspec.files.streaming import Scratch, write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import Contents, Entry

_ENDING = ".npy"
_LOCAL_HEADER = 30
"""Bytes of the fixed part of the header in front of a member; the lengths of the name and of the rest are its last."""
_CHUNK = 1 << 24
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
)
"""What zipfile and NumPy raise on files that are not what they say."""
_WAY_OUT = "; dtype='float32' holds every bfloat16"
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)


class _Member(NamedTuple):
    """An array of an archive: where its bytes are in the file, and how they are to be read."""

    info: zipfile.ZipInfo
    start: int
    header: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    @property
    def stored(self) -> bool:
        return self.info.compress_type == zipfile.ZIP_STORED


class NpzFormat(Format):
    """Reader and writer of ``.npz``."""

    name: ClassVar[str] = "npz"
    title: ClassVar[str] = "NumPy arrays by name"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    mapped: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a file is a zip archive whose first member is an array."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(_LOCAL_HEADER)
            if not start.startswith(b"PK\x03\x04") or len(start) < _LOCAL_HEADER:
                return start.startswith(b"PK") and path.name.lower().endswith(self.suffixes)
            name = stream.read(int.from_bytes(start[26:28], "little"))
        return name.endswith(_ENDING.encode()) or path.name.lower().endswith(self.suffixes)

    def read(self, path: Path) -> Checkpoint:
        """Map an archive and check its directory, and the header of every array, in full."""
        mapped = MappedFile(path)
        tensors, left = {}, {}
        try:
            archive = zipfile.ZipFile(path)
            for info in _checked_directory(path, archive, len(mapped)):
                if not info.filename.endswith(_ENDING):
                    left[info.filename] = "no array"
                    continue
                name = info.filename.removesuffix(_ENDING)
                member = _member(path, archive, info, mapped)
                if member.dtype.hasobject:
                    left[name] = "pickled objects: reading them would execute what they say"
                    continue
                read = partial(_mapped if member.stored else _inflated, path, archive, mapped, member)
                tensors[name] = Tensor(name, member.shape, member.dtype.newbyteorder("="), read)
        except _DAMAGED as error:
            raise FileError(f"{path}: is not a whole npz archive: {error}") from error

        def close() -> None:
            archive.close()
            mapped.close()

        stored = all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        return Checkpoint(path, self.name, tensors, find_grus(tensors), mapped=stored, left=left, close=close)

    def write(self, path: Path, contents: Contents) -> None:
        """Write an archive that is not compressed, in the order that is given."""
        if contents.template is not None:
            raise RefusedFile(f"{path}: npz files hold arrays alone, so that no template is needed: leave it out")
        _check_writable(path, contents.entries)
        scratch = Scratch(path.parent)
        with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
            for entry in contents.entries:
                with archive.open(zipfile.ZipInfo(entry.name + _ENDING, _FIRST_DATE), "w", force_zip64=True) as stream:
                    _write_array(stream, entry, scratch)

    def refuses(self, entry: Entry) -> str | None:
        """Return why an array cannot be held: its dtype, or its name."""
        if not _keeps(entry.dtype):
            return f"npz has no dtype {entry.dtype}"
        if _escapes(entry.name + _ENDING) or "\0" in entry.name or len(entry.name.encode()) + len(_ENDING) > 0xFFFF:
            return f"{entry.name[:50]!r} cannot be the name of a member of an archive"
        return None


def _checked_directory(path: Path, archive: zipfile.ZipFile, size: int) -> Iterator[zipfile.ZipInfo]:
    """Yield the members of an archive, none of which is there twice, escapes from it, or is a bomb."""
    names: set[str] = set()
    for info in archive.infolist():
        name = info.orig_filename
        if name in names or "\0" in name or _escapes(name):
            why = "is there twice" if name in names else "cannot be the name of an array"
            raise FileError(f"{path}: member {name!r} at offset {info.header_offset} {why}")
        names.add(name)
        if info.flag_bits & 1:
            raise FileError(f"{path}: member {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(f"{path}: member {name!r} is compressed in a way that NumPy does not write")
        if info.compress_size > size or (
            info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size
        ):
            raise FileError(
                f"{path}: member {name!r} says {info.file_size} bytes, of {info.compress_size} in a file of {size}"
            )
        if info.file_size > most_expanded(size):
            raise FileError(
                f"{path}: member {name!r} expands to {info.file_size} bytes from {info.compress_size}, more than "
                f"{most_expanded(size)}; write it uncompressed, by numpy.savez"
            )
        yield info


def most_expanded(size: int) -> int:
    """Return to how many bytes a part of a file of a size may expand at most.

    >>> most_expanded(1000)
    33562432
    """
    return (1 << 25) + 8 * size


def _escapes(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, mapped: MappedFile) -> _Member:
    """Read the header of an array, and check it against the size of its member."""
    lengths = struct.unpack("<HH", mapped.bytes(info.header_offset + _LOCAL_HEADER - 4, 4))
    with archive.open(info) as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise FileError(f"{path}: {info.filename}: version {version} of npy is for structured arrays alone")
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
        header = stream.tell()
    if not possible_shape(shape, dtype.itemsize):
        raise FileError(f"{path}: {info.filename}: {str(shape)[:100]} is no shape that an array can have")
    if not dtype.hasobject and header + byte_count(shape, dtype) != info.file_size:
        raise FileError(
            f"{path}: {info.filename}: {dtype} {shape} has {byte_count(shape, dtype)} bytes, and the member has "
            f"{info.file_size - header}"
        )
    start = info.header_offset + _LOCAL_HEADER + sum(lengths)
    if start + info.compress_size > len(mapped):
        raise FileError(f"{path}: {info.filename}: its data at offset {start} reach beyond the end of the file")
    return _Member(info, start, header, shape, dtype, fortran_order)


def _mapped(path: Path, _: zipfile.ZipFile, mapped: MappedFile, member: _Member) -> NDArray[Any]:
    """Return a view of an array whose bytes have the checksum that the archive says."""
    checksum = zlib.crc32(mapped.view(member.start, (member.info.file_size,), np.dtype("u1")).data)
    if checksum != member.info.CRC:
        raise FileError(
            f"{path}: {member.info.filename} at offset {member.start} does not have the checksum that the archive says"
        )
    order = "F" if member.fortran_order else "C"
    return _native(mapped.view(member.start + member.header, member.shape, member.dtype, order=order))


def _inflated(path: Path, archive: zipfile.ZipFile, _: MappedFile, member: _Member) -> NDArray[Any]:
    """Return an array that is compressed; never more bytes than it says are inflated."""
    whole = np.empty(member.info.file_size, np.uint8)
    reached = 0
    try:
        with archive.open(member.info) as stream:
            while part := stream.read(_CHUNK):
                whole[reached : reached + len(part)] = np.frombuffer(part, np.uint8)
                reached += len(part)
    except _DAMAGED as error:
        raise FileError(f"{path}: {member.info.filename} cannot be inflated: {error}") from error
    if reached != len(whole):
        raise FileError(f"{path}: {member.info.filename} inflates to {reached} bytes, not to {len(whole)}")
    values = whole[member.header :].view(member.dtype)
    return _native(values.reshape(member.shape, order="F" if member.fortran_order else "C"))


def _native(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _keeps(dtype: np.dtype[Any]) -> bool:
    """Return whether the header of an array can say a dtype."""
    if dtype.hasobject or dtype.names:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.dtype(str(npy.dtype_to_descr(dtype))) == dtype
        except TypeError:
            return False


def _check_writable(path: Path, entries: tuple[Entry, ...]) -> None:
    form = NpzFormat()
    names: set[str] = set()
    problems = []
    for entry in entries:
        reason = "is there twice" if entry.name in names else form.refuses(entry)
        if reason:
            problems.append(f"{entry.name}: {reason}")
        names.add(entry.name)
    if problems:
        narrow = not all(_keeps(entry.dtype) for entry in entries)
        raise RefusedFile(f"{path}: {listed(problems)}{_WAY_OUT if narrow else ''}")


def _write_array(stream: IO[bytes], entry: Entry, scratch: Scratch) -> None:
    npy.write_array_header_1_0(
        stream, {"descr": npy.dtype_to_descr(entry.dtype), "fortran_order": False, "shape": entry.shape}
    )
    write_bytes(stream, scratch.values_of(entry))
