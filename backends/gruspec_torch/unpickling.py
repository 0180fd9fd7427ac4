"""What a pickle says, without doing it: no name in it is looked up, nothing is imported, called or built.

A pickle is a program. Here its opcodes make plain Python values, and the inert records of
:mod:`gruspec_torch.records` in the place of everything that loading it would import or call. Names that no state dict
needs are refused. The opcodes are those of https://docs.python.org/3/library/pickletools.html up to protocol 5; the
names are those that ``torch.load`` takes with ``weights_only=True`` (torch/_weights_only_unpickler.py).
"""

from __future__ import annotations

import pickletools
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from gruspec.errors import FileError

from .records import Call, Global, Stored, Unpickled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .records import Budget

_REBUILD = "torch._utils._rebuild_"
_HARMLESS = re.compile(
    r"collections\.(?:OrderedDict|Counter)"
    r"|builtins\.(?:bytearray|set|complex)"
    r"|_codecs\.encode"
    r"|torch\.(?:Tensor|Size|device|nn\.parameter\.(?:Parameter|Buffer)|serialization\._get_layout)"
    r"|torch\.(?:cuda\.|storage\.)?\w*Storage"
    r"|torch\.(?:b?float|u?int|bits|bool|complex|qu?int|per_(?:tensor|channel)_)\w*"
    r"|torch\._tensor\._rebuild_from_type_v2"
    rf"|{re.escape(_REBUILD)}(?:tensor|tensor_v2|tensor_v3|parameter|parameter_with_state|qtensor|sparse_tensor"
    r"|meta_tensor_no_storage|nested_tensor|wrapper_subclass|device_tensor_from_numpy|device_tensor_from_cpu_tensor)"
)
"""Names that stand for data: what is made of them is data too."""

_WORTH = {
    "MARK": 88,
    "EMPTY_SET": 232,
    "BINPUT": 140,
    "LONG_BINPUT": 140,
    "MEMOIZE": 140,
    "GLOBAL": 160,
    "STACK_GLOBAL": 160,
    "REDUCE": 320,
    "NEWOBJ": 320,
    "BINPERSID": 120,
    "SETITEM": 120,
}
"""Bytes of memory that an opcode takes at most, where that is more than a small value's."""
_SMALL = 72
_ITEM = 120


class Source(Protocol):
    """Where a pickle is read from: a :class:`io.BytesIO`, or a mapped file. Reads end with the file."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes."""

    def readline(self) -> bytes:
        """Return a line."""

    def tell(self) -> int:
        """Return the position."""


def unpickled(source: Source | BinaryIO, where: str, budget: Budget) -> Unpickled:
    """Read one pickle; ``source`` stands behind it then.

    Parameters
    ----------
    source
        Bytes.
    where
        File and record, for messages.
    budget
        Charged for every value.

    Returns
    -------
    Unpickled
        None, booleans, numbers, strings, bytes, lists, tuples, sets as lists, dicts, and the records.
        What the pickle would set as attributes of objects is dropped.

    Raises
    ------
    FileError
        If it is no pickle, or a part of one, or names what would have to be executed.
    """
    machine = _Machine(where)
    try:
        for opcode, argument, _ in pickletools.genops(source):  # type: ignore[arg-type]  # it needs no more than Source
            text = 4 * len(argument) if isinstance(argument, str | bytes) else 0
            budget.take(_WORTH.get(opcode.name, _SMALL) + text, "its pickle")
            if opcode.name == "STOP":
                return Unpickled(machine.stack.pop(), machine.stored)
            step = _STEPS.get(opcode.name)
            if step is None:
                raise FileError(f"{where}: the pickle has the opcode {opcode.name}, which no state dict needs")
            step(machine, argument, budget)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FileError(f"{where}: is a damaged pickle: {type(error).__name__}: {error}") from error
    raise FileError(f"{where}: is a pickle without an end")


