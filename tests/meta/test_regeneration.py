"""The golden data is what the generator writes, here and on an older machine."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("default")


def generated(**environment: str) -> subprocess.CompletedProcess[str]:
    """Generate the golden data and compare it with the stored bytes."""
    command = [sys.executable, "-m", "gruspec", "generate", "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_golden_data_comes_out_the_same_again() -> None:
    done = generated()
    assert done.returncode == 0, done.stdout + done.stderr


def test_golden_data_comes_out_the_same_on_an_older_machine() -> None:
    """Other kernels of the BLAS, and no vector units beyond the oldest that NumPy was built for."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    done = generated(OPENBLAS_CORETYPE="Prescott", NPY_DISABLE_CPU_FEATURES=" ".join(found))
    assert done.returncode == 0, done.stdout + done.stderr
