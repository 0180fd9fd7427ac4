"""The recurrence of a GRU over tensors, differentiable by autograd.

Symbols: ``T`` timesteps in processing order, ``B`` batch, ``u`` units. The product of inputs and kernel is formed for
all timesteps at once; each step adds one recurrent product, two where the reset gate comes before it. Under dropout
each gate has products of its own. The update z h + (1 - z) c is ``torch.lerp(c, h, z)``, the other two forms of
[arithmetic-update].
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from gruspec.spec import GRUSpec

    Step: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


class Weights(NamedTuple):
    """``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and ``bias``: (3u,), (2, 3u) under ``reset_after``, or None."""

    kernel: Tensor
    recurrent_kernel: Tensor
    bias: Tensor | None


class DropoutMasks(NamedTuple):
    """The masks that act, scaled: ``inputs`` (3, B, D) or (1, B, D), and ``recurrent`` (3, B, u) [dropout-masks]."""

    inputs: Tensor | None = None
    recurrent: Tensor | None = None


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return clip(0.2 x + 0.5, 0, 1), with slope 0.2 where -2.5 <= x <= 2.5 [hard-sigmoid, gradient-kinks].

    It is x that is clipped, for the sum is 1 for some x above 2.5 too, where the slope must be 0.
    """
    return 0.2 * torch.clamp(x, -2.5, 2.5) + 0.5


def linear(x: Tensor) -> Tensor:
    """Return ``x``."""
    return x


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": torch.relu,
    "linear": linear,
}


def run(
    spec: GRUSpec, weights: Weights, inputs: Tensor, mask: Tensor | None, state: Tensor, dropout: DropoutMasks
) -> list[Tensor]:
    """Return the state after each timestep, in processing order.

    Parameters
    ----------
    spec
        The layer.
    weights
        Its weights.
    inputs
        (B, T, D), or (T, B, D) under ``time_major``, in order of time.
    mask
        bool (T, B) in processing order, or None. A masked step keeps the state [mask-state]; its inputs must be
        finite, for a gradient of zero times a NaN is a NaN.
    state
        (B, u): the state before the first step.
    dropout
        The masks that act; the same at every step.
    """
    timesteps_axis = 0 if spec.time_major else 1
    step = (reset_after_step if spec.reset_after else reset_before_step)(spec, weights, dropout.recurrent)
    gates, candidate = input_terms(spec, weights, inputs, dropout.inputs).split([2 * spec.units, spec.units], dim=-1)
    terms = list(zip(gates.unbind(timesteps_axis), candidate.unbind(timesteps_axis), strict=True))
    if spec.go_backwards:
        terms.reverse()
    states = []
    for term, keep in zip(terms, repeat(None, len(terms)) if mask is None else mask[..., None], strict=True):
        if keep is None:
            state = step(*term, state)
        else:
            # A skipped step runs from zeros: what overflows in it would reach gradients as zero times infinity.
            state = torch.where(keep, step(*term, torch.where(keep, state, 0)), state)
        states.append(state)
    return states


def outputs(spec: GRUSpec, states: Sequence[Tensor], mask: Tensor | None, start: Tensor) -> Tensor:
    """Return what a layer returns: the last output or the sequence of all, in its layout [return-sequences].

    From its first valid step on a row's held output equals its held state; before that it is zero [mask-output].

    Parameters
    ----------
    spec
        The layer.
    states
        The state (B, u) after each timestep, in processing order.
    mask
        bool (T, B) in processing order, or None.
    start
        (B, u): the state before the first step.
    """
    timesteps_axis = 0 if spec.time_major else 1
    if not states:
        zeros = torch.zeros_like(start)
        return zeros.unsqueeze(timesteps_axis).narrow(timesteps_axis, 0, 0) if spec.return_sequences else zeros
    shown = mask if mask is None or spec.zero_output_for_mask else mask.cumsum(0) > 0
    if not spec.return_sequences:
        return states[-1] if shown is None else torch.where(shown[-1][:, None], states[-1], 0)
    sequence = torch.stack(states, dim=timesteps_axis)
    if shown is None:
        return sequence
    return torch.where(shown.movedim(0, timesteps_axis).contiguous()[..., None], sequence, 0)


def product(values: Tensor, kernel: Tensor, bias: Tensor | None, masks: Tensor | None) -> Tensor:
    """Return ``values @ kernel + bias``, each of several masks multiplying the values for its share of the columns.

    Parameters
    ----------
    values
        (..., n).
    kernel
        (n, m).
    bias
        (m,), or None.
    masks
        (k, ..., n), broadcast to the values, where k divides m; or None.
    """
    if masks is None:
        return torch.nn.functional.linear(values, kernel.t(), bias)
    shares = zip(masks, kernel.chunk(len(masks), dim=-1), strict=True)
    total = torch.cat([(values * mask) @ columns for mask, columns in shares], dim=-1)
    return total if bias is None else total + bias


def input_terms(spec: GRUSpec, weights: Weights, inputs: Tensor, masks: Tensor | None) -> Tensor:
    """Return the part of the pre-activations that does not depend on the state, (..., 3u)."""
    bias = weights.bias[0] if weights.bias is not None and spec.reset_after else weights.bias
    # Of the axes of a mask (k, B, D) the one of timesteps is missing.
    return product(
        inputs, weights.kernel, bias, masks if masks is None else masks.unsqueeze(1 if spec.time_major else 2)
    )


def reset_after_step(spec: GRUSpec, weights: Weights, masks: Tensor | None) -> Step:
    """Return the step whose reset gate acts on the recurrent product [reset-after]."""
    gate, activation = ACTIVATIONS[spec.recurrent_activation], ACTIVATIONS[spec.activation]
    bias = None if weights.bias is None else weights.bias[1]
    sizes = [2 * spec.units, spec.units]

    def step(gates: Tensor, candidate: Tensor, state: Tensor) -> Tensor:
        recurrent = product(state, weights.recurrent_kernel, bias, masks)
        recurrent_gates, recurrent_candidate = recurrent.split(sizes, dim=-1)
        z, r = gate(gates + recurrent_gates).chunk(2, dim=-1)
        return torch.lerp(activation(torch.addcmul(candidate, r, recurrent_candidate)), state, z)

    return step


def reset_before_step(spec: GRUSpec, weights: Weights, masks: Tensor | None) -> Step:
    """Return the step whose reset gate acts on the state, before the recurrent product [reset-before]."""
    gate, activation = ACTIVATIONS[spec.recurrent_activation], ACTIVATIONS[spec.activation]
    gates_kernel, candidate_kernel = weights.recurrent_kernel.split([2 * spec.units, spec.units], dim=-1)

    def step(gates: Tensor, candidate: Tensor, state: Tensor) -> Tensor:
        if masks is None:
            total, kept = torch.addmm(gates, state, gates_kernel), state
        else:
            total, kept = gates + product(state, gates_kernel, None, masks[:2]), state * masks[2]
        z, r = gate(total).chunk(2, dim=-1)
        return torch.lerp(activation(torch.addmm(candidate, r * kept, candidate_kernel)), state, z)

    return step
