"""What a checkpoint's index says of each tensor, and the numbers of TensorFlow's dtypes.

``BundleEntryProto`` and ``BundleHeaderProto`` of ``tensorflow/core/protobuf/tensor_bundle.proto``; ``DataType`` of
``tensorflow/core/framework/types.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.files.mapping import possible_shape
from gruspec_tensorflow.wire import (
    WireError,
    bytes_field,
    fields,
    fixed32_field,
    number_field,
    signed,
    view,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

STRING = 7
_NUMPY = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
}
_OTHERS = {
    STRING: "string",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    15: "qint16",
    16: "quint16",
    20: "resource",
    21: "variant",
    29: "int4",
    30: "uint4",
}
_NUMBERS = {name: number for number, name in _NUMPY.items()}
_WIDEST = 16
_WHOLE_AXIS = -1
HEADER = number_field(1, 1) + bytes_field(3, number_field(1, 1))
"""One shard, little-endian, version 1."""


@dataclass(frozen=True)
class Record:
    """A tensor in a checkpoint.

    Parameters
    ----------
    number
        Of its dtype.
    shape
        Its shape.
    shard, offset, size
        Which file its bytes are in, where, and how many.
    checksum
        The masked CRC-32C of the bytes.
    parts
        For a partitioned variable, whose bytes are in records of their own: where each part begins and how long it is
        along every axis.
    """

    number: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    parts: tuple[tuple[tuple[int, int], ...], ...] = ()

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The dtype; None where NumPy has none for it."""
        name = _NUMPY.get(self.number)
        if name is None:
            return None
        try:
            return np.dtype(name)
        except TypeError:
            import ml_dtypes

            other: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
            return other

    @property
    def dtype_name(self) -> str:
        """The name of the dtype."""
        return _NUMPY.get(self.number) or _OTHERS.get(self.number) or f"number {self.number}"

    def encoded(self) -> bytes:
        """Return the record as the index has it."""
        shape = b"".join(bytes_field(2, number_field(1, length) or b"\x08\x00") for length in self.shape)
        numbers = ((3, self.shard), (4, self.offset), (5, self.size))
        return (
            number_field(1, self.number)
            + bytes_field(2, shape)
            + b"".join(number_field(number, value) for number, value in numbers)
            + fixed32_field(6, self.checksum)
        )


def dtype_number(name: str) -> int | None:
    """Return the number of a dtype by NumPy's name; None where TensorFlow has none."""
    return _NUMBERS.get(name)


def header(encoded: bytes | None) -> int:
    """Return the number of shards of a checkpoint.

    Raises
    ------
    WireError
        If there is no header, or it is damaged, or of a machine of the other byte order.
    """
    if encoded is None:
        raise WireError("it has no header")
    values: dict[int, Any] = dict(fields(memoryview(encoded)))
    if values.get(2, 0) != 0:
        raise WireError("it is big-endian; only little-endian checkpoints can be read")
    shards = signed(values.get(1, 0))
    if shards < 1:
        raise WireError(f"it says that it has {shards} files of data")
    return shards


def record(encoded: bytes) -> Record:
    """Read a record.

    Raises
    ------
    WireError
        If it is damaged, or its numbers cannot be.
    """
    values: dict[int, Any] = {}
    parts = []
    for number, value in fields(memoryview(encoded)):
        if number == 7:
            parts.append(tuple(_extents(view(value))))
        else:
            values[number] = value
    shape = tuple(_shape(view(values.get(2, memoryview(b"")))))
    offset, size, shard = (signed(values.get(number, 0)) for number in (4, 5, 3))
    if not possible_shape(shape, _WIDEST):
        raise WireError(f"{str(shape)[:100]} is no shape that a tensor can have")
    if min(offset, size, shard) < 0:
        raise WireError(f"shard {shard}, offset {offset}, size {size}: none of them can be negative")
    return Record(signed(values.get(1, 0)), shape, shard, offset, size, signed(values.get(6, 0)), tuple(parts))


def _shape(message: memoryview) -> Iterator[int]:
    for number, value in fields(message):
        if number == 2:
            lengths: dict[int, Any] = dict(fields(view(value)))
            yield signed(lengths.get(1, 0))
        elif number == 3 and value:
            raise WireError("its shape is not known")


def _extents(message: memoryview) -> Iterator[tuple[int, int]]:
    for number, value in fields(message):
        if number == 1:
            extent: dict[int, Any] = dict(fields(view(value)))
            yield signed(extent.get(1, 0)), signed(extent[2]) if 2 in extent else _WHOLE_AXIS


def places_of_parts(whole: Record) -> list[tuple[slice, ...]]:
    """Return where the parts of a partitioned variable lie, in order; they follow one another along one axis.

    Raises
    ------
    WireError
        If they do not fill the variable in this way, which is the only one in which TensorFlow partitions.
    """
    places = sorted((_place(whole, extents) for extents in whole.parts), key=_starts)
    shape = tuple(slice(0, length) for length in whole.shape)
    cut = [axis for axis in range(len(shape)) if any(place[axis] != shape[axis] for place in places)]
    if len(cut) > 1:
        raise WireError(f"the parts of shape {whole.shape} divide axes {cut}; only one can be divided")
    for axis in cut:
        ends = [place[axis].stop for place in places]
        if [place[axis].start for place in places] != [0, *ends[:-1]] or ends[-1] != whole.shape[axis]:
            raise WireError(f"the parts do not follow one another along axis {axis} of shape {whole.shape}")
    if not cut and len(places) > 1:
        raise WireError(f"each of {len(places)} parts is the whole")
    return places


def _place(whole: Record, extents: tuple[tuple[int, int], ...]) -> tuple[slice, ...]:
    if len(extents) != len(whole.shape):
        raise WireError(f"a part has {len(extents)} axes, the variable {len(whole.shape)}")
    return tuple(
        slice(0, whole_length) if length == _WHOLE_AXIS else slice(start, start + length)
        for (start, length), whole_length in zip(extents, whole.shape, strict=True)
    )


def _starts(place: tuple[slice, ...]) -> list[int]:
    return [axis.start for axis in place]


def key_prefix_of_parts(name: bytes) -> bytes:
    """Return what the keys of the parts of a partitioned variable begin with.

    ``EncodeTensorNameSlice`` of ``tensorflow/core/util/saved_tensor_slice_util.cc``: the number 0, the name, an end,
    and numbers that sort as the parts do.

    >>> key_prefix_of_parts(b"v").hex()
    '00760001'
    """
    return b"\0" + name + b"\0\1"
