"""The command line: what it prints, what it imports and what it ends with."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file
from sample_suites import case, refused_call, suite, write_golden

from gruspec.backend import Registry
from gruspec.cli import main
from gruspec.report import console

COMMANDS = ("check", "convert", "diagnose", "faults", "generate", "inspect", "list", "parity", "sweep")
HERE = Path(__file__).parent

COUNTS = {
    "type": "object",
    "properties": {
        status: {"type": "integer"} for status in ("pass", "fail", "error", "unsupported", "xfail", "xpass")
    },
    "required": ["pass", "fail", "error", "unsupported", "xfail", "xpass"],
    "additionalProperties": False,
}
NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]}
WORST = {
    "type": "object",
    "properties": {
        "call": {"type": "integer"},
        "output": {"enum": ["outputs", "state"]},
        "index": {"type": "array", "items": {"type": "integer"}},
        "computed": NUMBER,
        "expected": NUMBER,
        "bound": NUMBER,
    },
    "required": ["call", "output", "index", "computed", "expected", "bound"],
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "topic": {"type": "string"},
        "clause": {"type": "string"},
        "flags": {"type": "array", "items": {"type": "string"}},
        "dtype": {"type": "string"},
        "status": {"enum": list(COUNTS["properties"])},  # type: ignore[call-overload]
        "message": {"type": "string"},
        "expected_failure": {"type": ["object", "null"]},
        "elements": {"type": "integer"},
        "judged": {"type": "integer"},
        "error_in_bounds": NUMBER,
        "error_in_ulp": NUMBER,
        "worst": {"anyOf": [WORST, {"type": "null"}]},
        "seconds": {"type": "number"},
        "paths": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
RESULT["required"] = list(RESULT["properties"])  # type: ignore[call-overload]
IMPLEMENTATION = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "versions": {"type": "object"},
        "capabilities": {"type": ["object", "null"]},
        "problem": {"type": "string"},
        "restarts": {"type": "integer"},
        "seconds": {"type": "number"},
        "totals": COUNTS,
        "results": {"type": "array", "items": RESULT},
    },
    "required": ["name", "versions", "capabilities", "problem", "restarts", "seconds", "totals"],
    "additionalProperties": False,
}
REPORT = {
    "type": "object",
    "properties": {
        "format": {"const": 1},
        "gruspec": {"type": "string"},
        "suite": {
            "type": "object",
            "required": ["version", "spec_version", "sha256", "seed", "cases"],
            "additionalProperties": True,
        },
        "machine": {"type": "string"},
        "python": {"type": "string"},
        "device": {"enum": ["cpu", "cuda"]},
        "dtypes": {"type": "array", "items": {"type": "string"}},
        "exit_code": {"enum": [0, 1, 2, 3]},
        "problems": {"type": "array", "items": {"type": "string"}},
        "totals": COUNTS,
        "seconds": {"type": "number"},
        "left_out": {"type": "object"},
        "implementations": {"type": "array", "items": IMPLEMENTATION},
        "pairs": {"type": "array"},
        "failures": {"type": "array"},
    },
    "required": ["format", "suite", "machine", "exit_code", "totals", "implementations", "left_out"],
    "additionalProperties": False,
}


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Golden data of small cases; the working folder is the one of the samples."""
    monkeypatch.chdir(HERE)
    cases = [*suite(), case("thirteen-again", first=13.0, flags=("Odd",), kappa=2.0)]
    return write_golden(tmp_path / "golden", cases)


