import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, open_file, streaming
from gruspec.files.npz import NpzFormat

RNG = np.random.default_rng(5)
ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "gru/kernel": RNG.standard_normal((2, 12)),
    "half": RNG.standard_normal(3).astype(np.float16),
    "number": np.array(3),
    "empty": np.zeros((0, 4), np.float32),
    "columns": np.asfortranarray(RNG.standard_normal((3, 4))),
    "text": np.array(["ab", "c"]),
    "complex": np.array([1j]),
    "flags": np.array([True, False]),
}


def entry_of(name: str, values: np.ndarray[Any, Any]) -> Entry:
    def fill(array: np.ndarray[Any, Any]) -> None:
        array[...] = values

    return Entry(name, values.shape, values.dtype, fill)


def npy(values: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", big=np.arange(3, dtype=">f8"), **ARRAYS)
    with open_file(tmp_path / "a.npz") as checkpoint:
        assert checkpoint.mapped == (save is np.savez)
        for name, values in ARRAYS.items():
            read = checkpoint.tensors[name].read()
            assert (read.dtype, read.shape) == (values.dtype, values.shape)
            assert np.array_equal(read, values)
        big = checkpoint.tensors["big"]
        assert big.dtype == big.read().dtype == np.dtype(float)
        assert big.read().tolist() == [0, 1, 2]
        if checkpoint.mapped:
            assert not checkpoint.tensors["gru/kernel"].read().flags.owndata


def test_what_is_written_numpy_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LARGE", 64)
    NpzFormat().write(
        tmp_path / "a.npz", Contents(tuple(entry_of(name, values) for name, values in ARRAYS.items()), ())
    )
    with np.load(tmp_path / "a.npz") as loaded:
        assert loaded.files == list(ARRAYS)
        for name, values in ARRAYS.items():
            assert (loaded[name].dtype, loaded[name].shape) == (values.dtype, values.shape)
            assert np.array_equal(loaded[name], values)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_same_contents_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        NpzFormat().write(tmp_path / name, Contents((entry_of("x", np.ones(3)),), ()))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pickles_are_left_and_never_executed(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", trap=np.array([Trap()], object), x=np.ones(2))
    with open_file(tmp_path / "a.npz") as checkpoint:
        assert [tensor.read().tolist() for tensor in checkpoint.tensors.values()] == [[1.0, 1.0]]
        assert "pickled" in checkpoint.left["trap"]


def test_members_that_are_no_arrays_are_left(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(2))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("readme.txt", "hello")
    with open_file(tmp_path / "a.npz") as checkpoint:
        assert checkpoint.left == {"readme.txt": "no array"}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "x\0y"])
