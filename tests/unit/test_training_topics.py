"""The golden topics about training have in them what they are for."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec import Suite
from gruspec.cases import Call
from gruspec.generate.masks import MASK_KINDS
from gruspec.generate.training import dropout_cases, gradient_cases, stateful_gradient_cases
from gruspec.generate.training_calls import draw_dropout_mask
from gruspec.spec import ACTIVATIONS, DROPOUT_RATES, acting_dropout, dropout_mask_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.cases import Case

SWITCHES = (
    "go_backwards",
    "return_sequences",
    "return_state",
    "time_major",
    "unroll",
    "zero_output_for_mask",
    "use_bias",
)


@pytest.fixture(scope="module")
def topics() -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in Suite.load().cases():
        found.setdefault(case.topic, []).append(case)
    return found


def calls(cases: list[Case]) -> Iterator[tuple[Case, Call]]:
    return ((case, call) for case in cases for call in case.calls if isinstance(call, Call))


def test_there_are_enough_gradients_of_every_option(topics: dict[str, list[Case]]) -> None:
    cases = topics["gradient"]
    assert len(cases) >= 150
    for reset_after in (False, True):
        specs = [case.spec for case in cases if case.spec.reset_after == reset_after]
        for one, other in combinations(SWITCHES, 2):
            assert len({(getattr(spec, one), getattr(spec, other)) for spec in specs}) == 4, (one, other)
        both = {(spec.activation, spec.recurrent_activation) for spec in specs}
        assert len(both) == len(ACTIVATIONS) ** 2
        assert {acting_dropout(spec, training=True) for spec in specs} >= {(), ("recurrent",), ("inputs", "recurrent")}


@pytest.mark.parametrize("topic", ["gradient", "stateful-gradient"])
def test_every_call_has_cotangents_of_what_it_returns(topic: str, topics: dict[str, list[Case]]) -> None:
    for case, call in calls(topics[topic]):
        assert call.cotangents is not None, case.id
        assert set(call.cotangents) == {"outputs", *(["state"] if case.spec.return_state else [])}, case.id
        assert all(array.any() or not array.size for array in call.cotangents.values()), case.id
    assert {type(call.initial_state) for _, call in calls(topics[topic])} == {np.ndarray, type(None)}


def test_later_calls_depend_on_earlier_ones(topics: dict[str, list[Case]]) -> None:
    cases = topics["stateful-gradient"]
    assert all(case.spec.stateful and len(list(calls([case]))) > 1 for case in cases)


def test_scales_of_dropout_are_exact_and_both_rates_occur(topics: dict[str, list[Case]]) -> None:
    seen = set()
    for case, call in calls(topics["dropout"] + topics["gradient"] + topics["stateful-gradient"]):
        for kind, mask in (call.dropout_masks or {}).items():
            rate = getattr(case.spec, DROPOUT_RATES[kind])
            acts = kind in acting_dropout(case.spec, training=call.training)
            seen.add((kind, rate, acts))
            assert set(mask.ravel().tolist()) <= {0.0, 1 / (1 - (rate or 0.5))}, case.id
    assert seen >= {(kind, rate, True) for kind in DROPOUT_RATES for rate in (0.5, 0.75)}
    assert seen >= {(kind, rate, False) for kind in DROPOUT_RATES for rate in (0.0, 0.5)}


def test_masks_of_gates_differ(topics: dict[str, list[Case]]) -> None:
    acting = [
        call.dropout_masks[kind]
        for case, call in calls(topics["dropout"])
        for kind in acting_dropout(case.spec, training=call.training)
        if call.dropout_masks is not None
    ]
    separate = [mask for mask in acting if len(mask) == 3 and mask[0].size > 3]
    assert len(separate) > 10
    assert all((mask[0] != mask[1]).any() and (mask[1] != mask[2]).any() for mask in separate)


def test_a_shared_mask_stands_alone(topics: dict[str, list[Case]]) -> None:
    shapes = {
        (case.spec.implementation == 1, len(call.dropout_masks["inputs"]))
        for case, call in calls(topics["dropout"])
        if call.dropout_masks and "inputs" in call.dropout_masks
    }
    assert shapes == {(True, 3), (False, 1)}


def test_kinks_have_exact_arguments(topics: dict[str, list[Case]]) -> None:
    corners = [case for case in topics["gradient"] if "GradientKink" in case.flags]
    assert {case.clause for case in corners} == {"gradient-kinks"}
    met = {(case.spec.activation, case.spec.recurrent_activation) for case in corners}
    assert len(corners) == 12
    assert met == {
        ("hard_sigmoid", "hard_sigmoid"),
        ("relu", "hard_sigmoid"),
        ("linear", "hard_sigmoid"),
        ("linear", "relu"),
    }
    points = np.concatenate([call.inputs.ravel() for _, call in calls(corners)])
    assert 2.5 in points
    assert -2.5 not in points, "the slope there depends on how 0.2 x + 0.5 is formed"


def test_nothing_reaches_gradients_from_masked_timesteps(topics: dict[str, list[Case]]) -> None:
    cases = [case for case in topics["gradient"] if "MaskedNonFiniteGradient" in case.flags]
    assert len(cases) == 8
    for case, call in calls(cases):
        assert not np.isfinite(call.inputs).all(), case.id
        values = [expected.value for expected in call.expected.values()]
        assert all(value is not None and np.isfinite(value).all() for value in values), case.id


def test_losses_come_from_every_place(topics: dict[str, list[Case]]) -> None:
    counts = {call.expected["losses"].kappa.size for _, call in calls(topics["losses"])}
    assert counts >= {1, 2, 3, 4}
    settings = [case.settings for case in topics["losses"]]
    for place in ("kernel", "recurrent", "bias", "activity"):
        given = [getattr(setting, f"{place}_regularizer") for setting in settings]
        assert None in given
        assert any(regularizer and all(regularizer["config"].values()) for regularizer in given)


def test_paths_of_cotangents_meet_every_mask(topics: dict[str, list[Case]]) -> None:
    words = {word for case in topics["gradient"] for word in case.id.split("/")[2].split("-")}
    assert {"right", "left", "gaps", "late"} <= words
    assert len(MASK_KINDS) == 6


@pytest.mark.parametrize("cases", [dropout_cases, gradient_cases, stateful_gradient_cases])
def test_drawing_twice_gives_the_same(cases: Callable[[int], Iterator[Case]]) -> None:
    for one, other in zip(cases(0), cases(0), strict=True):
        assert one.id == other.id
        arrays: Any = zip(one.arrays().values(), other.arrays().values(), strict=True)
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)


def test_a_mask_has_both_kinds_of_entries() -> None:
    from gruspec.generate.draws import Draw
    from gruspec.spec import Dimensions, GRUSpec

    shape = dropout_mask_shapes(GRUSpec(units=2), Dimensions(2, 1, 1, 2))["recurrent"]
    for i in range(20):
        assert set(draw_dropout_mask(Draw(f"mask/{i}"), "recurrent", shape, 0.75).ravel().tolist()) == {0.0, 4.0}
