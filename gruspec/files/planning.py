"""What a conversion of a file will write: every refusal is known before anything is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gruspec.errors import RefusedConversion, RefusedFile, SpecError, SpecTypeError, UsageError
from gruspec.files.checkpoint import Contents, Entry, FoundGRU, Tensor, WrittenGRU
from gruspec.files.noting import notes_on, notes_on_vectors
from gruspec.files.selecting import Told, check_decided, read_weights, selected, titled
from gruspec.files.splitting import parts_of
from gruspec.layouts import Cell, Layout, Plan, layout_named, plan
from gruspec.layouts.fitting import Activations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import Checkpoint
    from gruspec.files.format import Format
    from gruspec.files.renaming import Renames


@dataclass(frozen=True)
class Wish:
    """How GRUs are to be converted: the arguments of :func:`gruspec.files.conversion.convert_file` for that."""

    layout: Layout
    told: Told
    allow_folding: bool = False
    dtype: str | None = None


@dataclass(frozen=True)
class PlannedGRU:
    """A GRU of the target, and what it comes from.

    Parameters
    ----------
    found
        In the source.
    source_layout
        In which it was read.
    cells
        The layers and directions of the source that it has.
    planned
        The conversion.
    written
        What the format writes.
    notes
        What a reader must know, those of the conversion included.
    """

    found: FoundGRU
    source_layout: str
    cells: tuple[Cell, ...]
    planned: Plan
    written: WrittenGRU
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FilePlan:
    """A conversion of a file that is known to be possible.

    Parameters
    ----------
    grus
        Of the target.
    contents
        What is written.
    carried
        New name of each tensor that is carried over, by its old one.
    left
        What is not carried over, and why, by name.
    """

    grus: tuple[PlannedGRU, ...]
    contents: Contents
    carried: Mapping[str, str]
    left: Mapping[str, str]


def plan_file(
    source: Checkpoint,
    target: Format,
    wish: Wish,
    *,
    layers: Iterable[str],
    renames: Renames,
    template: Checkpoint | None,
) -> FilePlan:
    """Decide what goes into a new file.

    Raises
    ------
    RefusedConversion
        If the layout cannot hold one of the GRUs; where several cannot be held, the message names all of them.
    RefusedFile
        If no GRU is in the source, or two tensors would have the same name.
    UsageError
        If an argument does not fit the file.
    """
    layers = list(layers)
    chosen = selected(source, layers, wish.told)
    grus = _planned_grus(source, target, wish, chosen, renames)
    if template is None:  # which says all that must be stated
        grus = [replace(gru, notes=(*gru.notes, *target.stated(gru.written))) for gru in grus]
    unsure = [] if layers else [gru for gru in source.grus if gru not in chosen]
    grus[0] = replace(grus[0], notes=(*grus[0].notes, *notes_on_vectors(unsure)))
    kept = {name for gru in source.grus if gru not in chosen for name in gru.names.values()}
    taken = {name for gru in chosen for name in gru.names.values()} - kept
    others = [tensor for name, tensor in source.tensors.items() if name not in taken]
    entries = {tensor.name: _carried(tensor, renames, mapped=source.mapped) for tensor in others}
    renames.check_used([gru.path for gru in chosen] + [tensor.name for tensor in others])
    left = _left(source, target, entries, template)
    carried = {name: entry for name, entry in entries.items() if name not in left}
    contents = Contents(
        tuple(carried.values()),
        tuple(gru.written for gru in grus),
        source.metadata if source.format == target.name else {},
        template,
    )
    _check_names(contents)
    return FilePlan(tuple(grus), contents, {name: entry.name for name, entry in carried.items()}, left)


def _planned_grus(
    source: Checkpoint, target: Format, wish: Wish, chosen: Iterable[FoundGRU], renames: Renames
) -> list[PlannedGRU]:
    """Plan every GRU, and raise what was wrong with any of them once all were tried."""
    grus: list[PlannedGRU] = []
    wrong: list[tuple[FoundGRU, Exception]] = []
    for found in chosen:
        try:
            grus += _planned_parts(source, target, wish, found, renames)
        except (RefusedConversion, SpecError, SpecTypeError, UsageError) as error:
            wrong.append((found, error))
    if wrong:
        raise _collected(wish.layout.name, wrong)
    return grus


def _planned_parts(
    source: Checkpoint, target: Format, wish: Wish, found: FoundGRU, renames: Renames
) -> Iterable[PlannedGRU]:
    weights = read_weights(source, found, wish.told)
    if wish.told.layout is None:
        check_decided(source, found, wish.told, weights)
    activation, recurrent_activation = Activations(*wish.told.activations_of(found)).in_layout(
        layout_named(wish.told.layout or found.layout)
    )
    parts = parts_of(weights, wish.layout)
    for suffix, cells, part in parts:
        planned = plan(
            part,
            wish.layout,
            allow_folding=wish.allow_folding,
            dtype=wish.dtype,
            activation=activation,
            recurrent_activation=recurrent_activation,
        )
        path = renames(found.path)
        path = (path or "gru") + suffix if suffix else path
        written = WrittenGRU(
            path,
            wish.layout.name,
            {
                array: Entry(
                    target.array_name(path, wish.layout.name, array), shape, planned.dtype, _filling(planned, array)
                )
                for array, shape in planned.shapes.items()
            },
            weights.reset_after,
            part.sizes,
            planned.form.has_bias,
            activation,
            recurrent_activation,
            found.options,
        )
        notes = tuple(notes_on(found, planned, target, wish.layout, len(parts), weights))
        yield PlannedGRU(found, wish.told.layout or found.layout, cells, planned, written, notes)


def _filling(planned: Plan, array: str) -> Any:
    return lambda values: planned.write({array: values})


def _carried(tensor: Tensor, renames: Renames, *, mapped: bool) -> Entry:
    def fill(values: NDArray[Any]) -> None:
        values[...] = tensor.read()

    return Entry(renames(tensor.name), tensor.shape, tensor.dtype, fill, tensor.read if mapped else None)


def _left(
    source: Checkpoint, target: Format, entries: Mapping[str, Entry], template: Checkpoint | None
) -> dict[str, str]:
    """Return what does not go into the target, and why."""
    left = dict(source.left)
    for name, entry in entries.items():
        reason = "all but the weights of GRUs is as in the template" if template else target.refuses(entry)
        if reason:
            left[name] = reason
    if source.format != target.name:
        left.update((f"metadata {name}", f"belongs to {source.format} files") for name in source.metadata)
    return left


def _check_names(contents: Contents) -> None:
    names: set[str] = set()
    twice: dict[str, None] = {}
    for entry in contents.entries:
        if entry.name in names:
            twice[entry.name] = None
        names.add(entry.name)
    if twice:
        raise RefusedFile(
            f"{', '.join(twice)}: would be written twice; rename one of them, by old=new on a path or a name"
        )


def _collected(target: str, wrong: list[tuple[FoundGRU, Exception]]) -> Exception:
    """Return one error for all."""
    if len(wrong) == 1:
        found, error = wrong[0]
        if isinstance(error, RefusedConversion):
            return RefusedConversion(
                target, [f"{titled(found)}: {reason}" for reason in error.reasons], error.could, foldable=error.foldable
            )
        return type(error)(f"{titled(found)}: {error}")
    refused = [error for _, error in wrong if isinstance(error, RefusedConversion)]
    if len(refused) < len(wrong):
        kind = next(type(error) for _, error in wrong if not isinstance(error, RefusedConversion))
        return kind("; ".join(f"{titled(found)}: {error}" for found, error in wrong))
    could = [name for name in refused[0].could if all(name in error.could for error in refused)]
    reasons = [
        f"{titled(found)}: {reason}"
        for found, error in wrong
        if isinstance(error, RefusedConversion)
        for reason in error.reasons
    ]
    return RefusedConversion(target, reasons, could, foldable=all(error.foldable for error in refused))
