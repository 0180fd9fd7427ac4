"""How fast a kernel is transposed and its gates permuted: gruspec, what people write, and what torch has.

One kernel (u, 3u) by columns and z, r, n, as Keras keeps it, becomes (3u, u) by rows and r, z, n, as torch keeps it, in
a new C-contiguous array. All run in one process on one thread, in turns; medians are compared. NumPy puts new arrays on
huge pages, and torch does not: run this where memory is free, as getting huge pages from fragmented memory takes longer
than the copy.

    python benchmarks/layout_speed.py
"""

from __future__ import annotations

import os
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PEOPLE_TARGET, TORCH_TARGET = 4.0, 3.0
"""How many times as fast as the fastest of each gruspec has to be."""


@click.command()
@click.option("--units", default=4096, show_default=True, type=click.IntRange(min=1))
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(["float16", "float32", "float64"]))
@click.option("--rounds", default=9, show_default=True, type=click.IntRange(min=3), help="Every way runs so often.")
def main(units: int, dtype: str, rounds: int) -> None:
    """Print milliseconds and ratios.

    Exit codes: 0 the targets are met, 1 they are not, or a result is wrong, 2 wrong usage.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    ways = ways_of(units, dtype)
    check(ways)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = perf_counter()
            way()
            taken[name].append(perf_counter() - start)
    medians = {name: median(times) for name, times in taken.items()}
    ours = medians["gruspec"]
    for name, seconds in medians.items():
        click.echo(f"{name:<58}{1000 * seconds:8.1f} ms {seconds / ours:6.2f} x gruspec")
    met = [_ratio(medians, "people", PEOPLE_TARGET), _ratio(medians, "torch", TORCH_TARGET)]
    raise SystemExit(0 if all(met) else 1)


def _ratio(medians: Mapping[str, float], whose: str, target: float) -> bool:
    fastest = min(seconds for name, seconds in medians.items() if name.startswith(whose))
    ratio = fastest / medians["gruspec"]
    click.echo(f"gruspec is {ratio:.2f} times as fast as the fastest of {whose} (target {target:g})")
    return ratio >= target


def ways_of(units: int, dtype: str) -> dict[str, Callable[[], Any]]:
    """Return what is compared, by name."""
    import numpy as np
    import torch

    from gruspec.layouts import LAYOUTS, plan, unpack

    torch.set_num_threads(1)
    kernel = np.random.default_rng(0).standard_normal((units, 3 * units)).astype(dtype)
    other = torch.from_numpy(kernel)
    arrays = {"kernel": kernel, "recurrent_kernel": kernel}
    target = np.dtype(dtype)

    def convert() -> Any:
        """Do what gruspec.convert does, for one of the arrays."""
        planned = plan(unpack(arrays, LAYOUTS["keras"], reset_after=True), LAYOUTS["torch"])
        written = {"weight_ih_l0": np.empty(planned.shapes["weight_ih_l0"], target)}
        planned.write(written)
        return written["weight_ih_l0"]

    def transposed_after() -> Any:
        z, r, n = np.split(kernel, 3, axis=1)
        return np.ascontiguousarray(np.concatenate([r, z, n], axis=1).T)

    def transposed_before() -> Any:
        z, r, n = np.split(kernel, 3, axis=1)
        return np.ascontiguousarray(np.concatenate([r.T, z.T, n.T]))

    def transposed_each() -> Any:
        z, r, n = np.split(kernel, 3, axis=1)
        return np.concatenate([np.ascontiguousarray(part.T) for part in (r, z, n)])

    def cat_contiguous() -> Any:
        z, r, n = other.chunk(3, 1)
        return torch.cat([r, z, n], 1).t().contiguous()

    def cat_transposed() -> Any:
        z, r, n = other.chunk(3, 1)
        return torch.cat([r.t(), z.t(), n.t()]).contiguous()

    def copied() -> Any:
        z, r, n = other.chunk(3, 1)
        result = torch.empty(3 * units, units, dtype=other.dtype)
        for place, part in zip(result.chunk(3), (r, z, n), strict=True):
            place.copy_(part.t())
        return result

    return {
        "gruspec": convert,
        "people: split, concatenate, transpose": transposed_after,
        "people: split, transpose, concatenate": transposed_before,
        "people: split, transpose each in memory, concatenate": transposed_each,
        "torch: chunk, cat, t, contiguous": cat_contiguous,
        "torch: chunk, t, cat": cat_transposed,
        "torch: empty, copy_ of t": copied,
    }


def check(ways: Mapping[str, Callable[[], Any]]) -> None:
    """Run every way once.

    Raises
    ------
    click.ClickException
        If one gives another array than the first, or one that is not C-contiguous.
    """
    import numpy as np

    expected = None
    for name, way in ways.items():
        found = np.asarray(way())
        expected = found if expected is None else expected
        if not found.flags.c_contiguous or not np.array_equal(found, expected):
            raise click.ClickException(f"{name}: another result than gruspec")


if __name__ == "__main__":
    main()
