"""The containers of a checkpoint: tensors by the names of the keys that lead to them, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError, RefusedFile

from .records import Call
from .storages import Left, tensor, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gruspec.files import Tensor

    from .records import Budget
    from .storages import Storages

CONTAINERS = "containers"
"""Key of the metadata that says what each container of tensors is, where there is more than one dict of them."""
DICT, NUMBERED, LIST = "dict", "numbered", "list"
"""A dict, a dict with whole numbers as keys, a list or tuple."""
_DEEPEST = 32
_NAMED = 1000
"""Bytes of memory that a named tensor takes at most, with what else is kept of it."""


class Found:
    """What is in a checkpoint.

    Parameters
    ----------
    value
        As :func:`unpickled` gives it.
    storages
        Of the file.
    largest
        Bytes that a tensor may have.
    where
        For messages.
    budget
        Charged for every name.

    Raises
    ------
    FileError
        If a tensor is not inside its storage, or two have one name.
    """

    def __init__(self, value: Any, storages: Storages, largest: int, where: str, budget: Budget) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.left: dict[str, str] = {}
        self.containers: dict[str, str] = {}
        self._storages, self._largest, self._where, self._budget = storages, largest, where, budget
        if isinstance(value, Call):
            self._take("tensor", value)
        elif isinstance(value, dict | list | tuple):
            self._enter("", value, 0)
        else:
            raise FileError(f"{where}: holds {type(value).__name__}, and no tensors")

    @property
    def metadata(self) -> dict[str, str]:
        """What a writer needs to nest the tensors again; nothing for one dict of them."""
        return {} if self.containers in ({}, {"": DICT}) else {CONTAINERS: json.dumps(self.containers)}

    def _enter(self, path: str, value: Any, depth: int) -> bool:
        """Take what is in a container, and return whether any of it is a tensor."""
        before = len(self.left)
        self.containers[path] = _kind(value)
        found = [self._visit(f"{path}/{key}" if path else key, child, depth) for key, child in _children(value)]
        if any(found) or not path:
            return True
        del self.containers[path]
        for name in list(self.left)[before:]:
            del self.left[name]
        self._leave(path, f"has no tensors: {type(value).__name__} of {len(value)}")
        return False

    def _visit(self, path: str, value: Any, depth: int) -> bool:
        self._budget.take(_NAMED + 4 * len(path), "the names of what it holds")
        if isinstance(value, Call):
            return self._take(path, value)
        if not isinstance(value, dict | list | tuple):
            self._leave(path, f"is no tensor: {type(value).__name__} {value!r:.60}")
        elif depth == _DEEPEST:
            self._leave(path, f"is nested deeper than {_DEEPEST}")
        else:
            return self._enter(path, value, depth + 1)
        return False

    def _take(self, name: str, value: Call) -> bool:
        view = view_of(value, f"{self._where}: {name!r}")
        found = view if isinstance(view, Left) else tensor(name, view, self._storages, self._largest, self._where)
        if isinstance(found, Left):
            self._leave(name, found.reason)
            return False
        self._check_new(name)
        self.tensors[name] = found
        return True

    def _leave(self, name: str, reason: str) -> None:
        self._check_new(name)
        self.left[name] = reason

    def _check_new(self, name: str) -> None:
        if name in self.tensors or name in self.left:
            raise FileError(f"{self._where}: two entries have the name {name!r}")


def _kind(value: Any) -> str:
    if not isinstance(value, dict):
        return LIST
    return NUMBERED if value and all(type(key) is int for key in value) else DICT


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
        yield name.encode("utf-8", "backslashreplace").decode(), child


def nested(values: Mapping[str, Any], metadata: Mapping[str, str]) -> Any:
    """Return values in the containers that they were found in; in one dict where nothing is known of any.

    Raises
    ------
    RefusedFile
        If the metadata is not what :attr:`Found.metadata` gives.
    """
    kinds = _kinds(metadata)
    items: dict[str, dict[str, Any]] = {"": {}}

    def container(path: str) -> dict[str, Any]:
        if path not in items:
            above, key = _split(path, kinds)
            items[path] = {}
            container(above)[key] = items[path]
        return items[path]

    for name, value in values.items():
        above, key = _split(name, kinds)
        container(above)[key] = value
    return _shaped("", items[""], kinds)


def _kinds(metadata: Mapping[str, str]) -> dict[str, str]:
    try:
        kinds = json.loads(metadata.get(CONTAINERS, "{}"))
    except ValueError as error:
        raise RefusedFile(f"metadata {CONTAINERS!r}: {error}") from error
    if not isinstance(kinds, dict) or not all(kind in (DICT, NUMBERED, LIST) for kind in kinds.values()):
        raise RefusedFile(f"metadata {CONTAINERS!r}: expected a mapping of names to {DICT}, {NUMBERED} or {LIST}")
    return kinds


def _split(name: str, kinds: Mapping[str, str]) -> tuple[str, str]:
    """Return the innermost known container of a name, and the key in it."""
    position = name.rfind("/")
    while position > 0:
        if name[:position] in kinds:
            return name[:position], name[position + 1 :]
        position = name.rfind("/", 0, position)
    return "", name


def _shaped(path: str, items: dict[str, Any], kinds: Mapping[str, str]) -> Any:
    """Return a container, and those in it, as they are to be; a list that misses entries is a dict of numbers."""
    shaped = {
        key: _shaped(f"{path}/{key}" if path else key, value, kinds) if isinstance(value, dict) else value
        for key, value in items.items()
    }
    kind = kinds.get(path, DICT)
    if kind == DICT or not all(key.isdecimal() for key in shaped):
        return shaped
    numbered = {int(key): value for key, value in shaped.items()}
    return list(numbered.values()) if kind == LIST and list(numbered) == list(range(len(numbered))) else numbered
