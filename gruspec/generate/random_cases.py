"""Random cases of any shape and options.

Case k of a seed depends on nothing but the seed and k, so that runs can be resumed and shared out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.certify import bounded
from gruspec.generate.draws import Draw
from gruspec.generate.finish import finished, shrinkage
from gruspec.generate.layers import make_case
from gruspec.generate.masks import MINIMAL_TIMESTEPS
from gruspec.generate.options import COMMON, PARAMETERS, REMEMBERED, STATEFUL_CALLS, case_operations, row_spec
from gruspec.generate.training import DROPPING
from gruspec.generate.training_calls import trained
from gruspec.spec import weight_shapes

if TYPE_CHECKING:
    from gruspec.cases import Case

MOST = {"batch": 5, "timesteps": 64, "input_size": 16, "units": 32}
"""Largest sizes."""

_OPTIONS = {name: values for name, values in PARAMETERS.items() if name not in MOST} | {
    "calls": ("one", "one", *STATEFUL_CALLS)
}
MOST_WITH_GRADIENTS = {"batch": 3, "timesteps": 12, "input_size": 8, "units": 8}
"""Largest sizes of cases that are differentiated."""

_GRADIENT_SHARE = 4
"""One case in so many is differentiated."""

_DROPPED_SHARE = 4
"""One case in so many, outside the common region, has dropout."""

_DROPPED = tuple(name for name in DROPPING if name != "none")

_COMMON_SHARE = 4
"""One case in so many lies in the region that nearly every framework has."""

_CLAUSE = "verdict"


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
    """Return case k of a seed without expected values; later attempts draw smaller weights.

    Weights are those of a fresh PyTorch layer: uniform within 1 / sqrt(units).
    """
    draw, values_draw = Draw(f"random/{seed}/{k}"), Draw(f"random/{seed}/{k}#{attempt}")
    row: dict[str, Any] = {name: 1 + draw.choice(name, most) for name, most in MOST.items()}
    common = draw.choice("common", _COMMON_SHARE) == 0
    for name, values in (_OPTIONS | COMMON if common else _OPTIONS).items():
        row[name] = values[draw.choice(name, len(values))]
    differentiated = draw.choice("gradients", _GRADIENT_SHARE) == 0
    if differentiated:
        row |= {name: 1 + draw.choice(name, most) for name, most in MOST_WITH_GRADIENTS.items()}
    dropped = not common and draw.choice("dropping", _DROPPED_SHARE) == 0
    row |= DROPPING[_DROPPED[draw.choice("dropped", len(_DROPPED))] if dropped else "none"]
    row["timesteps"] = max(row["timesteps"], MINIMAL_TIMESTEPS.get(row["mask"], 1))
    if row["calls"] == "explicit-state":
        row["timesteps"] = min(row["timesteps"], REMEMBERED)
    spec = row_spec(row, reset_after=common or draw.choice("reset_after", 2) == 1)
    case_id = f"random/{spec.variant}/{seed}-{k}"
    scale = 2.0 ** -shrinkage(attempt) / np.sqrt(spec.units)
    weights = {
        name: (scale * (values_draw.integers(name, shape, 2**25) / 2.0**24 - 1)).astype(np.float32).astype(np.float64)
        for name, shape in weight_shapes(spec, row["input_size"]).items()
    }
    operations = [
        trained(Draw(f"{case_id}#{attempt}/{i}"), spec, call, training=True, gradients=differentiated)
        for i, call in enumerate(case_operations(case_id, attempt, spec, row))
    ]
    return make_case(case_id, _CLAUSE, (), spec, weights, operations)