def gruspec(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="gruspec")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def modules_after(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = (
        "import sys\nfrom gruspec.cli import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit: pass\nprint('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_neither_numpy_nor_rich(arguments: list[str]) -> None:
    modules = modules_after(*arguments)
    assert "gruspec.cli.group" in modules
    assert not modules & {"numpy", "rich", "safetensors", "flint", "gruspec.cases", "gruspec.conformance"}


def test_list_imports_no_framework() -> None:
    frameworks = {"tensorflow", "tf_keras", "keras", "torch", "jax", "onnx", "onnxruntime", "rich", "flint"}
    assert not modules_after("list") & frameworks


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_the_group_summarizes_the_command(command: str) -> None:
    _, _, listed = " ".join(gruspec("--help").stdout.split()).partition(" Commands: ")
    summary, _, _ = gruspec(command, "--help").stdout.partition("\n\n")[2].partition("\n\n")
    assert f" {command} {' '.join(summary.split())} " in f" {listed} "


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(command: str) -> None:
    result = gruspec(command, "--help")
    assert result.exit_code == 0
    assert f"gruspec {command}" in result.stdout.partition("Examples:")[2]


def test_check_conforms(golden: Path) -> None:
    result = gruspec("check", "sample_backends:echo", "--golden", golden)
    assert result.exit_code == 0
    assert "suite 9.9 of specification 1.0" in result.stdout
    assert "conforms: 10 pass" in result.stdout
    assert "sample_backends:echo: 10 cases x dtypes (sample 1)" in result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_check_explains_a_difference(golden: Path) -> None:
    result = gruspec("check", "sample_backends:wrong", "--golden", golden)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "sample_backends:wrong differs from the spec in clause last-output (Last output): 2 of 5 cases" in text
    assert "echo/thirteen, float32" in text
    assert "computed 6, expected 5 exactly" in text
    assert "Odd catches: superstition" in text
    assert "failing it means: users in room 13 see other results" in text
    assert "next: gruspec check sample_backends:wrong --case echo/thirteen --dtype float32" in text


def test_check_reports_a_crash_with_its_last_words(golden: Path) -> None:
    result = gruspec("check", "sample_backends:leaving", "--golden", golden, "--case", "echo/thirteen")
    assert result.exit_code == 1
    assert "exit code 3" in result.stdout
    assert "about to leave" in result.stdout


def test_check_json_is_all_of_standard_output_and_follows_its_schema(golden: Path) -> None:
    result = gruspec("check", "sample_backends:wrong", "sample_backends:hidden", "--golden", golden, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    jsonschema.validate(document, REPORT)
    assert document["exit_code"] == 3
    assert document["suite"]["cases"] == 5
    assert len(document["suite"]["sha256"]) == 64
    wrong, hidden = document["implementations"]
    assert sum(wrong["totals"].values()) == len(wrong["results"]) == 10
    failed = [found for found in wrong["results"] if found["status"] == "fail"]
    assert failed[0]["error_in_bounds"] == "inf"
    assert failed[0]["worst"] == {
        "call": 0,
        "output": "outputs",
        "index": [0, 0],
        "computed": 6.0,
        "expected": 5.0,
        "bound": 0.0,
    }
    assert hidden["capabilities"] is None
    assert "no attribute 'hidden'" in " ".join(hidden["problem"].split())


@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        (["--topic", "other"], 2),
        (["--case", "echo/before", "--case", "other/last"], 4),
        (["--dtype", "float32"], 5),
        (["--topic", "echo", "--case", "echo/before", "--dtype", "float64"], 1),
    ],
)
def test_check_of_a_part(golden: Path, arguments: list[str], total: int) -> None:
    result = gruspec("check", "sample_backends:echo", "--golden", golden, "--json", *arguments)
    assert json.loads(result.stdout)["totals"]["pass"] == total


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 2, "nothing: no such implementation"),
        (["sample_backends:echo", "--topic", "nothing"], 2, "nothing: no such topic"),
        (["sample_backends:echo", "--case", "echo/befor"], 2, "did you mean echo/before"),
        (["sample_backends:echo", "--dtype", "float8"], 2, "float8"),
        (["sample_backends:echo", "--dtype", "float16"], 2, "none of the 5 selected cases is judged in float16"),
        (["sample_backends:echo", "--jobs", "0"], 2, "--jobs"),
        (["sample_backends:echo", "--timeout", "0"], 2, "--timeout"),
        (["sample_backends:echo", "--results", "x.safetensors"], 2, "leave out sample_backends:echo"),
        (["--results", "x.safetensors"], 2, "--dtype float32"),
        (["--results", "x.safetensors", "--dtype", "float32"], 2, "no such file"),
        (["sample_backends:echo", "--device", "cuda"], 3, "has no cuda"),
        (["sample_backends:not_installed"], 3, "needs no_such_framework"),
        (
            ["no_such_module:backend"],
            3,
            "could not run: no_such_module:backend cannot be loaded: ModuleNotFoundError: No module named",
        ),
    ],
)
def test_exit_code_and_message_of_an_error(golden: Path, arguments: list[str], code: int, message: str) -> None:
    result = gruspec("check", "--golden", golden, *arguments)
    assert result.exit_code == code
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_changed_golden_data_is_refused(golden: Path) -> None:
    path = golden / "cases" / "echo.json"
    path.write_text(path.read_text(encoding="utf-8").replace("echo/after", "echo/later"), encoding="utf-8")
    result = gruspec("check", "sample_backends:echo", "--golden", golden)
    assert result.exit_code == 3
    assert result.stderr.startswith("gruspec: ")
    assert "echo.json" in result.stderr


