"""The recurrence of a GRU as a scan over time-major arrays, for any transformation of JAX.

Symbols: ``T`` timesteps in processing order, ``B`` batch, ``D`` input size, ``u`` units. The product of inputs and
kernel is formed for all timesteps at once; each step adds one recurrent product, two where the reset gate comes
before it. Under dropout each gate has products of its own. All are formed in full precision on every device
[arithmetic-inputs].
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jax import Array

    Activation: TypeAlias = Callable[[Array], Array]

PRECISION = "highest"
"""Precision of every matrix product: float32 is not rounded to TF32 or bfloat16 on the way in."""

_dot = partial(jnp.matmul, precision=PRECISION)


class Weights(NamedTuple):
    """``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u), and two biases (3u,), gates in the order z, r, h."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array


class DropoutMasks(NamedTuple):
    """The masks that act, scaled: ``inputs`` (3, B, D) or (1, B, D), and ``recurrent`` (3, B, u) [dropout-masks]."""

    inputs: Array | None = None
    recurrent: Array | None = None


class Steps(NamedTuple):
    """The timesteps in processing order.

    ``inputs`` (T, B, D). ``keep`` bool (T, B): whether a row takes this step; None where all do. ``shown`` bool (T, B):
    whether its output is the state rather than zero. ``state`` (B, u): the state before the first step. ``dropout``:
    masks that are the same at every step.
    """

    inputs: Array
    keep: Array | None
    shown: Array | None
    state: Array
    dropout: DropoutMasks = DropoutMasks()


class Results(NamedTuple):
    """``sequence`` (T, B, u) of outputs in processing order, the ``last`` of them (B, u), and the final ``state``."""

    sequence: Array
    last: Array
    state: Array


class Gradients(NamedTuple):
    """Gradients like what :func:`run` is differentiated by: ``weights``, ``inputs`` (T, B, D) and ``state`` (B, u)."""

    weights: Weights
    inputs: Array
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


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": jax.nn.relu,
    "linear": linear,
}


class Cell(NamedTuple):
    """What the structure of a step depends on."""

    activation: Activation
    recurrent_activation: Activation
    reset_after: bool


def run(cell: Cell, weights: Weights, steps: Steps) -> Results:
    """Run all steps.

    A masked step keeps the state, and its inputs reach neither results nor gradients [mask-state, masked-nonfinite].
    It runs from zeros: what overflows in it would reach gradients as zero times infinity.
    """
    inputs, keep, shown, initial_state, dropout = steps
    if keep is not None:
        inputs = jnp.where(keep[..., None], inputs, 0)
    terms = product(inputs, weights.kernel, dropout.inputs) + weights.bias
    advance = partial(after if cell.reset_after else before, cell, weights, dropout.recurrent)

    def step(state: Array, at: tuple[Array, Array | None]) -> tuple[Array, Array]:
        term, taken = at
        if taken is None:
            state = advance(term, state)
        else:
            state = jnp.where(taken[:, None], advance(term, jnp.where(taken[:, None], state, 0)), state)
        return state, state

    state, states = jax.lax.scan(step, initial_state, (terms, keep))
    if states.shape[0] == 0:
        return Results(states, jnp.zeros_like(state), state)
    if shown is None:
        return Results(states, state, state)
    return Results(jnp.where(shown[..., None], states, 0), jnp.where(shown[-1][:, None], state, 0), state)


def pull_back(cell: Cell, weights: Weights, steps: Steps, cotangents: Results) -> tuple[Results, Gradients]:
    """Run all steps and return the products of ``cotangents``, shaped like the results, and the Jacobians."""

    def call(weights: Weights, inputs: Array, state: Array) -> Results:
        return run(cell, weights, steps._replace(inputs=inputs, state=state))

    results, pull = jax.vjp(call, weights, steps.inputs, steps.state)
    return results, Gradients(*pull(cotangents))


def product(values: Array, kernel: Array, masks: Array | None) -> Array:
    """Return ``values @ kernel``, each of several masks multiplying the values for its share of the columns.

    Parameters
    ----------
    values
        (..., B, n).
    kernel
        (n, m).
    masks
        (k, B, n), where k divides m; or None.
    """
    if masks is None:
        return _dot(values, kernel)
    shares = jnp.stack(jnp.split(kernel, len(masks), axis=-1))
    products = _dot(jnp.expand_dims(values, -3) * masks, shares)
    return jnp.moveaxis(products, -3, -2).reshape(*values.shape[:-1], kernel.shape[-1])


def after(cell: Cell, weights: Weights, masks: Array | None, term: Array, state: Array) -> Array:
    """Return the state after a step whose reset gate acts on the recurrent product [reset-after]."""
    gates = 2 * state.shape[-1]
    recurrent = product(state, weights.recurrent_kernel, masks) + weights.recurrent_bias
    z, r = jnp.split(cell.recurrent_activation(term[:, :gates] + recurrent[:, :gates]), 2, axis=-1)
    candidate = cell.activation(term[:, gates:] + r * recurrent[:, gates:])
    return z * state + (1 - z) * candidate


def before(cell: Cell, weights: Weights, masks: Array | None, term: Array, state: Array) -> Array:
    """Return the state after a step whose reset gate acts on the state, before the recurrent product [reset-before]."""
    gates = 2 * state.shape[-1]
    gates_kernel, candidate_kernel = jnp.split(weights.recurrent_kernel, [gates], axis=-1)
    gate_masks, kept = (None, state) if masks is None else (masks[:2], state * masks[2])
    z, r = jnp.split(cell.recurrent_activation(term[:, :gates] + product(state, gates_kernel, gate_masks)), 2, axis=-1)
    candidate = cell.activation(term[:, gates:] + _dot(r * kept, candidate_kernel))
    return z * state + (1 - z) * candidate
