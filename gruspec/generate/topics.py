"""The topics of the golden data: what each is about and where its cases come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.generate.elementary import elementary_cases
from gruspec.generate.extremes import edge_cases, saturation_cases, special_cases
from gruspec.generate.invalid import invalid_cases, recovery_cases
from gruspec.generate.losses import loss_cases
from gruspec.generate.options import option_cases
from gruspec.generate.precision import precision_cases
from gruspec.generate.training import dropout_cases, gradient_cases, stateful_gradient_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.cases import Case

TOPICS = {
    "elementary": "For each clause the smallest cases that need that clause and no later one",
    "common": "What nearly every framework has: reset-after, tanh and sigmoid, forwards, no mask or right padding",
    "basic": "Every three options of a single call without a mask",
    "masking": "Every three options of a single call with a mask",
    "stateful": "Every three options of two or three calls of a stateful layer",
    "precision": "Full-precision values, activation scans and isolated gates",
    "saturation": "Large pre-activations, and corners met exactly",
    "special": "NaN, infinities, signed zeros and subnormal numbers",
    "edge": "Sizes of zero, and sizes beyond those that kernels handle at a time",
    "dropout": "Explicit dropout masks, that act and that do not",
    "gradient": "Vector-Jacobian products of single calls, through every option that changes them",
    "stateful-gradient": "Vector-Jacobian products of each call of a stateful layer",
    "losses": "What regularizers of weights and outputs add to a loss",
    "invalid": "Uses that every implementation must refuse",
}
"""Topics in the order of the manifest, with what they are about."""


@dataclass(frozen=True)
class Source:
    """A family of cases; ``cases(attempt)`` draws all of them anew for each attempt."""

    cases: Callable[[int], Iterator[Case]]
    certified: bool = True


SOURCES = (
    Source(elementary_cases),
    Source(option_cases),
    Source(precision_cases),
    Source(saturation_cases),
    Source(special_cases),
    Source(edge_cases),
    Source(dropout_cases),
    Source(gradient_cases),
    Source(stateful_gradient_cases),
    Source(loss_cases),
    Source(invalid_cases, certified=False),
    Source(recovery_cases),
)
