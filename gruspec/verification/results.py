"""What running both sides of a conversion has shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Status: TypeAlias = Literal["verified", "differs", "not run"]


@dataclass(frozen=True)
class Run:
    """A part of the GRU that was run.

    Parameters
    ----------
    part
        ``"layer 0"``, ``"layer 1 backward"``, or ``"whole"``.
    units, input_size, timesteps
        How much of it, and for how long.
    elements
        Elements of outputs and states that were judged.
    error
        The largest error as a fraction of its bound.
    problem
        The element that lies outside its bound; empty if none does.
    """

    part: str
    units: int
    input_size: int
    timesteps: int
    elements: int
    error: float
    problem: str = ""


@dataclass(frozen=True)
class Side:
    """One framework with the weights in its own layout.

    Parameters
    ----------
    layout
        Name of the layout.
    title
        What ran; the layout where nothing could.
    dtype
        That it ran in.
    versions
        Of what computed, by name.
    runs
        What was run and judged.
    reasons
        Why parts were not run, each once.
    """

    layout: str
    title: str
    dtype: str
    versions: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def elements(self) -> int:
        """Number of judged elements."""
        return sum(run.elements for run in self.runs)

    @property
    def error(self) -> float:
        """The largest error as a fraction of its bound."""
        return max((run.error for run in self.runs), default=0.0)

    @property
    def problems(self) -> tuple[str, ...]:
        """What lies outside its bound."""
        return tuple(f"{run.part}: {run.problem}" for run in self.runs if run.problem)


@dataclass(frozen=True)
class Verification:
    """The answer of both sides to the same questions.

    Parameters
    ----------
    source, target
        The sides.
    parts
        Parts of the GRU that were to be run.
    activation, recurrent_activation
        That both computed with.
    questions
        Golden cases whose values were the inputs.
    notes
        What a reader must know of how it was done.
    """

    source: Side
    target: Side
    parts: tuple[str, ...]
    activation: str
    recurrent_activation: str
    questions: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[Side, Side]:
        """Source and target."""
        return self.source, self.target

    @property
    def status(self) -> Status:
        """``"differs"`` if anything lies outside its bound, ``"verified"`` if each side ran every part."""
        if any(side.problems for side in self.sides):
            return "differs"
        ran = all({run.part for run in side.runs} == set(self.parts) for side in self.sides)
        return "verified" if ran and self.parts else "not run"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not verified, as far as anything was not run."""
        return tuple(dict.fromkeys(reason for side in self.sides for reason in side.reasons))
