"""What each clause says, in a sentence or two for a report to somebody who has not read ``docs/spec.md``.

The sentences are those of the text, with hyphens for minus signs; a test keeps them so.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES: Mapping[str, str] = MappingProxyType(
    {
        "symbols": "Inputs have shape (B, T, D), a state has shape (B, u), a sequence of outputs (B, T, u)",
        "rows": "Row i of the outputs and of the state must depend on row i of inputs, mask and initial state only.",
        "weights": "A layer has a `kernel` W of shape (D, 3u) and a `recurrent_kernel` U of shape (u, 3u).",
        "gate-order": (
            "Every axis of length 3u holds three blocks of u: the update gate z, the reset gate r, the candidate h, in "
            "this order."
        ),
        "activations": "The candidate uses `activation` f, both gates use `recurrent_activation` s.",
        "hard-sigmoid": "hard_sigmoid(x) is x/5 + 1/2 clipped to [0, 1]: 0 for x ≤ -5/2, 1 for x ≥ 5/2.",
        "reset-before": (
            "z = s(x @ W_z + b_z + h @ U_z) r = s(x @ W_r + b_r + h @ U_r) c = f(x @ W_h + b_h + (r * h) @ U_h)"
        ),
        "reset-after": "c = f(x @ W_h + b_h + r * (h @ U_h + b'_h))",
        "update": (
            "The new state is z * h + (1 - z) * c: the update gate z keeps the old state, its complement takes the "
            "candidate. The output of the step is the new state."
        ),
        "bias": (
            "In the gates z and r only the sum b_g + b'_g counts. In the candidate of [reset-after] b'_h is multiplied "
            "by the reset gate and b_h is not, so the two must not be merged."
        ),
        "timesteps": (
            "Every step uses the state that the step before it left, and the same weights. Without a mask the output "
            "at timestep t is the state after it."
        ),
        "zero-timesteps": (
            "With T = 0 the sequence of outputs is empty, the last output is zero and the state is the initial state."
        ),
        "empty-batch": "With B = 0 outputs and state have their usual shapes with B = 0.",
        "zero-input-size": "With D = 0 the product x @ W is zero. T and B still count.",
        "initial-state": "The state before the first processed timestep is `initial_state`, or zeros if none is given.",
        "go-backwards": (
            "With `go_backwards` timesteps are processed from last to first. Outputs stay in the order of processing: "
            "output 0 belongs to timestep T - 1. Last output and state are those after timestep 0."
        ),
        "time-major": (
            "With `time_major` inputs have shape (T, B, D), a mask (T, B) or (T, B, 1), a sequence of outputs (T, B, "
            "u). The last output and every state stay (B, u). Values do not change."
        ),
        "unroll": "`unroll` is a hint about execution. It must not change a result, whatever the other arguments are.",
        "implementation": (
            "`implementation` 1 computes gate by gate, every other integer fuses the gates. They are the same function "
            "except under dropout"
        ),
        "return-sequences": (
            "With `return_sequences` the layer returns the outputs of all timesteps in the order of processing"
        ),
        "last-output": (
            "The last output is the output of the timestep that is processed last, (B, u). It is an output, not the "
            "state"
        ),
        "return-state": (
            "With `return_state` the layer also returns the state after the timestep that is processed last."
        ),
        "mask-shape": (
            "A mask has shape (B, T) or (B, T, 1), and (T, B) or (T, B, 1) under `time_major`. Any other shape is a "
            "ValueError."
        ),
        "mask-dtype": "True marks a timestep that counts, False one that is skipped.",
        "mask-state": (
            "At a masked timestep the state of the row does not change. The input of that timestep is not used."
        ),
        "mask-output": (
            "At a masked timestep the output is the previous *output* in the order of processing. Before the first "
            "valid timestep it is zero, even if the initial state or the recorded state is not"
        ),
        "mask-all": "In a row without a valid timestep every output is zero and the state is the initial state.",
        "zero-output": (
            "With `zero_output_for_mask` the output at a masked timestep is zero and nothing is held; the state "
            "follows [mask-state]. The last output is zero where the timestep that is processed last is masked"
        ),
        "masked-nonfinite": (
            "An input at a masked timestep may be anything, NaN and infinities included. It must not reach an output, "
            "a state or a gradient."
        ),
        "mask-order": "A mask belongs to its inputs: `go_backwards` reverses both in time.",
        "stateful": (
            "A stateful layer starts its first call from zeros and every later call from the recorded state, row by "
            "row; the final state of each call becomes the recorded state."
        ),
        "stateful-initial-state": (
            "An explicit `initial_state` wins over the recorded state, in all rows. The final state of that call is "
            "recorded."
        ),
        "reset-states": (
            "`reset_states()` sets the recorded state to zeros, `reset_states(states)` to the given array of shape (B, "
            "u)"
        ),
        "dropout-masks": (
            "A call takes its masks as constants, already scaled: m of shape (3, B, D) for the inputs and k of shape "
            "(3, B, u) for the state, in the order z, r, h and the same at every timestep."
        ),
        "losses": "A regularizer with factors l1 and l2 adds the loss l1 · Σ|w| + l2 · Σ w² over all elements.",
        "gradients": (
            "A held output sends its cotangent to the step that made it, and to nothing if none did; a zeroed output "
            "sends none. Through a masked timestep the state passes unchanged and the input has gradient 0."
        ),
        "gradient-kinks": (
            "The derivative of relu at 0 is 0. The derivative of hard_sigmoid is 1/5 on the closed interval [-5/2, "
            "5/2] and 0 elsewhere."
        ),
        "nonfinite": (
            "At valid timesteps NaN and infinities propagate by IEEE 754 arithmetic through the formulas of these "
            "clauses; zero times infinity is NaN, so that a zero weight does not shield from them."
        ),
        "signed-zero": "-0 and +0 are equal, as inputs and as results.",
        "subnormals": "Subnormal numbers are numbers: inputs, weights and states count in full",
        "arithmetic-inputs": "Inputs, weights, states, masks and cotangents must be taken exactly as given.",
        "arithmetic-sums": (
            "A sum or inner product of n non-zero terms may be formed in any order, with or without fused multiply-add."
        ),
        "arithmetic-operations": (
            "Every other elementary operation must have a relative error of at most u: it is correctly rounded to "
            "nearest in the dtype, or in a more precise one."
        ),
        "arithmetic-functions": (
            "For an argument that is exact, tanh must be within 8 u of its value, relative to it, and sigmoid within 4 "
            "u, absolute. relu, linear, clipping and selection are exact."
        ),
        "arithmetic-update": (
            "The update may be formed as z h + (1 - z) c, as c + z (h - c) or as h + (1 - z)(c - h). Where z, h and c "
            "make all three exact, the result must be exact."
        ),
        "arithmetic-underflow": (
            "An operation may replace a subnormal result by zero, with an error of at most v, only in an "
            "implementation that declares it"
        ),
        "arithmetic-gradients": "Gradients are those of reverse accumulation through these operations, under A2 to A6.",
        "admission": "where the contract itself leaves more room than that, nothing can be decided.",
        "verdict": "no implementation that keeps A1 to A7 can be further than κ u from the exact result.",
        "invalid-arguments": (
            "An argument that no GRU can have must be refused by an exception of the class below, or of a subclass, "
            "that names the argument."
        ),
    }
)
"""The sentences of each clause by id, in the order of the text."""
