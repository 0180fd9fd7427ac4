"""Implementations that cannot be loaded are reported, and the others go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from sample_suites import suite, write_golden

from gruspec.backend import Registration
from gruspec.cli import main
from gruspec.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = {
    "undeclared": "capabilities() raised RuntimeError: what can I do?",
    "misdeclared": "capabilities() gives dict, not Capabilities",
    "impossible": "capabilities() raised SpecError: mask='ragged': expected one of none, lengths, any",
    "deep": "modules=('nomod.sub',): No module named 'nomod'",
}


@pytest.mark.parametrize("name", BROKEN)
def test_implementation_that_misdeclares_itself_is_a_broken_plugin(name: str) -> None:
    with pytest.raises(PluginError) as caught:
        Registration(name, f"sample_backends:{name}").load_runnable()
    assert str(caught.value) == f"{name}: {BROKEN[name]}"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    points = [EntryPoint(name, f"sample_backends:{name}", "gruspec.backends") for name in (*BROKEN, "echo")]
    monkeypatch.setattr("gruspec.backend.registry.entry_points", lambda group: points)  # noqa: ARG005


@pytest.mark.usefixtures("registered")
def test_list_and_check_report_broken_plugins_and_go_on(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["list", "--json"])
    assert result.exit_code == 0
    entries = {found["name"]: found for found in json.loads(result.stdout)["implementations"]}
    assert entries["echo"]["installed"]
    golden = write_golden(tmp_path / "golden", suite())
    result = CliRunner().invoke(main, ["check", "--json", "--golden", str(golden)])
    assert result.exit_code == 3
    checked = {found["name"]: found for found in json.loads(result.stdout)["implementations"]}
    assert checked["echo"]["totals"]["pass"] == 8
    for name, problem in BROKEN.items():
        assert problem in entries[name]["problem"]
        assert problem in checked[name]["problem"]