class Points:
    """Entry points for a registry of samples."""

    def __init__(self, **references: str) -> None:
        self.found = references

    def __call__(self, *, group: str) -> Any:
        from importlib.metadata import EntryPoint

        return [EntryPoint(name, reference, group) for name, reference in self.found.items()]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = {
        "good": "sample_backends:echo",
        "absent": "sample_backends:not_installed",
        "broken": "sample_backends:unloadable",
    }
    monkeypatch.setattr("gruspec.backend.registry.entry_points", Points(**samples))
    assert Registry().names() == ["absent", "broken", "good"]


@pytest.mark.usefixtures("registered")
def test_check_without_names_runs_what_is_installed(golden: Path) -> None:
    result = gruspec("check", "--golden", golden, "--json")
    document = json.loads(result.stdout)
    assert document["left_out"] == {"absent": "absent needs no_such_framework, which cannot be imported; "
                                    "pip install 'gruspec[nothing]'"}  # fmt: skip
    totals = {found["name"]: found["totals"]["pass"] for found in document["implementations"]}
    assert totals == {"broken": 0, "good": 10}
    assert result.exit_code == 3


@pytest.mark.usefixtures("registered")
def test_check_of_what_is_not_installed_says_what_would_install_it(golden: Path) -> None:
    result = gruspec("check", "good", "absent", "--golden", golden)
    assert result.exit_code == 3
    assert "pip install 'gruspec[nothing]'" in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("registered")
