"""Damaged copies of files, read in a child process: each is refused by an error of gruspec, or gives the right numbers.

Run as a script with the path, the format, how many, and a seed; prints one line of JSON.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gruspec.errors import GruspecError
from gruspec.files import open_file

_SLOW = 5.0


def damaged_reads(path: Path, form: str, count: int, *, seed: int, checked: bool = True) -> dict[str, Any]:
    """Run this script; a crash or a hang of it is an error of the caller.

    Parameters
    ----------
    path
        A file or folder, or the prefix of several files.
    form
        Name of its format.
    count
        How many damaged copies.
    seed
        Of the damage.
    checked
        Whether the format has checksums, so that other numbers are wrong.
    """
    command = [sys.executable, __file__, str(path), form, str(count), str(seed), str(int(checked))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    report: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return report


def _files(path: Path) -> list[Path]:
    found = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
    return sorted(entry for entry in found if entry.is_file())


def _damaged(data: bytes, chance: np.random.Generator) -> bytes:
    if not data:
        return b"\x01"
    changed = bytearray(data)
    start = int(chance.integers(len(data)))
    match int(chance.integers(6)):
        case 0:
            changed[start] ^= 1 << int(chance.integers(8))
        case 1:
            changed[start : start + 8] = chance.bytes(8)
        case 2:
            del changed[start:]
        case 3:
            changed[start:start] = chance.bytes(int(chance.integers(1, 40)))
        case 4:
            changed[start : start + 4] = b"\xff" * 4
        case _:
            del changed[start : start + int(chance.integers(1, 40))]
    return bytes(changed)


def _digest(path: Path, form: str) -> dict[str, tuple[str, str]]:
    with open_file(path, format=form) as opened:
        return {
            name: (f"{tensor.dtype}{tensor.shape}", hashlib.sha256(tensor.read().tobytes()).hexdigest())
            for name, tensor in opened.tensors.items()
        }


def _main(path: Path, form: str, count: int, seed: int, *, checked: bool) -> dict[str, Any]:
    whole = _digest(path, form)
    outcomes = {"right": 0, "refused": 0}
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(count):
            folder = Path(name) / str(number)
            shutil.copytree(path if path.is_dir() else path.parent, folder)
            copy = folder if path.is_dir() else folder / path.name
            chance = np.random.default_rng([seed, number])
            files = _files(copy)
            victim = files[int(chance.integers(len(files)))]
            victim.write_bytes(_damaged(victim.read_bytes(), chance))
            start = time.monotonic()
            try:
                read = _digest(copy, form)
            except GruspecError as error:
                outcomes["refused"] += 1
                if folder.name not in str(error):
                    wrong.append(f"{number}: names no file: {error}")
            except Exception as error:  # noqa: BLE001  whatever else is raised is what this looks for
                wrong.append(f"{number}: {victim.name}: {type(error).__name__}: {error}")
            else:
                outcomes["right"] += 1
                if checked and any(whole.get(tensor) != found for tensor, found in read.items()):
                    wrong.append(f"{number}: {victim.name}: other numbers")
            if time.monotonic() - start > _SLOW:
                wrong.append(f"{number}: {victim.name}: took {time.monotonic() - start:.1f} s")
            shutil.rmtree(folder)
    frameworks = sorted({"tensorflow", "torch", "jax", "flax", "orbax.checkpoint", "tensorstore"} & set(sys.modules))
    return {**outcomes, "wrong": wrong, "imported": frameworks}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    report = _main(Path(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3]), checked=arguments[4] == "1")
    sys.stdout.write(json.dumps(report) + "\n")
