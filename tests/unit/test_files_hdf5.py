"""HDF5 files: what is in them is found by a child process, and what is damaged or hostile is refused by name."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Entry, isolation
from gruspec.files.hdf5 import read_hdf5, refused, write_hdf5
from gruspec.files.isolation import isolated

h5py: Any = pytest.importorskip("h5py")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")


def new_file(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w") as opened:
        for name, values in datasets.items():
            opened[name] = values
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.h5"


STORAGE: dict[str, dict[str, Any]] = {
    "plain": {},
    "chunks": {"chunks": (2, 3)},
    "gzip": {"chunks": (2, 3), "compression": "gzip"},
    "shuffle": {"chunks": (5, 7), "shuffle": True},
}


@pytest.mark.parametrize("userblock", [0, 512])
def test_values_are_those_of_the_file(userblock: int, place: Path) -> None:
    arrays = {
        kind: np.arange(35).reshape(5, 7).astype(kind) for kind in ("<f4", ">f4", "<f8", "<f2", "<i8", ">u2", "?")
    }
    with h5py.File(place, "w", userblock_size=userblock) as opened:
        for storage, options in STORAGE.items():
            for kind, values in arrays.items():
                opened.create_dataset(f"{storage}/{kind}", data=values, **options)
    found = read_hdf5(place)
    assert len(found.tensors) == len(STORAGE) * len(arrays)
    for name, tensor in found.tensors.items():
        storage, kind = name.split("/")
        read, values = tensor.read(), arrays[kind]
        np.testing.assert_array_equal(read, values)
        assert read.dtype.isnative
        assert read.dtype == values.dtype.newbyteorder("=")
        assert not read.flags.writeable
        assert (name in found.offsets) == (storage == "plain" and values.dtype.isnative), name


def test_scalars_empty_arrays_and_compact_ones_are_read(place: Path) -> None:
    with h5py.File(new_file(place, scalar=np.float32(2.5), none=np.zeros((3, 0))), "a") as opened:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        kind, space = h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((2,))
        h5py.Dataset(h5py.h5d.create(opened.id, b"compact", kind, space, properties))[...] = [1.5, -2.0]
        opened.create_dataset("unwritten", (2, 2), "f4", fillvalue=3)
    found = {name: tensor.read() for name, tensor in read_hdf5(place).tensors.items()}
    assert found["scalar"].shape == ()
    assert found["scalar"] == 2.5
    assert found["none"].shape == (3, 0)
    assert found["compact"].tolist() == [1.5, -2.0]
    assert found["unwritten"].tolist() == [[3, 3], [3, 3]]


def test_what_holds_no_numbers_is_left_with_the_reason(place: Path) -> None:
    with h5py.File(new_file(place, text=["a", "b"], numbers=[1.0]), "a") as opened:
        opened["empty"] = h5py.Empty("f4")
        opened["record"] = np.zeros(2, [("x", "f4"), ("y", "i4")])
    found = read_hdf5(place)
    assert list(found.tensors) == ["numbers"]
    assert set(found.left) == {"empty", "record", "text"}


def test_attributes_that_are_text_are_read_in_parts_too(place: Path) -> None:
    with h5py.File(new_file(place), "w") as opened:
        group = opened.create_group("layer")
        group.attrs["weight_names0"], group.attrs["weight_names1"] = [b"a", b"b"], [b"c"]
        opened.attrs["keras_version"] = "2.1.0"
        opened.attrs["layer_names"] = np.array([b"layer"])
        opened.attrs["name"] = 5
    found = read_hdf5(place)
    assert found.names("layer", "weight_names") == ["a", "b", "c"]
    assert found.names("", "layer_names") == ["layer"]
    assert found.names("", "weight_names") is None
    assert (found.text("", "keras_version"), found.text("", "name")) == ("2.1.0", None)


def external_link(opened: Any) -> None:
    opened["out"] = h5py.ExternalLink("/etc/hosts", "/x")


def soft_link(opened: Any) -> None:
    opened["again"] = h5py.SoftLink("/x")


def external_storage(opened: Any) -> None:
    opened.create_dataset("out", (3,), "u1", external=[("/etc/hosts", 0, 3)])


def virtual(opened: Any) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hosts", "x", (3,))
    opened.create_virtual_dataset("out", layout)


def huge(opened: Any) -> None:
    opened.create_dataset("huge", (2**40, 2**10), "f4", chunks=(64, 64))


def packed(opened: Any) -> None:
    opened.create_dataset("packed", (1 << 27,), "i1", chunks=(1 << 20,), compression="gzip")


def deep(opened: Any) -> None:
    opened.create_group("/".join("d" * 70))


def long_path(opened: Any) -> None:
    opened.create_group("/".join(["d" * 200] * 6))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (external_link, "out: a link to another place or file"),
        (soft_link, "again: a link to another place or file"),
        (external_storage, "out: its values are in another file"),
        (virtual, "out: its values are in another file"),
        (huge, r"huge: shape \(1099511627776, 1024\): unpacked it is larger"),
        (packed, r"packed: shape \(134217728,\): unpacked it is larger"),
        (deep, "nested deeper than 64"),
        (long_path, "names too long"),
    ],
)
def test_what_leaves_the_file_or_fills_memory_is_refused(make: Any, message: str, place: Path) -> None:
    with h5py.File(new_file(place, x=np.ones(3)), "a") as opened:
        make(opened)
    with pytest.raises(FileError, match=rf"{re.escape(str(place))}.*{message}"):
        read_hdf5(place)


def test_groups_that_contain_themselves_end(place: Path) -> None:
    with h5py.File(new_file(place, x=np.ones(3)), "a") as opened:
        inner = opened.create_group("a/b")
        inner["back"], inner["root"] = opened["a"], opened["/"]
    assert "x" in read_hdf5(place).tensors


def test_a_dataset_may_have_two_names_and_two_datasets_not_one_place(place: Path) -> None:
    values = np.arange(1000.0)
    with h5py.File(place, "w") as opened:
        opened["x"] = values
        opened["y"] = opened["x"]
    assert read_hdf5(place).tensors["y"].read().tolist() == values.tolist()
    with h5py.File(place, "w") as opened:
        many = [opened.create_dataset(f"x{number}", values.shape, values.dtype) for number in range(4)]
        for data in many:
            data[...] = values
        places = [data.id.get_offset() for data in many]
    changed = bytearray(place.read_bytes())
    for offset in places[1:]:
        changed = changed.replace(offset.to_bytes(8, "little"), places[0].to_bytes(8, "little"))
    assert places == sorted(places)
    del changed[places[1] :]
    changed[40:48] = len(changed).to_bytes(8, "little")  # the end of the file, in the superblock
    place.write_bytes(changed)
    with pytest.raises(FileError, match="the values of all datasets are more than the file has"):
        read_hdf5(place)


def test_damage_is_always_an_error_that_names_the_file(place: Path) -> None:
    with h5py.File(place, "w") as opened:
        opened.create_dataset("a/x", data=np.arange(2000.0), chunks=(100,), compression="gzip")
        opened["a/y"] = np.arange(500.0)
        opened.attrs["layer_names"] = [b"a"] * 30
    whole, drawn = place.read_bytes(), random.Random(0)  # noqa: S311  damage, not secrets
    outcomes = set()
    for number in range(24):
        data = bytearray(whole[: drawn.randrange(len(whole))] if number % 3 == 0 else whole)
        for _ in range(number % 3):
            data[drawn.randrange(len(data))] = drawn.randrange(256)
        place.write_bytes(data)
        try:
            for tensor in read_hdf5(place).tensors.values():
                tensor.read().sum()
            outcomes.add("read")
        except FileError as error:
            assert str(place) in str(error)  # noqa: PT017  it may also be read
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "bool"])
def test_what_is_written_is_read_and_is_what_h5py_reads(dtype: str, place: Path) -> None:
    kind = np.dtype(pytest.importorskip("ml_dtypes").bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    values = np.arange(12).reshape(3, 4).astype(kind)
    shapes = {"a/b/x": (3, 4), "y": (), "empty": (0, 4)}

    def entry(name: str, shape: tuple[int, ...]) -> Entry:
        def fill(target: Any) -> None:
            target[...] = values if shape == (3, 4) else values[1, 1]

        return Entry(name, shape, kind, fill)

    long = [f"layer_{number:06}" for number in range(9000)]
    entries = [entry(name, shape) for name, shape in shapes.items()]
    write_hdf5(place, entries, {"": {"keras_version": "2.0", "layer_names": long}, "a": {"weight_names": []}})
    found = read_hdf5(place)
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == shapes
    assert found.tensors["a/b/x"].read().tobytes() == values.tobytes()
    assert found.tensors["a/b/x"].dtype == kind
    assert found.tensors["y"].read() == values[1, 1]
    assert found.names("", "layer_names") == long
    assert found.names("a", "weight_names") == []
    with h5py.File(place) as opened:
        assert opened["a/b/x"][...].tobytes() == values.tobytes()


def test_names_and_dtypes_that_hdf5_has_not_are_refused(place: Path) -> None:
    def entry(name: str, dtype: str = "f4") -> Entry:
        return Entry(name, (1,), np.dtype(dtype), lambda values: values.fill(0))

    assert refused(entry("a/b")) is None
    for bad in (entry("a//b"), entry("../b"), entry("a\0b"), entry("x", "c8")):
        assert refused(bad), bad.name
        with pytest.raises(RefusedFile, match=r"its name is no path|dtype complex64"):
            write_hdf5(place, [entry("a/b"), bad], {})
        assert not place.exists()
    for names in (("a", "a"), ("a", "a/b")):
        with pytest.raises(RefusedFile, match="no place"):
            write_hdf5(place, [entry(name) for name in names], {})
        place.unlink()


@POSIX
@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("os:abort", {}, r"crashed \(signal 6\)"),
        ("ctypes:string_at", {"ptr": 0}, r"crashed \(signal 11\)"),
        ("re:fullmatch", {"pattern": "(a+)+b", "string": "a" * 60}, "took more than 1 s"),
        ("builtins:bytearray", {"source": 1 << 30}, "takes more than 32 MiB"),
        ("os:listdir", {"path": "/no/such/folder"}, "FileNotFoundError"),
        ("os:getcwdb", {}, "TypeError"),
        ("os:_exit", {"status": 3}, r"exit code 3"),
    ],
)
def test_however_a_child_ends_is_an_error_that_names_the_file(
    function: str, arguments: dict[str, Any], message: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "_PROCESSOR_SECONDS", 1)
    place.write_bytes(b"x")
    with pytest.raises(FileError, match=rf"{re.escape(str(place))}: damaged: .*{message}"):
        isolated(function, place, arguments)


def test_a_child_answers_in_json_whatever_it_prints(place: Path) -> None:
    place.write_bytes(b"x")
    assert isolated("os.path:join", place, {"a": "b"}) == "b"
    assert isolated("builtins:print", place, {"flush": True}) is None


@POSIX
def test_a_child_writes_no_more_than_it_may(place: Path, tmp_path: Path) -> None:
    place.write_bytes(b"x")
    target = tmp_path / "target"
    arguments = {"src": __file__, "dst": str(target)}
    isolated("shutil:copyfile", place, arguments, output_bytes=1 << 20)
    assert target.read_bytes() == Path(__file__).read_bytes()
    with pytest.raises(FileError, match="File too large"):
        isolated("shutil:copyfile", place, arguments, output_bytes=100)
