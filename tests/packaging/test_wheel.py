"""What is built: a wheel that holds the packages and the data, nothing else, and works where it is installed."""

from __future__ import annotations

import configparser
import hashlib
import json
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gruspec import __version__

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = {"gruspec", *(init.parent.name for init in (ROOT / "backends").glob("*/__init__.py"))}
METADATA = f"gruspec-{__version__}.dist-info"
DEPENDENCIES = ("numpy", "safetensors", "click", "rich", "markdown_it", "mdurl", "pygments")


def build(source: Path, target: str, folder: Path) -> Path:
    """Build a target of a source tree and return the file."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.iterdir()
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def below(files: dict[str, bytes], prefix: str) -> dict[str, bytes]:
    return {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the wheel."""
    return contents(build(ROOT, "wheel", tmp_path_factory.mktemp("wheel")))


def test_top_level_is_the_packages(files: dict[str, bytes]) -> None:
    assert {name.partition("/")[0] for name in files} == {*PACKAGES, METADATA}
    assert {f"{package}/__init__.py" for package in PACKAGES} <= set(files)


def test_holds_every_module_and_nothing_else(files: dict[str, bytes]) -> None:
    found = {name for name in files if not name.startswith((METADATA, "gruspec/_golden/", "gruspec/_expectations/"))}
    expected = {
        f"{home.name}/{path.relative_to(home).as_posix()}"
        for home in (ROOT / "gruspec", *(ROOT / "backends").iterdir())
        for path in home.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == expected


def test_every_package_is_typed(files: dict[str, bytes]) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(files)


def test_golden_data_is_what_its_manifest_says(files: dict[str, bytes]) -> None:
    golden = below(files, "gruspec/_golden/")
    manifest = json.loads(golden["manifest.json"])
    digests = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    assert len(digests) > 10
    assert digests == {name: hashlib.sha256(golden[name]).hexdigest() for name in golden if name != "manifest.json"}


def test_data_is_that_of_the_checkout(files: dict[str, bytes]) -> None:
    assert below(files, "gruspec/_golden/") == tree(ROOT / "golden")
    assert below(files, "gruspec/_expectations/") == tree(ROOT / "expectations")
    assert below(files, "gruspec/_expectations/")


def test_entry_points(files: dict[str, bytes]) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(files[f"{METADATA}/entry_points.txt"].decode())
    declared = PYPROJECT["project"]
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "console_scripts": declared["scripts"],
        **declared["entry-points"],
    }


def test_an_editable_wheel_leaves_the_data_where_it_is(tmp_path: Path) -> None:
    editable = contents(build(ROOT, "wheel:editable", tmp_path))
    (pointer,) = [name for name in editable if "/" not in name]
    assert {Path(line) for line in editable[pointer].decode().splitlines()} == {ROOT, ROOT / "backends"}
    assert all(name.startswith(METADATA) for name in editable if name != pointer)


def test_a_source_distribution_builds_the_same_wheel(files: dict[str, bytes], tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as archive:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # the first Pythons 3.11 do not have it
        archive.extractall(tmp_path / "source", **safe)  # type: ignore[arg-type]  # noqa: S202  our own archive
    (source,) = (tmp_path / "source").iterdir()
    again = contents(build(source, "wheel", tmp_path / "wheel"))
    record = f"{METADATA}/RECORD"
    assert sorted(again) == sorted(files)
    assert [name for name in files if files[name] != again[name] and name != record] == []


@pytest.fixture(scope="module")
def python(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel installed, and of what this one has, the dependencies alone.

    A path in a ``.pth`` file is searched, but ``.pth`` files in it are not read: an editable gruspec in this
    environment cannot be imported there.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    interpreter = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True)
    site = Path(done.stdout.strip())
    for name, data in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
    origins = [spec.origin for name in DEPENDENCIES if (spec := find_spec(name)) and spec.origin]
    folders = dict.fromkeys(str(Path(origin).parents[1]) for origin in origins)
    (site / "dependencies.pth").write_text("\n".join(folders), encoding="utf-8")
    return interpreter


def run(python: Path, folder: Path, *arguments: str) -> str:
    """Run an interpreter in a folder, out of reach of this environment, and return what it prints."""
    done = subprocess.run([python, "-I", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_runs_is_the_wheel(python: Path, tmp_path: Path) -> None:
    code = (
        "import sys, gruspec, gruspec_numpy\n"
        "from gruspec.cases.suite import golden_root\n"
        "from gruspec.conformance import shipped_expectations\n"
        "print(gruspec.__file__, gruspec_numpy.__file__, golden_root(), shipped_expectations(), sep='\\n')\n"
        "print(*sys.path, sep='\\n')"
    )
    lines = [Path(line).resolve() for line in run(python, tmp_path, "-c", code).splitlines()]
    home = python.parents[1].resolve()
    assert all(path.is_relative_to(home) for path in lines[:4]), lines[:4]
    assert not {ROOT, ROOT / "backends"} & set(lines[4:])


def test_the_wheel_judges_numpy(python: Path, tmp_path: Path) -> None:
    assert "conforms" in run(python, tmp_path, "-m", "gruspec", "check", "numpy")


def test_the_console_script_lists_what_is_registered(python: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom importlib.metadata import entry_points\n"
        "(script,) = entry_points(group='console_scripts', name='gruspec')\n"
        "sys.argv = ['gruspec', 'list', '--json']\nscript.load()()"
    )
    listed = json.loads(run(python, tmp_path, "-c", code))["implementations"]
    assert {entry["name"] for entry in listed} == set(PYPROJECT["project"]["entry-points"]["gruspec.backends"])
