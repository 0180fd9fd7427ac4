"""Which clause of the specification a case is about, told from what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.backend import batch_major_mask
from gruspec.cases import Call, ResetStates
from gruspec.spec import acting_dropout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gruspec.cases import Operation
    from gruspec.spec import GRUSpec


def exercised_clause(spec: GRUSpec, operations: Sequence[Operation]) -> str:
    """Return the most special clause that a layer and the operations on it exercise.

    Examples
    --------
    >>> import numpy as np
    >>> from gruspec.cases import Call
    >>> from gruspec.spec import GRUSpec
    >>> exercised_clause(GRUSpec(units=2, go_backwards=True), [Call(np.zeros((1, 3, 2)))])
    'go-backwards'
    """
    calls = [operation for operation in operations if isinstance(operation, Call)]
    masks = [batch_major_mask(call.mask, time_major=spec.time_major) for call in calls if call.mask is not None]
    batch, time = (1, 0) if spec.time_major else (0, 1)
    chain = (
        (any(call.cotangents is not None for call in calls), "gradients"),
        (any(call.inputs.shape[time] == 0 for call in calls), "zero-timesteps"),
        (any(call.inputs.shape[batch] == 0 for call in calls), "empty-batch"),
        (any(acting_dropout(spec, training=call.training) for call in calls), "dropout-masks"),
        (any(call.initial_state is not None for call in calls[1:]), "stateful-initial-state"),
        (any(isinstance(operation, ResetStates) for operation in operations), "reset-states"),
        (spec.stateful, "stateful"),
        (bool(masks) and spec.go_backwards, "mask-order"),
        (bool(masks) and spec.zero_output_for_mask, "zero-output"),
        (any(not mask.any(axis=1).all() for mask in masks), "mask-all"),
        (bool(masks) and spec.return_sequences, "mask-output"),
        (bool(masks), "mask-state"),
        (spec.go_backwards, "go-backwards"),
        (any(call.initial_state is not None for call in calls), "initial-state"),
        (spec.time_major, "time-major"),
        (spec.unroll, "unroll"),
        (spec.return_sequences, "return-sequences"),
        (spec.return_state, "return-state"),
    )
    return next((clause for holds, clause in chain if holds), spec.variant)
