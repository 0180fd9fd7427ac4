"""What a sweep runs: which random cases, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from gruspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gruspec.conformance import Plan


@dataclass(frozen=True)
class Shard:
    """The share of ``index``, counted from 1, if cases are shared out among ``of``."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``.

        Raises
        ------
        UsageError
            If it is something else, or there is no such share.

        Examples
        --------
        >>> Shard.parse("2/4")
        Shard(index=2, of=4)
        """
        index, _, of = text.partition("/")
        if not (index.isdecimal() and of.isdecimal() and 1 <= int(index) <= int(of)):
            raise UsageError(f"--shard {text}: expected I/N with I from 1 to N, as in 1/4")
        return cls(int(index), int(of))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


WHOLE = Shard(1, 1)
"""All cases."""


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What to sweep.

    Parameters
    ----------
    run
        Dtypes, device, expectations and jobs of each run; its cases are replaced by random ones.
    seed, start
        Cases ``start``, ``start + 1``, ... of this seed.
    cases
        How many of them there are, this shard's and those of others; None for no end.
    seconds
        After which no further cases are begun; None for never.
    shard
        Which of the cases are run.
    timeout
        Seconds for one case in one dtype.
    keep_going
        Whether an implementation goes on after its first failure; every clause in which it fails is then reported.
    shrink_seconds
        Time to shrink one failure in.
    """

    run: Plan
    seed: int = 0
    start: int = 0
    cases: int | None = None
    seconds: float | None = None
    shard: Shard = WHOLE
    timeout: float
    keep_going: bool = False
    shrink_seconds: float = 60.0

    def numbers(self) -> Iterable[int]:
        """Return the numbers of the cases, in order: those that leave ``index - 1`` when divided by ``of``.

        Shards are disjoint and together complete, whatever the start.
        """
        first = self.start + (self.shard.index - 1 - self.start) % self.shard.of
        if self.cases is None:
            return count(first, self.shard.of)
        return range(first, self.start + self.cases, self.shard.of)
