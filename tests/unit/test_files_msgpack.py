"""Files of flax's msgpack, made here by hand as flax makes them: tests with flax itself are beside the backends."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, WrittenGRU, open_file
from gruspec.files import flax_packing as packing
from gruspec.files.flax_msgpack import FlaxMsgpackFormat
from gruspec.layouts import Sizes, convert

if TYPE_CHECKING:
    from pathlib import Path

msgpack = pytest.importorskip("msgpack")
ml_dtypes = pytest.importorskip("ml_dtypes")

NDARRAY, COMPLEX, SCALAR = 1, 2, 3


def _array(values: Any, code: int = NDARRAY, **changes: Any) -> Any:
    """Return what ``_msgpack_ext_pack`` of ``flax/serialization.py`` makes of an array."""
    said = {"shape": values.shape, "dtype": values.dtype.name, "bytes": values.tobytes(), **changes}
    return msgpack.ExtType(code, msgpack.packb(tuple(said.values()), use_bin_type=True))


def _unpacked(path: Path) -> Any:
    """Return what ``msgpack_restore`` of ``flax/serialization.py`` gives, before it joins chunks."""

    def hook(code: int, data: bytes) -> Any:
        assert code == NDARRAY
        shape, name, buffer = msgpack.unpackb(data, raw=True)
        dtype = ml_dtypes.bfloat16 if name == b"bfloat16" else np.dtype(name.decode())
        return np.frombuffer(buffer, dtype).reshape(shape)

    return msgpack.unpackb(path.read_bytes(), ext_hook=hook, raw=False, strict_map_key=False)


def _file(folder: Path, tree: Any) -> Path:
    path = folder / "state.msgpack"
    path.write_bytes(msgpack.packb(tree, strict_types=True))
    return path


def _entry(name: str, values: Any) -> Entry:
    return Entry(name, values.shape, values.dtype, partial(np.copyto, src=values))


def _contents(checkpoint: Any) -> Contents:
    entries = tuple(_entry(name, tensor.read()) for name, tensor in checkpoint.tensors.items())
    return Contents(entries, (), checkpoint.metadata)


KERNELS = {name: np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32) for name in ("ir", "iz", "in")}
LINEN = {
    **{
        gate: {"kernel": values, "bias": np.full(4, number, np.float32)}
        for number, (gate, values) in enumerate(KERNELS.items())
    },
    "hr": {"kernel": np.eye(4, dtype=np.float32)},
    "hz": {"kernel": 2 * np.eye(4, dtype=np.float32)},
    "hn": {"kernel": 3 * np.eye(4, dtype=np.float32), "bias": np.arange(4, dtype=np.float32)},
}


def _packed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _packed(value) for key, value in tree.items()}
    return _array(tree) if isinstance(tree, np.ndarray) else tree


def test_linen_parameters_are_a_gru(tmp_path: Path) -> None:
    path = _file(tmp_path, {"step": 5, "params": {"cell": _packed(LINEN)}, "opt_state": {"0": {"mu": _packed(LINEN)}}})
    with open_file(path) as opened:
        (gru,) = opened.grus
        assert (opened.format, gru.path, gru.layouts, gru.sizes) == (
            "flax-msgpack",
            "params/cell",
            ("linen",),
            Sizes(3, 4),
        )
        assert opened.metadata == {"step": "5"}
        arrays = {array: opened.tensors[name].read() for array, name in gru.names.items()}
    assert_array_equal(arrays["hn/bias"], np.arange(4))
    torch = convert(arrays, "linen", "torch").arrays
    assert_array_equal(torch["weight_ih_l0"], np.concatenate([KERNELS[gate].T for gate in ("ir", "iz", "in")]))


def test_haiku_modules_stay_one_key(tmp_path: Path) -> None:
    gru = {"w_i": np.ones((3, 12), np.float32), "w_h": np.ones((4, 12), np.float32), "b": np.ones(12, np.float32)}
    path = _file(tmp_path, _packed({"enc/my_gru": gru, "enc/linear": {"w": np.ones((4, 2), np.float32)}}))
    with open_file(path) as opened:
        assert [(found.path, found.layout) for found in opened.grus] == [("enc/my_gru", "haiku")]
        FlaxMsgpackFormat().write(tmp_path / "again.msgpack", _contents(opened))
    again = _unpacked(tmp_path / "again.msgpack")
    assert {key: sorted(value) for key, value in again.items()} == {
        "enc/my_gru": ["b", "w_h", "w_i"],
        "enc/linear": ["w"],
    }


def test_written_haiku_gru_has_its_path_as_one_key(tmp_path: Path) -> None:
    arrays = {name: _entry(f"enc/gru/{name}", np.ones(1)) for name in ("w_i", "w_h", "b")}
    gru = WrittenGRU("enc/gru", "haiku", arrays, False, Sizes(1, 1), True)  # noqa: FBT003  in the order of its fields
    FlaxMsgpackFormat().write(tmp_path / "new.msgpack", Contents((), (gru,)))
    assert list(_unpacked(tmp_path / "new.msgpack")) == ["enc/gru"]


def test_boxed_variables_and_numbered_layers(tmp_path: Path) -> None:
    boxed = {"dense_i": {"kernel": {"value": np.ones((3, 12))}, "bias": {"value": np.ones(12)}}}
    boxed["dense_h"] = {"kernel": {"value": np.ones((4, 12))}}
    path = _file(tmp_path, {"layers": {0: _packed(boxed), 1: {"scale": _array(np.ones(2))}}})
    with open_file(path) as opened:
        (gru,) = opened.grus
        assert (gru.path, gru.layout) == ("layers/0", "nnx")
        assert gru.names["dense_i/kernel"] == "layers/0/dense_i/kernel/value"
        FlaxMsgpackFormat().write(tmp_path / "again.msgpack", _contents(opened))
    assert list(_unpacked(tmp_path / "again.msgpack")["layers"]) == [0, 1]


def test_every_value_and_dtype_survives(tmp_path: Path) -> None:
    names = ("bool", "int8", "uint8", "int64", "uint16", "float16", "float32", "float64", "complex64", "complex128")
    arrays: dict[str, Any] = {name: np.arange(4).astype(name).reshape(2, 2) for name in names}
    arrays |= {"bfloat16": np.arange(4).astype(ml_dtypes.bfloat16), "none": np.empty((0, 3)), "scalar": np.array(2.5)}
    plain = {"step": 2**40, "rate": -0.5, "name": "a\u0301", "flag": True, "nothing": None, "empty": {}, "below": -7}
    path = _file(tmp_path, {**_packed(arrays), **plain, "generic": _array(np.array(3.0), SCALAR)})
    with open_file(path) as opened:
        for name, values in arrays.items():
            read = opened.tensors[name].read()
            assert read.dtype == values.dtype
            assert_array_equal(read, values)
        assert opened.tensors["generic"].read() == 3.0
        assert {name: json.loads(text) for name, text in opened.metadata.items()} == plain
        FlaxMsgpackFormat().write(tmp_path / "again.flax", _contents(opened))
    again = _unpacked(tmp_path / "again.flax")
    assert {name: again[name] for name in plain} == plain
    for name, values in arrays.items():
        assert again[name].tobytes() == values.tobytes()
        assert again[name].dtype == values.dtype


def test_what_is_no_array_is_left(tmp_path: Path) -> None:
    tree = {
        "a": msgpack.ExtType(COMPLEX, b"\x00"),
        "b": b"raw",
        "c": _array(np.ones(1), dtype="object"),
        "d": _array(np.ones(2)),
    }
    with open_file(_file(tmp_path, tree)) as opened:
        assert list(opened.tensors) == ["d"]
        assert set(opened.left) == {"a", "b", "c"}


def test_chunks_are_joined_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(10, dtype=np.float32).reshape(2, 5)
    flat = values.reshape(-1)
    chunked = {
        "__msgpack_chunked_array__": True,
        "shape": {"0": 2, "1": 5},
        "chunks": {"0": _array(flat[:4]), "1": _array(flat[4:8]), "2": _array(flat[8:])},
    }
    with open_file(_file(tmp_path, {"big": chunked, "small": _array(np.ones(4, np.float32))})) as opened:
        assert set(opened.tensors) == {"big", "small"}
        assert not opened.metadata
        assert_array_equal(opened.tensors["big"].read(), values)
        monkeypatch.setattr(packing, "CHUNKED", 16)
        FlaxMsgpackFormat().write(tmp_path / "again.msgpack", _contents(opened))
    again = _unpacked(tmp_path / "again.msgpack")
    assert again["big"]["shape"] == chunked["shape"]
    assert [len(chunk) for chunk in again["big"]["chunks"].values()] == [4, 4, 2]
    assert isinstance(again["small"], np.ndarray)


def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    with open_file(_file(tmp_path, _packed({"a": np.ones(5)}))) as opened:
        assert opened.mapped
        assert not opened.tensors["a"].read().flags.writeable
        assert opened.tensors["a"].read().base is not None


def _nested(depth: int) -> bytes:
    return b"\x81\xa1a" * depth + b"\xc0"


ONES = np.ones(3)


HOSTILE = [
    (b"\xdf\xff\xff\xff\xff", "map of size 4294967295"),
    (b"\x81\xa1a\xc9\x7f\xff\xff\xff\x01", "extension of size 2147483647"),
    (b"\x81\xa1a\xdd\x10\x00\x00\x00", "array of size 268435456"),
    (b"\x82\xa1a\xc0\xa1a\xc0", "twice"),
    (b"\x82\xa1a\x81\xa1b\x01\xa3a/b\x02", "the same name"),
    (b"\x81\xa2\xff\xfe\xc0", "not UTF-8"),
    (b"\x81\xc0\xc0", "neither a string nor a number"),
    (b"\x81\xa1a\xc1", "no value of MessagePack"),
    (b"\x81\xa1a\xc0\x00", "belong to no value"),
    (b"\x82\xa1a\xc0", "ends at offset|beyond the end"),
    (_nested(100), "nested deeper"),
    (msgpack.packb({"a": _array(ONES, shape=(4,))}), "24 bytes at offset"),
    (msgpack.packb({"a": _array(ONES, shape=(1 << 62, 1 << 62))}), "no shape"),
    (msgpack.packb({"a": _array(ONES, shape=(0, 1 << 63))}), "no shape"),
    (msgpack.packb({"a": _array(ONES, shape=(-1, -3))}), "no shape"),
    (msgpack.packb({"a": _array(ONES, shape=("3",))}), "no shape"),
    (msgpack.packb({"a": _array(ONES, shape=(1,) * 60)}), "no shape"),
    (msgpack.packb({"a": _array(ONES, shape=3)}), "not shape, dtype and bytes"),
    (msgpack.packb({"a": msgpack.ExtType(1, b"")}), "not shape, dtype and bytes"),
    (
        msgpack.packb({"a": msgpack.ExtType(1, b"\x93\x90\xa7float64\xc6\x00\x00\x10\x00")}),
        "beyond the end|not shape",
    ),
    (
        msgpack.packb(
            {"a": {"__msgpack_chunked_array__": True, "shape": {"0": 1 << 40}, "chunks": {"0": _array(ONES)}}}
        ),
        "1 chunks do not make",
    ),
]
"""Bytes of a file, and what the refusal says."""


@pytest.mark.parametrize(
    ("data", "said"), HOSTILE, ids=[f"{number}-{said}" for number, (_, said) in enumerate(HOSTILE)]
)
def test_hostile_files_are_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "hostile.msgpack"
    path.write_bytes(data)
    with pytest.raises(FileError, match=said) as caught, open_file(path):
        pass
    assert str(path) in str(caught.value)


def test_long_names_do_not_multiply(tmp_path: Path) -> None:
    path = tmp_path / "long.msgpack"
    path.write_bytes(msgpack.packb({"k" * 60_000: {str(number): None for number in range(20_000)}}))
    with pytest.raises(FileError, match="8 times as long"), open_file(path):
        pass


def test_names_that_contradict_are_refused(tmp_path: Path) -> None:
    for names in (("a", "a/b"), ("a/b", "a")):
        entries = tuple(_entry(name, np.ones(1)) for name in names)
        with pytest.raises(RefusedFile, match="members"):
            FlaxMsgpackFormat().write(tmp_path / "new.msgpack", Contents(entries, ()))
    assert not list(tmp_path.iterdir())


def test_recognised_without_an_ending(tmp_path: Path) -> None:
    other = tmp_path / "weights"
    other.write_bytes(_file(tmp_path, _packed({"a": ONES})).read_bytes())
    with open_file(other) as opened:
        assert opened.format == "flax-msgpack"
    for start in (b"\x89HDF\r\n\x1a\n", b"\x80\x02}q\x00.", b"PK\x03\x04", b"\x81", b"\x00" * 16):
        other.write_bytes(start)
        assert not FlaxMsgpackFormat().recognises(other)
