"""A large safetensors checkpoint converted from Keras to torch, against copying the file, and the memory that it takes.

::

    python benchmarks/checkpoint_speed.py --gigabytes 2

Half of the file are GRUs of several sizes, the rest other tensors. Converting includes hashing both files, reading the
target back, comparing it bit for bit and writing it through to the disk; copying is ``shutil.copyfile`` and ``fsync``.
Each is done several times in turn, in one run; the medians are compared. Peak anonymous memory is the largest
``RssAnon`` of ``/proc/self/status`` (Linux) seen during a conversion, in a process that does nothing else.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.files import Contents, Entry, convert_file, formats

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LOWEST_RATIO = 0.5
MOST_ANONYMOUS = 300e6
GIGABYTE = 10**9
UNITS = (4096, 2048, 1024, 512, 256)
"""Sizes of the GRUs; they take turns until half of the file is full."""
OTHER = 64_000_000
"""Most bytes of a tensor that is no part of a GRU."""


def contents(gigabytes: float) -> Contents:
    """Return GRUs in the layout of Keras and other tensors, of a size together."""
    entries: list[Entry] = []
    room = int(gigabytes * GIGABYTE) // 2
    for number in range(10_000):
        units = [units for units in UNITS if 6 * units * (units + 1) * 4 <= room]
        if not units:
            break
        size = units[number % len(units)]
        shapes = {"kernel": (size, 3 * size), "recurrent_kernel": (size, 3 * size), "bias": (2, 3 * size)}
        entries += [_entry(f"layer_{number}/gru/{name}", shape) for name, shape in shapes.items()]
        room -= 6 * size * (size + 1) * 4
    rest = int(gigabytes * GIGABYTE) - sum(4 * int(np.prod(entry.shape)) for entry in entries)
    entries += [
        _entry(f"embedding_{start // OTHER}", (min(OTHER, rest - start) // 4,)) for start in range(0, rest, OTHER)
    ]
    return Contents(tuple(entries), ())


def _entry(name: str, shape: tuple[int, ...]) -> Entry:
    def fill(values: NDArray[Any]) -> None:
        flat = values.reshape(-1)
        drawn = np.random.default_rng(0).standard_normal(min(len(flat), 1 << 20), np.float32)
        for start in range(0, len(flat), len(drawn)):
            flat[start : start + len(drawn)] = drawn[: len(flat) - start]

    return Entry(name, shape, np.dtype(np.float32), fill)


def copied(source: Path, target: Path) -> None:
    """Copy a file and write it through to the disk."""
    shutil.copyfile(source, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def seconds(work: Callable[[Path, Path], object], source: Path, target: Path) -> float:
    """Return how long some work on files takes; what it wrote is removed."""
    start = time.perf_counter()
    work(source, target)
    taken = time.perf_counter() - start
    target.unlink()
    return taken


def converted(source: Path, target: Path) -> None:
    """Convert from Keras to torch."""
    convert_file(source, target, "torch")


def peak_anonymous(source: Path, target: Path) -> int:
    """Return the most anonymous memory, in bytes, that this process has while it converts."""
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, _anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        converted(source, target)
    finally:
        done.set()
        watching.join()
    target.unlink()
    return peak


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "RssAnon":
            return int(value.split()[0]) * 1024
    raise SystemExit("peak anonymous memory is read from /proc/self/status, which only Linux has")


def main() -> None:
    """Measure and print; exit with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where there is room for two such files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        source, target = Path(folder, "keras.safetensors"), Path(folder, "torch.safetensors")
        formats().get("safetensors").load().write(source, contents(arguments.gigabytes))
        size = source.stat().st_size
        works = {"copying": copied, "converting": converted}
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(arguments.repeats):
            for name, work in works.items():
                times[name].append(seconds(work, source, target))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            anonymous = pool.apply(peak_anonymous, (source, target))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in medians.items():
        print(f"{name:<11} {size / taken / 1e6:8.0f} MB/s  ({', '.join(f'{each:.2f} s' for each in times[name])})")
    ratio = medians["copying"] / medians["converting"]
    print(f"throughput of converting / copying: {ratio:.2f} (at least {LOWEST_RATIO})")
    print(f"peak anonymous memory: {anonymous / 1e6:.0f} MB (less than {MOST_ANONYMOUS / 1e6:.0f} MB)")
    raise SystemExit(ratio < LOWEST_RATIO or anonymous >= MOST_ANONYMOUS)


if __name__ == "__main__":
    main()
