"""Other functions of one element in the place of the activations: approximations, and what goes wrong in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.faults.fault import DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gruspec.faults.fault import Seams

    Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class OtherFunction:
    """Another function in the place of an activation.

    Parameters
    ----------
    activation, name
        The activation, and how the function differs from it, in a word or two.
    does
        What an implementation with it does.
    value
        ``value(y, a)`` is its value at ``a``, where that of the activation is ``y``.
    slope
        Its derivative at ``a``; None where the implementation has the derivative of the activation, formed from the
        value that it computed where the activation's own is.
    dtypes
        The dtypes in which the difference is more than a rounding error.
    reports
        Real bugs.
    """

    activation: str
    name: str
    does: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array], Array] | None = None
    dtypes: tuple[str, ...] = DTYPES
    reports: tuple[str, ...] = ()

    @property
    def seams(self) -> Seams:
        """The seams of the numbers with this function in them."""

        def activation(_: Any, usual: Any, name: str, argument: Array) -> Array:
            activated: Array = usual(name, argument)
            return self.value(activated, argument) if name == self.activation else activated

        def pull(_: Any, usual: Any, cotangent: Array, name: str, argument: Array, activated: Array) -> Array:
            if name != self.activation or self.slope is None:
                pulled: Array = usual(cotangent, name, argument, activated)
                return pulled
            return cotangent * self.slope(argument).astype(cotangent.dtype)

        return {"activation": activation, "pull_to_preactivation": pull}


def _line(a: Array, slope: float = 0.2) -> Array:
    return a.dtype.type(slope) * a + a.dtype.type(0.5)


def _within(low: float, high: float, slope: float) -> Callable[[Array], Array]:
    return lambda a: np.where((a > low) & (a < high), slope, 0.0)


def _straight_lines(
    kinks: tuple[float, ...], slopes: tuple[float, ...], offsets: tuple[float, ...]
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return a function of the magnitude that is straight between kinks, and its slope."""

    def taken(values: tuple[float, ...], a: Array) -> Array:
        return np.array(values, a.dtype)[np.searchsorted(kinks, np.abs(a), side="right")]

    return lambda a: taken(slopes, a) * np.abs(a) + taken(offsets, a), lambda a: taken(slopes, a)


_TANH, _TANH_SLOPE = _straight_lines((1.0, 2.0), (0.90625, 0.09375, 0.0), (0.0, 0.8125, 1.0))
_SIGMOID, _SIGMOID_SLOPE = _straight_lines((1.0, 2.375, 5.0), (0.25, 0.125, 0.03125, 0.0), (0.5, 0.625, 0.84375, 1.0))


def _rational(a: Array) -> Array:
    a = np.clip(a, -3, 3)
    square = a * a
    return a * (27 + square) / (27 + 9 * square)


def _continued_fraction(a: Array) -> Array:
    a = np.clip(a, -4.97, 4.97)
    square = a * a
    numerator = 135135 + square * (17325 + square * (378 + square))
    return a * numerator / (135135 + square * (62370 + square * (3150 + square * 28)))


def _nan_where_overflowing(factor: float) -> Callable[[Array, Array], Array]:
    return lambda y, a: np.where(np.isposinf(np.exp(factor * a)), y.dtype.type(np.nan), y)


def _stepped(step: float) -> Callable[[Array, Array], Array]:
    return lambda y, _: np.round(y / step) * step


HARD_SIGMOIDS = (
    OtherFunction(
        activation="hard_sigmoid",
        name="slope-sixth",
        does="has the hard sigmoid of Keras 3, PyTorch and jax.nn, with slope 1/6, which is 0 at -3 and 1 at 3",
        value=lambda _, a: np.clip(a / 6 + a.dtype.type(0.5), 0, 1),
        slope=_within(-3, 3, 1 / 6),
        reports=("tensorflow#65381", "Paddle#44820"),
    ),
    OtherFunction(
        activation="hard_sigmoid",
        name="unclipped",
        does="does not clip the hard sigmoid",
        value=lambda _, a: _line(a),
        slope=_within(-np.inf, np.inf, 0.2),
    ),
    OtherFunction(
        activation="hard_sigmoid",
        name="unclipped-below",
        does="clips the hard sigmoid at 1 but not at 0",
        value=lambda _, a: np.minimum(_line(a), 1),
        slope=_within(-np.inf, 2.5, 0.2),
    ),
    OtherFunction(
        activation="hard_sigmoid",
        name="unclipped-above",
        does="clips the hard sigmoid at 0 but not at 1",
        value=lambda _, a: np.maximum(_line(a), 0),
        slope=_within(-2.5, np.inf, 0.2),
    ),
    OtherFunction(
        activation="hard_sigmoid",
        name="single-constant",
        does="multiplies by 0.2 rounded to float32 in hard sigmoid, whatever the dtype is",
        value=lambda _, a: np.clip(_line(a, float(np.float32(0.2))), 0, 1),
        dtypes=("float64",),
    ),
)

