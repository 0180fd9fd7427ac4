"""Weights in every known layout are named from recorded pairs, and nothing is named where nothing matches."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from itertools import permutations
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

from gruspec.cli import main
from gruspec.conformance.arrays import pack
from gruspec.diagnosis import recorded as files
from gruspec.diagnosis.origin import ONE_SIXTH, Origin, find_origin
from gruspec.diagnosis.recorded import read_arrays
from gruspec.errors import CertificationError, IntegrityError, SpecError
from gruspec.faults import CATALOGUE, FaultyBackend
from gruspec.reference import evaluate
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray[Any, np.dtype[Any]]
    Arrays = dict[str, Array]

SIZE, UNITS, BATCH, TIMESTEPS = 3, 4, 2, 5
GATES = "zrh"


class Gates:
    """Blocks of a GRU: kernels ``w``, recurrent kernels ``u``, biases ``b`` and recurrent biases ``c``."""

    def __init__(self, size: int = SIZE, units: int = UNITS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        shapes = {"w": (size, units), "u": (units, units), "b": (units,), "c": (units,)}
        for name, shape in shapes.items():
            setattr(self, name, {gate: rng.integers(-96, 97, shape) / 64 for gate in GATES})
        self.w: Arrays
        self.u: Arrays
        self.b: Arrays
        self.c: Arrays
        self.size, self.units = size, units

    def joined(self, blocks: Arrays, order: str = "zrh") -> Array:
        return np.concatenate([blocks[gate] for gate in order], axis=-1)


def pairs(
    gates: Gates,
    *,
    after: bool = True,
    bias: bool = True,
    recurrent: str = GATES,
    activation: str = "sigmoid",
    complement: bool = False,
    batch: int = BATCH,
    timesteps: int = TIMESTEPS,
    fault: str = "",
    dtype: str = "float32",
    **options: Any,
) -> Arrays:
    """Record what the reference computes; ``recurrent`` names the gates that have a recurrent bias."""
    sign = {"z": -1.0 if complement else 1.0, "r": 1.0, "h": 1.0}
    second = {gate: gates.c[gate] * (gate in recurrent) for gate in GATES}
    signed = [{gate: sign[gate] * part[gate] for gate in GATES} for part in (gates.w, gates.u, gates.b, second)]
    rows = np.stack([gates.joined(signed[2]), gates.joined(signed[3])])
    spec = GRUSpec(
        units=gates.units,
        reset_after=after,
        use_bias=bias,
        recurrent_activation=activation,
        return_state=True,
        **({"return_sequences": True} | options),
    )
    weights = {"kernel": gates.joined(signed[0]), "recurrent_kernel": gates.joined(signed[1])}
    if bias:
        weights["bias"] = rows if after else rows.sum(axis=0)
    inputs = np.random.default_rng(1).integers(-128, 129, (batch, timesteps, gates.size)) / 64
    inputs = inputs.swapaxes(0, 1) if spec.time_major else inputs
    if fault:
        layer = FaultyBackend(CATALOGUE[fault]).prepare(spec, weights, dtype="float64", device="cpu")
        outputs = layer(inputs).outputs
    else:
        outputs, _ = evaluate(spec, weights, inputs)
    return {"inputs": inputs.astype(dtype), "outputs": outputs.astype(dtype)}


def keras(gates: Gates, *, after: bool, order: str = "zrh") -> Arrays:
    kernels = {"kernel": gates.joined(gates.w, order), "recurrent": gates.joined(gates.u, order)}
    first, second = gates.joined(gates.b, order), gates.joined(gates.c, order)
    return kernels | {"bias": np.stack([first, second]) if after else first}


def rows(gates: Gates, order: str) -> Arrays:
    return {"W": gates.joined(gates.w, order).T, "R": gates.joined(gates.u, order).T}


def torch(gates: Gates, order: str = "rzh") -> Arrays:
    return rows(gates, order) | {"b_ih": gates.joined(gates.b, order), "b_hh": gates.joined(gates.c, order)}


def cudnn_gru(gates: Gates) -> Arrays:
    memory = {gate: block.T.reshape(block.shape) for gate, block in gates.w.items()}
    transposed = {gate: block.T for gate, block in gates.u.items()}
    bias = np.concatenate([gates.joined(gates.b), gates.joined(gates.c)])
    return {"kernel": gates.joined(memory), "recurrent_kernel": gates.joined(transposed), "bias": bias}


def cudnn(gates: Gates) -> Arrays:
    blocks = [part[gate].T.ravel() for part in (gates.w, gates.u) for gate in "rzh"]
    return {"params": np.concatenate([*blocks, gates.joined(gates.b, "rzh"), gates.joined(gates.c, "rzh")])}


def tf_gru_cell(gates: Gates) -> Arrays:
    stacked = {gate: np.concatenate([gates.w[gate], gates.u[gate]]) for gate in GATES}
    return {
        "gates/kernel": gates.joined(stacked, "rz"),
        "candidate/kernel": stacked["h"],
        "gates/bias": gates.joined(gates.b, "rz"),
        "candidate/bias": gates.b["h"],
    }


def linen(gates: Gates, names: str = "zrn") -> Arrays:
    found: Arrays = {}
    for gate, name in zip(GATES, names, strict=True):
        found |= {f"i{name}.kernel": gates.w[gate], f"h{name}.kernel": gates.u[gate], f"i{name}.bias": gates.b[gate]}
    return found | {f"h{names[2]}.bias": gates.c["h"]}


def nnx(gates: Gates) -> Arrays:
    first = {"i": gates.joined(gates.w, "rzh"), "h": gates.joined(gates.u, "rzh")}
    return first | {"i.bias": gates.joined(gates.b, "rzh")}


def equinox(gates: Gates) -> Arrays:
    return rows(gates, "rzh") | {"bias": gates.joined(gates.b, "rzh"), "bias_n": gates.c["h"]}


def onnx(gates: Gates) -> Arrays:
    bias = np.concatenate([gates.joined(gates.b), gates.joined(gates.c)])
    return {name: array[None] for name, array in (rows(gates, "zrh") | {"B": bias}).items()}


def openvino(gates: Gates, *, after: bool) -> Arrays:
    summed = [gates.b[gate] + gates.c[gate] for gate in GATES]
    bias = [*summed[:2], gates.b["h"], gates.c["h"]] if after else summed
    return {name: array[None] for name, array in (rows(gates, "zrh") | {"B": np.concatenate(bias)}).items()}


ROWS_RZH = {"torch", "torch-cell", "paddle", "webnn-rzn"}
LAYOUTS: dict[str, tuple[Callable[[Gates], Arrays], dict[str, Any], set[str], tuple[str, ...]]] = {
    "keras-before": (
        lambda g: keras(g, after=False),
        {"after": False, "recurrent": "", "activation": "hard_sigmoid"},
        {"keras"},
        ("whole", "columns", "gate-by-gate", "zrh", "3u"),
    ),
    "keras-after": (
        lambda g: keras(g, after=True),
        {},
        {"keras"},
        ("whole", "columns", "gate-by-gate", "zrh", "2x3u"),
    ),
    "cudnn-gru": (cudnn_gru, {}, {"cudnn-gru"}, ("whole", "columns", "memory-transposed", "zrh", "6u")),
    "cudnn": (cudnn, {}, {"cudnn", "mxnet"}, ("flat", "rows", "gate-by-gate", "rzh", "flat-6u")),
    "tf-gru-cell": (
        tf_gru_cell,
        {"after": False, "recurrent": ""},
        {"tf-gru-cell", "tf-gru-block-cell"},
        ("stacked", "columns", "gate-by-gate", "rzh", "2u+u"),
    ),
    "torch": (torch, {}, ROWS_RZH, ("whole", "rows", "gate-by-gate", "rzh", "3u+3u")),
    "linen": (
        linen,
        {"recurrent": "h", "activation": "hard_sigmoid"},
        {"linen"},
        ("per-gate", "columns", "gate-by-gate", "", "u+u+u+u"),
    ),
    "nnx": (nnx, {"recurrent": ""}, {"nnx"}, ("whole", "columns", "gate-by-gate", "rzh", "3u")),
    "haiku": (
        lambda g: keras(g, after=False),
        {"after": False, "recurrent": "", "complement": True},
        {"haiku"},
        ("whole", "columns", "gate-by-gate", "zrh", "3u"),
    ),
    "equinox": (equinox, {"recurrent": "h"}, {"equinox", "mlx"}, ("whole", "rows", "gate-by-gate", "rzh", "3u+u")),
    "onnx-before": (onnx, {"after": False}, {"onnx"}, ("whole", "rows", "gate-by-gate", "zrh", "6u")),
    "onnx-after": (
        onnx,
        {"activation": "hard_sigmoid"},
        {"onnx"},
        ("whole", "rows", "gate-by-gate", "zrh", "6u"),
    ),
    "openvino-before": (
        lambda g: openvino(g, after=False),
        {"after": False},
        {"openvino"},
        ("whole", "rows", "gate-by-gate", "zrh", "3u"),
    ),
    "openvino-after": (
        lambda g: openvino(g, after=True),
        {},
        {"openvino"},
        ("whole", "rows", "gate-by-gate", "zrh", "4u"),
    ),
    "webnn-zrn": (
        lambda g: torch(g, "zrh"),
        {"after": False},
        {"webnn-zrn"},
        ("whole", "rows", "gate-by-gate", "zrh", "3u+3u"),
    ),
    "webnn-rzn-before": (
        torch,
        {"after": False},
        {"webnn-rzn"},
        ("whole", "rows", "gate-by-gate", "rzh", "3u+3u"),
    ),
    "torch-without-bias": (
        lambda g: rows(g, "rzh"),
        {"bias": False},
        {*ROWS_RZH, "equinox", "mlx"},
        ("whole", "rows", "gate-by-gate", "rzh", "none"),
    ),
}


def single(weights: Arrays) -> Arrays:
    return {name: array.astype(np.float32) for name, array in weights.items()}


def layout_of(origin: Origin) -> tuple[str, ...]:
    layout = origin.best.reading.layout
    return layout.arrangement, layout.orientation, layout.packing, layout.order, layout.bias


def renamed(weights: Arrays) -> Arrays:
    """Give arrays names that say nothing, in an order that says nothing."""
    places = np.random.default_rng(3).permutation(len(weights))
    shuffled = [list(weights.values())[place] for place in places]
    return {f"array{number}": array for number, array in enumerate(shuffled)}


@pytest.mark.parametrize("sizes", [(SIZE, UNITS), (UNITS, UNITS), (6, 2), (1, 3)], ids=str)
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_named(name: str, sizes: tuple[int, int]) -> None:
    written, options, frameworks, layout = LAYOUTS[name]
    gates = Gates(*sizes)
    origin = find_origin(single(written(gates)), pairs(gates, **options))
    best = origin.best
    assert best.matches
    assert layout_of(origin) == layout
    assert set(best.frameworks) == frameworks
    assert best.function.reset_after is options.get("after", True)
    assert best.function.complement is options.get("complement", False)
    assert best.function.gates == options.get("activation", "sigmoid")
    assert not origin.others
    assert 0 < best.residual < 0.5


@pytest.mark.parametrize("name", ["torch", "linen", "tf-gru-cell"])
def test_names_of_arrays_do_not_matter(name: str) -> None:
    written, options, frameworks, _ = LAYOUTS[name]
    gates = Gates()
    origin = find_origin(renamed(single(written(gates))), pairs(gates, **options))
    assert set(origin.best.frameworks) == frameworks


def test_arrays_are_told_apart() -> None:
    gates = Gates(UNITS, UNITS)
    roles = dict(find_origin(single(torch(gates)), pairs(gates)).best.reading.layout.arrays)
    assert roles == {"W": "kernel", "R": "recurrent kernel", "b_ih": "input bias", "b_hh": "recurrent bias"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("order", ["".join(order) for order in permutations(GATES)])
def test_every_order_of_gates_is_named(order: str, *, after: bool) -> None:
    gates = Gates()
    found = find_origin(
        single(keras(gates, after=after, order=order)), pairs(gates, after=after, recurrent=GATES if after else "")
    )
    assert found.best.matches
    assert found.best.reading.layout.order == order
    assert not found.others


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("activation", "fault"), [("sigmoid", ""), ("hard_sigmoid", ""), ("hard_sigmoid", ONE_SIXTH)], ids=str
)
def test_the_activation_of_the_gates_is_named(activation: str, fault: str, *, after: bool) -> None:
    gates = Gates()
    recorded = pairs(gates, after=after, activation=activation, fault=fault, recurrent=GATES if after else "")
    best = find_origin(single(keras(gates, after=after)), recorded).best
    assert (best.matches, best.function.gates, best.function.fault) == (True, activation, fault)
    assert best.function.reset_after is after


def test_gates_unit_by_unit_are_named() -> None:
    gates = Gates()
    by_unit = {name: array.reshape(-1, 3, UNITS).swapaxes(1, 2) for name, array in keras(gates, after=True).items()}
    weights = {name: array.reshape(-1, 3 * UNITS) for name, array in by_unit.items()}
    origin = find_origin(single(weights), pairs(gates))
    assert layout_of(origin) == ("whole", "columns", "unit-by-unit", "zrh", "2x3u")
    assert origin.best.frameworks == ()


@pytest.mark.parametrize("sizes", [(SIZE, UNITS), (UNITS, UNITS)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_memory_of_whole_kernels_that_is_transposed_is_named(sizes: tuple[int, int], *, transposed: bool) -> None:
    gates = Gates(*sizes)
    kernels = {"W": gates.joined(gates.w, "rzh"), "R": gates.joined(gates.u, "rzh")}
    kernels = {name: array.T if transposed else array for name, array in kernels.items()}
    weights = {name: array.T.reshape(array.shape) for name, array in kernels.items()}
    origin = find_origin(single(weights), pairs(gates, bias=False))
    orientation = "rows" if transposed else "columns"
    assert origin.best.matches
    assert layout_of(origin) == ("whole", orientation, "column-major", "rzh", "none")
    assert (origin.best.frameworks, origin.others) == ((), ())


def test_six_biases_of_one_gate_each_are_named() -> None:
    gates = Gates()
    weights = {f"{kind}_{gate}": getattr(gates, kind)[gate].T for kind in "wubc" for gate in GATES}
    origin = find_origin(single(weights), pairs(gates))
    assert layout_of(origin) == ("per-gate", "rows", "gate-by-gate", "", "u+u+u+u+u+u")
    roles = dict(origin.best.reading.layout.arrays)
    assert (roles["w_h"], roles["c_z"]) == ("kernel of the candidate", "recurrent bias of the update gate")


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("square", [False, True])
def test_axes_of_pairs_are_named(*, sequence: bool, time_major: bool, square: bool) -> None:
    gates = Gates()
    recorded = pairs(gates, return_sequences=sequence, time_major=time_major, batch=TIMESTEPS if square else BATCH)
    best = find_origin(single(keras(gates, after=True)), recorded).best
    assert best.matches
    assert (best.recorded.sequence, best.recorded.time_major) == (sequence, time_major)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
def test_masks_and_states_count(*, time_major: bool, sequence: bool) -> None:
    gates = Gates()
    spec = GRUSpec(
        units=UNITS,
        reset_after=True,
        recurrent_activation="sigmoid",
        return_sequences=sequence,
        time_major=time_major,
        return_state=True,
    )
    rng = np.random.default_rng(5)
    mask = np.arange(TIMESTEPS) < np.array([[4], [1], [3]])
    inputs, initial = rng.integers(-64, 65, (3, TIMESTEPS, SIZE)) / 64, rng.integers(-64, 65, (3, UNITS)) / 64
    if time_major:
        mask, inputs = mask.T, inputs.swapaxes(0, 1)
    weights = keras(gates, after=True)
    blocks = {"recurrent_kernel" if name == "recurrent" else name: array for name, array in weights.items()}
    outputs, state = evaluate(spec, blocks, inputs, mask, initial)
    if sequence:
        outputs = np.where(mask[..., None], outputs, 0.75)
    recorded = {"inputs": inputs, "outputs": outputs, "mask": mask, "initial_state": initial, "state": state}
    best = find_origin(weights, recorded).best
    assert best.matches
    assert best.recorded.time_major is time_major
    for name in ("mask", "initial_state"):
        assert not find_origin(weights, {key: array for key, array in recorded.items() if key != name}).best.matches
    assert not find_origin(weights, recorded | {"state": state + 2.0**-20}).best.matches


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes_are_judged_by_their_bounds(dtype: str) -> None:
    gates = Gates()
    recorded = pairs(gates, timesteps=3, dtype=ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    origin = find_origin(torch(gates), recorded)
    assert origin.best.matches
    assert origin.best.frameworks == ("torch", "torch-cell", "paddle", "webnn-rzn")
    further = recorded["outputs"].astype(float) + {"float64": 2.0**-44, "float16": 0.125, "bfloat16": 0.5}[dtype]
    assert not find_origin(torch(gates), recorded | {"outputs": further.astype(recorded["outputs"].dtype)}).best.matches


def test_nothing_is_named_where_nothing_matches() -> None:
    gates = Gates()
    recorded = pairs(gates)
    wrong = recorded | {"outputs": recorded["outputs"] + np.float32(2.0**-12)}
    origin = find_origin(single(torch(gates)), wrong)
    assert not origin.best.matches
    assert not origin.others
    assert "torch" in origin.best.frameworks
    assert origin.best.error == pytest.approx(2.0**-12, rel=1e-3)
    assert origin.best.residual > 10
    assert not find_origin(single(torch(Gates(seed=1))), recorded).best.matches


def test_one_wrong_row_of_many_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = Gates()
    monkeypatch.setattr("gruspec.diagnosis.origin._COUNTED", 3 * UNITS * (UNITS + SIZE) * TIMESTEPS * 2)
    assert find_origin(single(torch(gates)), pairs(gates, batch=50)).best.matches
    recorded = pairs(gates, batch=50)
    recorded["outputs"][-1, -1, -1] += np.float32(2.0**-12)
    assert not find_origin(single(torch(gates)), recorded).best.matches


def test_gates_that_are_equal_are_not_told_apart() -> None:
    gates = Gates()
    for blocks in (gates.w, gates.u, gates.b, gates.c):
        blocks["r"] = blocks["z"]
    origin = find_origin(single(torch(gates)), pairs(gates))
    assert origin.best.matches
    assert {"".join(origin.best.reading.layout.order), *(each.reading.layout.order for each in origin.others)} == {
        "rzh",
        "zrh",
    }
    assert {"torch", "webnn-zrn"} <= {name for each in (origin.best, *origin.others) for name in each.frameworks}


def test_one_timestep_from_zero_does_not_tell_variants_apart() -> None:
    gates = Gates()
    recorded = pairs(gates, timesteps=1, recurrent="", after=False)
    origin = find_origin(single(keras(gates, after=False)), recorded)
    variants = {each.function.reset_after for each in (origin.best, *origin.others)}
    assert variants == {False, True}


def test_long_sequences_are_judged_as_far_as_bounds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = Gates()
    monkeypatch.setattr("gruspec.diagnosis.origin._COUNTED", 3 * UNITS * (UNITS + SIZE) * 3)
    origin = find_origin(single(torch(gates)), pairs(gates))
    assert (origin.timesteps, origin.best.matches) == (3, True)
    assert find_origin(single(torch(gates)), pairs(gates, return_sequences=False)).timesteps == TIMESTEPS


def test_pairs_whose_bounds_say_nothing_are_refused() -> None:
    gates = Gates()
    gates.w = {gate: 64 * block for gate, block in gates.w.items()}
    gates.u = {gate: 64 * block for gate, block in gates.u.items()}
    recorded = pairs(gates, dtype=ml_dtypes.bfloat16, return_sequences=False)
    with pytest.raises(CertificationError, match="too wide"):
        find_origin(torch(gates), recorded)


GOOD = Gates()
WEIGHTS = single(torch(GOOD))
PAIRS = pairs(GOOD)


@pytest.mark.parametrize(
    ("weights", "changed", "message"),
    [
        (WEIGHTS | {"step": np.zeros(7, np.float32)}, {}, r"no GRU with D = 3 and u = 4.*W \(12, 3\).*step \(7,\)"),
        ({"W": WEIGHTS["W"]}, {}, "recurrent kernel of 12 x 4"),
        ({}, {}, "shapes: none"),
        (WEIGHTS | {"b_ih": np.zeros(12, np.int64)}, {}, "b_ih: dtype int64; expected one of float64"),
        (WEIGHTS | {"b_ih": np.full(12, np.nan, np.float32)}, {}, "b_ih: NaN"),
        (WEIGHTS, {"inputs": None}, "inputs: missing"),
        (WEIGHTS, {"outputs": None}, "outputs: missing"),
        (WEIGHTS, {"lengths": np.ones(2)}, "lengths: unknown in a file of pairs"),
        (WEIGHTS, {"outputs": np.zeros((2, 0, 4))}, r"outputs: shape \(2, 0, 4\) has no elements"),
        (WEIGHTS, {"inputs": np.zeros((5, 3), np.float32)}, r"inputs: shape \(5, 3\); expected"),
        (WEIGHTS, {"outputs": np.zeros((5, 2, 4), np.float32)}, r"do not fit each other: inputs \(2, 5, 3\)"),
        (WEIGHTS, {"state": np.zeros((3, 4), np.float32)}, r"state \(3, 4\)"),
        (WEIGHTS, {"mask": np.ones((5, 2))}, r"mask \(5, 2\)"),
        (WEIGHTS, {"mask": np.array([["a"]])}, "mask: dtype <U1; expected bool"),
        (WEIGHTS, {"outputs": np.zeros((2, 4), np.int32)}, "outputs: dtype int32"),
    ],
)
def test_odd_arrays_are_refused(weights: Arrays, changed: dict[str, Array | None], message: str) -> None:
    given = {name: array for name, array in (PAIRS | changed).items() if array is not None}
    with pytest.raises(SpecError, match=message):
        find_origin(weights, given)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def npy(shape: tuple[int, ...], data: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def test_files_of_both_kinds_are_read(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))}
    np.savez_compressed(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]  # NumPy's stubs take a flag for an array
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, tmp_path / "x.safetensors")
    for name in ("x.npz", "x.safetensors"):
        read = read_arrays(tmp_path / name)
        assert {key: (array.dtype, array.tolist()) for key, array in read.items()} == {
            key: (array.dtype, array.tolist()) for key, array in arrays.items()
        }


def test_hostile_files_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "whole.npz", a=np.arange(1000.0))
    data = (tmp_path / "whole.npz").read_bytes()
    save_file({"a": np.arange(1000.0)}, tmp_path / "whole.safetensors")
    tensors = (tmp_path / "whole.safetensors").read_bytes()
    objects = io.BytesIO()
    np.save(objects, np.array([{}]), allow_pickle=True)
    wrong = {
        "cut.npz": (data[:4000], "not an archive"),
        "damaged.npz": (data[:400] + b"\x01\x02" + data[402:], "not an archive"),
        "misplaced.npz": (data[:-6] + bytes([255] * 4) + data[-2:], "not an archive"),
        "pickle.npz": (pickle.dumps([1.0]), "not an archive"),
        "cut.safetensors": (tensors[:-8], "not a safetensors document"),
        "text.safetensors": (b"hello", "not a safetensors document"),
        "weights.pt": (b"", "expected a file .safetensors or .npz; a pickle is never read"),
    }
    for name, (content, message) in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(IntegrityError, match=rf"{name}: .*{message}"):
            read_arrays(tmp_path / name)
    members = {
        "objects.npz": (objects.getvalue(), "a.npy: pickled objects, which are never read"),
        "liar.npz": (npy((10**12,), b"12345678"), r"a.npy: 8 bytes of data for the shape \(1000000000000,\)"),
        "unbalanced.npz": (npy((6,), b"").replace(b"(6,)", b"((((") + bytes(48), "not an archive of arrays"),
        "headless.npz": (b"nothing", "a.npy: no header of an array"),
    }
    for name, (content, message) in members.items():
        with pytest.raises(IntegrityError, match=rf"{name}: {message}"):
            read_arrays(archive(tmp_path / name, {"a.npy": content}))
    with pytest.raises(IntegrityError, match=r"absent\.npz: cannot be read: No such file"):
        read_arrays(tmp_path / "absent.npz")
    monkeypatch.setattr(files, "LARGEST", 5000)
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10_000))
    for name in ("whole.npz", "whole.safetensors", "bomb.npz"):
        with pytest.raises(IntegrityError, match=f"{name}: .*5000"):
            read_arrays(tmp_path / name)


def gruspec(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def written(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "w.safetensors").write_bytes(pack(WEIGHTS))
    np.savez(tmp_path / "p.npz", **PAIRS)  # type: ignore[arg-type]  # as above
    return "diagnose", "--weights", tmp_path / "w.safetensors", "--pairs", tmp_path / "p.npz"


def test_the_command_names_an_origin(written: tuple[object, ...]) -> None:
    result = gruspec(*written)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for words in (
        "these are weights of torch or torch-cell or paddle or webnn-rzn",
        "b_hh: recurrent bias",
        "units in rows (u, D); gates in the order r, z, h; a vector of input biases",
        "the reset gate after the recurrent product; update z h + (1 - z) c; tanh, and sigmoid for the gates",
        "inputs (B, T, D), outputs of every timestep",
        "bounds in 5 timesteps of 2 rows",
    ):
        assert words in text


def test_the_command_prints_json(written: tuple[object, ...]) -> None:
    document = json.loads(gruspec(*written, "--json").stdout)["origin"]
    assert document["named"] is True
    assert document["best"]["frameworks"] == ["torch", "torch-cell", "paddle", "webnn-rzn"]
    assert document["best"]["gate_order"] == "rzh"
    assert document["best"]["variant"] == "reset-after"
    assert document["others"] == []
    assert 0 < document["best"]["residual_in_bounds"] < 1


def test_the_command_says_what_is_not_told_apart(tmp_path: Path) -> None:
    gates = Gates()
    for blocks in (gates.w, gates.u, gates.b, gates.c):
        blocks["r"] = blocks["z"]
    np.savez(tmp_path / "w.npz", **torch(gates))  # type: ignore[arg-type]  # as above
    np.savez(tmp_path / "p.npz", **pairs(gates, activation="hard_sigmoid"))  # type: ignore[arg-type]  # as above
    result = gruspec("diagnose", "--weights", tmp_path / "w.npz", "--pairs", tmp_path / "p.npz")
    assert result.exit_code == 0
    assert "these pairs do not tell it from 1 other:" in result.stdout
    assert "hard_sigmoid for the gates" in " ".join(result.stdout.split())


def test_the_command_says_that_nothing_matches(written: tuple[object, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", **PAIRS | {"outputs": PAIRS["outputs"] + np.float32(0.01)})  # type: ignore[arg-type]  # as above
    result = gruspec(*written)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert text.startswith(
        "nothing matches the nearest is torch or torch-cell or paddle or webnn-rzn, with a largest error of 0.01"
    )
    assert json.loads(gruspec(*written, "--json").stdout)["origin"]["named"] is False


def test_the_command_refuses_what_it_would_ignore(written: tuple[object, ...], tmp_path: Path) -> None:
    for more, named in ((("--dtype", "float32"), "--dtype"), (("numpy",), "numpy"), (("--quick",), "--quick")):
        result = gruspec(*written, *more)
        assert (result.exit_code, f"nothing is run, so that {named} would be" in result.stderr) == (2, True)
    for kept, other in ((written[1:3], "--pairs"), (written[3:], "--weights")):
        result = gruspec("diagnose", *kept)
        message = f"gruspec: {kept[0]} {kept[1]}: give both --weights and --pairs; add {other} FILE\n"
        assert (result.exit_code, result.stderr) == (2, message)
    (tmp_path / "p.npz").write_bytes(b"PK")
    result = gruspec(*written)
    assert (result.exit_code, "p.npz: not an archive" in result.stderr) == (3, True)
