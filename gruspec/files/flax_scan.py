"""MessagePack walked in a mapped file: where every leaf lies, before anything is decoded or allocated.

https://github.com/msgpack/msgpack/blob/master/spec.md. Lengths and counts are checked against the file, and nesting,
and the names that follow from it, are limited; the leaves are then decoded by whoever knows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gruspec.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.files.mapping import MappedFile

MAP, ARRAY, TEXT, BYTES, EXTENSION, PLAIN = "map", "array", "text", "bytes", "extension", "plain"
_DEEPEST = 64
_NAMES_PER_BYTE = 8
_SHORT = 1 << 20
_LONGEST_HEADER = 6
_PLAIN_BYTES = {
    **dict.fromkeys((*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3), 0),
    **dict(zip(range(0xCC, 0xD4), (1, 2, 4, 8, 1, 2, 4, 8), strict=True)),
    0xCA: 4,
    0xCB: 8,
}
"""How many bytes follow the first one of null, booleans and numbers."""
_SIZED = {
    0xC4: (BYTES, 1),
    0xC5: (BYTES, 2),
    0xC6: (BYTES, 4),
    0xC7: (EXTENSION, 1),
    0xC8: (EXTENSION, 2),
    0xC9: (EXTENSION, 4),
    0xD9: (TEXT, 1),
    0xDA: (TEXT, 2),
    0xDB: (TEXT, 4),
    0xDC: (ARRAY, 2),
    0xDD: (ARRAY, 4),
    0xDE: (MAP, 2),
    0xDF: (MAP, 4),
}
"""Kind, and how many bytes its size has."""
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class Item(NamedTuple):
    """A value in the file.

    ``size`` is how many members a map or an array has, for others the bytes from ``content`` on; ``code`` is the type
    of an extension, else the first byte.
    """

    kind: str
    start: int
    content: int
    size: int
    code: int

    @property
    def end(self) -> int:
        """The offset behind it, for what has no members."""
        return self.content + self.size


class Leaf(NamedTuple):
    """A value that has no members, or an empty map or array, and the keys that lead to it."""

    keys: tuple[str | int, ...]
    item: Item


def item_at(file: MappedFile, position: int) -> Item:
    """Return the value that begins at an offset.

    Raises
    ------
    FileError
        If there is none, or it is longer than the file.
    """
    header = file.bytes(position, _LONGEST_HEADER)
    if not header:
        raise FileError(f"{file.path}: ends at offset {position}, where a value is expected")
    item = _item(header, position)
    if item is None:
        raise FileError(f"{file.path}: no value of MessagePack begins with {header[0]:#04x} at offset {position}")
    least = item.size * (2 if item.kind == MAP else 1)
    if item.content + least > len(file):
        raise FileError(
            f"{file.path}: the {item.kind} of size {item.size} at offset {position} reaches beyond the end of the file"
        )
    return item


def _item(header: bytes, position: int) -> Item | None:
    first = header[0]
    after = position + 1
    if first in _PLAIN_BYTES:
        return Item(PLAIN, position, after, _PLAIN_BYTES[first], first)
    if first in _FIXED_EXTENSIONS:
        return Item(EXTENSION, position, after + 1, _FIXED_EXTENSIONS[first], _type(header[1:2]))
    if first in _SIZED:
        kind, width = _SIZED[first]
        size = int.from_bytes(header[1 : 1 + width], "big")
        if kind == EXTENSION:
            return Item(kind, position, after + width + 1, size, _type(header[1 + width : 2 + width]))
        return Item(kind, position, after + width, size, first)
    for lowest, kind, mask in ((0x80, MAP, 0x0F), (0x90, ARRAY, 0x0F), (0xA0, TEXT, 0x1F)):
        if first & ~mask == lowest:
            return Item(kind, position, after, first & mask, first)
    return None


def _type(encoded: bytes) -> int:
    return int.from_bytes(encoded, "big", signed=True)


def leaves(file: MappedFile) -> Iterator[Leaf]:
    """Yield every leaf of the one value that a file is, in order.

    Raises
    ------
    FileError
        If the file is damaged, nested deeper than 64, or has other keys than strings and numbers, or one twice.
    """
    position = 0
    open_items: list[tuple[Item, int, tuple[str | int, ...], set[str | int]]] = []
    keys: tuple[str | int, ...] = ()
    length = 0
    while True:
        item = item_at(file, position)
        position = item.content
        if item.kind in (MAP, ARRAY) and item.size:
            if len(open_items) == _DEEPEST:
                raise FileError(f"{file.path}: nested deeper than {_DEEPEST} at offset {item.start}")
            open_items.append((item, item.size, keys, set()))
        else:
            position = item.end if item.kind not in (MAP, ARRAY) else item.content
            length += sum(len(key) if isinstance(key, str) else 1 for key in keys)
            if length > _NAMES_PER_BYTE * len(file) + _SHORT:
                raise FileError(f"{file.path}: its names are more than {_NAMES_PER_BYTE} times as long as the file")
            yield Leaf(keys, item)
        while open_items and not open_items[-1][1]:
            open_items.pop()
        if not open_items:
            break
        around, rest, above, seen = open_items.pop()
        key: str | int = around.size - rest
        if around.kind == MAP:
            key, position = _key(file, position)
        if key in seen:
            raise FileError(f"{file.path}: the key {key!r:.80} at offset {position} is there twice")
        seen.add(key)
        open_items.append((around, rest - 1, above, seen))
        keys = (*above, key)
    if position != len(file):
        raise FileError(f"{file.path}: {len(file) - position} bytes from offset {position} on belong to no value")


def _key(file: MappedFile, position: int) -> tuple[str | int, int]:
    item = item_at(file, position)
    encoded = file.bytes(item.content, item.size)
    if item.kind == TEXT:
        return decoded(file, item), item.end
    if item.kind == PLAIN and item.code < 0x80:
        return item.code, item.end
    if item.kind == PLAIN and item.code in range(0xCC, 0xD4):
        return int.from_bytes(encoded, "big", signed=item.code >= 0xD0), item.end
    raise FileError(f"{file.path}: the key at offset {position} is neither a string nor a number")


def decoded(file: MappedFile, item: Item) -> str:
    """Return a string of the file.

    Raises
    ------
    FileError
        If it is not UTF-8.
    """
    try:
        return file.bytes(item.content, item.size).decode()
    except UnicodeDecodeError as error:
        raise FileError(f"{file.path}: the string at offset {item.start} is not UTF-8: {error}") from error
