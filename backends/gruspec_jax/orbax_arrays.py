"""Arrays of orbax's checkpoints, read by tensorstore in a process of its own: importing this starts what reading needs.

https://orbax.readthedocs.io/en/latest/guides/checkpoint/checkpoint_format.html: ``_METADATA`` has the tree, and every
array is a zarr array, either in the folder or in the folder's OCDBT database, by its keys joined by dots.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore

from gruspec.errors import FileError

METADATA = "_METADATA"
_STRINGS = "_strings.json"
_STRING = "string"
_NOTHING: dict[str, Any] = {"None": None, "Dict": {}, "List": []}
_ONE_AT_A_TIME = {"limit": 1}
_CONTEXT = tensorstore.Context(
    {
        "data_copy_concurrency": _ONE_AT_A_TIME,
        "file_io_concurrency": _ONE_AT_A_TIME,
        "cache_pool": {"total_bytes_limit": 0},
    }
)


def _start_threads() -> None:
    """Write and read an array in memory, so that all threads run before the memory of the process is limited."""
    spec = {"driver": "zarr", "kvstore": "memory://", "metadata": {"shape": [8], "chunks": [4], "dtype": "<f4"}}
    array = tensorstore.open(spec, create=True, context=_CONTEXT).result()
    array.write(np.zeros(8, np.float32)).result()
    array.read().result()


_start_threads()


def index(folder: str, most_bytes: int, target: str, at_once: int) -> dict[str, Any]:
    """Return what a checkpoint has, and copy its arrays if they are few.

    Parameters
    ----------
    folder
        With a file ``_METADATA``.
    most_bytes
        How long an array, and a chunk of one, may be.
    target
        A file that does not exist, for :func:`copy`.
    at_once
        How long all arrays together may be to be copied.

    Returns
    -------
    dict
        ``arrays``: keys, shape, dtype, bytes and where it is kept, of each; ``plain``: keys and value of each string,
        None and empty member; ``copied``: whether the arrays are in the target.

    Raises
    ------
    FileError
        If it is damaged, or declares more than it may.
    """
    place = Path(folder)
    metadata = json.loads((place / METADATA).read_text(encoding="utf-8"))
    strings = json.loads((place / _STRINGS).read_text(encoding="utf-8")) if (place / _STRINGS).is_file() else {}
    arrays: list[list[Any]] = []
    plain: list[list[Any]] = []
    for leaf in metadata["tree_metadata"].values():
        keys = [str(key["key"]) for key in leaf["key_metadata"]]
        value = leaf["value_metadata"]
        if value["value_type"] == _STRING:
            plain.append([keys, str(strings[".".join(keys)])])
        elif value["skip_deserialize"]:
            plain.append([keys, _NOTHING.get(value["value_type"], str(value["value_type"]))])
        else:
            kept = _kept(place, metadata, ".".join(keys))
            array = _opened(folder, kept)
            dtype, length = _checked(folder, keys, array, most_bytes)
            arrays.append([keys, list(array.shape), dtype, length, kept])
    few = sum(array[3] for array in arrays) <= at_once
    if few:
        copy(folder, [array[4] for array in arrays], target)
    return {"arrays": arrays, "plain": plain, "copied": few}


def _kept(place: Path, metadata: dict[str, Any], name: str) -> dict[str, Any]:
    driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
    filled = not metadata.get("store_array_data_equal_to_fill_value", False)
    store: dict[str, Any]
    if metadata.get("use_ocdbt", True):
        store = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{place}/"}, "path": f"{name}/"}
    elif "/" in name or name in (".", ".."):
        raise FileError(f"{place}: {name!r}: leads out of the folder")
    else:
        store = {"driver": "file", "path": f"{place}/{name}/"}
    return {"driver": driver, "kvstore": store, "fill_missing_data_reads": filled}


def _opened(folder: str, kept: dict[str, Any]) -> Any:
    try:
        return tensorstore.open(kept, open=True, read=True, context=_CONTEXT).result()
    except ValueError as error:
        raise FileError(f"{folder}: {kept['kvstore']['path']}: {str(error).partition('[')[0]}") from error


def _checked(folder: str, keys: list[str], array: Any, most_bytes: int) -> tuple[str, int]:
    """Return the name of the dtype of an array, and its bytes."""
    dtype = array.dtype.numpy_dtype
    lengths = []
    for what, shape in (("shape", array.shape), ("chunks of shape", array.chunk_layout.read_chunk.shape or ())):
        length = math.prod(map(int, shape)) * dtype.itemsize
        lengths.append(length)
        if length > most_bytes:
            raise FileError(
                f"{folder}: {'/'.join(keys)}: {what} {tuple(shape)} of {dtype} has {length} bytes, more than the "
                f"{most_bytes} that a folder of this size may have"
            )
    return str(dtype.name), lengths[0]


def copy(folder: str, kept: list[dict[str, Any]], target: str) -> None:
    """Write the bytes of arrays one after another into a new file.

    Parameters
    ----------
    folder
        Of the checkpoint, for messages.
    kept
        As :func:`index` says of each.
    target
        The file.

    Raises
    ------
    FileError
        If an array is damaged.
    """
    with Path(target).open("xb") as stream:
        for one in kept:
            try:
                values = _opened(folder, one).read(order="C").result()
            except ValueError as error:
                raise FileError(f"{folder}: {one['kvstore']['path']}: {str(error).partition('[')[0]}") from error
            stream.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
