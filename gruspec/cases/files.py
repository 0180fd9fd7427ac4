"""The files of golden data: equal cases give equal bytes, and nothing is read that the manifest does not vouch for."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gruspec.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST = "manifest.json"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def json_bytes(document: Any) -> bytes:
    """Return a JSON document as bytes, one way only."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def listing_bytes(header: Mapping[str, Any], name: str, items: Iterable[Any]) -> bytes:
    """Return a JSON object of a header and a list, with one item to a line so that changes can be read."""
    lines = (json.dumps(item, ensure_ascii=False, allow_nan=False, separators=(",", ":")) for item in items)
    head = json_bytes(header).decode().removesuffix("\n}\n")
    return (head + f',\n "{name}": [\n' + ",\n".join(lines) + "\n ]\n}\n").encode()


def tensor_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as a safetensors file.

    Raises
    ------
    IntegrityError
        If what was written does not read back bit for bit.
    """
    contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    data: bytes = save(contiguous)
    for key, array in load(data).items():
        if array.dtype != contiguous[key].dtype or array.tobytes() != contiguous[key].tobytes():
            raise IntegrityError(f"{key}: reads back differently from what was written")
    return data


def sha256(data: bytes) -> str:
    """Return the SHA-256 digest of a file's content, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    IntegrityError
        If it is missing or no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: no such file") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: not a JSON file: {error}") from error


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a safetensors file.

    Raises
    ------
    IntegrityError
        If it is missing or no safetensors file, or has a dtype that NumPy lacks.
    """
    try:
        tensors: dict[str, NDArray[Any]] = load(path.read_bytes())
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: no such file") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{path}: not a safetensors file of NumPy arrays: {error}") from error
    return tensors


def verify(root: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare files with what a manifest says about them.

    Raises
    ------
    IntegrityError
        If a file is missing, lies outside ``root``, or has another size or digest.
    """
    for name, entry in files.items():
        path = root / name
        if ".." in path.parts or not path.resolve().is_relative_to(root.resolve()):
            raise IntegrityError(f"{MANIFEST}: {name} lies outside {root}")
        if not path.is_file():
            raise IntegrityError(f"{path}: listed in {MANIFEST}, but there is no such file")
        data = path.read_bytes()
        if len(data) != entry["bytes"] or sha256(data) != entry["sha256"]:
            raise IntegrityError(f"{path}: its content is not what {MANIFEST} says; restore it, or generate it anew")
