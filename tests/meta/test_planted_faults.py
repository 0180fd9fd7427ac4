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

EXCHANGED = """\
        z, r, h = (slice(i * spec.units, (i + 1) * spec.units) for i in range(3))
        weights = {
            name: __import__("numpy").concatenate([array[..., r], array[..., z], array[..., h]], -1)
            for name, array in weights.items()
        }
"""
TRANSPOSED = """\
        import numpy as np
        blocks = np.split(weights["recurrent_kernel"], 3, 1)
        weights = {**weights, "recurrent_kernel": np.concatenate([block.T for block in blocks], 1)}
"""
BOUND = "        from .layer import GRU\n"
"""Where the adapter has the weights in hand; what follows here changes them."""

CHOICE = "(reset_after if spec.reset_after else reset_before)"
COMPLEMENT = "np.subtract(one, update, scratch)"
CARRIED = "update if tape.valid is None else np.where(tape.valid[:, None], update, 1)"


class Fault(NamedTuple):
    """A text in a module, what replaces it, and the clause that is broken by this."""

    clause: str
    module: str
    text: str
    replacement: str


FAULTS = {
    "update and reset gate exchanged": Fault("gate-order", "adapter.py", BOUND, BOUND + EXCHANGED),
    "update complemented": Fault("update", "forward.py", COMPLEMENT, "update = one - update; " + COMPLEMENT),
    "input bias dropped": Fault("bias", "forward.py", "projected += _merged(", "projected += 0 * _merged("),
    "zeros at masked timesteps": Fault(
        "mask-output", "forward.py", "valid if spec.zero_output_for_mask", "valid if True"
    ),
    "reset gate never before the product": Fault("reset-before", "forward.py", CHOICE, "reset_after"),
    "reset gate never after the product": Fault("reset-after", "forward.py", CHOICE, "reset_before"),
    "reset variants exchanged": Fault("reset-before", "forward.py", CHOICE, CHOICE.replace("if", "if not")),
    "recurrent bias dropped": Fault("bias", "forward.py", "np.add(product, recurrent_bias, product)", "pass"),
    "recurrent kernel transposed": Fault("weights", "adapter.py", BOUND, BOUND + TRANSPOSED),
    "mask ignored": Fault(
        "mask-state",
        "adapter.py",
        "initial_state, mask, training, dropout_masks=",
        "initial_state, None, training, dropout_masks=",
    ),
    "mask not reversed": Fault("mask-order", "forward.py", "None if mask is None else mask[order]", "mask"),
    "output held as state": Fault(
        "mask-output", "forward.py", "np.logical_or.accumulate(valid)", "np.ones_like(valid)"
    ),
    "zero output ignored": Fault("zero-output", "forward.py", "valid if spec.zero_output_for_mask", "valid if False"),
    "initial state ignored": Fault(
        "initial-state", "recurrent.py", "start = given if given is not None else recorded", "start = recorded"
    ),
    "carry lost": Fault(
        "stateful", "recurrent.py", "recorded = self._recorded if spec.stateful", "recorded = None if spec.stateful"
    ),
    "outputs reversed again": Fault(
        "go-backwards", "forward.py", "turn(states, rows)", "turn(states[:: -1 if spec.go_backwards else 1], rows)"
    ),
    "slope 1/6": Fault("hard-sigmoid", "activation_functions.py", "x *= 0.2", "x /= 6"),
}
TRAINING_FAULTS = {
    "reset path detached": Fault(
        "gradients",
        "backward.py",
        "parted[:, 0] = states if tape.products is None else tape.products",
        "parted[:, 0] = 0",
    ),
    "path past the reset gate detached": Fault("gradients", "backward.py", "parted[:, 1] = reset", "parted[:, 1] = 0"),
    "state path detached at masks": Fault(
        "gradients", "backward.py", CARRIED, CARRIED.replace("update, 1", "update, 0")
    ),
    "held output sends to nothing": Fault(
        "gradients",
        "backward.py",
        "seed += last if tape.shown is None else",
        "seed += last if tape.valid is None else 0 *",
    ),
    "output before the first valid timestep sends to the initial state": Fault(
        "gradients", "backward.py", "np.copyto(columns, 0, where=~tape.shown[:, None])", "pass"
    ),
    "recurrent bias not gated by the reset gate": Fault(
        "gradients", "backward.py", "np.stack([bias, recurrent.sum(axis=0)])", "np.stack([bias, bias])"
    ),
    "truncated after one timestep": Fault("gradients", "backward.py", "cotangent += through", "cotangent[...] = 0"),
    "gradient of the initial state missing": Fault(
        "gradients", "backward.py", '"initial_state": cotangent.T.copy()', '"initial_state": 0 * cotangent.T'
    ),
    "cotangent of the state ignored": Fault("gradients", "backward.py", 'seed += cotangents["state"].T', "pass"),
    "kink excluded": Fault(
        "gradient-kinks", "activation_functions.py", "(line >= 0) & (line <= 1)", "(line > 0) & (line < 1)"
    ),
    "slope of relu at zero": Fault(
        "gradient-kinks", "activation_functions.py", "slope: Array = x > 0", "slope: Array = x >= 0"
    ),
    "masks of gates exchanged": Fault(
        "dropout-masks",
        "forward.py",
        "zip(masks, np.split(kernel, 3, axis=1), strict=True)",
        "zip(masks[::-1], np.split(kernel, 3, axis=1), strict=True)",
    ),
    "dropout in inference": Fault(
        "dropout-masks",
        "dropout.py",
        "acting_masks(spec, taken, training=training,",
        "acting_masks(spec, taken, training=True,",
    ),
    "dropout gradients unmasked": Fault("gradients", "backward.py", "        products *= columns\n", ""),
    "activity not divided": Fault(
        "losses", "weighted.py", "regularizer(each) / max(1, len(each))", "regularizer(each)"
    ),
}
ELEMENTARY = ("--topic", "elementary", "--dtype", "float32")
TRAINING = tuple(
    word for topic in ("dropout", "gradient", "stateful-gradient", "losses") for word in ("--topic", topic)
)
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fault", TRAINING_FAULTS)
def test_a_fault_in_training_is_named(fault: str, dtype: str, copy: Path) -> None:
    plant(copy, TRAINING_FAULTS[fault])
    assert_names(TRAINING_FAULTS[fault].clause, copy, *TRAINING, "--dtype", dtype)


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
        plant(copy, Fault("bias", "forward.py", "multiply(state, recurrent)", ""))


def test_another_clause_in_the_first_place_is_noticed(copy: Path) -> None:
    plant(copy, FAULTS["mask ignored"])
    with pytest.raises(AssertionError, match="mask-state"):
        assert_names("mask-output", copy, *ELEMENTARY)
