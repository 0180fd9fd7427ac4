import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file, save_file

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, open_file
from gruspec.files.safetensors import SafetensorsFormat
from gruspec.files.streaming import LARGE

DESERIALIZE: Any = safetensors.deserialize
RNG = np.random.default_rng(5)
DTYPES = ["float64", "float32", "float16", "complex64", "bool"]
DTYPES += [f"{kind}{bits}" for kind in ("int", "uint") for bits in (64, 32, 16, 8)]
ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}


def raw(path: Path, header: object, data: bytes = b"", *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def tensor(start: int, end: int, shape: list[Any], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def entry_of(name: str, values: np.ndarray[Any, Any]) -> Entry:
    def fill(array: np.ndarray[Any, Any]) -> None:
        array[...] = values

    return Entry(name, values.shape, values.dtype, fill)


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    arrays = {f"a.{dtype}": RNG.integers(0, 2, (3, 5)).astype(dtype) for dtype in DTYPES}
    arrays |= {"scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 4), np.float32)}
    save_file(arrays, tmp_path / "a.safetensors", {"format": "np", "ü": "ö"})
    with open_file(tmp_path / "a.safetensors") as checkpoint:
        assert checkpoint.mapped
        assert checkpoint.metadata == {"format": "np", "ü": "ö"}
        assert set(checkpoint.tensors) == set(arrays)
        for name, values in arrays.items():
            read = checkpoint.tensors[name].read()
            assert (read.dtype, read.shape) == (values.dtype, values.shape)
            assert read.tobytes() == values.tobytes()
            assert not read.flags.writeable


@pytest.mark.parametrize(("kind", "dtype"), ML_DTYPES.items())
def test_short_floats_of_the_library_are_read_and_written(tmp_path: Path, kind: str, dtype: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.arange(1, 7).astype(getattr(ml_dtypes, dtype)).reshape(2, 3)
    path = raw(tmp_path / "a.safetensors", {"x": tensor(0, values.nbytes, [2, 3], kind)}, values.tobytes())
    DESERIALIZE(path.read_bytes())
    with open_file(path) as checkpoint:
        read = checkpoint.tensors["x"].read()
        assert read.dtype == values.dtype
        assert read.tobytes() == values.tobytes()
        SafetensorsFormat().write(tmp_path / "b.safetensors", Contents((entry_of("x", read),), ()))
    ((_, written),) = DESERIALIZE((tmp_path / "b.safetensors").read_bytes())
    assert (written["dtype"], written["shape"], bytes(written["data"])) == (kind, [2, 3], values.tobytes())


def test_packed_dtypes_are_left_and_named(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.safetensors", {"x": tensor(0, 2, [4], "F4"), "y": tensor(2, 6, [1])}, b"\1\2" + b"\0" * 4)
    with open_file(path) as checkpoint:
        assert set(checkpoint.tensors) == {"y"}
        assert "4 bits" in checkpoint.left["x"]


def test_what_is_written_the_library_reads(tmp_path: Path) -> None:
    arrays = {f"a/{dtype}": RNG.integers(0, 2, (3, 5)).astype(dtype) for dtype in reversed(DTYPES)}
    arrays |= {"scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 4), np.float32)}
    entries = tuple(entry_of(name, values) for name, values in arrays.items())
    SafetensorsFormat().write(tmp_path / "a.safetensors", Contents(entries, (), {"b": "2", "a": "1"}))
    loaded = load_file(tmp_path / "a.safetensors")
    assert set(loaded) == set(arrays)
    for name, values in arrays.items():
        assert (loaded[name].dtype, loaded[name].shape) == (values.dtype, values.shape)
        assert loaded[name].tobytes() == values.tobytes()
    with safetensors.safe_open(tmp_path / "a.safetensors", "np") as opened:
        assert opened.metadata() == {"b": "2", "a": "1"}


def test_written_data_are_aligned(tmp_path: Path) -> None:
    entries = (entry_of("a", np.zeros(3, np.uint8)), entry_of("b", np.ones(2, np.float64)))
    SafetensorsFormat().write(tmp_path / "a.safetensors", Contents(entries, ()))
    with open_file(tmp_path / "a.safetensors") as checkpoint:
        assert checkpoint.tensors["b"].read().flags.aligned


def test_a_large_array_that_has_to_be_made_is_made_in_the_file(tmp_path: Path) -> None:
    length = LARGE // 4 + 1000
    kinds = []

    def fill(array: np.ndarray[Any, Any]) -> None:
        base: Any = array
        while isinstance(base, np.ndarray) and base.base is not None:
            base = base.base
        kinds.append(type(base).__name__)
        array[...] = np.arange(length, dtype=np.float32)

    entries = (entry_of("a", np.ones(3, np.float32)), Entry("b", (length,), np.dtype(np.float32), fill))
    SafetensorsFormat().write(
        tmp_path / "a.safetensors", Contents((*entries, entry_of("c", np.ones(3, np.float32))), ())
    )
    with open_file(tmp_path / "a.safetensors") as checkpoint:
        assert np.array_equal(checkpoint.tensors["b"].read(), np.arange(length, dtype=np.float32))
        assert np.array_equal(checkpoint.tensors["c"].read(), np.ones(3))
    assert kinds in (["mmap"], ["memoryview"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(2, np.complex128), "complex128"),
        (np.array(["a"]), "<U1"),
        (np.array([None]), "object"),
        (np.zeros(2, ">f4"), ">f4"),
    ],
)
def test_dtypes_that_the_format_does_not_have_are_refused(
    tmp_path: Path, values: np.ndarray[Any, Any], message: str
) -> None:
    assert message in str(SafetensorsFormat().refuses(entry_of("x", values)))
    with pytest.raises(RefusedFile, match="x: safetensors has no dtype"):
        SafetensorsFormat().write(tmp_path / "a.safetensors", Contents((entry_of("x", values),), ()))
    assert not list(tmp_path.iterdir())


def test_a_name_is_written_once(tmp_path: Path) -> None:
    twice = (entry_of("x", np.zeros(1, np.float32)), entry_of("x", np.ones(1, np.float32)))
    with pytest.raises(RefusedFile, match="x: is there twice"):
        SafetensorsFormat().write(tmp_path / "a.safetensors", Contents(twice, ()))


F32 = b"\0" * 4
HOSTILE: dict[str, tuple[object, bytes, str]] = {
    "overlap": ({"x": tensor(0, 4, [1]), "y": tensor(2, 6, [1])}, F32 + b"\0\0", "y: its data at offset .* overlaps x"),
    "same place": ({"x": tensor(0, 4, [1]), "y": tensor(0, 4, [1])}, F32, "overlaps"),
    "gap": ({"x": tensor(0, 4, [1]), "y": tensor(8, 12, [1])}, F32 * 3, "leaves a gap"),
    "gap in front": ({"x": tensor(4, 8, [1])}, F32 * 2, "leaves a gap behind the header"),
    "rest": ({"x": tensor(0, 4, [1])}, F32 * 2, "4 bytes at offset .* belong to no tensor"),
    "beyond": ({"x": tensor(0, 400, [100])}, F32, "x: its data to offset .* beyond the end of the file"),
    "shape": ({"x": tensor(0, 4, [2])}, F32, "x: data_offsets"),
    "backwards": ({"x": tensor(4, 0, [1])}, F32, "x: data_offsets"),
    "negative offset": ({"x": tensor(-4, 0, [1])}, F32, "x: data_offsets"),
    "negative": ({"x": tensor(0, 4, [-1])}, F32, "x: .* is no shape"),
    "huge": ({"x": tensor(0, 0, [2**63])}, b"", "x: .* is no shape"),
    "huge product": ({"x": tensor(0, 0, [2**40, 2**40])}, b"", "x: .* is no shape"),
    "huge and empty": ({"x": tensor(0, 0, [0, 2**63])}, b"", "x: .* is no shape"),
    "wrapped": ({"x": tensor(0, 0, [2**62, 4])}, b"", "x: .* is no shape"),
    "axes": ({"x": tensor(0, 4, [1] * 70)}, F32, "x: .* is no shape"),
    "bool": ({"x": tensor(0, 4, [True])}, F32, "x: .* is no shape"),
    "bool offset": ({"x": {"dtype": "U8", "shape": [1], "data_offsets": [False, True]}}, b"\0", "x: data_offsets"),
    "float": ({"x": tensor(0, 4, [1.0])}, F32, "x: .* is no shape"),
    "dtype": ({"x": tensor(0, 4, [1], "F33")}, F32, "x: 'F33' is no dtype"),
    "fraction of a byte": ({"x": tensor(0, 1, [1], "F4")}, b"\0", "x: data_offsets"),
    "missing": ({"x": {"dtype": "F32", "shape": [1]}}, F32, "x: the header does not give"),
    "more": ({"x": tensor(0, 4, [1]) | {"code": "x"}}, F32, "x: the header does not give"),
    "no object": ({"x": [1]}, F32, "x: the header does not give"),
    "list": ([], b"", "is not a JSON object"),
    "metadata": ({"__metadata__": {"a": 1}}, b"", "__metadata__"),
    "metadata list": ({"__metadata__": ["a"]}, b"", "__metadata__"),
    "twice": (b'{"x":' + json.dumps(tensor(0, 4, [1])).encode() + b',"x":{}}', F32, "'x' is there twice"),
    "space in front": (b" {}", b"", "not a JSON object"),
    "no text": (b'{"\xff":1}', b"", "not what safetensors has"),
    "surrogate": (b'{"\\ud800":1}', b"", "not what safetensors has"),
    "NaN": (b'{"x":NaN}', b"", "NaN is no number"),
    "number": (b'{"x":' + b"9" * 5000 + b"}", b"", "not what safetensors has"),
    "depth": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", "not what safetensors has"),
    "no JSON": (b"{", b"", "not what safetensors has"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, name: str) -> None:
    header, data, message = HOSTILE[name]
    path = raw(tmp_path / "a.safetensors", header, data)
    with pytest.raises(FileError, match=message) as raised:
        open_file(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("length", [3, 2**63, 2**64 - 1, 100_000_001])
def test_lengths_of_headers_are_checked(tmp_path: Path, length: int) -> None:
    with pytest.raises(FileError, match="header"):
        open_file(raw(tmp_path / "a.safetensors", {"x": tensor(0, 0, [0])}, length=length))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    save_file({"weight": RNG.standard_normal((2, 3)), "b": np.ones(3, np.float32)}, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    for length in range(len(data)):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(data[:length])
        with pytest.raises(FileError, match=r"cut\.safetensors"):
            open_file(cut)


def test_flipped_bits_of_a_header_are_refused_or_change_no_more_than_they_say(tmp_path: Path) -> None:
    values = RNG.standard_normal((4, 3)).astype(np.float32)
    save_file({"weight": values}, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    flipped = tmp_path / "flipped.safetensors"
    for bit in range(8 * header):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        flipped.write_bytes(changed)
        try:
            with open_file(flipped) as checkpoint:
                assert [each.read().tobytes() for each in checkpoint.tensors.values()] == [values.tobytes()]
        except FileError:
            continue


def test_names_like_paths_are_names_alone(tmp_path: Path) -> None:
    path = raw(tmp_path / "a.safetensors", {"../../x\0y": tensor(0, 4, [1])}, F32)
    with open_file(path) as checkpoint:
        assert list(checkpoint.tensors) == ["../../x\0y"]
