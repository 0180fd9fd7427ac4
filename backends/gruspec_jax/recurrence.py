"""The recurrence of a GRU as a scan over time-major arrays, for any transformation of JAX.

Symbols: ``T`` timesteps in processing order, ``B`` batch, ``D`` input size, ``u`` units. The product of inputs and
kernel is formed for all timesteps at once; each step adds one recurrent product, two where the reset gate comes
before it. Products are formed in full precision on every device [arithmetic-inputs].
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jax import Array

PRECISION = "highest"
"""Precision of every matrix product: float32 is not rounded to TF32 or bfloat16 on the way in."""

_dot = partial(jnp.matmul, precision=PRECISION)


class Cell(NamedTuple):
    """What the structure of a step depends on; hashable, so that it can be a static argument."""

    activation: str
    recurrent_activation: str
    reset_after: bool


class Weights(NamedTuple):
    """``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u), and two biases (3u,), gates in the order z, r, h."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


class Steps(NamedTuple):
    """The timesteps in processing order.

    ``inputs`` (T, B, D). ``keep`` bool (T, B): whether a row takes this step; None where all do. ``shown`` bool (T, B):
    whether its output is the state rather than zero. ``state`` (B, u): the state before the first step.
    """

    inputs: Array
    keep: Array | None
    shown: Array | None
    state: Array


class Results(NamedTuple):
    """``sequence`` (T, B, u) of outputs in processing order, the ``last`` of them (B, u), and the final ``state``."""

    sequence: Array
    last: Array
    state: Array


def clipped_line(x: Array) -> Array:
    """Return clip(0.2 x + 0.5, 0, 1) [hard-sigmoid]."""
    return jnp.clip(0.2 * x + 0.5, 0, 1)


def _clipped_line_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    return hard_sigmoid(x), jnp.where(jnp.abs(x) <= 2.5, 0.2, 0.0).astype(x.dtype) * tangent


hard_sigmoid = jax.custom_jvp(clipped_line)
"""``clipped_line`` with slope 0.2 at the corners too, where JAX by itself takes half of it [gradient-kinks]."""
hard_sigmoid.defjvp(_clipped_line_jvp)


def linear(x: Array) -> Array:
    """Return ``x``."""
    return x


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": jax.nn.relu,
    "linear": linear,
}


def run(cell: Cell, weights: Weights, steps: Steps) -> Results:
    """Run all steps.

    A masked step keeps the state, and its inputs reach neither results nor gradients [mask-state, masked-nonfinite].
    """
    inputs, keep, shown, initial_state = steps
    if keep is not None:
        inputs = jnp.where(keep[..., None], inputs, 0)
    terms = _dot(inputs, weights.kernel) + weights.bias

    def step(state: Array, at: tuple[Array, Array | None]) -> tuple[Array, Array]:
        term, taken = at
        new = (after if cell.reset_after else before)(cell, weights, term, state)
        state = new if taken is None else jnp.where(taken[:, None], new, state)
        return state, state

    state, states = jax.lax.scan(step, initial_state, (terms, keep))
    if states.shape[0] == 0:
        return Results(states, jnp.zeros_like(state), state)
    if shown is None:
        return Results(states, state, state)
    return Results(jnp.where(shown[..., None], states, 0), jnp.where(shown[-1][:, None], state, 0), state)


def after(cell: Cell, weights: Weights, term: Array, state: Array) -> Array:
    """Return the state after a step whose reset gate acts on the recurrent product [reset-after]."""
    gates = 2 * state.shape[-1]
    recurrent = _dot(state, weights.recurrent_kernel) + weights.recurrent_bias
    z, r = jnp.split(ACTIVATIONS[cell.recurrent_activation](term[:, :gates] + recurrent[:, :gates]), 2, axis=-1)
    candidate = ACTIVATIONS[cell.activation](term[:, gates:] + r * recurrent[:, gates:])
    return z * state + (1 - z) * candidate


def before(cell: Cell, weights: Weights, term: Array, state: Array) -> Array:
    """Return the state after a step whose reset gate acts on the state, before the recurrent product [reset-before]."""
    gates = 2 * state.shape[-1]
    gates_kernel, candidate_kernel = jnp.split(weights.recurrent_kernel, [gates], axis=-1)
    z, r = jnp.split(ACTIVATIONS[cell.recurrent_activation](term[:, :gates] + _dot(state, gates_kernel)), 2, axis=-1)
    candidate = ACTIVATIONS[cell.activation](term[:, gates:] + _dot(r * state, candidate_kernel))
    return z * state + (1 - z) * candidate
