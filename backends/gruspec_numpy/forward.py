"""The forward pass: a pure function of weights, inputs, state and masks.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units. Every axis of length 3u holds the update gate z,
the reset gate r and the candidate c, in this order. Inside, timesteps are in processing order and arrays are columns
(T, 3u, B): see :mod:`gruspec_numpy.columns`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from .columns import turn, turned

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    from .activations import Activation
    from .equations import Equations

    Array: TypeAlias = NDArray[Any]
    Step: TypeAlias = Callable[[int], None]

SMALL_BATCH = 32
"""Below this batch size one product over all timesteps and a transposition are faster than a product for each."""

SMALL_KERNEL = 32768
"""Up to this size a block of a kernel is copied: for contiguous arrays, and only for them, NumPy's dot is fastest."""


class Tape(NamedTuple):
    """What a forward pass leaves for the backward pass, in processing order.

    ``inputs`` (T, B, D), zero at masked timesteps; ``arguments`` (T, 3u, B) and ``values`` (T, 3u, B) of the
    activations, one array where nothing is taped; ``products`` (T, u, B), what the reset gate multiplies under
    ``reset_after``, if taped; ``states`` (T + 1, u, B), the initial one first; with a mask ``valid`` and ``shown``,
    bool (T, B): where a timestep counts, and where the output is the state and not zero.
    """

    inputs: Array
    arguments: Array
    values: Array
    products: Array | None
    states: Array
    valid: Array | None
    shown: Array | None

    @property
    def is_taped(self) -> bool:
        """Whether it serves a backward pass."""
        return self.arguments is not self.values

    def between(self, begin: int, end: int) -> Tape:
        """Return the tape of the timesteps from ``begin`` to before ``end``; it shares memory with this one."""
        part, states = slice(begin, end), self.states[begin : end + 1]
        products, valid, shown = (None if array is None else array[part] for array in self[3:4] + self[5:])
        return Tape(self.inputs[part], self.arguments[part], self.values[part], products, states, valid, shown)


class Result(NamedTuple):
    """What a sequence gives.

    ``outputs`` is (B, T, u), under ``time_major`` (T, B, u), without ``return_sequences`` (B, u); ``state`` is (B, u).
    """

    outputs: Array
    state: Array
    tape: Tape


def forward(
    equations: Equations, inputs: Array, state: Array, mask: Array | None = None, *, taped: bool = False
) -> Result:
    """Run a GRU over a sequence.

    Parameters
    ----------
    equations
        The layer and its weights.
    inputs
        (T, B, D), of the dtype of the weights, in the order of time. Values at masked timesteps are never looked at
        [masked-nonfinite].
    state
        (B, u), of the same dtype: the state before the first processed timestep. It is not written to.
    mask
        bool (T, B); True marks a timestep that counts.
    taped
        Whether the tape must serve a backward pass.

    Returns
    -------
    Result
        Nothing but its tape shares memory with the arguments.
    """
    spec = equations.spec
    order = slice(None, None, -1 if spec.go_backwards else 1)
    inputs, valid = inputs[order], None if mask is None else mask[order]
    shown = None if valid is None else valid if spec.zero_output_for_mask else np.logical_or.accumulate(valid)
    with np.errstate(all="ignore"):
        if valid is not None:
            inputs = np.where(valid[..., None], inputs, 0)
        tape = _blank(equations, inputs, state, valid, shown, taped=taped)
        step = (reset_after if spec.reset_after else reset_before)(equations, tape)
        skipped = None if valid is None else ~valid
        for i in range(len(inputs)):
            step(i)
            if skipped is not None:
                np.copyto(tape.states[i + 1], tape.states[i], where=skipped[i])
    return Result(_outputs(spec, tape), tape.states[-1].T.copy(), tape)


