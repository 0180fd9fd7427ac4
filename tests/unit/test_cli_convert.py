"""``gruspec convert``: what it writes, what it refuses, and what it ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file
from sample_natives import natives

from gruspec.cli import main
from gruspec.files import Contents, Entry, convert_file
from gruspec.files.certificate import schema
from gruspec.files.npz import NpzFormat
from gruspec.layouts import convert
from gruspec.verification.jobs import Job, perform

GRU = "encoder/rnn"


def weights(seed: int = 0, units: int = 4, *, use_bias: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (3, 3 * units), "recurrent_kernel": (units, 3 * units)}
    if use_bias:
        shapes["bias"] = (2, 3 * units)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def write(path: Path, *, seed: int = 0, use_bias: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    """Write a file with a GRU and another tensor; return the weights of the GRU."""
    arrays = weights(seed, use_bias=use_bias)
    save_file({f"{GRU}/{name}": array for name, array in arrays.items()} | {"head": np.arange(5.0)}, path)
    return arrays


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "model.safetensors"
    path.parent.mkdir()
    write(path)
    return path


def test_weights_arrive_with_a_certificate(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    done = run(source, target, "--to", "torch", "--no-verify")
    assert done.exit_code == 0, done.output
    expected = convert(weights(), "keras", "torch").arrays
    with np.load(target) as found:
        for name, array in expected.items():
            np.testing.assert_array_equal(
                found[f"encoder.rnn.{name}" if f"encoder.rnn.{name}" in found else f"{GRU}.{name}"], array
            )
        np.testing.assert_array_equal(found["head"], np.arange(5.0))
    certificate = json.loads((tmp_path / "out.npz.gruspec.json").read_text(encoding="utf-8"))
    jsonschema.validate(certificate, schema())
    assert certificate["verification"] is None
    assert certificate["grus"][0]["exactness"] == "exact"
    for word in ("keras -> torch, exact", "carried over bit for bit: 1 tensor", "out.npz.gruspec.json"):
        assert word in done.stdout


def test_json_has_the_certificate(source: Path, tmp_path: Path) -> None:
    done = run(source, tmp_path / "out.npz", "--to", "torch", "--no-verify", "--json")
    (found,) = json.loads(done.stdout)["conversions"]
    assert found["certificate"] == json.loads(Path(found["certificate_path"]).read_text(encoding="utf-8"))
    assert (found["exit_code"], found["error"]) == (0, "")


def test_refusal_writes_nothing_and_tells_who_could(source: Path, tmp_path: Path) -> None:
    done = run(source, tmp_path / "out.npz", "--to", "haiku", "--no-verify")
    assert done.exit_code == 1
    assert "reset_after=True" in done.stderr
    assert "Layouts that can: keras, torch" in done.stderr
    assert written(tmp_path) == {"in"}


def test_folding_must_be_allowed(source: Path, tmp_path: Path) -> None:
    arguments = (source, tmp_path / "out.npz", "--to", "linen", "--no-verify")
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "recurrent bias of the update gate" in refused.stderr
    done = run(*arguments, "--allow-folding")
    assert done.exit_code == 0, done.output
    assert "keras -> linen, folded" in done.stdout
    assert "folded biases move outputs by at most" in done.stdout


@pytest.mark.parametrize("there", ["out.npz", "out.npz.gruspec.json"])
def test_nothing_is_overwritten_unasked(source: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine", encoding="utf-8")
    arguments = (source, tmp_path / "out.npz", "--to", "torch", "--no-verify")
    done = run(*arguments)
    assert done.exit_code == 1
    assert "exists already" in done.stderr
    assert written(tmp_path) == {"in", there}
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"
    assert run(*arguments, "--force").exit_code == 0
    assert written(tmp_path) == {"in", "out.npz", "out.npz.gruspec.json"}
    assert json.loads((tmp_path / "out.npz.gruspec.json").read_text(encoding="utf-8"))["certificate"] == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--to", "tensorflow"), "no such layout"),
        (("--to", "torch", "--format", "zip"), "no such file format"),
        (("--to", "torch", "--layer", "decoder"), "there are 'encoder/rnn'"),
        (("--to", "torch", "--rename", "encoder"), "old=new"),
        (("--to", "torch", "--dtype", "int8"), "int8"),
        (("--to", "torch", "--layer", "decoder"), "here: --layer PATH"),
        (("--to", "torch", "--rename", "encoder"), "here: --rename OLD=NEW"),
        ((), "--to"),
    ],
)
def test_wrong_use_ends_with_2(source: Path, tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    done = run(source, tmp_path / "out.npz", "--no-verify", *arguments)
    assert done.exit_code == 2
    assert word in done.stderr
    assert written(tmp_path) == {"in"}


def test_file_without_a_gru_ends_with_1(source: Path, tmp_path: Path) -> None:
    save_file({"head": np.arange(5.0)}, source)
    done = run(source, tmp_path / "out.npz", "--to", "torch", "--no-verify")
    assert done.exit_code == 1
    assert "no GRU is in it" in done.stderr


def test_missing_target_is_told(source: Path) -> None:
    done = run(source, "--to", "torch")
    assert done.exit_code == 2
    assert f"{source}: DST is missing" in done.stderr


def test_damaged_file_ends_with_3(source: Path, tmp_path: Path) -> None:
    source.write_bytes(source.read_bytes()[:-7])
    done = run(source, tmp_path / "out.npz", "--to", "torch", "--no-verify")
    assert done.exit_code == 3
    assert str(source) in done.stderr
    assert written(tmp_path) == {"in"}


def test_what_the_file_does_not_tell_is_asked_for(source: Path, tmp_path: Path) -> None:
    write(source, use_bias=False)
    arguments = (source, tmp_path / "out.npz", "--to", "onnx", "--no-verify")
    asked = run(*arguments)
    assert asked.exit_code == 2
    assert "here: --reset-after or --reset-before" in asked.stderr
    assert run(*arguments, "--reset-before").exit_code == 0
    assert run(source, tmp_path / "other.npz", "--to", "torch", "--reset-before", "--no-verify").exit_code == 1


def test_dtype_rename_and_layer(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.safetensors"
    renamed = ("--rename", "encoder=gru", "--layer", "enc*", "--dtype", "float64")
    done = run(source, target, "--to", "keras", "--no-verify", *renamed)
    assert done.exit_code == 0, done.output
    found = load_file(target)
    np.testing.assert_array_equal(found["gru/rnn/kernel"], weights()["kernel"].astype(np.float64))
    assert found["gru/rnn/kernel"].dtype == np.float64


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("jobs", [1, 2])
def test_many_files_go_into_a_folder(source: Path, tmp_path: Path, jobs: int, *, quoted: bool) -> None:
    for number in range(3):
        write(source.with_name(f"{number}.safetensors"), seed=number)
    several = [source.parent / "[0-9].safetensors"] if quoted else sorted(source.parent.glob("[0-9].safetensors"))
    done = run(*several, tmp_path / "out", "--to", "torch", "--format", "npz", "--jobs", str(jobs), "--no-verify")
    assert done.exit_code == 0, done.output
    assert written(tmp_path / "out") == {f"{n}.npz{end}" for n in range(3) for end in ("", ".gruspec.json")}
    for number in range(3):
        with np.load(tmp_path / "out" / f"{number}.npz") as found:
            expected = convert(weights(number), "keras", "torch").arrays["weight_ih_l0"]
            assert any(np.array_equal(found[name], expected) for name in found.files)
    assert "3/3 files" in done.stderr


def test_of_many_files_the_others_go_on_and_the_worst_counts(source: Path, tmp_path: Path) -> None:
    damaged = source.with_name("damaged.safetensors")
    damaged.write_bytes(source.read_bytes()[:50])
    done = run(damaged, source, tmp_path / "out", "--to", "torch", "--no-verify")
    assert done.exit_code == 3
    assert str(damaged) in done.stderr
    assert written(tmp_path / "out") == {"model.safetensors", "model.safetensors.gruspec.json"}


def test_pattern_without_a_match_is_wrong_use(tmp_path: Path) -> None:
    done = run(tmp_path / "*.pt", tmp_path / "out", "--to", "torch")
    assert done.exit_code == 2
    assert "no file matches" in done.stderr
    assert written(tmp_path) == set()


def test_two_sources_of_one_name_are_wrong_use(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "in" / "deeper" / source.name
    other.parent.mkdir()
    write(other)
    done = run(source, other, tmp_path / "out", "--to", "torch", "--no-verify")
    assert done.exit_code == 2
    assert "both would become" in done.stderr
    assert not (tmp_path / "out").exists()


def test_file_in_the_place_of_the_folder_is_wrong_use(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    done = run(source, source, tmp_path / "out", "--to", "torch")
    assert done.exit_code == 2
    assert "name a folder" in done.stderr


def test_verified_with_both_frameworks(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("flint")
    pytest.importorskip("torch")
    first, second = tmp_path / "torch.safetensors", tmp_path / "cell.npz"
    assert run(source, first, "--to", "torch", "--no-verify").exit_code == 0
    done = run(first, second, "--to", "torch-cell", "--from", "torch")
    assert done.exit_code == 0, done.output
    assert "verified: torch.nn.GRU" in done.stdout
    certificate = json.loads(second.with_name("cell.npz.gruspec.json").read_text(encoding="utf-8"))
    jsonschema.validate(certificate, schema())
    (found,) = certificate["verification"]["grus"]
    assert certificate["verification"]["status"] == found["status"] == "verified"
    for side in ("source", "target"):
        assert 0 < found[side]["error_in_bounds"] < 1
        assert found[side]["elements"] == 3 * 3 * 9 * 4
        assert "torch" in found[side]["versions"]


def job(source: Path, tmp_path: Path, *, verify: bool | None) -> Job:
    return Job(source, tmp_path / "out.npz", "torch", {}, verify)


def test_framework_that_differs_ends_with_1_and_stands_in_the_certificate(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("flint")
    outcome = perform(job(source, tmp_path, verify=None), natives=natives(keras="Keras", torch="SwappedGates"))
    assert outcome.code == 1
    assert "computes something else" in outcome.error
    assert outcome.certificate is not None
    certificate = json.loads(outcome.certificate.read_text(encoding="utf-8"))
    assert certificate["verification"]["status"] == "differs"
    (run_,) = certificate["verification"]["grus"][0]["target"]["runs"]
    assert run_["problem"].startswith("outputs[")


@pytest.mark.parametrize(("verify", "code"), [(None, 0), (True, 3), (False, 0)])
def test_verification_that_is_demanded_and_cannot_be_had_ends_with_3(
    source: Path, tmp_path: Path, code: int, *, verify: bool | None
) -> None:
    pytest.importorskip("flint")
    outcome = perform(job(source, tmp_path, verify=verify), natives=natives(keras="Keras"))
    assert outcome.code == code
    assert (tmp_path / "out.npz").exists()
    assert bool(outcome.verifications) == (verify is not False)
    assert [found.source.elements > 0 for found in outcome.verifications] == ([] if verify is False else [bool(verify)])


def test_interruption_while_verifying_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gruspec.verification.jobs.verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform(job(source, tmp_path, verify=True))
    assert written(tmp_path) == {"in"}


def test_interruption_while_a_replacement_is_verified_keeps_file_and_certificate(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"out.npz", "out.npz.gruspec.json"}
    for name in names:
        (tmp_path / name).write_text("mine", encoding="utf-8")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gruspec.verification.jobs.verify", interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform(Job(source, tmp_path / "out.npz", "torch", {"force": True}, verify=True))
    assert written(tmp_path) == {"in"} | names
    assert {(tmp_path / name).read_text(encoding="utf-8") for name in names} == {"mine"}


def test_target_runs_with_the_weights_of_the_written_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that has other weights than were meant, and passes as read back, is found by running it."""
    pytest.importorskip("flint")
    write_arrays = NpzFormat.write

    def damaging(self: NpzFormat, path: Path, contents: Contents) -> None:
        def doubled(entry: Entry) -> Entry:
            def fill(values: np.ndarray[Any, Any]) -> None:
                entry.fill(values)
                values *= 2

            return replace(entry, fill=fill)

        grus = tuple(replace(gru, arrays={k: doubled(v) for k, v in gru.arrays.items()}) for gru in contents.grus)
        write_arrays(self, path, replace(contents, grus=grus))

    def unchecked(_path: Path, _writer: object, filed: Any, *_: object) -> list[dict[str, str]]:
        return [{array: entry.name for array, entry in gru.written.arrays.items()} for gru in filed.grus]

    monkeypatch.setattr(NpzFormat, "write", damaging)
    monkeypatch.setattr("gruspec.files.conversion.check_written", unchecked)
    outcome = perform(job(source, tmp_path, verify=None), natives=natives(keras="Keras", torch="Evaluated"))
    (found,) = outcome.verifications
    assert not found.source.problems
    assert found.target.problems
    assert outcome.code == 1


