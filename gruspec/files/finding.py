"""The GRUs among tensors, by the names and shapes that layouts give their arrays."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from gruspec.files.checkpoint import FoundGRU
from gruspec.layouts import LAYOUTS
from gruspec.layouts.shapes import possible_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gruspec.files.checkpoint import Tensor
    from gruspec.layouts import Layout, Sizes
    from gruspec.layouts.layout import Form

_ENDING = r"(?::0|/\.ATTRIBUTES/VARIABLE_VALUE)?"
"""What TensorFlow writes behind the name of a variable."""


def find_grus(tensors: Mapping[str, Tensor]) -> tuple[FoundGRU, ...]:
    """Return the GRUs among tensors, in the order of their first tensors.

    Tensors with the names that a layout gives its arrays, behind one path, in shapes that fit, are a GRU. Where several
    layouts have the same names and shapes, all are given. Their dtypes do not matter here: a GRU whose tensors are of
    several is found, so that it is refused by name and not taken for something else.

    Parameters
    ----------
    tensors
        By name.
    """
    found: dict[frozenset[str], FoundGRU] = {}
    for gru in _candidates(tensors):
        names = frozenset(gru.names.values())
        known = found.get(names)
        if known is None:
            found[names] = gru
        elif gru.layout not in known.layouts:
            found[names] = _joined(known, gru)
    holding: dict[str, list[frozenset[str]]] = defaultdict(list)
    for names in found:
        for name in names:
            holding[name].append(names)
    whole = [names for names in found if not any(names < other for other in holding[next(iter(names))])]
    order = {name: number for number, name in enumerate(tensors)}
    return tuple(found[names] for names in sorted(whole, key=lambda names: min(order[name] for name in names)))


def _joined(known: FoundGRU, other: FoundGRU) -> FoundGRU:
    """Return a GRU that can be in the layouts of both; what they do not agree on is not known."""
    from dataclasses import replace

    return replace(
        known,
        layouts=(*known.layouts, *other.layouts),
        reset_after=known.reset_after if known.reset_after == other.reset_after else None,
    )


def _candidates(tensors: Mapping[str, Tensor]) -> Iterator[FoundGRU]:
    for layout in LAYOUTS.values():
        by_path: dict[str, dict[str, str]] = defaultdict(dict)
        for name in tensors:
            for path, array in _readings(layout.name, name):
                by_path[path].setdefault(array, name)
        for path, names in by_path.items():
            gru = _recognised(layout, path, names, tensors)
            if gru is not None:
                yield gru


def _recognised(layout: Layout, path: str, names: Mapping[str, str], tensors: Mapping[str, Tensor]) -> FoundGRU | None:
    shapes = {array: tensors[name].shape for array, name in names.items()}
    fitting: list[tuple[Form, Sizes | None]] = [
        (form, sizes) for form in layout.forms for sizes in possible_sizes(layout, form, shapes)
    ]
    if not fitting:
        fitting = [(form, None) for form in layout.forms if _one_vector(layout, form, shapes)]
    if not fitting:
        return None
    variants = {variant for form, _ in fitting for variant in form.reset_after}
    form, sizes = fitting[0]
    dtypes = dict.fromkeys(tensors[name].dtype.name for name in names.values())
    return FoundGRU(
        path,
        (layout.name,),
        dict(names),
        variants.pop() if len(variants) == 1 else None,
        sizes,
        form.has_bias,
        " and ".join(dtypes),
    )


def _one_vector(layout: Layout, form: Form, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether this is one vector of everything: it does not tell its units, but its length fits."""
    return len(shapes) == 1 and any(possible_sizes(layout, form, shapes, units=1))


def _readings(layout: str, tensor: str) -> Iterable[tuple[str, str]]:
    """Yield the path and the array that the name of a tensor can mean in a layout."""
    for pattern in _patterns(layout):
        match = pattern.fullmatch(tensor)
        if match:
            yield match["path"] or "", match["array"]


@cache
def _patterns(name: str) -> tuple[re.Pattern[str], ...]:
    layout = LAYOUTS[name]
    templates = {array.name for form in layout.forms for array in form.arrays}
    return tuple(
        re.compile(rf"(?:(?P<path>.+)[./])?(?P<array>{_expression(layout, one)}){_ENDING}") for one in sorted(templates)
    )


def _expression(layout: Layout, template: str) -> str:
    escaped = re.escape(template).replace(re.escape("{layer}"), r"\d+")
    directions = "|".join(re.escape(direction) for direction in layout.directions)
    expression = escaped.replace(re.escape("{direction}"), f"(?:{directions})")
    return expression.replace("/", "[./]")
