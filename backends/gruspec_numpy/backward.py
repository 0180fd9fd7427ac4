"""The backward pass: vector-Jacobian products of the forward pass, from what it has left on its tape.

Symbols and orders are those of :mod:`gruspec_numpy.forward`. A block of timesteps is done at a time, the last ones
first. The cotangent of the state walks back through the timesteps of a block; all else is done for all of them at
once, before the walk or after it [gradients].
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from .columns import turned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    from .activations import Activation
    from .equations import Equations
    from .forward import Tape

    Array: TypeAlias = NDArray[Any]
    Step: TypeAlias = Callable[[int, Array], Array]
    Pull: TypeAlias = Callable[[int], None]

BLOCK = 32768
"""Elements of the states of the timesteps that are done at a time, so that what is computed of them stays in caches."""

CANDIDATE, UPDATE, RESET, PAST = range(4)
"""What each timestep pulls back, in an order in which those are neighbours that are computed as one.

The first three are the cotangents of the arguments of candidate, update gate and reset gate. The last is what goes past
the reset gate: under ``reset_after`` the cotangent of the product that the gate multiplies, else that of the state.
"""


class Factors(NamedTuple):
    """What cotangents are multiplied by at each timestep.

    ``mixed`` (T, 2, u, B) leads from the new state to candidate and update gate, ``parted`` (T, 2, u, B) from what
    comes back through the candidate to the reset gate and past it, ``carried`` (T, u, B) from the new state to the old.
    """

    mixed: Array
    parted: Array
    carried: Array


def backward(equations: Equations, tape: Tape, cotangents: Mapping[str, Array]) -> dict[str, Array]:
    """Pull the cotangents of a taped forward pass back to its arguments.

    Parameters
    ----------
    equations
        As the forward pass took them.
    tape
        Which it has left. It is used up.
    cotangents
        ``outputs``, shaped like the outputs, and ``state`` (B, u); each may be absent.

    Returns
    -------
    dict
        ``inputs`` (T, B, D) in the order of time, ``initial_state`` (B, u) and an array like each weight, by name. A
        held output sends its cotangent to the step that made it, and a zeroed one to nothing. What a masked timestep
        adds to the gradient of a weight, and the gradient of its input, are exactly 0.
    """
    spec, (timesteps, batch, _) = equations.spec, tape.inputs.shape
    inputs, cotangent = np.empty_like(tape.inputs), _seed(spec, tape, cotangents)
    gradients = {name: np.zeros_like(weight) for name, weight in equations.weights.items()}
    steps = max(1, BLOCK // max(1, spec.units * batch))
    with np.errstate(all="ignore"):
        for end in range(timesteps, 0, -steps):
            part = slice(max(0, end - steps), end)
            taped = tape.between(part.start, part.stop)
            states = _cleared(taped)
            sequence = _sequence(spec, taped, cotangents.get("outputs"), part)
            pulled = _walk(equations, taped, states, sequence, cotangent)
            inputs[part], found = _products(equations, taped, states, pulled)
            for name, gradient in found.items():
                gradients[name] += gradient
    return {
        "inputs": inputs[::-1] if spec.go_backwards else inputs,
        "initial_state": cotangent.T.copy(),
        **gradients,
    }


def _seed(spec: GRUSpec, tape: Tape, cotangents: Mapping[str, Array]) -> Array:
    """Return the cotangent (u, B) of the final state: its own and, without ``return_sequences``, the last output's."""
    seed = np.zeros(tape.states.shape[1:], tape.states.dtype)
    if "state" in cotangents:
        seed += cotangents["state"].T
    if "outputs" in cotangents and not spec.return_sequences and len(tape.inputs):
        last = cotangents["outputs"].T
        seed += last if tape.shown is None else np.where(tape.shown[-1], last, 0)
    return seed


def _sequence(spec: GRUSpec, tape: Tape, outputs: Array | None, part: slice) -> Array | None:
    """Return the cotangents (T, u, B) of the states of some timesteps as outputs, if there are any."""
    if outputs is None or not spec.return_sequences:
        return None
    columns = turned((outputs if spec.time_major else outputs.swapaxes(0, 1))[part])
    if tape.shown is not None:
        np.copyto(columns, 0, where=~tape.shown[:, None])
    return columns


def _cleared(tape: Tape) -> Array:
    """Return the states (T, u, B) that the timesteps start from, and clear all that masked ones have computed."""
    states = tape.states[:-1]
    if tape.valid is None:
        return states
    skipped = ~tape.valid[:, None]
    for array in (tape.arguments, tape.values, tape.products):
        if array is not None:
            np.copyto(array, 0, where=skipped)
    return np.where(skipped, 0, states)


