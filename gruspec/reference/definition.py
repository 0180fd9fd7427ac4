"""The equations of the GRU. There is no other copy of them in this package.

The definition runs over any :class:`~gruspec.reference.numbers.NumberSystem`. Its methods are seams: a wrong GRU is
this class with one of them replaced.

Shapes: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units. One timestep is (B, 1, D), a state (B, 1, u) and a
block of weights (1, D, u), (1, u, u) or (1, 1, u): rows of a batch never mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic

import numpy as np

from gruspec.reference.numbers import A, NumberSystem
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Sequence as Ordered

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec


def split_weights(spec: GRUSpec, weights: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Cut weights in the layout of the reference layer into one block per gate [weights, gate-order].

    Returns
    -------
    dict
        For each gate g of z, r, h: ``kernel_g`` (1, D, u), ``recurrent_kernel_g`` (1, u, u), ``bias_g`` and
        ``recurrent_bias_g`` (1, 1, u), the biases zero where the layer has none.
    """
    units = spec.units
    bias = weights.get("bias", np.zeros(3 * units))
    rows = {
        "kernel": weights["kernel"],
        "recurrent_kernel": weights["recurrent_kernel"],
        "bias": np.atleast_2d(bias)[:1],
        "recurrent_bias": bias[1:] if bias.ndim == 2 else np.zeros((1, 3 * units)),
    }
    return {
        f"{name}_{gate}": block[None, :, i * units : (i + 1) * units]
        for name, block in rows.items()
        for i, gate in enumerate(GATES)
    }


