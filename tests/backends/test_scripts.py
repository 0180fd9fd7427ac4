"""A case as a script: it ends with 0 where the implementation is right, and says what is wrong where it is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.backend import Registry, ScriptedBackend
from gruspec.backend.registry import missing_modules
from gruspec.cases import Call, Case, Expected, Suite
from gruspec.conformance import Expectations, Judgement, shipped_expectations
from gruspec.diagnosis.trial import judged
from gruspec.sweep.reproducer import reproducer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gruspec.backend import Backend

THIRD_PARTY = Path(__file__).parents[1] / "third_party"
GROUPS = (("numpy",), ("torch-nn",), ("torch",), ("onnxruntime",), ("jax",), ("tf-v1", "tf-v2"))
NARROW = {"torch-nn", "onnxruntime"}
NATIVE = {*NARROW, "tf-v1", "tf-v2"}
MOST_ELEMENTS = 400
REFUSED_BY_ALL = "state-too-wide"
OUT_OF_BOUNDS = r"AssertionError: .* of call \d+: \d+ of \d+ elements are out of bounds$"
KNOWN_ENDS = {
    "UnrollZeroLast": r"ValueError: (?s:.*) is not compatible with supplied shape",
    "UnrollZeroBackwards": OUT_OF_BOUNDS,
    "ExplicitState": OUT_OF_BOUNDS,
    "MaskedNonFiniteGradient": OUT_OF_BOUNDS,
    "StatefulEmptyBatch": r"ValueError: If a RNN is stateful, it needs to know its batch size\.",
    None: r"AssertionError: accepted what must be refused with ValueError$",
}
"""How the scripts of known divergences end, by flag; entries without a flag are cases that must be refused."""

RUNNER = """\
import contextlib, io, json, pathlib, runpy, sys
folder = pathlib.Path(sys.argv[1])
ends = {}
for script in sorted(folder.glob("*.py")):
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            runpy.run_path(str(script), run_name="__main__")
        except Exception as error:
            ends[script.name] = f"{type(error).__name__}: {error}"
        else:
            ends[script.name] = ""
