"""Golden cases: the model, and reading and writing them."""

from gruspec.cases.model import Call, Case, Expected, Flag, Operation, ResetStates, operation_arrays

__all__ = ["Call", "Case", "Expected", "Flag", "Operation", "ResetStates", "operation_arrays"]
