import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from safetensors.numpy import save_file

from gruspec.errors import FileError, MissingDependency, PluginError, RefusedFile, UsageError
from gruspec.files import Checkpoint, Format, FormatRegistry, open_file
from gruspec.files.format import GROUP


class Plain(Format):
    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "plain text"
    suffixes: ClassVar[tuple[str, ...]] = (".plain",)
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None

    def recognises(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes().startswith(b"plain")

    def read(self, path: Path) -> Checkpoint:
        return Checkpoint(path, self.name, {}, ())


class Inner(Plain):
    name: ClassVar[str] = "inner"
    suffixes: ClassVar[tuple[str, ...]] = (".inner.plain",)


class ReadOnly(Plain):
    name: ClassVar[str] = "read-only"
    suffixes: ClassVar[tuple[str, ...]] = (".ro",)
    writable: ClassVar[bool] = False


class Needy(Plain):
    name: ClassVar[str] = "needy"
    suffixes: ClassVar[tuple[str, ...]] = (".needy",)
    modules: ClassVar[tuple[str, ...]] = ("numpy", "no_such_module.inner")
    extra: ClassVar[str | None] = "needs"

    def recognises(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes().startswith(b"needy")


class Misnamed(Plain):
    name: ClassVar[str] = "another"


def broken() -> None:
    raise RuntimeError("broken")


def registry(**references: str) -> FormatRegistry:
    points = [EntryPoint(name.replace("_", "-"), reference, GROUP) for name, reference in references.items()]
    return FormatRegistry(points)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> FormatRegistry:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    here = "test_files_registry"
    return registry(
        plain=f"{here}:Plain",
        inner=f"{here}:Inner",
        read_only=f"{here}:ReadOnly",
        needy=f"{here}:Needy",
        misnamed=f"{here}:Misnamed",
        raising=f"{here}:broken",
        no_module="no_such_module_at_all:Format",
        no_attribute=f"{here}:Nothing",
        no_format="builtins:dict",
    )


def test_formats_are_found_by_what_is_in_the_file_and_broken_ones_are_passed_over(
    known: FormatRegistry, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"plain text")
    assert known.open_file(tmp_path / "a.bin").format == "plain"
    (tmp_path / "a.inner.plain").write_bytes(b"plain text")
    assert known.open_file(tmp_path / "a.inner.plain").format == "inner"
    save_file({"x": np.ones(2)}, tmp_path / "named.plain")
    assert known.open_file(tmp_path / "named.plain").format == "safetensors"


def test_what_no_format_knows_is_refused_with_what_is_known_and_what_is_broken(
    known: FormatRegistry, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"unknown text")
    with pytest.raises(FileError) as raised:
        known.open_file(tmp_path / "a.bin")
    for text in ("a.bin: not a file that gruspec knows", "safetensors", "plain (plain text)", "raising:", "no-module:"):
        assert text in str(raised.value)


def test_what_has_the_ending_of_a_format_and_not_its_contents_is_damaged(known: FormatRegistry, tmp_path: Path) -> None:
    (tmp_path / "a.inner.plain").write_bytes(b"unknown text")
    with pytest.raises(FileError, match=r"ends in \.inner\.plain but is not a file of format inner: it is damaged"):
        known.open_file(tmp_path / "a.inner.plain")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("misnamed", "names itself 'another'"),
        ("raising", "RuntimeError: broken"),
        ("no-module", "ModuleNotFoundError"),
        ("no-attribute", "AttributeError"),
        ("no-format", "gives dict, which is not a Format"),
    ],
)
def test_broken_plugins_say_what_is_wrong(known: FormatRegistry, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a").write_bytes(b"plain")
    with pytest.raises(PluginError, match=message):
        known.open_file(tmp_path / "a", format=name)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(PluginError, match=r"npz: registered by gruspec as .* and by None as x:Y"):
        registry(npz="x:Y")


def test_missing_modules_name_the_extra(known: FormatRegistry, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"needy")
    with pytest.raises(MissingDependency, match=r"no_such_module\.inner.*pip install 'gruspec\[needs\]'"):
        known.open_file(tmp_path / "a")
    with pytest.raises(MissingDependency, match="needs"):
        known.format_for_writing(tmp_path / "b.needy")


def test_formats_to_write_are_found_by_the_longest_ending(known: FormatRegistry) -> None:
    assert known.format_for_writing("a.b.SAFETENSORS").name == "safetensors"
    assert known.format_for_writing("a.plain").name == "plain"
    assert known.format_for_writing("a.inner.plain").name == "inner"
    assert known.format_for_writing("a.npz", "plain").name == "plain"


def test_formats_that_cannot_be_written_are_refused(known: FormatRegistry) -> None:
    with pytest.raises(RefusedFile, match=r"a\.ro: read-only files are read, not written"):
        known.format_for_writing("a.ro")
    with pytest.raises(UsageError, match=r"a\.x: its name tells no format; .*\.safetensors \(safetensors\)"):
        known.format_for_writing("a.x")
    with pytest.raises(UsageError, match="safetensor: no such file format; did you mean safetensors"):
        known.format_for_writing("a.x", "safetensor")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        open_file(tmp_path / "nothing")
    with pytest.raises(FileError, match="cannot be read"):
        open_file(tmp_path / "nothing", format="npz")
    (tmp_path / "empty.npz").touch()
    with pytest.raises(FileError, match="is empty"):
        open_file(tmp_path / "empty.npz")
    with pytest.raises(FileError, match="not a file that gruspec knows"):
        open_file(tmp_path)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(FileError, match="neither a file nor a folder"):
        open_file(tmp_path / "pipe.npz")


def test_names_are_listed_without_importing() -> None:
    assert FormatRegistry([EntryPoint("x", "no_such_module:X", GROUP)]).names()[-1] == "x"