(folder / "ends.json").write_text(json.dumps({"ends": ends, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite.load()


def weight_of(case: Case) -> tuple[int, str]:
    """Return what orders cases of a topic: those that use the most come first."""
    calls = [call for call in case.calls if isinstance(call, Call)]
    stated = sum(getattr(call, name) is not None for call in calls for name in ("mask", "initial_state", "cotangents"))
    return (-sum(value is True for value in case.spec.to_dict().values()) - stated - len(case.calls), case.id)


def suits(name: str, backend: Backend, case: Case, dtype: str) -> bool:
    """Return whether an implementation passes a small case, and a script of its framework can show it."""
    declared = backend.capabilities()
    if dtype not in declared.dtypes or sum(array.size for array in case.arrays().values()) > MOST_ELEMENTS:
        return False
    if "Subnormal" in case.flags or (case.settings is not None and not declared.losses):
        return False
    if case.result == "invalid" and not case.id.endswith(REFUSED_BY_ALL):
        return False
    return name not in NATIVE or judged(backend, case, dtype).status == "pass"


def passing(name: str, backend: Backend, suite: Suite) -> Iterator[tuple[Case, str]]:
    """Yield cases that an implementation passes, in alternating dtypes, of each topic that has some."""
    for topic in suite.topics:
        cases = sorted(suite.cases([topic]), key=weight_of)
        pairs = ((case, dtype) for i, case in enumerate(cases) for dtype in sorted(case.dtypes, reverse=i % 2 == 0))
        found = (pair for pair in pairs if suits(name, backend, *pair))
        yield from islice(found, 4 if name in NARROW else 1)


def altered(case: Case) -> Case:
    """Return a case that expects something else of the last element of the first output."""
    operation = case.calls[0]
    assert isinstance(operation, Call)
    value = operation.expected["outputs"].value
    assert value is not None
    wrong = value.copy()
    wrong.flat[-1] += 1.0
    expected = dict(operation.expected) | {"outputs": Expected(wrong, operation.expected["outputs"].kappa)}
    return replace(case, calls=(replace(operation, expected=expected), *case.calls[1:]))


def write(folder: Path, name: str, label: str, case: Case, dtype: str, judgement: Judgement) -> None:
    """Write the script of a case, which must not ask the implementation for its versions."""
    text = reproducer(case, dtype, name, Registry().get(name).load(), judgement, versions={"measured": "1.0"})
    number = len(list(folder.glob("*.py")))
    (folder / f"{number:03} {name} {label} {case.id.replace('/', ' ')} {dtype}.py").write_text(text, encoding="utf-8")


def run_all(folder: Path) -> tuple[dict[str, str], set[str]]:
    """Run all scripts of a folder in one process; return how each ended, and the modules that were imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(folder)], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "ends.json").read_text())
    return found["ends"], {module.partition(".")[0] for module in found["modules"]}


def run_one(script: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": ":".join(map(str, paths)), "PATH": ""}
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
def test_scripts_end_with_0_where_the_implementation_is_right(
    names: tuple[str, ...], suite: Suite, tmp_path: Path
) -> None:
    for name in names:
        backend = Registry().get(name).load()
        if missing := missing_modules(backend.capabilities()):
            pytest.skip(f"{missing} not installed")
        assert isinstance(backend, ScriptedBackend)
        chosen = list(passing(name, backend, suite))
        assert len(chosen) >= 12, [case.id for case, _ in chosen]
        for case, dtype in chosen:
            write(tmp_path, name, "right", case, dtype, Judgement("pass"))
        case, dtype = next((case, dtype) for case, dtype in chosen if case.topic == "common")
        write(tmp_path, name, "wrong", altered(case), dtype, Judgement("pass"))
    ends, modules = run_all(tmp_path)
    for script, end in ends.items():
        if " wrong " in script:
            assert end.startswith("AssertionError: outputs of call 0: 1 of"), (script, end)
        else:
            assert not end, (script, end)
    assert any(module.startswith("gruspec") for module in modules) != (set(names) <= NATIVE)


def test_scripts_of_known_divergences_fail(suite: Suite, tmp_path: Path) -> None:
    pytest.importorskip("tf_keras")
    expectations = Expectations.load(shipped_expectations() / "tf-v1.toml")
    backend = Registry().get("tf-v1").load()
    for entry in expectations.entries:
        selected = (case for case in suite.cases() if entry.selects(case, case.dtypes[0]))
        case = min(selected, key=lambda case: sum(array.size for array in case.arrays().values()))
        judgement = judged(backend, case, case.dtypes[0])
        assert judgement.status == "fail"
        write(tmp_path, "tf-v1", entry.clause, case, case.dtypes[0], judgement)
    ends, _ = run_all(tmp_path)
    assert len(ends) == len(expectations.entries)
    for (script, end), entry in zip(sorted(ends.items()), expectations.entries, strict=True):
        assert re.match(KNOWN_ENDS[entry.flag], end), (script, end)


@pytest.mark.parametrize("name", ["numpy", "torch-nn"])
def test_a_script_runs_on_its_own(name: str, suite: Suite, tmp_path: Path) -> None:
    if missing := missing_modules(Registry().get(name).load().capabilities()):
        pytest.skip(f"{missing} not installed")
    case = next(case for case in suite.cases(["elementary"]) if case.id.endswith("reset-after/reset-after-sigmoid"))
    write(tmp_path, name, "right", case, "float32", Judgement("pass"))
    write(tmp_path, name, "wrong", altered(case), "float32", Judgement("pass"))
    right, wrong = (run_one(script) for script in sorted(tmp_path.glob("*.py")))
    assert right.returncode == 0, right.stderr
    assert wrong.returncode == 1
    assert "AssertionError: outputs of call 0: 1 of" in wrong.stderr
    assert "computed" in wrong.stdout
    assert "expected" in wrong.stdout


def test_an_implementation_without_scripts_is_used_through_the_protocol(suite: Suite, tmp_path: Path) -> None:
    # What follows the call is the same for all, so that one without a script is shown on one that has one, too.
    case = next(case for case in suite.cases(["elementary"]) if case.id.endswith("reset-after/reset-after-sigmoid"))
    sys.path.insert(0, str(THIRD_PARTY))
    try:
        backend = Registry().get("slow_gru:backend").load()
    finally:
        sys.path.remove(str(THIRD_PARTY))
    assert not isinstance(backend, ScriptedBackend)
    text = reproducer(case, "float64", "slow_gru:backend", backend, Judgement("pass"))
    assert "needs gruspec" in text
    (tmp_path / "right.py").write_text(text, encoding="utf-8")
    text = reproducer(altered(case), "float64", "slow_gru:backend", backend, Judgement("pass"))
    (tmp_path / "wrong.py").write_text(text, encoding="utf-8")
    right, wrong = (run_one(tmp_path / f"{which}.py", THIRD_PARTY) for which in ("right", "wrong"))
    assert right.returncode == 0, right.stderr
    assert wrong.returncode == 1
    assert "AssertionError: outputs of call 0" in wrong.stderr


class Unscripted:
    """An implementation of everything that offers no script."""

    def __init__(self) -> None:
        self.backend: Any = Registry().get("numpy").load()

    def capabilities(self) -> Any:
        return self.backend.capabilities()

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}

    def prepare(self, *arguments: Any, **options: Any) -> Any:
        return self.backend.prepare(*arguments, **options)


def test_scripts_through_the_protocol_run_cases_of_every_topic(suite: Suite, tmp_path: Path) -> None:
    backend = Unscripted()
    for case, dtype in passing("numpy", backend, suite):
        (tmp_path / f"{case.topic}.py").write_text(
            reproducer(case, dtype, "numpy", backend, Judgement("pass")), "utf-8"
        )
    ends, _ = run_all(tmp_path)
    assert len(ends) >= 12
    assert not any(ends.values()), ends
