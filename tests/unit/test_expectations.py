"""Expected failures are strict both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sample_suites import case, expecting, play, suite

from gruspec.conformance import (
    CaseFinished,
    Expectation,
    Expectations,
    SuiteFinished,
    file_stem,
    shipped_expectations,
)
from gruspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gruspec.conformance import Event

THIRTEEN = Expectation(id="echo/thirteen", clause="last-output", reason="unlucky", report="https://example.org/13")


def statuses(events: Sequence[Event]) -> list[str]:
    return [event.status for event in events if isinstance(event, CaseFinished) and event.id == "echo/thirteen"]


def ending(events: Sequence[Event]) -> SuiteFinished:
    assert isinstance(events[-1], SuiteFinished)
    return events[-1]


@pytest.mark.parametrize("name", ["wrong", "leaving"])
def test_expected_failure_does_not_fail_the_run(name: str) -> None:
    events = play(suite(), name, whole=True, expectations=expecting(name, THIRTEEN))
    assert statuses(events) == ["xfail", "xfail"]
    assert ending(events).exit_code == 0
    assert (ending(events).totals["xfail"], ending(events).totals["pass"]) == (2, 6)
    (first, _) = [event for event in events if isinstance(event, CaseFinished) and event.expectation]
    assert first.expectation == THIRTEEN
    assert first.message


def test_expected_failure_that_passes_fails_the_run() -> None:
    events = play(suite(), "echo", expectations=expecting("echo", THIRTEEN))
    assert statuses(events) == ["xpass", "xpass"]
    assert ending(events).exit_code == 1


def test_expectation_holds_in_its_dtypes_only() -> None:
    entry = Expectation(id="echo/thirteen", clause="last-output", dtypes=("float64",), reason="unlucky")
    events = play(suite(), "wrong", expectations=expecting("wrong", entry))
    assert statuses(events) == ["fail", "xfail"]
    assert ending(events).exit_code == 1


def test_every_case_of_a_flag_must_fail() -> None:
    flagged = [case("thirteen", first=13.0, flags=("Odd",)), case("even", flags=("Odd",))]
    events = play(
        flagged,
        "wrong",
        expectations=expecting("wrong", Expectation(flag="Odd", clause="last-output", reason="unlucky")),
    )
    assert statuses(events) == ["xfail", "xfail"]
    assert ending(events).totals["xpass"] == 2


def test_unsupported_case_is_no_expected_failure() -> None:
    events = play(suite(), "native_refusing", expectations=expecting("native_refusing", THIRTEEN))
    assert statuses(events) == ["unsupported", "unsupported"]


def test_stale_expectation_stops_a_whole_suite_before_it_runs() -> None:
    entry = Expectation(id="echo/gone", clause="last-output", reason="was renamed")
    with pytest.raises(UsageError, match=r"echo\.toml: id = 'echo/gone': no case is selected"):
        play(suite(), "echo", whole=True, expectations=expecting("echo", entry))
    assert ending(play(suite(), "echo", whole=False, expectations=expecting("echo", entry))).exit_code == 0


def test_expectation_of_unsupported_cases_only_is_a_usage_error() -> None:
    expectations = expecting("native_refusing", THIRTEEN)
    last = ending(play(suite(), "native_refusing", whole=True, expectations=expectations))
    assert last.exit_code == 2
    assert last.problems == ("native_refusing.toml: id = 'echo/thirteen': every case it selects is unsupported",)


def test_expectation_in_a_dtype_that_does_not_run_is_not_stale() -> None:
    entry = Expectation(id="echo/thirteen", clause="last-output", dtypes=("float64",), reason="unlucky")
    last = ending(play(suite(), "echo", whole=True, dtypes=("float32",), expectations=expecting("echo", entry)))
    assert (last.exit_code, last.problems) == (0, ())


def test_expectations_of_others_do_not_count() -> None:
    assert statuses(play(suite(), "wrong", expectations=expecting("echo", THIRTEEN))) == ["fail", "fail"]


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(
        '[[expected]]\nid = "a/b"\nclause = "last-output"\nreason = "why"\n'
        '[[expected]]\nflag = "Odd"\nclause = "last-output"\ndtypes = ["float32"]\nreason = "x"\nreport = "https://e.org"\n',
        encoding="utf-8",
    )
    assert Expectations.load(path).entries == (
        Expectation(id="a/b", clause="last-output", reason="why"),
        Expectation(flag="Odd", clause="last-output", dtypes=("float32",), reason="x", report="https://e.org"),
    )
    assert Expectations.load(tmp_path / "none.toml").entries == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[expected]]\nid = "a"\nreason = "r"\nwhy = 1', "entry 1: why: unknown key"),
        (
            '[[expected]]\nid = "a"\nclause = "bias"\nreason = "r"\n[[expected]]\nreason = "r"',
            "entry 2: exactly one of id and flag",
        ),
        ('[[expected]]\nid = "a"\nflag = "b"\nreason = "r"', "exactly one of id and flag"),
        ('[[expected]]\nid = "a"\nclause = "bias"', "reason: missing"),
        ('[[expected]]\nid = "a"\nreason = "r"', "clause: missing"),
        ('[[expected]]\nid = "a"\nclause = "magic"\nreason = "r"', "clause = 'magic': not a clause"),
        ('[[expected]]\nid = "a"\nreason = " "', "reason = ' ': expected a text"),
        ('[[expected]]\nid = 3\nreason = "r"', "id = 3: expected a text"),
        (
            '[[expected]]\nid = "a"\nclause = "last-output"\nreason = "r"\ndtypes = ["float8"]',
            r"dtypes = \['float8'\]: expected a list",
        ),
        ('[[expected]]\nid = "a"\nclause = "last-output"\nreason = "r"\ndtypes = []', "dtypes"),
        ('[expected]\nid = "a"\nreason = "r"', "must be an array of tables"),
        ("expected = [1]", "must be a table"),
        ('[[unexpected]]\nid = "a"', "unexpected: unknown"),
        ("[[expected", "not TOML"),
    ],
)
def test_error_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        Expectations.load(path)
    assert str(path) in str(caught.value)


def test_shipped_files_can_be_read() -> None:
    for path in shipped_expectations().glob("*.toml"):
        assert Expectations.load(path).entries


def test_reference_becomes_a_file_name() -> None:
    assert file_stem("a.b:c") == "a.b.c"
