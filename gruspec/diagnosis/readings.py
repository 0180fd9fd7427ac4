"""Every way to read arrays as the weights of a GRU: layouts as data.

Symbols: ``D`` input size, ``u`` units, ``z``, ``r`` and ``h`` update gate, reset gate and candidate. A reading gives
blocks named as by :func:`gruspec.reference.split_weights`: ``kernel_z`` (D, u), ``recurrent_kernel_z`` (u, u),
``bias_z`` and ``recurrent_bias_z`` (u,) and so on; biases that a layout does not have are absent.

Shapes alone decide what an array can be, and leading axes of length 1, as of ONNX's directions, do not count. Names
decide what is tried first: per-gate arrays are first taken in the order of their names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice, permutations, product
from typing import TYPE_CHECKING

import numpy as np

from gruspec.errors import SpecError, listed
from gruspec.spec import GATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Blocks = dict[str, Array]
    Shape = tuple[int, ...]

ORDERS = tuple(permutations(GATES))
"""The orders in which gates can stand."""

WHOLE, PER_GATE, STACKED, FLAT = "whole", "per-gate", "stacked", "flat"
COLUMNS, ROWS, MIXED = "columns", "rows", "mixed"
BY_GATE, BY_UNIT = "gate-by-gate", "unit-by-unit"
MEMORY, COLUMN_MAJOR = "memory-transposed", "column-major"

MOST_READINGS = 20_000
"""Readings of per-gate arrays whose names say nothing that are tried."""

_TITLES = {"z": "the update gate", "r": "the reset gate", "h": "the candidate"}
_RECURRENT_CANDIDATE = "recurrent bias of the candidate"


@dataclass(frozen=True)
class BiasForm:
    """How biases are kept.

    Parameters
    ----------
    id, words
        Its name, and what it is.
    arrangements
        The arrangements of the kernels that it goes with.
    shapes
        Of its arrays, for ``u`` units.
    roles
        What its arrays are.
    blocks
        ``blocks(arrays, order, cut)`` gives the blocks; ``cut`` splits a vector of several gates.
    mirrored
        Pairs of arrays, input and recurrent, that only their sum matters of where the reset gate comes before.
    """

    id: str
    words: str
    arrangements: tuple[str, ...]
    shapes: Callable[[int], tuple[Shape, ...]]
    roles: tuple[str, ...]
    blocks: Callable[[Sequence[Array], Sequence[str], Callable[[Array], Array]], Blocks]
    mirrored: tuple[tuple[int, int], ...] = ()


def _rows(name: str, order: Iterable[str], rows: Iterable[Array]) -> Blocks:
    return {f"{name}_{gate}": row for gate, row in zip(order, rows, strict=True)}


def _two(vectors: Sequence[Array], order: Sequence[str], cut: Callable[[Array], Array]) -> Blocks:
    return _rows("bias", order, cut(vectors[0])) | _rows("recurrent_bias", order, cut(vectors[1]))


def _halves(vectors: Sequence[Array], order: Sequence[str], cut: Callable[[Array], Array]) -> Blocks:
    return _two(vectors[0].reshape(2, -1), order, cut)  # type: ignore[arg-type]  # rows of an array are arrays


def _summed(vectors: Sequence[Array], order: Sequence[str], cut: Callable[[Array], Array]) -> Blocks:
    names = [name for gate in order for name in ([f"bias_{gate}"] + ["recurrent_bias_h"] * (gate == "h"))]
    return dict(zip(names, cut(vectors[0]), strict=True))


def _by_gate(vectors: Sequence[Array]) -> Blocks:
    return _rows("bias", GATES, vectors)


_EVERY_GATE = tuple(f"bias of {title}" for title in _TITLES.values())
_EVERY_RECURRENT = tuple(f"recurrent {role}" for role in _EVERY_GATE)

BIAS_FORMS = (
    BiasForm("none", "no bias", (WHOLE, PER_GATE, STACKED, FLAT), lambda _: (), (), lambda *_: {}),
    BiasForm(
        "3u",
        "one bias for each gate, added to the products of the inputs",
        (WHOLE,),
        lambda u: ((3 * u,),),
        ("bias",),
        lambda v, order, cut: _rows("bias", order, cut(v[0])),
    ),
    BiasForm(
        "2x3u",
        "one array with a row of input biases and a row of recurrent biases",
        (WHOLE,),
        lambda u: ((2, 3 * u),),
        ("bias",),
        _halves,
    ),
    BiasForm(
        "6u",
        "one vector of input biases, then recurrent biases",
        (WHOLE,),
        lambda u: ((6 * u,),),
        ("bias",),
        _halves,
    ),
    BiasForm(
        "3u+3u",
        "a vector of input biases and one of recurrent biases",
        (WHOLE,),
        lambda u: ((3 * u,), (3 * u,)),
        ("input bias", "recurrent bias"),
        _two,
        ((0, 1),),
    ),
    BiasForm(
        "4u",
        "one vector of the summed biases of both gates and the two biases of the candidate",
        (WHOLE,),
        lambda u: ((4 * u,),),
        ("bias",),
        _summed,
    ),
    BiasForm(
        "3u+u",
        "one bias for each gate, and a recurrent bias of the candidate",
        (WHOLE,),
        lambda u: ((3 * u,), (u,)),
        ("bias", _RECURRENT_CANDIDATE),
        lambda v, order, cut: _rows("bias", order, cut(v[0])) | {"recurrent_bias_h": v[1]},
    ),
    BiasForm(
        "2u+u",
        "a vector of the biases of both gates and one of the candidate",
        (STACKED,),
        lambda u: ((2 * u,), (u,)),
        ("bias of both gates", "bias of the candidate"),
        lambda v, order, cut: _rows("bias", order, (*cut(v[0]), v[1])),
    ),
    BiasForm(
        "u+u+u",
        "a bias for each gate",
        (PER_GATE,),
        lambda u: ((u,),) * 3,
        _EVERY_GATE,
        lambda v, *_: _by_gate(v),
    ),
    BiasForm(
        "u+u+u+u",
        "a bias for each gate, and a recurrent bias of the candidate",
        (PER_GATE,),
        lambda u: ((u,),) * 4,
        (*_EVERY_GATE, _RECURRENT_CANDIDATE),
        lambda v, *_: _by_gate(v[:3]) | {"recurrent_bias_h": v[3]},
        ((2, 3),),
    ),
    BiasForm(
        "u+u+u+u+u+u",
        "an input bias and a recurrent bias for each gate",
        (PER_GATE,),
        lambda u: ((u,),) * 6,
        (*_EVERY_GATE, *_EVERY_RECURRENT),
        lambda v, *_: _by_gate(v[:3]) | _rows("recurrent_bias", GATES, v[3:]),
        ((0, 3), (1, 4), (2, 5)),
    ),
    BiasForm("flat-6u", "input biases, then recurrent biases, at the end", (FLAT,), lambda _: (), (), lambda *_: {}),
)
"""Everything that the biases can be."""


@dataclass(frozen=True)
class Layout:
    """Where weights are, as far as it can be told in words.

    Parameters
    ----------
    arrays
        By name what each array is, in the order of the layout.
    arrangement
        ``"whole"`` arrays of all gates, arrays ``"per-gate"``, kernels ``"stacked"`` on recurrent kernels, or
        everything in one ``"flat"`` vector.
    orientation
        Whether units are ``"columns"`` (D, 3u) or ``"rows"`` (3u, D); ``"mixed"`` if only one kernel has rows.
    packing
        ``"gate-by-gate"``, ``"unit-by-unit"`` (the gates of unit 0 first), ``"memory-transposed"``, where the memory of
        each block is that of its transpose, or ``"column-major"``, where the memory of both whole kernels is that of
        their transposes, as safetensors.numpy.save_file writes arrays that are views.
    order
        Order of the gates, as ``"zrh"``; empty where each has arrays of its own.
    bias
        Id of a :class:`BiasForm`.
    """

    arrays: tuple[tuple[str, str], ...]
    arrangement: str
    orientation: str
    packing: str
    order: str
    bias: str


@dataclass(frozen=True, eq=False)
class Reading:
    """A layout, and the blocks that it gives; ``mirrored`` ones repeat others where the reset gate comes before."""

    layout: Layout
    blocks: Blocks
    mirrored: bool = False


def readings(arrays: Mapping[str, Array], input_size: int, units: int) -> Iterator[Iterator[Reading]]:
    """Yield readings that use every array once, the likely ones first; later ones need be tried only if these fail.

    Parameters
    ----------
    arrays
        Weights under any names.
    input_size, units
        Of the layer.

    Raises
    ------
    SpecError
        If no layout has arrays of these shapes.
    """
    shelf = _Shelf(arrays, input_size, units)
    likely = list(chain(shelf.whole(), shelf.stacked(), shelf.flat(), shelf.per_gate(_in_order_of_names)))
    if not likely:
        shapes = listed(f"{name} {array.shape}" for name, array in arrays.items())
        raise SpecError(
            f"no GRU with D = {input_size} and u = {units}, as the pairs have them, has weights of these shapes: "
            f"{shapes}; expected a kernel of {3 * units} x {input_size} and a recurrent kernel of {3 * units} x {units}"
            " in either orientation, or one of each for every gate, or both stacked, or one flat vector, and biases of "
            "1, 2, 3, 4 or 6 times u; of one direction and one layer, and nothing else"
        )
    yield iter(likely)
    yield islice(shelf.per_gate(_assignments), MOST_READINGS)


def _stripped(shape: Shape) -> Shape:
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _assignments(names: Mapping[str, Shape], wanted: Sequence[Shape]) -> Iterator[tuple[str, ...]]:
    """Yield names of arrays for wanted shapes in all ways that use every array once."""
    if Counter(names.values()) != Counter(map(_stripped, wanted)):
        return
    taken: list[str] = []

    def fill() -> Iterator[tuple[str, ...]]:
        if len(taken) == len(wanted):
            yield tuple(taken)
            return
        for name, shape in names.items():
            if name not in taken and shape == _stripped(wanted[len(taken)]):
                taken.append(name)
                yield from fill()
                taken.pop()

    yield from fill()


def _in_order_of_names(names: Mapping[str, Shape], wanted: Sequence[Shape]) -> Iterator[tuple[str, ...]]:
    """Yield names of arrays, one for each gate, such that all kinds have the same order of gates by name."""
    if Counter(names.values()) != Counter(map(_stripped, wanted)):
        return
    places: dict[Shape, list[int]] = {}
    for place, shape in enumerate(map(_stripped, wanted)):
        places.setdefault(shape, []).append(place)
    pools = {shape: sorted(name for name in names if names[name] == shape) for shape in places}
    for order in permutations(range(3)):
        for dealt in product(*(_dealt(pool, order) for pool in pools.values())):
            found = dict(zip(chain(*places.values()), chain(*dealt), strict=True))
            yield tuple(found[place] for place in range(len(wanted)))


def _dealt(pool: Sequence[str], order: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Yield arrays of one shape in sets of three, in the order of gates, and one that may be left over."""
    for extra in [(name,) for name in pool] if len(pool) % 3 else [()]:
        rest = [name for name in pool if name not in extra]
        count = len(rest) // 3
        neighbours = [tuple(rest[3 * i : 3 * i + 3]) for i in range(count)]
        strided = [tuple(rest[i::count]) for i in range(count)]
        for sets in dict.fromkeys(chain(permutations(neighbours), permutations(strided))):
            yield (*(three[place] for three in sets for place in order), *extra)


