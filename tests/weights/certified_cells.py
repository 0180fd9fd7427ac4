"""What one layer of a GRU must compute from given weights, certified, and the verdict on what was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec import GRUSpec
from gruspec.cases import Call, Case
from gruspec.certify import certify
from gruspec.conformance.verdict import judge_array
from gruspec.layouts import Block, Cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.backend import NativeResult
    from gruspec.cases import Expected
    from gruspec.layouts import Weights

    Array = NDArray[Any]

GATES = "zrh"


def expected_of(
    weights: Weights,
    cell: Cell,
    inputs: Array,
    initial_state: Array,
    *,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
) -> Mapping[str, Expected]:
    """Return the certified ``outputs`` (B, T, u), in the order of the inputs, and ``state`` (B, u) of one cell."""
    spec = GRUSpec(
        units=weights.sizes.units,
        activation=activation,
        recurrent_activation=recurrent_activation,
        use_bias=weights.use_bias,
        reset_after=weights.reset_after,
        go_backwards=cell.direction == 1,
        return_sequences=True,
        return_state=True,
    )
    arrays = {name: _joined(weights, cell, name) for name in ("kernel", "recurrent_kernel")}
    if weights.use_bias:
        arrays["bias"] = _bias(weights, cell)
    call = Call(inputs.astype(np.float64), initial_state=initial_state.astype(np.float64))
    dtype = weights.dtype.name if weights.dtype.itemsize == 2 else None
    case = Case("weights", "weights", "arithmetic-update", (), (), spec, arrays, (call,))
    certified = certify(case, dtype=dtype)
    assert weights.dtype.name in certified.dtypes
    (answered,) = certified.calls
    assert isinstance(answered, Call)
    return answered.expected


def judge(result: NativeResult, expected: Mapping[str, Expected], *, cell: Cell, directions: int, dtype: str) -> None:
    """Assert that outputs and state of one cell of the last layer are within the bound."""
    outputs = np.split(result.outputs, directions, axis=2)[cell.direction]
    computed: dict[str, Array] = {"outputs": outputs[:, ::-1] if cell.direction else outputs}
    if result.state is not None:
        computed["state"] = result.state[cell.layer * directions + cell.direction]
    for name, values in computed.items():
        verdict = judge_array(values, expected[name], dtype)
        assert verdict.passed, f"{name}: {verdict}"
        assert verdict.judged == values.size


def _joined(weights: Weights, cell: Cell, part: str) -> Array:
    return np.concatenate([weights.blocks[Block(cell, part, gate)].astype(np.float64) for gate in GATES], axis=1)


def _bias(weights: Weights, cell: Cell) -> Array:
    """Return the bias in the reference layout: two rows after, one sum before, which must be exact."""
    units = weights.sizes.units
    rows = np.zeros((2, 3 * units))
    for row, part in enumerate(("input_bias", "recurrent_bias")):
        for column, gate in enumerate(GATES):
            block = weights.blocks.get(Block(cell, part, gate))
            if block is not None:
                rows[row, column * units : (column + 1) * units] = block
    return rows if weights.reset_after else rows.sum(axis=0)
