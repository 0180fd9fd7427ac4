"""Checkpoints larger than the memory that a process may have."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gruspec.files import Contents, Entry, convert_file, formats, open_file
from gruspec.files.streaming import LARGE

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as Linux has them")

LIMIT = 200_000_000
UNITS = 3500
CONVERTING = f"""
import resource, sys
import numpy as np
from gruspec.files import convert_file
resource.setrlimit(resource.RLIMIT_DATA, ({LIMIT}, {LIMIT}))
try:
    np.ones({LIMIT}, np.uint8)
except MemoryError:
    pass
else:
    raise SystemExit("the limit does not hold")
result = convert_file(sys.argv[1], sys.argv[2], sys.argv[3])
print(result.target_sha256)
"""


def contents() -> Contents:
    """Return a GRU each of whose kernels is more than is made in memory, and another large tensor."""
    shapes = {
        "rnn/kernel": (UNITS, 3 * UNITS),
        "rnn/recurrent_kernel": (UNITS, 3 * UNITS),
        "rnn/bias": (2, 3 * UNITS),
        "embedding": (60_000_000,),
    }
    assert 4 * UNITS * 3 * UNITS > LARGE
    return Contents(tuple(Entry(name, shape, np.dtype(np.float32), fill) for name, shape in shapes.items()), ())


def fill(values: np.ndarray[Any, Any]) -> None:
    drawn = np.random.default_rng(len(values)).integers(0, 2**32, 1 << 20, dtype=np.uint32).view(np.float32)
    flat = values.reshape(-1)
    for start in range(0, len(flat), len(drawn)):
        flat[start : start + len(drawn)] = drawn[: len(flat) - start]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_a_file_larger_than_memory_is_converted(folder: Path, ending: str) -> None:
    source, target = folder / f"keras.{ending}", folder / f"torch.{ending}"
    formats().get(ending).load().write(source, contents())
    assert source.stat().st_size > 2 * LIMIT
    done = subprocess.run(
        [sys.executable, "-c", CONVERTING, source, target, "torch"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    with open_file(source) as before, open_file(target) as after:
        kernel, moved = before.tensors["rnn/kernel"].read(), after.tensors["rnn.weight_ih_l0"].read()
        for torch_gate, keras_gate in enumerate((1, 0, 2)):
            rows, columns = (slice(gate * UNITS, (gate + 1) * UNITS) for gate in (torch_gate, keras_gate))
            assert np.array_equal(moved[rows].view("u4"), kernel[:, columns].T.view("u4"))


@pytest.mark.parametrize("dtype", [None, "float64", "float16"])
def test_no_copy_of_a_whole_tensor_is_made_on_the_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str | None
) -> None:
    import tracemalloc

    monkeypatch.setattr("gruspec.files.streaming.LARGE", 1 << 20)
    units = 1000
    shapes = {"kernel": (units, 3 * units), "recurrent_kernel": (units, 3 * units), "x": (10_000_000,)}

    def small(values: np.ndarray[Any, Any]) -> None:
        values[...] = 1

    entries = tuple(Entry(name, shape, np.dtype(np.float32), small) for name, shape in shapes.items())
    formats().get("safetensors").load().write(folder / "a.safetensors", Contents(entries, ()))
    tracemalloc.start()
    try:
        convert_file(
            folder / "a.safetensors",
            folder / "b.safetensors",
            "torch",
            dtype=dtype,
            reset_after=True,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6
