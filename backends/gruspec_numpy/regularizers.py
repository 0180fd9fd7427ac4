"""Regularizers: penalties on weights and outputs, and their gradients, by the reference layer's names.

A regularizer is called with an array and returns the penalty, shape (), in the array's dtype; ``gradient`` returns its
derivative, like the array. Coefficients are kept rounded to float32 (tf_keras 2.21, ``regularizers.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.errors import SpecError

from .arguments import as_real
from .configurations import rounded
from .kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

_LEAST_SQUARED_NORM = 1e-12
"""Below it a row counts as having this squared norm, so that a row of zeros stays one (``tf.math.l2_normalize``)."""


class Regularizer(ABC):
    """A penalty with a gradient."""

    @abstractmethod
    def __call__(self, w: Array) -> Array:
        """Return the penalty on ``w``, shape (), in its dtype."""

    @abstractmethod
    def gradient(self, w: Array) -> Array:
        """Return the derivative of the penalty, like ``w``."""


class L1L2(Regularizer):
    """``l1`` times the sum of absolute values plus ``l2`` times the sum of squares; None means 0.

    Raises
    ------
    SpecError
        If a coefficient is not finite.
    SpecTypeError
        If it is not a number.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = 0.0 if l1 is None else rounded("l1", l1)
        self.l2 = 0.0 if l2 is None else rounded("l2", l2)

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the penalty on ``w``, shape (), in its dtype."""
        absolute = self.l1 * np.abs(w).sum() if self.l1 else 0.0
        square = self.l2 * np.square(w).sum() if self.l2 else 0.0
        return np.asarray(absolute + square, w.dtype)

    @np.errstate(all="ignore")
    def gradient(self, w: Array) -> Array:
        """Return l1 sign(w) + 2 l2 w; the sign of 0 is 0."""
        slope = np.zeros_like(w)
        if self.l1:
            slope += self.l1 * np.sign(w)
        if self.l2:
            slope += 2 * self.l2 * w
        return slope

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """``l1`` times the sum of absolute values; None means 0.01.

    Raises
    ------
    SpecError
        If the coefficient is not finite.
    SpecTypeError
        If it is not a number.
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"l1": self.l1}