class _Shelf:
    """Arrays that are read in all ways."""

    def __init__(self, arrays: Mapping[str, Array], input_size: int, units: int) -> None:
        self._arrays = arrays
        self._names = {name: _stripped(array.shape) for name, array in arrays.items()}
        self._sizes = input_size, units

    def whole(self) -> Iterator[Reading]:
        """Yield readings as a kernel and a recurrent kernel of all gates."""
        size, units = self._sizes
        shapes = {COLUMNS: ((size, 3 * units), (units, 3 * units)), ROWS: ((3 * units, size), (3 * units, units))}
        for (one, (kernel, _)), (other, (_, recurrent)) in product(shapes.items(), repeat=2):
            orientation = one if one == other else MIXED
            for form in _forms(WHOLE):
                for names in _assignments(self._names, (kernel, recurrent, *form.shapes(units))):
                    given = self._given(names, (kernel, recurrent, *form.shapes(units)))
                    for packing, order in product(_packings(size, units, orientation), ORDERS):
                        kernels = [_untransposed(kernel) for kernel in given[:2]] if packing == COLUMN_MAJOR else given
                        blocks = self._cut(
                            [
                                kernel if turned == COLUMNS else kernel.T
                                for kernel, turned in zip(kernels, (one, other), strict=False)
                            ],
                            order,
                            packing,
                        )
                        cut = _cut_by_unit(units) if packing == BY_UNIT else _cut_by_gate(units)
                        blocks |= form.blocks(given[2:], order, cut)
                        roles = ("kernel", "recurrent kernel")
                        yield _reading(names, roles, form, WHOLE, orientation, packing, order, blocks)

    def _cut(self, matrices: Sequence[Array], order: Sequence[str], packing: str) -> Blocks:
        blocks: Blocks = {}
        for name, matrix in zip(("kernel", "recurrent_kernel"), matrices, strict=True):
            parts = [matrix[:, i::3] if packing == BY_UNIT else part for i, part in enumerate(np.split(matrix, 3, 1))]
            if packing == MEMORY:
                parts = [_untransposed(part) for part in parts]
            blocks |= _rows(name, order, parts)
        return blocks

    def stacked(self) -> Iterator[Reading]:
        """Yield readings as kernels on top of recurrent kernels, of both gates and of the candidate."""
        size, units = self._sizes
        for orientation, form in product((COLUMNS, ROWS), _forms(STACKED)):
            pair: tuple[Shape, ...] = ((size + units, 2 * units), (size + units, units))
            pair = pair if orientation == COLUMNS else tuple(shape[::-1] for shape in pair)
            for names in _assignments(self._names, (*pair, *form.shapes(units))):
                given = self._given(names, (*pair, *form.shapes(units)))
                gates, candidate = given[:2] if orientation == COLUMNS else (given[0].T, given[1].T)
                for order in (order for order in ORDERS if order[-1] == "h"):
                    columns = (*np.split(gates, 2, axis=1), candidate)
                    blocks = _rows("kernel", order, (part[:size] for part in columns))
                    blocks |= _rows("recurrent_kernel", order, (part[size:] for part in columns))
                    blocks |= form.blocks(given[2:], order, _cut_by_gate(units))
                    roles = tuple(
                        f"kernel and recurrent kernel of {whose}" for whose in ("both gates", "the candidate")
                    )
                    yield _reading(names, roles, form, STACKED, orientation, BY_GATE, order, blocks)

    def flat(self) -> Iterator[Reading]:
        """Yield readings as one vector of kernels, recurrent kernels and biases."""
        size, units = self._sizes
        kernels = 3 * units * (size + units)
        for form, orientation, order in product(_forms(FLAT), (ROWS, COLUMNS), ORDERS):
            length = kernels + (6 * units if form.id == "flat-6u" else 0)
            for names in _assignments(self._names, ((length,),)):
                (vector,) = self._given(names, ((length,),))
                blocks: Blocks = {}
                for name, part, rows in (
                    ("kernel", vector[: 3 * size * units], size),
                    ("recurrent_kernel", vector[3 * size * units : kernels], units),
                ):
                    turned = [
                        memory.reshape(rows, units) if orientation == COLUMNS else memory.reshape(units, rows).T
                        for memory in np.split(part, 3)
                    ]
                    blocks |= _rows(name, order, turned)
                if form.id == "flat-6u":
                    blocks |= _halves((vector[kernels:],), order, _cut_by_gate(units))
                yield _reading(names, ("all weights",), form, FLAT, orientation, BY_GATE, order, blocks)

    def per_gate(
        self, assigned: Callable[[Mapping[str, Shape], Sequence[Shape]], Iterable[tuple[str, ...]]]
    ) -> Iterator[Reading]:
        """Yield readings as a kernel and a recurrent kernel for each gate."""
        size, units = self._sizes
        roles = tuple(f"{name} of {title}" for name in ("kernel", "recurrent kernel") for title in _TITLES.values())
        for orientation, form in product((COLUMNS, ROWS), _forms(PER_GATE)):
            kernel = (size, units) if orientation == COLUMNS else (units, size)
            wanted: tuple[Shape, ...] = (*[kernel] * 3, *[(units, units)] * 3, *form.shapes(units))
            for names in assigned(self._names, wanted):
                given = self._given(names, wanted)
                matrices = [matrix if orientation == COLUMNS else matrix.T for matrix in given[:6]]
                blocks = _rows("kernel", GATES, matrices[:3]) | _rows("recurrent_kernel", GATES, matrices[3:])
                blocks |= form.blocks(given[6:], GATES, _cut_by_gate(units))
                yield _reading(names, roles, form, PER_GATE, orientation, BY_GATE, (), blocks)

    def _given(self, names: Sequence[str], shapes: Sequence[Shape]) -> list[Array]:
        return [self._arrays[name].reshape(shape) for name, shape in zip(names, shapes, strict=True)]


