"""Every layout to every other: what is written, what is refused, and the way back, against arrays packed by hand."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hand_packed import GRU, PACKED, Cell

from gruspec.errors import RefusedConversion
from gruspec.layouts import LAYOUTS, Exactness, convert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

SIX, FOUR, THREE = "input and recurrent biases", "sums of the gates, two of the candidate", "one for each gate"


class Holds(NamedTuple):
    """What a layout can hold: biases by variant, and the rest."""

    before: str | None = None
    after: str | None = None
    without_bias: bool = False
    layers: bool = False
    directions: bool = False
    both: bool = True

    def stack(self, layers: int, directions: int) -> bool:
        """Whether it holds so many layers and directions."""
        return (
            (layers == 1 or self.layers)
            and (directions == 1 or self.directions)
            and (layers == 1 or directions == 1 or self.both)
        )


HOLDS = {
    "keras": Holds(THREE, SIX, without_bias=True),
    "torch": Holds(None, SIX, without_bias=True, layers=True, directions=True),
    "torch-cell": Holds(None, SIX, without_bias=True),
    "cudnn-gru": Holds(None, SIX),
    "cudnn": Holds(None, SIX, layers=True, directions=True),
    "tf-gru-cell": Holds(THREE),
    "tf-gru-block-cell": Holds(THREE),
    "linen": Holds(None, FOUR),
    "nnx": Holds(None, THREE),
    "haiku": Holds(THREE),
    "equinox": Holds(None, FOUR, without_bias=True),
    "onnx": Holds(SIX, SIX, without_bias=True, directions=True),
    "openvino": Holds(THREE, FOUR, directions=True),
    "webnn-zrn": Holds(SIX, SIX, without_bias=True, directions=True),
    "webnn-rzn": Holds(SIX, SIX, without_bias=True, directions=True),
    "coreml": Holds(None, THREE, without_bias=True),
    "paddle": Holds(None, SIX, without_bias=True, layers=True, directions=True),
    "mlx": Holds(None, FOUR, without_bias=True),
    "mxnet": Holds(None, SIX, layers=True, directions=True),
    "onednn": Holds(THREE, FOUR, without_bias=True, layers=True, directions=True, both=False),
}

UNITS, INPUTS = 4, 3
STACKS = tuple(product((1, 2, 3), (1, 2)))


class Case(NamedTuple):
    """A GRU in a layout; ``folding`` says that its recurrent biases are not zero where only a sum can be."""

    source: str
    gru: GRU
    biased: bool
    folding: bool
    equal_inputs: bool

    @property
    def kept(self) -> str:
        """The biases that are not zero."""
        holds = HOLDS[self.source]
        kept = holds.after if self.gru.reset_after else holds.before
        assert kept is not None
        return kept if self.folding or kept == FOUR else THREE

    @property
    def sizes(self) -> dict[str, int]:
        return {"units": UNITS, "layers": len(self.gru.layers), "directions": self.gru.directions}


def drawn(seed: int, shape: tuple[int, ...], *, moderate: bool = False) -> NDArray[np.float32]:
    """Return any bits: NaN with payloads, infinities, both zeros; or numbers around 1."""
    generator = np.random.default_rng([seed, *shape])
    if moderate:
        return generator.standard_normal(shape).astype(np.float32)
    bits = generator.integers(0, 1 << 32, size=shape, dtype=np.uint32)
    bits.flat[:3] = 0x7F800001, 0x80000000, 0xFFC01234
    return bits.view(np.float32)


def made(
    *, reset_after: bool, layers: int, directions: int, inputs: int, biased: bool, folding: bool, kept: str
) -> GRU:
    cells = []
    for number in range(layers * directions):
        size = inputs if number < directions else directions * UNITS
        seeds = iter(range(100 * number, 100 * number + 12))
        w = {gate: drawn(next(seeds), (size, UNITS)) for gate in "zrh"}
        v = {gate: drawn(next(seeds), (UNITS, UNITS)) for gate in "zrh"}
        b = {gate: drawn(next(seeds), (UNITS,), moderate=folding) for gate in "zrh"}
        c = {gate: drawn(next(seeds), (UNITS,), moderate=folding) for gate in "zrh"}
        held = {SIX: "zrh" if folding else "", FOUR: "h", THREE: ""}[kept]
        c = {gate: values if gate in held else np.zeros_like(values) for gate, values in c.items()}
        cells.append(Cell(w, v, b if biased else None, c if biased else None))
    return GRU(reset_after, directions, tuple(cells))


@cache
def cases(source: str) -> tuple[Case, ...]:
    return tuple(drawn_cases(source))


def drawn_cases(source: str) -> Iterator[Case]:
    holds = HOLDS[source]
    for reset_after, (layers, directions) in product((False, True), STACKS):
        kept = holds.after if reset_after else holds.before
        if kept is None or not holds.stack(layers, directions):
            continue
        equal = layers != 2 or source == "onednn"
        inputs = directions * UNITS if layers > 1 and equal else INPUTS
        for biased, folding in ((True, False), (True, True), (False, False)):
            if (folding and kept != SIX) or not (biased or holds.without_bias):
                continue
            gru = made(
                reset_after=reset_after,
                layers=layers,
                directions=directions,
                inputs=inputs,
                biased=biased,
                folding=folding,
                kept=kept,
            )
            yield Case(source, gru, biased, folding, equal)


def expected(case: Case, target: str) -> Exactness | None:
    """Return what the table says: exact, folded, or None for refused."""
    holds = HOLDS[target]
    biases = holds.after if case.gru.reset_after else holds.before
    if (
        biases is None
        or not holds.stack(len(case.gru.layers), case.gru.directions)
        or (target == "onednn" and not case.equal_inputs)
    ):
        return None
    if not case.biased or biases == SIX or case.kept == THREE:
        return Exactness.EXACT
    if biases == THREE and case.gru.reset_after:
        return None
    return Exactness.EXACT if case.kept == FOUR else Exactness.FOLDED


def folded(gru: GRU, biases: str) -> GRU:
    """Return a GRU whose recurrent biases are zero where a layout keeps the sum, rounded."""
    summed = "zr" if biases == FOUR else "zrh"
    return gru.with_biases(
        lambda b, c: (
            {gate: b[gate] + c[gate] if gate in summed else b[gate] for gate in "zrh"},
            {gate: np.zeros_like(c[gate]) if gate in summed else c[gate] for gate in "zrh"},
        )
    )


def same_bits(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> bool:
    return one.keys() == other.keys() and all(
        (one[name].shape, one[name].dtype, one[name].tobytes())
        == (other[name].shape, other[name].dtype, other[name].tobytes())
        for name in one
    )


def test_every_layout_is_in_the_tables() -> None:
    assert HOLDS.keys() == PACKED.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("source", HOLDS)
@pytest.mark.parametrize("target", HOLDS)
def test_a_pair_converts_and_comes_back_or_refuses(source: str, target: str) -> None:
    judged = 0
    for case in cases(source):
        gru, judged = case.gru, judged + 1
        arrays = PACKED[source](gru)
        result = expected(case, target)
        options: dict[str, Any] = {"reset_after": gru.reset_after, **case.sizes}
        if result is not Exactness.EXACT:
            with pytest.raises(RefusedConversion) as refused:
                convert(arrays, source, target, **options)
            assert refused.value.foldable == (result is Exactness.FOLDED)
            assert source == target or source in refused.value.could
        if result is None:
            with pytest.raises(RefusedConversion):
                convert(arrays, source, target, allow_folding=True, **options)
            continue
        converted = convert(arrays, source, target, allow_folding=result is Exactness.FOLDED, **options)
        holds = HOLDS[target]
        held = gru if case.biased or holds.without_bias else gru.with_zero_biases()
        if result is Exactness.FOLDED:
            biases = holds.after if gru.reset_after else holds.before
            assert biases is not None
            held = folded(gru, biases)
        assert converted.exactness is result
        assert same_bits(converted.arrays, PACKED[target](held))
        assert all(values.flags.c_contiguous for values in converted.arrays.values())
        back = convert(converted.arrays, target, source, **options)
        assert back.exactness is Exactness.EXACT
        assert same_bits(back.arrays, PACKED[source](held))
    assert judged
