"""Topic ``elementary``: for each clause the smallest cases that need that clause and no later one.

The first clause of the specification whose elementary cases fail is the one that an implementation gets wrong; failures
of later clauses may only follow from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import ResetStates
from gruspec.generate.draws import Draw
from gruspec.generate.layers import arranged_call, draw_weights, make_case
from gruspec.spec import ACTIVATIONS, GATES, GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.cases import Case, Operation

SATURATED = -8.0
"""A pre-activation at which hard_sigmoid is 0 by a wide margin."""


def elementary_cases(attempt: int = 0) -> Iterator[Case]:
    """Yield the cases of every clause, in the order of the specification."""
    for reset_after in (False, True):
        for build in (
            _update,
            _activations,
            _gate_order,
            _weights,
            _reset,
            _bias,
            _initial_state,
            _returns,
            _layouts,
            _go_backwards,
            _masks,
            _stateful,
        ):
            yield from build(attempt, reset_after=reset_after)


class _Builder:
    """Elementary cases of one variant: small sizes, no bias, and the gates that usually go with the variant."""

    def __init__(self, clause: str, name: str, attempt: int, *, input_size: int = 3, **options: Any) -> None:
        gates = "sigmoid" if options["reset_after"] else "hard_sigmoid"
        defaults: dict[str, Any] = {
            "use_bias": False,
            "return_sequences": True,
            "return_state": True,
            "recurrent_activation": gates,
        }
        options = {**defaults, **options}
        self.spec = GRUSpec(units=4, **options)
        self.clause = clause
        self.id = f"elementary/{self.spec.variant}/{clause}{'-' if name else ''}{name}"
        self.draw = Draw(f"{self.id}#{attempt}")
        self.input_size = input_size
        self.weights = draw_weights(self.draw, self.spec, input_size)

    def gate(self, name: str, gate: str) -> Any:
        """Return a view of the block of a gate."""
        start = GATES.index(gate) * self.spec.units
        return self.weights[name][..., start : start + self.spec.units]

    def inputs(self, batch: int, timesteps: int, name: str = "inputs") -> Any:
        """Return drawn inputs (B, T, D)."""
        return self.draw.distinct(name, (batch, timesteps, self.input_size))

    def state(self, batch: int, name: str = "state") -> Any:
        """Return a drawn state (B, u)."""
        return self.draw.distinct(name, (batch, self.spec.units), -1)

    def case(self, *calls: Operation) -> Case:
        """Return the case."""
        return make_case(self.id, self.clause, (), self.spec, self.weights, calls)


def _update(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Saturate the update gate: one step from zero yields the candidate or nothing; every gate has the same sum."""
    options = {"reset_after": reset_after, "activation": "linear", "recurrent_activation": "sigmoid"}
    b = _Builder("update", "", attempt, input_size=1, **options)
    b.weights["recurrent_kernel"][:] = 0
    b.weights["kernel"][:] = 1
    yield b.case(arranged_call(b.spec, [[[-64.0]], [[64.0]], [[-128.0]]]))


