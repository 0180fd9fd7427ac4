"""No correct implementation ever leaves its bound, and the bound is no excuse.

Certifies random cases of any shape up to batch 5, 64 timesteps, input size 16 and 32 units, runs every installed
implementation on them in float32 and float64, and prints for each the elements outside the bound, with the median and
the worst observed error as fractions of the bound. Cases that fall under an entry of ``expectations/`` count as known.
Then prints kappa, the bound in units of the unit roundoff, after 64 timesteps with the weights of a fresh PyTorch
layer, and fails if that of torch.nn.GRU itself is wider than allowed.

    python benchmarks/false_alarms.py --cases 2000
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gruspec.backend import Registry
from gruspec.cases import Call, Case
from gruspec.certify import bounded
from gruspec.conformance import (
    CaseFinished,
    Expectations,
    Header,
    Implementation,
    Plan,
    run,
    shipped_expectations,
)
from gruspec.errors import MissingDependency
from gruspec.generate.draws import Draw
from gruspec.generate.layers import arranged_call, make_case
from gruspec.generate.random_cases import random_case
from gruspec.numerics import FORMATS
from gruspec.spec import GRUSpec, weight_shapes

ALLOWED_KAPPA = {8: 100, 32: 300}
"""Largest kappa of torch.nn.GRU after 64 timesteps by number of units: what the bound must not exceed."""

LAYERS = ((True, "sigmoid"), (False, "sigmoid"), (False, "hard_sigmoid"))
"""reset_after and recurrent_activation; the first is torch.nn.GRU."""


@dataclass
class Observed:
    """What one implementation did in one dtype."""

    statuses: Counter[str] = field(default_factory=Counter)
    fractions: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@click.command()
@click.option("--cases", default=2000, show_default=True, type=click.IntRange(min=1), help="Number of random cases.")
@click.option("--seed", default=0, show_default=True, help="Seed that the cases depend on.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1), help="Processes at a time.")
@click.argument("implementations", nargs=-1)
def main(cases: int, seed: int, jobs: int, implementations: tuple[str, ...]) -> None:
    """Run IMPLEMENTATIONS, by default all that are installed, on random cases."""
    console = Console(width=100)
    suite = certified(cases, seed, jobs)
    subjects = [Implementation(Registry().get(name)) for name in implementations or installed()]
    folder = shipped_expectations()
    plan = Plan(
        cases=suite,
        header=Header(version="random", seed=seed),
        expectations={subject.name: Expectations.load(folder / f"{subject.name}.toml") for subject in subjects},
        jobs=jobs,
    )
    observed = observe(plan, subjects)
    console.print(table(observed))
    for (name, dtype), seen in observed.items():
        for failure in seen.failures[:5]:
            console.print(f"{name} {dtype}: {failure}", soft_wrap=True)
    wide = print_kappa(console)
    sys.exit(1 if wide or any(seen.failures for seen in observed.values()) else 0)


def certified(cases: int, seed: int, jobs: int) -> list[Case]:
    """Return random cases with proven values and bounds."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        finished = pool.map(partial(random_case, seed), range(cases), chunksize=8)
        return list(track(finished, "certifying", total=cases, console=Console(stderr=True)))


def installed() -> list[str]:
    """Return the names of all implementations whose framework is here."""
    names = []
    for name in Registry().names():
        try:
            Registry().get(name).load_runnable()
        except MissingDependency as error:
            print(f"left out: {error}", file=sys.stderr)
        else:
            names.append(name)
    return names


def observe(plan: Plan, subjects: list[Implementation]) -> dict[tuple[str, str], Observed]:
    """Run everything and collect the error of every judged element as a fraction of its bound."""
    cases = {case.id: case for case in plan.cases}
    observed: dict[tuple[str, str], Observed] = defaultdict(Observed)
    total = plan.total * len(subjects)
    finished = (event for event in run(plan, subjects) if isinstance(event, CaseFinished))
    for event in track(finished, "running", total=total, console=Console(stderr=True)):
        seen = observed[event.implementation, event.dtype]
        seen.statuses[event.status] += 1
        if event.status in {"fail", "error"}:
            seen.failures.append(f"{event.id}: {event.message}")
        if event.status == "pass":
            seen.fractions += fractions(cases[event.id], event)
    return dict(sorted(observed.items()))