def _blank(
    equations: Equations, inputs: Array, state: Array, valid: Array | None, shown: Array | None, *, taped: bool
) -> Tape:
    """Return a tape on which the inputs' share of the arguments and the initial state are written, and no step."""
    spec, (timesteps, batch, _) = equations.spec, inputs.shape
    arguments = project(equations, inputs)
    values = np.empty_like(arguments) if taped else arguments
    products = np.empty((timesteps, spec.units, batch), inputs.dtype) if taped and spec.reset_after else None
    states = np.empty((timesteps + 1, spec.units, batch), inputs.dtype)
    states[0] = state.T
    return Tape(inputs, arguments, values, products, states, valid, shown)


def _outputs(spec: GRUSpec, tape: Tape) -> Array:
    """Return the outputs: states, or zeros where none is shown [mask-output, zero-output]."""
    timesteps, batch, _ = tape.inputs.shape
    states, shown = tape.states[1:], tape.shown
    if not spec.return_sequences:
        if not timesteps:
            return np.zeros((batch, spec.units), states.dtype)
        last: Array = states[-1].T.copy()
        return last if shown is None else np.where(shown[-1, :, None], last, 0)
    leading = (timesteps, batch) if spec.time_major else (batch, timesteps)
    outputs = np.empty((*leading, spec.units), states.dtype)
    rows = outputs if spec.time_major else outputs.swapaxes(0, 1)
    turn(states, rows)
    if shown is not None:
        np.copyto(rows, 0, where=~shown[..., None])
    return outputs


def project(equations: Equations, inputs: Array) -> Array:
    """Return the inputs' share of the arguments of all three activations at all timesteps at once, (T, 3u, B).

    It includes the biases, but for the one that the reset gate multiplies under ``reset_after`` [bias].
    """
    kernel, masks = equations.weights["kernel"], equations.entering
    if masks is None:
        projected = _products(inputs, kernel)
    elif len(masks) == 1:
        projected = _products(inputs * masks[0], kernel)
    else:
        blocks = zip(masks, np.split(kernel, 3, axis=1), strict=True)
        projected = np.concatenate([_products(inputs * mask, block) for mask, block in blocks], axis=1)
    if "bias" in equations.weights:
        projected += _merged(equations.spec, equations.weights["bias"])[:, None]
    return projected


def _products(inputs: Array, kernel: Array) -> Array:
    """Return the columns (T, n, B) of the products of ``inputs`` (T, B, D) and ``kernel`` (D, n)."""
    timesteps, batch, size = inputs.shape
    if batch >= SMALL_BATCH:
        columns: Array = np.matmul(kernel.T, inputs.swapaxes(1, 2))
        return columns
    rows = (inputs.reshape(timesteps * batch, size) @ kernel).reshape(timesteps, batch, kernel.shape[1])
    return rows.reshape(timesteps, kernel.shape[1], 1) if batch == 1 else turned(rows)


def _merged(spec: GRUSpec, bias: Array) -> Array:
    """Return what is added to the products of the inputs: in the gates only the sum of both biases counts [bias]."""
    if not spec.reset_after:
        return bias
    merged: Array = bias[0].copy()
    merged[: 2 * spec.units] += bias[1, : 2 * spec.units]
    return merged


def reset_after(equations: Equations, tape: Tape) -> Step:
    """Return the step whose reset gate acts on the finished recurrent product, its bias included [reset-after]."""
    u, states, products = equations.spec.units, tape.states, tape.products
    gates, candidates = tape.arguments[:, : 2 * u], tape.arguments[:, 2 * u :]
    updates, resets = tape.values[:, :u], tape.values[:, u : 2 * u]
    activate_gates, activate_candidate = _activating(equations, tape)
    multiply = multiplying(equations.weights["recurrent_kernel"], equations.recurrent)
    recurrent_bias = equations.weights["bias"][1, 2 * u :, None] if "bias" in equations.weights else None
    recurrent = np.empty((3 * u, states.shape[2]), states.dtype)
    scratch = np.empty((u, states.shape[2]), states.dtype)
    recurrent_gates, product = recurrent[: 2 * u], recurrent[2 * u :]
    blend = blending(scratch)

    def step(i: int) -> None:
        gate, candidate, state = gates[i], candidates[i], states[i]
        multiply(state, recurrent)
        if recurrent_bias is not None:
            np.add(product, recurrent_bias, product)
        if products is not None:
            products[i] = product
        gate += recurrent_gates
        activate_gates(i, gate)
        candidate += np.multiply(resets[i], product, scratch)
        blend(updates[i], state, activate_candidate(i, candidate), states[i + 1])

    return step


