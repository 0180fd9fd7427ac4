"""Family ``losses``: regularizers that penalise something else, or by something else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gruspec.faults.fault import Replacement
    from gruspec.spec import WeightSettings

    Factors = dict[str, float]

_ALL = ("kernel", "recurrent", "bias", "activity")


def penalty_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _factors()
    yield from _exchanged()
    yield from _divisors()
    yield from _arrays()
    yield from _lists()


def _fault(name: str, does: str, *where: str, **more: Any) -> Fault:
    return Fault(id=f"losses/{name}", does=does, clause="losses", where=("losses", *where), **more)


def _of_settings(change: Callable[[WeightSettings], WeightSettings]) -> dict[str, Replacement]:
    return {"penalties": lambda _, usual, settings, result, weights: usual(change(settings), result, weights)}


def _factors() -> Iterator[Fault]:
    changes: dict[str, tuple[str, tuple[str, ...], Callable[[Factors], Factors]]] = {
        "l1-l2-exchanged": (
            "exchanges the factors of L1 and L2",
            (),
            lambda factors: {"l1": factors["l2"], "l2": factors["l1"]},
        ),
        "l1-ignored": ("ignores L1", ("l1",), lambda factors: factors | {"l1": 0.0}),
        "l2-ignored": ("ignores L2", ("l2",), lambda factors: factors | {"l2": 0.0}),
        "l2-halved": (
            "adds half of L2, as where the derivative is to have no factor 2",
            ("l2",),
            lambda factors: factors | {"l2": factors["l2"] / 2},
        ),
    }
    for name, (does, where, change) in changes.items():
        yield _fault(name, does, *where, layer=_of_settings(lambda settings, change=change: _each(settings, change)))  # type: ignore[misc]


def _each(settings: WeightSettings, change: Callable[[Factors], Factors]) -> WeightSettings:
    changed = {}
    for place in _ALL:
        if (regularizer := getattr(settings, f"{place}_regularizer")) is not None:
            config = {"l1": 0.0, "l2": 0.0} | regularizer.get("config", {})
            changed[f"{place}_regularizer"] = regularizer | {"config": change(config)}
    return replace(settings, **changed)


def _exchanged() -> Iterator[Fault]:
    """Yield regularizers that are ignored, and one taken for another."""
    for place in _ALL:
        yield _fault(
            f"{place}-ignored",
            f"ignores {place}_regularizer",
            f"regularized-{place}",
            *_ONLY_WITH.get(place, ()),
            layer=_of_settings(lambda settings, place=place: replace(settings, **{f"{place}_regularizer": None})),  # type: ignore[misc]
        )
    for one, other in (("kernel", "recurrent"), ("kernel", "bias"), ("recurrent", "bias"), ("kernel", "activity")):
        yield _fault(
            f"{one}-{other}-exchanged",
            f"exchanges {one}_regularizer and {other}_regularizer",
            f"regularized-{one}|regularized-{other}",
            layer=_of_settings(
                lambda settings, one=one, other=other: replace(  # type: ignore[misc]
                    settings,
                    **{
                        f"{one}_regularizer": getattr(settings, f"{other}_regularizer"),
                        f"{other}_regularizer": getattr(settings, f"{one}_regularizer"),
                    },
                )
            ),
        )
    for name, source, target in (("recurrent", "kernel", "recurrent_kernel"), ("kernel", "recurrent_kernel", "kernel")):
        yield _fault(
            f"{name}-of-other-kernel",
            f"applies {name}_regularizer to the {source.replace('_', ' ')}",
            f"regularized-{name}",
            layer={"penalties": _of_weights(lambda weights, s=source, t=target: {t: weights[s]})},  # type: ignore[misc]
        )
    yield _fault(
        "bias-first-row",
        "leaves the recurrent bias out of the penalty of the bias",
        "regularized-bias",
        "bias",
        variants=("reset-after",),
        layer={"penalties": _of_weights(_input_bias)},
    )


_ONLY_WITH = {"bias": ("bias",)}


def _input_bias(weights: dict[str, Any]) -> dict[str, Any]:
    bias = weights.get("bias", np.zeros(0))
    return {"bias": bias[:1]} if bias.ndim == 2 else {}


def _of_weights(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Replacement:
    return lambda _, usual, settings, result, weights: usual(settings, result, {**weights, **change(dict(weights))})


def _divisors() -> Iterator[Fault]:
    yield _fault(
        "activity-undivided",
        "does not divide the penalty of outputs and state by the length of their first axis",
        "regularized-activity",
        reports=("keras#22018",),
        numbers={"divided": lambda _, __, array, ___: array},
    )
    yield _fault(
        "activity-by-batch",
        "divides the penalty of a sequence by the batch size even where timesteps are the first axis",
        "regularized-activity",
        "time-major",
        "sequences",
        layer={"penalties": _of_result(lambda result: {"spec": replace(result.spec, time_major=False)})},
    )
    yield _fault(
        "activity-by-timesteps",
        "divides the penalty of a sequence by the number of timesteps even where rows are the first axis",
        "regularized-activity",
        "batch-major",
        "sequences",
        layer={"penalties": _of_result(lambda result: {"spec": replace(result.spec, time_major=True)})},
    )
    yield _fault(
        "averaged",
        "penalises the mean of the elements, not their sum",
        numbers={"total": _mean},
    )


def _mean(self: Any, usual: Any, arrays: Any) -> Any:
    return self.divided(usual(arrays), max(1, sum(array.size for array in arrays)))


def _of_result(change: Callable[[Any], dict[str, Any]]) -> Replacement:
    return lambda _, usual, settings, result, weights: usual(settings, replace(result, **change(result)), weights)


def _arrays() -> Iterator[Fault]:
    yield _fault(
        "state-missing",
        "does not penalise the state that it returns",
        "regularized-activity",
        "state",
        layer={"penalties": _of_result(lambda result: {"spec": replace(result.spec, return_state=False)})},
    )
    yield _fault(
        "last-only",
        "penalises the last output of a sequence only",
        "regularized-activity",
        "sequences",
        "several-steps",
        layer={"penalties": _of_result(lambda result: {"spec": replace(result.spec, return_sequences=False)})},
    )
    yield _fault(
        "all-outputs",
        "penalises the outputs of all timesteps where only the last one is returned",
        "regularized-activity",
        "last",
        "several-steps",
        layer={"penalties": _of_result(_all_returned)},
    )
    yield _fault("signed", "adds up elements for L1, not their magnitudes", "l1", numbers={"absolute": _as_it_is})


def _all_returned(result: Any) -> dict[str, Any]:
    spec = result.spec
    return {} if spec.return_sequences else {"spec": replace(spec, return_sequences=True, time_major=False)}


def _as_it_is(_: Any, __: Any, array: Any) -> Any:
    return array


def _lists() -> Iterator[Fault]:
    yield _fault(
        "order",
        "reports the losses of weights before those of the activity",
        "regularized-activity",
        "regularized-kernel|regularized-recurrent|regularized-bias",
        layer={"penalties": _activity_last},
    )
    yield _fault(
        "one-sum",
        "reports one sum of all losses",
        returned=lambda _, arrays: (
            arrays | {"losses": np.atleast_1d(arrays["losses"].sum())} if "losses" in arrays else arrays
        ),
    )
    yield _fault(
        "none",
        "reports no losses",
        returned=lambda _, arrays: arrays | {"losses": arrays["losses"][:0]} if "losses" in arrays else arrays,
    )


def _activity_last(_: Any, usual: Any, settings: Any, result: Any, weights: Any) -> Any:
    of_weights = usual(replace(settings, activity_regularizer=None), result, weights)
    return of_weights + usual(settings, result, {})
