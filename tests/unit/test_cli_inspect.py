"""``gruspec inspect``: what it tells of files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

from gruspec.cli import main
from gruspec.layouts import LAYOUTS, Sizes
from gruspec.layouts.shapes import form_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GRU: Mapping[str, tuple[int, ...]] = {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (2, 12)}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def document(*arguments: str | Path) -> dict[str, Any]:
    done = run(*arguments, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def write(path: Path, shapes: Mapping[str, tuple[int, ...]], value: float = 1.0) -> Path:
    save_file({name: np.full(shape, value, np.float32) for name, shape in shapes.items()}, path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(
        tmp_path / "model.safetensors", {f"a/rnn/{name}": shape for name, shape in GRU.items()} | {"head": (5,)}
    )


def test_gru_is_told_with_what_it_can_become(model: Path) -> None:
    done = run(model)
    assert done.exit_code == 0, done.output
    for words in ("safetensors, 4 tensors, 1 GRU", "a/rnn", "keras, reset-after, 4 units, input size 3, bias, float32"):
        assert words in done.stdout
    exactly, folded = (
        next(line for line in done.stdout.splitlines() if line.strip().startswith(heading))
        for heading in ("exactly:", "with folded biases:")
    )
    assert "torch" in exactly
    assert "linen" in folded
    assert "reset_after=False only" in done.stdout


def test_json_has_every_layout(model: Path) -> None:
    found = document(model)
    (file,) = found["files"]
    (gru,) = file["grus"]
    assert (file["path"], file["format"], file["tensors"]) == (str(model), "safetensors", 4)
    assert gru["path"] == "a/rnn"
    assert gru["layouts"] == ["keras"]
    assert gru["reset_after"] is True
    assert gru["sizes"] == {"input_size": 3, "units": 4, "layers": 1, "directions": 1}
    assert gru["names"] == {name: f"a/rnn/{name}" for name in GRU}
    assert set(gru["becomes"]) == set(LAYOUTS)
    assert gru["becomes"]["torch"] == "exact"
    assert gru["becomes"]["linen"] == "folded"
    assert "reset_after=True" in gru["becomes"]["haiku"]
    assert found["problems"] == []


def test_zero_biases_make_more_exact(tmp_path: Path) -> None:
    path = write(tmp_path / "zeros.safetensors", GRU, 0.0)
    (gru,) = document(path)["files"][0]["grus"]
    assert gru["becomes"]["linen"] == gru["becomes"]["nnx"] == "exact"


def test_variant_that_the_file_does_not_tell_can_be_told(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in GRU.items() if name != "bias"}
    path = write(tmp_path / "nobias.safetensors", shapes)
    assert "variant not told" in run(path).stdout
    (gru,) = document(path)["files"][0]["grus"]
    assert "reset_after=False" in gru["becomes"]["torch"]
    (gru,) = document(path, "--reset-after")["files"][0]["grus"]
    assert gru["becomes"]["torch"] == "exact"
    (gru,) = document(path, "--reset-before")["files"][0]["grus"]
    assert gru["becomes"]["haiku"] == "exact"


def test_what_depends_on_the_variant_says_on_which(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in GRU.items() if name != "bias"}
    shown = " ".join(run(write(tmp_path / "nobias.safetensors", shapes)).stdout.split())
    assert "exactly: keras, onnx, openvino, webnn-zrn, webnn-rzn, onednn exactly, if reset-after: torch," in shown
    assert "exactly, if reset-before: tf-gru-cell, tf-gru-block-cell, haiku not" in shown
    assert "haiku, if reset-after: reset_after=True: it has reset_after=False only" in shown
    assert "exact;" not in shown


def test_sizes_of_one_vector_can_be_told(tmp_path: Path) -> None:
    (shape,) = form_shapes(LAYOUTS["cudnn"], LAYOUTS["cudnn"].forms[0], Sizes(3, 2, layers=2, directions=2)).values()
    path = write(tmp_path / "vector.safetensors", {"rnn.params": shape})
    told = run(path)
    assert "only its name and its length say that this is a GRU; units=None" in " ".join(told.stdout.split())
    assert "exactly:" not in told.stdout
    shown = run(path, "--units", "2", "--stack", "2", "2").stdout
    assert "cannot be read" not in shown
    assert "exactly: keras, torch" in shown
    assert "cannot be read" in run(path, "--units", "2", "--stack", "9", "2").stdout


def test_tensors_of_several_dtypes_are_told(tmp_path: Path) -> None:
    arrays = {name: np.ones(shape, np.float64 if name == "bias" else np.float32) for name, shape in GRU.items()}
    save_file(arrays, tmp_path / "mixed.safetensors")
    shown = " ".join(run(tmp_path / "mixed.safetensors").stdout.split())
    for words in ("bias, float64 and float32", "cannot be read: dtypes:", "bias float64", "kernel float32"):
        assert words in shown


def test_names_do_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {f"\x1b[2Je/{name}": shape for name, shape in GRU.items()})
    done = run(path)
    assert "\\x1b[2Je" in done.stdout
    assert "\x1b" not in done.output


def test_activation_that_is_told_counts(model: Path) -> None:
    (gru,) = document(model, "--recurrent-activation", "hard_sigmoid")["files"][0]["grus"]
    assert "hard_sigmoid" in gru["becomes"]["torch"]
    assert gru["becomes"]["onnx"] == "exact"


def test_files_without_a_gru_end_with_1(tmp_path: Path) -> None:
    done = run(write(tmp_path / "none.safetensors", {"weight": (5, 5)}))
    assert done.exit_code == 1
    assert "1 tensor, no GRU" in done.stdout


def test_of_many_files_the_others_are_told(model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model.read_bytes()[:-1])
    done = run(damaged, model)
    assert done.exit_code == 3
    assert str(damaged) in done.stderr
    assert "a/rnn" in done.stdout
    (problem,) = document(damaged, model)["problems"]
    assert problem["path"] == str(damaged)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--format", "zip"), "no such file format"),
        (("--from", "theano"), "no such layout"),
        (("--from", "onnx"), "no GRU is in layout onnx; what is there is in keras"),
        (("--activation", "Tnah"), "did you mean tanh?"),
    ],
)
def test_wrong_use_ends_with_2(model: Path, arguments: tuple[str, ...], word: str) -> None:
    done = run(model, *arguments)
    assert done.exit_code == 2
    assert word in done.stderr


def test_missing_file_ends_with_3(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere.pt")
    assert done.exit_code == 3
    assert "nowhere.pt" in done.stderr


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_help_imports_neither_numpy_nor_files(command: str) -> None:
    script = (
        "import sys\nfrom gruspec.cli import main\n"
        f"try:\n    main(['{command}', '--help'])\nexcept SystemExit:\n    print('IMPORTED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(done.stdout.rpartition("IMPORTED ")[2].split())
    assert f"gruspec.cli.{command}" in imported
    assert not imported & {"numpy", "rich", "gruspec.files", "gruspec.layouts", "torch", "tensorflow"}
