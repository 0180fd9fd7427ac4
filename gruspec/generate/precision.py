"""Topic ``precision``: full-precision values, activation scans and isolated gates.

Random sequences hide an activation that is off by 1e-6: the bound of a sum of many terms is wider than that. Here one
exact product feeds one activation, so that the bound is hardly wider than what the contract allows the activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gruspec.generate.draws import Draw
from gruspec.generate.elementary import SATURATED
from gruspec.generate.layers import arranged_call, make_case
from gruspec.spec import GRUSpec, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gruspec.cases import Case

_SIGNIFICANT_BITS = {"float32": 24, "float64": 53}
_SCAN_OCTAVES = range(-20, 4)
"""Octaves of the scanned magnitudes: from 1e-6 to 16."""

_POINTS_PER_OCTAVE = 10

_CUT_OFFS = (8.0, 24.0)
"""Magnitudes among which approximations of tanh and sigmoid are cut off, often within a narrow window."""

_CUT_OFF_POINTS = 800


def precision_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield all cases."""
    for dtype, bits in _SIGNIFICANT_BITS.items():
        for reset_after in (False, True):
            yield from _small(dtype, bits, reset_after=reset_after, attempt=attempt)
        for activation in ("tanh", "sigmoid", "hard_sigmoid"):
            yield _candidate_scan(dtype, bits, activation)
            yield _gate_scan(dtype, bits, activation)


def _small(dtype: str, bits: int, *, reset_after: bool, attempt: int) -> Iterator[Case]:
    """One or two steps of few units with values of full precision."""
    for timesteps, input_size, units, recurrent_activation in (
        (1, 1, 1, "sigmoid"),
        (1, 1, 1, "hard_sigmoid"),
        (2, 1, 1, "sigmoid"),
        (2, 1, 4, "hard_sigmoid"),
        (1, 4, 5, "sigmoid"),
        (2, 3, 8, "sigmoid"),
        (2, 5, 3, "hard_sigmoid"),
    ):
        spec = GRUSpec(
            units=units,
            recurrent_activation=recurrent_activation,
            reset_after=reset_after,
            return_sequences=True,
            return_state=True,
        )
        name = f"{recurrent_activation.replace('_', '-')}-t{timesteps}d{input_size}u{units}"
        case_id = f"precision/{spec.variant}/{dtype}-{name}"
        draw = Draw(f"{case_id}#{attempt}")
        weights = {
            weight: draw.full_precision(weight, shape, bits=bits, top=-1 - attempt)
            for weight, shape in weight_shapes(spec, input_size).items()
        }
        inputs = draw.full_precision("inputs", (3, timesteps, input_size), bits=bits)
        state = draw.full_precision("state", (3, units), bits=bits, top=-1)
        call = arranged_call(spec, inputs, initial_state=state)
        yield make_case(case_id, "arithmetic-sums", ["FullPrecision"], spec, weights, [call])


def _scan_points(case_id: str, bits: int) -> NDArray[np.float64]:
    """Return points of both signs: some in each octave, and many where approximations are cut off."""
    draw = Draw(case_id)
    octaves = np.repeat(_SCAN_OCTAVES, _POINTS_PER_OCTAVE)
    low, high = _CUT_OFFS
    offsets = np.arange(_CUT_OFF_POINTS) + draw.integers("offsets", (_CUT_OFF_POINTS,), 2**20) / 2.0**20
    cut_offs = low + offsets * ((high - low) / _CUT_OFF_POINTS)
    if bits == _SIGNIFICANT_BITS["float32"]:
        cut_offs = cut_offs.astype(np.float32).astype(np.float64)
    points = np.concatenate([np.ldexp(_mantissas(draw, len(octaves), bits), octaves), cut_offs])
    signed: NDArray[np.float64] = points * (1 - 2 * draw.integers("signs", (len(points),), 2))
    return signed


def _mantissas(draw: Draw, count: int, bits: int) -> NDArray[np.float64]:
    """Return values from 1 up to 2 with ``bits`` significant bits."""
    drawn = np.abs(draw.full_precision("points", (count,), bits=bits))
    mantissas: NDArray[np.float64] = 2 * np.frexp(drawn)[0]
    return mantissas


def _candidate_scan(dtype: str, bits: int, activation: str) -> Case:
    """Scan the activation of the candidate, one point a row.

    The update gate and the state are 0, nothing recurs, and one product by 1 feeds it: its error is all there is.
    """
    spec = GRUSpec(units=1, activation=activation)
    case_id = f"precision/{spec.variant}/{dtype}-scan-candidate-{activation.replace('_', '-')}"
    weights = {
        "kernel": np.array([[0.0, 0.0, 1.0]]),
        "recurrent_kernel": np.zeros((1, 3)),
        "bias": np.array([SATURATED, SATURATED - 1, 0.0]),
    }
    points = _scan_points(case_id, bits)[:, None, None]
    return make_case(case_id, "arithmetic-functions", ["Scan"], spec, weights, [arranged_call(spec, points)])


def _gate_scan(dtype: str, bits: int, activation: str) -> Case:
    """Scan the activation of the update gate: the state is 1 and the candidate exactly 0, so the output is the gate."""
    units = 24
    spec = GRUSpec(units=units, recurrent_activation=activation, use_bias=False, return_state=True)
    case_id = f"precision/{spec.variant}/{dtype}-scan-gate-{activation.replace('_', '-')}"
    exponents = np.array(_SCAN_OCTAVES)[:units]
    gates = np.ldexp(1.0, exponents) * np.where(np.arange(units) % 2, -1.0, 1.0)
    weights = {
        "kernel": np.concatenate([gates, gates, np.zeros(units)])[None, :],
        "recurrent_kernel": np.zeros((units, 3 * units)),
    }
    inputs = _mantissas(Draw(case_id), 8, bits).reshape(8, 1, 1)
    call = arranged_call(spec, inputs, initial_state=np.ones((8, units)))
    return make_case(case_id, "arithmetic-functions", ["Scan"], spec, weights, [call])
