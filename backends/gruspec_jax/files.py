"""Checkpoints of orbax: folders of arrays in JAX's trees."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec.errors import FileError, RefusedFile, listed
from gruspec.files import Checkpoint, Entry, Format, Tensor
from gruspec.files.flax_finding import find_flax_grus
from gruspec.files.flax_keys import KEYS, joined, tree_metadata, tree_of
from gruspec.files.flax_packing import dtype_named
from gruspec.files.isolation import isolated
from gruspec.files.mapping import MappedFile, byte_count, possible_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.files import Contents
    from gruspec.files.flax_keys import Tree

_METADATA = "_METADATA"
_READER = "gruspec_jax.orbax_arrays"
_UNFINISHED = ".orbax-checkpoint-tmp"
_DEEPEST = 3
_BYTES_PER_BYTE = 10
_FREE_BYTES = 64 << 20
_AT_ONCE = 16 << 20
_WIDEST = 16


class OrbaxFormat(Format):
    """Reader and writer of orbax's checkpoints of trees: those of ``StandardCheckpointer`` and ``CheckpointManager``.

    They are compressed: all arrays of a checkpoint are unpacked into a temporary file when the first is asked for, and
    written from memory. Strings, None and empty members are metadata, by their names, as JSON.
    """

    name: ClassVar[str] = "orbax"
    title: ClassVar[str] = "checkpoint of orbax"
    suffixes: ClassVar[tuple[str, ...]] = (".orbax",)
    modules: ClassVar[tuple[str, ...]] = ("orbax.checkpoint", "tensorstore")
    extra: ClassVar[str | None] = "orbax"
    folder: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """Return whether a folder, or its only item or latest step, has the metadata of a tree."""
        return path.is_dir() and bool(_trees(path))

    def read(self, path: Path) -> Checkpoint:
        """Read the index of a checkpoint in a child process; the arrays follow when one is asked for."""
        trees = _trees(path)
        if len(trees) != 1:
            raise FileError(
                f"{path}: expected one tree of orbax, a folder with a file {_METADATA}; there are "
                f"{listed(tree.relative_to(path) for tree in trees)}"
            )
        return _read(path, trees[0], self.name)

    def write(self, path: Path, contents: Contents) -> None:
        """Write a checkpoint that ``StandardCheckpointer.restore`` reads."""
        if contents.template is not None:
            raise RefusedFile(
                f"{path}: checkpoints of orbax hold tensors alone, so that no template is needed: leave it out"
            )
        problems = [f"{entry.name}: {reason}" for entry in contents.entries if (reason := self.refuses(entry))]
        if problems or not contents.entries:
            raise RefusedFile(f"{path}: {'; '.join(problems) or 'orbax writes no checkpoint without tensors'}")
        tree = _arrays(tree_of(path, contents))
        from orbax.checkpoint import PyTreeCheckpointer

        PyTreeCheckpointer().save(path.absolute(), tree)

    def refuses(self, entry: Entry) -> str | None:
        """Return why a tensor cannot be held: its dtype, shape or name."""
        if dtype_named(entry.dtype.name) != entry.dtype:
            return f"orbax keeps no dtype {entry.dtype}"
        if not byte_count(entry.shape, entry.dtype):
            return f"orbax keeps no empty arrays, such as one of shape {entry.shape}"
        return "its name means something else there" if entry.name == KEYS else None


def _trees(path: Path, depth: int = 0) -> list[Path]:
    """Return the folders of trees that a path means: itself, its items, or those of its latest step."""
    if (path / _METADATA).is_file():
        return [path]
    if depth == _DEEPEST:
        return []
    folders = [below for below in sorted(path.iterdir()) if below.is_dir() and _UNFINISHED not in below.name]
    items = [below for below in folders if (below / _METADATA).is_file()]
    steps = [below for below in folders if below.name.rpartition("_")[2].isdecimal()]
    if items and len(items) > len(set(items) & set(steps)):
        return items
    return _trees(max(steps, key=lambda step: int(step.name.rpartition("_")[2])), depth + 1) if steps else []


def _read(path: Path, tree: Path, form: str) -> Checkpoint:
    inside = list(tree.rglob("*"))
    links = [str(entry.relative_to(tree)) for entry in (tree, *inside) if entry.is_symlink()]
    if links:
        raise FileError(f"{tree}: has links ({listed(links)}), which may lead out of it and are not followed")
    size = sum(entry.stat().st_size for entry in inside if entry.is_file())
    values = _Values(tree, size)
    found = values.index()
    tensors, left = {}, {}
    for keys, shape, called, length, kept in found["arrays"]:
        dtype, name = dtype_named(called), joined(tuple(keys))
        if not possible_shape(shape, _WIDEST):
            raise FileError(f"{tree}: {name}: {str(shape)[:100]} is no shape that an array can have")
        if dtype is None:
            left[name] = f"its dtype {called} is none of numbers"
        else:
            tensors[name] = Tensor(name, tuple(shape), dtype, partial(values.array, values.length, tuple(shape), dtype))
        values.add(length, kept)
    arrays = [tuple(keys) for keys, *_ in found["arrays"]]
    plain = {tuple(keys): value for keys, value in found["plain"]}
    metadata = tree_metadata(plain, arrays)
    if len(tensors.keys() | left.keys() | metadata.keys() - {KEYS}) != len(arrays) + len(plain):
        raise FileError(f"{tree}: two of its keys, joined by slashes, are the same name")
    return Checkpoint(
        path,
        form,
        tensors,
        find_flax_grus(tensors),
        metadata,
        left=left,
        files=tuple(sorted(entry for entry in inside if entry.is_file())),
        close=values.close,
    )


class _Values:
    """The arrays of a checkpoint, one after another in a temporary file, by processes that may not survive reading it.

    Few arrays are there with the index, more when the first is asked for.

    Parameters
    ----------
    tree
        The folder.
    size
        The bytes of all its files.
    """

    def __init__(self, tree: Path, size: int) -> None:
        self._tree, self._size = tree, size
        self._kept: list[dict[str, Any]] = []
        self._mapped: MappedFile | None = None
        self._most = _FREE_BYTES + _BYTES_PER_BYTE * size
        self.length = 0

    def index(self) -> dict[str, Any]:
        """Return what the checkpoint has.

        Raises
        ------
        FileError
            If it is damaged or hostile.
        """
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            target = Path(folder) / "arrays"
            arguments = {"most_bytes": self._most, "target": str(target), "at_once": _AT_ONCE}
            found: dict[str, Any] = self._isolated("index", arguments, _AT_ONCE)
            lengths = [length for _, _, _, length, _ in found["arrays"]]
            if sum(lengths) > self._most:
                raise FileError(f"{self._tree}: declares {sum(lengths)} bytes of arrays, more than {self._most}")
            if found["copied"] and any(lengths):
                self._mapped = self._checked(target, sum(lengths))
        return found

    def add(self, length: int, kept: dict[str, Any]) -> None:
        """Take note of the next array."""
        self._kept.append(kept)
        self.length += length

    def array(self, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array by its place among all."""
        if not byte_count(shape, dtype):
            return np.empty(shape, dtype)
        if self._mapped is None:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                target = Path(folder) / "arrays"
                self._isolated("copy", {"kept": self._kept, "target": str(target)}, self.length)
                self._mapped = self._checked(target, self.length)
        return self._mapped.view(start, shape, dtype)

    def _isolated(self, function: str, arguments: dict[str, Any], output_bytes: int) -> Any:
        return isolated(
            f"{_READER}:{function}",
            self._tree,
            {"folder": str(self._tree.absolute()), **arguments},
            output_bytes=output_bytes,
            size=self._size,
        )

    def _checked(self, target: Path, length: int) -> MappedFile:
        if target.stat().st_size != length:
            raise FileError(f"{self._tree}: has {target.stat().st_size} bytes of arrays, declared are {length}")
        return MappedFile(target)

    def close(self) -> None:
        """Give the arrays back."""
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None


def _arrays(tree: Tree) -> dict[str, Any]:
    """Return a tree of arrays, as orbax takes it: all keys are strings."""
    return {
        str(key): _arrays(value) if isinstance(value, dict) else value.array() if isinstance(value, Entry) else value
        for key, value in tree.items()
    }
