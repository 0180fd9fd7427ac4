"""``gruspec convert``: the GRUs of a file in another layout, in another file, with proof."""

from __future__ import annotations

import glob
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gruspec.cli.options import as_json
from gruspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from gruspec.verification.jobs import Job, Outcome

_EXAMPLES = """\b
Examples:
  gruspec convert model.h5 model.pt --to torch
                                        a Keras GRU as torch.nn.GRU
  gruspec convert model.pt gru.onnx --to onnx --layer encoder.rnn
                                        one GRU of several; inspect lists them
  gruspec convert w.safetensors w.npz --to keras --rename encoder.rnn=gru
                                        under another name
  gruspec convert model.pt params.msgpack --to linen --allow-folding
                                        where the target keeps one bias for two
  gruspec convert 'runs/*.pt' converted --to keras --format keras-h5 --jobs 2
                                        many files into a folder
  gruspec convert w.npz model.h5 --to keras --template old.h5
                                        into a copy of a whole model
"""

_OPTIONS = {
    "reset_after=None": "--reset-after or --reset-before",
    "units=None": "--units N, and --stack LAYERS DIRECTIONS",
    "allow_folding": "--allow-folding",
    "source_layout=": "--from LAYOUT",
    "as template": "--template FILE",
    "layers=": "--layer PATH",
    "rename=": "--rename OLD=NEW",
}
"""What messages call arguments of Python, and the options for them."""

_PATH = click.Path(path_type=Path)
_SHOWN_BYTES = 64 * 2**20
_MIB = 2**20


@click.command("convert", epilog=_EXAMPLES)
@click.argument("sources", nargs=-1, metavar="SRC...")
@click.argument("target", metavar="DST")
@click.option("--to", "layout", required=True, metavar="LAYOUT", help="Layout of the GRUs in DST.")
@click.option(
    "--from",
    "source_layout",
    metavar="LAYOUT",
    help="Layout in SRC, where its tensors could be in several.",
)
@click.option(
    "--layer", "layers", multiple=True, metavar="PATH", help="Only this GRU; * and ? as in files. Repeatable."
)
@click.option(
    "--rename", multiple=True, metavar="OLD=NEW", help="Another name for a tensor, or for a path. Repeatable."
)
@click.option(
    "--reset-after/--reset-before", default=None, help="The variant, where SRC does not tell it (GRUs without bias)."
)
@click.option("--allow-folding", is_flag=True, help="Let two biases be added and rounded where DST keeps one for both.")
@click.option("--dtype", metavar="DTYPE", help="Of the weights in DST: float16, bfloat16, float32 or float64.")
@click.option("--activation", metavar="NAME", help="That of the candidate, where SRC does not tell it.")
@click.option("--recurrent-activation", metavar="NAME", help="That of the gates, where SRC does not tell it.")
@click.option("--units", type=click.IntRange(min=1), metavar="N", help="Where SRC has all weights in one vector.")
@click.option(
    "--stack",
    type=(click.IntRange(min=1), click.IntRange(1, 2)),
    metavar="LAYERS DIRECTIONS",
    help="The same; 1 1 by default.",
)
@click.option("--format", "target_format", metavar="NAME", help="Format of DST, where its name does not tell it.")
@click.option("--source-format", metavar="NAME", help="Format of SRC, where it cannot be told by looking at it.")
@click.option(
    "--template", type=_PATH, metavar="FILE", help="Model in the format of DST: a copy of it gets the weights."
)
@click.option("--force", is_flag=True, help="Replace DST and its certificate.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Files converted at a time.")
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Run source and target in their own frameworks. By default if both can be imported.",
)
@as_json
def command(
    *, sources: tuple[str, ...], target: str, layout: str, jobs: int, verify: bool | None, as_json: bool, **wishes: Any
) -> None:
    """Convert the GRUs of a checkpoint or model file to another layout.

    Every other tensor is carried over as it is, or named where the format of DST cannot hold it. Numbers are the same
    bit for bit, or were folded or rounded because that was asked; what a layout cannot hold is refused, and nothing is
    written then. DST appears whole or not at all, and is read back before it does.

    With --verify, the GRU of each framework runs with the weights on inputs of the golden suite, and every output is
    judged by proven values. The certificate of all this is written beside DST, as DST.gruspec.json.

    Several SRC, or a pattern in quotes, are converted into the folder DST under their own names. Layouts are listed in
    docs/layouts.md; what a file holds and can become: gruspec inspect.

    Exit codes: 0 converted, 1 refused, or a framework computes something else, 2 wrong usage, 3 a file is damaged, or
    something is missing. Of several files the largest counts.
    """
    from gruspec.files import formats
    from gruspec.layouts import layout_named
    from gruspec.report.conversions import conversions_document, print_outcomes
    from gruspec.report.json import text
    from gruspec.verification.jobs import Job

    layout_named(layout)
    for name in ("target_format", "source_format"):
        if wishes[name] is not None:
            formats().get(wishes[name])
    pairs = _pairs(sources, target, wishes["target_format"])
    work = [Job(source, place, layout, wishes, verify) for source, place in pairs.files]
    if pairs.folder is not None:
        pairs.folder.mkdir(exist_ok=True)
    outcomes: list[Outcome] = []
    try:
        for outcome in _performed(work, jobs):
            outcomes.append(outcome)  # noqa: PERF402  those before an interruption are reported
    except KeyboardInterrupt:
        done = sum(outcome.conversion is not None for outcome in outcomes)
        left = f"; {done} of {len(work)} files were converted before" if len(work) > 1 else ""
        click.echo(f"gruspec: nothing is left of the file that was being converted{left}", err=True)
        raise
    if as_json:
        click.echo(text(conversions_document(outcomes)))
    else:
        print_outcomes(outcomes)
    for outcome in outcomes:
        if outcome.error:
            click.echo(f"gruspec: {outcome.error}", err=True)
            for option in (option for words, option in _OPTIONS.items() if words in outcome.error):
                click.echo(f"  here: {option}", err=True)
    raise SystemExit(max(outcome.code for outcome in outcomes))


