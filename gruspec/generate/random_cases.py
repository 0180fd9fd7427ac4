"""Random cases of any shape and options.

Case k of a seed depends on nothing but the seed and k, so that runs can be resumed and shared out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call
from gruspec.certify import bounded
from gruspec.generate.clauses import exercised_clause
from gruspec.generate.draws import Draw
from gruspec.generate.edge_values import with_edge_values
from gruspec.generate.finish import finished, shrinkage
from gruspec.generate.layers import make_case
from gruspec.generate.masks import MINIMAL_TIMESTEPS
from gruspec.generate.options import COMMON, PARAMETERS, REMEMBERED, STATEFUL_CALLS, case_operations, row_spec
from gruspec.generate.training import DROPPING
from gruspec.generate.training_calls import trained
from gruspec.spec import GRUSpec, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gruspec.cases import Case, Operation

MOST = {"batch": 5, "timesteps": 64, "input_size": 16, "units": 32}
"""Largest sizes."""

USUALLY_MOST = MOST | {"timesteps": 16, "units": 16}
"""Largest sizes of nearly all cases: what is wrong with long sequences and many units mostly shows in few."""

LARGE_SHARE = 20
"""One case in so many may be larger."""

_OPTIONS = {name: values for name, values in PARAMETERS.items() if name not in MOST} | {
    "calls": ("one", "one", *STATEFUL_CALLS)
}
MOST_WITH_GRADIENTS = {"batch": 3, "timesteps": 12, "input_size": 8, "units": 8}
"""Largest sizes of cases that are differentiated."""

_GRADIENT_SHARE = 4
"""One case in so many is differentiated."""

_DROPPED_SHARE = 4
"""One case in so many, outside the common region, has dropout."""

_INFERENCE_SHARE = 4
"""One case in so many is not in training."""

_DROPPED = tuple(name for name in DROPPING if name != "none")

_COMMON_SHARE = 4
"""One case in so many lies in the region that nearly every framework has."""

_EMPTY_SHARE = 40
"""One case in so many has no timesteps in its first call, and one in so many no rows."""

_LAST_WITH_EDGES = 7
"""Later attempts draw no edge values: with some of them no case can be certified."""


def random_case(seed: int, k: int) -> Case:
    """Return case k of a seed, with proven values and bounds.

    Raises
    ------
    CertificationError
        If it cannot be certified in any attempt.
    """
    return finished(lambda attempt: drawn_case(seed, k, attempt))


def comparable_case(seed: int, k: int) -> Case:
    """Return case k of a seed with bounds but without expected values, for comparing implementations.

    This needs no ball arithmetic.

    Raises
    ------
    CertificationError
        If no attempt can be judged.
    """
    return finished(lambda attempt: drawn_case(seed, k, attempt), bounded)


def drawn_case(seed: int, k: int, attempt: int = 0) -> Case:
    """Return case k of a seed without expected values; later attempts draw smaller weights, the last no edge values.

    Weights are those of a fresh PyTorch layer, uniform within 1 / sqrt(units), where no edge values replace them.
    """
    draw, values_draw = Draw(f"random/{seed}/{k}"), Draw(f"random/{seed}/{k}#{attempt}")
    common = draw.choice("common", _COMMON_SHARE) == 0
    differentiated = draw.choice("gradients", _GRADIENT_SHARE) == 0
    row = _drawn_row(draw, common=common, differentiated=differentiated)
    spec = row_spec(row, reset_after=common or draw.choice("reset_after", 2) == 1)
    case_id = f"random/{spec.variant}/{seed}-{k}"
    scale = 2.0 ** -shrinkage(attempt) / np.sqrt(spec.units)
    weights = {
        name: (scale * (values_draw.integers(name, shape, 2**25) / 2.0**24 - 1)).astype(np.float32).astype(np.float64)
        for name, shape in weight_shapes(spec, row["input_size"]).items()
    }
    training = draw.choice("training", _INFERENCE_SHARE) > 0
    operations = [
        trained(Draw(f"{case_id}#{attempt}/{i}"), spec, call, training=training, gradients=differentiated)
        for i, call in enumerate(case_operations(case_id, attempt, spec, row))
    ]
    if attempt <= _LAST_WITH_EDGES:
        weights, operations = with_edge_values(Draw(f"{case_id}#{attempt}/edges"), spec, weights, operations)
    return free_case(case_id, spec, weights, operations)


def free_case(
    case_id: str, spec: GRUSpec, weights: Mapping[str, NDArray[np.float64]], operations: Sequence[Operation]
) -> Case:
    """Return a case without expected values that no topic has planned: its clause and flags follow from what it does.

    Its topic is the first part of its id.
    """
    batch, time = (1, 0) if spec.time_major else (0, 1)
    shapes = [operation.inputs.shape for operation in operations if isinstance(operation, Call)]
    empty = {"ZeroTimesteps": time, "EmptyBatch": batch}
    flags = [flag for flag, axis in empty.items() if any(shape[axis] == 0 for shape in shapes)]
    return make_case(case_id, exercised_clause(spec, operations), flags, spec, dict(weights), operations)


def _drawn_row(draw: Draw, *, common: bool, differentiated: bool) -> dict[str, Any]:
    """Return the options and sizes of a case, as a row of a covering array has them."""
    most = MOST if draw.choice("large", LARGE_SHARE) == 0 else USUALLY_MOST
    row: dict[str, Any] = {name: 1 + draw.choice(name, size) for name, size in most.items()}
    for name, values in (_OPTIONS | COMMON if common else _OPTIONS).items():
        row[name] = values[draw.choice(name, len(values))]
    if differentiated:
        row |= {name: 1 + draw.choice(name, size) for name, size in MOST_WITH_GRADIENTS.items()}
    dropped = not common and draw.choice("dropping", _DROPPED_SHARE) == 0
    row |= DROPPING[_DROPPED[draw.choice("dropped", len(_DROPPED))] if dropped else "none"]
    row["timesteps"] = max(row["timesteps"], MINIMAL_TIMESTEPS.get(row["mask"], 1))
    if row["calls"] == "explicit-state":
        row["timesteps"] = min(row["timesteps"], REMEMBERED)
    empty = {0: "timesteps", 1: "batch"}.get(draw.choice("empty", _EMPTY_SHARE))
    return row if empty is None else row | {empty: 0, "mask": "none"}
