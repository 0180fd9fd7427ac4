"""Which topics of the golden data exercise a row, found by looking at the cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from gruspec.cases import Call, Case, ResetStates
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from gruspec import Suite

Exercise: TypeAlias = Callable[[Sequence[Case]], bool]
"""Whether the cases of one topic exercise something."""

DEFAULTS = {field.name: field.default for field in dataclasses.fields(GRUSpec)}


def topics_that(exercise: Exercise, suite: Suite) -> tuple[str, ...]:
    """Return the topics whose cases exercise something, in the order of the golden data."""
    return tuple(topic for topic in suite.topics if exercise([*suite.cases([topic])]))


def varied(argument: str) -> Exercise:
    """Return whether an argument is not always its default; where it has none, whether it has several values."""

    def exercise(cases: Sequence[Case]) -> bool:
        found = {getattr(case.spec, argument) for case in cases}
        default = DEFAULTS[argument]
        return len(found) > 1 if default is dataclasses.MISSING else found != {default}

    return exercise


def regularized(setting: str) -> Exercise:
    """Return whether some case has this regularizer."""
    return some(lambda case: case.settings is not None and getattr(case.settings, setting) is not None)


def some(condition: Callable[[Case], bool]) -> Exercise:
    """Return whether a condition holds for some case."""
    return lambda cases: any(map(condition, cases))


def some_call(condition: Callable[[Call], bool]) -> Exercise:
    """Return whether a condition holds for some call of a case."""
    return some(lambda case: any(condition(call) for call in case.calls if isinstance(call, Call)))


def some_reset(condition: Callable[[ResetStates], bool], *, after_call: bool) -> Exercise:
    """Return whether a condition holds for some ``reset_states``, before or after the first call of its case."""

    def found(case: Case) -> bool:
        called = False
        for operation in case.calls:
            if isinstance(operation, Call):
                called = True
            elif called == after_call and condition(operation):
                return True
        return False

    return some(found)