def _activations(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Let an activation decide, in the candidate and then in the gates: one step from zero, the same sum in each."""
    roles: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("candidate", "activation", {"recurrent_activation": "sigmoid"}),
        ("gate", "recurrent_activation", {"activation": "linear"}),
    )
    for role, argument, other in roles:
        for activation in ACTIVATIONS:
            clause = "hard-sigmoid" if activation == "hard_sigmoid" else "activations"
            options = {"reset_after": reset_after, **other, argument: activation}
            b = _Builder(clause, f"{role}-{activation.replace('_', '-')}", attempt, input_size=1, **options)
            b.weights["recurrent_kernel"][:] = 0
            b.gate("kernel", "z")[:] = b.gate("kernel", "r")[:] = b.gate("kernel", "h")
            yield b.case(arranged_call(b.spec, b.inputs(3, 1)))


def _gate_order(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Update gate and candidate from zero: nothing recurs through a kernel, so the reset gate has no effect."""
    for timesteps in (1, 3):
        b = _Builder("gate-order", f"t{timesteps}", attempt, reset_after=reset_after)
        b.weights["recurrent_kernel"][:] = 0
        yield b.case(arranged_call(b.spec, b.inputs(2, timesteps)))


def _weights(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    """Let the update gate recur and the candidate not: the reset gate still has no effect."""
    b = _Builder("weights", "", attempt, reset_after=reset_after)
    b.gate("recurrent_kernel", "h")[:] = 0
    yield b.case(arranged_call(b.spec, b.inputs(2, 3)))


def _reset(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    clause = "reset-after" if reset_after else "reset-before"
    for recurrent_activation in ("hard_sigmoid", "sigmoid"):
        name = recurrent_activation.replace("_", "-")
        b = _Builder(clause, name, attempt, reset_after=reset_after, recurrent_activation=recurrent_activation)
        yield b.case(arranged_call(b.spec, b.inputs(2, 3)))


def _bias(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    rows = (0, 1) if reset_after else (0,)
    for row in rows:
        name = "recurrent" if row else "input"
        b = _Builder("bias", name, attempt, reset_after=reset_after, use_bias=True)
        bias = np.atleast_2d(b.weights["bias"])
        bias[[other for other in rows if other != row]] = 0
        yield b.case(arranged_call(b.spec, b.inputs(2, 2)))
    b = _Builder("bias", "all", attempt, reset_after=reset_after, use_bias=True)
    yield b.case(arranged_call(b.spec, b.inputs(2, 3)))


def _initial_state(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    for timesteps in (1, 3):
        b = _Builder("initial-state", f"t{timesteps}", attempt, reset_after=reset_after)
        yield b.case(arranged_call(b.spec, b.inputs(2, timesteps), initial_state=b.state(2)))


def _returns(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    for sequences in (False, True):
        for state in (False, True):
            clause = ("return-state" if state else "return-sequences") if sequences else "last-output"
            name = f"{'sequence' if sequences else 'last'}{'-state' if state else ''}"
            b = _Builder(clause, name, attempt, reset_after=reset_after, return_sequences=sequences, return_state=state)
            yield b.case(arranged_call(b.spec, b.inputs(2, 3)))


def _layouts(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    for batch, timesteps in ((2, 3), (3, 3), (3, 2)):
        b = _Builder("time-major", f"b{batch}t{timesteps}", attempt, reset_after=reset_after, time_major=True)
        yield b.case(arranged_call(b.spec, b.inputs(batch, timesteps)))
    b = _Builder("unroll", "", attempt, reset_after=reset_after, unroll=True)
    yield b.case(arranged_call(b.spec, b.inputs(2, 3)))


def _go_backwards(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    for sequences in (False, True):
        name = "sequence" if sequences else "last"
        options = {"reset_after": reset_after, "return_sequences": sequences, "go_backwards": True}
        b = _Builder("go-backwards", name, attempt, **options)
        yield b.case(arranged_call(b.spec, b.inputs(2, 4)))


def _masks(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    inner = [[1, 0, 1, 1], [1, 1, 0, 1]]
    gaps = [[1, 0, 1, 0], [1, 1, 0, 1]]
    padded = [[1, 1, 0, 0], [1, 1, 1, 0]]
    late = [[0, 1, 0, 1], [0, 0, 1, 1]]
    empty = [[0, 0, 0, 0], [1, 0, 1, 1]]
    last, backwards, zeros = {"return_sequences": False}, {"go_backwards": True}, {"zero_output_for_mask": True}
    time_major = backwards | {"time_major": True}
    for clause, name, mask, initial, options in (
        ("mask-state", "gaps", inner, False, last),
        ("mask-state", "gaps-h0", inner, True, last),
        ("mask-output", "gaps", gaps, False, {}),
        ("mask-output", "right-padded-last", padded, True, last),
        ("mask-output", "right-padded", padded, False, {}),
        ("mask-output", "late-start-h0", late, True, {}),
        ("mask-all", "", empty, False, {}),
        ("mask-all", "h0", empty, True, {}),
        ("mask-all", "h0-last", empty, True, last),
        ("zero-output", "gaps", gaps, False, zeros),
        ("zero-output", "right-padded", padded, True, zeros),
        ("zero-output", "right-padded-last", padded, True, zeros | last),
        ("mask-order", "backwards", padded, False, backwards),
        ("mask-order", "backwards-gaps", late, True, backwards),
        ("mask-order", "backwards-last", gaps, True, backwards | last),
        ("mask-order", "time-major", gaps, True, time_major),
    ):
        b = _Builder(clause, name, attempt, reset_after=reset_after, **options)
        yield b.case(arranged_call(b.spec, b.inputs(2, 4), mask, b.state(2) if initial else None))
    for name, options in (("trailing-axis", {}), ("trailing-axis-time-major", {"time_major": True})):
        b = _Builder("mask-shape", name, attempt, reset_after=reset_after, **options)
        call = arranged_call(b.spec, b.inputs(2, 4), gaps)
        yield b.case(replace(call, mask=None if call.mask is None else call.mask[..., None]))


def _stateful(attempt: int, *, reset_after: bool) -> Iterator[Case]:
    def builder(clause: str, name: str, *, stateful: bool = True, **options: Any) -> _Builder:
        return _Builder(clause, name, attempt, reset_after=reset_after, stateful=stateful, **options)

    def call(b: _Builder, i: int, timesteps: int = 2, mask: Any = None, state: Any = None) -> Operation:
        return arranged_call(b.spec, b.inputs(2, timesteps, f"inputs{i}"), mask, state)

    b = builder("stateful", "two-calls")
    yield b.case(call(b, 0), call(b, 1))
    b = builder("stateful", "other-length")
    yield b.case(call(b, 0, 3), call(b, 1, 1), call(b, 2, 2))
    b = builder("stateful", "backwards", go_backwards=True)
    yield b.case(call(b, 0, 3), call(b, 1, 3))
    b = builder("stateful", "masked-end")
    mask = [[1, 1, 0], [1, 0, 0]]
    yield b.case(call(b, 0, 3, mask), call(b, 1, 3, mask))
    b = builder("stateful", "masked-start")
    mask = [[0, 1, 1], [0, 0, 0]]
    yield b.case(call(b, 0, 3), call(b, 1, 3, mask))
    b = builder("stateful", "masked-end-zero-output", zero_output_for_mask=True)
    mask = [[1, 1, 0], [1, 0, 0]]
    yield b.case(call(b, 0, 3, mask), call(b, 1, 3))
    for name, sequences in (("not-sequence", True), ("not-last", False)):
        b = builder("stateful", name, stateful=False, return_sequences=sequences)
        yield b.case(call(b, 0), call(b, 1))
    b = builder("stateful", "not-other-batch", stateful=False)
    yield b.case(
        call(b, 0), arranged_call(b.spec, b.inputs(3, 2, "more")), arranged_call(b.spec, b.inputs(1, 2, "one"))
    )
    b = builder("reset-states", "zeros")
    yield b.case(call(b, 0), ResetStates(), call(b, 1))
    b = builder("reset-states", "values")
    yield b.case(call(b, 0), ResetStates(b.state(2, "reset")), call(b, 1))
    b = builder("stateful-initial-state", "first-call")
    yield b.case(call(b, 0, state=b.state(2)), call(b, 1))
    b = builder("stateful-initial-state", "later-call")
    yield b.case(call(b, 0), call(b, 1, state=b.state(2)), call(b, 2))
    b = builder("stateful-initial-state", "recorded-row-of-zeros")
    recorded = b.state(2, "reset") * np.array([[0.0], [1.0]])
    yield b.case(call(b, 0), ResetStates(recorded), call(b, 1, state=b.state(2)))
