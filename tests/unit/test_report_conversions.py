"""The report on conversions of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

from gruspec.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def converted(path: Path, *, recurrent_bias: float, below: str = "") -> Result:
    """Fold the biases of a GRU of Keras, whose input biases are 1."""
    arrays = {"kernel": np.ones((3, 12)), "recurrent_kernel": np.ones((4, 12)), "bias": np.ones((2, 12))}
    arrays["bias"][1] = recurrent_bias
    save_file({f"{below}{name}": values for name, values in arrays.items()}, path / "a.safetensors")
    arguments = ("convert", path / "a.safetensors", path / "a.npz", "--to", "linen", "--allow-folding", "--no-verify")
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_sums_without_rounding_are_said_to_move_nothing(tmp_path: Path) -> None:
    done = converted(tmp_path, recurrent_bias=1)
    assert "folded biases move outputs by nothing in 1 step, nothing in" in done.stdout, done.output


def test_sums_with_rounding_are_bounded(tmp_path: Path) -> None:
    done = converted(tmp_path, recurrent_bias=1e-10)
    assert "folded biases move outputs by at most " in done.stdout, done.output
    assert "in 1 step, at most" in " ".join(done.stdout.split())


def test_names_do_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    done = converted(tmp_path, recurrent_bias=1, below="\x1b[2Jrnn/")
    assert "\\x1b[2Jrnn: keras -> linen" in done.stdout, done.output
    assert "\x1b" not in done.stdout
