"""Explicit dropout masks against a loop over single numbers, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from long_numbers import Layer

from gruspec import GRUSpec
from gruspec.cases import Call, Case
from gruspec.certify import certify
from gruspec.errors import SpecError
from gruspec.reference import evaluate
from gruspec.spec import Dimensions, acting_dropout, dropout_mask_shapes, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIZES = Dimensions(batch=2, timesteps=3, input_size=2, units=2)


def drawn(seed: int, **arguments: Any) -> tuple[GRUSpec, dict[str, Floats], Call]:
    """Return a layer and a call that has masks of every kind, whether they act or not."""
    rng = np.random.default_rng(seed)
    spec = GRUSpec(units=SIZES.units, return_sequences=True, return_state=True, **arguments)

    def values(*shape: int) -> Floats:
        return rng.uniform(-1.5, 1.5, shape)

    call = Call(
        values(SIZES.batch, SIZES.timesteps, SIZES.input_size),
        np.array([[True, False, True], [False, True, True]]) if seed % 2 else None,
        values(SIZES.batch, SIZES.units),
        training=True,
        dropout_masks={
            name: np.where(rng.random(shape) < 0.7, values(*shape), 0.0)
            for name, shape in dropout_mask_shapes(spec, SIZES).items()
        },
    )
    return spec, {name: values(*shape) for name, shape in weight_shapes(spec, SIZES.input_size).items()}, call


def case(spec: GRUSpec, weights: Mapping[str, Floats], call: Call) -> Case:
    return Case("d", "d", "dropout-masks", (), (), spec, weights, (call,))


def certified(spec: GRUSpec, weights: Mapping[str, Floats], call: Call) -> dict[str, Floats]:
    (done,) = certify(case(spec, weights, call)).calls
    assert isinstance(done, Call)
    return {name: np.asarray(found.value) for name, found in done.expected.items()}


ACTING: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "inputs and recurrent": ({"dropout": 0.5, "recurrent_dropout": 0.25}, ("inputs", "recurrent")),
    "inputs": ({"dropout": 0.5}, ("inputs",)),
    "recurrent": ({"recurrent_dropout": 0.5}, ("recurrent",)),
    "one for all gates": ({"dropout": 0.5, "implementation": 2}, ("inputs",)),
    "recurrent forces implementation 1": (
        {"dropout": 0.5, "recurrent_dropout": 0.5, "implementation": 2}, ("inputs", "recurrent"),
    ),
    "none": ({}, ()),
    "none, fused": ({"implementation": 2}, ()),
}  # fmt: skip


@pytest.mark.parametrize("rates", ACTING)
@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize(("activation", "gates"), [("tanh", "hard_sigmoid"), ("relu", "sigmoid")])
def test_masks_act_where_the_specification_says(rates: str, activation: str, gates: str, *, reset_after: bool) -> None:
    arguments, acting = ACTING[rates]
    for seed in range(4):
        options = {"reset_after": reset_after, "go_backwards": seed // 2 == 1}
        spec, weights, call = drawn(seed, activation=activation, recurrent_activation=gates, **options, **arguments)
        assert acting_dropout(spec, training=True) == acting
        (wanted,) = Layer(spec, weights).results(case(spec, weights, call))
        found = certified(spec, weights, call)
        for name in ("outputs", "state"):
            np.testing.assert_array_equal(found[name], wanted[name])
        outputs, state = evaluate(
            spec, weights, call.inputs, call.mask, call.initial_state, training=True, dropout_masks=call.dropout_masks
        )
        np.testing.assert_allclose(outputs, wanted["outputs"], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(state, wanted["state"], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", ["inputs", "recurrent"])
@pytest.mark.parametrize("gate", range(3))
def test_each_gate_has_its_own_mask(kind: str, gate: int) -> None:
    """Another mask for one gate alone is another layer; the loop above would not tell if all masks were alike."""
    spec, weights, call = drawn(0, dropout=0.5, recurrent_dropout=0.5)
    assert call.dropout_masks is not None
    other = call.dropout_masks[kind].copy()
    other[gate] += 1
    changed = replace(call, dropout_masks={**call.dropout_masks, kind: other})
    assert not np.array_equal(certified(spec, weights, changed)["state"], certified(spec, weights, call)["state"])


@pytest.mark.parametrize("rates", [{"dropout": 0.5, "recurrent_dropout": 0.5}, {"dropout": 1.0}, {}])
def test_masks_that_do_not_act_are_ignored(rates: dict[str, float]) -> None:
    """In inference none acts, whatever its shape; nor does one of rate 0 in training."""
    spec, weights, call = drawn(1, **rates)
    without = certified(spec, weights, replace(call, training=False, dropout_masks=None))
    given = {"inputs": np.full((9, 9), 7.0), "recurrent": np.zeros(5)}
    cases = [replace(call, training=False, dropout_masks=given), replace(call, training=False)]
    cases += [] if rates else [replace(call, dropout_masks=given), replace(call, dropout_masks=None)]
    for other in cases:
        found = certified(spec, weights, other)
        for name, value in without.items():
            np.testing.assert_array_equal(found[name], value)


def test_one_kind_acts_without_the_other() -> None:
    spec, weights, call = drawn(2, dropout=0.5)
    assert call.dropout_masks is not None
    alone = replace(call, dropout_masks={"inputs": call.dropout_masks["inputs"]})
    np.testing.assert_array_equal(certified(spec, weights, alone)["state"], certified(spec, weights, call)["state"])


INPUTS, RECURRENT = np.ones((3, 2, 2)), np.ones((3, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "masks", "message"),
    [
        ({"dropout": 0.5}, None, r"dropout_masks: 'inputs' missing.*\(3, 2, 2\)"),
        ({"dropout": 0.5}, {"recurrent": RECURRENT}, "dropout_masks: 'inputs' missing"),
        ({"recurrent_dropout": 0.5}, {"inputs": INPUTS}, "dropout_masks: 'recurrent' missing"),
        ({"dropout": 0.5}, {"inputs": INPUTS[:1]}, r"'inputs' has shape \(1, 2, 2\); expected \(3, 2, 2\)"),
        ({"dropout": 0.5, "implementation": 2}, {"inputs": INPUTS}, r"shape \(3, 2, 2\); expected \(1, 2, 2\)"),
        ({"dropout": 0.5}, {"inputs": INPUTS[:, 0]}, r"shape \(3, 2\); expected"),
        ({"recurrent_dropout": 0.5}, {"recurrent": np.ones((3, 2, 6))}, r"'recurrent' has shape \(3, 2, 6\)"),
        ({"dropout": 0.5}, {"inputs": INPUTS, "state": INPUTS}, "unknown state; known are inputs, recurrent"),
        ({}, {"outputs": INPUTS}, "unknown outputs"),
        ({"dropout": 1.0}, {"inputs": INPUTS}, r"dropout=1\.0: in training the rate must be less than 1"),
        ({"recurrent_dropout": 1.0}, {"recurrent": RECURRENT}, r"recurrent_dropout=1\.0: in training"),
        ({"dropout": 3.0}, None, r"dropout=1\.0: in training"),
    ],
)
def test_impossible_masks_are_refused(arguments: dict[str, Any], masks: Any, message: str) -> None:
    spec, weights, call = drawn(3, **arguments)
    with pytest.raises(SpecError, match=message):
        certified(spec, weights, replace(call, dropout_masks=masks))
    with pytest.raises(SpecError, match=message):
        evaluate(spec, weights, call.inputs, training=True, dropout_masks=masks)
