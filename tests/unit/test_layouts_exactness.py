"""Bits, strides, byte orders and dtypes of converted weights, and what is said of wrong arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from gruspec.errors import GruspecError, RefusedConversion, SpecError, SpecTypeError, UsageError
from gruspec.layouts import LAYOUTS, Cell, Exactness, Form, Layout, Sizes, Weights, convert, plan, recognise, unpack
from gruspec.layouts.copying import copy
from gruspec.layouts.layout import SUMMED_BIAS
from gruspec.layouts.shapes import possible_sizes
from gruspec.layouts.shorthand import columns, vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

KERAS = LAYOUTS["keras"]
DTYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}
QUIET = {"float16": 0x7E55, "bfloat16": 0x7FD5, "float32": 0xFFC12345, "float64": 0xFFF8000012345678}
SIGNALLING = {"float16": 0xFC01, "bfloat16": 0xFF81, "float32": 0x7F800001, "float64": 0x7FF0000000000001}
AFTER = ("torch", "torch-cell", "cudnn-gru", "cudnn", "paddle", "onnx", "webnn-zrn", "webnn-rzn", "mxnet")
BEFORE = ("haiku", "tf-gru-cell", "tf-gru-block-cell", "onnx", "openvino", "onednn", "webnn-zrn")


def bits(values: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = values.view(np.dtype(f"u{values.itemsize}"))
    return found


def any_bits(dtype: str, *shape: int, seed: int = 0) -> NDArray[Any]:
    """Return values of any bits; both kinds of NaN, both zeros and an infinity are among them."""
    kind = DTYPES[dtype]
    drawn = np.random.default_rng([seed, *shape]).integers(0, 256, (*shape, kind.itemsize), dtype=np.uint8)
    values: NDArray[Any] = np.ascontiguousarray(drawn).view(kind)[..., 0]
    sign = 1 << (8 * kind.itemsize - 1)
    bits(values).flat[:5] = QUIET[dtype], SIGNALLING[dtype], sign, 0, bits(np.array([np.inf], kind))[0]
    return values


def layer(dtype: str = "float32", *, reset_after: bool = True, draw: Callable[..., Any] = any_bits) -> Arrays:
    """Return a Keras layer of 3 inputs and 4 units."""
    return {
        "kernel": draw(dtype, 3, 12),
        "recurrent_kernel": draw(dtype, 4, 12),
        "bias": draw(dtype, 2, 12) if reset_after else draw(dtype, 12),
    }


def numbers(dtype: str, *shape: int) -> NDArray[Any]:
    return np.random.default_rng([7, *shape]).standard_normal(shape).astype(DTYPES[dtype])


def same_bits(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and np.array_equal(bits(one[name]), bits(other[name])) for name in one
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("reset_after", "target"), [(True, name) for name in AFTER] + [(False, name) for name in BEFORE]
)
def test_every_bit_comes_back(dtype: str, target: str, *, reset_after: bool) -> None:
    arrays = layer(dtype, reset_after=reset_after)
    there = convert(arrays, "keras", target)
    assert there.exactness is Exactness.EXACT
    back = convert(there.arrays, target, "keras", reset_after=reset_after, units=4)
    assert same_bits(back.arrays, arrays)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("target", ["torch", "cudnn-gru", "onnx", "cudnn"])
def test_strides_and_byte_order_do_not_matter(dtype: str, target: str) -> None:
    arrays = layer(dtype)
    expected = convert(arrays, "keras", target).arrays
    swapped = np.dtype(dtype).newbyteorder()
    same_values: list[Any] = [
        {name: np.asfortranarray(values) for name, values in arrays.items()},
        {name: np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1] for name, values in arrays.items()},
        {name: np.repeat(values, 2, axis=1)[:, ::2] for name, values in arrays.items()},
        {name: values.byteswap().view(swapped) for name, values in arrays.items()},
    ]
    for changed in same_values:
        assert same_bits(convert(changed, "keras", target).arrays, expected)


def test_nothing_is_shared_and_nothing_changed() -> None:
    arrays = layer()
    before = {name: values.copy() for name, values in arrays.items()}
    for values in arrays.values():
        values.flags.writeable = False
    converted = convert(arrays, "keras", "keras").arrays
    for values in converted.values():
        values[...] = 0
    assert same_bits(arrays, before)


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_a_dtype_is_kept(dtype: str | None) -> None:
    converted = convert(layer(), "keras", "torch", dtype=dtype)
    assert converted.exactness is Exactness.EXACT
    assert {values.dtype for values in converted.arrays.values()} == {DTYPES["float32"]}


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("float16", "float32"), ("bfloat16", "float32"), ("float16", "float64"), ("float32", "float64")],
)
def test_widening_is_exact_and_back_too(narrow: str, wide: str) -> None:
    arrays = layer(narrow, draw=numbers)
    quiet = 0x7FC0 if narrow == "bfloat16" else QUIET[narrow]
    bits(arrays["kernel"])[0, :3] = quiet, 1, 1 << (8 * DTYPES[narrow].itemsize - 1)
    wider = convert(arrays, "keras", "torch", dtype=wide)
    assert wider.exactness is Exactness.EXACT
    assert {values.dtype.name for values in wider.arrays.values()} == {wide}
    narrower = convert(wider.arrays, "torch", "keras", dtype=narrow)
    assert narrower.exactness is Exactness.EXACT
    assert same_bits(narrower.arrays, arrays)


@pytest.mark.parametrize(
    ("narrow", "wide", "nan"),
    [("float32", "float64", SIGNALLING["float32"]), ("bfloat16", "float32", QUIET["bfloat16"])],
)
def test_a_nan_that_casts_do_not_keep_is_told(narrow: str, wide: str, nan: int) -> None:
    """A signalling NaN becomes quiet, and ml_dtypes keeps no payload of a NaN in bfloat16."""
    arrays = layer(narrow, draw=numbers)
    bits(arrays["bias"])[0, 0] = nan
    assert convert(arrays, "keras", "torch", dtype=wide).exactness is Exactness.ROUNDED


@pytest.mark.parametrize(("wide", "narrow"), [("float32", "float16"), ("float64", "float32"), ("float16", "bfloat16")])
@pytest.mark.parametrize("place", ["kernel", "recurrent_kernel", "bias"])
def test_narrowing_rounds_to_nearest_and_says_so(wide: str, narrow: str, place: str) -> None:
    arrays = {name: np.round(values * 8) for name, values in layer(wide, draw=numbers).items()}
    assert convert(arrays, "keras", "torch", dtype=narrow).exactness is Exactness.EXACT
    arrays[place][-1, -1] = 1 + np.finfo(DTYPES[wide]).eps
    rounded = convert(arrays, "keras", "torch", dtype=narrow)
    assert rounded.exactness is Exactness.ROUNDED
    assert rounded.folding is None
    expected = {
        name: values.astype(DTYPES[narrow]) for name, values in convert(arrays, "keras", "torch").arrays.items()
    }
    assert same_bits(rounded.arrays, expected)


def test_a_value_that_would_be_infinite_is_refused() -> None:
    arrays = layer(draw=numbers)
    arrays["recurrent_kernel"][3, 11] = 70000
    with pytest.raises(SpecTypeError, match=r"dtype='float16': recurrent_kernel of gate h of layer 0 holds 70000\.0"):
        convert(arrays, "keras", "torch", dtype="float16")
    arrays["recurrent_kernel"][3, 11] = -np.inf
    assert np.isneginf(convert(arrays, "keras", "torch", dtype="float16").arrays["weight_hh_l0"]).sum() == 1


def biases(dtype: str, first: float, second: float) -> Arrays:
    arrays = layer(dtype, draw=numbers)
    arrays["bias"] = np.zeros((2, 12), DTYPES[dtype])
    arrays["bias"][:, 5] = first, second
    return arrays


def test_a_sum_that_overflows_is_refused() -> None:
    with pytest.raises(RefusedConversion, match="its sum with the input bias overflows float16 at unit 1") as refused:
        convert(biases("float16", 60000, 60000), "keras", "linen", allow_folding=True)
    assert not refused.value.foldable
    with pytest.raises(SpecTypeError, match=r"bias of gate r of layer 0 holds 80000\.0"):
        convert(biases("float32", 40000, 40000), "keras", "linen", allow_folding=True, dtype="float16")


def test_a_sum_is_rounded_in_the_dtype_of_the_weights_and_signs_of_zeros_stay() -> None:
    arrays = biases("float32", 1, 2.0**-24)
    arrays["bias"][0, :4] = -0.0
    folded = convert(arrays, "keras", "equinox", allow_folding=True, dtype="float64")
    assert folded.exactness is Exactness.FOLDED
    assert folded.arrays["bias"][1] == 1
    assert np.signbit(folded.arrays["bias"][4:8]).all()
    assert folded.folding is not None
    assert folded.folding.largest_rounding == 2.0**-24


def test_folding_and_rounding_are_both_told() -> None:
    folded = convert(biases("float32", 1, 1), "keras", "equinox", allow_folding=True, dtype="float16")
    assert folded.exactness is Exactness.FOLDED
    assert any("rounded to float16 too" in note for note in folded.notes)


@pytest.mark.parametrize("allow_folding", [False, True])
def test_the_reset_gate_scales_one_bias_of_the_candidate_only(*, allow_folding: bool) -> None:
    """Even a layout that says that its bias is the sum cannot hold a recurrent bias that the reset gate scales."""
    summed = Form((*columns("W", "U", "zrh"), vector("b", (SUMMED_BIAS, "zrh"))), (True,))
    mine = Layout("mine", "a GRU with one bias", (summed,), source="this test")
    arrays = layer(draw=numbers)
    with pytest.raises(RefusedConversion, match="the reset gate, which scales it, would not scale it") as refused:
        convert(arrays, "keras", mine, allow_folding=allow_folding)
    assert not refused.value.foldable
    arrays["bias"][1, 8:] = 0
    assert convert(arrays, "keras", mine, allow_folding=True).exactness is Exactness.FOLDED


def mistake(value: object) -> Any:
    """Return what no caller may give."""
    return value


class Foreign:
    """A tensor that NumPy cannot take: torch's raise a RuntimeError for a parameter, a TypeError for bfloat16."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("cannot")


