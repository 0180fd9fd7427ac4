"""One implementation, in a process of its own, trying cases that may or may not show what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gruspec.certify import certify
from gruspec.conformance import Expectations, Implementation, Judgement, Status, judge
from gruspec.errors import CertificationError

if TYPE_CHECKING:
    from types import TracebackType

    from gruspec.backend import Registration
    from gruspec.cases import Case

FAILURES: tuple[Status, ...] = ("fail", "error")
"""Verdicts of a case that shows a difference."""


@dataclass(frozen=True)
class Failure:
    """A certified case that an implementation fails in a dtype, and the verdict on it."""

    case: Case
    dtype: str
    judgement: Judgement


class Trial:
    """Tries cases in one dtype; the process is started anew after a case that ended it.

    Parameters
    ----------
    registration
        The implementation.
    dtype, device
        What to run in and on.
    timeout
        Seconds for one case.
    expectations
        Failures that are known: they show nothing.
    """

    def __init__(
        self, registration: Registration, *, dtype: str, device: str, timeout: float, expectations: Expectations
    ) -> None:
        self._registration = registration
        self._dtype = dtype
        self._device = device
        self._timeout = timeout
        self._expectations = expectations
        self._start()

    def _start(self) -> None:
        self._implementation = Implementation(self._registration, device=self._device, timeout=self._timeout)
        self._capabilities = self._implementation.open().capabilities

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._implementation.close()

    def failure(self, case: Case) -> Failure | None:
        """Certify and run a case; return how it fails, or None if it passes, is known, or cannot be certified."""
        if self._expectations.find(case, self._dtype) is not None:
            return None
        try:
            certified = certify(case)
        except CertificationError:
            return None
        if self._dtype not in certified.dtypes:
            return None
        judgement = self._judgement(certified)
        return Failure(certified, self._dtype, judgement) if judgement.status in FAILURES else None

    def _judgement(self, case: Case) -> Judgement:
        replies = [reply for _, reply in self._implementation.perform(case, [self._dtype]) if reply is not None]
        if not replies or replies[0].crash:
            self._implementation.close()
            self._start()
        if not replies:
            return Judgement("error", "the process ended without an answer")
        return judge(case, replies[0], self._capabilities, dtype=self._dtype, device=self._device)
