"""A test suite that can be run on a wrong GRU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gruspec.faults import FaultyBackend

Test: TypeAlias = "Callable[[FaultyBackend], None]"
"""Raises, whatever it is, if the implementation fails the test."""


@dataclass(frozen=True)
class TestSuite:
    """The tests of one project.

    Parameters
    ----------
    name
        What ``--suite`` calls it.
    heading
        What tables call it.
    version
        Of the package that the tests come from.
    tests
        By their names.
    left_out
        Why tests of the suite are not run, by their names.
    """

    __test__ = False

    name: str
    heading: str
    version: str
    tests: Mapping[str, Test]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def first_failure(self, backend: FaultyBackend) -> tuple[str, Exception] | None:
        """Return the first test that an implementation fails, and how; None if it passes all."""
        for name, test in self.tests.items():
            try:
                test(backend)
            except Exception as error:  # noqa: BLE001  whatever a wrong implementation makes a test raise fails it
                return name, error
        return None


class NotExpressible(Exception):
    """A test asks for what no layer of the specification can be asked."""
