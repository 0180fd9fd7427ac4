"""The initializers of the reference layer: what fills a new weight.

An initializer is called with a shape and the name of a floating dtype. Drawn values are drawn in float64 from NumPy's
default generator and rounded to the dtype. With a ``seed`` every call gives the same values, which only another release
of NumPy may change; without one, every call gives others. The distributions are the reference layer's, the draws are
not (tf_keras 2.21, ``initializers/initializers.py``).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from gruspec.errors import SpecError, SpecTypeError, listed

from .configurations import array_from, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    Shape: TypeAlias = tuple[int, ...]

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")

TRUNCATED_DEVIATION = 0.87962566103423978
"""Standard deviation of a standard normal variable that is redrawn until it is within 2 of its mean."""


class Initializer(ABC):
    """Fills a new weight."""

    def __call__(self, shape: Shape, dtype: str = "float32") -> Array:
        """Return values of a shape in a floating dtype.

        Raises
        ------
        SpecError
            If the dtype is not floating, or the shape is none that this initializer can fill.
        """
        try:
            known = np.dtype(dtype)
        except TypeError as error:
            raise SpecError(f"dtype={dtype!r}: not known to NumPy; expected a floating dtype") from error
        if known.kind != "f":
            raise SpecError(f"dtype={dtype!r}: expected a floating dtype, as 'float32'")
        with np.errstate(over="ignore"):
            return self.values(tuple(shape)).astype(known)

    @abstractmethod
    def values(self, shape: Shape) -> Array:
        """Return the values, in any real dtype."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {}


class Zeros(Initializer):
    """All zeros."""

    def values(self, shape: Shape) -> Array:
        """Return zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All ones."""

    def values(self, shape: Shape) -> Array:
        """Return ones."""
        return np.ones(shape)


class Constant(Initializer):
    """Given values.

    Parameters
    ----------
    value
        One number, or as many as the weight has elements, in row-major order.

    Raises
    ------
    SpecTypeError
        If it is not real.
    """

    def __init__(self, value: Any = 0) -> None:
        self.value = array_from(value)
        if np.asarray(self.value).dtype.kind not in "biuf":
            raise SpecTypeError(f"value={value!r}: expected real numbers")

    def values(self, shape: Shape) -> Array:
        """Return the values in a shape.

        Raises
        ------
        SpecError
            If there are neither one nor as many as the shape has elements.
        """
        given = np.asarray(self.value)
        if given.size not in {1, math.prod(shape)}:
            raise SpecError(f"value has {given.size} elements; expected 1, or as many as shape {shape} has")
        return np.full(shape, given.reshape(shape if given.size > 1 else ()))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"value": self.value}


class Identity(Initializer):
    """Ones on the main diagonal of a matrix, times ``gain``, and zeros elsewhere.

    Raises
    ------
    SpecTypeError
        If ``gain`` is not a number.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain: float = number("gain", gain)

    def values(self, shape: Shape) -> Array:
        """Return the matrix.

        Raises
        ------
        SpecError
            If the shape has other than two axes.
        """
        if len(shape) != 2:
            raise SpecError(f"Identity: shape {shape}; expected two axes")
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"gain": self.gain}


class Drawn(Initializer):
    """Values from a distribution.

    Parameters
    ----------
    seed
        An integer, or None for other values at every call.

    Raises
    ------
    SpecTypeError
        If the seed is neither.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__")):
            raise SpecTypeError(f"seed={seed!r}: expected an integer or None")
        self.seed = None if seed is None else seed.__index__()

    def values(self, shape: Shape) -> Array:
        """Return values from a new stream."""
        return self.draw(np.random.default_rng(None if self.seed is None else self.seed % 2**64), shape)

    @abstractmethod
    def draw(self, stream: np.random.Generator, shape: Shape) -> Array:
        """Return values from a stream."""


