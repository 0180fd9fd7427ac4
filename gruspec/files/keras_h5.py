"""The HDF5 files of Keras 2, and of Keras 3 by request: weights by layer, or the whole model with its configuration."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from gruspec.errors import FileError
from gruspec.files.checkpoint import Checkpoint
from gruspec.files.format import Format
from gruspec.files.hdf5 import is_hdf5, read_hdf5, refused, write_hdf5
from gruspec.files.keras_config import configured_grus, major_version, parse_config
from gruspec.files.keras_finding import ARRAYS, CELL, found_grus, paired_by_name, stored_gru
from gruspec.files.keras_template import MODEL_GROUP, write_patched
from gruspec.files.keras_weights import weights_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gruspec.files.checkpoint import Contents, Entry, Tensor
    from gruspec.files.hdf5 import Hdf5
    from gruspec.files.keras_finding import Pairs, StoredGRU

_ENDING = ":0"
_VERSION = {"keras_version": "2.15.0", "backend": "tensorflow"}
"""What loaders look for to know the order of weights: that of Keras 2 with TensorFlow."""
_DEFAULT_LAYER = "gru"


class KerasH5Format(Format):
    """``model.save_weights("x.h5")`` and ``model.save("x.h5")``."""

    name: ClassVar[str] = "keras-h5"
    title: ClassVar[str] = "Keras HDF5, weights or whole models"
    suffixes: ClassVar[tuple[str, ...]] = (".hdf5", ".h5")
    modules: ClassVar[tuple[str, ...]] = ("h5py",)
    extra: ClassVar[str | None] = "files"
    mapped: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a file is HDF5, and not named as the other kind is."""
        return is_hdf5(path) and not path.name.endswith(".weights.h5")

    def read(self, path: Path) -> Checkpoint:
        """Open a file.

        Raises
        ------
        FileError
            If it is damaged or hostile.
        """
        return read_keras_hdf5(path)

    def write(self, path: Path, contents: Contents) -> None:
        """Write a weights file that ``load_weights`` takes, by order or by name; or a template with new weights.

        A GRU at ``"both/forward_gru"`` is in the layer ``both``. Tensors from another format are kept, in no layer.

        Raises
        ------
        RefusedFile
            If the template does not fit, or two tensors have the same place.
        """
        if contents.template is None:
            write_hdf5(path, contents.entries, _groups(contents))
        else:
            write_patched(path, contents, contents.template)

    def refuses(self, entry: Entry) -> str | None:
        """Return why HDF5 cannot hold a tensor, or None."""
        return refused(entry)

    def array_name(self, path: str, layout: str, array: str) -> str:
        """Return where Keras keeps an array of a GRU: ``first/first/gru_cell/kernel:0``.

        >>> KerasH5Format().array_name("both/forward_gru", "keras", "bias")
        'both/both/forward_gru/gru_cell/bias:0'
        """
        own = path or _DEFAULT_LAYER
        cell = "/" if layout == "cudnn-gru" else "/gru_cell/"
        return f"{own.partition('/')[0]}/{own}{cell}{array}{_ENDING}"


def read_keras_hdf5(path: Path) -> Checkpoint:
    """Read an HDF5 file of any Keras: which kind it is shows in its groups and attributes, not in its name.

    Raises
    ------
    FileError
        If it is damaged or hostile.
    """
    file = read_hdf5(path)
    root = MODEL_GROUP if file.names(MODEL_GROUP, "layer_names") is not None else ""
    if file.names(root, "layer_names") is None:
        return weights_checkpoint(path, file)
    prefix = f"{root}/" if root else ""
    tensors = {}
    for name, tensor in file.tensors.items():
        own = name.removeprefix(prefix)
        if own in tensors:
            raise FileError(f"{path}: two datasets would be named {own}: one in {MODEL_GROUP}, one beside it")
        tensors[own] = replace(tensor, name=own)
    layers = _layers(file, root)
    stored = tuple(_stored(tensors, layers))
    version = file.text(root, "keras_version")
    config = file.text("", "model_config")
    metadata = {"keras_version": version, "backend": file.text(root, "backend"), "layers": json.dumps(layers)}
    left = {"model_config": "it describes the whole model, which only a template keeps"} if config else {}
    return Checkpoint(
        path,
        KerasH5Format.name,
        tensors,
        found_grus(stored, _pairs(path, stored, config, version), str(path)),
        {name: text for name, text in metadata.items() if text},
        mapped=True,
        left={**file.left, **left},
    )


