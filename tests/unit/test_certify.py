"""Certified cases carry proven values, or there is a reason why there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec import GRUSpec
from gruspec import certify as certification
from gruspec.cases import Call, Case, Expected, ResetStates
from gruspec.certify import bounded, certify
from gruspec.errors import CertificationError
from gruspec.numerics import rounding
from gruspec.spec import weight_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HALVING = {"kernel": np.array([[0.0, 0.0, 1.0]]), "recurrent_kernel": np.zeros((1, 3))}
"""With hard_sigmoid and linear every step computes (h + x) / 2."""


def case(
    weights: Mapping[str, Floats], *calls: Call | ResetStates, flags: tuple[str, ...] = (), **arguments: Any
) -> Case:
    options: dict[str, Any] = {"units": 1, "use_bias": "bias" in weights, "return_state": True}
    return Case("c", "c", "verdict", flags, (), GRUSpec(**options | arguments), weights, calls)


def drawn(seed: int, *, scale: float = 1.0, timesteps: int = 3, **arguments: Any) -> Case:
    """Return a layer of three units, two rows and numbers of few bits."""
    rng = np.random.default_rng(seed)
    spec = GRUSpec(**{"units": 3, "return_sequences": True, "return_state": True} | arguments)

    def values(*shape: int) -> Floats:
        return np.asarray(scale * rng.integers(-127, 128, shape) / 128.0, dtype=np.float64)

    weights = {name: values(*shape) for name, shape in weight_shapes(spec, 2).items()}
    call = Call(values(2, timesteps, 2), initial_state=values(2, 3))
    return Case("d", "d", "verdict", (), (), spec, weights, (call,))


def expected(certified: Case, call: int = -1) -> dict[str, Expected]:
    done = certified.calls[call]
    assert isinstance(done, Call)
    return dict(done.expected)


def values(certified: Case, name: str = "state", call: int = -1) -> Floats:
    value = expected(certified, call)[name].value
    assert value is not None
    return value


def kappas(certified: Case, name: str = "state", call: int = -1) -> NDArray[np.float32]:
    return expected(certified, call)[name].kappa


def test_hand_computed() -> None:
    done = certify(case(HALVING, Call(np.array([[[1.0], [2.0], [3.0]]])), activation="linear", return_sequences=True))
    assert done.dtypes == ("float32", "float64")
    assert values(done, "outputs").ravel().tolist() == [0.5, 1.25, 2.125]
    assert values(done).tolist() == [[2.125]]
    assert (kappas(done, "outputs") > 0).all()


def test_shapes_and_types() -> None:
    done = expected(certify(drawn(0)))
    assert set(done) == {"outputs", "state"}
    for name, shape in (("outputs", (2, 3, 3)), ("state", (2, 3))):
        value, kappa = done[name].value, done[name].kappa
        assert value is not None
        assert value.shape == kappa.shape == shape
        assert [value.dtype.name, kappa.dtype.name] == ["float64", "float32"]


def test_bounds_alone_are_the_same_bounds() -> None:
    full, alone = certify(drawn(1)), bounded(drawn(1))
    assert alone.dtypes == full.dtypes
    for name in ("outputs", "state"):
        assert expected(alone)[name].value is None
        assert np.array_equal(kappas(alone, name), kappas(full, name))


def test_nothing_but_expected_and_dtypes_changes() -> None:
    bare = drawn(2)
    done = certify(bare)
    (call,) = done.calls
    assert isinstance(call, Call)
    assert repr(replace(done, dtypes=(), calls=(replace(call, expected={}),))) == repr(bare)


@pytest.mark.parametrize("options", [{"return_sequences": True}, {}, {"return_sequences": True, "time_major": True}])
@pytest.mark.parametrize(("batch", "timesteps"), [(2, 0), (0, 3), (0, 0)])
@pytest.mark.parametrize("masked", [False, True])
def test_nothing_at_all(options: dict[str, Any], batch: int, timesteps: int, *, masked: bool) -> None:
    leading = (timesteps, batch) if "time_major" in options else (batch, timesteps)
    state = np.full((batch, 1), 0.5)
    call = Call(np.ones((*leading, 1)), np.ones(leading, bool) if masked else None, state)
    done = certify(case(HALVING, call, **options))
    shape = (*leading, 1) if options else (batch, 1)
    assert values(done, "outputs").shape == kappas(done, "outputs").shape == shape
    assert not values(done, "outputs").any()
    assert np.array_equal(values(done), state)
    assert not kappas(done).any()


def test_state_is_carried_and_reset() -> None:
    call, state = Call(np.full((1, 1, 1), 8.0)), np.array([[2.0]])
    done = certify(
        case(HALVING, call, call, ResetStates(), call, ResetStates(state), call, activation="linear", stateful=True)
    )
    found = [float(values(done, call=i)[0, 0]) for i in (0, 1, 3, 5)]
    assert found == [4.0, 6.0, 4.0, 5.0]
    assert kappas(done, call=1) > kappas(done, call=0)
    assert kappas(done, call=3) == kappas(done, call=0)
    assert done.calls[2] == ResetStates()


def test_nan_stays_in_its_row_and_has_no_bound() -> None:
    bare = drawn(3)
    (call,) = bare.calls
    assert isinstance(call, Call)
    inputs = call.inputs.copy()
    inputs[1, 1, 0] = np.nan
    done, clean = certify(replace(bare, calls=(replace(call, inputs=inputs),))), certify(bare)
    found = values(done, "outputs")
    assert np.isnan(found[1, 1:]).all()
    assert not kappas(done, "outputs")[1, 1:].any()
    for name in ("outputs", "state"):
        assert np.array_equal(values(done, name)[0], values(clean, name)[0])
        assert np.array_equal(kappas(done, name)[0], kappas(clean, name)[0])
    assert np.array_equal(found[1, 0], values(clean, "outputs")[1, 0])


def test_infinities_saturate() -> None:
    weights = {"kernel": np.array([[1.0, 1.0, 1.0]]), "recurrent_kernel": np.zeros((1, 3))}
    inputs = np.array([np.inf, -np.inf]).reshape(2, 1, 1)
    done = certify(case(weights, Call(inputs, initial_state=np.full((2, 1), 0.25)), activation="tanh"))
    assert values(done).ravel().tolist() == [0.25, -1.0]


def test_what_the_forms_of_the_update_disagree_about_is_refused() -> None:
    weights = {"kernel": np.array([[-1.0, -1.0, 1.0]]), "recurrent_kernel": np.zeros((1, 3))}
    call = Call(np.full((1, 1, 1), np.inf))  # z = 0 and n = inf: inf, or inf + 0 * (h - inf)
    with pytest.raises(CertificationError, match="permitted forms disagree"):
        certify(case(weights, call, activation="linear"))


def test_masked_nonfinite_inputs_leave_no_trace() -> None:
    mask = np.array([[True, False, True]])
    inputs = np.array([[[1.0], [0.0], [3.0]]])
    clean = certify(case(HALVING, Call(inputs, mask), activation="linear", return_sequences=True))
    for padding in (np.nan, np.inf, -np.inf):
        spoiled = inputs.copy()
        spoiled[0, 1] = padding
        done = certify(case(HALVING, Call(spoiled, mask), activation="linear", return_sequences=True))
        assert np.array_equal(values(done, "outputs"), values(clean, "outputs"))
        assert np.array_equal(kappas(done, "outputs"), kappas(clean, "outputs"))


def test_precision_rises_until_balls_know_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 4 bits the balls of this case are so wide that sigmoid gives NaN, which must not become the value."""
    bare = drawn(4, recurrent_activation="sigmoid", scale=8.0)
    right = values(certify(bare), "outputs")
    monkeypatch.setattr(certification, "PRECISIONS", (4, 256))
    assert np.isfinite(right).all()
    assert np.array_equal(values(certify(bare), "outputs"), right)


