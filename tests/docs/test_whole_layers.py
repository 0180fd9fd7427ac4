"""The page about whole layers is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gruspec.spec.clauses import CLAUSES

PAGE = Path(__file__).parents[2] / "docs" / "whole-layers.md"
TEXT = PAGE.read_text(encoding="utf-8")
RUN = """\
import doctest, sys
options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
found = doctest.testfile(sys.argv[1], module_relative=False, optionflags=options)
sys.exit(found.failed != 0 or found.attempted < 30)
"""


def run(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the examples of a page where TensorFlow has its legacy Keras, which is chosen once for a process."""
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", RUN, str(page)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True, scope="module")
def frameworks() -> None:
    for name in ("tensorflow", "tf_keras", "torch", "jax", "onnx", "onnxruntime"):
        pytest.importorskip(name)


def test_examples_hold(tmp_path: Path) -> None:
    done = run(PAGE, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["layer.onnx"]


def test_a_wrong_example_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("```python\n" + 30 * ">>> 1 + 1\n2\n" + ">>> 1 + 1\n3\n\n```\n", encoding="utf-8")
    done = run(tmp_path / "page.md", tmp_path)
    assert done.returncode == 1
    assert "Expected:" in done.stdout


def test_clauses_cited_by_the_page_exist() -> None:
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    cited = {name.strip() for names in re.findall(r"\[([a-z][a-z,\s-]*)\](?!\()", prose) for name in names.split(",")}
    assert len(cited) == 3
    assert cited <= set(CLAUSES)