@dataclass(frozen=True)
class _Pairs:
    """Sources and their targets, and the folder of the targets if it is one for many."""

    files: list[tuple[Path, Path]]
    folder: Path | None = None


def _pairs(sources: Sequence[str], target: str, target_format: str | None) -> _Pairs:
    """Return which file goes where.

    Raises
    ------
    UsageError
        If there is but one path, a pattern matches nothing, or two files would have one name.
    """
    if not sources:
        raise UsageError(f"{target}: DST is missing, the file to write: gruspec convert {target} DST")
    found = [path for source in sources for path in _matching(source)]
    place = Path(target)
    several = len(found) > 1 or len(sources) > 1 or (not Path(sources[0]).exists() and glob.has_magic(sources[0]))
    if not (several or target.endswith("/") or (place.is_dir() and not _holds_folders(target_format))):
        return _Pairs([(found[0], place)])
    if place.exists() and not place.is_dir():
        raise UsageError(f"{target}: is a file; for {len(found)} sources, name a folder")
    if not place.parent.is_dir():
        raise UsageError(f"{target}: there is no folder {place.parent}; make it first")
    names: dict[str, Path] = {}
    for source in found:
        name = _renamed(source.name, target_format)
        if name in names:
            raise UsageError(f"{names[name]} and {source}: both would become {place / name}; convert one apart")
        names[name] = source
    return _Pairs([(source, place / name) for name, source in names.items()], place)


def _matching(source: str) -> list[Path]:
    if Path(source).exists() or not glob.has_magic(source):
        return [Path(source)]
    found = sorted(glob.glob(source, recursive=True))  # noqa: PTH207  a pattern may be absolute
    if not found:
        raise UsageError(f"{source}: no file matches this pattern")
    return [Path(path) for path in found]


def _holds_folders(name: str | None) -> bool:
    from gruspec.files import formats

    return name is not None and formats().get(name).load().folder


def _renamed(name: str, target_format: str | None) -> str:
    """Return a name with the ending of a format; as it is without one."""
    if target_format is None:
        return name
    from gruspec.files import formats

    known = formats()
    endings = [suffix for each in known.loaded()[0] for suffix in each.suffixes if name.endswith(suffix)]
    stem = name.removesuffix(max(endings, key=len, default=""))
    return stem + (known.get(target_format).load().suffixes or ("",))[-1]


def _performed(work: Sequence[Job], jobs: int) -> Iterator[Outcome]:
    """Yield what comes of each job, in order, and show how far they are."""
    from gruspec.report.steps import Steps
    from gruspec.verification.jobs import perform

    if len(work) == 1:
        with Steps("MiB") as shown:
            yield perform(work[0], _bytes_shown(shown.show, work[0].source.name))
        return
    with Steps("files") as shown:
        results = (perform(job) for job in work) if jobs == 1 else _shared_out(work, jobs)
        for number, outcome in enumerate(results, 1):
            shown.show(outcome.job.source.name, number, len(work))
            yield outcome


def _bytes_shown(show: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if total >= _SHOWN_BYTES:
            show(name, done // _MIB, total // _MIB)

    return progress


def _shared_out(work: Sequence[Job], jobs: int) -> Iterator[Outcome]:
    from gruspec.conformance.pool import worker_pool

    with worker_pool(min(jobs, len(work))) as pool:
        futures = [_submitted(pool, job) for job in work]
        for job, future in zip(work, futures, strict=True):
            yield _come_of(job, future)


def _submitted(pool: Executor, job: Job) -> Future[Outcome]:
    try:
        return pool.submit(_in_pool, job)
    except BrokenExecutor as error:  # a process has died before all work was shared out
        future: Future[Outcome] = Future()
        future.set_exception(error)
        return future


def _come_of(job: Job, future: Future[Outcome]) -> Outcome:
    """Return what has come of a job in another process; of one whose process has died, that it has."""
    from gruspec.verification.jobs import ENVIRONMENT, Outcome

    try:
        return future.result()
    except BrokenExecutor as error:
        message = f"{job.source}: not converted: a process has died, perhaps for lack of memory; try --jobs 1 ({error})"
        return Outcome(job, ENVIRONMENT, message)


def _in_pool(job: Job) -> Outcome:
    from gruspec.conformance.pool import unwanted
    from gruspec.verification.jobs import perform

    def progress(_: int, __: int) -> None:
        if unwanted():
            raise KeyboardInterrupt

    return perform(job, progress)
