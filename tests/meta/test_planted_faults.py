"""A fault planted in an implementation is named by the command line: by the clause that it breaks, before any other.

Every fault is a text replaced in a copy of the NumPy implementation, under another name.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from gruspec.spec.clauses import CLAUSES

BOUND = "self._state: Array | None = None\n"
"""Where the layer has its weights in hand; what follows here changes them."""

EXCHANGED = """\
        for name, blocks in [(name, np.split(array, 3, -1)) for name, array in self._weights.items()]:
            self._weights[name] = np.concatenate([blocks[1], blocks[0], blocks[2]], -1)
"""
TRANSPOSED = """\
        blocks = np.split(self._weights["recurrent_kernel"], 3, 1)
        self._weights["recurrent_kernel"] = np.concatenate([block.T for block in blocks], 1)
"""
CHOICE = "(reset_after if spec.reset_after else reset_before)"


class Fault(NamedTuple):
    """A text in a module, what replaces it, and the clause that is broken by this."""

    clause: str
    module: str
    text: str
    replacement: str


FAULTS = {
    "update and reset gate exchanged": Fault("gate-order", "layer.py", BOUND, BOUND + EXCHANGED),
    "update complemented": Fault("update", "forward.py", "new: Array = update", "new: Array = (update := 1 - update)"),
    "input bias dropped": Fault("bias", "forward.py", "projected += bias[0] if bias.ndim == 2 else bias", "pass"),
    "zeros at masked timesteps": Fault("mask-output", "forward.py", "0 if spec.zero_output_for_mask else output", "0"),
    "reset gate never before the product": Fault("reset-before", "forward.py", CHOICE, "reset_after"),
    "reset gate never after the product": Fault("reset-after", "forward.py", CHOICE, "reset_before"),
    "reset variants exchanged": Fault("reset-before", "forward.py", CHOICE, CHOICE.replace("if", "if not")),
    "recurrent bias dropped": Fault("bias", "forward.py", "recurrent += recurrent_bias", "pass"),
    "recurrent kernel transposed": Fault("weights", "layer.py", BOUND, BOUND + TRANSPOSED),
    "mask ignored": Fault("mask-state", "layer.py", "dimensions.batch, h), m)", "dimensions.batch, h))"),
    "mask not reversed": Fault("mask-order", "forward.py", "valid = mask[t, :, None]", "valid = mask[i, :, None]"),
    "output held as state": Fault("mask-output", "forward.py", "output = np.zeros_like(state)", "output = state"),
    "zero output ignored": Fault("zero-output", "forward.py", "0 if spec.zero_output_for_mask else output", "output"),
    "initial state ignored": Fault("initial-state", "layer.py", "if initial_state is not None:", "if False:"),
    "carry lost": Fault("stateful", "layer.py", "self._state = state\n", "self._state = 0 * state\n"),
    "outputs reversed again": Fault("go-backwards", "forward.py", "outputs[i] = output", "outputs[t] = output"),
    "slope 1/6": Fault("hard-sigmoid", "activations.py", "x *= 0.2", "x /= 6"),
}
ELEMENTARY = ("--topic", "elementary", "--dtype", "float32")
WHOLE: tuple[str, ...] = ()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The NumPy implementation under another name."""
    spec = find_spec("gruspec_numpy")
    assert spec is not None
    assert spec.origin is not None
    copied = tmp_path / "planted"
    shutil.copytree(Path(spec.origin).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def plant(copied: Path, fault: Fault) -> None:
    """Replace the text of a fault, which must stand in its module exactly once."""
    module = copied / fault.module
    source = module.read_text(encoding="utf-8")
    assert source.count(fault.text) == 1, f"{fault.module} has {fault.text!r} {source.count(fault.text)} times"
    module.write_text(source.replace(fault.text, fault.replacement), encoding="utf-8")


def check(copied: Path, *options: str) -> tuple[int, str]:
    """Return the exit code of ``gruspec check`` on a copy, and its report as one line."""
    command = [sys.executable, "-m", "gruspec", "check", f"{copied.name}:backend", *options]
    done = subprocess.run(command, cwd=copied.parent, capture_output=True, text=True, check=False)
    return done.returncode, " ".join(done.stdout.split())


def assert_names(clause: str, copied: Path, *options: str) -> None:
    """Assert that a copy does not conform, and that the first clause of the report is this one."""
    code, report = check(copied, *options)
    named = re.findall(r"differs from the spec in clause ([a-z-]+)", report)
    assert (code, named[:1]) == (1, [clause]), f"named in this order: {named}"
    assert CLAUSES[clause] in report


@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_broken_clause_first(fault: str, copy: Path) -> None:
    plant(copy, FAULTS[fault])
    assert_names(FAULTS[fault].clause, copy, *ELEMENTARY)


@pytest.mark.parametrize("fault", ["update and reset gate exchanged", "mask not reversed"])
def test_names_it_among_the_failures_of_the_whole_suite(fault: str, copy: Path) -> None:
    plant(copy, FAULTS[fault])
    assert_names(FAULTS[fault].clause, copy, *WHOLE)


@pytest.mark.parametrize("options", [ELEMENTARY, WHOLE], ids=["elementary", "whole"])
def test_a_copy_without_a_fault_conforms(options: tuple[str, ...], copy: Path) -> None:
    code, report = check(copy, *options)
    assert code == 0, report
    assert "differs" not in report


def test_a_fault_that_is_not_planted_is_noticed(copy: Path) -> None:
    with pytest.raises(AssertionError, match="0 times"):
        plant(copy, Fault("bias", "forward.py", "no such text", ""))
    with pytest.raises(AssertionError, match="2 times"):
        plant(copy, Fault("bias", "forward.py", "update, reset = gates", ""))


def test_another_clause_in_the_first_place_is_noticed(copy: Path) -> None:
    plant(copy, FAULTS["mask ignored"])
    with pytest.raises(AssertionError, match="mask-state"):
        assert_names("mask-output", copy, *ELEMENTARY)
