"""Constraints: what a weight is projected to after each update, by the reference layer's names.

A constraint is called with an array and returns a new one of its shape and dtype. Norms are Euclidean, over ``axis``:
an integer, several, or None for all. For a kernel (D, 3u), axis 0 gives each column a norm of its own
(tf_keras 2.21, ``constraints.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.errors import SpecError, SpecTypeError

from .configurations import number
from .kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Axis: TypeAlias = int | Sequence[int] | None

EPSILON = 1e-7
"""Added to a norm that divides (``tf.keras.backend.epsilon``)."""


class Constraint(ABC):
    """A projection of a weight."""

    @abstractmethod
    def __call__(self, w: Array) -> Array:
        """Return the projected weight, a new array like ``w``."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {}


class MinMaxNorm(Constraint):
    """Norms moved into [min_value, max_value], by ``rate`` of the way.

    Raises
    ------
    SpecTypeError
        If an argument is not a number, or ``axis`` is neither an integer, a sequence of integers nor None.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value = number("min_value", min_value)
        self.max_value = number("max_value", max_value)
        self.rate = number("rate", rate)
        self.axis = _checked(axis)

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the projected weight, a new array like ``w``.

        Raises
        ------
        SpecError
            If ``w`` does not have the axis.
        """
        norms = _norms(w, self.axis)
        desired = self.rate * _clipped(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return _scaled(w, desired, norms)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


class MaxNorm(Constraint):
    """Norms of at most ``max_value``.

    Raises
    ------
    SpecTypeError
        If an argument is not a number, or ``axis`` is neither an integer, a sequence of integers nor None.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = number("max_value", max_value)
        self.axis = _checked(axis)

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the projected weight, a new array like ``w``.

        Raises
        ------
        SpecError
            If ``w`` does not have the axis.
        """
        norms = _norms(w, self.axis)
        return _scaled(w, _clipped(norms, 0, self.max_value), norms)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"max_value": self.max_value, "axis": self.axis}


class UnitNorm(Constraint):
    """Norms of 1.

    Raises
    ------
    SpecTypeError
        If ``axis`` is neither an integer, a sequence of integers nor None.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = _checked(axis)

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the projected weight, a new array like ``w``.

        Raises
        ------
        SpecError
            If ``w`` does not have the axis.
        """
        return np.asarray(w / (EPSILON + _norms(w, self.axis)), w.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"axis": self.axis}


class NonNeg(Constraint):
    """Zero where it was negative."""

    def __call__(self, w: Array) -> Array:
        """Return the projected weight, a new array like ``w``."""
        return np.where(w < 0, np.zeros_like(w), w)


class RadialConstraint(Constraint):
    """Squares of equal values around the centre of each plane of a weight (n, n, channels, kernels).

    The values are those on the main diagonal below the centre. For odd n, they move out by one: the centre gets the
    value above it on the diagonal, and the last value is not used. No weight of a GRU has four axes.
    """

    def __call__(self, w: Array) -> Array:
        """Return the projected weight, a new array like ``w``.

        Raises
        ------
        SpecError
            If the shape is another one.
        """
        if w.ndim != 4 or w.shape[0] != w.shape[1] or len(w) < 2:
            raise SpecError(
                f"RadialConstraint: shape {w.shape}; expected (n, n, channels, kernels) with n of at least 2, "
                "which no weight of a GRU has"
            )
        size = len(w)
        start = size // 2
        twice = np.abs(2 * np.arange(size) - (size - 1))
        square = np.maximum.outer(twice, twice) // 2
        source = np.where(square == 0, start - 1, start + square - size % 2)
        return w[source, source]


def get(argument_name: str, identifier: object) -> Any:
    """Return the constraint that a layer's argument means, or None for None.

    Parameters
    ----------
    argument_name
        Named in errors.
    identifier
        A name, a configuration, a class to be built without arguments, any other callable ``w -> array like w``, or
        None.

    Raises
    ------
    SpecError
        If a name is unknown or a configuration incomplete.
    SpecTypeError
        If the identifier, or a value in a configuration, is of another type.

    Examples
    --------
    >>> constraint = get("kernel_constraint", {"class_name": "MaxNorm", "config": {"max_value": 1.0}})
    >>> constraint(np.array([[3.0, 0.25], [4.0, 0.0]])).round(3)
    array([[0.6 , 0.25],
           [0.8 , 0.  ]])
    >>> get("kernel_constraint", "max")
    Traceback (most recent call last):
        ...
    gruspec.errors.SpecError: kernel_constraint='max': not a known constraint; known are max_norm, ...
    """
    return _KIND.get(argument_name, identifier)


def serialize(constraint: Any) -> dict[str, Any] | None:
    """Return the configuration that the reference layer's ``get_config`` gives, or None for None.

    Raises
    ------
    SpecTypeError
        If it is a user's object that has neither ``get_config`` nor a name.

    Examples
    --------
    >>> serialize(MaxNorm(3.0, axis=1))["config"]
    {'max_value': 3.0, 'axis': 1}
    """
    return _KIND.serialize(constraint)


def _checked(axis: Any) -> Any:
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    if axis is not None and any(isinstance(each, bool) or not hasattr(each, "__index__") for each in axes):
        raise SpecTypeError(f"axis={axis!r}: expected an integer, several, or None")
    return axis


def _norms(w: Array, axis: Any) -> Array:
    try:
        squares = np.square(w).sum(axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=True)
    except ValueError as error:
        raise SpecError(f"axis={axis!r}: a weight of shape {w.shape} does not have it ({error})") from error
    norms: Array = np.sqrt(squares)
    return norms


def _clipped(norms: Array, least: float, most: float) -> Array:
    return np.clip(norms, least, max(least, most))


def _scaled(w: Array, desired: Array, norms: Array) -> Array:
    return np.asarray(w * (desired / (EPSILON + norms)), w.dtype)


_KIND = Kind(
    "constraint",
    {
        "max_norm": MaxNorm,
        "non_neg": NonNeg,
        "unit_norm": UnitNorm,
        "min_max_norm": MinMaxNorm,
        "radial_constraint": RadialConstraint,
        "MaxNorm": MaxNorm,
        "NonNeg": NonNeg,
        "UnitNorm": UnitNorm,
        "MinMaxNorm": MinMaxNorm,
        "RadialConstraint": RadialConstraint,
        "maxnorm": MaxNorm,
        "nonneg": NonNeg,
        "unitnorm": UnitNorm,
    },
)
