"""tf_keras's activation layers without weights, as activations with parameters.

``PReLU`` has a weight, and is none of them. The reference layer takes these by class name and by configuration; their
parameters are kept rounded to float32 (tf_keras 2.21, ``layers/activation/``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from gruspec.errors import SpecError

from . import activation_functions as functions
from .configurations import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .activation_functions import Apply, Pullback


class Parametrised(NamedTuple):
    """An activation with parameters: ``config`` as its layer keeps them, and the functions."""

    config: Mapping[str, Any]
    apply: Apply
    pullback: Pullback
    elementwise: bool = True


@dataclass(frozen=True)
class ActivationLayer:
    """A layer class: the name that its first instance gets, and what builds the activation from its parameters."""

    default_name: str
    build: Callable[..., Parametrised]

    @property
    def common(self) -> dict[str, Any]:
        """The arguments that every layer has, with their defaults."""
        return {"name": self.default_name, "trainable": True, "dtype": "float32"}


def relu(max_value: Any = None, negative_slope: Any = 0.0, threshold: Any = 0.0) -> Parametrised:
    """Return ``ReLU``: x between a threshold and a maximum, a line below.

    Raises
    ------
    SpecError
        If a parameter is negative.
    SpecTypeError
        If one is not a number.
    """
    maximum = math.inf if max_value is None else rounded("max_value", max_value, least=0.0)
    slope = rounded("negative_slope", negative_slope, least=0.0)
    start = rounded("threshold", threshold, least=0.0)
    config = {"max_value": None if max_value is None else maximum, "negative_slope": slope, "threshold": start}
    return _rectifier(config, slope=slope, maximum=maximum, threshold=start)


def leaky_relu(alpha: Any = 0.3) -> Parametrised:
    """Return ``LeakyReLU``: x, multiplied by alpha where it is negative.

    Raises
    ------
    SpecTypeError
        If alpha is not a number.
    """
    slope = rounded("alpha", alpha)
    return _rectifier({"alpha": slope}, slope=slope)


def thresholded_relu(theta: Any = 1.0) -> Parametrised:
    """Return ``ThresholdedReLU``: x where it exceeds theta, else 0.

    Raises
    ------
    SpecError
        If theta is negative.
    SpecTypeError
        If it is not a number.
    """
    threshold = rounded("theta", theta, least=0.0)
    return _rectifier({"theta": threshold}, threshold=threshold)


def elu(alpha: Any = 1.0) -> Parametrised:
    """Return ``ELU``: x, or alpha (exp(x) - 1) where x is negative.

    Raises
    ------
    SpecTypeError
        If alpha is not a number.
    """
    scale = rounded("alpha", alpha)
    slope = functions.pullback_of(partial(functions.elu_slope, alpha=scale))
    return Parametrised({"alpha": scale}, partial(functions.elu, alpha=scale), slope)


def softmax(axis: Any = -1, *, robust_masking: bool = False) -> Parametrised:
    """Return ``Softmax`` along one or both axes of (B, u); ``robust_masking`` acts on masks only, which it never sees.

    Raises
    ------
    SpecError
        If an axis is out of range.
    """
    axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    if not axes or any(isinstance(each, bool) or each not in (-2, -1, 0, 1) for each in axes):
        raise SpecError(f"axis={axis!r}: expected axes of an array (B, u): -2, -1, 0 or 1")
    config = {"axis": axis} | ({"robust_masking": True} if robust_masking else {})
    pullback = partial(functions.softmax_pullback, axis=axes)
    return Parametrised(config, partial(functions.softmax, axis=axes), pullback, elementwise=False)


LAYERS: Mapping[str, ActivationLayer] = {
    "ReLU": ActivationLayer("re_lu", relu),
    "LeakyReLU": ActivationLayer("leaky_re_lu", leaky_relu),
    "ThresholdedReLU": ActivationLayer("thresholded_re_lu", thresholded_relu),
    "ELU": ActivationLayer("elu", elu),
    "Softmax": ActivationLayer("softmax", softmax),
}
"""By class name."""


def _rectifier(
    config: Mapping[str, float | None], *, slope: float = 0.0, maximum: float = math.inf, threshold: float = 0.0
) -> Parametrised:
    apply = partial(functions.rectifier, slope=slope, maximum=maximum, threshold=threshold)
    derivative = partial(functions.rectifier_slope, slope=slope, maximum=maximum, threshold=threshold)
    return Parametrised(config, apply, functions.pullback_of(derivative))
