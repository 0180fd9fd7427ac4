"""What TensorFlow's files say of the objects that own the variables: names of variables, and layers of Keras.

``tensorflow/core/protobuf/trackable_object_graph.proto``, ``saved_object_graph.proto``, ``saved_model.proto`` and
``tf_keras/protobuf/saved_metadata.proto``, read as data: no function of a file is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError
from gruspec.files import keras_config
from gruspec.files.mapping import MappedFile
from gruspec_tensorflow.wire import WireError, fields, signed, text, view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
SAVED_MODEL = "saved_model.pb"
KERAS_METADATA = "keras_metadata.pb"
_LAYERS = ("GRU", "CuDNNGRU", "RNN")
_RNN_LAYER = b"_tf_keras_rnn_layer"
_WEIGHTS = ("kernel", "recurrent_kernel", "bias")
_KERAS_2 = 2
_NODES, _META_GRAPH, _OBJECT_GRAPH_OF_META_GRAPH = 1, 2, 7
_CHILDREN, _ATTRIBUTES, _USER_OBJECT = 1, 2, 4
_NOTHING = memoryview(b"")


@dataclass(frozen=True)
class TrackedObject:
    """An object of a checkpoint.

    Parameters
    ----------
    children
        Numbers of the objects that it has, by the names that they have there.
    key
        Of the variable in the checkpoint, where it is one; else empty.
    name
        Of the variable, as in ``"gru/gru_cell/kernel"``.
    """

    children: Mapping[str, int]
    key: str = ""
    name: str = ""


def object_graph(data: memoryview, where: str) -> tuple[TrackedObject, ...]:
    """Read the graph of objects of a checkpoint.

    Raises
    ------
    FileError
        If it is damaged.
    """
    try:
        return tuple(_tracked(node) for node in _all(data, _NODES))
    except WireError as error:
        raise FileError(f"{where}: {OBJECT_GRAPH}: {error}") from error


def _tracked(node: memoryview) -> TrackedObject:
    children = {}
    for child in _all(node, _CHILDREN):
        values = _values(child)
        children[text(values.get(2, _NOTHING))] = signed(values.get(1, 0))
    key = name = ""
    for attribute in _all(node, _ATTRIBUTES):
        values = _values(attribute)
        key, name = text(values.get(3, _NOTHING)), text(values.get(2, _NOTHING))
    return TrackedObject(children, key, name)


def configured_grus(folder: Path, objects: Sequence[TrackedObject]) -> dict[frozenset[str], keras_config.ConfiguredGRU]:
    """Return what legacy Keras says of the GRUs of a SavedModel, by the keys of their variables.

    Parameters
    ----------
    folder
        Of the SavedModel. TensorFlow 2.5 and later write ``keras_metadata.pb``, older ones the same into
        ``saved_model.pb``, Keras 3 neither.
    objects
        Of its checkpoint; both number objects alike.

    Raises
    ------
    FileError
        If the metadata is damaged.
    """
    apart = folder / KERAS_METADATA
    path = apart if apart.is_file() else folder / SAVED_MODEL
    if not path.stat().st_size:
        raise FileError(f"{path}: is empty")
    mapped = MappedFile(path)
    data = mapped.view(0, (len(mapped),), np.dtype(np.uint8)).data
    found = {}
    try:
        for number, metadata in _kept_apart(data) if path == apart else _in_model(data):
            gru = _configured(metadata, f"{path}, object {number}", len(data))
            if gru is not None and 0 <= number < len(objects):
                found[_variables(objects, number)] = gru
    except WireError as error:
        raise FileError(f"{path}: {error}") from error
    finally:
        del data
        mapped.close()
    return found


def _configured(metadata: memoryview, where: str, file_size: int) -> keras_config.ConfiguredGRU | None:
    said = keras_config.parse_config(text(metadata), where, file_size)
    if said.get("class_name") not in _LAYERS:
        return None
    grus = keras_config.configured_grus(said, keras=_KERAS_2, where=where)
    return grus[0] if len(grus) == 1 else None


def _variables(objects: Sequence[TrackedObject], layer: int) -> frozenset[str]:
    """Return the keys of the weights of a layer, which its cell has, if it has a cell."""
    owner = objects[_child(objects, layer, "cell", layer)]
    numbers = (owner.children.get(name, -1) for name in _WEIGHTS)
    return frozenset(objects[number].key for number in numbers if 0 <= number < len(objects))


def _child(objects: Sequence[TrackedObject], number: int, name: str, otherwise: int) -> int:
    child = objects[number].children.get(name, otherwise)
    return child if 0 <= child < len(objects) else otherwise


def _kept_apart(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and metadata of the recurrent layers of ``keras_metadata.pb``."""
    for node in _all(data, _NODES):
        values = _values(node)
        if bytes(view(values.get(4, _NOTHING))) == _RNN_LAYER:
            yield signed(values.get(2, 0)), view(values.get(5, _NOTHING))


def _in_model(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and metadata of the recurrent layers of ``saved_model.pb``."""
    for meta_graph in _all(data, _META_GRAPH):
        for graph in _all(meta_graph, _OBJECT_GRAPH_OF_META_GRAPH):
            for number, node in enumerate(_all(graph, _NODES)):
                for user_object in _all(node, _USER_OBJECT):
                    values = _values(user_object)
                    if bytes(view(values.get(1, _NOTHING))) == _RNN_LAYER and values.get(3):
                        yield number, view(values[3])


def _values(message: memoryview) -> dict[int, Any]:
    """Return the last value of every field."""
    return dict(fields(message))


def _all(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield every field of a number that is a message."""
    return (view(value) for found, value in fields(message) if found == number)
