"""Models as templates: the same file with other weights for its GRUs, and every other byte as it is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import RefusedFile, listed
from gruspec.files.hdf5 import read_hdf5

MODEL_GROUP = "model_weights"
"""Where the weights are in an HDF5 file with a whole model."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gruspec.files.checkpoint import Checkpoint, Contents, Entry, FoundGRU, WrittenGRU


def new_weights(path: Path, contents: Contents, template: Checkpoint) -> dict[str, Entry]:
    """Return what is to be written over tensors of a template, by their names there.

    A GRU takes the place of the one of its path, or of the only one.

    Raises
    ------
    RefusedFile
        If there is no such GRU, or it differs in layout, variant, activations, shapes or dtype.
    """
    changed: dict[str, Entry] = {}
    problems: list[str] = []
    for gru in contents.grus:
        own = _place_of(gru, contents, template)
        if own is None:
            there = listed(found.path for found in template.grus)
            problems.append(f"{gru.path}: no GRU of that path is in the template, which has {there}; rename it")
            continue
        problems.extend(f"{gru.path}: {difference}" for difference in _differences(gru, own, template))
        changed.update((own.names[array], entry) for array, entry in gru.arrays.items() if array in own.names)
    if problems:
        raise RefusedFile(f"{path}: {template.path} does not fit as its template: {'; '.join(problems)}")
    return changed


def _place_of(gru: WrittenGRU, contents: Contents, template: Checkpoint) -> FoundGRU | None:
    same = [found for found in template.grus if found.path == gru.path]
    if not same and len(contents.grus) == len(template.grus) == 1:
        return template.grus[0]
    return same[0] if same else None


def _differences(gru: WrittenGRU, own: FoundGRU, template: Checkpoint) -> Iterator[str]:
    facts: tuple[tuple[str, Any, Any], ...] = (
        ("layout", gru.layout, own.layout),
        ("reset_after", gru.reset_after, own.reset_after),
        ("use_bias", gru.use_bias, own.use_bias),
        ("activation", gru.activation, own.activation),
        ("recurrent_activation", gru.recurrent_activation, own.recurrent_activation),
    )
    for name, new, old in facts:
        if new is not None and old is not None and new != old:
            yield f"{name} is {new}, in the template {old}"
    for array in own.names.keys() & gru.arrays.keys():
        entry, tensor = gru.arrays[array], template.tensors[own.names[array]]
        if (entry.shape, entry.dtype) != (tensor.shape, tensor.dtype):
            yield f"{array} is {entry.dtype} {entry.shape}, in the template {tensor.dtype} {tensor.shape}"


def places(
    path: Path, template: Path, changed: Mapping[str, Entry], offsets: Mapping[str, int]
) -> list[tuple[int, Entry]]:
    """Return where in a file the new values go, in the order of the file.

    Raises
    ------
    RefusedFile
        If some do not lie plain in the file.
    """
    packed = [name for name, entry in changed.items() if name not in offsets and 0 not in entry.shape]
    if packed:
        raise RefusedFile(
            f"{path}: the template {template} keeps {listed(packed)} compressed or in chunks, where nothing can be "
            "replaced; save it again with Keras, which does neither"
        )
    found = [(offsets[name], entry) for name, entry in changed.items() if name in offsets]
    return sorted(found, key=lambda place: place[0])


def model_offsets(template: Checkpoint) -> dict[str, int]:
    """Return where the tensors of a template begin in its file; in a whole model they are in a group of their own."""
    offsets = read_hdf5(template.path).offsets
    return {name.removeprefix(f"{MODEL_GROUP}/"): offset for name, offset in offsets.items()}


def write_patched(path: Path, contents: Contents, template: Checkpoint) -> None:
    """Copy a template that is an HDF5 file, with new values for its GRUs.

    Parameters
    ----------
    path
        The new file.
    contents
        What to write.
    template
        Open.

    Raises
    ------
    RefusedFile
        If the template does not fit.
    """
    changed = new_weights(path, contents, template)
    patches = places(path, template.path, changed, model_offsets(template))
    shutil.copyfile(template.path, path)
    for offset, entry in patches:
        view = np.memmap(path, entry.dtype, "r+", offset, entry.shape)
        entry.fill(view)
        view.flush()