def test_folded_and_rounded_weights_are_verified(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("flint")
    wishes = {"allow_folding": True, "dtype": "float16"}
    done = Job(source, tmp_path / "out.npz", "linen", wishes, verify=True)
    outcome = perform(done, natives=natives(keras="Keras", linen="Linen"))
    assert (outcome.code, [found.status for found in outcome.verifications]) == (0, ["verified"])


def test_process_that_dies_is_an_outcome_for_each_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pool:
        def submit(self, *_: object) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool("terminated abruptly"))
            return future

    monkeypatch.setattr("gruspec.conformance.pool.worker_pool", lambda _: nullcontext(Pool()))
    write(source.with_name("other.safetensors"))
    done = run(source.parent / "*.safetensors", tmp_path / "out", "--to", "torch", "--jobs", "2")
    assert done.exit_code == 3
    for name in ("model", "other"):
        assert f"{name}.safetensors: not converted: a process has died" in done.stderr


def test_name_that_is_not_text_can_be_written(source: Path, tmp_path: Path) -> None:
    target = tmp_path / os.fsdecode(b"out\xff.npz")
    try:
        target.touch()
        target.unlink()
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    outcome = perform(job(source, tmp_path, verify=False))
    outcome = perform(replace(outcome.job, target=target))
    assert outcome.code == 0, outcome.error
    certificate = json.loads(target.with_name(target.name + ".gruspec.json").read_text(encoding="utf-8"))
    assert certificate["target"]["name"] == target.name


