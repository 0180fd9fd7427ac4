"""Parity over random cases, which have bounds but no expected values, tells a wrong GRU from a right one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
RIGHT = "else y), np.where(now, new, h)"
WRONG = "else h), np.where(now, new, h)"


def parity(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gruspec", "parity", "numpy", "slow_gru:backend", "--random", "30"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_right_gru_agrees() -> None:
    done = parity(THIRD_PARTY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 0: 30 cases" in done.stdout


def test_wrong_gru_disagrees(tmp_path: Path) -> None:
    source = (THIRD_PARTY / "slow_gru.py").read_text(encoding="utf-8")
    assert source.count(RIGHT) == 1
    (tmp_path / "slow_gru.py").write_text(source.replace(RIGHT, WRONG), encoding="utf-8")
    done = parity(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "differ" in done.stdout


def test_golden_selection_is_refused() -> None:
    command = [sys.executable, "-m", "gruspec", "parity", "numpy", "--random", "3", "--topic", "basic"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "leave out --topic" in done.stderr
