"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gruspec.backend import DEVICES, DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")

results_file = click.option(
    "--results",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file of results instead of running anything; needs one --dtype.",
)

implementations = click.argument("implementations", nargs=-1, metavar="[IMPL]...")

device = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="cpu",
    show_default=True,
    help="Where to run; never another than this.",
)

timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds for one case, after which it is an error.",
)

expectations = click.option(
    "--expectations", type=FOLDER, metavar="DIR", help="Expected failures, DIR/IMPL.toml, other than those shipped."
)

_RUN = (
    implementations,
    click.option("--topic", "topics", multiple=True, metavar="TOPIC", help="Only cases of this topic. Repeatable."),
    click.option("--case", "ids", multiple=True, metavar="ID", help="Only this case. Repeatable."),
    click.option("--quick", is_flag=True, help="Only the few cases that together catch every known wrong GRU."),
    click.option(
        "--dtype",
        "dtypes",
        multiple=True,
        type=click.Choice(DTYPES),
        help="Only in this dtype. Repeatable; float32 and float64 by default. "
        "The shipped data is judged in these two only.",
    ),
    device,
    click.option(
        "--jobs",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="Implementations that run at a time, one thread each.",
    ),
    timeout,
    click.option("--golden", type=FOLDER, metavar="DIR", help="Golden data other than this installation's."),
    expectations,
)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What the shared options of a run say."""

    implementations: tuple[str, ...]
    topics: tuple[str, ...]
    ids: tuple[str, ...]
    quick: bool
    dtypes: tuple[str, ...]
    device: str
    jobs: int
    timeout: float
    golden: Path | None
    expectations: Path | None

    @property
    def data(self) -> list[str]:
        """The options that say which data to judge by, as they stand on a command line."""
        chosen = {"--golden": self.golden, "--expectations": self.expectations}
        return [text for name, path in chosen.items() if path is not None for text in (name, str(path))]


def run_options(function: F) -> F:
    """Give a command the shared options of a run, in the order in which they are listed."""
    for option in reversed(_RUN):
        function = option(function)
    return function