def test_name_too_long_for_the_certificate_is_refused(source: Path, tmp_path: Path) -> None:
    done = run(source, tmp_path / ("a" * 245 + ".npz"), "--to", "torch", "--no-verify")
    assert done.exit_code == 1
    assert "the certificate cannot be written" in done.stderr
    assert run(source, tmp_path / ("a" * 238 + ".npz"), "--to", "torch", "--no-verify").exit_code == 0
    assert len(written(tmp_path)) == 3


def test_interruption_of_a_replacement_keeps_what_was_there(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.npz"
    target.write_text("mine", encoding="utf-8")

    def interrupted(*arguments: Any, **named: Any) -> Any:
        def progress(_: int, __: int) -> None:
            raise KeyboardInterrupt

        return convert_file(*arguments, **named | {"progress": progress})

    monkeypatch.setattr("gruspec.verification.jobs.convert_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        perform(Job(source, target, "torch", {"force": True}))
    assert written(tmp_path) == {"in", "out.npz"}
    assert target.read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signals")
@pytest.mark.parametrize("several", [False, True])
def test_ctrl_c_leaves_no_output_and_says_so(tmp_path: Path, *, several: bool) -> None:
    source = tmp_path / "in.safetensors"
    large_file(source, 400 * 2**20)
    target = tmp_path / "out"
    arguments = [str(source), str(target / "x.safetensors"), "--to", "torch"]
    if several:
        (tmp_path / "in2.safetensors").hardlink_to(source)
        arguments = [str(source), str(tmp_path / "in2.safetensors"), str(target), "--to", "torch", "--jobs", "2"]
    target.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "gruspec", "convert", *arguments, "--no-verify"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not written(target) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    assert any(name.endswith(".unfinished") for name in written(target))
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "nothing is left" in stderr
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    assert written(target) == set()


def large_file(path: Path, size: int) -> None:
    """Write a sparse file of a GRU and a tensor of about ``size`` bytes."""
    arrays = {name: array.nbytes for name, array in weights().items()} | {"head": size}
    header, offset = {}, 0
    for name, count in arrays.items():
        shape = list(weights()[name].shape) if name in weights() else [count // 4]
        header[f"rnn/{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + count]}
        offset += count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + offset)


def test_help_teaches_with_examples() -> None:
    text = run("--help").stdout
    assert "gruspec convert model.h5 model.pt --to torch" in text
    for option in ("--allow-folding", "--template", "--layer", "--rename", "--verify / --no-verify", "--jobs"):
        assert option in text
