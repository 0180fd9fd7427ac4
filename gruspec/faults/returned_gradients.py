"""Family ``gradient``, the rest of it: cotangents taken wrongly, and gradients returned wrongly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gruspec.faults.gradients import FROM_A_STATE, gradient_fault
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from gruspec.faults.fault import Fault, Replacement
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

    Array = NDArray[Any]
    Arrays = dict[str, Array]

_WEIGHTS = ("kernel", "recurrent_kernel", "bias")


def returned_gradient_faults() -> Iterator[Fault]:
    """Yield these faults."""
    yield from _seeds()
    yield from _arguments()
    yield from _biases()
    yield from _rows()


def _seeds() -> Iterator[Fault]:
    yield gradient_fault(
        "state-cotangent-ignored", "ignores the cotangent of the state", "state", arguments=_seeded("state", 0)
    )
    yield gradient_fault(
        "state-cotangent-doubled", "counts the cotangent of the state twice", "state", arguments=_seeded("state", 2)
    )
    yield gradient_fault(
        "outputs-cotangent-ignored", "ignores the cotangent of the outputs", arguments=_seeded("outputs", 0)
    )
    yield gradient_fault(
        "outputs-cotangent-last",
        "ignores the cotangents of all outputs but the last of a sequence",
        "sequences",
        "several-steps",
        arguments=_in_order(lambda steps: np.where(np.arange(len(steps))[:, None, None] < len(steps) - 1, 0, steps)),
    )
    yield gradient_fault(
        "outputs-cotangent-order",
        "takes cotangents of outputs in the order of time, not of processing",
        "backwards",
        "sequences",
        "several-steps",
        arguments=_in_order(lambda steps: steps[::-1], backwards=True),
    )


def _seeded(name: str, factor: int) -> Callable[[GRUSpec, Arguments], Arguments]:
    def arguments(_: GRUSpec, given: Arguments) -> Arguments:
        cotangents = dict(given.cotangents or {})
        if name not in cotangents:
            return given
        return replace(given, cotangents=cotangents | {name: cotangents[name] * factor})

    return arguments


def _in_order(
    change: Callable[[Array], Array], *, backwards: bool = False
) -> Callable[[GRUSpec, Arguments], Arguments]:
    """Change cotangents of a sequence, given as (T, B, u); if ``backwards``, under ``go_backwards`` only."""

    def arguments(spec: GRUSpec, given: Arguments) -> Arguments:
        cotangents = dict(given.cotangents or {})
        if "outputs" not in cotangents or not spec.return_sequences or (backwards and not spec.go_backwards):
            return given
        axes = (0, 1) if spec.time_major else (1, 0)
        steps = change(np.moveaxis(cotangents["outputs"], axes, (0, 1)))
        return replace(given, cotangents=cotangents | {"outputs": np.moveaxis(steps, (0, 1), axes)})

    return arguments


def _arguments() -> Iterator[Fault]:
    names = {
        "inputs": (),
        "initial_state": ("given-state",),
        "kernel": (),
        "recurrent_kernel": (FROM_A_STATE,),
        "bias": ("bias",),
    }
    for name, where in names.items():
        words = name.replace("_", " ")
        changes: dict[str, tuple[str, Callable[[Array], Array]]] = {
            "zero": (f"returns zeros for the gradient of the {words}", np.zeros_like),
            "negated": (f"turns the sign of the gradient of the {words}", np.negative),
        }
        if name in _WEIGHTS:
            changes["gates-exchanged"] = (f"exchanges the gradients of the {words} for z and r", _exchanged)
        for change, (does, function) in changes.items():
            yield gradient_fault(f"{name.replace('_', '-')}-{change}", does, *where, returned=_of_array(name, function))
    yield gradient_fault(
        "recurrent-kernel-transposed",
        "returns each gate's gradient of the recurrent kernel transposed",
        "several-units",
        FROM_A_STATE,
        returned=_of_array("recurrent_kernel", _blocks_transposed),
    )
    yield gradient_fault("clipped", "clips gradients to [-1, 1]", returned=_clipped)
    yield gradient_fault(
        "timesteps-averaged",
        "divides gradients of weights by the number of timesteps",
        "several-steps",
        returned=_averaged_over_time,
    )


def _clipped(_: GRUSpec, arrays: Arrays) -> Arrays:
    gradients = {name: array for name, array in arrays.items() if name.startswith("gradients/")}
    return arrays | {name: np.clip(array, -1, 1) for name, array in gradients.items()}


def _averaged_over_time(spec: GRUSpec, arrays: Arrays) -> Arrays:
    if (inputs := arrays.get("gradients/inputs")) is None:
        return arrays
    timesteps = max(1, inputs.shape[0 if spec.time_major else 1])
    names = [f"gradients/{name}" for name in _WEIGHTS if f"gradients/{name}" in arrays]
    return arrays | {name: arrays[name] / arrays[name].dtype.type(timesteps) for name in names}


def _of_array(name: str, change: Callable[[Array], Array]) -> Callable[[GRUSpec, Arrays], Arrays]:
    def returned(_: GRUSpec, arrays: Arrays) -> Arrays:
        key = f"gradients/{name}"
        return arrays | {key: change(arrays[key])} if key in arrays else arrays

    return returned


def _exchanged(array: Array) -> Array:
    update, reset, candidate = np.split(array, len(GATES), axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1)


def _blocks_transposed(array: Array) -> Array:
    return np.concatenate([block.T for block in np.split(array, len(GATES), axis=-1)], axis=-1)


def _biases() -> Iterator[Fault]:
    changes: dict[str, tuple[str, Callable[[Array], Array]]] = {
        "ungated": (
            "returns the gradient of the input bias of the candidate for its recurrent bias, which reset gates",
            lambda rows: np.stack([rows[0], _exchanged_candidate(rows[1], rows[0])]),
        ),
        "missing": (
            "returns zeros for the gradient of the recurrent bias",
            lambda rows: np.stack([rows[0], 0 * rows[1]]),
        ),
        "exchanged": ("exchanges the gradients of input bias and recurrent bias", lambda rows: rows[::-1]),
    }
    for name, (does, change) in changes.items():
        yield gradient_fault(
            f"recurrent-bias-{name}",
            does,
            "bias",
            variants=("reset-after",),
            returned=_of_array("bias", _of_rows(change)),
        )


def _exchanged_candidate(row: Array, other: Array) -> Array:
    units = row.size // len(GATES)
    return np.concatenate([row[: 2 * units], other[2 * units :]])


def _of_rows(change: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda bias: change(bias) if bias.ndim == 2 else bias


def _rows() -> Iterator[Fault]:
    """Yield wrong sums over the rows of a batch."""
    sums: dict[str, tuple[str, Replacement]] = {
        "averaged": (
            "divides gradients of weights by the number of rows",
            lambda _, usual, array: usual(array) / array.dtype.type(max(1, len(array))),
        ),
        "first": (
            "returns for gradients of weights those of the first row",
            lambda _, usual, array: usual(array[:1]),
        ),
        "last": (
            "leaves the last row out of the gradients of weights",
            lambda _, usual, array: usual(array[: max(1, len(array) - 1)]),
        ),
    }
    for name, (does, over_rows) in sums.items():
        yield gradient_fault(f"rows-{name}", does, "several-rows", numbers={"over_rows": over_rows})
