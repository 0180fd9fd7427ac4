"""What every format asks of a template: which of its GRUs gets which weights, and whether they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.errors import RefusedFile, listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gruspec.files.checkpoint import Checkpoint, Contents, Entry, FoundGRU, WrittenGRU


def new_weights(path: Path, contents: Contents, template: Checkpoint) -> dict[str, Entry]:
    """Return what is to be written over tensors of a template, by their names there.

    Parameters
    ----------
    path
        The new file, for messages.
    contents
        What is to be written.
    template
        Open.

    Raises
    ------
    RefusedFile
        If a GRU has no place there, or differs in layout, variant, activations, shapes or dtype.
    """
    changed: dict[str, Entry] = {}
    problems: list[str] = []
    for gru, own in placed(path, contents, template):
        problems.extend(f"{gru.path}: {difference}" for difference in _differences(gru, own, template))
        changed.update((own.names[array], entry) for array, entry in gru.arrays.items() if array in own.names)
    check_fits(path, template, problems)
    return changed


def placed(path: Path, contents: Contents, template: Checkpoint) -> list[tuple[WrittenGRU, FoundGRU]]:
    """Return every GRU that is to be written with the one of the template whose place it takes.

    That is the one of its path; with one GRU on each side, that one whatever its path.

    Raises
    ------
    RefusedFile
        If there is no such GRU.
    """
    only = template.grus if len(contents.grus) == len(template.grus) == 1 else ()
    by_path = {found.path: found for found in reversed(template.grus)}
    pairs = [(gru, by_path.get(gru.path) or next(iter(only), None)) for gru in contents.grus]
    there = listed(found.path or "one without a path" for found in template.grus)
    check_fits(
        path,
        template,
        [
            f"{gru.path}: no GRU of that path is in the template, which has {there}; rename it"
            for gru, own in pairs
            if own is None
        ],
    )
    return [(gru, own) for gru, own in pairs if own is not None]


def check_fits(path: Path, template: Checkpoint, problems: list[str]) -> None:
    """Refuse a template.

    Raises
    ------
    RefusedFile
        If there is any problem; it names all of them.
    """
    if problems:
        raise RefusedFile(f"{path}: {template.path} does not fit as its template: {'; '.join(problems)}")


def other_activations(gru: WrittenGRU, own: FoundGRU) -> Iterator[str]:
    """Yield what differs in the activations; those that are not known are the template's."""
    return _unlike(
        ("activation", gru.activation, own.activation),
        ("recurrent_activation", gru.recurrent_activation, own.recurrent_activation),
    )


def _unlike(*facts: tuple[str, Any, Any]) -> Iterator[str]:
    for name, new, old in facts:
        if new is not None and old is not None and new != old:
            yield f"{name} is {new}, in the template {old}"


def _differences(gru: WrittenGRU, own: FoundGRU, template: Checkpoint) -> Iterator[str]:
    layout = gru.layout if gru.layout in own.layouts else own.layout
    yield from _unlike(
        ("layout", gru.layout, layout),
        ("reset_after", gru.reset_after, own.reset_after),
        ("use_bias", gru.use_bias, own.use_bias),
    )
    yield from other_activations(gru, own)
    for array in own.names.keys() & gru.arrays.keys():
        entry, tensor = gru.arrays[array], template.tensors[own.names[array]]
        if (entry.shape, entry.dtype) != (tensor.shape, tensor.dtype):
            yield f"{array} is {entry.dtype} {entry.shape}, in the template {tensor.dtype} {tensor.shape}"
