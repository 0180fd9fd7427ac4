"""``gruspec sweep``: what it runs, finds, writes and ends with."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from gruspec import __version__
from gruspec.backend import Registration
from gruspec.cli import main
from gruspec.conformance import CaseFinished, Header, Implementation, Judgement, Plan, SuiteStarted
from gruspec.generate.random_cases import drawn_case, random_case
from gruspec.report.sweep import SweepReport, print_sweep
from gruspec.report.tally import Tally
from gruspec.sweep.findings import Finding, Noticed, write_reproducer
from gruspec.sweep.plan import Shard, SweepPlan
from gruspec.sweep.run import Sweep
from gruspec.sweep.trial import Failure

HERE = Path(__file__).parent
ROUND = 3
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from gruspec.cli import main
main(prog_name="gruspec")
"""
"""gruspec where the tests run in the background, and what they start would ignore Ctrl-C."""
RIGHT, GATES = "swept_backends:right", "swept_backends:gates"


def gruspec(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="gruspec")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def swept(folder: Path, *arguments: object) -> Result:
    return gruspec("sweep", *arguments, "--output", folder, "--jobs", 1, "--shrink-seconds", 20)


def given(folder: Path) -> list[str]:
    """Return the options of :func:`swept` as they are repeated."""
    return ["--jobs", "1", "--output", str(folder), "--shrink-seconds", "20"]


def resumed(result: Result) -> list[str]:
    line = next(line for line in result.stdout.splitlines() if line.startswith("resume with: gruspec sweep "))
    return shlex.split(line.removeprefix("resume with: gruspec sweep "))


