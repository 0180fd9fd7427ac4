"""A claim has values that a claim can have, and leaves out the calls that it says it leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gruspec import GRUSpec
from gruspec.backend import Capabilities
from gruspec.errors import SpecError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("summary", None),
        ("kind", "partial"),
        ("modules", "numpy"),
        ("modules", (1,)),
        ("extra", 1),
        ("dtypes", "float32"),
        ("dtypes", ("float8",)),
        ("devices", ("tpu",)),
        ("reset_after", True),
        ("reset_after", ("yes",)),
        ("activations", ("tahn",)),
        ("recurrent_activations", ["tanh"]),
        ("use_bias", ("no",)),
        ("switches", ("go_backward",)),
        ("mask", "length"),
        ("initial_state", "maybe"),
        ("empty", ("time",)),
        ("subnormals", "flushed"),
    ],
)
def test_value_that_no_claim_can_have_is_refused(field: str, value: Any) -> None:
    with pytest.raises(SpecError) as caught:
        Capabilities(**{"summary": "a sample"} | {field: value})
    assert str(caught.value).startswith(f"{field}={value!r}: expected ")


def test_every_field_may_be_empty_that_is_a_tuple() -> None:
    Capabilities(summary="", modules=(), dtypes=(), devices=(), activations=(), switches=(), empty=())


@pytest.mark.parametrize("axes", [("batch", "timesteps", "features"), ("timesteps", "batch", "features")])
@pytest.mark.parametrize("name", ["timesteps", "batch", "features"])
def test_a_size_of_zero_is_outside_a_claim_that_does_not_name_it(name: str, axes: tuple[str, ...]) -> None:
    spec, inputs = GRUSpec(units=1, time_major=axes[0] == "timesteps"), np.zeros([int(axis != name) for axis in axes])
    others = tuple(axis for axis in axes if axis != name)
    assert Capabilities(summary="", empty=others).call_refusals(spec, inputs, None, None) == [f"zero {name}"]
    assert Capabilities(summary="", empty=(name,)).call_refusals(spec, inputs, None, None) == []


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3, 4, 0)])
def test_inputs_of_another_rank_are_for_the_layer_to_refuse(shape: tuple[int, ...]) -> None:
    declared = Capabilities(summary="", empty=())
    assert declared.call_refusals(GRUSpec(units=1), np.zeros(shape), None, None) == []
    assert declared.call_refusals(GRUSpec(units=1, time_major=True), np.zeros(shape), None, None) == []
