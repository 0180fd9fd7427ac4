"""Every installed implementation conforms: what differs is expected, with clause and reason, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gruspec.backend import Registry
from gruspec.backend.registry import missing_modules

pytestmark = pytest.mark.filterwarnings("default")


def gruspec(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gruspec", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


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


def test_golden_data_comes_out_the_same_on_an_older_machine() -> None:
    """Other kernels of the BLAS, and no vector units beyond the oldest that NumPy was built for."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    done = gruspec("generate", "--check", OPENBLAS_CORETYPE="Prescott", NPY_DISABLE_CPU_FEATURES=" ".join(found))
    assert done.returncode == 0, done.stdout + done.stderr