def join_weights(spec: GRUSpec, blocks: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Put blocks, as of gradients, together again as weights in the layout of the reference layer.

    Parameters
    ----------
    spec
        The layer.
    blocks
        Named as by :func:`split_weights`, without the first axis.
    """

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([blocks[f"{name}_{gate}"] for gate in GATES], axis=-1)

    weights = {"kernel": joined("kernel"), "recurrent_kernel": joined("recurrent_kernel")}
    if spec.use_bias:
        rows = ["bias", "recurrent_bias"] if spec.reset_after else ["bias"]
        bias = np.concatenate([joined(name) for name in rows])
        weights["bias"] = bias if spec.reset_after else bias[0]
    return weights


def split_masks(masks: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Cut dropout masks into one for each gate [dropout-masks].

    Returns
    -------
    dict
        For each gate g of z, r, h: ``inputs_g`` (B, 1, D) and ``recurrent_g`` (B, 1, u), where given; a single mask
        that serves all gates is ``inputs``.
    """
    return {
        kind + suffix: mask[:, None]
        for kind, array in masks.items()
        for suffix, mask in zip([""] if len(array) == 1 else [f"_{gate}" for gate in GATES], array, strict=True)
    }


@dataclass(frozen=True)
class Sequence(Generic[A]):
    """Outputs of a call in processing order, its last output and its final state, each (B, 1, u)."""

    outputs: Ordered[A]
    last: A
    state: A


class Definition(Generic[A]):
    """A GRU bound to a specification, to weights, to the dropout masks of a call and to a number system.

    Parameters
    ----------
    numbers
        Arithmetic to compute in.
    spec
        The layer's arguments.
    weights
        Blocks from :func:`split_weights`, lifted into the number system.
    dropout_masks
        Those that act, from :func:`split_masks`, lifted.
    """

    def __init__(
        self,
        numbers: NumberSystem[A],
        spec: GRUSpec,
        weights: Mapping[str, A],
        dropout_masks: Mapping[str, A] = MappingProxyType({}),
    ) -> None:
        self.numbers = numbers
        self.spec = spec
        self.weights = weights
        self.dropout_masks = dropout_masks

    def weight(self, name: str) -> A:
        """Return a block of the weights [weights, gate-order]."""
        return self.weights[name]

    def dropped(self, name: str, values: A) -> A:
        """Return inputs or a state under a dropout mask, if there is one of that name [dropout-masks]."""
        mask = self.dropout_masks.get(name)
        if mask is None:
            return values
        masked: A = values * mask
        return masked

    def projection(self, gate: str, inputs: A) -> A:
        """Return ``x W_g + b_g``."""
        inputs = self.dropped(f"inputs_{gate}", inputs)
        projected: A = inputs @ self.weight(f"kernel_{gate}") + self.weight(f"bias_{gate}")
        return projected

    def recurrence(self, gate: str, state: A) -> A:
        """Return ``h U_g + b'_g``."""
        state = self.dropped(f"recurrent_{gate}", state)
        projected: A = state @ self.weight(f"recurrent_kernel_{gate}") + self.weight(f"recurrent_bias_{gate}")
        return projected

    def activated(self, gate: str, total: A) -> A:
        """Apply the activation of a gate or of the candidate [activations]."""
        name = self.spec.activation if gate == "h" else self.spec.recurrent_activation
        return self.numbers.activation(name, total)

    def gate(self, gate: str, inputs: A, state: A) -> A:
        """Return the update gate z or the reset gate r [reset-before, reset-after]."""
        return self.activated(gate, self.projection(gate, inputs) + self.recurrence(gate, state))

    def candidate(self, inputs: A, state: A, reset: A) -> A:
        """Return the candidate n, the reset gate before or after the product [reset-before, reset-after]."""
        if self.spec.reset_after:
            recurrent = reset * self.recurrence("h", state)
        else:
            recurrent = self.recurrence("h", reset * state)
        return self.activated("h", self.projection("h", inputs) + recurrent)

    def mixed(self, update: A, state: A, candidate: A) -> A:
        """Return ``z h + (1 - z) c`` [update]."""
        return self.numbers.blend(update, state, candidate)

    def cell(self, inputs: A, state: A) -> A:
        """Return the new state, which is also the output of the step [update]."""
        inputs = self.dropped("inputs", inputs)
        update = self.gate("z", inputs, state)
        reset = self.gate("r", inputs, state)
        return self.mixed(update, state, self.candidate(inputs, state, reset))

    def order(self, timesteps: int) -> Iterable[int]:
        """Return the timesteps in the order of processing [go-backwards]."""
        return range(timesteps)[::-1] if self.spec.go_backwards else range(timesteps)

    def mask_at(self, mask: NDArray[np.bool_], timestep: int) -> NDArray[np.bool_]:
        """Return the mask of a timestep, (B, 1, 1): it travels with its inputs [mask-order]."""
        return mask[:, timestep, None, None]

    def next_state(self, valid: NDArray[np.bool_], new: A, state: A) -> A:
        """Keep the state at masked timesteps [mask-state]."""
        return self.numbers.select(valid, new, state)

    def next_output(self, valid: NDArray[np.bool_], new: A, output: A) -> A:
        """Hold the previous output at masked timesteps, or output zeros [mask-output, zero-output]."""
        held = self.numbers.zeros(output.shape) if self.spec.zero_output_for_mask else output
        return self.numbers.select(valid, new, held)

    def masked_inputs(self, valid: NDArray[np.bool_], inputs: A) -> A:
        """Replace the inputs of masked timesteps, which may be anything, by zeros [masked-nonfinite]."""
        return self.numbers.select(valid, inputs, self.numbers.zeros(inputs.shape))

    def sequence(self, inputs: Ordered[A], state: A, mask: NDArray[np.bool_] | None) -> Sequence[A]:
        """Run over all timesteps.

        Parameters
        ----------
        inputs
            One array (B, 1, D) per timestep, in the order of time.
        state
            Initial state (B, 1, u).
        mask
            (B, T), or None.
        """
        output, outputs = self.numbers.zeros(state.shape), []
        for timestep in self.order(len(inputs)):
            if mask is None:
                output = state = self.cell(inputs[timestep], state)
            else:
                valid = self.mask_at(mask, timestep)
                new = self.cell(self.masked_inputs(valid, inputs[timestep]), state)
                output, state = self.next_output(valid, new, output), self.next_state(valid, new, state)
            outputs.append(output)
        return Sequence(outputs, output, state)
