"""Tensors of a model: in its own file, or in files beside it, mapped and checked to be there."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError
from gruspec.files import Tensor
from gruspec.files.mapping import MappedFile, byte_count, possible_shape

from .wire import PLACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

_PLAIN = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "BOOL": "bool",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
}
_EXTENDED = {
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
}
_KINDS = {name: kind for kind, name in (_PLAIN | _EXTENDED).items()}
_FIELDS: Mapping[str, tuple[str, str]] = {
    "FLOAT": ("float_data", "float32"),
    "COMPLEX64": ("float_data", "float32"),
    "DOUBLE": ("double_data", "float64"),
    "COMPLEX128": ("double_data", "float64"),
    "INT64": ("int64_data", "int64"),
    "UINT32": ("uint64_data", "uint64"),
    "UINT64": ("uint64_data", "uint64"),
}
"""The typed field of each kind of tensor, and the dtype of its numbers; all others are in ``int32_data``, by bits."""
_BITS = ("int32_data", "int32")


def kind_of(dtype: np.dtype[Any]) -> str | None:
    """Return the name that ONNX has for a dtype, or None."""
    return _KINDS.get(dtype.name) if dtype.isnative else None


def known_dtypes() -> list[str]:
    """Return the names of the dtypes that a model can hold."""
    return list(_KINDS)


def _dtype(kind: str) -> np.dtype[Any] | None:
    if kind in _PLAIN:
        return np.dtype(_PLAIN[kind])
    if kind in _EXTENDED:
        import ml_dtypes

        extended: type | None = getattr(ml_dtypes, _EXTENDED[kind], None)
        return None if extended is None else np.dtype(extended)
    return None


class ModelTensors:
    """Reads the tensors of a model.

    Parameters
    ----------
    data
        The file of the model; files of external data lie in its folder or below.
    """

    def __init__(self, data: MappedFile) -> None:
        self._data, self._folder = data, data.path.parent
        self._external: dict[str, MappedFile] = {}
        self.mapped = True

    @property
    def files(self) -> tuple[Path, ...]:
        """The model, and the files of external data that it names."""
        return (self._data.path, *(file.path for file in self._external.values()))

    @property
    def size(self) -> int:
        """The bytes of all these files."""
        return len(self._data) + sum(map(len, self._external.values()))

    def close(self) -> None:
        """Give the mappings back."""
        for file in (self._data, *self._external.values()):
            file.close()

    def raw(self, proto: onnx.TensorProto) -> NDArray[np.uint8]:
        """Return the bytes of a tensor in the file of the model, whatever they mean."""
        start, length = PLACE.unpack(proto.raw_data)
        return self._data.view(start, (length,), np.dtype(np.uint8))

    def tensor(self, proto: onnx.TensorProto, name: str) -> Tensor | str:
        """Return a tensor, or why it cannot be given.

        Raises
        ------
        FileError
            If its bytes are not there, or not as many as its shape says.
        """
        import onnx

        what = f"{self._data.path}: tensor {name!r}"
        kinds = {value: kind for kind, value in onnx.TensorProto.DataType.items()}
        kind = kinds.get(proto.data_type, str(proto.data_type))
        dtype = _dtype(kind)
        shape = tuple(proto.dims)
        if dtype is None:
            return f"has the dtype {kind}, which no array holds as it is"
        if not possible_shape(shape, dtype.itemsize):
            raise FileError(f"{what} has the shape {shape}, which no array can have")
        if proto.HasField("segment"):
            return "is a segment of a tensor"
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            return self._external_tensor(proto, name, shape, dtype)
        if proto.HasField("raw_data"):
            start, length = PLACE.unpack(proto.raw_data)
            if length != byte_count(shape, dtype):
                raise FileError(f"{what}, {dtype} {shape}, has {length} bytes at offset {start}")
            return Tensor(name, shape, dtype, lambda: self._data.view(start, shape, dtype))
        field, stored = _FIELDS.get(kind, _BITS)
        expected = math.prod(shape) * (2 if dtype.kind == "c" else 1)
        if len(getattr(proto, field)) != expected:
            raise FileError(f"{what}, {dtype} {shape}, has {len(getattr(proto, field))} numbers in {field}")
        self.mapped = False
        return Tensor(name, shape, dtype, lambda: _typed(proto, field, stored, shape, dtype))

    def _external_tensor(
        self, proto: onnx.TensorProto, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Tensor:
        what = f"{self._data.path}: tensor {name!r}"
        given = {entry.key: entry.value for entry in proto.external_data}
        length = byte_count(shape, dtype)
        offset, said = (_count(given.get(key), what, key) for key in ("offset", "length"))
        start = offset or 0
        if said not in (None, length):
            raise FileError(f"{what}, {dtype} {shape}, is said to have {said} bytes in external data")
        file = self._external_file(given.get("location", ""), what)
        if start + length > len(file):
            raise FileError(
                f"{what} is said to be {length} bytes at offset {start} of {file.path}, which has {len(file)}"
            )
        return Tensor(name, shape, dtype, lambda: file.view(start, shape, dtype))

    def _external_file(self, location: str, what: str) -> MappedFile:
        """Return a file of external data inside the folder of the model.

        Raises
        ------
        FileError
            If it is not there, or elsewhere, also by a link.
        """
        if location in self._external:
            return self._external[location]
        parts = PurePosixPath(location).parts
        if (
            not parts
            or location.startswith("/")
            or ".." in parts
            or "\\" in location
            or ":" in parts[0]
            or "\0" in location
        ):
            raise FileError(f"{what} is said to be in {location!r}, which is no file in the folder of the model")
        folder = self._folder.resolve()
        path = (folder / location).resolve()
        if not path.is_relative_to(folder):
            raise FileError(
                f"{what} is said to be in {location!r}, a link to {path}, outside of the folder of the model"
            )
        if not path.is_file() or not path.stat().st_size:
            raise FileError(
                f"{what} is said to be in {location!r}; there is no such file beside the model, or it is empty"
            )
        self._external[location] = MappedFile(path)
        return self._external[location]


def _count(text: str | None, what: str, key: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise FileError(f"{what} has external data with {key}={text[:40]!r}")
    return int(text)


def _typed(
    proto: onnx.TensorProto, field: str, stored: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return the numbers of a typed field."""
    numbers = np.fromiter(getattr(proto, field), np.dtype(stored))
    if field == _BITS[0]:
        numbers = numbers.astype(f"u{dtype.itemsize}")
    elif dtype.kind == "u":
        numbers = numbers.astype(dtype)
    return numbers.view(dtype).reshape(shape)
