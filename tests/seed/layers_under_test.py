"""Layers that checks build from a class, and what their results are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array: TypeAlias = NDArray[Any]

Layer: TypeAlias = Any
LayerClass: TypeAlias = type[Any]
"""``gruspec_numpy.GRU`` or a faulty subclass. Checks choose its arguments by name, which types cannot follow."""

ROUNDING = 1e-12
"""More than the rounding in float64 of the small layers here adds up to."""

SHUT, OPEN = -40.0, 40.0
"""Biases at which the gate functions used here are 0, or 1, up to rounding."""


def drawn(*shape: int, seed: int = 0) -> Array:
    """Return numbers between -1 and 1 in float64, others for each seed."""
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape)


def drawn_weights(units: int, size: int, *, reset_after: bool = False, use_bias: bool = True) -> list[Array]:
    """Return kernel (D, 3u), recurrent kernel (u, 3u) and, with ``use_bias``, bias (3u,) or (2, 3u)."""
    bias = (2, 3 * units) if reset_after else (3 * units,)
    shapes = [(size, 3 * units), (units, 3 * units), *([bias] if use_bias else [])]
    return [drawn(*shape, seed=i) for i, shape in enumerate(shapes, start=1)]


def layer_with(gru: LayerClass, *weights: ArrayLike, batch: Any = None, **arguments: Any) -> Layer:
    """Return a layer in float64 with these weights: kernel, recurrent kernel and, where it has one, bias.

    A stateful layer needs its ``batch`` size.
    """
    arrays = [np.array(each, np.float64) for each in weights]
    layer = gru(arrays[1].shape[0], dtype="float64", **arguments)
    layer.build((None, batch, len(arrays[0])) if arguments.get("time_major") else (batch, None, len(arrays[0])))
    assert [each.shape for each in layer.get_weights()] == [each.shape for each in arrays]
    layer.set_weights(arrays)
    return layer


def layer_of(gru: LayerClass, units: int = 2, size: int = 3, /, *, batch: Any = None, **arguments: Any) -> Layer:
    """Return a layer in float64 with drawn weights, the same for the same shapes."""
    about_weights = {name: arguments[name] for name in ("reset_after", "use_bias") if name in arguments}
    return layer_with(gru, *drawn_weights(units, size, **about_weights), batch=batch, **arguments)


def close(computed: Any, expected: Any) -> None:
    """Assert equal shapes, and values that differ by rounding only."""
    assert np.shape(computed) == np.shape(expected)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=ROUNDING)


def differ(computed: Any, other: Any) -> None:
    """Assert equal shapes, and values that differ by more than rounding."""
    assert np.shape(computed) == np.shape(other)
    assert np.max(np.abs(np.subtract(computed, other))) > 1e-3


def refused(error: type[Exception], argument: str, function: Callable[..., object], *args: object) -> None:
    """Assert that a call is refused by an error of a class, which names an argument."""
    with pytest.raises(Exception, match=argument) as found:
        function(*args)
    assert isinstance(found.value, error)
