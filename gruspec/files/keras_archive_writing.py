"""``.keras`` archives written: a template with other weights, or a Sequential model of one GRU."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gruspec.errors import RefusedFile, listed
from gruspec.files.hdf5 import read_hdf5, write_hdf5
from gruspec.files.keras_template import places
from gruspec.files.keras_zip import CONFIG, METADATA, WEIGHTS, Place, located_weights, opened_archive
from gruspec.files.templates import new_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gruspec.files.checkpoint import Checkpoint, Contents, Entry, WrittenGRU

_BLOCK = 1 << 20
_VERSION = "3.0.0"
_DATE = "1980-01-01@00:00:00"
_ALIKE = ("tanh", "sigmoid", "relu", "linear", "softplus", "softsign", "elu", "exponential")
"""Activations that Keras 2 and Keras 3 compute alike under one name: hard_sigmoid is not one."""
_DTYPES = ("float16", "float32", "float64")
_FLAGS = ("return_sequences", "return_state", "go_backwards", "unroll", "zero_output_for_mask")
_RATES = ("dropout", "recurrent_dropout")
_REFUSED = ("stateful", "time_major")


def write_patched_archive(path: Path, contents: Contents, template: Checkpoint) -> None:
    """Copy an archive, with new values for its GRUs; every other member keeps every byte.

    Raises
    ------
    RefusedFile
        If the template does not fit.
    FileError
        If it is damaged.
    """
    changed = new_weights(path, contents, template)
    with opened_archive(template.path) as archive, located_weights(archive, template.path) as weights:
        offsets = _offsets(template.path, weights)
        patches = places(path, template.path, changed, offsets)
        with zipfile.ZipFile(path, "x") as target:
            for member in archive.infolist():
                copy = zipfile.ZipInfo(member.filename, member.date_time)
                copy.compress_type, copy.external_attr = member.compress_type, member.external_attr
                with target.open(copy, "w", force_zip64=member.file_size >= zipfile.ZIP64_LIMIT) as stream:
                    blocks = _patched(weights, patches) if member.filename == WEIGHTS else _blocks(archive, member)
                    stream.writelines(blocks)


def _offsets(title: Path, weights: Place) -> dict[str, int]:
    return read_hdf5(weights.path, start=weights.start, length=weights.length, title=title).offsets


def _blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(member) as source:
        while block := source.read(_BLOCK):
            yield block


def _patched(weights: Place, patches: Sequence[tuple[int, Entry]]) -> Iterator[bytes]:
    """Yield the weights with new values at their places, which are in the order of the file and do not overlap."""
    end = weights.start + weights.length
    with weights.path.open("rb") as source:
        source.seek(weights.start)
        for offset, entry in patches:
            yield from _until(source, offset)
            values = entry.array().tobytes()
            yield values
            source.seek(len(values), 1)
        yield from _until(source, end)


def _until(source: IO[bytes], end: int) -> Iterator[bytes]:
    while block := source.read(min(_BLOCK, max(0, end - source.tell()))):
        yield block


def write_sequential(path: Path, contents: Contents) -> None:
    """Write a Sequential model that is one GRU, which tf_keras and Keras 3 load and compute alike.

    Raises
    ------
    RefusedFile
        If there is more than one GRU or anything else, or not everything about it is known or can be said to both.
    """
    problems = list(_problems(contents))
    if problems:
        raise RefusedFile(
            f"{path}: {'; '.join(problems)}. Without a template, a .keras file is written for a single GRU; give the "
            "model, saved by Keras with any weights, as template, or write .h5 or .weights.h5, which hold weights alone"
        )
    (gru,) = contents.grus
    with tempfile.TemporaryDirectory(prefix="gruspec-") as folder:
        weights = Path(folder, WEIGHTS)
        write_hdf5(weights, _entries(gru), {"vars": {}, "layers/gru/vars": {}, "layers/gru/cell/vars": {}})
        with zipfile.ZipFile(path, "x") as target:
            for name, value in ((METADATA, {"keras_version": _VERSION, "date_saved": _DATE}), (CONFIG, _model(gru))):
                target.writestr(zipfile.ZipInfo(name), json.dumps(value))
            target.write(weights, WEIGHTS)


def _entries(gru: WrittenGRU) -> list[Entry]:
    return [replace(entry, name=f"layers/gru/cell/vars/{number}") for number, entry in enumerate(gru.arrays.values())]


def _problems(contents: Contents) -> Iterator[str]:
    if contents.carried:
        yield f"there are other tensors: {listed(entry.name for entry in contents.carried)}"
    if len(contents.grus) != 1:
        yield f"there are {len(contents.grus)} GRUs"
        return
    (gru,) = contents.grus
    if gru.layout != "keras":
        yield f"the layout is {gru.layout}, not keras"
    for name, value in (("activation", gru.activation), ("recurrent_activation", gru.recurrent_activation)):
        if value not in _ALIKE:
            yield f"{name} is {value or 'not known'}, expected one of {listed(_ALIKE)}"
    dtype = next(iter(gru.arrays.values())).dtype.name
    if dtype not in _DTYPES:
        yield f"the dtype is {dtype}, expected one of {listed(_DTYPES)}"
    for name in _REFUSED:
        if gru.options.get(name):
            yield f"{name} is set, which not every Keras can load"


def _model(gru: WrittenGRU) -> dict[str, Any]:
    """Return the configuration of the model, with arguments alone that every Keras knows."""
    shape = [None, None, gru.sizes.input_size]
    known = {name: gru.options[name] for name in (*_FLAGS, *_RATES) if gru.options.get(name)}
    config = {
        "name": gru.path.replace("/", "_") or "gru",
        "trainable": True,
        "dtype": next(iter(gru.arrays.values())).dtype.name,
        "units": gru.sizes.units,
        "activation": gru.activation,
        "recurrent_activation": gru.recurrent_activation,
        "use_bias": gru.use_bias,
        "reset_after": gru.reset_after,
        **known,
    }
    layer = {
        "module": "keras.layers",
        "class_name": "GRU",
        "config": config,
        "registered_name": None,
        "build_config": {"input_shape": shape},
    }
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "trainable": True, "layers": [layer], "build_input_shape": shape},
        "registered_name": None,
        "build_config": {"input_shape": shape},
    }
