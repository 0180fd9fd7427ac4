"""Nothing is imported before it is needed, and nobody imports whom they must not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADAPTERS = sorted(init.parent.name for init in (ROOT / "backends").glob("*/__init__.py"))
POINTS: dict[str, dict[str, str]] = PYPROJECT["project"]["entry-points"]
IMPLEMENTED = {reference.partition(":")[0] for reference in POINTS["gruspec.backends"].values()}
FRAMEWORKS = {"tensorflow", "tf_keras", "keras", "torch", "jax", "jaxlib", "onnx", "onnxruntime", "flint"}
HEAVY = FRAMEWORKS | {"numpy"}
COMMAND = """\
from gruspec.cli import main
try:
    main({arguments})
except SystemExit as end:
    assert not end.code, end.code
"""
REGISTRY = """\
from gruspec.backend import Registry
known = Registry()
assert [known.get(name) for name in known.names()]
"""


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has imported after some code."""
    script = f"{code}\nimport sys\nprint('IMPORTED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {module.partition(".")[0] for module in done.stdout.rpartition("IMPORTED ")[2].split()}


def imported_by_command(*arguments: str) -> set[str]:
    return imported_by(COMMAND.format(arguments=list(arguments)))


def test_gruspec_imports_not_even_numpy() -> None:
    imported = imported_by("import gruspec")
    assert "gruspec" in imported
    assert not imported & (HEAVY | {"rich", "click", "safetensors", *ADAPTERS})


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--help"), ("--version",)], ids=" ".join)
def test_help_imports_neither_numpy_nor_rich(arguments: tuple[str, ...]) -> None:
    imported = imported_by_command(*arguments)
    assert "click" in imported
    assert not imported & (HEAVY | {"rich", "safetensors", *ADAPTERS})


def test_list_imports_no_framework() -> None:
    imported = imported_by_command("list")
    assert imported >= IMPLEMENTED
    assert not imported & FRAMEWORKS


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_imports_neither_its_framework_nor_numpy(adapter: str) -> None:
    imported = imported_by(f"import {adapter}")
    assert adapter in imported
    assert not imported & HEAVY
    assert imported & set(ADAPTERS) == {adapter}


def test_names_are_known_without_importing_their_implementations() -> None:
    imported = imported_by(REGISTRY)
    assert "gruspec" in imported
    assert not imported & (HEAVY | set(ADAPTERS))


def test_every_adapter_registers_what_it_has() -> None:
    assert set(ADAPTERS) - IMPLEMENTED == {"gruspec_natives"}
    for group in ("gruspec.natives", "gruspec.formats"):
        packages = {reference.partition(".")[0] for reference in POINTS[group].values()}
        assert packages <= set(ADAPTERS)
        assert ("gruspec_natives" in packages) == (group == "gruspec.natives")


@pytest.mark.parametrize("group", ["gruspec.natives", "gruspec.formats"])
def test_what_is_registered_imports_no_framework(group: str) -> None:
    modules = sorted({reference.partition(":")[0] for reference in POINTS[group].values()})
    imported = imported_by(f"import {', '.join(modules)}")
    assert imported >= {module.partition(".")[0] for module in modules}
    assert not imported & FRAMEWORKS


def test_an_import_is_noticed() -> None:
    assert {"numpy", "rich"} <= imported_by("import gruspec, numpy.linalg\nfrom rich import console")
    assert {"numpy", "gruspec_numpy"} <= imported_by("from gruspec_numpy import GRU")
    with pytest.raises(AssertionError, match="no_such_module"):
        imported_by("import no_such_module")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of ``pyproject.toml`` on a tree."""
    pytest.importorskip("importlinter")
    code = (
        f"import sys\nsys.path[:0] = {[str(root), str(root / 'backends')]}\n"
        "from importlinter.cli import lint_imports_command\nlint_imports_command(['--no-cache'])"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The packages and the contracts, copied."""
    for name in ("gruspec", "backends"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_layers_hold(tree: Path) -> None:
    done = lint_imports(tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("gruspec/spec/shapes.py", "import gruspec.backend", "layers"),
        ("gruspec/cases/model.py", "import gruspec.reference", "layers"),
        ("gruspec/backend/masks.py", "import torch", "gruspec never imports"),
        ("gruspec/conformance/judge.py", "import gruspec.certify", "the judge does not reach"),
        ("gruspec/spec/shapes.py", "import numpy", "the standard library only"),
        ("backends/gruspec_numpy/forward.py", "import gruspec.cases", "cannot see the answer"),
        ("backends/gruspec_torch/layer.py", "import gruspec_numpy", "do not know each other"),
    ],
)
def test_a_forbidden_import_is_found(module: str, statement: str, contract: str, tree: Path) -> None:
    path = tree / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{statement}\n", encoding="utf-8")
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), done.stdout
