"""Golden cases: the model, and the files that they are kept in."""

from gruspec.cases.model import Call, Case, Expected, Flag, Operation, ResetStates, judged_outputs, operation_arrays
from gruspec.cases.suite import Suite, golden_root, write_manifest, write_topic

__all__ = [
    "Call",
    "Case",
    "Expected",
    "Flag",
    "Operation",
    "ResetStates",
    "Suite",
    "golden_root",
    "judged_outputs",
    "operation_arrays",
    "write_manifest",
    "write_topic",
]