def _walk(equations: Equations, tape: Tape, states: Array, sequence: Array | None, cotangent: Array) -> Array:
    """Take ``cotangent`` (u, B) from the last state to the first, in place.

    Returns the cotangents (T, 4, u, B) of what :data:`CANDIDATE` and so on count.
    """
    factors = _factors(equations, tape, states)
    pulled = np.empty((len(states), 4, *cotangent.shape), cotangent.dtype)
    step = (reset_after if equations.spec.reset_after else reset_before)(equations, tape, factors, pulled)
    skipped = None if tape.valid is None else ~tape.valid
    for i in reversed(range(len(states))):
        if sequence is not None:
            cotangent += sequence[i]
        through = step(i, cotangent if skipped is None else np.where(skipped[i], 0, cotangent))
        cotangent *= factors.carried[i]
        cotangent += through
    return pulled


def _factors(equations: Equations, tape: Tape, states: Array) -> Factors:
    timesteps, u, batch = states.shape
    update, reset, candidate = (tape.values[:, i * u : (i + 1) * u] for i in range(3))
    mixed, parted = (np.empty((timesteps, 2, u, batch), states.dtype) for _ in range(2))
    np.subtract(1, update, mixed[:, 0])
    np.subtract(states, candidate, mixed[:, 1])
    parted[:, 0] = states if tape.products is None else tape.products
    parted[:, 1] = reset
    if equations.recurrent is not None and not equations.spec.reset_after:
        parted *= equations.recurrent[2].T
    if equations.candidate.elementwise:
        mixed[:, 0] *= _slopes(equations.candidate, tape.arguments[:, 2 * u :], candidate)
    if equations.gates.elementwise:
        slopes = _slopes(equations.gates, tape.arguments[:, : 2 * u], tape.values[:, : 2 * u])
        mixed[:, 1] *= slopes[:, :u]
        parted[:, 0] *= slopes[:, u:]
    return Factors(mixed, parted, update if tape.valid is None else np.where(tape.valid[:, None], update, 1))


def _slopes(activation: Activation, arguments: Array, values: Array) -> Array:
    return activation.pullback(arguments, values, np.broadcast_to(np.ones((), values.dtype), values.shape))


def reset_after(equations: Equations, tape: Tape, factors: Factors, pulled: Array) -> Step:
    """Return what pulls the cotangent (u, B) of a new state back through a step of this variant [reset-after].

    It fills ``pulled[i]`` and returns the cotangent of the old state, but for what ``factors.carried`` carries.
    """
    pull_candidate, pull_gates = _pulls(equations, tape, pulled)
    multiply = multiplying(equations.weights["recurrent_kernel"], equations.recurrent)
    mixed, parted = factors.mixed, factors.parted
    mixtures, candidates, parts = pulled[:, CANDIDATE:RESET], pulled[:, CANDIDATE], pulled[:, RESET:]
    recurrent = pulled[:, UPDATE:].reshape(len(pulled), 3 * equations.spec.units, pulled.shape[-1])

    def step(i: int, cotangent: Array) -> Array:
        np.multiply(cotangent, mixed[i], mixtures[i])
        pull_candidate(i)
        np.multiply(candidates[i], parted[i], parts[i])
        pull_gates(i)
        return multiply(recurrent[i])

    return step


def reset_before(equations: Equations, tape: Tape, factors: Factors, pulled: Array) -> Step:
    """Return what pulls the cotangent (u, B) of a new state back, as above, for this variant [reset-before]."""
    pull_candidate, pull_gates = _pulls(equations, tape, pulled)
    u, masks = equations.spec.units, equations.recurrent
    gate_kernel, candidate_kernel = np.split(equations.weights["recurrent_kernel"], [2 * u], axis=1)
    multiply = multiplying(gate_kernel, None if masks is None else masks[:2])
    multiply_candidate = multiplying(candidate_kernel, None)
    mixed, parted = factors.mixed, factors.parted
    mixtures, candidates, parts = pulled[:, CANDIDATE:RESET], pulled[:, CANDIDATE], pulled[:, RESET:]
    gates, past = pulled[:, UPDATE:PAST].reshape(len(pulled), 2 * u, pulled.shape[-1]), pulled[:, PAST]

    def step(i: int, cotangent: Array) -> Array:
        np.multiply(cotangent, mixed[i], mixtures[i])
        pull_candidate(i)
        np.multiply(multiply_candidate(candidates[i]), parted[i], parts[i])
        pull_gates(i)
        through = multiply(gates[i])
        through += past[i]
        return through

    return step


