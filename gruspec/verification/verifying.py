"""Both sides of a conversion are run, part by part, and judged by proven values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.conformance import Worst, judge_array
from gruspec.errors import (
    CertificationError,
    DeviceUnavailable,
    GruspecError,
    MissingDependency,
    PluginError,
    Unsupported,
    listed,
)
from gruspec.layouts import plan
from gruspec.layouts.casting import named_dtype
from gruspec.spec import ACTIVATIONS
from gruspec.verification.natives import Natives
from gruspec.verification.questions import CASES, questions
from gruspec.verification.results import Run, Side, Verification
from gruspec.verification.samples import cast, finite, sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from gruspec.backend.native import NativeGRU, NativeResult
    from gruspec.cases import Expected
    from gruspec.layouts import Cell, Layout, Weights
    from gruspec.verification.questions import Question

UNITS, INPUTS, BATCH = 24, 24, 3
"""The most of a GRU that is run: its leading units and inputs, for so many rows."""

_WHOLE = "whole"


class _Extent(NamedTuple):
    """How much is run."""

    units: int
    inputs: int
    timesteps: int


_EXTENTS = (_Extent(UNITS, INPUTS, 8), _Extent(UNITS, INPUTS, 3), _Extent(8, 8, 3), _Extent(4, 4, 1))
"""Tried in this order: weights can be so large, or a dtype so narrow, that in more of it errors grow beyond judging."""

_NO_FLINT = "proven values need python-flint; pip install 'gruspec[reference]'"


@dataclass
class _Course:
    """What is known of a side so far."""

    layout: Layout
    dtype: str
    judged: Weights
    """What its outputs are judged by."""
    given: Weights | None = None
    """What it runs with, where that is known apart."""
    allow_folding: bool = False
    native: NativeGRU | None = None
    runs: list[Run] = field(default_factory=list)
    reasons: dict[str, None] = field(default_factory=dict)

    def side(self) -> Side:
        native = self.native
        versions = dict(native.versions()) if native and self.runs else {}
        title = native.title if native else self.layout.name
        return Side(self.layout.name, title, self.dtype, versions, tuple(self.runs), tuple(self.reasons))


def verify(
    weights: Weights,
    source: Layout,
    target: Layout,
    *,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    allow_folding: bool = False,
    dtype: str | None = None,
    written: Weights | None = None,
    natives: Natives | None = None,
    one_side: bool = True,
) -> Verification:
    """Run a conversion's source and target with the weights, each in its own framework.

    Every layer and direction is run alone, and all together where both layouts can hold that; of each, at most
    :data:`UNITS` units and :data:`INPUTS` inputs, the leading ones. The inputs have the values of golden cases. Where
    biases were folded the bound is the same: to add them first is an order of summation that the contract permits
    [arithmetic-sums]. Where the target has another dtype, it is judged by the weights as that dtype holds them.

    Parameters
    ----------
    weights
        Those that were converted.
    source, target
        The layouts.
    activation, recurrent_activation
        Those of the GRU; unless known, those that the layouts compute with, else tanh and sigmoid.
    allow_folding, dtype
        As they were given to the conversion.
    written
        What the target runs with, as a file has it: it is judged by ``weights`` all the same, but for biases that were
        folded and then rounded to another dtype. What the conversion gives unless known.
    natives
        The frameworks to choose from; all that are registered unless given.
    one_side
        Whether a side is run if the other cannot be.

    Returns
    -------
    Verification
        Also where nothing could be run: it has the reasons.

    Raises
    ------
    RefusedConversion
        If the target cannot hold the weights.
    """
    chosen = _activations(source, target, activation, recurrent_activation)
    courses = [_Course(source, weights.dtype.name, weights)]
    courses.append(_Course(target, dtype or weights.dtype.name, weights, written, allow_folding=allow_folding))
    if written is not None and allow_folding and courses[1].dtype != weights.dtype.name:
        courses[1].judged = written
    parts = dict(_parts(weights, source, target))
    obstacles = list(_obstacles(chosen))
    for course in courses:
        course.reasons |= dict.fromkeys(obstacles)
        _find_native(course, natives or Natives())
    enough = any if one_side else all
    if not obstacles and enough(course.native for course in courses):
        for name, cell in parts.items():
            _run_part(name, cell, courses, chosen)
    source_side, target_side = (course.side() for course in courses)
    return Verification(
        source_side,
        target_side,
        parts=tuple(parts),
        activation=chosen["activation"],
        recurrent_activation=chosen["recurrent_activation"],
        questions=CASES,
        notes=tuple(_notes(weights, activation, recurrent_activation, chosen)),
    )


def _activations(source: Layout, target: Layout, activation: str | None, recurrent: str | None) -> dict[str, str]:
    return {
        "activation": activation or (*target.activations, *source.activations, "tanh")[0],
        "recurrent_activation": recurrent
        or (*target.recurrent_activations, *source.recurrent_activations, "sigmoid")[0],
    }


def _parts(weights: Weights, source: Layout, target: Layout) -> Iterator[tuple[str, Cell | None]]:
    sizes = weights.sizes
    for cell in sizes.cells():
        yield f"layer {cell.layer}{' backward' if cell.direction else ''}", cell
    stacked = sizes.layers == 1 or (source.stacked and target.stacked)
    bidirectional = sizes.directions == 1 or (source.bidirectional and target.bidirectional)
    if sizes.layers * sizes.directions > 1 and stacked and bidirectional:
        yield _WHOLE, None


def _obstacles(chosen: Mapping[str, str]) -> Iterator[str]:
    """Yield why nothing can be run on either side."""
    if find_spec("flint") is None:
        yield _NO_FLINT
    for name, value in chosen.items():
        if value not in ACTIVATIONS:
            yield f"{name}={value!r}: values are proven for {listed(ACTIVATIONS)}"


def _notes(
    weights: Weights, activation: str | None, recurrent_activation: str | None, chosen: Mapping[str, str]
) -> Iterator[str]:
    sizes = weights.sizes
    if sizes.units > UNITS or sizes.input_size > INPUTS:
        yield f"of {sizes.units} units and {sizes.input_size} inputs, the first {UNITS} at most were run"
    if activation is None or recurrent_activation is None:
        yield f"the source does not tell its activations; run with {' and '.join(chosen.values())}"


def _find_native(course: _Course, natives: Natives) -> None:
    try:
        course.native = natives.get(course.layout.name)
    except (MissingDependency, PluginError) as error:
        course.reasons[str(error)] = None


def _run_part(name: str, cell: Cell | None, courses: list[_Course], chosen: dict[str, str]) -> None:
    for course in courses:
        if course.native is None:
            continue
        problem = ""
        for extent in _EXTENTS:
            part = _taken(course.judged, extent, cell, course.dtype)
            given = part if course.given is None else _taken(course.given, extent, cell, course.dtype)
            try:
                run = Run(name, part.sizes.units, part.sizes.input_size, extent.timesteps, 0, 0.0)
                course.runs.append(_answered(course, course.native, run, part, given, chosen))
            except CertificationError as error:
                problem = f"{name}: {error}"
                continue
            except (Unsupported, MissingDependency, DeviceUnavailable) as error:
                problem = f"{course.native.title}: {error}"
            break
        if not any(run.part == name for run in course.runs):
            course.reasons[problem] = None


def _taken(weights: Weights, extent: _Extent, cell: Cell | None, dtype: str) -> Weights:
    return cast(sample(weights, units=extent.units, inputs=extent.inputs, cell=cell), named_dtype(dtype))


def _answered(
    course: _Course, native: NativeGRU, run: Run, part: Weights, given: Weights, chosen: dict[str, str]
) -> Run:
    """Run a part on one side, as it is given there, and judge what comes out.

    Raises
    ------
    Unsupported
        If the framework cannot compute this, or nobody could judge it.
    CertificationError
        If it cannot be judged.
    """
    if not (finite(part) and finite(given)):
        raise Unsupported("the weights have NaN or infinities")
    planned = plan(given, course.layout, allow_folding=course.allow_folding, **chosen)
    arrays = {array: np.zeros(shape, planned.dtype) for array, shape in planned.shapes.items()}
    planned.write(arrays)
    for number, question in enumerate(questions(part.sizes, batch=BATCH, timesteps=run.timesteps)):
        expected = _proven(part, question, chosen, course.dtype)
        result = _run(native, arrays, question, part, chosen)
        computed: dict[str, Any] = {"outputs": result.outputs, "state": result.state}
        for output, values in expected.items():
            if output == "outputs" or computed[output] is not None:
                run = _judged(run, number, output, computed[output], values, course.dtype)
    return run


def _run(
    native: NativeGRU, arrays: Mapping[str, NDArray[Any]], question: Question, part: Weights, chosen: dict[str, str]
) -> NativeResult:
    try:
        return native.run(
            arrays,
            question.inputs.astype(part.dtype),
            reset_after=part.reset_after,
            layers=part.sizes.layers,
            directions=part.sizes.directions,
            initial_state=question.initial_state.astype(part.dtype),
            **chosen,
        )
    except GruspecError:
        raise
    except Exception as error:
        raise Unsupported(f"raised {type(error).__name__}: {error}") from error


def _proven(part: Weights, question: Question, chosen: dict[str, str], dtype: str) -> dict[str, Expected]:
    from gruspec.verification.proof import proven

    return proven(part, question, **chosen, dtype=dtype)


def _judged(run: Run, number: int, output: str, computed: Any, expected: Expected, dtype: str) -> Run:
    verdict = judge_array(computed, expected, dtype)
    problem = run.problem
    if not verdict.passed and not problem:
        problem = f"{output}: {verdict.message}" if verdict.message else ""
        if verdict.worst:
            problem = Worst(number, output, verdict.worst).describe(dtype)
    error = max(run.error, verdict.worst.fraction if verdict.worst else 0.0)
    return replace(run, elements=run.elements + verdict.judged, error=error, problem=problem)
