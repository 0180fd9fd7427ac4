"""The ``.weights.h5`` files of Keras 3, and of tf_keras since 2.13: variables by number, in groups by class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from gruspec.files.checkpoint import Checkpoint
from gruspec.files.finding import find_grus
from gruspec.files.format import Format
from gruspec.files.hdf5 import is_hdf5, refused, write_hdf5
from gruspec.files.keras_finding import ARRAYS, CELL, found_grus, stored_gru
from gruspec.files.keras_template import write_patched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gruspec.files.checkpoint import Contents, Entry
    from gruspec.files.hdf5 import Hdf5
    from gruspec.files.keras_finding import StoredGRU

_VARIABLES = re.compile(r"(?P<group>.+)/vars/(?P<number>[0-9]+)")
_ATTRIBUTES = ("forward_layer", "backward_layer", "layer")
"""Layers that are attributes of the layer around them, not members of a container."""
_DEFAULT_LAYER = "gru"


class KerasWeightsFormat(Format):
    """``model.save_weights("x.weights.h5")``."""

    name: ClassVar[str] = "keras-weights"
    title: ClassVar[str] = "Keras 3 and tf_keras .weights.h5"
    suffixes: ClassVar[tuple[str, ...]] = (".weights.h5",)
    modules: ClassVar[tuple[str, ...]] = ("h5py",)
    extra: ClassVar[str | None] = "files"
    mapped: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a file is HDF5 and named as this kind is."""
        return is_hdf5(path) and path.name.endswith(".weights.h5")

    def read(self, path: Path) -> Checkpoint:
        """Open a file; one of the other kind under this name is read as what it is.

        Raises
        ------
        FileError
            If it is damaged or hostile.
        """
        from gruspec.files.keras_h5 import read_keras_hdf5

        return read_keras_hdf5(path)

    def write(self, path: Path, contents: Contents) -> None:
        """Write a file, or a template with new weights.

        Keras looks for layers by their classes: in a Sequential or functional model the GRUs are ``gru``, ``gru_1`` ...
        in the order of the model, and in a Bidirectional ``bidirectional/forward_layer`` and
        ``bidirectional/backward_layer``. The paths of GRUs must be these.

        Raises
        ------
        RefusedFile
            If the template does not fit, or two tensors have the same place.
        """
        if contents.template is None:
            groups: dict[str, dict[str, str | list[str]]] = {
                name: {} for entry in contents.entries for name in _groups_of(entry.name)
            }
            write_hdf5(path, contents.entries, {"vars": {}, **groups})
        else:
            write_patched(path, contents, contents.template)

    def refuses(self, entry: Entry) -> str | None:
        """Return why HDF5 cannot hold a tensor, or None."""
        return refused(entry)

    def array_name(self, path: str, layout: str, array: str) -> str:
        """Return where Keras keeps an array of a GRU.

        >>> KerasWeightsFormat().array_name("gru_1", "keras", "recurrent_kernel")
        'layers/gru_1/cell/vars/1'
        >>> KerasWeightsFormat().array_name("bidirectional/forward_layer", "keras", "kernel")
        'layers/bidirectional/forward_layer/cell/vars/0'
        >>> KerasWeightsFormat().array_name("cu_dnngru", "cudnn-gru", "bias")
        'layers/cu_dnngru/vars/2'
        """
        return f"{_group_of_path(path or _DEFAULT_LAYER, layout)}/vars/{ARRAYS.index(array)}"


def _group_of_path(path: str, layout: str) -> str:
    """Return the group of the variables of a GRU."""
    groups: list[str] = []
    *around, last = path.split("/")
    for part in around:
        groups += [part] if part in _ATTRIBUTES else ["layers", part]
    if around and CELL.fullmatch(last):
        return "/".join([*groups, "cell", "cells", last])
    groups += [last] if last in _ATTRIBUTES else ["layers", last]
    return "/".join(groups if layout == "cudnn-gru" else [*groups, "cell"])


def _path_of_group(group: str) -> str:
    """Return the path that gives a group, as far as its name tells."""
    parts = group.split("/")
    if parts[-1] == "cell":
        parts = parts[:-1]
    elif parts[-3:-1] == ["cell", "cells"]:
        parts = [*parts[:-3], parts[-1]]
    return "/".join(part for part in parts if part != "layers") or group


def _groups_of(name: str) -> Iterator[str]:
    """Yield the groups of variables, empty or not, that loaders expect on the way to a tensor."""
    parts = name.split("/")
    for end in range(2, len(parts) - 1):
        if parts[end - 1] not in ("layers", "vars", "cells"):
            yield "/".join([*parts[:end], "vars"])


def weights_checkpoint(path: Path, file: Hdf5) -> Checkpoint:
    """Return what is in a ``.weights.h5`` file that has been read, or in another HDF5 file, whose names tell its GRUs.

    Raises
    ------
    FileError
        If it is not what it says.
    """
    grus = found_grus(tuple(stored_grus(file)), [], str(path)) or find_grus(file.tensors)
    return Checkpoint(path, KerasWeightsFormat.name, file.tensors, grus, mapped=True, left=file.left)


def _by_number(group: str) -> list[tuple[str, int]]:
    """Return what sorts ``gru_2`` before ``gru_10``, as the model has them."""
    return [(text, int(number or 0)) for text, number in re.findall(r"([^0-9]*)([0-9]{0,9})", group)]


def stored_grus(file: Hdf5) -> Iterator[StoredGRU]:
    """Yield the weights of GRUs: two or three variables of a group that have the shapes of one."""
    groups: dict[str, dict[int, str]] = {}
    for name in file.tensors:
        match = _VARIABLES.fullmatch(name)
        if match and len(match["number"]) <= 2:
            groups.setdefault(match["group"], {})[int(match["number"])] = name
    for group, numbered in sorted(groups.items(), key=lambda item: _by_number(item[0])):
        if sorted(numbered) in ([0, 1], [0, 1, 2]):
            names = {ARRAYS[number]: name for number, name in sorted(numbered.items())}
            layer = re.sub(r"/cell$", "", group)
            found = stored_gru(_path_of_group(group), group, names, file.tensors, file.text(f"{layer}/vars", "name"))
            if found is not None:
                yield found
