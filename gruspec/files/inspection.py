"""What the GRUs of a file are, and what they can become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gruspec.errors import GruspecError, RefusedConversion, UsageError
from gruspec.files.registry import open_file
from gruspec.files.selecting import Told, read_weights
from gruspec.files.splitting import parts_of
from gruspec.layouts import LAYOUTS, layout_named, plan
from gruspec.layouts.fitting import Activations

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

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
    answers
        For every layout: :data:`EXACT`, :data:`FOLDED` (where biases may be folded), or why the layout cannot hold it.
        By variant: both, ``True`` first, where nothing tells which it is.
    """

    gru: FoundGRU
    answers: Mapping[bool, Mapping[str, str]]

    @property
    def becomes(self) -> dict[str, str]:
        """The answer for every layout; where it depends on a variant that is not known, it says so."""
        return {layout: _joined(self.of_layout(layout)) for layout in LAYOUTS}

    @property
    def unread(self) -> str | None:
        """Why nothing can be said, the same for every layout: something must be told, or dtypes differ; else None."""
        reasons = {answer for answers in self.answers.values() for answer in answers.values()}
        return reasons.pop() if len(reasons) == 1 and not reasons & {EXACT, FOLDED} else None

    def of_layout(self, layout: str) -> dict[bool, str]:
        """Return the answers for one layout, by variant."""
        return {variant: answers[layout] for variant, answers in self.answers.items()}


@dataclass(frozen=True)
class InspectedFile:
    """What is in a file: its format, how many tensors it has, and its GRUs."""

    path: Path
    format: str
    tensors: int
    grus: tuple[InspectedGRU, ...]


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
    UsageError
        If none of its GRUs can be in the layout that is told.
    """
    with open_file(path, format=format) as checkpoint:
        return list(inspect_checkpoint(checkpoint, told or Told()).grus)


def inspect_checkpoint(checkpoint: Checkpoint, told: Told) -> InspectedFile:
    """Return what is in an open file.

    Raises
    ------
    UsageError
        If none of its GRUs can be in the layout that is told.
    """
    possible = dict.fromkeys(layout for gru in checkpoint.grus for layout in gru.layouts)
    if told.layout is not None and possible and told.layout not in possible:
        raise UsageError(
            f"{checkpoint.path}: no GRU is in layout {told.layout}; what is there is in {' or '.join(possible)}"
        )
    grus = tuple(InspectedGRU(gru, _by_variant(checkpoint, gru, told)) for gru in checkpoint.grus)
    return InspectedFile(checkpoint.path, checkpoint.format, len(checkpoint.tensors), grus)


def _joined(by_variant: Mapping[bool, str]) -> str:
    several = dict.fromkeys(by_variant.values())
    if len(several) == 1:
        return next(iter(several))
    return "; ".join(f"reset_after={variant}: {answer}" for variant, answer in by_variant.items())


def _by_variant(checkpoint: Checkpoint, gru: FoundGRU, told: Told) -> dict[bool, dict[str, str]]:
    known = gru.reset_after if told.reset_after is None else told.reset_after
    tried = (True, False) if known is None else (known,)
    return {variant: _answers(checkpoint, gru, replace(told, reset_after=variant)) for variant in tried}


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
