"""Which GRUs of a file are meant, and their weights, with what the file does not tell filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

from gruspec.errors import RefusedFile, SpecError, SpecTypeError, UsageError, listed
from gruspec.files.comparing import same_values
from gruspec.layouts import check_activation, layout_named, unpack
from gruspec.layouts.printing import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

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
        Name of the layout; for None the likeliest, where its tensors can be in several.
    reset_after
        The variant.
    units
        Where one vector holds everything.
    stack
        Numbers of layers and of directions, where one vector holds everything.
    activation, recurrent_activation
        Names as of :data:`gruspec.spec.ACTIVATIONS`.

    Raises
    ------
    UsageError
        If an activation is none that anybody has.
    """

    layout: str | None = None
    reset_after: bool | None = None
    units: int | None = None
    stack: tuple[int, int] | None = None
    activation: str | None = None
    recurrent_activation: str | None = None

    def __post_init__(self) -> None:
        for name in ("activation", "recurrent_activation"):
            check_activation(name, getattr(self, name))

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
    return printable(gru.path) or "the GRU of the file"


def selected(checkpoint: Checkpoint, layers: Iterable[str], told: Told | None = None) -> list[FoundGRU]:
    """Return the GRUs that are named, in the order of the file; all for no names.

    A vector that may hold a whole GRU, or may be anything else, is among all only where it is alone, or something that
    is told is about such a vector.

    Parameters
    ----------
    checkpoint
        The open file.
    layers
        Paths of GRUs, in which ``*``, ``?`` and ``[...]`` stand for others, as in file names.
    told
        What the file does not tell.

    Raises
    ------
    RefusedFile
        If the file has no GRU.
    UsageError
        If a name matches none. Both messages list what there is.
    """
    if not checkpoint.grus:
        raise RefusedFile(f"{checkpoint.path}: no GRU is in it; its tensors are {some(checkpoint.tensors)}")
    wanted = list(layers)
    for name in wanted:
        if not any(_matches(gru, name) for gru in checkpoint.grus):
            there = some(repr(gru.path) for gru in checkpoint.grus)
            raise UsageError(f"layers={name!r}: {checkpoint.path} has no such GRU; there are {there}")
    if wanted:
        return [gru for gru in checkpoint.grus if any(_matches(gru, name) for name in wanted)]
    sure = [gru for gru in checkpoint.grus if gru.sizes is not None or (told and _about(told, gru))]
    return sure or list(checkpoint.grus)


def _about(told: Told, gru: FoundGRU) -> bool:
    """Return whether what is told says that one vector is a GRU."""
    return told.units is not None or told.stack is not None or told.layout in gru.layouts


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


def check_decided(checkpoint: Checkpoint, gru: FoundGRU, told: Told, weights: Weights) -> None:
    """Check that a GRU is the same in every layout that its tensors can be in.

    Parameters
    ----------
    checkpoint, gru, told
        As of :func:`read_weights`, no layout told.
    weights
        As they are in the likeliest layout.

    Raises
    ------
    UsageError
        If it is another one in some: the message names the layouts.
    """
    others = [layout for layout in gru.layouts[1:] if not _is(weights, checkpoint, gru, replace(told, layout=layout))]
    if others:
        layouts = " or ".join((gru.layout, *others))
        raise UsageError(
            f"source_layout=None: the tensors of {titled(gru)} can be in {layouts}, and are another GRU in each; say "
            "which it is"
        )


def _is(weights: Weights, checkpoint: Checkpoint, gru: FoundGRU, told: Told) -> bool:
    """Return whether a GRU is the same as told; not in a layout that cannot be what is told."""
    try:
        other = read_weights(checkpoint, gru, told)
    except UsageError:
        return False
    except (SpecError, SpecTypeError):
        return True
    if (other.sizes, other.reset_after) != (weights.sizes, weights.reset_after) or set(other.blocks) != set(
        weights.blocks
    ):
        return False
    return all(_same(values, weights.blocks[block]) for block, values in other.blocks.items())


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether values are the same; those of a mapped file are not read where they are the same bytes of it."""
    return one.__array_interface__ == other.__array_interface__ or same_values(one, other)


def some(names: Iterable[object]) -> str:
    """Write names for a message, not more than fit."""
    every = [printable(name) for name in names]
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return listed(every[:_MOST_NAMES]) + more
