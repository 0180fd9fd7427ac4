"""The reference with something wrong, for the tests of sweeps; a child process imports this file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gruspec.errors import Unsupported
from gruspec.faults.backend import FaultyBackend
from gruspec.faults.catalogue import CATALOGUE


def right() -> FaultyBackend:
    return FaultyBackend()


def gates() -> FaultyBackend:
    return FaultyBackend(CATALOGUE["gate-order/kernel-zhr"])


class Failing(FaultyBackend):
    """Refuses to prepare some layers, in one way or another."""

    def __init__(self, refuse: Any) -> None:
        super().__init__()
        self._refuse = refuse

    def prepare(self, spec: Any, weights: Any, *, dtype: str, device: str, settings: Any = None) -> Any:
        self._refuse(spec)
        return super().prepare(spec, weights, dtype=dtype, device=device, settings=settings)


def _raise_backwards(spec: Any) -> None:
    if spec.go_backwards:
        raise RuntimeError("cannot turn round")


def _leave_with_several_units(spec: Any) -> None:
    if spec.units > 1:
        os._exit(3)


def _raise_once(_: Any) -> None:
    marker = Path(os.environ["SWEPT_MARKER"])
    if not marker.exists():
        marker.touch()
        raise RuntimeError("only now")


def _decline(_: Any) -> None:
    raise Unsupported("everything")


class Native(Failing):
    """Declares little, so that it may decline."""

    def capabilities(self) -> Any:
        from gruspec.backend import Capabilities

        return Capabilities(summary="declines everything", kind="native")


def backwards() -> Failing:
    return Failing(_raise_backwards)


def leaving() -> Failing:
    return Failing(_leave_with_several_units)


def once() -> Failing:
    return Failing(_raise_once)


def declining() -> Native:
    return Native(_decline)
