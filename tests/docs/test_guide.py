"""The guide to adding an implementation shows a file that works, and names what there is."""

from __future__ import annotations

import dataclasses
import itertools
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec import Suite
from gruspec.backend import GROUP, Backend, Capabilities, Registry
from gruspec.conformance import Expectations
from gruspec.errors import NotStatefulError, SpecError, Unsupported
from gruspec.reference import evaluate
from gruspec.spec import ACTIVATIONS, GRUSpec, weight_shapes
from gruspec.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "adding-an-implementation.md").read_text(encoding="utf-8")
ADAPTER = ROOT / "tests" / "third_party" / "slow_gru.py"
SWITCHES = ("return_sequences", "go_backwards", "time_major", "zero_output_for_mask")


@pytest.fixture
def slow_gru(monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.syspath_prepend(ADAPTER.parent)
    return Registry([]).get("slow_gru:backend").load_runnable()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def case(spec: GRUSpec, batch: int, timesteps: int, seed: int = 0) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Draw weights and the arguments of one call."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.uniform(-1, 1, shape) for name, shape in weight_shapes(spec, 3).items()}
    arguments = {
        "inputs": rng.uniform(-2, 2, (batch, timesteps, 3)),
        "mask": rng.random((batch, timesteps)) < 0.6,
        "initial_state": rng.uniform(-1, 1, (batch, spec.units)),
    }
    if spec.time_major:
        arguments |= {name: arguments[name].swapaxes(0, 1) for name in ("inputs", "mask")}
    return weights, arguments


def assert_agrees(backend: Backend, spec: GRUSpec, weights: Mapping[str, Any], arguments: dict[str, Any]) -> None:
    layer = backend.prepare(spec, weights, dtype="float64", device="cpu")
    outputs, state = evaluate(spec, weights, **arguments)
    computed = layer(arguments["inputs"], mask=arguments.get("mask"), initial_state=arguments.get("initial_state"))
    assert computed.state is not None
    np.testing.assert_allclose(computed.outputs, outputs, rtol=0, atol=1e-13)
    np.testing.assert_allclose(computed.state, state, rtol=0, atol=1e-13)


def test_guide_shows_the_file() -> None:
    assert blocks("python") == [ADAPTER.read_text(encoding="utf-8")]


def test_adapter_is_short() -> None:
    assert len([line for line in ADAPTER.read_text(encoding="utf-8").splitlines() if line.strip()]) < 60


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("flags", [*itertools.product([False, True], repeat=len(SWITCHES))])
def test_adapter_agrees_with_the_reference(slow_gru: Backend, flags: tuple[bool, ...], *, reset_after: bool) -> None:
    spec = GRUSpec.from_dict({"units": 4, "reset_after": reset_after} | dict(zip(SWITCHES, flags, strict=True)))
    weights, arguments = case(spec, batch=5, timesteps=6)
    assert_agrees(slow_gru, spec, weights, arguments)
    assert_agrees(slow_gru, spec, weights, {"inputs": arguments["inputs"]})


@pytest.mark.parametrize(("activation", "recurrent"), [*itertools.product(ACTIVATIONS, repeat=2)])
@pytest.mark.parametrize("use_bias", [False, True])
def test_adapter_has_every_activation(slow_gru: Backend, activation: str, recurrent: str, *, use_bias: bool) -> None:
    spec = GRUSpec(units=2, activation=activation, recurrent_activation=recurrent, use_bias=use_bias)
    assert_agrees(slow_gru, spec, *case(spec, batch=3, timesteps=2))


@pytest.mark.parametrize(("batch", "timesteps"), [(0, 3), (2, 0), (2, 1)])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_adapter_takes_empty_calls(slow_gru: Backend, batch: int, timesteps: int, *, return_sequences: bool) -> None:
    spec = GRUSpec(units=2, return_sequences=return_sequences)
    assert_agrees(slow_gru, spec, *case(spec, batch, timesteps))


def test_adapter_keeps_nan_at_masked_steps_out(slow_gru: Backend) -> None:
    spec = GRUSpec(units=2, return_sequences=True)
    weights, arguments = case(spec, batch=4, timesteps=5)
    arguments["inputs"][~arguments["mask"]] = np.nan
    assert_agrees(slow_gru, spec, weights, arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adapter_computes_in_the_dtype(slow_gru: Backend, dtype: str) -> None:
    spec = GRUSpec(units=2)
    weights, arguments = case(spec, batch=2, timesteps=3)
    layer = slow_gru.prepare(spec, {name: w.astype(dtype) for name, w in weights.items()}, dtype=dtype, device="cpu")
    outputs, state = layer(arguments["inputs"].astype(dtype))
    assert state is not None
    assert outputs.dtype == state.dtype == dtype


def test_adapter_refuses_what_it_cannot_do(slow_gru: Backend) -> None:
    spec = GRUSpec(units=2, dropout=0.5)
    weights, arguments = case(spec, batch=2, timesteps=3)
    with pytest.raises(Unsupported, match="stateful"):
        slow_gru.prepare(GRUSpec(units=2, stateful=True), weights, dtype="float32", device="cpu")
    with pytest.raises(Unsupported, match="float16"):
        slow_gru.prepare(spec, weights, dtype="float16", device="cpu")
    layer = slow_gru.prepare(spec, weights, dtype="float64", device="cpu")
    with pytest.raises(Unsupported, match="dropout"):
        layer(arguments["inputs"], training=True)
    with pytest.raises(SpecError, match="mask"):
        layer(arguments["inputs"], mask=arguments["mask"][:, :2])
    with pytest.raises(NotStatefulError):
        layer.reset_states()


def test_entry_point_of_the_guide_is_in_the_group() -> None:
    block, _ = blocks("toml")
    assert tomllib.loads(block)["project"]["entry-points"] == {GROUP: {"slow-gru": "mypkg.adapter:backend"}}


def test_expectation_of_the_guide_can_be_read(tmp_path: Path) -> None:
    _, block = blocks("toml")
    path = tmp_path / "mypkg.adapter.backend.toml"
    path.write_text(block, encoding="utf-8")
    (entry,) = Expectations.load(path).entries
    assert entry.flag in Suite.load().flags


def test_guide_names_every_capability() -> None:
    table = GUIDE.partition("## Capabilities")[2].partition("Every case is offered")[0]
    named = [
        name for cells in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cells)
    ]
    assert named == [field.name for field in dataclasses.fields(Capabilities)]


def test_clauses_cited_by_the_guide_exist() -> None:
    prose = re.sub(r"^```.*?^```$|`[^`]*`", "", GUIDE, flags=re.MULTILINE | re.DOTALL)
    cited = {name for names in re.findall(r"\[([a-z][a-z, -]*)\](?!\()", prose) for name in names.split(", ")}
    assert cited
    assert cited <= set(CLAUSES)
