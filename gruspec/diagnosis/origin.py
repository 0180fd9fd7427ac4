"""Weights of unknown origin: which layout, variant and activations turn recorded inputs into recorded outputs.

All readings of the weights run at a time, as rows of the definition, over one row of the pairs: its first timesteps,
then all of them. What comes near is verified on all pairs, and judged by the bound that the contract gives to the
nearest: a match is a result that an implementation of that layer may compute [verdict].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call, Case, Expected
from gruspec.certify import HALF_PRECISIONS, SUBNORMAL, UNDECIDED_SHARE, bounded
from gruspec.conformance import judge_array
from gruspec.conformance.arrays import dtype_of
from gruspec.diagnosis.frameworks import frameworks_with
from gruspec.diagnosis.readings import Reading, readings
from gruspec.diagnosis.recorded import finite_floats, recordings
from gruspec.errors import CertificationError
from gruspec.faults import CATALOGUE
from gruspec.faults.planting import planted
from gruspec.numerics import FORMATS
from gruspec.reference import Definition
from gruspec.reference.definition import join_weights
from gruspec.reference.ieee import IEEENumbers
from gruspec.spec import GATES, GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from gruspec.diagnosis.readings import Blocks
    from gruspec.diagnosis.recorded import Recorded

    Floats = NDArray[np.float64]

ONE_SIXTH = "activation/hard-sigmoid-slope-sixth"
"""The fault of the catalogue whose gates have the hard sigmoid x/6 + 0.5."""

_AT_A_TIME = 2**20
"""Elements of weights that are read at a time."""

_GLANCE = 2
"""Timesteps of a sequence after which most readings are left out."""

_NEAREST = 32
"""Readings that are kept whatever their error is."""

_MANY = 400
"""Readings beyond which sigmoid gates choose among them: no hard sigmoid is further from it than 0.08."""

_NEAR = 2.0**12
"""Errors, in unit roundoffs, with which any number of readings is kept."""

_COUNTED = 2**22
"""Products for which bounds are counted."""

_BIASES = ("bias", "recurrent_bias")
_KERNELS = ("kernel", "recurrent_kernel")


@dataclass(frozen=True)
class Function:
    """What a layer computes from its blocks.

    Parameters
    ----------
    reset_after
        The variant.
    complement
        Whether the update gate weights the candidate: (1 - z) h + z c.
    gates
        Activation of both gates.
    fault
        Id of a fault of the catalogue that takes the place of the activation; empty for none.
    """

    reset_after: bool
    complement: bool
    gates: str
    fault: str = ""


FUNCTIONS = tuple(
    Function(reset_after, complement, *gates)
    for gates, complement, reset_after in product(
        (("sigmoid",), ("hard_sigmoid",), ("hard_sigmoid", ONE_SIXTH)), (False, True), (False, True)
    )
)
"""Everything that is tried; the candidate's activation is tanh."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A reading of weights and pairs, and a function; how far it is from what was recorded.

    Parameters
    ----------
    reading, function, recorded
        Layout of the weights, layer, and axes of the pairs.
    error
        Largest difference of an element.
    residual
        The same in bounds, of the elements that are judged; infinite where one has to be exact and is not.
    matches
        Whether that is within the bounds, and no element is further away than any bound may be [admission].
    """

    reading: Reading
    function: Function
    recorded: Recorded
    error: float = np.inf
    residual: float = np.inf
    matches: bool = False

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Names of the frameworks that have exactly this layout and function."""
        function = self.function
        return frameworks_with(
            self.reading.layout,
            reset_after=function.reset_after,
            complement=function.complement,
            sigmoid=function.gates == "sigmoid",
        )


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    Parameters
    ----------
    timesteps
        Those that are judged: fewer than recorded where bounds of the last ones are too wide, or too many to count.
    best
        The nearest candidate; whether it is the origin, its ``matches`` says.
    others
        All further candidates that the pairs do not tell from it.
    """

    timesteps: int
    best: Candidate
    others: tuple[Candidate, ...] = ()


def find_origin(weights: Mapping[str, NDArray[Any]], pairs: Mapping[str, NDArray[Any]]) -> Origin:
    """Name the layout and the variant of weights.

    Parameters
    ----------
    weights
        All weights of one layer in one direction, and nothing else, under any names; rounded to the dtype of the
        recorded outputs.
    pairs
        Recorded inputs and outputs; see :func:`gruspec.diagnosis.recorded.recordings`.

    Raises
    ------
    SpecError
        If arrays are missing, odd, or do not fit each other.
    CertificationError
        If the bounds of these pairs are too wide to judge them.
    """
    read = recordings(pairs)
    given = finite_floats(weights, read[0].dtype)
    found: list[Origin] = []
    for tier in readings(given, read[0].inputs.shape[-1], read[0].units):
        tried = list(tier)
        groups = _grouped(candidate for recorded in read for candidate in _near(tried, recorded)) if tried else []
        found += [_judged(groups)] if groups else []
        if found and found[-1].best.matches:
            return found[-1]
    return min(found, key=lambda origin: origin.best.error)


def _near(tried: Sequence[Reading], recorded: Recorded) -> list[Candidate]:
    """Return the candidates that are near in one row of the pairs."""
    row = recorded.rows(1)
    glance = row.first(_GLANCE)
    if len(tried) > _MANY:
        sigmoids = [function for function in FUNCTIONS if function.gates == "sigmoid"]
        tried = [reading for reading, _ in _nearest(_combined(tried, sigmoids), glance, _MANY)]
        tried = list(dict.fromkeys(tried))
    near = _nearest(_combined(tried, FUNCTIONS), glance)
    if glance is not row:
        near = _nearest(near, row)
    return [Candidate(reading, function, recorded) for reading, function in near]


def _combined(tried: Iterable[Reading], functions: Sequence[Function]) -> list[tuple[Reading, Function]]:
    return [
        (reading, function)
        for reading in tried
        for function in functions
        if function.reset_after or not reading.mirrored
    ]


def _nearest(
    tried: list[tuple[Reading, Function]], row: Recorded, count: int = _NEAREST
) -> list[tuple[Reading, Function]]:
    """Return the nearest ones, and any number of those that rounding might explain."""
    errors = np.zeros(len(tried))
    for function in FUNCTIONS:
        places = [place for place, (_, other) in enumerate(tried) if other is function]
        size = max(1, _AT_A_TIME // (3 * row.units * (row.units + row.inputs.shape[-1])))
        for start in range(0, len(places), size):
            some = places[start : start + size]
            blocks = _stacked([tried[place][0].blocks for place in some], function, row)
            errors[some] = _differences(row, *_outputs(function, blocks, row)).max(axis=1)
    order = np.argsort(errors, kind="stable")
    limit = _NEAR * FORMATS[row.dtype].unit_roundoff
    return [tried[place] for rank, place in enumerate(order) if rank < count or errors[place] <= limit]


def _stacked(given: Sequence[Blocks], function: Function, recorded: Recorded) -> Blocks:
    """Return the blocks of readings, one above the other, for the definition: kernels (N, D, u), biases (N, 1, u).

    The block of the update gate is negated where it weights the candidate: 1 - s(a) = s(-a) in all of its activations.
    """
    zeros = np.zeros(recorded.units)
    stacked = {}
    for name, gate in product((*_KERNELS, *_BIASES), GATES):
        block = np.stack([np.atleast_2d(blocks.get(f"{name}_{gate}", zeros)) for blocks in given])
        stacked[f"{name}_{gate}"] = -block if function.complement and gate == "z" else block
    return stacked


def _spec(function: Function, recorded: Recorded) -> GRUSpec:
    return GRUSpec(
        units=recorded.units,
        activation="tanh",
        recurrent_activation=function.gates,
        reset_after=function.reset_after,
        return_sequences=recorded.sequence,
        return_state=True,
    )


def _outputs(function: Function, blocks: Blocks, recorded: Recorded) -> tuple[Floats, Floats]:
    """Run the definition on N rows with N sets of blocks, or one of either; return outputs (N, T, u), state (N, u)."""
    seams = CATALOGUE[function.fault].numbers if function.fault else {}
    numbers = planted(IEEENumbers, seams)()
    rows = max(len(recorded.inputs), len(blocks["kernel_z"]))
    initial = np.zeros(recorded.units) if recorded.initial is None else recorded.initial[:, None]
    state = np.broadcast_to(initial, (rows, 1, recorded.units))
    timesteps = [recorded.inputs[:, timestep, None] for timestep in range(recorded.inputs.shape[1])]
    done = Definition(numbers, _spec(function, recorded), blocks).sequence(timesteps, state, recorded.mask)
    return np.concatenate(done.outputs, axis=1).astype(np.float64), done.state[:, 0].astype(np.float64)


def _differences(recorded: Recorded, outputs: Floats, state: Floats) -> Floats:
    """Return the magnitudes of the differences of all compared elements, by row."""
    compared = outputs if recorded.sequence else outputs[:, -1]
    apart = np.abs(compared - recorded.outputs)
    if recorded.sequence and recorded.mask is not None:
        apart = np.where(recorded.mask[:, :, None], apart, 0.0)
    apart = apart.reshape(len(apart), -1)
    return apart if recorded.state is None else np.hstack([apart, np.abs(state - recorded.state)])


def _grouped(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """Put candidates together that compute the same from the same numbers."""
    groups: dict[tuple[Any, ...], list[Candidate]] = {}
    for candidate in candidates:
        function = candidate.function
        blocks = _stacked([candidate.reading.blocks], function, candidate.recorded)
        for gate in GATES if not function.reset_after else GATES[:2]:
            blocks[f"bias_{gate}"] = blocks[f"bias_{gate}"] + blocks.pop(f"recurrent_bias_{gate}")
        content = tuple((block + 0.0).tobytes() for block in blocks.values())
        key = (id(candidate.recorded), replace(function, complement=False), content)
        groups.setdefault(key, []).append(candidate)
    return list(groups.values())


def _judged(groups: Sequence[Sequence[Candidate]]) -> Origin:
    """Judge groups of candidates on all pairs."""
    weighed = sorted(
        ([replace(each, error=_error(group[0])) for each in group] for group in groups),
        key=lambda group: group[0].error,
    )
    judges: dict[int, _Judge] = {}
    found: list[Candidate] = []
    for group in weighed:
        nearest, recorded = group[0], group[0].recorded
        possible = nearest.error <= UNDECIDED_SHARE * max(1.0, float(np.abs(recorded.outputs).max()))
        if not possible and found:
            break
        if id(recorded) not in judges:
            judges[id(recorded)] = _Judge(nearest)
        residual = judges[id(recorded)].residual(nearest)
        found += [replace(each, residual=residual, matches=possible and residual <= 1) for each in group]
    matching = sorted((each for each in found if each.matches), key=lambda each: (each.residual, not each.frameworks))
    best = matching[0] if matching else found[0]
    return Origin(judges[id(best.recorded)].timesteps, best, tuple(matching[1:]))


def _error(candidate: Candidate) -> float:
    return float(_differences(candidate.recorded, *_computed(candidate, candidate.recorded)).max())


def _computed(candidate: Candidate, recorded: Recorded) -> tuple[Floats, Floats]:
    return _outputs(candidate.function, _stacked([candidate.reading.blocks], candidate.function, recorded), recorded)


class _Judge:
    """The bounds of a candidate, twice rounding: an implementation's and that of the float64 it is compared with.

    Counting bounds is slow. Where there are many rows, the others are held to the widest bounds of those that are
    counted; where there are too many timesteps of a sequence, or bounds become too wide, the first ones are judged.

    Parameters
    ----------
    nearest
        The candidate.

    Raises
    ------
    CertificationError
        If bounds are too wide from the start.
    """

    def __init__(self, nearest: Candidate) -> None:
        recorded = nearest.recorded
        cost = 3 * recorded.units * (recorded.units + recorded.inputs.shape[-1])
        self._recorded = recorded.first(max(1, _COUNTED // cost))
        while True:
            rows = self._recorded.rows(max(1, _COUNTED // (cost * self.timesteps)))
            try:
                case = bounded(_case(nearest, rows), dtype=_counted_dtype(recorded.dtype))
                break
            except CertificationError:
                if not recorded.sequence or self.timesteps == 1:
                    raise
                self._recorded = recorded.first(self.timesteps // 2)
        (call,) = (call for call in case.calls if isinstance(call, Call))
        reference = 1 + FORMATS["float64"].unit_roundoff / FORMATS[recorded.dtype].unit_roundoff
        self._kappa = {}
        for name, expected in call.expected.items():
            kappa = expected.kappa * np.float32(reference)
            whole = rows is self._recorded
            self._kappa[name] = kappa if whole else np.repeat(kappa.max(axis=0)[None], len(recorded.inputs), axis=0)

    @property
    def timesteps(self) -> int:
        """How many are judged."""
        return int(self._recorded.inputs.shape[1])

    def residual(self, candidate: Candidate) -> float:
        """Return the largest error of a candidate as a fraction of its bound."""
        recorded = self._recorded
        outputs, state = _computed(candidate, recorded)
        valid: Any = recorded.mask if recorded.sequence and recorded.mask is not None else ...
        compared = [(recorded.outputs[valid], (outputs if recorded.sequence else outputs[:, -1])[valid], "outputs")]
        if recorded.state is not None:
            compared.append((recorded.state, state, "state"))
        fractions = []
        for given, value, name in compared:
            kappa = self._kappa[name][valid] if name == "outputs" else self._kappa[name]
            computed = given.astype(dtype_of(recorded.dtype))
            worst = judge_array(computed, Expected(value, kappa), recorded.dtype).worst
            fractions.append(0.0 if worst is None else worst.fraction)
        return max(fractions)


def _counted_dtype(dtype: str) -> str:
    return dtype if dtype in HALF_PRECISIONS else "float32"


def _case(candidate: Candidate, recorded: Recorded) -> Case:
    """Return the call of a candidate as a case of the specification.

    A second bias that the variant has no place for is the kernel of a further input, which is 1.
    """
    spec = _spec(candidate.function, recorded)
    stacked = _stacked([candidate.reading.blocks], candidate.function, recorded)
    weights = join_weights(spec, {name: block[0] for name, block in stacked.items()})
    inputs = recorded.inputs
    if not spec.reset_after and any(name.startswith("recurrent_bias") for name in candidate.reading.blocks):
        second = np.hstack([stacked[f"recurrent_bias_{gate}"][0] for gate in GATES])
        weights["kernel"] = np.vstack([weights["kernel"], second])
        inputs = np.concatenate([inputs, np.ones((*inputs.shape[:2], 1))], axis=2)
    call = Call(inputs, recorded.mask, recorded.initial)
    return Case("recorded-pairs", "origin", "verdict", (SUBNORMAL,), (), spec, weights, (call,))