def printed(result: Result, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command that a report gives for its first finding, in a folder."""
    line = next(line.strip() for line in result.stdout.splitlines() if line.startswith("  run: "))
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": programs}
    command = line.removeprefix("run: ")
    return subprocess.run(  # the shell reads it as a reader's shell does
        ["/bin/sh", "-c", command], cwd=folder, env=surroundings, capture_output=True, text=True, check=False
    )


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
    assert resumed(result) == [*expected, *given(tmp_path)]
    assert not list(tmp_path.iterdir())


def test_a_planted_fault_is_found_and_shown_by_a_script(tmp_path: Path) -> None:
    tmp_path = tmp_path / "with space"
    result = swept(tmp_path, GATES, "--cases", 2 * ROUND)
    assert result.exit_code == 1, result.output
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("swept_backends.gates-0-")
    assert f"run: python '{path}'" in result.stdout
    assert "WeightSettings" not in path.read_text(encoding="utf-8")
    assert "fails in float32; shrinking" in result.stderr
    assert f"wrote {path}" in result.stderr
    assert f"{GATES} differs from the spec in case {path.stem.rpartition('-')[2]}" in result.stdout
    assert "GRU(units=1, use_bias=False); call with inputs (1, 1, 1)" in result.stdout
    assert resumed(result)[5:] == ["--cases", str(ROUND), *given(tmp_path)]
    done = printed(result, HERE)
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


def test_every_option_is_repeated(tmp_path: Path) -> None:
    left = ["--dtype", "float64", "--device", "cpu", "--timeout", "7.5", "--keep-going", "--json", "--shard", "2/2"]
    result = swept(tmp_path, RIGHT, "--start", 1, "--cases", 2, *left, "--expectations", tmp_path)
    assert result.exit_code == 0, result.output
    repeated = shlex.split(json.loads(result.stdout)["resume"])
    assert repeated[:3] == ["gruspec", "sweep", RIGHT]
    expected = [*left, *given(tmp_path), "--expectations", str(tmp_path)]
    assert sorted(repeated[3:]) == sorted(["--seed", "0", "--start", "3", "--cases", "2", *expected])


def test_cases_that_nobody_could_run_are_not_skipped() -> None:
    sweep = sweep_of(4, 2 * ROUND, "sample_backends:unloadable")
    assert not [event for event in sweep.happenings() if isinstance(event, CaseFinished)]
    assert sweep.next == 4
    mixed = Sweep(
        replace(sweep.plan, cases=ROUND),
        [Registration(name, name) for name in ("sample_backends:unloadable", RIGHT)],
    )
    assert len([event for event in mixed.happenings() if isinstance(event, CaseFinished)]) == 2 * ROUND
    assert mixed.next == 4 + ROUND


def test_a_share_that_was_run_leaves_nothing() -> None:
    sweep = sweep_of(0, 6)
    sweep.plan = replace(sweep.plan, shard=Shard(1, 4))
    assert ids(sweep) == [drawn_case(2, k).id for k in (0, 4)]
    assert sweep.next >= 6


def test_a_folder_that_cannot_be_written_to_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = swept(tmp_path / "file" / "folder", GATES, "--cases", 1)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--output {tmp_path / 'file' / 'folder'}: scripts cannot be written here" in result.stderr
    assert "shrinking" not in result.stderr


def test_a_finding_without_a_script_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gruspec.sweep.findings.check_writable", lambda folder: folder.touch())
    result = swept(tmp_path / "out", GATES, "--cases", ROUND)
    assert result.exit_code == 1, result.output
    assert f"{GATES} differs from the spec in case " in result.stdout
    assert f"no script: --output {tmp_path / 'out'}: scripts cannot be written here" in " ".join(result.stdout.split())
    assert "run: python" not in result.stdout
    assert "resume with" in result.stdout


def test_the_script_is_of_the_device_and_of_the_versions_that_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_cpu(registration: Registration, *, device: str, timeout: float) -> Implementation:
        assert device == "cuda"
        return Implementation(registration, timeout=timeout)

    def asked(_: object) -> dict[str, str]:
        raise AssertionError("only the process of the implementation may be asked")

    monkeypatch.setattr("gruspec.sweep.run.Implementation", on_cpu)
    monkeypatch.setattr("gruspec.sweep.trial.Implementation", on_cpu)
    monkeypatch.setattr("gruspec.faults.backend.FaultyBackend.versions", asked)
    result = swept(tmp_path, GATES, "--cases", ROUND, "--device", "cuda")
    assert result.exit_code == 1, result.output
    text = next(tmp_path.iterdir()).read_text(encoding="utf-8")
    assert "', device='cuda'" in text
    assert text.startswith(f"# {GATES} (gruspec {__version__}")


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


def test_a_sweep_that_ran_nothing_has_no_table() -> None:
    out = Console(file=StringIO(), width=100)
    report = SweepReport(tally=Tally(), found=[], seed=0, next=0, uncertified=[], resume="gruspec sweep")
    print_sweep(report, out)
    assert cast("StringIO", out.file).getvalue() == "broken off\nresume with: gruspec sweep\n"
    started = SuiteStarted(
        header=Header(version="random"),
        cases=1,
        total=1,
        dtypes=("float32",),
        device="cpu",
        implementations=(RIGHT,),
        left_out={},
        machine="machine",
        python="3",
    )
    report.tally.add(started)
    print_sweep(report, out)
    lines = cast("StringIO", out.file).getvalue().splitlines()
    assert lines[2:] == [
        "random cases of seed 0 before 0, in float32 on cpu",
        "machine, Python 3",
        "",
        "broken off",
        "resume with: gruspec sweep",
    ]


def test_ctrl_c_ends_with_what_there_is(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        INTERRUPTIBLE,
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
    assert "resume with: gruspec sweep swept_backends:right --seed 0 --start 0 --minutes 5 --jobs 1 " in out
    assert error.endswith("gruspec: interrupted\n")
    assert "Traceback" not in error


def finding() -> Finding:
    case = random_case(0, 0)
    failure = Failure(case, "float32", Judgement("fail", "outputs of call 0: missing"))
    return Finding(GATES, 0, 0, case, failure, again=True, tried=1, device="cpu", versions={})


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
