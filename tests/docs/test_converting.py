"""The guide to converting weights: its commands print what it says, and its tables are complete."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from gruspec.cli import main
from gruspec.files import formats

GUIDE = (Path(__file__).parents[2] / "docs" / "converting.md").read_text(encoding="utf-8")
CODES = {"--to linen": 1}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def without_figures(text: str) -> str:
    """Leave out what depends on versions: numbers and the versions themselves, and how lines are wrapped."""
    words = " ".join(text.split())
    return re.sub(r"\([^()]*\d\.\d[^()]*\)", "()", re.sub(r"-?\d+\.\d+(e-\d+)?", "#", words))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file that the guide uses."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(blocks("python")[0], {})  # noqa: S102  the guide's own code
    return tmp_path / "model.pt"


def test_commands_print_what_the_guide_says(model: Path) -> None:
    pytest.importorskip("flint")
    pytest.importorskip("tf_keras")
    for block in blocks("console"):
        command, _, output = block.partition("\n")
        arguments = shlex.split(command.removeprefix("$ gruspec "))
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == next((code for words, code in CODES.items() if words in command), 0), done.output
        printed = done.stdout if done.exit_code == 0 else done.stderr
        if output.rstrip().endswith("..."):
            assert without_figures(printed).startswith(without_figures(output.rstrip().removesuffix("...")))
        else:
            assert without_figures(printed) == without_figures(output)
    certificate = json.loads(model.with_name("encoder.npz.gruspec.json").read_text(encoding="utf-8"))
    assert certificate["verification"]["status"] == "verified"


def test_python_prints_what_the_guide_says(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert model.exists()
    _, script = blocks("python")
    exec(f"import torch\n{script}", {})  # noqa: S102  the guide's own code
    (expected,) = blocks("text")
    assert capsys.readouterr().out == expected


def test_table_of_formats_is_complete() -> None:
    good, broken = formats().loaded()
    assert not broken
    rows = []
    for found in good:
        endings = ", ".join(f"`{suffix}`" for suffix in found.suffixes)
        needs = f"`gruspec[{found.extra}]`" if found.modules else ""
        cells = (f"`{found.name}`", endings, needs, "yes" if found.mapped else "no")
        rows.append(re.sub(" +", " ", f"| {' | '.join(cells)} |"))
    table = GUIDE.partition("## Files")[2].partition("Where source")[0]
    written = [re.sub(" +", " ", line) for line in table.splitlines() if line.startswith("| `")]
    assert sorted(written) == sorted(rows)


def test_options_of_the_guide_exist() -> None:
    text = " ".join(CliRunner().invoke(main, [command, "--help"]).stdout for command in ("convert", "inspect"))
    for option in set(re.findall(r"`(--[a-z-]+)", GUIDE)):
        assert option in text