def _pulls(equations: Equations, tape: Tape, pulled: Array) -> tuple[Pull, Pull]:
    """Return what replaces cotangents of values by those of arguments, where that is more than a factor of each."""
    u = equations.spec.units
    blocks = {CANDIDATE: slice(2 * u, 3 * u), UPDATE: slice(u), RESET: slice(u, 2 * u)}

    def pulling(activation: Activation, *kinds: int) -> Pull:
        def pull(i: int) -> None:
            for kind in kinds:
                argument, value = (array[i, blocks[kind]].T for array in (tape.arguments, tape.values))
                pulled[i, kind] = activation.pullback(argument, value, pulled[i, kind].T).T

        return (lambda _: None) if activation.elementwise else pull

    return pulling(equations.candidate, CANDIDATE), pulling(equations.gates, UPDATE, RESET)


def multiplying(kernel: Array, masks: Array | None) -> Callable[[Array], Array]:
    """Return what takes the cotangent (n u, B) of a product of a state with ``kernel`` (u, n u) to the state (u, B).

    ``masks`` (n, B, u) are those that have multiplied the state, for each block of columns another one.
    """
    if masks is None:
        return partial(np.matmul, kernel)
    units, columns = len(kernel), masks.swapaxes(1, 2)
    blocks = kernel.reshape(units, len(masks), units).swapaxes(0, 1)

    def multiply(cotangent: Array) -> Array:
        products = np.matmul(blocks, cotangent.reshape(columns.shape))
        products *= columns
        total: Array = products.sum(axis=0)
        return total

    return multiply


def _products(equations: Equations, tape: Tape, states: Array, pulled: Array) -> tuple[Array, dict[str, Array]]:
    """Return the gradients of the inputs (T, B, D), and of the weights: sums over the timesteps.

    The blocks of ``pulled`` begin with the candidate, those of the weights end with it: hence the rolls.
    """
    timesteps, batch, size = tape.inputs.shape
    u, after, masks = equations.spec.units, equations.spec.reset_after, equations.entering
    rows = turned(pulled.reshape(timesteps, 4 * u, batch)).reshape(timesteps * batch, 4 * u)
    arguments, recurrent = rows[:, : 3 * u], rows[:, u:]
    masks = None if masks is None else np.roll(masks, 1, axis=0)
    entering = tape.inputs[None] if masks is None else tape.inputs * masks[:, None]
    kernel = _over_rows(entering.reshape(len(entering), timesteps * batch, size), arguments)
    recurrent_kernel = _over_rows(_recurring(equations, tape, states), recurrent if after else arguments)
    gradients = {
        "kernel": np.roll(kernel, -u, axis=1),
        "recurrent_kernel": recurrent_kernel if after else np.roll(recurrent_kernel, -u, axis=1),
    }
    if "bias" in equations.weights:
        bias = np.roll(arguments.sum(axis=0), -u)
        gradients["bias"] = np.stack([bias, recurrent.sum(axis=0)]) if after else bias
    return _through(arguments, np.roll(equations.weights["kernel"], u, axis=1), masks, tape.inputs.shape), gradients


def _recurring(equations: Equations, tape: Tape, states: Array) -> Array:
    """Return what the recurrent kernel has multiplied, (1 or 3, T B, u): rows for each block of its columns.

    Under ``reset_after`` the blocks are in the order of the kernel, else in that of what is pulled back.
    """
    (timesteps, u, batch), masks = states.shape, equations.recurrent
    rows = turned(states)
    if equations.spec.reset_after:
        operands = rows[None] if masks is None else rows * masks[:, None]
    else:
        operands = np.stack([rows * turned(tape.values[:, u : 2 * u]), rows, rows])
        operands = operands if masks is None else operands * np.roll(masks, 1, axis=0)[:, None]
    return operands.reshape(len(operands), timesteps * batch, u)


def _over_rows(operands: Array, cotangents: Array) -> Array:
    """Return the gradient (m, 3u) of a matrix from what it has multiplied, (n, T B, m), and cotangents (T B, 3u)."""
    blocks = zip(operands, np.split(cotangents, len(operands), axis=1), strict=True)
    return np.concatenate([operand.T @ block for operand, block in blocks], axis=1)


def _through(cotangents: Array, kernel: Array, masks: Array | None, shape: tuple[int, ...]) -> Array:
    """Return the cotangent (T, B, D) of inputs from those (T B, n u) of their products with ``kernel`` (D, n u)."""
    if masks is None:
        return (cotangents @ kernel.T).reshape(shape)
    n = len(masks)
    blocks = zip(np.split(cotangents, n, axis=1), np.split(kernel, n, axis=1), masks, strict=True)
    parts = [(block @ weights.T).reshape(shape) * mask for block, weights, mask in blocks]
    total: Array = sum(parts[1:], start=parts[0])
    return total
