"""Family ``gradient``, wrong derivatives of activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.gradients import gradient_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Fault, Replacement

    Array = NDArray[Any]


def slope_faults() -> Iterator[Fault]:
    """Yield these faults."""
    fifth = 0.2
    slopes: tuple[tuple[str, str, str, str, Callable[[Array, Array], Any], tuple[str, ...]], ...] = (
        ("relu", "corner-1", "has the slope 1 of relu at 0", "gradient-kinks", lambda a, _: a >= 0, ()),
        (
            "relu",
            "corner-half",
            "has the slope 1/2 of relu at 0",
            "gradient-kinks",
            lambda a, _: np.heaviside(a, 0.5),
            (),
        ),
        ("relu", "missing", "leaves out the derivative of relu", "gradients", lambda a, _: np.ones_like(a), ()),
        (
            "hard_sigmoid",
            "corner-0",
            "has the slope 0 of hard_sigmoid at its corners, as where it is told from the value being within (0, 1)",
            "gradient-kinks",
            lambda a, _: fifth * (np.abs(a) < 2.5),
            (),
        ),
        (
            "hard_sigmoid",
            "corner-half",
            "has half the slope of hard_sigmoid at its corners",
            "gradient-kinks",
            lambda a, _: fifth * np.heaviside(2.5 - np.abs(a), 0.5),
            (),
        ),
        (
            "hard_sigmoid",
            "sixth",
            "has the slope 1/6 of hard_sigmoid between -3 and 3",
            "hard-sigmoid",
            lambda a, _: (np.abs(a) < 3) / 6,
            (),
        ),
        (
            "hard_sigmoid",
            "saturated",
            "has the slope 1/5 of hard_sigmoid where it is constant too",
            "gradient-kinks",
            lambda a, _: np.full_like(a, fifth),
            ("pytorch#51408",),
        ),
        (
            "sigmoid",
            "of-argument",
            "takes the derivative of sigmoid to be a (1 - a) at its argument a, not s (1 - s) at its value s",
            "gradients",
            lambda a, _: a * (1 - a),
            (),
        ),
        (
            "sigmoid",
            "halved",
            "takes the derivative of sigmoid to be 1 - s, without the factor s",
            "gradients",
            lambda _, s: 1 - s,
            (),
        ),
        (
            "tanh",
            "of-argument",
            "takes the derivative of tanh to be 1 - a^2 at its argument a, not 1 - c^2 at its value c",
            "gradients",
            lambda a, _: 1 - a * a,
            (),
        ),
        (
            "tanh",
            "unsquared",
            "takes the derivative of tanh to be 1 - c, not 1 - c^2",
            "gradients",
            lambda _, c: 1 - c,
            (),
        ),
        (
            "tanh",
            "of-sigmoid",
            "takes the derivative of tanh to be c (1 - c), which is that of sigmoid",
            "gradients",
            lambda _, c: c * (1 - c),
            (),
        ),
        *(
            (name, "missing", f"leaves out the derivative of {name}", "gradients", lambda a, _: np.ones_like(a), ())
            for name in ("tanh", "sigmoid", "hard_sigmoid")
        ),
    )
    for activation, name, does, clause, slope, reports in slopes:
        yield gradient_fault(
            f"{activation.replace('_', '-')}-{name}",
            does,
            f"candidate-{activation}|gates-{activation}",
            clause=clause,
            reports=reports,
            numbers={"pull_to_preactivation": _with_slope(activation, slope)},
        )


def _with_slope(activation: str, slope: Callable[[Array, Array], Any]) -> Replacement:
    def pull(_: Any, usual: Any, cotangent: Array, name: str, preactivation: Array, activated: Array) -> Any:
        if name != activation:
            return usual(cotangent, name, preactivation, activated)
        return cotangent * np.asarray(slope(preactivation, activated)).astype(cotangent.dtype)

    return pull
