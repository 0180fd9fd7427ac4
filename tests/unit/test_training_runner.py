"""The runner differentiates calls, hands out dropout masks and regularizers, and judges what comes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sample_suites import UNITS, case, play

from gruspec.cases import Call, Case, Expected
from gruspec.conformance import CaseFinished
from gruspec.conformance.replies import case_message
from gruspec.spec import GRUSpec, WeightSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

COTANGENTS = {"outputs": np.array([[1.0, 2.0], [3.0, 4.0]]), "state": np.array([[0.5, 0.0], [0.0, 0.25]])}


def exactly(value: Any) -> Expected:
    return Expected(value, np.zeros(value.shape, np.float32))


def differentiated() -> Case:
    plain = case("gradient")
    (call,) = plain.calls
    assert isinstance(call, Call)
    inputs = np.zeros(call.inputs.shape)
    inputs[:, -1] = COTANGENTS["outputs"] + COTANGENTS["state"]
    gradients = {"inputs": inputs} | {name: np.zeros(array.shape) for name, array in plain.weights.items()}
    wanted = {f"gradients/{name}": exactly(array) for name, array in gradients.items()}
    return replace(plain, calls=(replace(call, cotangents=COTANGENTS, expected={**call.expected, **wanted}),))


def regularized() -> Case:
    plain = case("losses")
    (call,) = plain.calls
    assert isinstance(call, Call)
    wanted = {"losses": exactly(np.array([call.inputs[:, -1].sum()]))}
    settings = WeightSettings(activity_regularizer={"class_name": "L1L2", "config": {"l1": 1.0, "l2": 0.0}})
    return replace(plain, settings=settings, calls=(replace(call, expected={**call.expected, **wanted}),))


def result(cases: Sequence[Case], name: str) -> CaseFinished:
    first, _ = (event for event in play(cases, name) if isinstance(event, CaseFinished))
    return first


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("learning", "pass", ""),
        ("learning_wrongly", "fail", "gradients/inputs[0, 2, 0] of call 0: computed 3, expected 1.5 exactly"),
        ("learning_incompletely", "fail", "gradients/kernel of call 0: missing"),
        ("learning_too_precisely", "fail", "gradients/kernel: list, expected a NumPy array"),
        ("learning_nonsense", "fail", "gradients: unknown initial_state; expected inputs, kernel, recurrent_kernel"),
        ("learning_nothing", "fail", "vjp returned NoneType, expected gruspec.backend.Differentiated"),
        ("learning_without_names", "fail", "gradients: list, expected a mapping from names to arrays"),
        ("echo", "fail", "declared but refused: gradients"),
        ("native_without_gradients", "unsupported", "gradients"),
        ("native_honest_about_gradients", "unsupported", "gradients"),
    ],
)
def test_gradients(name: str, status: str, message: str) -> None:
    found = result([differentiated()], name)
    assert (found.status, message in found.message) == (status, True), found.message


def test_gradients_come_with_the_event() -> None:
    outputs = result([differentiated()], "learning").outputs
    assert set(outputs) == {f"0/{name}" for name in differentiated().calls[0].expected}  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "status"), [("penalized", "pass"), ("echo", "unsupported")])
def test_losses(name: str, status: str) -> None:
    found = result([regularized()], name)
    assert (found.status, found.message) == (status, "losses" if status == "unsupported" else "")


@pytest.mark.parametrize(
    ("name", "message"), [("penalized_oddly", "losses: list"), ("not_penalized", "losses of call")]
)
def test_losses_that_are_no_array_fail(name: str, message: str) -> None:
    found = result([regularized()], name)
    assert (found.status, message in found.message) == ("fail", True), found.message


def test_wrong_losses_fail() -> None:
    right = regularized()
    (call,) = right.calls
    assert isinstance(call, Call)
    wrong = replace(call, expected={**call.expected, "losses": exactly(np.array([1.0]))})
    assert result([replace(right, calls=(wrong,))], "penalized").status == "fail"


def test_request_has_cotangents_masks_and_settings_but_no_expected_value() -> None:
    base = differentiated()
    (call,) = base.calls
    assert isinstance(call, Call)
    masks = {"inputs": np.zeros((3, 2, UNITS))}
    asked = replace(base, spec=GRUSpec(units=UNITS, use_bias=False, dropout=0.5, return_state=True))
    asked = replace(asked, calls=(replace(call, training=True, dropout_masks=masks),), settings=regularized().settings)
    header, arrays = case_message(asked, ["float32"])
    assert set(arrays) == {
        *(f"weights/{name}" for name in base.weights),
        "0/inputs",
        "0/dropout_masks/inputs",
        "0/cotangents/outputs",
        "0/cotangents/state",
    }
    assert header["operations"][0]["training"] is True
    assert header["settings"]["activity_regularizer"]["config"] == {"l1": 1.0, "l2": 0.0}