class _Machine:
    """The stack that opcodes work on."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.stored: list[Stored] = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def last(self, *kinds: type) -> Any:
        """Return the value on top, which must be of these types."""
        if not isinstance(self.stack[-1], kinds):
            raise TypeError(f"{type(self.stack[-1]).__name__} is given items")
        return self.stack[-1]


def _push(machine: _Machine, argument: Any, _: Budget) -> None:
    machine.stack.append(argument)


def _pushing(make: Callable[[], Any]) -> Callable[[_Machine, Any, Budget], None]:
    return lambda machine, _argument, _budget: machine.stack.append(make())


def _nothing(machine: _Machine, argument: Any, budget: Budget) -> None:
    """Do what the opcodes do that frame a pickle."""


def _mark(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    machine.marked.append(machine.stack)
    machine.stack = []


def _pop(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    machine.stack.pop()


def _marked_tuple(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    items = tuple(machine.since_mark())
    machine.stack.append(items)


def _tuple_of(length: int) -> Callable[[_Machine, Any, Budget], None]:
    def step(machine: _Machine, _argument: Any, _budget: Budget) -> None:
        if len(machine.stack) < length:
            raise IndexError("a tuple of more than there is")
        machine.stack[-length:] = [tuple(machine.stack[-length:])]

    return step


def _append(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    item = machine.stack.pop()
    machine.last(list).append(item)


def _extend(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    items = machine.since_mark()
    machine.last(list).extend(items)


def _set_item(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    target = machine.last(dict)
    target[_key(key, len(target))] = value


def _set_items(machine: _Machine, _argument: Any, budget: Budget) -> None:
    items = machine.since_mark()
    budget.take(_ITEM * len(items), "its pickle")
    target = machine.last(dict)
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_key(key, len(target))] = value


def _key(key: Any, number: int) -> Any:
    """Return a key that hashing takes one step for: others, as tuples in tuples, are numbered."""
    return key if key is None or isinstance(key, str | int | float | bytes) else f"{type(key).__name__} {number}"


def _global(machine: _Machine, argument: str, _: Budget) -> None:
    machine.stack.append(_harmless(machine.where, argument.replace(" ", ".", 1)))


def _stack_global(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(_harmless(machine.where, f"{module}.{name}"))


def _harmless(where: str, name: str) -> Global:
    if not _HARMLESS.fullmatch(name):
        what = "a whole module, " if name.startswith("torch.nn.") else ""
        raise FileError(
            f"{where}: holds {what}{name!r}, which would have to be executed to be loaded, and gruspec executes "
            "nothing of a file; where the file is trusted, load it with torch.load(..., weights_only=False) and write "
            "the tensors alone: torch.save(module.state_dict(), ...)"
        )
    return Global(name)


def _call(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise TypeError(f"{type(function).__name__} is called")
    make = _CONTAINERS.get(function.name)
    machine.stack.append(make(arguments) if make else Call(function.name, arguments))


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return the dict that OrderedDict makes: empty, or of the pairs that older protocols give it."""
    pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
    return {_key(pair[0], number): pair[1] for number, pair in enumerate(pairs)}


_CONTAINERS: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": _ordered,
}


def _persistent(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    stored = Stored(machine.stack.pop())
    machine.stored.append(stored)
    machine.stack.append(stored)


def _put(machine: _Machine, argument: int, _: Budget) -> None:
    machine.memo[argument] = machine.stack[-1]


def _memoize(machine: _Machine, _argument: Any, _budget: Budget) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: _Machine, argument: int, _: Budget) -> None:
    machine.stack.append(machine.memo[argument])


_STEPS: Mapping[str, Callable[[_Machine, Any, Budget], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(
        (
            *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
            *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
            *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        ),
        _push,
    ),
    "NONE": _pushing(lambda: None),
    "NEWTRUE": _pushing(lambda: True),
    "NEWFALSE": _pushing(lambda: False),
    "EMPTY_LIST": _pushing(list),
    "EMPTY_SET": _pushing(list),
    "EMPTY_DICT": _pushing(dict),
    "EMPTY_TUPLE": _pushing(tuple),
    "MARK": _mark,
    "POP": _pop,
    "BUILD": _pop,
    "TUPLE": _marked_tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _extend,
    "ADDITEMS": _extend,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "BINPERSID": _persistent,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": _memoize,
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _get),
}
"""What each opcode does, those that state dicts need and no more."""