def reset_before(equations: Equations, tape: Tape) -> Step:
    """Return the step whose reset gate acts on the state before its product for the candidate [reset-before]."""
    u, states, masks = equations.spec.units, tape.states, equations.recurrent
    gates, candidates = tape.arguments[:, : 2 * u], tape.arguments[:, 2 * u :]
    updates, resets = tape.values[:, :u], tape.values[:, u : 2 * u]
    activate_gates, activate_candidate = _activating(equations, tape)
    kernel = equations.weights["recurrent_kernel"]
    multiply = multiplying(kernel[:, : 2 * u], None if masks is None else masks[:2])
    multiply_reset = multiplying(kernel[:, 2 * u :], None if masks is None else masks[2:])
    recurrent = np.empty((2 * u, states.shape[2]), states.dtype)
    scratch = np.empty((u, states.shape[2]), states.dtype)
    blend = blending(scratch)

    def step(i: int) -> None:
        gate, candidate, state, new = gates[i], candidates[i], states[i], states[i + 1]
        multiply(state, recurrent)
        gate += recurrent
        activate_gates(i, gate)
        multiply_reset(np.multiply(resets[i], state, new), scratch)
        candidate += scratch
        blend(updates[i], state, activate_candidate(i, candidate), new)

    return step


def _activating(equations: Equations, tape: Tape) -> tuple[Callable[[int, Array], Array], ...]:
    """Return what activates both gates of a timestep, and what activates its candidate."""
    u = equations.spec.units
    return (
        activating(equations.gates, tape.values[:, : 2 * u], u, taped=tape.is_taped),
        activating(equations.candidate, tape.values[:, 2 * u :], u, taped=tape.is_taped),
    )


def activating(activation: Activation, values: Array, units: int, *, taped: bool) -> Callable[[int, Array], Array]:
    """Return what activates the arguments (n u, B) of timestep i and returns the values, ``values[i]``.

    Arguments that are taped are another array than the values, and stay. An activation that mixes elements gets each
    gate as rows (B, u).
    """
    apply, elementwise = activation.apply, activation.elementwise

    def activate(i: int, array: Array) -> Array:
        if taped:
            arguments, array = array, values[i]
            array[...] = arguments
        if elementwise:
            apply(array)
        else:
            for begin in range(0, len(array), units):
                apply(array[begin : begin + units].T)
        return array

    return activate


def multiplying(kernel: Array, masks: Array | None) -> Callable[[Array, Array], object]:
    """Return what writes the product of a state (u, B) with ``kernel`` (u, n u) to columns (n u, B).

    ``masks`` (n, B, u) multiply the state first, for each block of columns another one [dropout-masks].
    """
    if masks is None:
        if not kernel.flags.c_contiguous and kernel.size > SMALL_KERNEL:
            return partial(np.matmul, kernel.T)
        return partial(np.dot, np.ascontiguousarray(kernel).T)
    units, columns = len(kernel), masks.swapaxes(1, 2)
    blocks = kernel.reshape(units, len(masks), units).transpose(1, 2, 0)
    return lambda state, product: np.matmul(blocks, columns * state, product.reshape(columns.shape))


def blending(scratch: Array) -> Callable[[Array, Array, Array, Array], None]:
    """Return what writes the new state, update * state + (1 - update) * candidate, to its last argument [update]."""
    one = np.array(1, scratch.dtype)

    def blend(update: Array, state: Array, candidate: Array, new: Array) -> None:
        np.subtract(one, update, scratch)
        np.multiply(scratch, candidate, scratch)
        np.multiply(update, state, new)
        np.add(new, scratch, new)

    return blend