def test_names_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    refused = NpzFormat().refuses(entry_of(name, np.ones(1)))
    assert refused is not None
    with pytest.raises(RefusedFile, match="cannot be the name"):
        NpzFormat().write(tmp_path / "b.npz", Contents((entry_of(name, np.ones(1)),), ()))
    harmless = "Q" * len(name + ".npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(harmless, npy(np.ones(1)))
    data = (tmp_path / "a.npz").read_bytes().replace(harmless.encode(), f"{name}.npy".encode())
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(FileError, match="cannot be the name of an array"):
        open_file(tmp_path / "a.npz", format="npz")


def test_bfloat16_is_refused_with_the_way_out(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (ml_dtypes.bfloat16, ml_dtypes.float8_e5m2):
        with pytest.raises(RefusedFile, match="dtype='float32'"):
            NpzFormat().write(tmp_path / "a.npz", Contents((entry_of("x", np.ones(2, dtype)),), ()))


def test_name_that_is_refused_says_nothing_of_dtypes(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match=r"cannot be the name of a member of an archive$"):
        NpzFormat().write(tmp_path / "a.npz", Contents((entry_of("../x", np.ones(2)),), ()))


def test_duplicates_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy(np.ones(1)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", npy(np.zeros(1)))
    with pytest.raises(FileError, match=r"'x\.npy' .* is there twice"):
        open_file(tmp_path / "a.npz")


@pytest.mark.parametrize("size", [40_000_000, 3_000_000_000])
def test_bombs_are_refused_before_they_expand(tmp_path: Path, size: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(np.zeros(5_000_000)))
    data = (tmp_path / "a.npz").read_bytes()
    old = struct.pack("<I", 40_000_128)
    assert old in data
    (tmp_path / "a.npz").write_bytes(data.replace(old, struct.pack("<I", size)))
    with pytest.raises(FileError, match="expands to"):
        open_file(tmp_path / "a.npz")


def test_a_member_that_expands_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    whole = npy(np.zeros(1000))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", whole)
    header = npy(np.zeros(10))[:128]
    replaced = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = replaced.compress(header + b"\0" * 8000) + replaced.flush()
    data = bytearray()
    short = len(header) + 80
    crc = zlib.crc32(header + b"\0" * 80)
    name = b"x.npy"
    data += struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(body), short, len(name), 0) + name + body
    directory = len(data)
    data += struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(body), short, len(name), 0, 0, 0, 0, 0, 0
    )
    data += name
    data += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(data) - directory, directory, 0)
    (tmp_path / "a.npz").write_bytes(data)
    with open_file(tmp_path / "a.npz") as checkpoint:
        values = checkpoint.tensors["x"].read()
        assert values.shape == (10,)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"descr": "<f8", "fortran_order": False, "shape": (2**62, 4)}, "is no shape"),
        ({"descr": "<f8", "fortran_order": False, "shape": (0, 2**63)}, "is no shape"),
        ({"descr": "<f8", "fortran_order": False, "shape": (-1,)}, "is no shape"),
        ({"descr": "<f8", "fortran_order": False, "shape": (1,) * 70}, "is no shape"),
        ({"descr": "<f8", "fortran_order": False, "shape": (100,)}, "has 800 bytes, and the member has 16"),
        ({"descr": "<f8", "fortran_order": False, "shape": (1,)}, "has 8 bytes, and the member has 16"),
        ({"descr": "<f9", "fortran_order": False, "shape": (2,)}, "not a whole npz archive"),
        ({"descr": "<f8", "fortran_order": False, "shape": "no"}, "not a whole npz archive"),
        ({"descr": "<f8", "fortran_order": False, "shape": (2,), "x": 1}, "not a whole npz archive"),
    ],
)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_headers_that_lie_are_refused(tmp_path: Path, header: dict[str, Any], message: str, compression: int) -> None:
    text = repr(header).encode().ljust(245) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + b"\0" * 16)
    with pytest.raises(FileError, match=message):
        open_file(tmp_path / "a.npz")


def test_code_in_a_header_is_not_executed(tmp_path: Path) -> None:
    text = b"__import__('os').abort()".ljust(245) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
    with pytest.raises(FileError, match="not a whole npz archive"):
        open_file(tmp_path / "a.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
        archive.writestr("x.npy", npy(np.ones(1)))
    with pytest.raises(FileError, match="not write"):
        open_file(tmp_path / "a.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_truncation_is_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", weight=RNG.standard_normal((2, 3)))
    data = (tmp_path / "a.npz").read_bytes()
    for length in range(0, len(data), 3):
        cut = tmp_path / "cut.npz"
        cut.write_bytes(data[:length])
        with pytest.raises(FileError, match=r"cut\.npz"):
            open_file(cut)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_flipped_bit_changes_a_value(tmp_path: Path, save: Callable[..., None]) -> None:
    values = RNG.standard_normal((2, 3))
    save(tmp_path / "a.npz", weight=values)
    data = (tmp_path / "a.npz").read_bytes()
    flipped = tmp_path / "flipped.npz"
    refused = 0
    for byte in range(len(data)):
        changed = bytearray(data)
        changed[byte] ^= 1 << byte % 8
        flipped.write_bytes(changed)
        try:
            with open_file(flipped, format="npz") as checkpoint:
                assert all(tensor.read().tobytes() == values.tobytes() for tensor in checkpoint.tensors.values())
        except FileError:
            refused += 1
    assert refused > len(data) // 2


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_far_behind_the_header_is_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", weight=RNG.standard_normal(10_000))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with open_file(tmp_path / "a.npz") as checkpoint, pytest.raises(FileError, match=r"a\.npz: weight\.npy"):
        checkpoint.tensors["weight"].read()