def test_an_undecided_rounding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certification, "PRECISIONS", (16, 24))
    with pytest.raises(CertificationError, match="undecided at 24 bits"):
        certify(drawn(5))


def test_midpoints_of_balls_are_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little more precision than that of float64 decides many roundings, but not all."""
    bare = drawn(6, timesteps=5, recurrent_activation="sigmoid")
    right = values(certify(bare), "outputs")
    monkeypatch.setattr(certification, "PRECISIONS", (56,))
    monkeypatch.setattr(
        certification, "_round_all", np.frompyfunc(lambda ball: rounding.nearest_float(ball.mid()), 1, 1)
    )
    assert not np.array_equal(values(certify(bare), "outputs"), right)


def test_amplified_errors_are_refused() -> None:
    above = 1 + 2.0**-23
    weights = {"kernel": 2.0**24 * np.array([[0, 0, above], [0, 0, -1]]), "recurrent_kernel": np.zeros((1, 3))}
    with pytest.raises(CertificationError, match="too wide to judge"):
        certify(case(weights, Call(np.array([[[above, 1.0]]])), activation="linear"))


def test_dtypes_are_those_that_hold_the_inputs() -> None:
    def dtypes(value: float) -> tuple[str, ...]:
        return certify(case(HALVING, Call(np.full((1, 1, 1), value)), activation="linear")).dtypes

    assert dtypes(1 + 2.0**-23) == ("float32", "float64")
    assert dtypes(1 + 2.0**-24) == ("float64",)
    assert dtypes(2.0**-126) == ("float32", "float64")
    assert dtypes(2.0**127) == ("float64",)
    with pytest.raises(CertificationError, match="no dtype"):
        dtypes(2.0**-1070)


def test_weights_and_states_count_among_the_inputs() -> None:
    fine = 1 + 2.0**-30
    weights = {name: array.copy() for name, array in HALVING.items()}
    weights["kernel"][0, 2] = fine
    call = Call(np.ones((1, 1, 1)))
    assert certify(case(weights, call)).dtypes == ("float64",)
    assert certify(case(HALVING, replace(call, initial_state=np.full((1, 1), fine)))).dtypes == ("float64",)
    reset = ResetStates(np.full((1, 1), fine))
    assert certify(case(HALVING, call, reset, call, stateful=True)).dtypes == ("float64",)


def test_every_form_of_the_update_stays_far_from_overflow() -> None:
    """With z = 0 the result is the candidate, but h + (1 - z)(n - h) overflows in float32."""
    weights = dict(HALVING) | {"bias": np.array([-8.0, -8.0, 0.0])}
    call = Call(np.full((1, 1, 1), -1.5 * 2.0**126), initial_state=np.full((1, 1), 1.75 * 2.0**127))
    done = certify(case(weights, call, activation="linear"))
    assert values(done).tolist() == [[-1.5 * 2.0**126]]
    assert done.dtypes == ("float64",)


def test_an_overflow_is_refused() -> None:
    call = Call(np.full((1, 1, 1), 2.0**600))
    weights = dict(HALVING) | {"kernel": np.array([[0.0, 0.0, 2.0**600]])}
    with pytest.raises(CertificationError, match="overflows"):
        certify(case(weights, call, activation="relu"))


def test_subnormal_inputs_need_the_flag() -> None:
    """An implementation that flushes would lose such a state, although every form of the update is exact."""
    weights = dict(HALVING) | {"bias": np.array([8.0, -8.0, 0.0])}
    call = Call(np.zeros((1, 1, 1)), initial_state=np.full((1, 1), 2.0**-130))
    assert certify(case(weights, call, activation="linear")).dtypes == ("float64",)
    flagged = certify(case(weights, call, activation="linear", flags=("Subnormal",)))
    assert flagged.dtypes == ("float32", "float64")
    assert kappas(flagged) == 0


def test_underflow_is_granted_unless_it_is_the_point() -> None:
    call = Call(np.full((1, 1, 1), 2.0**-70))
    weights = {"kernel": np.array([[0.0, 0.0, 2.0**-60]]), "recurrent_kernel": np.zeros((1, 3))}
    for flags, granted in (((), 2.0**-126), (("Subnormal",), 2.0**-149)):
        done = certify(case(weights, call, activation="linear", flags=flags))
        assert values(done) == 2.0**-131
        assert granted / 4 < float(kappas(done)[0, 0]) * 2.0**-24 < granted * 8