TANHS = (
    OtherFunction(
        activation="tanh",
        name="clipped-line",
        does="clips its argument to [-1, 1] in the place of tanh",
        value=lambda _, a: np.clip(a, -1, 1),
        slope=_within(-1, 1, 1.0),
    ),
    OtherFunction(
        activation="tanh",
        name="three-lines",
        does="has straight lines with kinks at 1 and 2 in the place of tanh",
        value=lambda _, a: np.copysign(_TANH(a), a),
        slope=_TANH_SLOPE,
        reports=("tt-metal#15132",),
    ),
    OtherFunction(
        activation="tanh",
        name="rational",
        does="has the rational function a (27 + a^2) / (27 + 9 a^2) in the place of tanh, which is off by up to 0.024",
        value=lambda _, a: _rational(a),
    ),
    OtherFunction(
        activation="tanh",
        name="continued-fraction",
        does="has a continued fraction of tanh that is cut off after seven terms and off by up to 1e-4",
        value=lambda _, a: _continued_fraction(a),
    ),
    OtherFunction(
        activation="tanh",
        name="cancels",
        does="computes tanh as 2 / (1 + exp(-2 a)) - 1, which has no accurate digits near 0",
        value=lambda _, a: 2 / (1 + np.exp(-2 * a)) - 1,
        reports=("racket PR#2565",),
    ),
    OtherFunction(
        activation="tanh",
        name="overflows",
        does="divides two sums with exp(2 a) for tanh, which is NaN where the exponential overflows",
        value=_nan_where_overflowing(2.0),
        reports=("caffe PR#1455", "deeplearning4j#7382", "jittor#61", "pytorch PR#172406", "candle PR#2475"),
    ),
    OtherFunction(
        activation="tanh",
        name="clipped",
        does="clips the argument of tanh to [-9, 9], which is made for float32",
        value=lambda _, a: np.tanh(np.clip(a, -9, 9)),
        # 1 - tanh(9) is 3e-8, and arithmetic-functions permits 8 u in float32.
        dtypes=("float64",),
    ),
)

SIGMOIDS = (
    OtherFunction(
        activation="sigmoid",
        name="four-lines",
        does="has straight lines with kinks at 1, 2.375 and 5 in the place of sigmoid",
        value=lambda _, a: np.where(a < 0, 1 - _SIGMOID(a), _SIGMOID(a)),
        slope=_SIGMOID_SLOPE,
        reports=("tt-metal#53258",),
    ),
    OtherFunction(
        activation="sigmoid",
        name="saturates-early",
        does="has a sigmoid that is 0 below -8 and 1 above 8, the ends of its table",
        value=lambda y, a: np.where(np.abs(a) > 8, (a > 0).astype(y.dtype), y),
    ),
    OtherFunction(
        activation="sigmoid",
        name="overflows-above",
        does="computes sigmoid as exp(a) / (1 + exp(a)), which is NaN for large arguments",
        value=_nan_where_overflowing(1.0),
        reports=("ngraph PR#3118",),
    ),
    OtherFunction(
        activation="sigmoid",
        name="overflows-below",
        does="has a sigmoid that is NaN for large negative arguments, where exp(-a) overflows",
        value=_nan_where_overflowing(-1.0),
        reports=("ncnn#1284", "dynet#1525", "ComputeLibrary#779"),
    ),
    OtherFunction(
        activation="sigmoid",
        name="clipped",
        does="clips the argument of sigmoid to [-18, 18], which is made for float32",
        value=lambda _, a: 1 / (1 + np.exp(-np.clip(a, -18, 18))),
        # sigmoid(-18) is 1.5e-8, and arithmetic-functions permits 4 u in float32.
        dtypes=("float64",),
    ),
)

RELUS = (
    OtherFunction(
        activation="relu",
        name="capped",
        does="caps relu at 6",
        value=lambda y, _: np.minimum(y, 6),
        slope=_within(0, 6, 1.0),
    ),
    OtherFunction(
        activation="relu",
        name="leaky",
        does="has a leaky relu, which is a hundredth of its argument below 0",
        value=lambda y, a: np.where(a < 0, a.dtype.type(0.01) * a, y),
        slope=lambda a: np.where(a > 0, 1.0, 0.01),
    ),
)

TABLES = tuple(
    OtherFunction(
        activation=activation,
        name=f"table-1e-{digits}",
        does=f"looks {activation} up in a table whose entries are off by up to 1e-{digits}",
        value=_stepped(2 * 10.0**-digits),
    )
    for activation in ("tanh", "sigmoid")
    for digits in (4, 5, 6)
)
