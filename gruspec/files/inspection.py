"""What the GRUs of a file are, and what they can become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gruspec.errors import GruspecError, RefusedConversion
from gruspec.files.registry import open_file
from gruspec.files.selecting import Told, read_weights
from gruspec.files.splitting import parts_of
from gruspec.layouts import LAYOUTS, layout_named, plan
from gruspec.layouts.fitting import Activations

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from gruspec.files.checkpoint import Checkpoint, FoundGRU
    from gruspec.layouts import Layout, Weights

EXACT, FOLDED = "exact", "folded"


@dataclass(frozen=True)
class InspectedGRU:
    """A GRU of a file.

    Parameters
    ----------
    gru
        What the file tells of it.
    becomes
        For every layout: :data:`EXACT`, :data:`FOLDED` (where biases may be folded), or why the layout cannot hold it.
    """

    gru: FoundGRU
    becomes: Mapping[str, str]


def inspect_file(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  the word of the command line
    told: Told | None = None,
) -> list[InspectedGRU]:
    """Return the GRUs of a file and what they can become.

    Parameters
    ----------
    path
        The file.
    format
        Name of its format; found by looking at the file for None.
    told
        What the file does not tell.

    Raises
    ------
    FileError
        If the file is damaged or of no known format.
    MissingDependency
        If its format needs a module that is not installed.
    """
    with open_file(path, format=format) as checkpoint:
        return [InspectedGRU(gru, becomes(checkpoint, gru, told or Told())) for gru in checkpoint.grus]


def becomes(checkpoint: Checkpoint, gru: FoundGRU, told: Told) -> dict[str, str]:
    """Return for every layout whether it can hold a GRU of an open file, or why not.

    Where the file does not tell the variant, both are tried; where they differ, the answer says so.
    """
    variants = [gru.reset_after if told.reset_after is None else told.reset_after]
    tried = variants if variants != [None] else [True, False]
    answers = [_answers(checkpoint, gru, replace(told, reset_after=variant)) for variant in tried]
    if len(answers) == 1 or answers[0] == answers[1]:
        return answers[0]
    return {
        name: one if one == other else f"reset_after=True: {one}; reset_after=False: {other}"
        for (name, one), other in zip(answers[0].items(), answers[1].values(), strict=True)
    }


def _answers(checkpoint: Checkpoint, gru: FoundGRU, told: Told) -> dict[str, str]:
    try:
        weights = read_weights(checkpoint, gru, told)
        known = Activations(*told.activations_of(gru)).in_layout(layout_named(told.layout or gru.layout))
    except GruspecError as error:
        return dict.fromkeys(LAYOUTS, str(error))
    return {name: _answer(weights, layout, known) for name, layout in LAYOUTS.items()}


def _answer(weights: Weights, layout: Layout, known: Activations) -> str:
    found = EXACT
    for part in parts_of(weights, layout):
        try:
            plan(part.weights, layout, **known._asdict())
        except RefusedConversion as refused:
            if not refused.foldable:
                return "; ".join(refused.reasons)
            found = FOLDED
    return found
