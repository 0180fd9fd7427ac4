"""What happens in a run, as one stream of events; every report is made from it alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.backend import Capabilities
    from gruspec.cases.model import Flag
    from gruspec.conformance.expectations import Expectation
    from gruspec.conformance.judge import Status, Worst
    from gruspec.conformance.replies import Outputs


@dataclass(frozen=True, kw_only=True)
class Header:
    """Which cases are run: the suite's version, the version of the specification it tests, its manifest's hash.

    Random cases have a ``seed`` and no hash.
    """

    version: str
    spec_version: str = ""
    sha256: str = ""
    seed: int | None = None
    flags: Mapping[str, Flag] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SuiteStarted:
    """The first event. ``left_out`` says, by name, why implementations do not take part."""

    header: Header
    cases: int
    total: int
    dtypes: tuple[str, ...]
    device: str
    implementations: tuple[str, ...]
    left_out: Mapping[str, str]
    machine: str
    python: str


@dataclass(frozen=True, kw_only=True)
class ImplementationStarted:
    """An implementation is loaded; ``total`` cases x dtypes follow."""

    implementation: str
    versions: Mapping[str, str]
    capabilities: Capabilities | None
    total: int


@dataclass(frozen=True, kw_only=True)
class CaseStarted:
    """An implementation tries a case."""

    implementation: str
    id: str
    dtype: str


@dataclass(frozen=True, kw_only=True)
class CaseFinished:
    """A case is settled in one dtype.

    Parameters
    ----------
    implementation, id, topic, clause, flags, dtype
        What was run.
    status, message
        The verdict, and why it is not ``pass``.
    expectation
        The entry that expected a failure, of an ``xfail`` or ``xpass``.
    worst
        The worst element, a failing one if there is one.
    fraction, ulp
        The largest error, as a fraction of the bound and in units in the last place.
    elements, judged
        Numbers of elements.
    seconds
        Time in the implementation.
    paths
        The code paths that its calls took, where the layer says so.
    outputs
        What was computed, by ``<call index>/<output name>``.
    """

    implementation: str
    id: str
    topic: str
    clause: str
    flags: tuple[str, ...]
    dtype: str
    status: Status
    message: str = ""
    expectation: Expectation | None = None
    worst: Worst | None = None
    fraction: float = 0.0
    ulp: float = 0.0
    elements: int = 0
    judged: int = 0
    seconds: float = 0.0
    paths: tuple[str, ...] = ()
    outputs: Outputs = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class ImplementationFinished:
    """An implementation has ended.

    ``problem`` says why it could not run here, or not to the end; ``restarts`` how often its process died and was
    started again.
    """

    implementation: str
    totals: Mapping[Status, int]
    seconds: float
    restarts: int = 0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class SuiteFinished:
    """The last event. ``problems`` are errors in the expectations; ``exit_code`` is what a command ends with."""

    totals: Mapping[Status, int]
    seconds: float
    problems: tuple[str, ...]
    exit_code: int


Event: TypeAlias = (
    SuiteStarted | ImplementationStarted | CaseStarted | CaseFinished | ImplementationFinished | SuiteFinished
)
