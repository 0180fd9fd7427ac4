"""The definition in float64, for everyday use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import SpecError
from gruspec.reference.evaluation import run_operations
from gruspec.reference.ieee import FLOAT64
from gruspec.reference.results import Arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from gruspec.spec import GRUSpec


def _real(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{name}: dtype {array.dtype}; expected bool or a real dtype")
    return array


def evaluate(
    spec: GRUSpec,
    weights: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    mask: ArrayLike | None = None,
    initial_state: ArrayLike | None = None,
    *,
    training: bool = False,
    dropout_masks: Mapping[str, ArrayLike] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the outputs and the final state of one call, computed in float64 by the definition.

    Parameters
    ----------
    spec
        The layer's arguments.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, with ``use_bias``, ``bias`` (3u,) or (2, 3u).
    inputs
        (B, T, D), or (T, B, D) under ``time_major``.
    mask
        (B, T) or (B, T, 1), time-major like the inputs; non-zero is True.
    initial_state
        (B, u); zeros if absent. A stateful layer is one whose state the caller passes on.
    training, dropout_masks
        Whether dropout acts, and its masks, already scaled: ``inputs`` (3, B, D) or (1, B, D), ``recurrent`` (3, B, u).

    Returns
    -------
    outputs : ndarray
        The last output (B, u), or with ``return_sequences`` all outputs in processing order.
    state : ndarray
        Final state (B, u).

    Raises
    ------
    SpecError
        If shapes do not fit each other, or a mask or state is of neither a real nor the boolean dtype.

    Examples
    --------
    >>> from gruspec import GRUSpec
    >>> spec = GRUSpec(units=1, activation="linear", use_bias=False)
    >>> evaluate(spec, {"kernel": [[0.0, 0.0, 1.0]], "recurrent_kernel": [[0.0, 0.0, 0.0]]}, [[[4.0]]])
    (array([[2.]]), array([[2.]]))
    """
    found = _run(
        spec,
        weights,
        inputs,
        mask=mask,
        initial_state=initial_state,
        training=training,
        dropout_masks=dropout_masks,
    )
    return found["outputs"], found["state"]


def evaluate_vjp(
    spec: GRUSpec,
    weights: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    cotangents: Mapping[str, ArrayLike],
    mask: ArrayLike | None = None,
    initial_state: ArrayLike | None = None,
    *,
    training: bool = False,
    dropout_masks: Mapping[str, ArrayLike] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return vector-Jacobian products of one call, computed in float64 by the tape over the definition [gradients].

    Parameters
    ----------
    spec, weights, inputs
        As for :func:`evaluate`.
    cotangents
        ``outputs``, shaped like the outputs, and, under ``return_state``, ``state`` (B, u); one that is absent is zero.
    mask, initial_state, training, dropout_masks
        As for :func:`evaluate`.

    Returns
    -------
    dict
        By name an array like ``inputs``, ``initial_state`` where one is given, ``kernel``, ``recurrent_kernel`` and,
        where the layer has one, ``bias``.

    Raises
    ------
    SpecError
        As :func:`evaluate`, and if a cotangent is of something that is not returned, or of another shape.

    Examples
    --------
    >>> from gruspec import GRUSpec
    >>> spec = GRUSpec(units=1, activation="linear", use_bias=False)
    >>> weights = {"kernel": [[0.0, 0.0, 1.0]], "recurrent_kernel": [[0.0, 0.0, 0.0]]}
    >>> evaluate_vjp(spec, weights, [[[4.0]]], {"outputs": [[1.0]]})["inputs"]
    array([[[0.5]]])
    """
    found = _run(
        spec,
        weights,
        inputs,
        mask=mask,
        initial_state=initial_state,
        training=training,
        dropout_masks=dropout_masks,
        cotangents=cotangents,
    )
    return {name.removeprefix("gradients/"): array for name, array in found.items() if name.startswith("gradients/")}


def _run(
    spec: GRUSpec,
    weights: Mapping[str, ArrayLike],
    inputs: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    initial_state: ArrayLike | None = None,
    training: bool = False,
    dropout_masks: Mapping[str, ArrayLike] | None = None,
    cotangents: Mapping[str, ArrayLike] | None = None,
) -> dict[str, NDArray[np.float64]]:
    call = Arguments(
        _real("inputs", inputs).astype(np.float64),
        None if mask is None else _real("mask", mask).astype(bool),
        None if initial_state is None else _real("initial_state", initial_state).astype(np.float64),
        training,
        _floats("dropout_masks", dropout_masks or {}),
        None if cotangents is None else _floats("cotangents", cotangents),
    )
    with np.errstate(invalid="ignore"):
        (result,) = run_operations(FLOAT64, spec, _floats("weights", weights), [call])
    if result is None:
        raise SpecError("inputs: missing")
    return result.arranged(np.asarray)


def _floats(what: str, arrays: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    return {name: _real(f"{what}[{name!r}]", array).astype(np.float64) for name, array in arrays.items()}
