"""The definition of a GRU, written once, and the number systems it runs over.

:class:`Definition` holds the equations; :mod:`~gruspec.reference.ieee` runs them in IEEE arithmetic,
:mod:`~gruspec.reference.balls` in rigorous enclosures, :mod:`~gruspec.reference.error_arrays` in values that carry the
worst rounding error of any conforming implementation. :func:`evaluate` and :func:`evaluate_vjp` are the float64
answers for everyday use.
"""

from gruspec.reference.definition import Definition, Sequence, split_weights
from gruspec.reference.evaluation import run_operations
from gruspec.reference.everyday import evaluate, evaluate_vjp
from gruspec.reference.layer import ReferenceLayer
from gruspec.reference.numbers import DifferentiableNumbers, NumberSystem
from gruspec.reference.results import Arguments, Result

__all__ = [
    "Arguments",
    "Definition",
    "DifferentiableNumbers",
    "NumberSystem",
    "ReferenceLayer",
    "Result",
    "Sequence",
    "evaluate",
    "evaluate_vjp",
    "run_operations",
    "split_weights",
]