def _forms(arrangement: str) -> Iterator[BiasForm]:
    return (form for form in BIAS_FORMS if arrangement in form.arrangements)


def _packings(size: int, units: int, orientation: str) -> tuple[str, ...]:
    """Return packings that differ; of blocks in rows nobody transposes the memory one by one."""
    if units == 1:
        return (BY_GATE,) if size == 1 else (BY_GATE, COLUMN_MAJOR)
    return (BY_GATE, *([MEMORY] if orientation == COLUMNS else []), BY_UNIT, COLUMN_MAJOR)


def _untransposed(array: Array) -> Array:
    """Take the memory of an array (m, n) for that of its transpose (n, m)."""
    return array.reshape(array.shape[::-1]).T


def _cut_by_gate(units: int) -> Callable[[Array], Array]:
    return lambda vector: vector.reshape(-1, units)


def _cut_by_unit(units: int) -> Callable[[Array], Array]:
    return lambda vector: vector.reshape(units, -1).T


def _reading(
    names: Sequence[str],
    roles: Sequence[str],
    form: BiasForm,
    arrangement: str,
    orientation: str,
    packing: str,
    order: Sequence[str],
    blocks: Blocks,
) -> Reading:
    described = tuple(zip(names, (*roles, *form.roles), strict=True))
    biases = names[len(roles) :]
    mirrored = any(biases[recurrent] < biases[one] for one, recurrent in form.mirrored)
    return Reading(Layout(described, arrangement, orientation, packing, "".join(order), form.id), blocks, mirrored)
