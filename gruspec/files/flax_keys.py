"""Trees of values as names: the keys that lead to a value, joined by slashes, and what names do not tell of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from gruspec.errors import RefusedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gruspec.files.checkpoint import Contents

Keys: TypeAlias = "tuple[str | int, ...]"
Tree: TypeAlias = "dict[str | int, Any]"
"""Entries, numbers, strings and further trees by key."""

KEYS = "keys that hold a slash, or are numbers"
"""The entry of the metadata that has the maps with such keys, by the beginnings of names: JSON."""
_MODULES_OF_ONE_KEY = ("haiku",)
"""Layouts of libraries that keep the path of a module in one key: ``{"encoder/gru": {"w_i": ...}}``."""


def joined(keys: Keys) -> str:
    """Return the name of a value.

    >>> joined(("params", "layers", 0, "kernel"))
    'params/layers/0/kernel'
    """
    return "/".join(map(str, keys))


def tree_metadata(plain: Mapping[Keys, Any], arrays: Iterable[Keys]) -> dict[str, str]:
    """Return what a tree has beside its arrays, as JSON by name, and the keys that names do not tell.

    Parameters
    ----------
    plain
        Values that are no arrays, by keys.
    arrays
        The keys of those that are.
    """
    unusual: dict[str, Keys] = {}
    for keys in (*plain, *arrays):
        for length, key in enumerate(keys, 1):
            if isinstance(key, int) or "/" in key or not key:
                unusual[joined(keys[:length])] = keys[:length]
    metadata = {joined(keys): json.dumps(value) for keys, value in plain.items()}
    return metadata | {KEYS: json.dumps(unusual)} if unusual else metadata


def tree_of(path: Path, contents: Contents) -> Tree:
    """Return everything that is to be written as one tree.

    Raises
    ------
    RefusedFile
        If two values would have the same keys, or one keys below another.
    """
    unusual: dict[str, list[str | int]] = json.loads(contents.metadata.get(KEYS, "{}"))
    unusual |= {gru.path: [gru.path] for gru in contents.grus if gru.layout in _MODULES_OF_ONE_KEY and gru.path}
    tree: Tree = {}
    for name, value in contents.metadata.items():
        if name != KEYS:
            _put(path, tree, _keys(name, unusual), json.loads(value))
    for entry in contents.entries:
        _put(path, tree, _keys(entry.name, unusual), entry)
    return tree


def _keys(name: str, unusual: Mapping[str, list[str | int]]) -> Keys:
    """Return the keys that lead to a value: the longest beginning that is known, then what slashes divide."""
    parts = name.split("/")
    for length in range(len(parts), 0, -1):
        known = unusual.get("/".join(parts[:length]))
        if known is not None:
            return (*known, *parts[length:])
    return tuple(parts)


def _put(path: Path, tree: Tree, keys: Keys, value: Any) -> None:
    for key in keys[:-1]:
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            raise RefusedFile(f"{path}: {joined(keys)}: {key} has a value, and cannot have members too")
        tree = below
    if keys[-1] not in tree:
        tree[keys[-1]] = value
    elif value != {} or not isinstance(tree[keys[-1]], dict):
        raise RefusedFile(f"{path}: {joined(keys)}: is there twice, or has members")
