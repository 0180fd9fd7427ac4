"""Models as files: numbers in the model, or in a file beside it where they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.files import Entry
from gruspec.files.mapping import byte_count

from .model_tensors import kind_of
from .wire import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx
    from numpy.typing import NDArray

    from .model_tensors import ModelTensors

LARGEST_MODEL = 3 * 2**29
"""Bytes of numbers that a model holds itself; a protocol buffer ends at 2 GiB."""
ENDING = ".data"
"""Of the name of the file beside a model."""
_SMALL = 1024
_ALIGNED = 4096
_AWAITED = 2**64 - 1


class Numbers:
    """Numbers that tensors of a model are to get when it is written."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def give(self, proto: onnx.TensorProto, entry: Entry) -> None:
        """Make a tensor one of the values of an entry, under the name that it has."""
        import onnx

        name = proto.name
        proto.Clear()
        proto.name = name
        proto.dims.extend(entry.shape)
        proto.data_type = onnx.TensorProto.DataType.Value(str(kind_of(entry.dtype)))
        proto.raw_data = PLACE.pack(len(self._entries), _AWAITED)
        self._entries.append(entry)

    def entry(self, proto: onnx.TensorProto, tensors: ModelTensors | None) -> Entry | None:
        """Return what a tensor gets: what it was given, or what it has in its file; None where it is complete."""
        import onnx

        if proto.HasField("raw_data"):
            first, second = PLACE.unpack(proto.raw_data)
            if second == _AWAITED:
                return self._entries[int(first)]
        elif proto.data_location != onnx.TensorProto.EXTERNAL:
            return None
        found = tensors.tensor(proto, proto.name) if tensors is not None else "is not there"
        if isinstance(found, str):
            return _bytes_of(proto, tensors)
        return Entry(proto.name, found.shape, found.dtype, lambda values: np.copyto(values, found.read()))


def _bytes_of(proto: onnx.TensorProto, tensors: ModelTensors | None) -> Entry | None:
    """Return the bytes of a tensor whose dtype no array has, as they are in the file."""
    if tensors is None or not proto.HasField("raw_data"):
        return None
    values = tensors.raw(proto)
    return Entry(proto.name, values.shape, values.dtype, lambda written: np.copyto(written, values))


def save(path: Path, model: onnx.ModelProto, numbers: Numbers, tensors: ModelTensors | None = None) -> None:
    """Write a model, and a file beside it where its numbers are more than :data:`LARGEST_MODEL`.

    Parameters
    ----------
    path
        Where there is nothing.
    model
        Its tensors are completed.
    numbers
        Those of new tensors.
    tensors
        Those of the file that the model is from.
    """
    found = [(proto, numbers.entry(proto, tensors)) for proto in _tensors(model)]
    waiting = [(proto, entry) for proto, entry in found if entry is not None]
    apart = sum(_length(entry) for _, entry in waiting) > LARGEST_MODEL
    outside = [(proto, entry) for proto, entry in waiting if apart and _length(entry) > _SMALL]
    for proto, entry in waiting:
        if not apart or _length(entry) <= _SMALL:
            proto.ClearField("external_data")
            proto.ClearField("data_location")
            proto.raw_data = entry.array().tobytes()
    if outside:
        _save_outside(path, outside)
    with path.open("xb") as stream:
        stream.write(model.SerializeToString())


def _length(entry: Entry) -> int:
    return byte_count(entry.shape, entry.dtype)


def _save_outside(path: Path, outside: list[tuple[onnx.TensorProto, Entry]]) -> None:
    beside = path.with_name(path.name + ENDING)
    end = 0
    for proto, entry in outside:
        _point(proto, beside.name, end, _length(entry))
        end = -(-(end + _length(entry)) // _ALIGNED) * _ALIGNED
    memory = np.memmap(beside, np.uint8, "w+", shape=(end,))
    position = 0
    for _, entry in outside:
        length = _length(entry)
        values: NDArray[Any] = memory[position : position + length].view(entry.dtype)
        entry.fill(values.reshape(entry.shape))
        position = -(-(position + length) // _ALIGNED) * _ALIGNED
    memory.flush()


def _point(proto: onnx.TensorProto, location: str, offset: int, length: int) -> None:
    """Say where the numbers of a tensor are."""
    import onnx

    proto.ClearField("raw_data")
    proto.ClearField("external_data")
    proto.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": length}.items():
        proto.external_data.add(key=key, value=str(value))


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Yield every tensor in a message, wherever it is."""
    import onnx

    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if isinstance(value, list) or hasattr(value, "add") else (value,):
                if isinstance(child, onnx.TensorProto):
                    yield child
                else:
                    yield from _tensors(child)
