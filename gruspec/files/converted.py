"""What a conversion of a file did."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gruspec.files.format import Format
    from gruspec.files.planning import PlannedGRU
    from gruspec.layouts import Cell, Exactness, Sizes

BOUND_STEPS = (1, 16, 256)
"""Timesteps for which the effect of folded biases is stated."""


@dataclass(frozen=True)
class ConvertedGRU:
    """A GRU of a written file, and what it comes from.

    Parameters
    ----------
    source_path, path
        Where it was, and where it is.
    source_layout, layout
        Names of the layouts.
    cells
        The layers and directions of the source that it has: all, unless it was split.
    exactness
        Whether numbers are the same.
    folding
        How far folded biases can move an output, by timesteps (:data:`BOUND_STEPS`); empty where none was folded,
        infinite where no bound exists.
    notes
        What a reader must know.
    sizes, reset_after, use_bias
        Of the GRU as it is now.
    source_dtype, dtype
        Names.
    source_names, names
        Tensor for each array of its layout.
    activation, recurrent_activation
        None where neither the file nor the caller told.
    """

    source_path: str
    path: str
    source_layout: str
    layout: str
    cells: tuple[Cell, ...]
    exactness: Exactness
    folding: Mapping[int, float]
    notes: tuple[str, ...]
    sizes: Sizes
    reset_after: bool
    use_bias: bool
    source_dtype: str
    dtype: str
    source_names: Mapping[str, str]
    names: Mapping[str, str]
    activation: str | None = None
    recurrent_activation: str | None = None


@dataclass(frozen=True)
class FileConversion:
    """What a conversion of a file did.

    Parameters
    ----------
    source, target
        The files.
    source_format, target_format
        Names of their formats.
    source_sha256, target_sha256
        Of the bytes; where a checkpoint is several files, of the lines ``<SHA-256>  <name>`` of all of them.
    grus
        Those that were converted.
    carried
        New name of each tensor that was carried over bit for bit, by its old one.
    left
        What was not carried over, and why, by name.
    template
        The file whose structure was kept.
    versions
        Of what did it.
    """

    source: Path
    target: Path
    source_format: str
    target_format: str
    source_sha256: str
    target_sha256: str
    grus: tuple[ConvertedGRU, ...]
    carried: Mapping[str, str]
    left: Mapping[str, str]
    template: Path | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


def converted_gru(gru: PlannedGRU, names: Mapping[str, str]) -> ConvertedGRU:
    """Return the record of a GRU that was written under these names."""
    folding = gru.planned.folding
    return ConvertedGRU(
        source_path=gru.found.path,
        path=gru.written.path,
        source_layout=gru.source_layout,
        layout=gru.written.layout,
        cells=gru.cells,
        exactness=gru.planned.exactness,
        folding={} if folding is None else {steps: folding.bound(steps) for steps in BOUND_STEPS},
        notes=gru.notes,
        sizes=gru.written.sizes,
        reset_after=gru.written.reset_after,
        use_bias=gru.written.use_bias,
        source_dtype=gru.planned.weights.dtype.name,
        dtype=gru.planned.dtype.name,
        source_names=dict(gru.found.names),
        names=dict(names),
        activation=gru.written.activation,
        recurrent_activation=gru.written.recurrent_activation,
    )


def versions_used(formats: Iterable[Format]) -> dict[str, str]:
    """Return the versions of gruspec, Python, NumPy and of what formats read and write with."""
    from gruspec import __version__

    versions = {"gruspec": __version__, "python": platform.python_version()}
    for module in ("numpy", *(module for used in formats for module in used.modules)):
        distribution = module.partition(".")[0]
        try:
            versions[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return versions
