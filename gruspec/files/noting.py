"""Notes on a conversion in a file: what a reader must know, and neither the weights nor the format say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.files.selecting import titled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gruspec.files.checkpoint import FoundGRU
    from gruspec.files.format import Format
    from gruspec.layouts import Layout, Plan, Weights

_OPTIONS_THAT_MATTER = ("go_backwards", "time_major", "zero_output_for_mask")
"""Options of a layer that change what it computes and that no weights tell."""
_CONVENTIONS = {"onnx": {"time_major"}}
"""By layout, the options that belong to its operator, so that no reader of it is misled."""
_VARIANT = "the arrays do not tell the variant"
"""The beginning of the note of :func:`gruspec.layouts.plan` on this."""


def notes_on(
    found: FoundGRU, planned: Plan, target: Format, layout: Layout, parts: int, weights: Weights
) -> Iterator[str]:
    """Yield the notes on a GRU of the target.

    Parameters
    ----------
    found
        Where it comes from.
    planned
        The conversion.
    target
        The format, which may state what weights do not tell.
    layout
        Of the target.
    parts
        How many GRUs the one of the source has become.
    weights
        Of the whole GRU of the source.
    """
    for note in planned.notes:
        if not (note.startswith(_VARIANT) and "reset_after" in target.states):
            yield note
    if parts > 1:
        yield f"{_what_it_holds(layout, weights)}: {titled(found)} was split into {parts}"
    for name in _OPTIONS_THAT_MATTER:
        convention = name in target.states or name in _CONVENTIONS.get(found.layout, ())
        if found.options.get(name) and not convention:
            yield f"the file says {name}={found.options[name]!r}, which weights do not tell"


def notes_on_vectors(grus: Iterable[FoundGRU]) -> Iterator[str]:
    """Yield a note on each vector that may be a GRU and was not taken for one."""
    for gru in grus:
        (name,) = gru.names.values()
        layouts = " or ".join(gru.layouts)
        yield f"{name} may hold a GRU of layout {layouts} in one vector: it was not converted, as nothing says so"


def _what_it_holds(layout: Layout, weights: Weights) -> str:
    layers = "" if layout.stacked or weights.sizes.layers == 1 else "one layer"
    directions = "" if layout.bidirectional or weights.sizes.directions == 1 else "one direction"
    held = " in ".join(held for held in (layers, directions) if held) or "layers of equal input size"
    return f"{layout.name} holds {held}"
