"""Family ``layout``: the memory of weights read in another arrangement than it was written in."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults import nodes
from gruspec.faults.fault import Fault
from gruspec.faults.traits import STATE_MATTERS
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement
    from gruspec.spec import GRUSpec

    Arrays = dict[str, NDArray[Any]]

_RECURRENT = ("several-units", STATE_MATTERS)


def layout_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    return chain(_transposed(), _kernel_blocks(), _row_and_column_major(), _interleaved(), _bias_rows())


def _moved(change: Callable[[NDArray[Any]], NDArray[Any]], *names: str) -> Callable[[GRUSpec, Arrays], Arrays]:
    """Return a change of some of the weights; arrays that will be refused anyway are left alone."""

    def weights(spec: GRUSpec, arrays: Arrays) -> Arrays:
        fitting = {name for name in names if name in arrays and arrays[name].shape[-1:] == (3 * spec.units,)}
        return {name: change(array) if name in fitting else array for name, array in arrays.items()}

    return weights


def _transposed() -> Iterator[Fault]:
    for gates in (GATES, *GATES):
        all_gates = gates is GATES
        whose = "every block" if all_gates else f"the block of gate {gates}"
        yield Fault(
            id=f"layout/recurrent-kernel{'' if all_gates else f'-{gates}'}-transposed",
            does=f"transposes {whose} of the recurrent kernel",
            clause="weights",
            where=_RECURRENT,
            reports=("onnx#1019",) if all_gates else (),
            definition={"weight": _transposing({f"recurrent_kernel_{gate}" for gate in gates})},
        )


def _transposing(blocks: set[str]) -> Replacement:
    def weight(definition: Any, usual: Any, name: str) -> Any:
        block = usual(name)
        return nodes.transposed(definition.numbers, block) if name in blocks else block

    return weight


def _read_transposed(array: NDArray[Any]) -> NDArray[Any]:
    """Take the C-order memory of an array (m, n) for that of its transpose (n, m)."""
    return array.reshape(array.shape[::-1]).T


def _written_transposed(array: NDArray[Any]) -> NDArray[Any]:
    """Undo :func:`_read_transposed`: take the memory of the transpose for that of the array."""
    return array.T.reshape(array.shape)


def _squares_transposed(array: NDArray[Any]) -> NDArray[Any]:
    return array.T if len(set(array.shape)) == 1 else array


def _by_block(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda array: np.concatenate([change(block) for block in np.split(array, len(GATES), axis=1)], axis=1)


def _kernel_blocks() -> Iterator[Fault]:
    rows = (
        (
            "memory-read-transposed",
            "takes the memory of each kernel block (D, u) for that of its transpose (u, D), as for weights of cuDNN",
            ("several-inputs", "several-units"),
            ("keras#8720",),
            _read_transposed,
        ),
        (
            "memory-written-transposed",
            "reshapes each kernel block (u, D) of a layout with the units first to (D, u) instead of transposing it",
            ("several-inputs", "several-units"),
            ("keras#8720",),
            _written_transposed,
        ),
        (
            "square-transposed",
            "transposes the blocks of the kernel where they are square, as it guesses their layout from their shape",
            ("size-of-units", "several-units"),
            (),
            _squares_transposed,
        ),
    )
    for name, does, where, reports, change in rows:
        yield Fault(
            id=f"layout/kernel-{name}",
            does=does,
            clause="weights",
            where=where,
            reports=reports,
            weights=_moved(_by_block(change), "kernel"),
        )


def _row_and_column_major() -> Iterator[Fault]:
    for name, where in (("kernel", ("several-inputs",)), ("recurrent_kernel", _RECURRENT)):
        for order, change in (("read", _read_transposed), ("written", _written_transposed)):
            memory = ("row", "column") if order == "read" else ("column", "row")
            yield Fault(
                id=f"layout/{name.replace('_', '-')}-{order}-column-major",
                does=f"takes {memory[0]}-major memory of the whole {name.replace('_', ' ')} for {memory[1]}-major",
                clause="weights",
                where=where,
                weights=_moved(change, name),
            )


def _unit_major(array: NDArray[Any]) -> NDArray[Any]:
    """Take column 3 j + g for the column of unit j in block g."""
    return array[..., np.arange(array.shape[-1]).reshape(-1, len(GATES)).T.ravel()]


def _gate_major(array: NDArray[Any]) -> NDArray[Any]:
    """Undo :func:`_unit_major`."""
    return array[..., np.arange(array.shape[-1]).reshape(len(GATES), -1).T.ravel()]


def _interleaved() -> Iterator[Fault]:
    places: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "kernel": (("kernel",), ("several-units",)),
        "recurrent kernel": (("recurrent_kernel",), _RECURRENT),
        "bias": (("bias",), ("several-units", "bias")),
        "weights": (("kernel", "recurrent_kernel", "bias"), ("several-units",)),
    }
    for title, (names, where) in places.items():
        yield Fault(
            id=f"layout/{title.replace(' ', '-')}-interleaved",
            does=f"reads the columns of the {title} unit by unit (z, r, h of unit 0 first) instead of gate by gate",
            clause="gate-order",
            where=where,
            weights=_moved(_unit_major, *names),
        )
        yield Fault(
            id=f"layout/{title.replace(' ', '-')}-deinterleaved",
            does=f"writes the columns of the {title} unit by unit and reads them gate by gate",
            clause="gate-order",
            where=where,
            weights=_moved(_gate_major, *names),
        )


def _bias_rows() -> Iterator[Fault]:
    for order, change in (("read", _read_transposed), ("written", _written_transposed)):
        shapes = "(2, 3u) for that of (3u, 2)" if order == "read" else "(3u, 2) for that of (2, 3u)"
        yield Fault(
            id=f"layout/bias-{order}-transposed",
            does=f"takes the memory of the bias {shapes}, so that input and recurrent bias are mixed up",
            clause="weights",
            variants=("reset-after",),
            where=("bias",),
            reports=("nnom PR#82",) if order == "read" else (),
            weights=_of_two_rows(_moved(change, "bias")),
        )


def _of_two_rows(change: Callable[[GRUSpec, Arrays], Arrays]) -> Callable[[GRUSpec, Arrays], Arrays]:
    return lambda spec, arrays: change(spec, arrays) if spec.reset_after else arrays
