"""Files of safetensors, mapped: https://github.com/huggingface/safetensors, "Format"."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from gruspec.errors import FileError, MissingDependency, RefusedFile, listed
from gruspec.files.checkpoint import Checkpoint, Tensor
from gruspec.files.finding import find_grus
from gruspec.files.format import Format
from gruspec.files.mapping import MappedFile, byte_count, possible_shape
from gruspec.files.streaming import Scratch, write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gruspec.files.checkpoint import Contents, Entry

_PREFIX = 8
"""Bytes of the length of the header, little-endian."""
_LONGEST_HEADER = 100_000_000
"""The limit of the safetensors library."""
_METADATA = "__metadata__"

_NUMPY = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_PACKED_BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
"""Dtypes whose values lie across bytes: no array holds them as they are."""
_NAMES = {numpy: name for name, numpy in (_NUMPY | _ML_DTYPES).items()}


class _Header(NamedTuple):
    tensors: dict[str, tuple[str, tuple[int, ...], int, int]]
    metadata: dict[str, str]
    length: int


class SafetensorsFormat(Format):
    """Reader and writer of ``.safetensors``."""

    name: ClassVar[str] = "safetensors"
    title: ClassVar[str] = "safetensors"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)
    mapped: ClassVar[bool] = True
    sequential: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a file begins with the length of a header, and the header with a brace."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(_PREFIX + 1)
            end = stream.seek(0, 2)
        named = path.name.lower().endswith(self.suffixes)
        return named or (
            start[_PREFIX:] == b"{" and int.from_bytes(start[:_PREFIX], "little") <= min(end - _PREFIX, _LONGEST_HEADER)
        )

    def read(self, path: Path) -> Checkpoint:
        """Map a file and check its header in full."""
        mapped = MappedFile(path)
        header = _header(path, mapped)
        tensors, left = {}, {}
        for name, (kind, shape, start, _) in header.tensors.items():
            if kind in _PACKED_BITS:
                left[name] = f"{kind}: values of {_PACKED_BITS[kind]} bits lie across bytes"
                continue
            dtype = _dtype(path, name, kind)
            tensors[name] = Tensor(name, shape, dtype, partial(mapped.view, start, shape, dtype))
        return Checkpoint(
            path, self.name, tensors, find_grus(tensors), header.metadata, mapped=True, left=left, close=mapped.close
        )

    def write(self, path: Path, contents: Contents) -> None:
        """Write a file: tensors of wide dtypes first, so that all are aligned, else in the order that is given."""
        if contents.template is not None:
            raise RefusedFile(
                f"{path}: safetensors files hold tensors alone, so that no template is needed: leave it out"
            )
        entries = sorted(contents.entries, key=lambda entry: -entry.dtype.itemsize)
        _check_writable(path, entries)
        scratch = Scratch(path.parent)
        with path.open("xb", buffering=0) as stream:
            write_bytes(stream, np.frombuffer(_written_header(entries, contents.metadata), np.uint8))
            for entry in entries:
                write_bytes(stream, scratch.values_of(entry))

    def refuses(self, entry: Entry) -> str | None:
        """Return why a tensor cannot be held: its dtype, or its name."""
        if entry.dtype.name not in _NAMES or not entry.dtype.isnative:
            return f"safetensors has no dtype {entry.dtype}"
        if entry.name == _METADATA:
            return f"{_METADATA} means something else in safetensors"
        return None


def _header(path: Path, mapped: MappedFile) -> _Header:
    """Read a header, and check it against the file before anything is made of it."""
    length = int.from_bytes(mapped.bytes(0, _PREFIX), "little")
    if len(mapped) < _PREFIX or length > len(mapped) - _PREFIX:
        raise FileError(f"{path}: the header of {length} bytes is longer than the file of {len(mapped)}")
    if length > _LONGEST_HEADER:
        raise FileError(f"{path}: the header of {length} bytes is longer than {_LONGEST_HEADER}")
    parsed = _parsed(path, mapped.bytes(_PREFIX, length))
    metadata = parsed.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FileError(f"{path}: {_METADATA} of the header is not strings by name")
    data = _PREFIX + length
    tensors = {name: _placed(path, name, said, data) for name, said in parsed.items()}
    _check_no_overlap(path, tensors, data, len(mapped))
    return _Header(tensors, metadata, length)


def _parsed(path: Path, header: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"{name!r} is there twice")
            name.encode()
            found[name] = value
        return found

    def refused(text: str) -> None:
        raise ValueError(f"{text} is no number of JSON")

    try:
        parsed = json.loads(header.decode(), object_pairs_hook=unique, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: the header at offset {_PREFIX} is not what safetensors has: {error}") from error
    if not isinstance(parsed, dict) or not header.startswith(b"{"):
        raise FileError(f"{path}: the header at offset {_PREFIX} is not a JSON object")
    return parsed


def _placed(path: Path, name: str, said: object, data: int) -> tuple[str, tuple[int, ...], int, int]:
    """Return dtype, shape and the offsets in the file of a tensor."""
    match said:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(start), int(end)], **rest} if not rest:
            pass
        case _:
            raise FileError(f"{path}: {name}: the header does not give dtype, shape and data_offsets, and them alone")
    bits = _bits(kind)
    if bits is None:
        raise FileError(f"{path}: {name}: {kind[:20]!r} is no dtype of safetensors")
    if not possible_shape(shape, 8):
        raise FileError(f"{path}: {name}: {str(shape)[:100]} is no shape that an array can have")
    count, rest_of_byte = divmod(math.prod(shape) * bits, 8)
    if rest_of_byte or bool in {type(start), type(end)} or not 0 <= start <= end or end - start != count:
        raise FileError(
            f"{path}: {name}: data_offsets [{start}, {end}] do not hold {kind} {tuple(shape)}, which has {count} bytes"
        )
    return kind, tuple(shape), data + start, data + end


def _bits(kind: str) -> int | None:
    if kind in _PACKED_BITS:
        return _PACKED_BITS[kind]
    if kind in _NUMPY:
        return 8 * np.dtype(_NUMPY[kind]).itemsize
    if kind in _ML_DTYPES:
        return 16 if kind == "BF16" else 8
    return None


def _dtype(path: Path, name: str, kind: str) -> np.dtype[Any]:
    if kind in _NUMPY:
        return np.dtype(_NUMPY[kind]).newbyteorder("<")
    try:
        import ml_dtypes
    except ImportError as error:
        raise MissingDependency(
            f"{path}: {name}: {kind} needs ml_dtypes, which cannot be imported; pip install 'gruspec[files]'"
        ) from error
    if not hasattr(ml_dtypes, _ML_DTYPES[kind]):
        raise MissingDependency(f"{path}: {name}: {kind} needs a newer ml_dtypes; pip install -U ml_dtypes")
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[kind]))
    return dtype


def _check_no_overlap(
    path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], int, int]], data: int, size: int
) -> None:
    """Check that tensors follow one another without gap or overlap, from the header to the end of the file."""
    reached, last = data, "the header"
    for name, (_, _, start, end) in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if start != reached:
            what = "overlaps" if start < reached else "leaves a gap behind"
            raise FileError(f"{path}: {name}: its data at offset {start} {what} {last}, which ends at {reached}")
        if end > size:
            raise FileError(f"{path}: {name}: its data to offset {end} reaches beyond the end of the file at {size}")
        reached, last = end, name
    if reached != size:
        raise FileError(f"{path}: {size - reached} bytes at offset {reached} belong to no tensor")


def _check_writable(path: Path, entries: list[Entry]) -> None:
    form = SafetensorsFormat()
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    problems = [f"{name}: is there twice" for name in twice]
    problems += [f"{entry.name}: {reason}" for entry in entries if (reason := form.refuses(entry))]
    if problems:
        raise RefusedFile(f"{path}: {listed(problems)}")


def _written_header(entries: list[Entry], metadata: Mapping[str, str]) -> bytes:
    """Return prefix and header, padded by spaces so that the data are aligned."""
    said: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    start = 0
    for entry in entries:
        end = start + byte_count(entry.shape, entry.dtype)
        said[entry.name] = {"dtype": _NAMES[entry.dtype.name], "shape": list(entry.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_PREFIX, "little") + text
