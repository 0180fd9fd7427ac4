"""``gruspec sweep``: implementations on fresh random cases, with a script for what fails."""

from __future__ import annotations

import shlex
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gruspec.cli.options import RunOptions, as_json, device, expectations, implementations, timeout
from gruspec.errors import GruspecError, MissingDependency, UsageError, listed

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from gruspec.report.sweep import Found, SweepReport
    from gruspec.report.tally import Tally
    from gruspec.sweep.findings import Finding
    from gruspec.sweep.plan import SweepPlan
    from gruspec.sweep.run import Sweep

CASES = 200
"""How many cases are run if nobody says how many or how long."""

_NEEDED = {"flint": "python-flint", "hypothesis": "hypothesis"}
_JUDGED = ("float32", "float64")

_EXAMPLES = """\b
Examples:
  gruspec sweep torch --minutes 10              one implementation for ten minutes
  gruspec sweep mypkg.adapter:backend           your own, on 200 cases
  gruspec sweep jax --cases 5000 --shard 1/4    the first of four machines
  gruspec sweep tf-v1 --seed 7 --start 1200     go on where another run has ended
"""


@click.command("sweep", epilog=_EXAMPLES)
@implementations
@click.option("--cases", type=click.IntRange(min=1), metavar="N", help=f"N cases; {CASES} without --minutes.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), metavar="M", help="Go on for M minutes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the cases.")
@click.option("--start", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the first case.")
@click.option(
    "--shard", default="1/1", metavar="I/N", show_default=True, help="Only the I-th of N shares of the cases."
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(_JUDGED),
    help="Only in this dtype. Repeatable; both by default.",
)
@device
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Processes that prove cases, and implementations that run, at a time.",
)
@timeout
@expectations
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("gruspec-failures"),
    show_default=True,
    metavar="DIR",
    help="Where scripts of failures are written.",
)
@click.option("--keep-going", is_flag=True, help="Go on after a failure; report one in every clause.")
@click.option(
    "--shrink-seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Time to shrink one failure in.",
)
@as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    cases: int | None,
    minutes: float | None,
    seed: int,
    start: int,
    shard: str,
    output: Path,
    keep_going: bool,
    shrink_seconds: float,
    as_json: bool,
    **shared: Any,
) -> None:
    """Run implementations on fresh random cases.

    Every case is drawn, proven and run on the fly. An implementation that fails one is not run any further; the case is
    shrunk to a small one that still fails, and a script is written that shows it on its own.

    Case K of a seed is the same everywhere and always, so that a sweep can be resumed, and shared out among machines.

    Exit codes: 0 all conform, 1 one does not, 2 wrong usage, 3 data or environment not as needed, or nothing was
    judged.
    """
    if cases is not None and minutes is not None:
        raise UsageError("say either --cases or --minutes")
    if missing := [package for module, package in _NEEDED.items() if find_spec(module) is None]:
        raise MissingDependency(f"sweep needs {listed(missing)}; pip install 'gruspec[reference]'")
    from gruspec.backend import Registry
    from gruspec.cli.selection import chosen_implementations, plan_for
    from gruspec.conformance import Header
    from gruspec.report.sweep import SweepReport
    from gruspec.report.tally import Tally
    from gruspec.sweep.findings import check_writable
    from gruspec.sweep.plan import Shard, SweepPlan
    from gruspec.sweep.run import Sweep

    check_writable(output)
    options = RunOptions(topics=(), ids=(), quick=False, golden=None, **shared)
    subjects, left_out = chosen_implementations(options)
    names = [subject.name for subject in subjects]
    plan = SweepPlan(
        run=plan_for(options, names, left_out, (Header(version="random", seed=seed), ())),
        seed=seed,
        start=start,
        cases=CASES if cases is None and minutes is None else cases,
        seconds=None if minutes is None else 60 * minutes,
        shard=Shard.parse(shard),
        timeout=options.timeout,
        keep_going=keep_going,
        shrink_seconds=shrink_seconds,
    )
    registry = Registry()
    sweep, tally = Sweep(plan, [registry.get(name) for name in names]), Tally()
    found: list[Found] = []

    def report() -> SweepReport:
        resume = _resume(context, plan, sweep.next)
        return SweepReport(
            tally=tally, found=found, seed=seed, next=sweep.next, uncertified=sweep.uncertified, resume=resume
        )

    try:
        _follow(sweep, tally, found, output)
    except KeyboardInterrupt:
        _print(report(), as_json=as_json)
        raise
    _print(report(), as_json=as_json)
    raise SystemExit(tally.finished.exit_code if tally.finished else 1)


def _follow(sweep: Sweep, tally: Tally, found: list[Found], output: Path) -> None:
    from gruspec.report.progress import follower
    from gruspec.sweep.findings import Finding, Noticed

    with closing(sweep.happenings()) as happenings, follower() as shown:
        for happening in happenings:
            match happening:
                case Noticed():
                    shown.say(
                        f"{happening.implementation}: case {happening.k} fails in {happening.dtype}; shrinking it"
                    )
                case Finding():
                    found.append(_found(happening, output))
                    written = f"wrote {found[-1].path}" if found[-1].path else f"no script: {found[-1].problem}"
                    shown.say(f"{happening.implementation}: {written}")
                case _:
                    tally.add(happening)
                    shown.add(happening)


def _found(finding: Finding, output: Path) -> Found:
    from gruspec.backend import Registry
    from gruspec.report.sweep import Found
    from gruspec.sweep.findings import write_reproducer
    from gruspec.sweep.words import case_words, numbers_given

    failure = finding.failure
    path, problem = None, ""
    try:
        path = str(write_reproducer(finding, output, Registry().get(finding.implementation).load()))
    except GruspecError as error:
        problem = str(error)
    return Found(
        implementation=finding.implementation,
        dtype=failure.dtype,
        k=finding.k,
        clause=failure.case.clause,
        case=case_words(failure.case),
        message=failure.judgement.message,
        numbers=numbers_given(failure.case),
        numbers_before=numbers_given(finding.original),
        tried=finding.tried,
        again=finding.again,
        path=path,
        problem=problem,
    )


def _resume(context: click.Context, plan: SweepPlan, start: int) -> str:
    """Return the command that goes on: with what is left of the cases, or with as many again."""
    chosen = ["--seed", str(plan.seed), "--start", str(start)]
    if plan.cases is not None:
        left = plan.start + plan.cases - start
        chosen += ["--cases", str(left if left > 0 else plan.cases)]
    chosen += _repeated(context, {"seed", "start", "cases"})
    return shlex.join(["gruspec", "sweep", *context.params["implementations"], *chosen])


def _repeated(context: click.Context, apart: Container[str]) -> Iterator[str]:
    """Yield the options that were given, as they stand on a command line, except those set apart."""
    for option in context.command.params:
        name = str(option.name)
        if not isinstance(option, click.Option) or name in apart:
            continue
        if context.get_parameter_source(name) is ParameterSource.DEFAULT:
            continue
        value = context.params[name]
        for each in value if option.multiple else [value]:
            yield option.opts[0]
            if not option.is_flag:
                yield str(each).removesuffix(".0") if isinstance(each, float) else str(each)


def _print(report: SweepReport, *, as_json: bool) -> None:
    from gruspec.report import console, json
    from gruspec.report.sweep import print_sweep, sweep_document

    if as_json:
        click.echo(json.text(sweep_document(report)))
    else:
        print_sweep(report, console.console())
