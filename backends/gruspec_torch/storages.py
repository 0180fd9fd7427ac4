"""Tensors of a pickle as views of storage that is checked to be there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from gruspec.errors import FileError
from gruspec.files import Tensor
from gruspec.files.mapping import byte_count, possible_shape

from .records import Call, Global, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

STORAGES: Mapping[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "UntypedStorage": "uint8",
}
"""The dtype of each typed storage; untyped storage counts bytes."""

EXTENDED = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
"""Dtypes that PyTorch and ml_dtypes have by the same names, and NumPy has not."""
PLAIN = frozenset(STORAGES.values()) - set(EXTENDED) | {"uint16", "uint32", "uint64"}
"""Dtypes that PyTorch and NumPy have by the same names."""

_STRANGE: Mapping[str, str] = {
    "torch._utils._rebuild_qtensor": "is quantized: its numbers have a scale that no other format keeps",
    "torch._utils._rebuild_sparse_tensor": "is sparse",
    "torch._utils._rebuild_nested_tensor": "is a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "is on the meta device and has no values",
    "torch._utils._rebuild_wrapper_subclass": "is a subclass of tensors without values of its own",
    "torch._utils._rebuild_device_tensor_from_numpy": "is kept as an object of NumPy, which would have to be executed",
}
"""Tensors that are no plain arrays, and why they are left."""


class Storages(Protocol):
    """The storage of a file by key."""

    swapped: bool
    """Whether its numbers are in the other byte order."""

    def size(self, key: str, what: str) -> int:
        """Return the bytes of one, without reading it."""

    def array(self, key: str, what: str) -> NDArray[np.uint8]:
        """Return the bytes of one, read-only."""


class Reference(NamedTuple):
    """What a persistent identifier says: the key of storage, its dtype, and which of its elements."""

    key: str
    dtype: str | None
    first: int
    elements: int


class View(NamedTuple):
    """A tensor as PyTorch has it: which elements of which storage."""

    storage: Reference
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Why something is no tensor that gruspec can give."""

    reason: str


def dtype_named(name: str | None) -> np.dtype[Any] | None:
    """Return a dtype, or None where neither NumPy nor ml_dtypes has it."""
    if name in PLAIN:
        return np.dtype(name)
    if name in EXTENDED:
        import ml_dtypes

        extended: type | None = getattr(ml_dtypes, name, None)
        return None if extended is None else np.dtype(extended)
    return None


def reference(stored: Stored, where: str) -> Reference:
    """Read a persistent identifier.

    Raises
    ------
    FileError
        If it is none of storage.
    """
    match stored.identifier:
        case ("storage", Global(name=kind), str(key), str(), int(elements), *rest) if elements >= 0:
            dtype = STORAGES.get(kind.rpartition(".")[2])
            match rest:
                case [] | [None]:
                    return Reference(key, dtype, 0, elements)
                case [(_, int(first), int(count))] if first >= 0 and count >= 0:
                    return Reference(key, dtype, first, count)
    raise FileError(f"{where}: has a persistent identifier that is none of storage")


def view_of(value: Call, where: str) -> View | Left:
    """Return the tensor that a call makes, or why it makes none that can be given.

    Raises
    ------
    FileError
        If its arguments are not what PyTorch writes.
    """
    reader = _READERS.get(value.function)
    if reader is None:
        return Left(_STRANGE.get(value.function, f"is no tensor: {value.function}"))
    try:
        return reader(value.arguments, where)
    except (ValueError, IndexError, TypeError) as error:
        raise FileError(f"{where}: {value.function} has arguments that PyTorch does not write: {error}") from error


def _plain(arguments: tuple[Any, ...], where: str) -> View | Left:
    """Read ``storage, offset, size, stride``, and perhaps ``requires_grad, hooks, metadata``."""
    return _view(arguments, arguments[6:7], None, where)


def _untyped(arguments: tuple[Any, ...], where: str) -> View | Left:
    """Read ``storage, offset, size, stride, requires_grad, hooks, dtype``, and perhaps ``metadata``."""
    return _view(arguments, arguments[7:8], arguments[6].name.removeprefix("torch."), where)


