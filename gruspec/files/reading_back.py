"""A written file against what was meant: every canonical weight and every carried tensor, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import FileError, GruspecError
from gruspec.files.comparing import same_values
from gruspec.layouts import unpack
from gruspec.layouts.layout import INPUT_BIAS, KERNEL, RECURRENT_KERNEL, SUMMED_BIAS
from gruspec.layouts.weights import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import Checkpoint, Tensor, WrittenGRU
    from gruspec.files.format import Format
    from gruspec.files.planning import FilePlan, PlannedGRU
    from gruspec.layouts import Block, Layout, Plan, Sizes, Weights


def check_written(
    path: Path, target: Format, filed: FilePlan, sources: Mapping[str, Tensor], progress: Callable[[int], None]
) -> tuple[dict[str, str], ...]:
    """Open a written file and compare it with what was meant.

    Parameters
    ----------
    path
        The file.
    target
        Its format.
    filed
        What was meant.
    sources
        Tensors of the source by name.
    progress
        Is given the bytes of each tensor once it was compared.

    Returns
    -------
    tuple
        For each GRU the tensor of each of its arrays, as the file names them.

    Raises
    ------
    FileError
        If anything differs or is missing.
    """
    with target.read(path) as written:
        names = tuple(
            _check_gru(written, gru, number, len(filed.grus), progress) for number, gru in enumerate(filed.grus)
        )
        for old, new in filed.carried.items():
            _check_carried(written, sources[old], new)
            progress(sources[old].dtype.itemsize * int(np.prod(sources[old].shape, dtype=object)))
    return names


def _check_gru(
    checkpoint: Checkpoint, gru: PlannedGRU, number: int, grus: int, progress: Callable[[int], None]
) -> dict[str, str]:
    names = _names_of(checkpoint, gru.written, number, grus)
    try:
        read = weights_at(checkpoint, names, gru.planned.layout, gru.written.sizes, reset_after=gru.written.reset_after)
    except FileError:
        raise
    except GruspecError as error:
        raise FileError(f"{checkpoint.path}: {gru.written.path} is not what was written: {error}") from error
    expected = {block for block in gru.planned.weights.blocks if block.part in (KERNEL, RECURRENT_KERNEL)}
    if read.sizes != gru.written.sizes or not expected <= set(read.blocks) or read.dtype != gru.planned.dtype:
        raise FileError(f"{checkpoint.path}: {gru.written.path} is not what was written: {read.dtype} {read.sizes}")
    for block, values in read.blocks.items():
        if not same_values(values, _meant(gru.planned, block, values)):
            cell, part, gate = block
            raise FileError(
                f"{checkpoint.path}: {gru.written.path}: the {part} of gate {gate} of layer {cell.layer}, direction "
                f"{cell.direction}, is not what was written; the storage or the format changes values"
            )
        progress(values.nbytes)
    return names


def weights_at(
    checkpoint: Checkpoint, names: Mapping[str, str], layout: Layout, sizes: Sizes, *, reset_after: bool
) -> Weights:
    """Return the weights of a GRU of an open file of which everything is known.

    Parameters
    ----------
    checkpoint
        The file.
    names
        Tensor for each array of the layout.
    layout, sizes, reset_after
        What it is.
    """
    return unpack(
        {array: checkpoint.tensors[name].read() for array, name in names.items()},
        layout,
        reset_after=reset_after,
        units=sizes.units,
        layers=sizes.layers,
        directions=sizes.directions,
    )


def _names_of(checkpoint: Checkpoint, gru: WrittenGRU, number: int, grus: int) -> dict[str, str]:
    """Return the tensor for each array: by the names that were asked for, else where the file has the GRU."""
    names = {array: entry.name for array, entry in gru.arrays.items()}
    if all(name in checkpoint.tensors for name in names.values()):
        return names
    alike = [found for found in checkpoint.grus if gru.layout in found.layouts]
    for found in alike:
        if found.path == gru.path:
            return dict(found.names)
    if len(alike) == grus:
        return dict(alike[number].names)
    raise FileError(f"{checkpoint.path}: {gru.path or 'the GRU'} is not there on reading back")


def _meant(planned: Plan, block: Block, like: NDArray[Any]) -> NDArray[Any]:
    cell, part, gate = block
    place = SUMMED_BIAS if part == INPUT_BIAS and (SUMMED_BIAS, gate) in planned.form.parts else part
    values = stored(planned.weights, cell, place, gate)
    return np.zeros(like.shape, like.dtype) if values is None else values


def _check_carried(checkpoint: Checkpoint, meant: Tensor, name: str) -> None:
    read = checkpoint.tensors.get(name)
    if read is None:
        raise FileError(f"{checkpoint.path}: {name} is not there on reading back")
    if read.dtype != meant.dtype or read.shape != meant.shape or not same_values(read.read(), meant.read()):
        raise FileError(f"{checkpoint.path}: {name} is not what was written; the storage or the format changes values")
