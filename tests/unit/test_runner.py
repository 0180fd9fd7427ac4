"""The runner drives implementations through whatever they do."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sample_suites import (
    HEADER,
    case,
    expected,
    implementation,
    play,
    refused_call,
    refused_layer,
    refused_reset,
    suite,
    write_golden,
)

from gruspec.backend import Registration
from gruspec.cases import Call, Case
from gruspec.conformance import (
    CaseFinished,
    CaseStarted,
    Event,
    Implementation,
    ImplementationFinished,
    ImplementationStarted,
    Plan,
    SuiteFinished,
    SuiteStarted,
    run,
)
from gruspec.conformance.implementation import MOST_DEATHS
from gruspec.conformance.process import Process, environment
from gruspec.conformance.replies import case_message
from gruspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gruspec.conformance.implementation import Identity
    from gruspec.conformance.replies import Reply


def finished(events: Sequence[Event]) -> list[CaseFinished]:
    return [event for event in events if isinstance(event, CaseFinished)]


def ending(events: Sequence[Event]) -> SuiteFinished:
    assert isinstance(events[-1], SuiteFinished)
    return events[-1]


def statuses(events: Sequence[Event]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in finished(events):
        found.setdefault(event.id.partition("/")[2], []).append(event.status)
    return found


def problem(events: Sequence[Event]) -> str:
    (found,) = [event.problem for event in events if isinstance(event, ImplementationFinished)]
    return found


def test_events_of_a_run_in_order() -> None:
    first, started, *cases, stopped, last = play(suite(), "echo")
    assert isinstance(first, SuiteStarted)
    assert (first.cases, first.total, first.implementations, first.header) == (4, 8, ("echo",), HEADER)
    assert isinstance(started, ImplementationStarted)
    assert started.versions == {"sample": "1"}
    assert started.capabilities is not None
    assert started.capabilities.dtypes == ("float32", "float64")
    assert len(cases) == 16
    for one, other in zip(cases[::2], cases[1::2], strict=True):
        assert isinstance(one, CaseStarted)
        assert isinstance(other, CaseFinished)
        assert (one.id, one.dtype) == (other.id, other.dtype)
    assert isinstance(stopped, ImplementationFinished)
    assert stopped.totals == {"pass": 8, "fail": 0, "error": 0, "unsupported": 0, "xfail": 0, "xpass": 0}
    assert isinstance(last, SuiteFinished)
    assert (last.exit_code, last.totals["pass"]) == (0, 8)


def test_events_cannot_be_changed() -> None:
    first = play(suite()[:1], "echo")[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(first, "dtypes", ())  # noqa: B010  the types say so too


def test_computed_arrays_come_with_the_event() -> None:
    event = finished(play(suite()[:1], "echo"))[0]
    assert event.outputs["0/outputs"].dtype == np.float32
    assert event.outputs["0/state"].tolist() == [[5, 6], [11, 12]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("leaving", "exit code 3"), ("aborting", "killed by SIGABRT"), ("quitting", "exit code 4")],
)
def test_case_that_ends_the_process_is_an_error_and_the_rest_goes_on(name: str, reason: str) -> None:
    events = play(suite(), name)
    assert statuses(events) == {
        "before": ["pass", "pass"],
        "thirteen": ["error", "error"],
        "after": ["pass", "pass"],
        "last": ["pass", "pass"],
    }
    (error, _) = [event for event in finished(events) if event.status == "error"]
    assert reason in error.message
    if name != "quitting":
        assert f"about to {name.removesuffix('ing')[:4]}" in error.message
    (stopped,) = [event for event in events if isinstance(event, ImplementationFinished)]
    assert stopped.restarts == 2
    assert (ending(events).exit_code, sum(ending(events).totals.values())) == (1, 8)


def test_case_that_never_ends_is_an_error_and_the_rest_goes_on() -> None:
    events = play(suite(), "hanging", timeout=3.0, dtypes=("float32",))
    assert statuses(events) == {"before": ["pass"], "thirteen": ["error"], "after": ["pass"], "last": ["pass"]}
    assert "no answer within 3 s" in next(event.message for event in finished(events) if event.status == "error")


def test_cases_that_all_end_the_process_are_not_tried_for_ever() -> None:
    cases = [case(str(i), first=13.0) for i in range(MOST_DEATHS)] + [case("good")]
    events = play(cases, "leaving")
    messages = [event.message for event in finished(events)]
    assert len(messages) == 2 * len(cases)
    assert {event.status for event in finished(events)} == {"error"}
    assert sum("not tried" in message for message in messages) == 2 * len(cases) - MOST_DEATHS


def test_deaths_that_do_not_follow_each_other_do_not_end_the_run() -> None:
    cases = [
        case(f"{kind}-{i}", first=first) for i in range(MOST_DEATHS + 1) for kind, first in (("a", 13.0), ("b", 1.0))
    ]
    events = play(cases, "leaving", dtypes=("float32",))
    assert [event.status for event in finished(events)] == ["error", "pass"] * (MOST_DEATHS + 1)
    assert not [event for event in finished(events) if "not tried" in event.message]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("die_at_once", "ended while loading: exit code 7"),
        ("unloadable", "ImportError: no module named thirteen"),
        ("no_such_attribute", "has no attribute"),
        ("not_installed", "needs no_such_framework"),
        ("versionless", "which version?"),
    ],
)
def test_implementation_that_cannot_start_is_a_problem_of_the_environment(name: str, reason: str) -> None:
    events = play(suite(), name)
    assert reason in problem(events)
    assert ending(events).exit_code == 3


def test_process_that_ends_before_it_announces_a_case_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gruspec.conformance.implementation.case_message", lambda *_: ({"kind": "case", "no dtypes": ""}, {})
    )
    events = play(suite(), "echo")
    assert "before it tried a case" in problem(events)
    assert "KeyError" in problem(events)
    assert ending(events).exit_code == 3


def test_dependency_that_shows_to_be_missing_in_a_case_ends_the_implementation() -> None:
    events = play(suite(), "missing_inside")
    assert problem(events) == "needs libthirteen"
    assert statuses(events) == {"before": ["pass", "pass"]}
    assert ending(events).exit_code == 3


def test_device_that_is_not_declared_is_a_problem() -> None:
    sample = Implementation(Registration("echo", "sample_backends:echo"), device="cuda")
    events = list(run(Plan(cases=suite(), header=HEADER, device="cuda"), [sample]))
    assert problem(events) == "echo has no cuda: it runs on cpu"
    assert ending(events).exit_code == 3


def test_one_implementation_in_trouble_leaves_the_others_alone() -> None:
    events = play(suite(), "die_at_once", "echo", "leaving")
    totals = {event.implementation: event.totals for event in events if isinstance(event, ImplementationFinished)}
    assert totals["echo"]["pass"] == 8
    assert (totals["leaving"]["pass"], totals["leaving"]["error"]) == (6, 2)
    assert ending(events).exit_code == 3


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("refusing", "fail", "declared but refused: thirteen"),
        ("native_refusing", "unsupported", "thirteen"),
        ("raising", "fail", "RuntimeError: kernel not found"),
        ("wrong", "fail", "4 of 8 elements fail"),
        ("slightly_off", "fail", "expected 5 exactly"),
        ("stateless", "fail", "state of call 0: missing"),
        ("wrong_dtype", "fail", "dtype float16, expected float"),
        ("listing", "fail", "outputs: list, expected a NumPy array"),
        ("bare", "fail", "returned ndarray, expected gruspec.backend.Output"),
        ("narrow_but_wrong", "fail", "silently accepted what it does not declare (activation='tanh' (has sigmoid))"),
        ("narrow_but_right", "pass", ""),
        ("narrow_and_raising", "unsupported", "RuntimeError: kernel not found"),
    ],
)
def test_status_of_the_odd_case(name: str, status: str, message: str) -> None:
    events = play(suite(), name)
    odd = [event for event in finished(events) if event.id == "echo/thirteen"]
    assert [event.status for event in odd] == [status, status]
    assert all(message in event.message for event in odd)
    assert ending(events).totals["pass"] == (8 if status == "pass" else 6)
    assert ending(events).exit_code == (1 if status == "fail" else 0)


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("echo", ["pass", "pass", "fail"]),
        ("careless", ["fail", "fail", "fail"]),
        ("early", ["pass", "fail", "pass"]),
        ("early_complete", ["fail", "fail", "fail"]),
    ],
)
def test_what_must_be_refused(name: str, results: list[str]) -> None:
    events = play([refused_call(), refused_reset(), refused_layer()], name, dtypes=("float64",))
    assert [event.status for event in finished(events)] == results


def test_operations_after_one_that_is_refused_are_performed() -> None:
    (event,) = finished(play([refused_reset()], "echo", dtypes=("float64",)))
    assert sorted(event.outputs) == ["0/outputs", "0/state", "2/outputs", "2/state"]
    assert event.judged == 16


def test_dtype_in_which_a_case_is_not_judged_is_not_run() -> None:
    events = play([case("a", dtypes=("float64",)), case("b")], "echo")
    assert [(event.id, event.dtype) for event in finished(events)] == [
        ("echo/a", "float64"),
        ("echo/b", "float32"),
        ("echo/b", "float64"),
    ]
    assert sum(ending(events).totals.values()) == 3


def test_dtype_that_is_not_declared_is_offered_and_unsupported() -> None:
    events = play([case(dtypes=("float16", "bfloat16"))], "echo", dtypes=("float16", "bfloat16"))
    assert [event.status for event in finished(events)] == ["unsupported", "unsupported"]
    assert "dtype='float16'" in finished(events)[0].message


def test_half_precision_crosses_the_wire() -> None:
    pytest.importorskip("ml_dtypes")
    events = play([case(dtypes=("float16", "bfloat16"))], "halves", dtypes=("float16", "bfloat16"))
    assert [event.status for event in finished(events)] == ["pass", "pass"]
    assert [event.outputs["0/outputs"].dtype.name for event in finished(events)] == ["float16", "bfloat16"]


def test_flushing_implementation_is_not_judged_on_subnormal_cases() -> None:
    cases = [case("tiny", flags=("Subnormal",)), case("plain")]
    events = play(cases, "flushing")
    assert statuses(events) == {"tiny": ["unsupported"] * 2, "plain": ["pass"] * 2}
    assert finished(events)[0].message == "subnormals: flush"
    assert statuses(play(cases, "echo"))["tiny"] == ["pass", "pass"]


def test_nothing_to_run_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="none of the 1 selected cases is judged in float16"):
        play([case()], "echo", dtypes=("float16",))


def test_run_in_which_nothing_is_judged_has_no_verdict() -> None:
    events = play(suite(), "half_only")
    assert ending(events).totals["unsupported"] == 8
    assert ending(events).exit_code == 3
    assert ending(play(suite(), "half_only", "echo")).exit_code == 0


class Defective:
    """An implementation whose driver has a defect."""

    name = "defective"
    restarts = 0

    def open(self) -> Identity:
        raise ZeroDivisionError("thirteen")

    def perform(self, case: Case, dtypes: Sequence[str]) -> Iterator[tuple[str, Reply | None]]:
        raise NotImplementedError

    def close(self, *, at_once: bool = False) -> None:
        pass


def test_unexpected_error_is_a_problem_of_one_implementation() -> None:
    events = list(run(Plan(cases=suite(), header=HEADER), [Defective(), implementation("echo")]))
    problems = {event.implementation: event.problem for event in events if isinstance(event, ImplementationFinished)}
    assert problems["defective"].startswith("defective: unexpected error")
    assert "ZeroDivisionError: thirteen" in problems["defective"]
    assert problems["echo"] == ""
    assert (ending(events).exit_code, ending(events).totals["pass"]) == (3, 8)


def test_outputs_are_kept_as_they_were_returned() -> None:
    calls = []
    for factor in (1, 2):
        inputs = np.arange(1.0, 13.0).reshape(2, 3, 2) * factor
        inputs[0, 0, 0] = 13
        calls.append(Call(inputs, expected=expected(inputs)))
    events = play([case("twice", calls=tuple(calls))], "reusing")
    assert [event.status for event in finished(events)] == ["pass", "pass"]


def test_files_of_the_current_folder_shadow_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError('shadow')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert ending(play(suite()[:1], "echo")).totals["pass"] == 2


def test_process_that_garbles_the_protocol_is_found_out_at_once() -> None:
    begin = time.monotonic()
    assert "ended while loading: it sent what is no message: it begins with b'Epoc'" in problem(
        play(suite(), "garbling_at_once")
    )
    events = play(suite(), "garbling", dtypes=("float32",))
    assert statuses(events) == {"before": ["pass"], "thirteen": ["error"], "after": ["pass"], "last": ["pass"]}
    assert "it sent what is no message" in next(event.message for event in finished(events) if event.status == "error")
    assert time.monotonic() - begin < 10


def test_writing_to_a_process_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EINVAL, "as on Windows")

    process = Process()
    monkeypatch.setattr("gruspec.conformance.process.write_frame", fail)
    process.send({"kind": "case"})
    process.close()
    process.discard_log()


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bool]]:
    """Whether a process that a sample started still holds a pipe open."""
    if os.name != "posix":
        pytest.skip("process groups are those of POSIX")
    path = tmp_path / "held"
    os.mkfifo(path)
    monkeypatch.setenv("SAMPLE_HELD", str(path))
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def is_held() -> bool:
        try:
            return os.read(pipe, 100) != b""
        except BlockingIOError:
            return True

    yield is_held
    os.close(pipe)


def released(held: Callable[[], bool]) -> bool:
    """Wait for the end of processes that were killed."""
    assert held(), "no process was started"
    deadline = time.monotonic() + 5
    while held() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not held()


def test_processes_that_an_implementation_leaves_behind_are_ended(held: Callable[[], bool]) -> None:
    assert ending(play(suite(), "leaving_another", dtypes=("float32",))).totals["pass"] == 4
    assert released(held)


def test_processes_of_a_case_that_never_ends_are_ended(held: Callable[[], bool]) -> None:
    events = play([case("thirteen", first=13.0)], "leaving_another_and_hanging", timeout=3.0, dtypes=("float32",))
    assert statuses(events) == {"thirteen": ["error"]}
    assert released(held)


def test_command_that_is_terminated_ends_its_processes(held: Callable[[], bool], tmp_path: Path) -> None:
    golden = write_golden(tmp_path / "golden", [case("thirteen", first=13.0)])
    arguments = ["check", "sample_backends:leaving_another_and_hanging", "--golden", str(golden)]
    command = subprocess.Popen(
        [sys.executable, "-m", "gruspec", *arguments],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not held() and time.monotonic() < deadline:
        time.sleep(0.05)
    command.terminate()
    _, errors = command.communicate(timeout=30)
    assert (command.returncode, "gruspec: interrupted" in errors) == (130, True)
    assert not held()


def test_noise_does_not_disturb_the_protocol() -> None:
    assert ending(play(suite(), "noisy")).totals["pass"] == 8


def test_empty_batch_crosses_the_wire() -> None:
    inputs = np.zeros((0, 3, 2))
    empty = case("empty", calls=(Call(inputs, expected=expected(inputs)),))
    assert ending(play([empty], "echo")).totals["pass"] == 2


def test_request_shows_no_expected_value() -> None:
    header, arrays = case_message(case(kappa=3.0), ["float32"])
    assert set(arrays) == {"weights/kernel", "weights/recurrent_kernel", "0/inputs"}
    assert "expected" not in str(header)


def test_abandoned_run_stops_its_processes() -> None:
    events = run(Plan(cases=suite(), header=HEADER), [implementation("hanging", timeout=60.0)])
    for event in events:
        if isinstance(event, CaseStarted) and event.id == "echo/thirteen":
            break
    begin = time.monotonic()
    events.close()
    assert time.monotonic() - begin < 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("gruspec")]


def test_no_more_run_at_a_time_than_asked_for() -> None:
    running = most = 0
    for event in play(suite(), "echo", "native", "halves", jobs=1):
        running += isinstance(event, ImplementationStarted) - isinstance(event, ImplementationFinished)
        most = max(most, running)
    assert most == 1


def test_processes_compute_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    found = environment()
    assert found["XLA_FLAGS"].startswith("--mine --xla_cpu_multi_thread_eigen=false")
    assert found["OMP_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == "1"
    assert found["PATH"] == os.environ["PATH"]


def test_overhead_of_a_case_is_small() -> None:
    cases: list[Case] = [case(str(i)) for i in range(300)]
    begin = time.monotonic()
    play(cases, "echo")
    assert time.monotonic() - begin < 0.004 * 2 * len(cases) + 2.0


def test_code_path_of_a_layer_is_recorded() -> None:
    assert {event.paths for event in finished(play(suite()[:1], "choosing"))} == {("long",)}
    assert {event.paths for event in finished(play(suite()[:1], "echo"))} == {()}
