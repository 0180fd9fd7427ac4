"""What both sides of a conversion are asked: inputs and initial states with the values of golden cases."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gruspec.cases import Call, Suite
from gruspec.errors import IntegrityError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.layouts import Sizes

CASES = (
    "common/reset-after/h0-seq-nobias-tanh-sig-b3t7d3u5",
    "basic/reset-before/h0-back-unroll-zero-relu-tanh-b3t33d1u5",
    "stateful/reset-before/reset-values-h0-back-relu-relu-b1t33d3u8",
)
"""Golden cases whose values are taken. All have at most 8 significant bits, so that every dtype holds them."""


class Question(NamedTuple):
    """A call: ``inputs`` (B, T, D) and ``initial_state`` (layers * directions, B, u), float64."""

    name: str
    inputs: NDArray[np.float64]
    initial_state: NDArray[np.float64]


def questions(sizes: Sizes, *, batch: int, timesteps: int) -> tuple[Question, ...]:
    """Return calls for a GRU of given sizes; values of each golden case are repeated until they fill the shapes.

    Raises
    ------
    IntegrityError
        If the golden data of this installation is not what its manifest says, or has other cases.
    """
    cells = sizes.layers * sizes.directions
    return tuple(
        Question(
            name,
            np.resize(inputs, (batch, timesteps, sizes.input_size)),
            np.resize(state, (cells, batch, sizes.units)),
        )
        for name, (inputs, state) in zip(CASES, _golden_values(), strict=True)
    )


@cache
def _golden_values() -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    topics = {name.partition("/")[0] for name in CASES}
    by_id = {case.id: case for case in Suite.load().cases(topics)}
    found = []
    for name in CASES:
        calls = [call for call in by_id[name].calls if isinstance(call, Call)] if name in by_id else []
        states = [call.initial_state for call in calls if call.initial_state is not None]
        if not states:
            raise IntegrityError(f"{name}: the golden data has no such case with an initial state")
        found.append((calls[0].inputs, states[0]))
    return tuple(found)