def _pairs(path: Path, stored: Sequence[StoredGRU], config: str | None, version: str | None) -> Pairs:
    if config is None:
        return []
    where = f"{path}, attribute model_config"
    parsed = parse_config(config, where, path.stat().st_size)
    return paired_by_name(stored, configured_grus(parsed, keras=major_version(version), where=where))


def _layers(file: Hdf5, root: str) -> dict[str, list[str]]:
    """Return the names of the weights of each layer, both in the order of the model."""
    groups = {name: f"{root}/{name}" if root else name for name in file.names(root, "layer_names") or []}
    return {name: file.names(group, "weight_names") or [] for name, group in groups.items()}


def _stored(tensors: Mapping[str, Tensor], layers: Mapping[str, Sequence[str]]) -> Iterator[StoredGRU]:
    """Yield the weights of GRUs, layer by layer."""
    for layer, weights in layers.items():
        scopes: dict[str, dict[str, str]] = {}
        for weight in weights:
            scope, array = _scope_and_array(weight)
            if array in ARRAYS and f"{layer}/{weight}" in tensors:
                scopes.setdefault(scope, {})[array] = f"{layer}/{weight}"
        paths = _paths(layer, list(scopes))
        for scope, names in scopes.items():
            found = stored_gru(paths[scope], layer, names, tensors)
            if found is not None:
                yield found


def _scope_and_array(weight: str) -> tuple[str, str]:
    scope, _, array = weight.rpartition("/")
    return scope, array.removesuffix(_ENDING)


def _paths(layer: str, scopes: Sequence[str]) -> dict[str, str]:
    """Return the path in the model of each scope of names: without the layer twice, nor a cell that is alone."""
    whole = {}
    for scope in scopes:
        parts = scope.split("/") if scope else []
        whole[scope] = [layer, *(parts[1:] if parts[:1] == [layer] else parts)]
    short = {scope: own[:-1] if CELL.fullmatch(own[-1]) and len(own) > 1 else own for scope, own in whole.items()}
    counts = Counter(map(tuple, short.values()))
    return {scope: "/".join(own if counts[tuple(own)] == 1 else whole[scope]) for scope, own in short.items()}


def _groups(contents: Contents) -> dict[str, dict[str, str | list[str]]]:
    """Return the groups of a weights file: every layer, with its weights in the order that loaders expect.

    Layers of a source of this format keep their order, and in it GRUs with other weights their places. A GRU from
    elsewhere is a layer of its own, or the next one in the layer that its path begins with.
    """
    known: dict[str, list[str]] = json.loads(contents.metadata.get("layers", "{}"))
    arrays = {(gru.path, array): entry.name for gru in contents.grus for array, entry in gru.arrays.items()}
    carried = {entry.name for entry in contents.carried}
    layers: dict[str, list[str]] = {}
    for layer, weights in known.items():
        paths = _paths(layer, list(dict.fromkeys(_scope_and_array(weight)[0] for weight in weights)))
        names = layers.setdefault(layer, [])
        for weight in weights:
            scope, array = _scope_and_array(weight)
            written = arrays.pop((paths[scope], array), f"{layer}/{weight}" if f"{layer}/{weight}" in carried else None)
            if written is not None:
                names.append(written)
    for written in arrays.values():
        layers.setdefault(written.partition("/")[0], []).append(written)
    version = {name: contents.metadata.get(name, text) for name, text in _VERSION.items()}
    groups: dict[str, dict[str, str | list[str]]] = {"": {**version, "layer_names": list(layers)}}
    for layer, names in layers.items():
        groups[layer] = {"weight_names": [name.removeprefix(f"{layer}/") for name in names]}
    return groups