class L2(L1L2):
    """``l2`` times the sum of squares; None means 0.01.

    Raises
    ------
    SpecError
        If the coefficient is not finite.
    SpecTypeError
        If it is not a number.
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean absolute cosine between two rows, or two columns, of a matrix; 0 for a single one.

    Raises
    ------
    SpecError
        If ``factor`` is not finite, or ``mode`` neither ``"rows"`` nor ``"columns"``.
    SpecTypeError
        If ``factor`` is not a number.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = rounded("factor", factor)
        if mode not in ("rows", "columns"):
            raise SpecError(f"mode={mode!r}: expected 'rows' or 'columns'")
        self.mode = mode

    @np.errstate(all="ignore")
    def __call__(self, w: Array) -> Array:
        """Return the penalty on ``w``, shape (), in its dtype.

        Raises
        ------
        SpecError
            If ``w`` is not a matrix.
        """
        unit, _ = self._unit_rows(w)
        return np.asarray(self._per_cosine(unit) * np.abs(_cosines(unit)).sum(), w.dtype)

    @np.errstate(all="ignore")
    def gradient(self, w: Array) -> Array:
        """Return the derivative of the penalty, like ``w``; the sign of a cosine of 0 is 0.

        Raises
        ------
        SpecError
            If ``w`` is not a matrix.
        """
        unit, norm = self._unit_rows(w)
        pulled = 2 * self._per_cosine(unit) * np.sign(_cosines(unit)) @ unit
        along = (pulled * unit).sum(axis=1, keepdims=True)
        slope = (pulled - np.where(np.square(norm) > _LEAST_SQUARED_NORM, along, 0) * unit) / norm
        return np.ascontiguousarray(slope if self.mode == "rows" else slope.T, w.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"factor": self.factor, "mode": self.mode}

    def _unit_rows(self, w: Array) -> tuple[Array, Array]:
        """Return the rows, or the columns as rows, scaled to norm 1, and what they were divided by."""
        if w.ndim != 2:
            raise SpecError(f"OrthogonalRegularizer: shape {w.shape}; expected a matrix")
        rows = w if self.mode == "rows" else w.T
        norm = np.sqrt(np.maximum(np.square(rows).sum(axis=1, keepdims=True), _LEAST_SQUARED_NORM))
        return rows / norm, norm

    def _per_cosine(self, unit: Array) -> float:
        """Return the weight of each ordered pair: half of ``factor`` over the number of pairs."""
        pairs = len(unit) * (len(unit) - 1) / 2
        return 0.5 * self.factor / max(1, pairs)


class UserRegularizer(Regularizer):
    """A user's callable, which has no gradient.

    Parameters
    ----------
    argument_name
        Named in errors.
    function
        Returns one number for an array.
    """

    def __init__(self, argument_name: str, function: Callable[[Array], Any]) -> None:
        self.function = function
        self._shown = f"{argument_name}={function!r}"

    def __call__(self, w: Array) -> Array:
        """Return the penalty on ``w``, shape (), in its dtype.

        Raises
        ------
        SpecError
            If the callable returns anything but one real number.
        """
        penalty = as_real(f"{self._shown}: result", self.function(w), w.dtype.name)
        if penalty.ndim:
            raise SpecError(f"{self._shown}: returned shape {penalty.shape}; expected a single number")
        return penalty

    def gradient(self, w: Array) -> Array:
        """Raise the error that says what would work.

        Raises
        ------
        SpecError
            Always.
        """
        raise SpecError(
            f"{self._shown}: has no gradient for shape {w.shape}; give a name, or a callable with a method "
            "gradient(w) -> array like w"
        )


def get(argument_name: str, identifier: object) -> Any:
    """Return the regularizer that a layer's argument means, or None for None.

    Parameters
    ----------
    argument_name
        Named in errors.
    identifier
        A name, a configuration, a class to be built without arguments, any other callable ``w -> penalty``, or None.
        A callable without ``gradient`` becomes a :class:`UserRegularizer`.

    Raises
    ------
    SpecError
        If a name is unknown, a configuration incomplete, or a value in it out of range.
    SpecTypeError
        If the identifier, or a value in a configuration, is of another type.

    Examples
    --------
    >>> w = np.array([3.0, 0.0, -1.0])
    >>> regularizer = get("bias_regularizer", {"class_name": "L1L2", "config": {"l1": 0.5, "l2": 1.0}})
    >>> regularizer(w), regularizer.gradient(w)
    (array(12.), array([ 6.5,  0. , -2.5]))
    >>> get("bias_regularizer", "l3")
    Traceback (most recent call last):
        ...
    gruspec.errors.SpecError: bias_regularizer='l3': not a known regularizer; known are l1, l2, l1_l2, ...
    """
    found = _KIND.get(argument_name, identifier)
    return found if found is None or hasattr(found, "gradient") else UserRegularizer(argument_name, found)


def serialize(regularizer: Any) -> dict[str, Any] | None:
    """Return the configuration that the reference layer's ``get_config`` gives, or None for None.

    Raises
    ------
    SpecTypeError
        If it is a user's object that has neither ``get_config`` nor a name.

    Examples
    --------
    >>> serialize(get("bias_regularizer", "l1_l2"))["config"]
    {'l1': 0.009999999776482582, 'l2': 0.009999999776482582}
    """
    return _KIND.serialize(regularizer.function if isinstance(regularizer, UserRegularizer) else regularizer)


def l1_l2(l1: float | None = 0.01, l2: float | None = 0.01) -> L1L2:
    """Return an ``L1L2`` with other defaults."""
    return L1L2(l1, l2)


def _cosines(unit: Array) -> Array:
    """Return the products of all pairs of rows, with zeros on the diagonal."""
    products: Array = unit @ unit.T
    np.fill_diagonal(products, 0)
    return products


def _with_current_names(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the coefficient of L1 or L2 under its name, which was ``l`` once."""
    return {name.lower() if key == "l" and name.lower() in ("l1", "l2") else key: v for key, v in config.items()}


_KIND = Kind(
    "regularizer",
    {
        "l1": L1,
        "l2": L2,
        "l1_l2": l1_l2,
        "orthogonal_regularizer": OrthogonalRegularizer,
        "L1": L1,
        "L2": L2,
        "L1L2": L1L2,
        "OrthogonalRegularizer": OrthogonalRegularizer,
    },
    _with_current_names,
)
