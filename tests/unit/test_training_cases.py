"""Cases of training are written and read back as they are, and refused where they cannot be judged."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec import GRUSpec
from gruspec.cases import Call, Case, write_topic
from gruspec.cases.files import read_tensors
from gruspec.cases.format import case_document, read_case
from gruspec.certify import certify
from gruspec.errors import IntegrityError
from gruspec.spec import WeightSettings, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[dict[str, Any], dict[str, Any]], object]


def trained(**arguments: Any) -> Case:
    """Return a certified case with dropout, cotangents and regularizers."""
    rng = np.random.default_rng(0)

    def values(*shape: int) -> Any:
        return rng.integers(-8, 8, shape) / 8

    spec = GRUSpec(units=2, dropout=0.5, recurrent_dropout=0.5, stateful=True, reset_after=True, **arguments)
    cotangents = {"outputs": values(2, 2)} | ({"state": values(2, 2)} if spec.return_state else {})
    masks = {"inputs": 2 * values(3, 2, 3), "recurrent": 2 * values(3, 2, 2)}
    first = Call(values(2, 4, 3), None, values(2, 2), training=True, dropout_masks=masks, cotangents=cotangents)
    second = Call(values(2, 1, 3), np.array([[True], [False]]), cotangents=cotangents)
    regularizer = {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.25}}
    settings = WeightSettings(bias_regularizer=regularizer, activity_regularizer=regularizer)
    weights = {name: values(*shape) for name, shape in weight_shapes(spec, 3).items()}
    calls = (first, second, Call(values(2, 2, 3)))
    return certify(Case("t/reset-after/t", "t", "gradients", (), (), spec, weights, calls, settings=settings))


CASE = trained(return_state=True)


def same(one: Any, other: Any) -> bool:
    """Return whether two parts of cases are equal, their arrays bit for bit."""
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and same(vars(one), vars(other))
    return bool(one == other)


def test_round_trip(tmp_path: Path) -> None:
    write_topic(tmp_path, "t", "Training", {}, [CASE])
    (document,) = json.loads((tmp_path / "cases" / "t.json").read_text())["cases"]
    tensors = read_tensors(tmp_path / "tensors" / "t.safetensors")
    assert {key.removeprefix("0/") for key in tensors} == set(CASE.arrays())
    found = read_case("t", document, tensors.__getitem__)
    assert same(found, CASE)
    first, second, third = found.calls
    assert isinstance(first, Call)
    assert isinstance(second, Call)
    assert isinstance(third, Call)
    gradients = {f"gradients/{name}" for name in ("inputs", "kernel", "recurrent_kernel", "bias")}
    results = {"outputs", "state", "losses"}
    assert first.expected.keys() == results | gradients | {"gradients/initial_state"}
    assert second.expected.keys() == results | gradients
    assert third.expected.keys() == results
    assert (second.dropout_masks, third.cotangents) == (None, None)


def test_parts_that_differ_are_not_the_same() -> None:
    """The comparison above has teeth."""
    moved = copy.deepcopy(CASE)
    first = moved.calls[0]
    assert isinstance(first, Call)
    assert same(moved, CASE)
    kappa = first.expected["gradients/bias"].kappa
    kappa[0, 0] = np.nextafter(kappa[0, 0], np.float32(9))
    assert not same(moved, CASE)


def read(change: Change, case: Case = CASE) -> Case:
    document = copy.deepcopy(case_document(case, 0))
    arrays = {f"0/{name}": array for name, array in case.arrays().items()}
    change(document, arrays)
    return read_case("t", document, arrays.__getitem__)


def gradients(document: dict[str, Any]) -> Any:
    return document["calls"][0]["expected"]["gradients"]


def expected(document: dict[str, Any]) -> Any:
    return document["calls"][0]["expected"]


COTANGENT = "0/0/gradients/cotangents/outputs"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, _: gradients(d).pop("kernel"), "expected: has .*; needs .*gradients/kernel"),
        (lambda d, _: gradients(d).pop("initial_state"), "needs .*gradients/initial_state"),
        (lambda d, _: gradients(d).update(units=gradients(d)["bias"]), "expected: has .*gradients/units"),
        (lambda d, _: gradients(d).pop("cotangents"), "missing 'cotangents'"),
        (lambda d, _: gradients(d)["cotangents"].pop("outputs"), "cotangents: 'outputs' missing"),
        (lambda d, _: gradients(d)["cotangents"].update(losses=COTANGENT), "cotangents: 'losses' is not returned"),
        (lambda d, _: gradients(d)["cotangents"].update(magic=COTANGENT), "cotangents: 'magic' is not returned"),
        (lambda _, a: a.update({COTANGENT: np.zeros((2, 4, 2))}), r"has shape \(2, 4, 2\); expected \(2, 2\)"),
        (lambda _, a: a.update({COTANGENT: np.zeros((4, 1))}), r"'outputs' has shape \(4, 1\); expected \(2, 2\)"),
        (
            lambda _, a: a.update({"0/0/gradients/bias/kappa": np.zeros(6, np.float32)}),
            "gradients/bias: value",
        ),
        (
            lambda _, a: a.update({"0/0/gradients/kernel/kappa": np.zeros(6, np.float32)}),
            "gradients/kernel: has",
        ),
        (lambda d, _: d["calls"][0]["dropout_masks"].update(state=COTANGENT), "dropout_masks: unknown state"),
        (lambda d, _: d.pop("settings"), "expected: has .*losses"),
        (lambda d, _: expected(d).pop("losses"), "needs .*losses"),
        (lambda d, _: d["settings"].update(gamma_regularizer=None), "gamma_regularizer"),
        (lambda d, _: d["settings"].update(kernel_regularizer="l3"), "kernel_regularizer='l3'"),
        (lambda d, _: d["calls"][0]["dropout_masks"].update(inputs="nowhere"), "missing 'nowhere'"),
        (lambda d, _: d["calls"][0].update(cotangents={}), "unknown cotangents"),
    ],
)
def test_defect_is_named(change: Change, message: str) -> None:
    with pytest.raises(IntegrityError, match=message) as caught:
        read(change)
    assert CASE.id in str(caught.value)


def test_the_cotangent_of_a_state_that_is_not_returned_is_refused() -> None:
    case = trained(return_state=False)

    def stated(document: dict[str, Any], _: dict[str, Any]) -> None:
        gradients(document)["cotangents"]["state"] = COTANGENT

    assert same(read(lambda _, __: None, case), case)
    with pytest.raises(IntegrityError, match="cotangents: 'state' is not returned by this layer"):
        read(stated, case)
