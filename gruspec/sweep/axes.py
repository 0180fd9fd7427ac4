"""The axes of every array of a case, and cases cut down to some of their rows, timesteps, features and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    Kept = Mapping[str, NDArray[np.intp]]


def axes(spec: GRUSpec) -> dict[str, str]:
    """Return the axes of each array by its name in the case, a letter for each axis.

    ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units, ``G`` the units of each gate in turn; a dot is an axis
    that belongs to none of these.

    Examples
    --------
    >>> from gruspec.spec import GRUSpec
    >>> axes(GRUSpec(units=2, time_major=True))["inputs"]
    'TBD'
    """
    steps = "TB" if spec.time_major else "BT"
    return {
        "kernel": "DG",
        "recurrent_kernel": "uG",
        "bias": ".G" if spec.reset_after else "G",
        "inputs": f"{steps}D",
        "mask": steps,
        "initial_state": "Bu",
        "states": "Bu",
        "dropout_masks/inputs": ".BD",
        "dropout_masks/recurrent": ".Bu",
        "cotangents/outputs": f"{steps}u" if spec.return_sequences else "Bu",
        "cotangents/state": "Bu",
    }


def taken(array: NDArray[Any], letters: str, kept: Kept) -> NDArray[Any]:
    """Return the entries of an array that are kept, by the letter of the axis; other axes stay whole.

    Parameters
    ----------
    array
        With the axes that ``letters`` name.
    letters
        As from :func:`axes`.
    kept
        Indices by letter; for units of one gate, which stand for those of all gates.
    """
    for axis, letter in enumerate(letters):
        if letter == "G" and "u" in kept:
            units = array.shape[axis] // len(GATES)
            array = array.take(np.concatenate([gate * units + kept["u"] for gate in range(len(GATES))]), axis)
        elif letter in kept:
            array = array.take(kept[letter], axis)
    return array