def fractions(case: Case, event: CaseFinished) -> list[float]:
    """Return the error of every element with a bound, as a fraction of the bound."""
    unit = FORMATS[event.dtype].unit_roundoff
    found: list[float] = []
    for i, call in enumerate(case.calls):
        for name, expected in call.expected.items() if isinstance(call, Call) else ():
            computed = event.outputs.get(f"{i}/{name}")
            if computed is None or expected.value is None:
                continue
            bound = expected.kappa.astype(np.float64) * unit + np.abs(expected.value) * 2.0**-53
            error = np.abs(computed.astype(np.float64) - expected.value)
            found += (error[bound > 0] / bound[bound > 0]).tolist()
    return found


def table(observed: dict[tuple[str, str], Observed]) -> Table:
    """Return one row per implementation and dtype."""
    result = Table(title="errors as fractions of the bound")
    for heading in (
        "implementation",
        "dtype",
        "pass",
        "outside",
        "known",
        "unsupported",
        "elements",
        "median",
        "worst",
    ):
        result.add_column(heading, justify="left" if heading in {"implementation", "dtype"} else "right")
    for (name, dtype), seen in observed.items():
        counts = seen.statuses
        values = np.array(seen.fractions or [0.0])
        result.add_row(
            name,
            dtype,
            str(counts["pass"]),
            str(counts["fail"] + counts["error"]),
            str(counts["xfail"] + counts["xpass"]),
            str(counts["unsupported"]),
            str(len(seen.fractions)),
            f"{np.median(values):.3f}",
            f"{values.max():.3f}",
        )
    return result


def print_kappa(console: Console) -> bool:
    """Print kappa after 64 timesteps; return whether one is wider than allowed."""
    result = Table(title="kappa at T = 64, weights of a fresh PyTorch layer, worst of 5 draws")
    for heading in ("units", "layer", "median", "largest", "allowed"):
        result.add_column(heading, justify="left" if heading == "layer" else "right")
    wide = False
    for units, allowed in ALLOWED_KAPPA.items():
        for reset_after, recurrent_activation in LAYERS:
            spec = GRUSpec(
                units=units,
                reset_after=reset_after,
                recurrent_activation=recurrent_activation,
                return_sequences=True,
            )
            kappa = np.stack([kappa_of(spec, seed) for seed in range(5)])
            wide |= reset_after and bool(kappa.max() > allowed)
            layer = f"{spec.variant}, {recurrent_activation}"
            figures = (f"{np.median(kappa):.0f}", f"{kappa.max():.0f}", str(allowed) if reset_after else "")
            result.add_row(str(units), layer, *figures)
    console.print(result)
    return wide


def kappa_of(spec: GRUSpec, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return kappa of every output of a layer with PyTorch's initial weights on inputs of unit size."""
    draw = Draw(f"kappa/{spec.variant}/{spec.units}/{seed}")
    input_size = spec.units // 2
    weights = {
        name: ((draw.integers(name, shape, 2**25) / 2.0**24 - 1) / np.sqrt(spec.units)).astype(np.float32).astype(float)
        for name, shape in weight_shapes(spec, input_size).items()
    }
    call = arranged_call(
        spec, normal(draw, "inputs", (2, 64, input_size)), None, normal(draw, "state", (2, spec.units)) / 2
    )
    case = bounded(make_case(f"kappa/{spec.variant}/{seed}", "verdict", (), spec, weights, [call]))
    (kappa,) = (done.expected["outputs"].kappa for done in case.calls if isinstance(done, Call))
    return kappa


def normal(draw: Draw, name: str, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return values distributed nearly like a standard normal: sums of twelve uniform ones."""
    total: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.sum(draw.integers(name, (12, *shape), 2**20), axis=0)
    return total / 2.0**20 - 6


if __name__ == "__main__":
    main()
