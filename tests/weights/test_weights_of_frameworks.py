"""Every layout against its framework: weights that it made, read, converted, and run by whoever else has a GRU."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from certified_cells import expected_of, judge
from framework_weights import BIASES, BOTH, NONE, Wanted, form_of, made
from native_grus import ABSENT, PRESENT, REGISTERED, declared

from gruspec.errors import RefusedConversion, Unsupported
from gruspec.layouts import LAYOUTS, Cell, Conversion, Exactness, Sizes, convert, unpack
from gruspec.layouts.casting import named_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.cases import Expected
    from gruspec.layouts import Weights

    Array = NDArray[Any]

ONE = Sizes(input_size=3, units=4)
BATCH, TIMESTEPS = 2, 4
CELL = Cell(0, 0)

SUMS_GATES = {"linen", "equinox", "mlx", "openvino", "onednn"}
"""Who adds up both biases of the update and the reset gate, in the variant after."""
ONE_CANDIDATE_BIAS = {"nnx"}
"""Who has no recurrent bias of the candidate."""
ONE_BIAS_BEFORE = {"keras", "tf-gru-cell", "tf-gru-block-cell", "haiku", "openvino", "onednn"}
"""Who has one bias for each gate in the variant before."""
NEEDS_GPU = {"cudnn-gru", "cudnn"}
NEEDS_BIAS = {"paddle", "onednn"}
"""Who cannot run without bias, though the layout has a form for it."""


class Question(NamedTuple):
    """Weights that a framework made, what is asked of it, and what is certified of the answer."""

    arrays: dict[str, Array]
    weights: Weights
    inputs: Array
    initial_state: Array
    expected: Mapping[str, Expected]


@cache
def question(wanted: Wanted, dtype: str = "float32") -> Question:
    arrays = {name: _cast(values, dtype) for name, values in made(wanted).items()}
    weights = unpack(arrays, LAYOUTS[wanted.layout], reset_after=wanted.reset_after, units=ONE.units)
    rng = np.random.default_rng(1)
    timesteps = TIMESTEPS if weights.dtype.itemsize > 2 else 1
    inputs = _cast(rng.normal(size=(BATCH, timesteps, ONE.input_size)), dtype)
    state = _cast(rng.uniform(-1, 1, (1, BATCH, ONE.units)), dtype)
    return Question(arrays, weights, inputs, state, expected_of(weights, CELL, inputs, state[0]))


def _cast(values: Array, dtype: str) -> Array:
    """Return values in a dtype; those for a half precision are multiples of 2**-10, of which none is subnormal."""
    if dtype in ("float16", "bfloat16"):
        values = np.round(values * 1024) / 1024
    return values.astype(named_dtype(dtype))


def run(layout: str, arrays: Mapping[str, Array], asked: Question) -> None:
    """Run the framework of a layout and judge what it computes; skip what it is known not to compute here."""
    try:
        result = declared(layout).run(
            arrays, asked.inputs, reset_after=asked.weights.reset_after, initial_state=asked.initial_state
        )
    except Unsupported as reason:
        if layout in NEEDS_GPU or (layout in NEEDS_BIAS and not asked.weights.use_bias):
            pytest.skip(str(reason))
        raise
    judge(result, asked.expected, cell=CELL, directions=1, dtype=asked.weights.dtype.name)


MADE = [
    wanted
    for layout in PRESENT
    for reset_after in LAYOUTS[layout].reset_after
    for biases in BIASES
    if form_of(wanted := Wanted(layout, reset_after, biases, ONE))
]


@pytest.mark.parametrize("layout", ABSENT)
def test_absent_framework(layout: str) -> None:
    pytest.skip(ABSENT[layout])


@pytest.mark.parametrize("wanted", MADE, ids=str)
def test_what_a_framework_made_is_read_right(wanted: Wanted) -> None:
    asked = question(wanted)
    run(wanted.layout, asked.arrays, asked)


@pytest.mark.parametrize("target", PRESENT)
@pytest.mark.parametrize("wanted", MADE, ids=str)
def test_what_a_framework_made_is_converted_right(wanted: Wanted, target: str) -> None:
    asked = question(wanted)
    converted = conversion(asked, wanted.layout, target)
    assert (None if converted is None else converted.exactness) == expected_exactness(wanted, target)
    if converted is None:
        return
    if converted.exactness is Exactness.EXACT:
        back = convert(converted.arrays, target, wanted.layout, reset_after=wanted.reset_after, units=ONE.units)
        assert_same_bits(back.arrays, asked.arrays)
    else:
        asked = folded(asked, converted)
    run(target, converted.arrays, asked)


def conversion(asked: Question, source: str, target: str) -> Conversion | None:
    """Convert exactly if possible, else folded; None if refused."""
    for allow_folding in (False, True):
        try:
            return convert(
                asked.arrays,
                source,
                target,
                reset_after=asked.weights.reset_after,
                units=ONE.units,
                allow_folding=allow_folding,
            )
        except RefusedConversion as refusal:
            if not refusal.foldable:
                return None
    raise AssertionError("a conversion that is refused as foldable is not folded")


def expected_exactness(wanted: Wanted, target: str) -> Exactness | None:
    if wanted.reset_after not in LAYOUTS[target].reset_after:
        return None
    if wanted.biases != BOTH:
        return Exactness.EXACT
    if wanted.reset_after and target in ONE_CANDIDATE_BIAS:
        return None
    one_bias = SUMS_GATES if wanted.reset_after else ONE_BIAS_BEFORE
    return Exactness.FOLDED if target in one_bias and wanted.layout not in one_bias else Exactness.EXACT


def folded(asked: Question, converted: Conversion) -> Question:
    """Return what is to be expected of folded weights, which is within the bound that the conversion states."""
    weights = unpack(converted.arrays, LAYOUTS[converted.target], reset_after=converted.reset_after)
    expected = expected_of(weights, CELL, asked.inputs, asked.initial_state[0])
    for name, exact in asked.expected.items():
        value = expected[name].value
        assert value is not None
        assert exact.value is not None
        assert converted.folding is not None
        assert np.max(np.abs(value - exact.value)) <= converted.folding.bound(TIMESTEPS)
    return asked._replace(weights=weights, expected=expected)


def assert_same_bits(computed: Mapping[str, Array], original: Mapping[str, Array]) -> None:
    """Compare every array; those that were added stand for biases that were not there, and are zeros."""
    for name, values in original.items():
        assert computed[name].shape == values.shape
        assert computed[name].tobytes() == np.ascontiguousarray(values).tobytes(), name
    for name in set(computed) - set(original):
        assert not computed[name].tobytes().strip(b"\0"), name


@pytest.mark.parametrize(
    ("wanted", "dtype"),
    [
        (next(wanted for wanted in MADE if wanted.layout == layout and wanted.biases != NONE), dtype)
        for layout in PRESENT
        for dtype in declared(layout).dtypes
        if dtype != "float32"
    ],
    ids=str,
)
def test_every_declared_dtype_is_computed_within_its_bound(wanted: Wanted, dtype: str) -> None:
    asked = question(wanted, dtype)
    run(wanted.layout, asked.arrays, asked)


def test_every_layout_with_a_gru_that_runs_somewhere_has_a_native() -> None:
    assert set(LAYOUTS) - set(REGISTERED) == {"webnn-zrn", "webnn-rzn", "coreml"}
