"""Draw and certify a sample of the golden cases again; run as a program, print those that come out differently."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gruspec.cases import Call, Case, Suite
from gruspec.certify import certify
from gruspec.generate.finish import finished
from gruspec.generate.topics import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.generate.topics import Source

DRAWN_ANEW = {"elementary": 9, "precision": 3, "saturation": 3, "special": 3, "edge": 5, "invalid": 5}
"""Topics whose cases are quickly drawn, and of how many cases one is."""

CERTIFIED_ANEW = {"basic": 9, "masking": 29, "stateful": 17, "common": 11}
"""Topics whose cases stand for the rows of covering arrays, which take long to find: they keep their inputs."""


def redrawn() -> Iterator[Case]:
    """Yield cases of the quickly drawn topics."""
    for source in SOURCES:
        for i, case in enumerate(source.cases(0)):
            if case.topic not in DRAWN_ANEW:
                break
            if i % DRAWN_ANEW[case.topic] == 0:
                yield finished(partial(nth, source, i)) if source.certified else case


def nth(source: Source, i: int, attempt: int) -> Case:
    return list(source.cases(attempt))[i]


def recertified(suite: Suite) -> Iterator[Case]:
    """Yield cases of the other topics."""
    for topic, step in CERTIFIED_ANEW.items():
        for case in list(suite.cases([topic]))[::step]:
            calls = tuple(replace(call, expected={}) if isinstance(call, Call) else call for call in case.calls)
            yield certify(replace(case, dtypes=(), calls=calls))


def content(case: Case) -> tuple[Any, ...]:
    arrays = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in case.arrays().items()}
    return case.clause, case.flags, case.dtypes, case.spec, case.result, case.raises, arrays


def differing() -> list[str]:
    """Return the ids of cases that came out differently, after the number of all that were tried."""
    suite = Suite.load()
    golden = {case.id: content(case) for case in suite.cases()}
    fresh = [*redrawn(), *recertified(suite)]
    return [str(len(fresh)), *(case.id for case in fresh if content(case) != golden.get(case.id))]


if __name__ == "__main__":
    sys.stdout.write("\n".join(differing()))
