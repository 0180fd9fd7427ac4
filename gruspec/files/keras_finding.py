"""The GRUs of a Keras file: weights found by names and shapes, joined with what the configuration says about them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.errors import FileError
from gruspec.files.checkpoint import FoundGRU
from gruspec.layouts import LAYOUTS
from gruspec.layouts.shapes import possible_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from gruspec.files.checkpoint import Tensor
    from gruspec.files.keras_arguments import ConfiguredGRU
    from gruspec.layouts import Sizes

    Pairs: TypeAlias = "list[tuple[ConfiguredGRU, StoredGRU]]"

ARRAYS = ("kernel", "recurrent_kernel", "bias")
"""The arrays of a GRU in the order in which Keras numbers and lists them."""

CELL = re.compile(r"(?:cu_dnn|cudnn)?_?gru_cell(?:_v\d+)?(?:_\d+)?")
"""The name that Keras gives the cell of a GRU."""

_LAYOUTS = ("keras", "cudnn-gru")


@dataclass(frozen=True)
class StoredGRU:
    """Tensors of a file that are the weights of a GRU.

    Parameters
    ----------
    path
        Names of layers, as far as the names of the tensors tell them.
    group
        The layer of the model, or the group of the file, in which the configuration has the GRU too.
    names
        Tensor for each array of the layout.
    layout, reset_after, sizes, use_bias, dtype
        As of :class:`FoundGRU`.
    name
        The name of the layer, where the file tells it beside the weights.
    """

    path: str
    group: str
    names: Mapping[str, str]
    layout: str
    reset_after: bool | None
    sizes: Sizes
    use_bias: bool
    dtype: str
    name: str | None = None


def stored_gru(
    path: str, group: str, names: Mapping[str, str], tensors: Mapping[str, Tensor], name: str | None = None
) -> StoredGRU | None:
    """Return the GRU that tensors are by their shapes, or None.

    The bias tells CuDNNGRU (6u,) from GRU, and the variants of GRU: (2, 3u) after, (3u,) before.
    """
    dtypes = dict.fromkeys(tensors[tensor].dtype.name for tensor in names.values())
    shapes = {array: tensors[tensor].shape for array, tensor in names.items()}
    for layout in _LAYOUTS:
        for form in LAYOUTS[layout].forms:
            for sizes in possible_sizes(LAYOUTS[layout], form, shapes):
                variant = form.reset_after[0] if len(form.reset_after) == 1 else None
                dtype = " and ".join(dtypes)
                return StoredGRU(path, group, dict(names), layout, variant, sizes, form.has_bias, dtype, name)
    return None


def paired_by_group(stored: Sequence[StoredGRU], configured: Sequence[ConfiguredGRU]) -> Pairs:
    """Return the weights of each configured GRU in a file whose groups follow from the configuration alone."""
    by_group = {gru.group: gru for gru in stored}
    return [(gru, by_group[gru.store]) for gru in configured if gru.store in by_group]


def paired_by_name(stored: Sequence[StoredGRU], configured: Sequence[ConfiguredGRU]) -> Pairs:
    """Return the weights of each configured GRU in a file that has one group for each layer of the model.

    In the group, names of tensors tell the inner layer in most releases of Keras: the whole path, or its last name;
    where they do not, the order does, if there are as many weights as layers.
    """
    pairs: Pairs = []
    for group in dict.fromkeys(gru.path.partition("/")[0] for gru in configured):
        layers = [gru for gru in configured if gru.path.partition("/")[0] == group]
        weights = [gru for gru in stored if gru.group == group]
        for key in (_whole, _last):
            found = _same_key(layers, weights, key)
            pairs.extend(found)
            layers = [gru for gru in layers if all(gru is not one for one, _ in found)]
            weights = [gru for gru in weights if all(gru is not one for _, one in found)]
        if len(layers) == len(weights):
            pairs.extend(zip(layers, weights, strict=True))
    return pairs


def _whole(path: str) -> str:
    return path


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _same_key(layers: Sequence[ConfiguredGRU], weights: Sequence[StoredGRU], key: Callable[[str], str]) -> Pairs:
    """Return layers and weights whose paths have the same key, where no other has it."""
    counts = Counter(key(gru.path) for gru in layers), Counter(key(gru.path) for gru in weights)
    by_key = {key(gru.path): gru for gru in weights if all(count[key(gru.path)] == 1 for count in counts)}
    return [(gru, by_key[key(gru.path)]) for gru in layers if key(gru.path) in by_key]


def found_grus(stored: Iterable[StoredGRU], pairs: Pairs, where: str) -> tuple[FoundGRU, ...]:
    """Return every GRU whose weights are in a file, with what the configuration says, and first those that it has.

    Parameters
    ----------
    stored
        In the order of the file.
    pairs
        Configured GRUs with their weights.
    where
        For messages.

    Raises
    ------
    FileError
        If weights are others than the configuration says.
    """
    said = {id(weights): layer for layer, weights in pairs}
    ordered = [*(weights for _, weights in pairs), *(gru for gru in stored if id(gru) not in said)]
    return tuple(_found(gru, said.get(id(gru)), where) for gru in ordered)


def _found(stored: StoredGRU, said: ConfiguredGRU | None, where: str) -> FoundGRU:
    if said is None:
        options = {} if stored.name is None else {"name": stored.name}
        return FoundGRU(
            stored.path,
            (stored.layout,),
            stored.names,
            stored.reset_after,
            stored.sizes,
            stored.use_bias,
            stored.dtype,
            options=options,
        )
    facts = (
        ("units", said.units, stored.sizes.units),
        ("use_bias", said.use_bias, stored.use_bias),
        ("reset_after", said.reset_after, said.reset_after if stored.reset_after is None else stored.reset_after),
    )
    for name, configured, actual in facts:
        if configured != actual:
            raise FileError(
                f"{where}, layer {said.path}: its configuration says {name}={configured}, its weights {name}={actual}"
            )
    return FoundGRU(
        said.path,
        (stored.layout,),
        stored.names,
        said.reset_after,
        stored.sizes,
        stored.use_bias,
        stored.dtype,
        said.activation,
        said.recurrent_activation,
        said.options,
    )