class RandomUniform(Drawn):
    """Uniform between ``minval`` and ``maxval``.

    Raises
    ------
    SpecTypeError
        If an argument is not a number, or the seed not an integer.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval: float = number("minval", minval)
        self.maxval: float = number("maxval", maxval)

    def draw(self, stream: np.random.Generator, shape: Shape) -> Array:
        """Return values from a stream."""
        return self.minval + (self.maxval - self.minval) * stream.random(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(Drawn):
    """Normal.

    Raises
    ------
    SpecTypeError
        If an argument is not a number, or the seed not an integer.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean: float = number("mean", mean)
        self.stddev: float = number("stddev", stddev)

    def draw(self, stream: np.random.Generator, shape: Shape) -> Array:
        """Return values from a stream."""
        return self.mean + self.stddev * stream.standard_normal(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal, redrawn until within two ``stddev`` of ``mean``; ``stddev`` is that before truncation."""

    def draw(self, stream: np.random.Generator, shape: Shape) -> Array:
        """Return values from a stream."""
        return self.mean + self.stddev * _truncated_normal(stream, shape)


class VarianceScaling(Drawn):
    """Centred on zero, with a variance of ``scale`` over a number of units.

    Parameters
    ----------
    scale
        Positive.
    mode
        In :data:`MODES`: over the number of inputs, of outputs, or their mean. For a kernel (D, 3u) these are D and
        3u: the three gates count as one weight.
    distribution
        In :data:`DISTRIBUTIONS`, or ``"normal"`` for ``"truncated_normal"``.
    seed
        An integer, or None.

    Raises
    ------
    SpecError
        If a value is out of range.
    SpecTypeError
        If ``scale`` is not a number, or the seed not an integer.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None
    ) -> None:
        super().__init__(seed)
        if not number("scale", scale) > 0:
            raise SpecError(f"scale={scale!r}: expected a positive number")
        if mode not in MODES:
            raise SpecError(f"mode={mode!r}: expected one of {listed(MODES)}")
        known = str(distribution).lower()
        known = "truncated_normal" if known == "normal" else known
        if known not in DISTRIBUTIONS:
            raise SpecError(f"distribution={distribution!r}: expected one of {listed(DISTRIBUTIONS)}")
        self.scale = scale
        self.mode = mode
        self.distribution = known

    def draw(self, stream: np.random.Generator, shape: Shape) -> Array:
        """Return values from a stream."""
        fan_in, fan_out = _fans(shape)
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        deviation = math.sqrt(self.scale / max(1.0, fans[self.mode]))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * deviation
            return stream.uniform(-limit, limit, shape)
        if self.distribution == "truncated_normal":
            return deviation / TRUNCATED_DEVIATION * _truncated_normal(stream, shape)
        return deviation * stream.standard_normal(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class Published(VarianceScaling):
    """Variance scaling with the parameters of a publication, so that a seed is the only argument."""

    parameters: ClassVar[tuple[float, str, str]]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.parameters, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"seed": self.seed}


class GlorotUniform(Published):
    """Uniform, variance 2 / (inputs + outputs); Glorot and Bengio 2010."""

    parameters = (1.0, "fan_avg", "uniform")


class GlorotNormal(Published):
    """Truncated normal, variance 2 / (inputs + outputs); Glorot and Bengio 2010."""

    parameters = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(Published):
    """Uniform, variance 1 / inputs; LeCun et al. 1998."""

    parameters = (1.0, "fan_in", "uniform")


class LecunNormal(Published):
    """Truncated normal, variance 1 / inputs; LeCun et al. 1998."""

    parameters = (1.0, "fan_in", "truncated_normal")


class HeUniform(Published):
    """Uniform, variance 2 / inputs; He et al. 2015."""

    parameters = (2.0, "fan_in", "uniform")


class HeNormal(Published):
    """Truncated normal, variance 2 / inputs; He et al. 2015."""

    parameters = (2.0, "fan_in", "truncated_normal")


class Orthogonal(Drawn):
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer.

    It fills the whole (u, 3u) of a recurrent kernel: its rows are orthonormal, the (u, u) blocks of its gates are not
    orthogonal. The matrix is Q of the QR decomposition of normal values with at least as many rows as columns, each
    column times the sign of R's diagonal, so that it is uniform over such matrices; Saxe et al. 2014. Axes before the
    last count as one.

    Raises
    ------
    SpecTypeError
        If ``gain`` is not a number, or the seed not an integer.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain: float = number("gain", gain)

    def draw(self, stream: np.random.Generator, shape: Shape) -> Array:
        """Return values from a stream.

        Raises
        ------
        SpecError
            If the shape has fewer than two axes.
        """
        if len(shape) < 2:
            raise SpecError(f"Orthogonal: shape {shape}; expected two axes or more")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = stream.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diagonal(r))
        matrix: Array = self.gain * (q if rows >= columns else q.T).reshape(shape)
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Return the arguments to build it again with."""
        return {"gain": self.gain, "seed": self.seed}


def _truncated_normal(stream: np.random.Generator, shape: Shape) -> Array:
    """Return standard normal values, redrawn until within [-2, 2]."""
    values: Array = stream.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = stream.standard_normal(np.count_nonzero(outside))
    return values


def _fans(shape: Shape) -> tuple[int, int]:
    """Return the numbers of inputs and of outputs; axes before the last two count with both."""
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]
