"""How often a diagnosis is right.

Plants every fault of the catalogue by itself, and random pairs of them, behind the public protocol, runs the golden
suite on each, and counts how often the diagnosis names what was planted: a single fault first (or one that computes the
same in every case), and both faults of a pair. A pair is drawn again if the golden suite cannot tell it from one of its
faults, for then there is nothing to name. The reference itself must be found to have none.

    python benchmarks/diagnosis.py --pairs 200
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import count
from multiprocessing import get_context
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import track

from gruspec.cases import Case, Suite
from gruspec.conformance import judge
from gruspec.diagnosis.explanation import diagnose
from gruspec.diagnosis.observations import FAILING, Observation, Predictions, distance
from gruspec.faults import CATALOGUE, FaultyBackend, traits
from gruspec.generate.draws import Draw

if TYPE_CHECKING:
    from gruspec.faults import Fault

    Names = tuple[str, ...]

EVERYTHING = FaultyBackend().capabilities()
SINGLES = 0.95
PAIRS = 0.80
"""Shares that must be named."""


@click.command()
@click.option("--pairs", default=200, show_default=True, type=click.IntRange(min=0), help="Number of random pairs.")
@click.option("--seed", default=0, show_default=True, help="Seed of the pairs.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1), help="Processes at a time.")
@click.option("--no-singles", is_flag=True, help="Only the pairs.")
def main(*, pairs: int, seed: int, jobs: int, no_singles: bool) -> None:
    """Diagnose planted faults and count how often they are named."""
    console = Console(width=110)
    singles: list[Names] = [] if no_singles else [(name,) for name in CATALOGUE]
    progress = Console(stderr=True)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        planted = [(), *singles, *visible_pairs(pool, pairs, seed)]
        right, exact = Counter[int](), Counter[int]()
        found = track(pool.map(outcome, planted), "diagnosing", len(planted), console=progress)
        for names, said, evidence in ((names, *diagnosed) for names, diagnosed in zip(planted, found, strict=True)):
            right[len(names)] += is_named(names, said)
            exact[len(names)] += len(said) == len(names)
            if not is_named(names, said) or len(said) != len(names):
                console.print(f"{words(names)}: {words(said)}, {evidence}", soft_wrap=True)
    console.print(f"no fault: {'found to have none' if right[0] else 'accused'}")
    failed = not right[0]
    for size, what, total, share in ((1, "single faults", len(singles), SINGLES), (2, "pairs", pairs, PAIRS)):
        if total:
            figures = f"{right[size]} of {total} named ({right[size] / total:.1%}, at least {share:.0%})"
            console.print(f"{what}: {figures}, {exact[size]} times nothing else")
            failed |= right[size] < share * total
    sys.exit(1 if failed else 0)


def visible_pairs(pool: ProcessPoolExecutor, number: int, seed: int) -> list[Names]:
    """Return random pairs of faults that some case tells from each of the two."""
    found: dict[Names, None] = {}
    for start in count(0, max(1, number)):
        drawn = pool.map(visible_pair, range(start, start + number), [seed] * number)
        found |= dict.fromkeys(pair for pair in drawn if pair is not None)
        if len(found) >= number:
            return list(found)[:number]
    return []


def visible_pair(number: int, seed: int) -> Names | None:
    """Return a random pair of faults, or None if no case tells it from one of the two."""
    names, draw = list(CATALOGUE), Draw(f"pairs/{seed}/{number}")
    first, second = sorted(draw.choice(part, len(names)) for part in ("first", "second"))
    pair = (names[first], names[second])
    return pair if first != second and is_visible(pair) else None


def is_visible(pair: Names) -> bool:
    """Return whether some case tells a pair from each of its two faults."""
    return all(any(differ(case, dtype, pair, (name,)) for case, dtype in runs()) for name in pair)


def differ(case: Case, dtype: str, one: Names, other: Names) -> bool:
    """Return whether two sets of faults differ in a case by more than the bounds of both."""
    showing = [showing_of(names, case) for names in (one, other)]
    if showing[0] == showing[1]:
        return False
    left, right = (predictions().reply(faults, case, dtype) for faults in showing)
    kinds = [[step.how for step in reply.steps] for reply in (left, right)]
    return kinds[0] != kinds[1] or distance(case, dtype, left.outputs, right.outputs) > 2


@cache
def runs() -> tuple[tuple[Case, str], ...]:
    """Return every golden case in every dtype, cheapest first."""
    found = [(case, dtype) for case in suite() for dtype in case.dtypes]
    return tuple(sorted(found, key=lambda run: sum(array.size for array in run[0].arrays().values())))


@cache
def all_traits() -> dict[str, frozenset[str]]:
    """Return the traits of each case by its id."""
    return {case.id: traits(case) for case in suite()}


@cache
def suite() -> tuple[Case, ...]:
    """Return the golden cases."""
    return tuple(Suite.load(None).cases())


@cache
def predictions() -> Predictions:
    """Return what earlier diagnoses in this process have computed."""
    return Predictions()


def observed(names: Names) -> list[Observation]:
    """Return what the golden suite observes of the reference with these faults."""
    return [observation(showing_of(names, case), number) for number, (case, _) in enumerate(runs())]


def showing_of(names: Names, case: Case) -> tuple[Fault, ...]:
    """Return those of some faults that show in a case."""
    faults = (CATALOGUE[name] for name in names)
    return tuple(fault for fault in faults if fault.shows_in(all_traits()[case.id]))


@cache
def observation(faults: tuple[Fault, ...], number: int) -> Observation:
    """Return what is observed of the reference with these faults in one of the runs."""
    case, dtype = runs()[number]
    reply = predictions().reply(faults, case, dtype)
    status = judge(case, reply, EVERYTHING, dtype=dtype, device="cpu").status
    return Observation(case, dtype, reply.outputs, status in FAILING)


def outcome(names: Names) -> tuple[Names, str]:
    """Return what a diagnosis names, and how much that explains."""
    diagnosis = diagnose(observed(names), predictions=predictions())
    best = diagnosis.best
    if best is None or not diagnosis.is_named:
        return (), f"{diagnosis.failing} failing"
    evidence = f"explains {best.explained} of {best.failing}, contradicted by {best.contradicted}"
    return tuple(fault.id for fault in best.faults), evidence


def is_named(names: Names, said: Names) -> bool:
    """Return whether what was said is what was planted, or computes the same in every case."""
    if len(names) == 1 and len(said) == 1:
        return names == said or not any(differ(case, dtype, names, said) for case, dtype in runs())
    return set(names) <= set(said) if names else not said


def words(names: Names) -> str:
    """Return names in one line."""
    return " + ".join(names) or "nothing"


if __name__ == "__main__":
    main()
