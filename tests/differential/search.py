"""Looking for differences over many examples, and what is reported of it."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from comparison import DifferenceError, compare
from hypothesis import HealthCheck, Phase, given, seed, settings
from original import observed
from wrong_uses import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples import Example
    from hypothesis.strategies import SearchStrategy

LARGEST_EXPLAINED_SHARE = 0.05
"""More than this share of examples must not need a known difference."""


@dataclass
class Report:
    """What a search has found.

    Attributes
    ----------
    examples
        How many were compared.
    refused
        In how many both layers refused an operation.
    explained
        In how many each known difference was met.
    explained_examples
        In how many any was met.
    judged, unjudged
        How many numbers were compared, and how many the contract leaves undecided.
    seconds
        Processor time.
    failure
        The simplest example that differs, and how; or None.
    """

    examples: int = 0
    refused: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    explained_examples: int = 0
    judged: int = 0
    unjudged: int = 0
    seconds: float = 0.0
    failure: tuple[Example, str] | None = None

    @property
    def explained_share(self) -> float:
        """The share of examples in which a known difference was met."""
        return self.explained_examples / max(self.examples, 1)

    @property
    def passed(self) -> bool:
        """Whether nothing is unexplained, and not too much explained."""
        return self.failure is None and self.explained_share <= LARGEST_EXPLAINED_SHARE


def search(
    count: int,
    number: int,
    *,
    strategy: SearchStrategy[Example] | None = None,
    shrink: bool = True,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Compare the two layers on so many examples, and simplify the first one that differs.

    Parameters
    ----------
    count
        How many examples.
    number
        Seed: the same one gives the same examples.
    strategy
        Where examples come from; all of right and wrong use by default.
    shrink
        Whether to look for a simpler example that differs.
    progress
        Called after every example.
    """
    report = Report()
    started = time.process_time()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)

    @seed(number)
    @settings(
        max_examples=count,
        phases=phases,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(examples() if strategy is None else strategy)
    def check(example: Example) -> None:
        found = compare(example)
        if found.difference is not None:
            report.failure = (example, found.difference)
            raise DifferenceError(found.difference)
        if report.failure is None:
            report.examples += 1
            report.refused += found.refused
            report.explained.update(found.explained)
            report.explained_examples += bool(found.explained)
            report.judged += found.judged
            report.unjudged += found.unjudged
            report.seconds = time.process_time() - started
            progress(report)

    with observed(), suppress(DifferenceError):
        check()
    return report
