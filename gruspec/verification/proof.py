"""Proven values and bounds of a GRU of any number of layers and directions.

The definition runs over the whole stack: outputs of a layer, with the errors they carry, are the inputs of the next.
For one layer in one direction this is what :func:`gruspec.certify.certify` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Expected
from gruspec.certify import COMPOUNDED, HALF_PRECISIONS, PRECISIONS, UNDECIDED_SHARE
from gruspec.errors import CertificationError
from gruspec.numerics import FORMATS, nearest_float, store_bound
from gruspec.reference.definition import Definition
from gruspec.reference.error_arrays import ErrorArray, Precision
from gruspec.reference.error_numbers import ErrorNumbers
from gruspec.spec import GRUSpec
from gruspec.verification.samples import reference_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gruspec.layouts import Weights
    from gruspec.reference.numbers import NumberSystem
    from gruspec.verification.questions import Question

_round_all = np.frompyfunc(nearest_float, 1, 1)


def proven(
    weights: Weights, question: Question, *, activation: str, recurrent_activation: str, dtype: str
) -> dict[str, Expected]:
    """Return what must come out.

    Parameters
    ----------
    weights
        Finite, no number subnormal in the dtype.
    question
        What is asked; numbers of the dtype.
    activation, recurrent_activation
        Of :data:`gruspec.spec.ACTIVATIONS`.
    dtype
        In which it is computed.

    Returns
    -------
    dict
        ``outputs`` (B, T, directions * u), a backward direction at the timesteps it belongs to, and ``state``
        (layers * directions, B, u).

    Raises
    ------
    CertificationError
        If an element could not be judged, an intermediate result overflows, or a rounding is undecided.
    """
    from flint import ctx

    from gruspec.reference.balls import BallNumbers

    activations = {"activation": activation, "recurrent_activation": recurrent_activation}
    kappas = _bounds(weights, question, activations, dtype)
    for bits in PRECISIONS:
        with ctx.workprec(bits):
            found = _arranged(*_run(BallNumbers(), weights, question, activations))
            values = {name: _round_all(array) for name, array in found.items()}
        if not any(value is None for array in values.values() for value in array.flat):
            return {name: Expected(array.astype(np.float64), kappas[name]) for name, array in values.items()}
    raise CertificationError(f"a rounding is undecided at {PRECISIONS[-1]} bits")


def _bounds(
    weights: Weights, question: Question, activations: dict[str, str], dtype: str
) -> dict[str, NDArray[np.float32]]:
    """Return the amplification of every element, as :func:`gruspec.certify.certify` counts it."""
    precision = Precision(FORMATS[dtype])
    unit, compounding = precision.unit_roundoff, 1.0
    if dtype in HALF_PRECISIONS:
        compounding += COMPOUNDED * unit
        precision.unit_roundoff *= compounding
    with np.errstate(invalid="ignore", over="ignore"):
        outputs, states = _run(ErrorNumbers(precision), weights, question, activations)
        errors = _arranged(*([array.settled().error for array in arrays] for arrays in (outputs, states)))
        values = _arranged(*([array.value for array in arrays] for arrays in (outputs, states)))
    if precision.infinite or precision.peak >= FORMATS[dtype].largest / 2:
        raise CertificationError("an intermediate result overflows")
    kappas = {name: store_bound(compounding * error) for name, error in errors.items()}
    for name, kappa in kappas.items():
        if not (kappa.astype(np.float64) * unit <= UNDECIDED_SHARE * np.maximum(1.0, np.abs(values[name]))).all():
            raise CertificationError("rounding errors can grow so far that outputs say nothing")
    return kappas


def _run(
    numbers: NumberSystem[Any], weights: Weights, question: Question, activations: dict[str, str]
) -> tuple[list[Any], list[Any]]:
    """Run the definition over all layers; return outputs by timestep (B, 1, directions * u), and final states."""
    sizes = weights.sizes
    steps = [numbers.lift(question.inputs[:, step, None]) for step in range(question.inputs.shape[1])]
    states: list[Any] = []
    for layer in range(sizes.layers):
        by_direction = []
        for cell in sizes.cells():
            if cell.layer != layer:
                continue
            spec = GRUSpec.from_dict(
                {"units": sizes.units, "reset_after": weights.reset_after, "go_backwards": bool(cell.direction)}
                | activations
            )
            blocks = {name: numbers.lift(block) for name, block in reference_blocks(weights, cell).items()}
            start = numbers.lift(question.initial_state[len(states)][:, None])
            done = Definition(numbers, spec, blocks).sequence(steps, start, None)
            by_direction.append(list(done.outputs)[:: -1 if cell.direction else 1])
            states.append(done.state)
        steps = [_joined(outputs) for outputs in zip(*by_direction, strict=True)]
    return steps, states


def _joined(arrays: Sequence[Any]) -> Any:
    """Join arrays of a number system along their last axis."""
    if len(arrays) == 1:
        return arrays[0]
    if not isinstance(arrays[0], ErrorArray):
        return np.concatenate(arrays, axis=-1)
    settled = [array.settled() for array in arrays]
    names = max(len(array.coefficients) for array in settled)
    return ErrorArray(
        settled[0].precision,
        np.concatenate([array.value for array in settled], axis=-1),
        np.concatenate([_padded(array.coefficients, names) for array in settled], axis=-1),
        np.concatenate([array.rest for array in settled], axis=-1),
        np.concatenate([array.grid for array in settled], axis=-1),
    )


def _padded(coefficients: NDArray[np.float64], names: int) -> NDArray[np.float64]:
    missing = names - len(coefficients)
    return np.concatenate([coefficients, np.zeros((missing, *coefficients.shape[1:]))])


def _arranged(outputs: Sequence[NDArray[Any]], states: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Lay arrays (B, 1, n), one for each timestep and one for each cell, out as a native GRU returns them."""
    return {"outputs": np.concatenate(outputs, axis=1), "state": np.stack([state[:, 0] for state in states])}