def test_check_without_names_leaves_out_what_has_no_such_device(golden: Path) -> None:
    result = gruspec("check", "--golden", golden, "--device", "cuda", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["left_out"]["good"] == "it has no cuda"


@pytest.mark.usefixtures("registered")
def test_list_goes_on_past_a_broken_plugin() -> None:
    result = gruspec("list")
    assert result.exit_code == 0
    assert "ImportError: no module named thirteen" in result.stdout
    assert "pip install 'gruspec[nothing]'" in result.stdout
    assert "installed" in next(line for line in result.stdout.splitlines() if line.startswith("good"))
    document = json.loads(gruspec("list", "--json").stdout)
    assert [(found["name"], found["installed"]) for found in document["implementations"]] == [
        ("absent", False),
        ("broken", False),
        ("good", True),
    ]


def test_expectations_of_a_folder(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    folder.mkdir()
    path = folder / "sample_backends.wrong.toml"
    entries = [
        f'[[expected]]\nid = "echo/{name}"\nclause = "last-output"\nreason = "unlucky"\n'
        for name in ("thirteen", "thirteen-again")
    ]
    path.write_text("".join(entries), encoding="utf-8")
    arguments = ("check", "sample_backends:wrong", "--golden", golden, "--expectations", folder)
    result = gruspec(*arguments)
    assert result.exit_code == 0
    assert "id = 'echo/thirteen': unlucky" in result.stdout
    path.write_text('[[expected]]\nid = "echo/gone"\nclause = "last-output"\nreason = "unlucky"\n', encoding="utf-8")
    assert gruspec(*arguments).exit_code == 2
    assert "id = 'echo/gone': no case is selected" in gruspec(*arguments).stderr
    assert gruspec(*arguments, "--topic", "other").exit_code == 0
    path.write_text('[[expected]]\nid = "echo/before"\nclause = "last-output"\nreason = "unlucky"\n', encoding="utf-8")
    result = gruspec(*arguments, "--case", "echo/before")
    assert result.exit_code == 1
    assert "passes where a failure is expected" in result.stdout


def test_saved_results_are_judged_as_they_were(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    arguments = ("check", "sample_backends:wrong", "--golden", golden, "--save-results", folder)
    assert gruspec(*arguments).exit_code == 1
    path = folder / "sample_backends.wrong.float32.safetensors"
    assert load_file(path)["echo/thirteen/0/outputs"].tolist() == [[6, 7], [12, 13]]
    assert sorted(found.name for found in folder.iterdir()) == [path.name, path.name.replace("32", "64")]
    result = gruspec("check", "--results", path, "--dtype", "float32", "--golden", golden, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["implementations"][0]["name"] == "sample_backends.wrong"
    assert (document["totals"]["pass"], document["totals"]["fail"]) == (3, 2)
    assert "sample_backends.wrong: 5 cases x dtypes\n" in result.stderr


def test_saved_results_are_not_replaced(golden: Path, tmp_path: Path) -> None:
    arguments = ("check", "sample_backends:echo", "--golden", golden, "--save-results", tmp_path / "results")
    assert gruspec(*arguments).exit_code == 0
    result = gruspec(*arguments)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert gruspec(*arguments, "--force").exit_code == 0


def test_results_of_another_program(tmp_path: Path) -> None:
    both = case("b")
    golden = write_golden(tmp_path / "golden", [case("a"), both, refused_call(), case("half")])
    last = both.calls[0].inputs[:, -1, :].astype(np.float32)  # type: ignore[union-attr]
    path = tmp_path / "mine.safetensors"
    arguments = ("check", "--results", path, "--dtype", "float32", "--golden", golden, "--json")
    save_file({"echo/b/0/outputs": last, "echo/b/0/state": last, "echo/half/0/outputs": last}, path)
    results = json.loads(gruspec(*arguments).stdout)["implementations"][0]["results"]
    assert [(found["id"], found["status"]) for found in results] == [
        ("echo/a", "unsupported"),
        ("echo/b", "pass"),
        ("echo/refused-call", "unsupported"),
        ("echo/half", "fail"),
    ]
    save_file({"echo/c/0/outputs": last}, path)
    result = gruspec(*arguments)
    assert (result.exit_code, "echo/c/0/outputs" in result.stderr) == (2, True)
    path.write_bytes(b"no tensors")
    assert gruspec(*arguments).exit_code == 3


def test_parity(golden: Path) -> None:
    arguments = ("parity", "sample_backends:echo", "sample_backends:wrong", "--golden", golden)
    result = gruspec(*arguments)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert (
        "sample_backends:echo float32 and sample_backends:wrong float32 differ in clause last-output: 2 cases" in text
    )
    assert "echo/thirteen outputs[0, 0] of call 0: 5 and 6, must be equal" in text
    document = json.loads(gruspec(*arguments, "--json").stdout)
    jsonschema.validate(document, REPORT)
    assert len(document["pairs"]) == 4
    assert document["exit_code"] == 1
    assert gruspec("parity", "sample_backends:echo", "sample_backends:native", "--golden", golden).exit_code == 0


@pytest.mark.parametrize(
    ("name", "message"), [("raising", "RuntimeError: kernel not found"), ("leaving", "exit code 3")]
)
def test_parity_counts_failures(golden: Path, name: str, message: str) -> None:
    arguments = ("parity", f"sample_backends:{name}", "sample_backends:echo", "--golden", golden)
    result = gruspec(*arguments)
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert f"sample_backends:{name} failed 4 cases: " in text
    assert message in text
    document = json.loads(gruspec(*arguments, "--json").stdout)
    jsonschema.validate(document, REPORT)
    assert [(found["implementation"], found["cases"]) for found in document["failures"]] == [
        (f"sample_backends:{name}", 4)
    ]


def test_parity_names_pairs_that_nothing_was_compared_of(golden: Path) -> None:
    arguments = ("parity", "sample_backends:half_only", "sample_backends:echo", "--golden", golden)
    result = gruspec(*arguments)
    assert result.exit_code == 0
    table, _, rest = " ".join(result.stdout.split()).partition("not compared: ")
    assert "sample_backends:echo float32 and sample_backends:half_only float32" in rest
    assert "half_only" not in table.partition("difference/bound")[2]


@pytest.mark.parametrize("option", [("--quick",), ("--topic", "echo"), ("--case", "echo/before")])
def test_random_cases_are_told_from_golden_ones(option: tuple[str, ...]) -> None:
    result = gruspec("parity", "sample_backends:echo", "sample_backends:native", "--random", 2, *option)
    message = f"gruspec: --random 2 draws its own cases; leave out {option[0]}\n"
    assert (result.exit_code, result.stderr) == (2, message)


def test_parity_of_nothing_is_no_agreement(golden: Path) -> None:
    result = gruspec("parity", "sample_backends:echo", "--dtype", "float32", "--golden", golden)
    assert (result.exit_code, "nothing was compared" in result.stdout) == (3, True)


@pytest.fixture
def definition(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files that ``gruspec generate`` writes."""
    files = {"manifest.json": b'{"files": {"cases/a.json": {}}}', "cases/a.json": b"[]"}

    def generate(root: Path, *, jobs: int, progress: Any) -> None:
        assert jobs == 2
        progress("a", 1, 1)
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)

    pytest.importorskip("flint")
    monkeypatch.setattr("gruspec.generate.generate", generate)
    return files


def test_generate_writes_and_checks(definition: dict[str, bytes], tmp_path: Path) -> None:
    output = tmp_path / "golden"
    assert gruspec("generate", "--output", output).exit_code == 0
    assert (output / "cases" / "a.json").read_bytes() == b"[]"
    assert gruspec("generate", "--check", "--golden", output).exit_code == 0
    definition["cases/a.json"] = b"[1]"
    definition["cases/b.json"] = b"[2]"
    definition["manifest.json"] = b'{"files": {"cases/a.json": {}, "cases/b.json": {}}}'
    result = gruspec("generate", "--check", "--golden", output)
    assert result.exit_code == 1
    assert "a.json: differs" in result.stdout
    assert "b.json: missing" in result.stdout


def test_generate_replaces_golden_data_only_by_force(definition: dict[str, bytes], tmp_path: Path) -> None:
    assert gruspec("generate", "--output", tmp_path).exit_code == 0
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    del definition["cases/a.json"]
    definition["cases/c.json"] = b"[3]"
    result = gruspec("generate", "--output", tmp_path)
    assert (result.exit_code, "--force" in result.stderr) == (2, True)
    assert gruspec("generate", "--output", tmp_path, "--force").exit_code == 0
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"manifest.json", "cases/c.json", "notes.txt"}


def test_generate_says_what_is_missing_before_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gruspec.cli.generate.find_spec", lambda _: None)
    for arguments in (["--check"], ["--output", tmp_path / "new"]):
        result = gruspec("generate", *arguments)
        assert result.exit_code == 3
        assert result.stderr == ("gruspec: generate needs flint (python-flint); pip install 'gruspec[reference]'\n")


@pytest.mark.parametrize("arguments", [[], ["--check", "--output", "somewhere"], ["--check", "--force"]])
def test_generate_wants_one_of_two(arguments: list[str]) -> None:
    assert gruspec("generate", *arguments).exit_code == 2


def test_third_party_implementation_from_the_current_folder(golden: Path, tmp_path: Path) -> None:
    package = tmp_path / "mypkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "adapter.py").write_text((HERE / "sample_backends.py").read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "gruspec", "check", "mypkg.adapter:echo", "--golden", str(golden)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "conforms: 10 pass" in done.stdout


@pytest.mark.parametrize("arguments", [["sample_backends:half_only"], ["--results", "{}", "--dtype", "float32"]])
def test_check_of_nothing_has_no_verdict(golden: Path, tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "half_only.safetensors"
    save_file({}, path)
    result = gruspec("check", "--golden", golden, *(argument.format(path) for argument in arguments))
    assert result.exit_code == 3
    assert "half_only: nothing was judged" in result.stdout
    assert "no verdict: nothing was judged: " in result.stdout


def test_check_names_an_implementation_of_which_nothing_was_judged(golden: Path) -> None:
    result = gruspec("check", "sample_backends:half_only", "sample_backends:echo", "--golden", golden)
    assert result.exit_code == 0
    assert "sample_backends:half_only: nothing was judged" in result.stdout
    assert "conforms: 10 pass" in result.stdout


def test_results_are_not_computed_where_they_cannot_be_saved(golden: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "results"
    result = gruspec("check", "sample_backends:echo", "--golden", golden, "--save-results", folder)
    assert result.exit_code == 2
    assert f"gruspec: {folder}: results cannot be written here" in result.stderr
    assert result.stdout == ""


def test_results_that_cannot_be_read_are_named(golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"no tensors")
    result = gruspec("check", "--results", path, "--dtype", "float32", "--golden", golden)
    assert (result.exit_code, str(path) in result.stderr) == (3, True)
    result = gruspec("check", "--results", ".", "--dtype", "float32", "--golden", golden)
    assert (result.exit_code, "gruspec: .: a folder" in result.stderr) == (2, True)


def test_expectations_that_cannot_be_read_are_a_usage_error(golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "sample_backends.echo.toml"
    path.mkdir()
    result = gruspec("check", "sample_backends:echo", "--golden", golden, "--expectations", tmp_path)
    assert (result.exit_code, f"gruspec: {path}: cannot be read" in result.stderr) == (2, True)


def test_unexpected_error_is_no_verdict(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("thirteen")

    monkeypatch.setattr("gruspec.conformance.run", fail)
    result = gruspec("check", "sample_backends:echo", "--golden", golden)
    assert result.exit_code == 3
    assert "gruspec: unexpected error: ZeroDivisionError: thirteen" in result.stderr
    assert "Traceback" in result.stderr
    assert "please report it" in result.stderr


def test_next_command_judges_by_the_same_data(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "what is expected"
    folder.mkdir()
    result = gruspec("check", "sample_backends:wrong", "--golden", golden, "--expectations", folder)
    line = next(line for line in result.stdout.splitlines() if line.startswith("  next: gruspec "))
    arguments = shlex.split(line.removeprefix("  next: gruspec "))
    assert arguments[-4:] == ["--golden", str(golden), "--expectations", str(folder)]
    assert gruspec(*arguments).exit_code == 1


def test_only_flags_that_all_failing_cases_share_are_explained(golden: Path) -> None:
    write_golden(golden, [case("a", first=13.0, flags=("Odd",)), case("b", first=13.0)])
    result = gruspec("check", "sample_backends:wrong", "--golden", golden)
    assert result.exit_code == 1
    assert "superstition" not in result.stdout


def test_messages_are_printed_as_they_are_in_every_encoding(golden: Path) -> None:
    command = [sys.executable, "-m", "gruspec", "check", "sample_backends:smiling", "--golden", str(golden)]
    surroundings = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=HERE, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "RuntimeError: :smile: [bold]\\xe9" in done.stdout


def test_tables_show_names_as_they_are() -> None:
    out = console.console()
    with out.capture() as captured:
        out.print(":smile: [bold]name")
    assert captured.get() == ":smile: [bold]name\n"


def test_help_says_in_which_dtypes_the_shipped_data_is_judged() -> None:
    for command in ("check", "parity"):
        text = " ".join(gruspec(command, "--help").stdout.split())
        assert "The shipped data is judged in these two only." in text
