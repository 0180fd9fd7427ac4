"""No correct implementation ever leaves its bound, and the bound is no excuse.

Certifies random cases, nearly all of up to 16 timesteps and units and the rest of up to 64 and 32, runs every installed
implementation on them, and six more in NumPy that add in different orders, and prints for each and each dtype the
cases outside a bound, with the median and the worst observed error as fractions of the bound. Cases that fall under an
entry of ``expectations/`` count as known. Half precisions have cases of their own. Then prints kappa, the bound in
units of the unit roundoff, after 64 timesteps, and fails if that of torch.nn.GRU itself is wider than allowed.

    python benchmarks/false_alarms.py --cases 20000 --record false-alarms.json
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from benchmarks.half_precision import fitted
from benchmarks.kappa_table import kappa_rows
from benchmarks.observations import Observed
from benchmarks.summation_orders import WAYS
from gruspec.backend import Registry
from gruspec.backend.registry import Registration
from gruspec.certify import HALF_PRECISIONS, JUDGED_DTYPES, certify
from gruspec.conformance import (
    CaseFinished,
    Expectations,
    Header,
    Implementation,
    ImplementationFinished,
    Plan,
    run,
    shipped_expectations,
)
from gruspec.errors import CertificationError, MissingDependency
from gruspec.generate.finish import finished
from gruspec.generate.random_cases import drawn_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from gruspec.cases import Case
    from gruspec.conformance.implementation import Identity
    from gruspec.conformance.replies import Reply

DTYPES = (*JUDGED_DTYPES, *HALF_PRECISIONS)


class Chunk(NamedTuple):
    """Cases of consecutive numbers, certified for one dtype: ``"float32"`` stands for float64 too."""

    dtype: str
    numbers: range


@dataclass(frozen=True)
class Request:
    """What was asked for: the results of a record belong to one request."""

    cases: int
    half_cases: int
    seed: int
    chunk: int
    dtypes: tuple[str, ...]
    implementations: tuple[str, ...]

    def chunks(self) -> Iterator[Chunk]:
        """Yield what is to be done, the cases of each dtype in turn."""
        wanted = {"float32": self.cases if set(self.dtypes) & set(JUDGED_DTYPES) else 0}
        wanted |= {dtype: self.half_cases if dtype in self.dtypes else 0 for dtype in HALF_PRECISIONS}
        for dtype, count in wanted.items():
            for first in range(0, count, self.chunk):
                yield Chunk(dtype, range(first, min(first + self.chunk, count)))


@dataclass
class Results:
    """What has been observed so far, and how often no case could be certified."""

    chunks: int = 0
    seconds: float = 0.0
    refused: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    observed: defaultdict[tuple[str, str], Observed] = field(default_factory=lambda: defaultdict(Observed))

    @property
    def outside(self) -> int:
        """In how many runs of a case something was outside its bound."""
        return sum(seen.outside for seen in self.observed.values())

    def save(self, path: Path, request: Request) -> None:
        """Write a record that a later run of the same request goes on from."""
        observed = {" ".join(key): seen.to_json() for key, seen in self.observed.items()}
        data = asdict(request) | {
            "done": {"chunks": self.chunks, "seconds": self.seconds, "refused": self.refused, "observed": observed}
        }
        path.with_suffix(".part").write_text(json.dumps(data), encoding="utf-8")
        path.with_suffix(".part").replace(path)

    @classmethod
    def load(cls, path: Path, request: Request) -> Results:
        """Return what a record holds; nothing if there is none.

        Raises
        ------
        click.UsageError
            If it belongs to another request.
        """
        if not path.exists():
            return cls()
        data = json.loads(path.read_text(encoding="utf-8"))
        done = data.pop("done")
        if data != json.loads(json.dumps(asdict(request))):
            raise click.UsageError(f"--record {path}: it was begun with {data}; ask for the same, or name another file")
        results = cls(done["chunks"], done["seconds"])
        results.refused.update(done["refused"])
        for key, seen in done["observed"].items():
            name, dtype = key.split()
            results.observed[name, dtype] = Observed.from_json(seen)
        return results


class Standing:
    """An implementation whose process stays from one chunk to the next.

    Parameters
    ----------
    registration
        Where it comes from.
    """

    def __init__(self, registration: Registration) -> None:
        self.name = registration.name
        self.restarts = 0
        self._implementation = Implementation(registration)
        self._identity: Identity | None = None

    def open(self) -> Identity:
        """Start the process, the first time."""
        if self._identity is None:
            self._identity = self._implementation.open()
        return self._identity

    def perform(self, case: Case, dtypes: Sequence[str]) -> Iterator[tuple[str, Reply | None]]:
        """Run a case."""
        yield from self._implementation.perform(case, dtypes)
        self.restarts = self._implementation.restarts

    def close(self, *, at_once: bool = False) -> None:
        """Stay: the end of a chunk is not the end."""

    def end(self) -> None:
        """Stop the process."""
        self._implementation.close()


@click.command()
@click.option("--cases", default=20000, show_default=True, type=click.IntRange(min=0), help="Cases in float32/float64.")
@click.option("--half-cases", type=click.IntRange(min=0), help="In each half precision; by default a tenth.")
@click.option("--seed", default=0, show_default=True, help="Seed that the cases depend on.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1), help="Processes at a time.")
@click.option("--chunk", default=250, show_default=True, type=click.IntRange(min=1), help="Cases held in memory.")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), help="Repeatable; by default all.")
@click.option(
    "--record", type=click.Path(path_type=Path), help="Where results are kept, to go on after an interruption."
)
@click.option("--without", "left_out", multiple=True, metavar="IMPL", help="Leave this one out. Repeatable.")
@click.option("--markdown", is_flag=True, help="Print tables for documents.")
@click.argument("implementations", nargs=-1)
def main(
    cases: int,
    half_cases: int | None,
    seed: int,
    jobs: int,
    chunk: int,
    dtypes: tuple[str, ...],
    record: Path | None,
    left_out: tuple[str, ...],
    implementations: tuple[str, ...],
    *,
    markdown: bool,
) -> None:
    """Run IMPLEMENTATIONS, by default all that are installed and six orders of summation, on random cases."""
    half_cases = cases // 10 if half_cases is None else half_cases
    registrations = [each for each in chosen(implementations) if each.name not in left_out]
    names = tuple(registration.name for registration in registrations)
    request = Request(cases, half_cases, seed, chunk, dtypes or DTYPES, names)
    results = Results() if record is None else Results.load(record, request)
    for _ in observe(request, registrations, results, jobs):
        if record is not None:
            results.save(record, request)
    show = markdown_table if markdown else rich_table
    show("errors as fractions of the bound", HEADINGS, rows(results))
    for (name, dtype), seen in results.observed.items():
        for failure in seen.failures:
            print(f"{name} {dtype}: {failure}")
    for dtype, count in results.refused.items():
        print(f"{dtype}: of {cases if dtype == 'float32' else half_cases} cases drawn, {count} could not be certified")
    print(f"{results.seconds / 60:.1f} minutes")
    kappas = kappa_rows()
    figures = [
        (str(row.units), row.layer, f"{row.median:.0f}", f"{row.largest:.0f}", str(row.allowed or "")) for row in kappas
    ]
    title = "kappa at T = 64, weights of a fresh PyTorch layer, worst of 5 draws"
    show(title, ("units", "layer", "median", "largest", "allowed"), figures)
    sys.exit(1 if results.outside or any(row.too_wide for row in kappas) else 0)


def chosen(names: Sequence[str]) -> list[Registration]:
    """Return the implementations of these names; of none, all whose framework is here, and every order of summation."""
    registry, found = Registry(), []
    if names:
        return [registry.get(name) for name in names]
    for name in registry.names():
        try:
            registry.get(name).load_runnable()
        except MissingDependency as error:
            print(f"left out: {error}", file=sys.stderr)
        else:
            found.append(registry.get(name))
    return found + [Registration(f"numpy:{name}", f"benchmarks.summation_orders:{name}") for name in WAYS]


def certified(seed: int, dtype: str, number: int) -> Case | None:
    """Return a case with proven values and bounds; None if no attempt at it can be judged."""
    half = dtype in HALF_PRECISIONS

    def complete(case: Case) -> Case:
        return certify(fitted(case, dtype) if half else case, dtype=dtype)

    try:
        return finished(partial(drawn_case, seed, number), complete)
    except CertificationError:
        return None


def supplied(
    submit: Callable[[Chunk], list[Future[Case | None]]], chunks: Iterable[Chunk]
) -> Iterator[list[Case | None]]:
    """Yield the cases of each chunk; those of the next are certified meanwhile."""
    ahead: list[Future[Case | None]] | None = None
    for chunk in chunks:
        ready, ahead = ahead, submit(chunk)
        if ready is not None:
            yield [future.result() for future in ready]
    if ahead is not None:
        yield [future.result() for future in ahead]


def observe(request: Request, registrations: Sequence[Registration], results: Results, jobs: int) -> Iterator[Chunk]:
    """Run everything that the results do not hold yet and add to them; yield each chunk that is done.

    Raises
    ------
    click.ClickException
        If an implementation cannot run.
    """
    subjects = [Standing(registration) for registration in registrations]
    folder = shipped_expectations()
    expectations = {subject.name: Expectations.load(folder / f"{subject.name}.toml") for subject in subjects}
    chunks = list(islice(request.chunks(), results.chunks, None))
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(jobs, mp_context=get_context("spawn")))
        for subject in subjects:
            stack.callback(subject.end)

        def submit(chunk: Chunk) -> list[Future[Case | None]]:
            return [pool.submit(certified, request.seed, chunk.dtype, number) for number in chunk.numbers]

        begin = perf_counter()
        for chunk, made in zip(chunks, supplied(submit, chunks), strict=True):
            cases = [case for case in made if case is not None]
            results.refused[chunk.dtype] += len(made) - len(cases)
            plan = Plan(
                cases=cases,
                header=Header(version="random", seed=request.seed),
                dtypes=request.dtypes,
                expectations=expectations,
                jobs=jobs,
            )
            if plan.total:
                take(plan, subjects, results)
            results.chunks += 1
            results.seconds += perf_counter() - begin
            begin = perf_counter()
            done = f"{chunk.dtype}: {chunk.numbers.stop} cases, {results.outside} outside, {results.seconds:.0f} s"
            print(done, file=sys.stderr, flush=True)
            yield chunk


def take(plan: Plan, subjects: list[Standing], results: Results) -> None:
    """Run the cases of one chunk; the slowest implementation begins the next one."""
    cases, seconds = {case.id: case for case in plan.cases}, {}
    for event in run(plan, subjects):
        if isinstance(event, CaseFinished):
            results.observed[event.implementation, event.dtype].take(cases[event.id], event)
        elif isinstance(event, ImplementationFinished):
            seconds[event.implementation] = event.seconds
            if event.problem:
                raise click.ClickException(event.problem)
    subjects.sort(key=lambda subject: -seconds[subject.name])


HEADINGS = ("implementation", "dtype", "judged", "outside", "known", "unsupported", "elements", "median", "worst")
_TEXTS = {"implementation", "dtype", "layer"}


def rows(results: Results) -> list[tuple[str, ...]]:
    """Return one row per implementation and dtype that it has."""
    return [
        (
            name,
            dtype,
            str(seen.judged),
            str(seen.outside),
            str(seen.known),
            str(seen.statuses["unsupported"]),
            str(seen.fractions.number),
            f"{seen.fractions.median:.4f}",
            f"{seen.fractions.worst:.3f}",
        )
        for (name, dtype), seen in sorted(results.observed.items())
        if seen.judged
    ]


def rich_table(title: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table for people."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in _TEXTS else "right")
    for line in lines:
        table.add_row(*line)
    Console(width=120).print(table)


def markdown_table(title: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table for documents."""
    print(f"\n{title[0].upper()}{title[1:]}:\n")
    print(f"| {' | '.join(headings)} |")
    print("".join(["|", *("---|" if heading in _TEXTS else "---:|" for heading in headings)]))
    for line in lines:
        print(f"| {' | '.join(line)} |")
    print()


if __name__ == "__main__":
    main()
