"""Which GRUs of a file are meant, and their weights, with what the file does not tell filled in."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from gruspec.errors import UsageError, listed
from gruspec.layouts import layout_named, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gruspec.files.checkpoint import Checkpoint, FoundGRU
    from gruspec.layouts import Weights

_MOST_NAMES = 20
"""How many names a message lists."""


@dataclass(frozen=True)
class Told:
    """What the caller tells about GRUs where the file does not.

    Parameters
    ----------
    layout
        Name of the layout; the likeliest of those that are possible for None.
    reset_after
        The variant.
    units
        Where one vector holds everything.
    stack
        Numbers of layers and of directions, where one vector holds everything.
    activation, recurrent_activation
        Names as of :data:`gruspec.spec.ACTIVATIONS`.
    """

    layout: str | None = None
    reset_after: bool | None = None
    units: int | None = None
    stack: tuple[int, int] | None = None
    activation: str | None = None
    recurrent_activation: str | None = None

    def activations_of(self, gru: FoundGRU) -> tuple[str | None, str | None]:
        """Return the activation and the recurrent activation of a GRU: what its file tells, or else the caller.

        Raises
        ------
        UsageError
            If both tell, and not the same.
        """
        return (
            _agreed(gru, "activation", gru.activation, self.activation),
            _agreed(gru, "recurrent_activation", gru.recurrent_activation, self.recurrent_activation),
        )


_Value = TypeVar("_Value", str, bool)


def _agreed(gru: FoundGRU, name: str, in_file: _Value | None, given: _Value | None) -> _Value | None:
    if in_file is not None and given is not None and in_file != given:
        raise UsageError(f"{name}={given!r}: the file says {in_file!r} for {titled(gru)}; leave it out")
    return given if in_file is None else in_file


def titled(gru: FoundGRU) -> str:
    """Write where a GRU is, for a message."""
    return gru.path or "the GRU of the file"


def selected(checkpoint: Checkpoint, layers: Iterable[str]) -> list[FoundGRU]:
    """Return the GRUs that are named, in the order of the file; all for no names.

    Parameters
    ----------
    checkpoint
        The open file.
    layers
        Paths of GRUs, in which ``*``, ``?`` and ``[...]`` stand for others, as in file names.

    Raises
    ------
    UsageError
        If the file has no GRU, or a name matches none: the message lists what there is.
    """
    if not checkpoint.grus:
        raise UsageError(f"{checkpoint.path}: no GRU is in it; its tensors are {some(checkpoint.tensors)}")
    wanted = list(layers)
    for name in wanted:
        if not any(_matches(gru, name) for gru in checkpoint.grus):
            there = some(repr(gru.path) for gru in checkpoint.grus)
            raise UsageError(f"layers={name!r}: {checkpoint.path} has no such GRU; there are {there}")
    return [gru for gru in checkpoint.grus if not wanted or any(_matches(gru, name) for name in wanted)]


def _matches(gru: FoundGRU, name: str) -> bool:
    return gru.path == name or fnmatchcase(gru.path, name)


def read_weights(checkpoint: Checkpoint, gru: FoundGRU, told: Told | None = None) -> Weights:
    """Return the weights of a GRU of an open file; views of the file where it is mapped.

    Parameters
    ----------
    checkpoint
        The open file.
    gru
        One of its GRUs.
    told
        What the file does not tell.

    Raises
    ------
    UsageError
        If something is needed that neither tells, or both tell and not the same.
    SpecError, SpecTypeError
        If its tensors are not weights of a GRU.
    """
    told = told or Told()
    if told.layout is not None and told.layout not in gru.layouts:
        raise UsageError(f"source_layout={told.layout!r}: {titled(gru)} is in {' or '.join(gru.layouts)}")
    layers, directions = told.stack or (None, None)
    return unpack(
        {array: checkpoint.tensors[name].read() for array, name in gru.names.items()},
        layout_named(told.layout or gru.layout),
        reset_after=_agreed(gru, "reset_after", gru.reset_after, told.reset_after),
        units=told.units,
        layers=layers,
        directions=directions,
    )


def some(names: Iterable[object]) -> str:
    """Write names for a message, not more than fit."""
    every = list(names)
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return listed(every[:_MOST_NAMES]) + more
