"""Calls of a layer in NumPy arrays, run by as few compilations as possible.

Compiling takes a hundred times longer than running a small layer, and several times longer again with gradients. So
calls are padded to sizes that nearly all share, and their activations are chosen while they run: for each dtype, place
of the reset gate, and with and without dropout, one compilation serves them. What cannot be padded is run by ``gru``
itself, which is compiled once per specification and shape.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gruspec.spec import Dimensions

from . import recurrence
from .arrangement import outputs
from .cotangents import arrange_cotangents, named_gradients
from .layer import gru
from .padding import can_pad, crop, crop_gradients, pad_cotangents, pad_steps, pad_weights, padded_sizes
from .recurrence import ACTIVATIONS, Cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jax import Array
    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    from .recurrence import Activation, Gradients, Results, Steps, Weights

    Pair: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
    Choice: TypeAlias = tuple[np.int32, np.int32]

_NAMES, _FUNCTIONS = tuple(ACTIVATIONS), tuple(ACTIVATIONS.values())

run_gru = jax.jit(gru, static_argnames="spec")
"""``gru``, compiled."""


@partial(jax.jit, static_argnames="spec")
def pull_back_gru(
    params: Mapping[str, Any],
    inputs: Any,
    initial_state: Any,
    cotangents: tuple[Any, Any],
    *,
    spec: GRUSpec,
    mask: Any | None,
    dropout_masks: Mapping[str, Any] | None,
) -> tuple[tuple[Array, Array], tuple[dict[str, Array], Array, Array]]:
    """Run ``gru`` and pull cotangents of outputs and state back to its weights, inputs and initial state."""

    def call(params: Mapping[str, Any], inputs: Any, initial_state: Any) -> tuple[Array, Array]:
        return gru(params, inputs, spec=spec, mask=mask, initial_state=initial_state, dropout_masks=dropout_masks)

    results, pull = jax.vjp(call, params, inputs, initial_state)
    return results, pull(cotangents)


def run_padded(spec: GRUSpec, weights: Weights, steps: Steps) -> Pair | None:
    """Return outputs and state.

    None where padding could change them: for an empty call, and for values that are not finite, which zeros spread.
    """
    sizes = _sizes(spec, steps)
    if not can_pad(sizes, weights, steps):
        return None
    to = padded_sizes(sizes)
    padded = pad_weights(weights, spec.units, to), pad_steps(steps, to)
    results = jax.tree.map(np.asarray, _run(_choice(spec), *padded, reset_after=spec.reset_after))
    return _arranged(spec, crop(results, sizes)) if _finite(results.state) else None


def pull_back_padded(
    spec: GRUSpec, weights: Weights, steps: Steps, cotangents: Pair
) -> tuple[Pair, dict[str, NDArray[Any]]] | None:
    """Return outputs and state, and the gradients of inputs, initial state and weights by name.

    None where padding could change them, as for a run.

    Parameters
    ----------
    spec, weights, steps
        The layer and the call.
    cotangents
        Of outputs and state.
    """
    sizes = _sizes(spec, steps)
    if not can_pad(sizes, weights, steps):
        return None
    to = padded_sizes(sizes)
    padded = pad_weights(weights, spec.units, to), pad_steps(steps, to)
    vectors = pad_cotangents(arrange_cotangents(spec, cotangents, steps), to)
    found = _pull_back(_choice(spec), *padded, vectors, reset_after=spec.reset_after)
    results, gradients = jax.tree.map(np.asarray, found)
    if not _finite(results.state, gradients.inputs, gradients.state, *gradients.weights):
        return None
    named = named_gradients(spec, crop_gradients(gradients, sizes))
    return _arranged(spec, crop(results, sizes)), {name: gradient.copy() for name, gradient in named.items()}


@partial(jax.jit, static_argnames="reset_after")
def _run(chosen: Choice, weights: Weights, steps: Steps, *, reset_after: bool) -> Results:
    return recurrence.run(_cell(chosen, reset_after=reset_after), weights, steps)


@partial(jax.jit, static_argnames="reset_after")
def _pull_back(
    chosen: Choice, weights: Weights, steps: Steps, cotangents: Results, *, reset_after: bool
) -> tuple[Results, Gradients]:
    return recurrence.pull_back(_cell(chosen, reset_after=reset_after), weights, steps, cotangents)


def _choice(spec: GRUSpec) -> Choice:
    """Return activation and recurrent activation as numbers, which need not be known to compile."""
    return np.int32(_NAMES.index(spec.activation)), np.int32(_NAMES.index(spec.recurrent_activation))


def _cell(chosen: Choice, *, reset_after: bool) -> Cell:
    activation, recurrent_activation = (partial(_activation, number) for number in chosen)
    return Cell(activation, recurrent_activation, reset_after)


def _choose(number: Any, x: Any) -> Any:
    return jax.lax.switch(number, _FUNCTIONS, x)


def _choose_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    number, x = primals
    value, slope = jax.lax.switch(number, [partial(_with_slope, function) for function in _FUNCTIONS], x)
    return value, slope * tangents[1]


def _with_slope(function: Activation, x: Any) -> Any:
    return jax.jvp(function, (x,), (jnp.ones_like(x),))


_activation = jax.custom_jvp(_choose)
"""``_choose``, whose slope is chosen with its value: choosing again on the way back takes a third longer to compile."""
_activation.defjvp(_choose_jvp)


def _sizes(spec: GRUSpec, steps: Steps) -> Dimensions:
    timesteps, batch, input_size = steps.inputs.shape
    return Dimensions(batch, timesteps, input_size, spec.units)


def _arranged(spec: GRUSpec, results: Results) -> Pair:
    return outputs(spec, results).copy(), results.state.copy()


def _finite(*arrays: NDArray[Any]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)
