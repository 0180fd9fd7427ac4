"""A claim has values that a claim can have."""

from __future__ import annotations

from typing import Any

import pytest

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