WRONG: dict[str, tuple[Callable[[Arrays], Any], type[GruspecError], str]] = {
    "kernel": (
        lambda a: unpack(a | {"kernel": a["kernel"][:, :11]}, KERAS),
        SpecError,
        r"^kernel \(3, 11\): in layout keras, expected kernel \(3, 12\), as the other arrays say",
    ),
    "bias": (
        lambda a: unpack(a | {"bias": a["bias"][:, :11]}, KERAS),
        SpecError,
        r"^bias \(2, 11\): in layout keras, expected bias \(2, 12\)",
    ),
    "axes": (
        lambda a: unpack(a | {"kernel": a["kernel"][0]}, KERAS),
        SpecError,
        r"^kernel \(12,\): expected 2 axes in layout keras",
    ),
    "no inputs": (lambda a: unpack(a | {"kernel": a["kernel"][:0]}, KERAS), SpecError, r"^kernel \(0, 12\): an axis"),
    "no units": (
        lambda a: unpack({name: values[..., :0] for name, values in a.items()}, KERAS),
        SpecError,
        "an axis of length 0; a GRU has at least one unit and one input",
    ),
    "names": (
        lambda a: unpack({"weird\n": a["kernel"]}, KERAS),
        SpecError,
        r"layout keras: weird\\n \(3, 12\); it has",
    ),
    "nothing": (lambda _: unpack({}, KERAS), SpecError, "these are not arrays of layout keras: none; it has kernel"),
    "units": (
        lambda a: unpack(a, KERAS, units=5),
        SpecError,
        r"kernel \(3, 12\).*in layout keras with units=5, expected bias \(2, 15\), kernel \(3, 15\)",
    ),
    "zero units": (lambda a: unpack(a, KERAS, units=0), UsageError, "units=0: expected a whole number from 1"),
    "true layers": (lambda a: unpack(a, KERAS, layers=True), UsageError, "layers=True: expected a whole number from 1"),
    "layers": (lambda a: unpack(a, KERAS, layers=2), UsageError, "layers=2: layout keras holds one"),
    "directions": (lambda a: unpack(a, KERAS, directions=2), UsageError, "directions=2: layout keras holds one"),
    "three directions": (
        lambda a: unpack(a, KERAS, directions=3),
        UsageError,
        "directions=3: expected a whole number from 1 to 2",
    ),
    "other layers": (
        lambda a: unpack(convert(a, "keras", "torch").arrays, LAYOUTS["torch"], layers=2),
        SpecError,
        "these are not arrays of layout torch with layers=2: bias_hh_l0",
    ),
    "dtypes": (
        lambda a: unpack(a | {"bias": a["bias"].astype(np.float64)}, KERAS),
        SpecTypeError,
        "kernel float32, recurrent_kernel float32, bias float64: expected one dtype for all",
    ),
    "integers": (
        lambda a: unpack({name: np.zeros(values.shape, np.int32) for name, values in a.items()}, KERAS),
        SpecTypeError,
        "of float16, bfloat16, float32, float64",
    ),
    "variant": (lambda a: unpack(a, KERAS, reset_after=False), SpecError, "reset_after=False: arrays of layout keras"),
    "no variant": (
        lambda a: unpack({name: a[name] for name in ("kernel", "recurrent_kernel")}, KERAS),
        UsageError,
        "reset_after=None: these arrays of layout keras do not tell the variant",
    ),
    "one vector": (
        lambda _: unpack({"params": np.ones(108)}, LAYOUTS["cudnn"]),
        UsageError,
        r"units=None: one vector \(params \(108,\)\)",
    ),
    "vector": (
        lambda _: unpack({"params": np.ones(109)}, LAYOUTS["cudnn"], units=4),
        SpecError,
        r"layout cudnn with units=4: params \(109,\)",
    ),
    "source": (lambda a: convert(a, "kears", "torch"), UsageError, "kears: no such layout; did you mean keras?"),
    "dtype": (
        lambda a: convert(a, "keras", "torch", dtype="int8"),
        UsageError,
        "dtype='int8': expected one of float16, bfloat16, float32, float64",
    ),
    "activation": (
        lambda a: convert(convert(a, "keras", "torch").arrays, "torch", "keras", activation="relu"),
        UsageError,
        r"activation='relu': torch\.nn\.GRU computes with tanh",
    ),
    "unknown activation": (
        lambda a: convert(a, "keras", "torch", activation="Tnah"),
        UsageError,
        "activation='Tnah': no such activation; did you mean tanh?",
    ),
    "unknown recurrent activation": (
        lambda a: convert(a, "keras", "onnx", recurrent_activation="nonsense"),
        UsageError,
        "recurrent_activation='nonsense': no such activation; known are tanh, sigmoid",
    ),
    "no activation": (
        lambda a: convert(a, "keras", "torch", activation=mistake(np.tanh)),
        SpecTypeError,
        "activation=<ufunc 'tanh'>: expected a name, as 'tanh'",
    ),
    "no layout": (
        lambda a: convert(a, mistake(None), "torch"),
        SpecTypeError,
        "None: expected the name of a layout; there are keras, torch",
    ),
    "a word for a variant": (
        lambda a: unpack(a, KERAS, reset_after=mistake("yes")),
        SpecTypeError,
        "reset_after='yes': expected True, False, or None",
    ),
    "no dtype": (
        lambda a: convert(a, "keras", "torch", dtype="no dtype at all"),
        UsageError,
        "dtype='no dtype at all': expected one of",
    ),
    "a dtype of another library": (
        lambda a: convert(a, "keras", "torch", dtype=mistake(len)),
        UsageError,
        "dtype=<built-in function len>: expected one of float16, bfloat16",
    ),
    "a list": (
        lambda a: unpack(mistake(list(a.values())), KERAS),
        SpecTypeError,
        r"arrays=list: expected a dict of arrays by name, kernel, .* dict\(zip\(.*layer.get_weights\(\)\)\)$",
    ),
    "a module": (
        lambda _: unpack(mistake(np), KERAS),
        SpecTypeError,
        r"arrays=module: expected a dict of arrays by name.* in module.state_dict\(\).items\(\)",
    ),
    "a number for a name": (
        lambda a: unpack(a | {mistake(3): a["bias"]}, KERAS),
        SpecTypeError,
        "arrays: 3 is no name",
    ),
    "a parameter": (
        lambda a: unpack(a | {"bias": mistake(Foreign("float32"))}, KERAS),
        SpecTypeError,
        r"^bias: NumPy cannot take this Foreign of float32; give an array, as tensor.detach\(\).cpu\(\).numpy\(\)",
    ),
    "a bfloat16 tensor": (
        lambda a: unpack(a | {"bias": mistake(Foreign("bfloat16"))}, KERAS),
        SpecTypeError,
        r"^bias: NumPy cannot take this Foreign of bfloat16; .*view\(torch.int16\).*view\(ml_dtypes.bfloat16\)$",
    ),
    "input sizes": (
        lambda _: unpack(
            {"weights_layer": np.ones((2, 1, 3, 3, 4)), "weights_iter": np.ones((2, 1, 4, 3, 4))},
            LAYOUTS["onednn"],
            reset_after=True,
        ),
        SpecError,
        "these are not arrays of layout onednn",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays_are_named(case: str) -> None:
    call, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        call(layer(draw=numbers))


def test_many_names_and_huge_axes_are_answered_at_once() -> None:
    torch = LAYOUTS["torch"]
    names = {f"{part}_l{number}": (9, 9) for number in range(5000) for part in ("weight_ih", "weight_hh")}
    with pytest.raises(SpecError, match=r"these are not arrays of layout torch: .* and 9992 more"):
        recognise(torch, names)
    huge = {"kernel": (2**62, 3 * 2**60), "recurrent_kernel": (2**60, 3 * 2**60)}
    assert recognise(KERAS, huge, reset_after=True)[1] == Sizes(2**62, 2**60)


def test_cells_are_not_stacked_in_the_arrays_of_one() -> None:
    """A kernel (3 + 4, 12) is not that of two layers."""
    shapes = {"kernel": (7, 12), "recurrent_kernel": (8, 12), "bias": (24,)}
    assert not list(possible_sizes(KERAS, KERAS.forms[0], shapes, layers=2))
    assert not list(possible_sizes(KERAS, KERAS.forms[0], shapes, directions=2))


def test_one_note_tells_the_activations() -> None:
    notes = convert(layer(), "keras", "torch").notes
    told = [note for note in notes if "activation" in note]
    computes = "torch.nn.GRU computes with activation tanh and recurrent_activation sigmoid"
    assert told == [f"{computes}; the arrays do not tell those of the source"]
    assert not convert(layer(), "keras", "torch", activation="tanh", recurrent_activation="sigmoid").notes
    assert not convert(convert(layer(), "keras", "torch").arrays, "torch", "mxnet").notes
    (opaque,) = convert(convert(layer(), "keras", "torch").arrays, "torch", "cudnn").notes
    assert "cudnnGetRNNWeightParams" in opaque


@pytest.mark.parametrize("target", ["torch", "paddle", "webnn-zrn", "coreml"])
def test_zero_biases_stay_biases(target: str) -> None:
    arrays = layer(draw=numbers)
    arrays["bias"] = np.zeros((2, 12), np.float32)
    candidate = convert(arrays, "keras", "nnx").arrays
    assert convert(candidate, "nnx", target).arrays.keys() == convert(arrays, "keras", target).arrays.keys()
    assert any("bias" in name for name in convert(candidate, "nnx", target).arrays)


@pytest.mark.parametrize(
    ("argument", "value", "could"),
    [
        ("activation", "relu", {"keras", "onnx", "webnn-zrn", "webnn-rzn"}),
        ("recurrent_activation", "hard_sigmoid", {"keras", "onnx"}),
    ],
)
def test_an_activation_that_the_target_has_not_is_refused(argument: str, value: str, could: set[str]) -> None:
    options: dict[str, Any] = {argument: value}
    with pytest.raises(RefusedConversion, match=f"^torch cannot hold these weights: {argument}='{value}'") as refused:
        convert(layer(), "keras", "torch", **options)
    assert set(refused.value.could) == could


def test_zeros_that_were_written_are_told() -> None:
    bare = {name: values for name, values in layer().items() if name != "bias"}
    assert "there is no bias, and linen always has one: zeros were written" in (
        convert(bare, "keras", "linen", reset_after=True).notes
    )
    notes = convert(layer(reset_after=False), "keras", "onnx").notes
    assert any(
        note.startswith("there is no recurrent bias of the candidate, recurrent bias of the reset") for note in notes
    )


def test_a_cell_is_a_gru_of_its_own() -> None:
    shapes = {
        f"{part}_l{number}{ending}": shape
        for number, inputs in enumerate((3, 8))
        for ending in ("", "_reverse")
        for part, shape in (("weight_ih", (12, inputs)), ("weight_hh", (12, 4)), ("bias_ih", (12,)), ("bias_hh", (12,)))
    }
    arrays = {name: any_bits("float32", *shape, seed=number) for number, (name, shape) in enumerate(shapes.items())}
    cell = unpack(arrays, LAYOUTS["torch"]).cell(Cell(1, 1))
    assert isinstance(cell, Weights)
    assert cell.sizes == Sizes(8, 4)
    planned = plan(cell, LAYOUTS["torch"])
    written = {name: np.empty(shape, planned.dtype) for name, shape in planned.shapes.items()}
    planned.write(written)
    assert same_bits(written, {name: arrays[name.replace("_l0", "_l1_reverse")] for name in written})


@pytest.mark.parametrize("shape", [(64, 64), (300, 700), (257, 255), (5, 1000), (1000, 63)])
@pytest.mark.parametrize(("into", "out_of"), [("C", "F"), ("F", "C"), ("C", "C"), ("F", "F")])
def test_copies_are_whole(shape: tuple[int, int], into: Any, out_of: Any) -> None:
    source = np.array(any_bits("float32", *shape), order=out_of)
    target = np.zeros(shape, np.float32, order=into)
    copy(target, source)
    assert np.array_equal(bits(target), bits(source))
    wider = np.zeros(shape, np.float64, order=into)
    copy(wider, numbers("float32", *shape).copy(order=out_of))
    assert np.array_equal(wider, numbers("float32", *shape))


@pytest.mark.parametrize("dtype", ["float16", np.float16, np.dtype("float16")])
def test_a_dtype_can_be_what_numpy_takes_for_one(dtype: Any) -> None:
    converted = convert(layer(draw=numbers), "keras", "torch", dtype=dtype)
    assert {values.dtype for values in converted.arrays.values()} == {np.dtype(np.float16)}
