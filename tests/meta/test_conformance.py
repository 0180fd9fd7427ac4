"""Every installed implementation conforms: what differs is expected, with clause and reason, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gruspec.backend import Registry
from gruspec.backend.registry import missing_modules

pytestmark = pytest.mark.filterwarnings("default")


def test_golden_suite() -> None:
    command = [sys.executable, "-m", "gruspec", "check", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    installed = [name for name in Registry().names() if not missing_modules(Registry().get(name).load().capabilities())]
    assert [found["name"] for found in report["implementations"]] == installed
    for found in report["implementations"]:
        assert sum(found["totals"].values()) == len(found["results"])
        assert found["totals"]["pass"] > 100
