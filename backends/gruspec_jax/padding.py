"""Padding to few sizes, so that many shapes share one compilation.

Zero rows of the batch, zero inputs and zero units add exact zeros to finite sums; padded timesteps come last and are
masked; cotangents of padding are zero. So the mathematics stay the same, and results and gradients move within the
rounding of sums in another order at most. Values that are not finite would turn the zeros into NaN and must not be
padded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.spec import Dimensions

from .recurrence import DropoutMasks, Gradients, Results, Steps, Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST = Dimensions(batch=8, timesteps=64, input_size=16, units=32)
"""Sizes are padded to these, or to the next power of two where they are greater."""


def padded_sizes(sizes: Dimensions) -> Dimensions:
    """Return the sizes that a call is padded to.

    >>> padded_sizes(Dimensions(batch=3, timesteps=65, input_size=5, units=32))
    Dimensions(batch=8, timesteps=128, input_size=16, units=32)
    """
    return Dimensions(*(max(least, 1 << (size - 1).bit_length()) for least, size in zip(SMALLEST, sizes, strict=True)))


def can_pad(sizes: Dimensions, weights: Weights, steps: Steps) -> bool:
    """Return whether no size is zero and every value that counts is finite."""
    inputs = steps.inputs if steps.keep is None else steps.inputs[steps.keep]
    masks = (mask for mask in steps.dropout if mask is not None)
    return 0 not in sizes and all(np.isfinite(array).all() for array in (*weights, inputs, steps.state, *masks))


def pad_weights(weights: Weights, units: int, to: Dimensions) -> Weights:
    """Return weights of ``to.input_size`` inputs and ``to.units`` units; the additional ones are zero."""
    added = to.units - units

    def gates(array: NDArray[Any], *rows: tuple[int, int]) -> NDArray[Any]:
        """Pad the units of each gate, and ``rows`` of the axis before."""
        apart = array.reshape(*array.shape[:-1], 3, units)
        return np.pad(apart, (*rows, (0, 0), (0, added))).reshape(*(len(array) + sum(r) for r in rows), 3 * to.units)

    return Weights(
        gates(weights.kernel, (0, to.input_size - len(weights.kernel))),
        gates(weights.recurrent_kernel, (0, added)),
        gates(weights.bias),
        gates(weights.recurrent_bias),
    )


def pad_steps(steps: Steps, to: Dimensions) -> Steps:
    """Return ``to.timesteps`` steps, the additional ones masked, for a batch of ``to.batch``.

    Always with masks. The last valid step decides whether padded steps show their state, so that the last output is
    the same. Where dropout acts, it does so with one mask for each gate on inputs and on state; additional ones are 1.
    """
    timesteps, batch, input_size = steps.inputs.shape
    rows = (0, to.batch - batch)
    added = (0, to.timesteps - timesteps)
    whole = np.ones((timesteps, batch), np.bool_)
    keep = whole if steps.keep is None else steps.keep
    shown = whole if steps.shown is None else steps.shown
    return Steps(
        np.pad(steps.inputs, (added, rows, (0, to.input_size - input_size))),
        np.pad(keep, (added, rows)),
        np.pad(np.pad(shown, (added, (0, 0)), mode="edge"), ((0, 0), rows)),
        np.pad(steps.state, (rows, (0, to.units - steps.state.shape[1]))),
        _pad_dropout(steps.dropout, steps, to),
    )


def _pad_dropout(dropout: DropoutMasks, steps: Steps, to: Dimensions) -> DropoutMasks:
    if all(masks is None for masks in dropout):
        return dropout

    def whole(masks: Any, values: NDArray[Any], size: int) -> NDArray[Any]:
        each = np.broadcast_to(np.ones((), values.dtype) if masks is None else masks, (3, *values.shape[-2:]))
        return np.pad(each, ((0, 0), (0, to.batch - each.shape[1]), (0, size - each.shape[2])))

    return DropoutMasks(
        whole(dropout.inputs, steps.inputs, to.input_size), whole(dropout.recurrent, steps.state, to.units)
    )


def pad_cotangents(cotangents: Results, to: Dimensions) -> Results:
    """Return cotangents of the results of a padded call: nothing depends on the padding, so theirs are zero."""
    timesteps, batch, units = cotangents.sequence.shape
    rows, added = (0, to.batch - batch), (0, to.units - units)
    return Results(
        np.pad(cotangents.sequence, ((0, to.timesteps - timesteps), rows, added)),
        np.pad(cotangents.last, (rows, added)),
        np.pad(cotangents.state, (rows, added)),
    )


def crop(results: Results, sizes: Dimensions) -> Results:
    """Return the results of a padded call without the padding."""
    batch, timesteps, _, units = sizes
    return Results(
        results.sequence[:timesteps, :batch, :units], results.last[:batch, :units], results.state[:batch, :units]
    )


def crop_gradients(gradients: Gradients, sizes: Dimensions) -> Gradients:
    """Return the gradients of a padded call without the padding."""
    batch, timesteps, input_size, units = sizes

    def gates(array: NDArray[Any]) -> NDArray[Any]:
        apart = array.reshape(*array.shape[:-1], 3, array.shape[-1] // 3)[..., :units]
        return apart.reshape(*array.shape[:-1], 3 * units)

    weights = gradients.weights
    return Gradients(
        Weights(
            gates(weights.kernel[:input_size]),
            gates(weights.recurrent_kernel[:units]),
            gates(weights.bias),
            gates(weights.recurrent_bias),
        ),
        gradients.inputs[:timesteps, :batch, :input_size],
        gradients.state[:batch, :units],
    )
