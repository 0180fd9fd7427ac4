"""The fuzzing notices what it is there for: crashes, hangs, memory, errors that are not gruspec's."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from file_damage import Choices, damage_member, inflate_member, mutated, rename_member
from file_reader import Reader
from fuzz_files import Fuzzing, damaged
from whole_files import shared

if TYPE_CHECKING:
    from pathlib import Path

PLANTED = """
import os, time
import numpy as np
from gruspec.errors import FileError
from gruspec.files import Checkpoint, Format, Tensor

class Planted(Format):
    name, title, suffixes = "planted", "a format that goes wrong", (".planted",)

    def recognises(self, path):
        return path.suffix == ".planted"

    def read(self, path):
        what = path.read_bytes()
        if what == b"crash":
            os.abort()
        if what == b"hang":
            time.sleep(60)
        if what == b"memory":
            np.ones(100 * 2**20, np.uint8)
        if what == b"own error":
            raise FileError("damaged")
        if what == b"other error":
            raise KeyError("damaged")
        shape = (3,) if what == b"inconsistent" else (2,)
        tensor = Tensor("x", shape, np.dtype("f4"), lambda: np.zeros(2, "f4"))
        return Checkpoint(path, "planted", {"x": tensor}, ())
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register a format that goes wrong as its files say; yield a folder."""
    place = tmp_path / "installed"
    distribution = place / "planted-1.0.dist-info"
    distribution.mkdir(parents=True)
    (place / "planted_format.py").write_text(PLANTED, encoding="utf-8")
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n", encoding="utf-8")
    points = "[gruspec.formats]\nplanted = planted_format:Planted\n"
    (distribution / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
    folder = tmp_path / "seed"
    folder.mkdir()
    (folder / "whole.planted").write_bytes(b"whole")
    return folder


def test_reader_tells_what_came_of_a_file(planted: Path) -> None:
    reader = Reader("planted", [planted / "whole.planted"], 3.0)
    expected = {
        "whole": "read",
        "own error": "refused",
        "other error": "exception",
        "inconsistent": "inconsistent",
        "crash": "crash",
        "hang": "hang",
        "memory": "read",
    }
    try:
        found = {}
        for what in expected:
            path = planted / f"{what}.planted"
            path.write_bytes(what.encode())
            found[what] = reader.ask(path)
    finally:
        reader.end()
    assert {what: answer.outcome for what, answer in found.items()} == expected
    assert "KeyError" in found["other error"].detail
    assert found["memory"].memory > 95 * 2**20
    assert found["own error"].memory < 8 * 2**20


def test_findings_are_counted_and_can_be_told_again(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = (b"own error", b"other error", b"memory", b"crash")

    def planned(key: str, _: bytes, __: bytes) -> tuple[str, bytes]:
        return "planned", outcomes[int(key.split("/")[3]) % len(outcomes)]

    monkeypatch.setattr("fuzz_files.mutated", planned)
    seeds = {"planted": [planted / "whole.planted"]}
    fuzzing = Fuzzing(seeds, {"planted": range(8)}, "fuzz/0", planted.parent / "work", 20.0, None)
    fuzzing.run(2)
    tally = fuzzing.tallies["planted"]
    assert tally.outcomes == Counter({"refused": 2, "exception": 2, "memory": 2, "crash": 2})
    assert sorted(number for number, _, _ in tally.findings) == [1, 2, 3, 5, 6, 7]


def test_damage_is_the_same_always_and_is_damage() -> None:
    data, other = bytes(range(256)) * 8, b"0123456789" * 100
    files = [mutated(f"fuzz/0/x/{number}", data, other) for number in range(300)]
    assert files == [mutated(f"fuzz/0/x/{number}", data, other) for number in range(300)]
    assert sum(damage != data for _, damage in files) > 280
    assert len({name for name, _ in files}) >= 9
    assert files != [mutated(f"fuzz/1/x/{number}", data, other) for number in range(300)]


@pytest.fixture
def data() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.arange(50.0))
    return stream.getvalue()


def test_archives_are_damaged_within_too(data: bytes) -> None:
    damages = {damage_member(Choices(f"fuzz/0/zip/{number}"), data, data) for number in range(50)}
    contents = set()
    for damage in damages:
        with zipfile.ZipFile(io.BytesIO(damage)) as archive:
            contents.add(archive.read("x.npy"))
    assert len(contents) > 40
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("x.npy") not in contents


def test_names_in_archives_lead_out_of_them(data: bytes) -> None:
    names = set()
    for number in range(50):
        with zipfile.ZipFile(io.BytesIO(rename_member(Choices(f"fuzz/0/zip/{number}"), data, data))) as archive:
            names.update(archive.namelist())
    assert "../escaped" in names


def test_small_members_hold_more_than_a_reader_may_take(data: bytes) -> None:
    damages = [inflate_member(Choices(f"fuzz/0/zip/{number}"), data, data) for number in range(8)]
    assert max(map(len, damages)) < 2**20
    sizes = []
    for damage in damages:
        with zipfile.ZipFile(io.BytesIO(damage)) as archive:
            sizes.append(archive.infolist()[0].file_size)
    assert max(sizes) > 90 * 2**20
    assert min(sizes) < 2**10


def test_one_file_of_many_is_damaged(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    (seed / "model" / "deep").mkdir(parents=True)
    for name in ("model/a", "model/deep/b", "beside"):
        (seed / name).write_bytes(name.encode() * 40)
    path, what = damaged("fuzz/0/x/1", [seed / "model"], tmp_path / "place")
    assert path == tmp_path / "place" / "model"
    changed = [
        name
        for name in ("model/a", "model/deep/b", "beside")
        if (tmp_path / "place" / name).read_bytes() != name.encode() * 40
    ]
    assert len(changed) == 1
    assert what.endswith(changed[0])


def test_every_format_gets_a_share() -> None:
    counts = shared(20_000, ["npz", "keras-h5", "orbax"])
    assert sum(counts.values()) >= 20_000
    assert counts["npz"] > counts["keras-h5"] > counts["orbax"] > 0
