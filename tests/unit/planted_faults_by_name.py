"""Wrong GRUs for other processes: the faults of ``GRUSPEC_TEST_FAULTS`` planted in the reference."""

from __future__ import annotations

import os

from gruspec.faults import CATALOGUE, FaultyBackend

VARIABLE = "GRUSPEC_TEST_FAULTS"


def backend() -> FaultyBackend:
    """Return the reference with the faults whose ids the environment lists."""
    return FaultyBackend(*(CATALOGUE[name] for name in os.environ.get(VARIABLE, "").split()))
