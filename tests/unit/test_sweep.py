"""``gruspec sweep``: what it runs, finds, writes and ends with."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gruspec.backend import Registration
from gruspec.cli import main
from gruspec.conformance import CaseFinished, Header, Judgement, Plan
from gruspec.generate.random_cases import drawn_case, random_case
from gruspec.sweep.findings import Finding, Noticed, write_reproducer
from gruspec.sweep.plan import SweepPlan
from gruspec.sweep.run import Sweep
from gruspec.sweep.trial import Failure

HERE = Path(__file__).parent
ROUND = 3
RIGHT, GATES = "swept_backends:right", "swept_backends:gates"


def gruspec(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="gruspec")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def swept(folder: Path, *arguments: object) -> Result:
    return gruspec("sweep", *arguments, "--output", folder, "--jobs", 1, "--shrink-seconds", 20)


def resumed(result: Result) -> list[str]:
    line = next(line for line in result.stdout.splitlines() if line.startswith("resume with: gruspec sweep "))
    return shlex.split(line.removeprefix("resume with: gruspec sweep "))


def ids(sweep: Sweep) -> list[str]:
    events = [event for event in sweep.happenings() if isinstance(event, CaseFinished)]
    assert all(event.status == "pass" for event in events)
    return [event.id for event in events if event.dtype == "float64"]


def sweep_of(start: int, cases: int, name: str = RIGHT) -> Sweep:
    run = Plan(cases=(), header=Header(version="random", seed=2), jobs=1)
    plan = SweepPlan(run=run, seed=2, start=start, cases=cases, timeout=60)
    return Sweep(plan, [Registration(name, name)])


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gruspec.sweep.run.ROUND", ROUND)


def test_a_sweep_can_be_resumed() -> None:
    first = sweep_of(0, ROUND + 1)
    begun = ids(first)
    assert first.next == ROUND + 1
    assert begun + ids(sweep_of(first.next, 2)) == [drawn_case(2, k).id for k in range(ROUND + 3)]


def test_right_gru_conforms(tmp_path: Path) -> None:
    result = swept(tmp_path, RIGHT, "--cases", 3, "--seed", 5, "--start", 2, "--dtype", "float32")
    assert result.exit_code == 0, result.output
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith(RIGHT))
    assert row[1:7] == ["float32", "3", "3", "·", "·", "·"]
    assert 0 < float(row[9]) <= float(row[8]) < 1
    assert "conforms: 3 pass" in result.stdout
    expected = [RIGHT, "--seed", "5", "--start", "5", "--cases", "3", "--dtype", "float32"]
    assert resumed(result) == expected
    assert not list(tmp_path.iterdir())


def test_a_planted_fault_is_found_and_shown_by_a_script(tmp_path: Path) -> None:
    result = swept(tmp_path, GATES, "--cases", 2 * ROUND)
    assert result.exit_code == 1, result.output
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("swept_backends.gates-0-")
    assert f"run: python {path}" in result.stdout
    assert "fails in float32; shrinking" in result.stderr
    assert f"wrote {path}" in result.stderr
    assert f"{GATES} differs from the spec in case {path.stem.rpartition('-')[2]}" in result.stdout
    assert "GRU(units=1, use_bias=False); call with inputs (1, 1, 1)" in result.stdout
    assert resumed(result)[-2:] == ["--cases", str(ROUND)]
    surroundings = os.environ | {"PYTHONPATH": str(HERE)}
    done = subprocess.run([sys.executable, path], env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "out of bounds" in done.stderr


def test_without_an_end_every_clause_is_reported_once(tmp_path: Path) -> None:
    result = gruspec(
        "sweep", GATES, "--cases", 6, "--keep-going", "--json", "--shrink-seconds", 1, "--output", tmp_path
    )
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    clauses = [random_case(0, found["k"]).clause for found in document["findings"]]
    assert len(clauses) == len(set(clauses)) > 1
    assert {found["path"] for found in document["findings"]} == {str(path) for path in tmp_path.iterdir()}
    (implementation,) = document["implementations"]
    (single, double) = implementation["dtypes"]
    assert single["pass"] + single["fail"] == single["cases"] == 6
    assert (single["dtype"], double["dtype"], document["next"], document["exit_code"]) == ("float32", "float64", 6, 1)


def test_what_cannot_fail_again_is_reported_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEPT_MARKER", str(tmp_path / "marker"))
    result = swept(tmp_path / "out", "swept_backends:once", "--cases", 2)
    assert result.exit_code == 1
    assert "it did not fail again by itself" in result.stdout
    assert "prepare: raised RuntimeError: only now" in result.stdout
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "swept_backends.once-0-0.py"
    assert "random/" in path.read_text(encoding="utf-8")


def test_known_failures_are_no_findings(tmp_path: Path) -> None:
    entry = '[[expected]]\nflag = "Backwards"\nclause = "go-backwards"\nreason = "cannot"\n'
    (tmp_path / "swept_backends.backwards.toml").write_text(entry, encoding="utf-8")
    out = tmp_path / "out"
    start = next(k for k in range(99) if [drawn_case(0, k + i).spec.go_backwards for i in (0, 1)] == [False, True])
    chosen = ("--start", start, "--cases", 2, "--dtype", "float64")
    result = swept(out, "swept_backends:backwards", *chosen, "--expectations", tmp_path)
    assert result.exit_code == 0, result.output
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith("swept_backends:backwards"))
    assert row[2:7] == ["2", "1", "·", "·", "1"]
    assert not out.exists()
    assert "--expectations" in resumed(result)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("swept_backends:declining", "swept_backends:declining: nothing was judged"),
        ("sample_backends:unloadable", "could not run: sample_backends:unloadable"),
    ],
)
def test_no_verdict_where_nothing_can_be_judged(tmp_path: Path, name: str, message: str) -> None:
    result = swept(tmp_path, name, "--cases", 1)
    assert result.exit_code == 3, result.output
    assert message in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cases", 3, "--minutes", 1], "say either --cases or --minutes"),
        (["--shard", "3/2"], "--shard 3/2: expected I/N"),
        (["--dtype", "bfloat16"], "'bfloat16' is not one of"),
        (["no-such-implementation"], "no-such-implementation: no such implementation"),
    ],
)
def test_wrong_usage(arguments: list[Any], message: str) -> None:
    result = gruspec("sweep", *arguments)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gruspec.cli.sweep.find_spec", lambda name: None if name == "hypothesis" else name)
    result = gruspec("sweep", RIGHT)
    assert result.exit_code == 3
    assert "sweep needs hypothesis; pip install 'gruspec[reference]'" in result.stderr


def test_ctrl_c_ends_with_what_there_is(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gruspec",
        "sweep",
        RIGHT,
        "--minutes",
        "5",
        "--output",
        str(tmp_path),
        "--jobs",
        "1",
    ]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=HERE, start_new_session=True, **pipes) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(f"{RIGHT}: cases until time is up")
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "broken off" in out
    assert RIGHT in out
    assert "resume with: gruspec sweep swept_backends:right --seed 0 --start 0 --minutes 5" in out
    assert error.endswith("gruspec: interrupted\n")
    assert "Traceback" not in error


def finding() -> Finding:
    case = random_case(0, 0)
    failure = Failure(case, "float32", Judgement("fail", "outputs of call 0: missing"))
    return Finding(GATES, 0, 0, case, failure, again=True, tried=1)


def test_no_script_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    backend = Registration(GATES, GATES).load()
    folder = tmp_path / "new" / "folder"
    paths = []
    for number in range(3):
        paths.append(write_reproducer(finding(), folder, backend))
        paths[-1].write_text(f"{number}", encoding="utf-8")
    assert [path.name for path in paths] == [f"swept_backends.gates-0-0{end}.py" for end in ("", "-2", "-3")]
    assert [path.read_text(encoding="utf-8") for path in paths] == ["0", "1", "2"]


def test_a_failure_is_noticed_before_it_is_shrunk() -> None:
    sweep = sweep_of(0, 2, GATES)
    sweep.plan = replace(sweep.plan, shrink_seconds=0)
    kinds = [type(happening) for happening in sweep.happenings()]
    assert kinds.index(Noticed) + 1 == kinds.index(Finding)
    assert kinds.count(Finding) == 1