def _view(arguments: tuple[Any, ...], metadata: tuple[Any, ...], dtype: str | None, where: str) -> View | Left:
    stored, offset, shape, strides = arguments[:4]
    if not isinstance(stored, Stored):
        raise TypeError("no storage")
    if any(metadata):
        return Left(f"is stored {' and '.join(map(str, *metadata))}")
    storage = reference(stored, where)
    named = dtype or storage.dtype
    if named is None:
        return Left(f"has a dtype that no other format keeps: {stored.identifier[1].name}")
    return View(storage, named, _count(offset), _counts(shape), _counts(strides))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError(f"{value!s:.40} is no size, stride or offset")
    return value


def _counts(values: Any) -> tuple[int, ...]:
    if isinstance(values, Call) and values.function == "torch.Size":
        (values,) = values.arguments
    if not isinstance(values, tuple | list):
        raise TypeError(f"{type(values).__name__} is no shape")
    return tuple(map(_count, values))


def _parameter(arguments: tuple[Any, ...], where: str) -> View | Left:
    data = arguments[0]
    if not isinstance(data, Call):
        raise TypeError("no tensor")
    return Left("is a parameter of a parameter") if data.function in _WRAPPING else view_of(data, where)


def _subclass(arguments: tuple[Any, ...], where: str) -> View | Left:
    function, kind, inner = arguments[:3]
    if kind.name not in _PLAIN_CLASSES or function.name in _WRAPPING:
        return Left(f"is of class {kind.name}, which would have to be executed")
    return view_of(Call(function.name, inner), where)


_PLAIN_CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
_WRAPPING: Mapping[str, Callable[[tuple[Any, ...], str], View | Left]] = {
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclass,
}
_READERS: Mapping[str, Callable[[tuple[Any, ...], str], View | Left]] = {
    "torch._utils._rebuild_tensor": _plain,
    "torch._utils._rebuild_tensor_v2": _plain,
    "torch._utils._rebuild_tensor_v3": _untyped,
    **_WRAPPING,
}
"""The arguments of the functions that make tensors (torch/_utils.py)."""


def tensor(name: str, view: View, storages: Storages, largest: int, where: str) -> Tensor | Left:
    """Return a tensor of a file.

    Parameters
    ----------
    name
        Of the tensor.
    view
        Where it lies.
    storages
        Of the file.
    largest
        How many bytes it may have, counting elements that are repeated.
    where
        For messages.

    Raises
    ------
    FileError
        If it is not inside its storage, or larger than it may be.
    """
    what = f"{where}: tensor {name!r}"
    dtype = dtype_named(view.dtype)
    if dtype is None:
        return Left(f"has a dtype that no other format keeps: {view.dtype}")
    if len(view.shape) != len(view.strides) or not possible_shape(view.shape, dtype.itemsize):
        raise FileError(f"{what} has shape {view.shape} and strides {view.strides}, which no tensor can have")
    if byte_count(view.shape, dtype) > largest:
        raise FileError(f"{what} has shape {view.shape}, far more than the file has bytes")
    if not math.prod(view.shape):
        return Tensor(name, view.shape, dtype, lambda: np.empty(view.shape, dtype))
    unit = dtype_named(view.storage.dtype) or np.dtype(np.uint8)
    begin = view.storage.first * unit.itemsize + view.offset * dtype.itemsize
    last = sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    end = begin + (last + 1) * dtype.itemsize
    inside = (view.storage.first + view.storage.elements) * unit.itemsize
    if end > inside or inside > storages.size(view.storage.key, what):
        raise FileError(f"{what} ends at byte {end} of its storage {view.storage.key!r}, outside of it")

    def read() -> NDArray[Any]:
        flat = _native(storages.array(view.storage.key, what)[begin:end], dtype, swapped=storages.swapped)
        strides = tuple(stride * dtype.itemsize for stride in view.strides)
        values: NDArray[Any] = np.ndarray(view.shape, dtype, flat, strides=strides)
        values.flags.writeable = False
        return values

    return Tensor(name, view.shape, dtype, read)


def _native(values: NDArray[np.uint8], dtype: np.dtype[Any], *, swapped: bool) -> NDArray[Any]:
    """Return bytes as numbers; a view where they are in the byte order of this machine."""
    if swapped:
        part = dtype.itemsize // (2 if dtype.kind == "c" else 1)
        values = values.view(f"u{part}").byteswap()
    numbers: NDArray[Any] = values.view(dtype)
    return numbers
