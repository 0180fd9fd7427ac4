"""Models as templates: the same file with other weights for its GRUs, and every other byte as it is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from gruspec.errors import RefusedFile, listed
from gruspec.files.hdf5 import read_hdf5
from gruspec.files.templates import new_weights

MODEL_GROUP = "model_weights"
"""Where the weights are in an HDF5 file with a whole model."""

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gruspec.files.checkpoint import Checkpoint, Contents, Entry


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
