"""An implementation that gruspec has never heard of is one file, judged from the folder it stands in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ADAPTER = Path(__file__).parents[1] / "third_party" / "slow_gru.py"


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gruspec", "check", f"{ADAPTER.stem}:backend", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_conforms() -> None:
    done = check(ADAPTER.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conforms" in done.stdout


def test_a_wrong_one_does_not(tmp_path: Path) -> None:
    source = ADAPTER.read_text(encoding="utf-8")
    right = "z * h + (1 - z) * c"
    assert source.count(right) == 1
    (tmp_path / ADAPTER.name).write_text(source.replace(right, "z * c + (1 - z) * h"), encoding="utf-8")
    done = check(tmp_path, "--topic", "elementary", "--dtype", "float32")
    assert done.returncode == 1, done.stdout + done.stderr


def test_it_has_fewer_than_60_lines_of_code() -> None:
    lines = ADAPTER.read_text(encoding="utf-8").splitlines()
    docstring = ast.parse("\n".join(lines)).body[0]
    of_docstring = range(docstring.lineno - 1, docstring.end_lineno or 0)
    code = [line for number, line in enumerate(lines) if line.strip() and number not in of_docstring]
    assert len([line for line in code if not line.lstrip().startswith("#")]) < 60
