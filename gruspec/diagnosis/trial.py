"""Trying a case on an implementation in this process, judged as the runner judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.conformance import judge
from gruspec.conformance.perform import perform
from gruspec.conformance.replies import case_message
from gruspec.conformance.wire import Frame

if TYPE_CHECKING:
    from gruspec.backend import Backend
    from gruspec.cases import Case
    from gruspec.conformance import Judgement
    from gruspec.conformance.replies import Reply


def tried(backend: Backend, case: Case, dtype: str) -> Reply:
    """Return what an implementation does with a case; nothing protects this process from it."""
    return perform(backend, Frame(*case_message(case, [dtype])), dtype=dtype, device="cpu")


def judged(backend: Backend, case: Case, dtype: str) -> Judgement:
    """Return the verdict on what an implementation does with a case."""
    return judge(case, tried(backend, case, dtype), backend.capabilities(), dtype=dtype, device="cpu")
