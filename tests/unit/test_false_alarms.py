"""The benchmark of false alarms: six orders that differ, what is observed, and that a wrong GRU is reported."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest

from gruspec.backend.registry import Registration
from gruspec.conformance.arrays import dtype_of
from gruspec.generate.random_cases import drawn_case
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RIGHT = Registration("right", "benchmarks.summation_orders:products_in_pairs")
WRONG = Registration("wrong", "sample_backends:halves")


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (BENCHMARKS, Path(__file__).parent):
        monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def orders() -> Any:
    return import_module("benchmarks.summation_orders")


@pytest.fixture
def alarms() -> Any:
    return import_module("false_alarms")


def one_by_one(terms: NDArray[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


TERMS = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float16)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_orders_of_summation(orders: Any, dtype: str) -> None:
    terms = TERMS.astype(dtype_of(dtype))
    by_size = np.stack([column[np.argsort(-np.abs(column))] for column in terms.T], axis=1)
    pairs = [one_by_one(terms[i : i + 2]) for i in range(0, 11, 2)]
    fours = [one_by_one(np.stack(pairs[0:2])), one_by_one(np.stack(pairs[2:4])), one_by_one(np.stack(pairs[4:6]))]
    parts = [one_by_one(terms[part::4]) for part in range(4)]
    wanted = {
        "in_turn": one_by_one(terms),
        "from_the_end": one_by_one(terms[::-1]),
        "largest_first": one_by_one(by_size),
        "in_pairs": (fours[0] + fours[1]) + fours[2],
        "in_four_parts": (parts[0] + parts[1]) + (parts[2] + parts[3]),
    }
    for name, total in wanted.items():
        found = getattr(orders, name)(terms)
        assert found.dtype == terms.dtype
        assert found.tolist() == total.tolist(), name
    assert orders.in_pairs(terms[:0]).tolist() == [0, 0, 0]


def test_the_six_ways_are_six(orders: Any) -> None:
    rng = np.random.default_rng(1)
    spec = GRUSpec(units=6, return_sequences=True)
    shapes = {"kernel": (5, 18), "recurrent_kernel": (6, 18), "bias": (18,)}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    inputs = rng.normal(size=(2, 9, 5)).astype(np.float32)
    found = {}
    for name in orders.WAYS:
        layer = getattr(orders, name)().prepare(spec, weights, dtype="float32", device="cpu")
        found[name] = layer(inputs).outputs
        np.testing.assert_allclose(found[name], found["gates_in_turn"], rtol=0, atol=2e-6)
    assert len({array.tobytes() for array in found.values()}) == len(orders.WAYS) == 6


def test_fractions_keep_their_median_and_their_worst() -> None:
    observations = import_module("observations")
    rng = np.random.default_rng(2)
    parts = [np.abs(rng.normal(size=500)) ** 3, np.zeros(100), np.array([0.9, 1.5])]
    fractions = observations.Fractions()
    for part in parts:
        fractions.add(part)
    everything = np.concatenate(parts)
    assert fractions.number == everything.size
    assert fractions.worst == everything.max()
    assert fractions.median == pytest.approx(np.median(everything), rel=0.03)
    fractions.add(np.zeros(10_000))
    assert fractions.median == 0
    assert observations.Fractions().median == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fitted_cases_are_cut_alike_everywhere(dtype: str) -> None:
    half_precision = import_module("benchmarks.half_precision")
    room = half_precision.ROOM[dtype]
    kind, cut = dtype_of(dtype), 0
    for number in range(40):
        drawn = drawn_case(5, number)
        case = half_precision.fitted(drawn, dtype)
        units = min(drawn.spec.units, room.units)
        cut += units < drawn.spec.units
        assert case.spec.units == units
        assert case.weights["recurrent_kernel"].shape == (units, 3 * units)
        gate = drawn.weights["kernel"][:, drawn.spec.units : drawn.spec.units + units]
        rounded = gate.astype(kind).astype(float)
        kept = case.weights["kernel"][:, units : 2 * units]
        assert np.array_equal(kept, np.where(np.abs(rounded) < np.finfo(np.float16).tiny, kept, rounded))
        for array in case.arrays().values():
            whole = array.astype(kind).astype(array.dtype)
            assert np.array_equal(whole, array, equal_nan=array.dtype != bool)
    assert (cut > 10) == (dtype == "bfloat16")


def request(alarms: Any, *, chunk: int = 2, **changes: Any) -> Any:
    asked = {"cases": 4, "half_cases": 2, "seed": 3, "dtypes": alarms.DTYPES, "implementations": ("right", "wrong")}
    return alarms.Request(**asked | {"chunk": chunk} | changes)


def test_a_wrong_implementation_is_reported_and_a_right_one_is_not(alarms: Any, tmp_path: Path) -> None:
    whole = alarms.Results()
    done = list(alarms.observe(request(alarms, chunk=4), [RIGHT, WRONG], whole, 1))
    assert [(chunk.dtype, len(chunk.numbers)) for chunk in done] == [("float32", 4), ("float16", 2), ("bfloat16", 2)]
    for dtype, count in (("float32", 4), ("float64", 4), ("float16", 2), ("bfloat16", 2)):
        seen = whole.observed["right", dtype]
        assert (seen.judged + whole.refused[dtype], seen.outside) == (count, 0)
        assert seen.fractions.worst <= 1
    assert whole.observed["right", "float32"].fractions.worst > 0
    assert whole.observed["wrong", "float32"].outside
    assert whole.outside == sum(whole.observed["wrong", dtype].outside for dtype in alarms.DTYPES)

    asked, record = request(alarms), tmp_path / "record.json"
    interrupted = alarms.Results.load(record, asked)
    next(alarms.observe(asked, [RIGHT, WRONG], interrupted, 1))
    interrupted.save(record, asked)
    resumed = alarms.Results.load(record, asked)
    assert resumed.chunks == 1
    assert len(list(alarms.observe(asked, [RIGHT, WRONG], resumed, 1))) == 3
    assert alarms.rows(resumed) == alarms.rows(whole)
    resumed.save(record, asked)
    assert alarms.rows(alarms.Results.load(record, asked)) == alarms.rows(whole)
    with pytest.raises(click.UsageError, match="'seed': 3"):
        alarms.Results.load(record, request(alarms, seed=4))


def test_an_implementation_that_cannot_run_ends_the_command(alarms: Any) -> None:
    missing = Registration("missing", "benchmarks.summation_orders:no_such_way")
    with pytest.raises(click.ClickException, match="no_such_way"):
        list(alarms.observe(request(alarms, half_cases=0), [missing], alarms.Results(), 1))


def test_tables(alarms: Any, capsys: pytest.CaptureFixture[str]) -> None:
    results = alarms.Results()
    seen = results.observed["right", "float32"]
    seen.statuses.update({"pass": 5, "fail": 1, "xfail": 2, "unsupported": 3})
    seen.fractions.add(np.array([0.25, 0.5]))
    results.observed["idle", "float64"].statuses.update({"unsupported": 9})
    assert [row[:7] for row in alarms.rows(results)] == [("right", "float32", "8", "1", "2", "3", "2")]
    alarms.markdown_table("a title", alarms.HEADINGS, alarms.rows(results))
    printed = capsys.readouterr().out
    assert "| right | float32 | 8 | 1 | 2 | 3 | 2 |" in printed
    alarms.rich_table("a title", alarms.HEADINGS, alarms.rows(results))
    assert "float32" in capsys.readouterr().out
    assert json.loads(json.dumps(seen.to_json()))["statuses"]["fail"] == 1
