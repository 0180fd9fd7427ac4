"""Every installed implementation conforms: what differs is expected, with clause and reason, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gruspec.backend import Registry
from gruspec.backend.registry import missing_modules

pytestmark = pytest.mark.filterwarnings("default")


def gruspec(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gruspec.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_golden_suite() -> None:
    done = gruspec("check", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    installed = [name for name in Registry().names() if not missing_modules(Registry().get(name).load().capabilities())]
    assert [found["name"] for found in report["implementations"]] == installed
    for found in report["implementations"]:
        assert sum(found["totals"].values()) == len(found["results"])
        assert found["totals"]["pass"] > 100


def test_golden_data_comes_out_the_same_again() -> None:
    done = gruspec("generate", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
