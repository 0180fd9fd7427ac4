"""JAX as these modules need it: where and in which dtype it computes, its activations, its trees of parameters."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

ACTIVATIONS = ("tanh", "sigmoid", "relu")
"""Those that ``jax.nn`` has by these names; its hard sigmoid is another function, clip(x / 6 + 1 / 2, 0, 1)."""

DTYPES = ("float16", "bfloat16", "float32", "float64")


def activation(name: str) -> Callable[[Any], Any]:
    """Return an activation of :data:`ACTIVATIONS`."""
    import jax

    found: Callable[[Any], Any] = getattr(jax.nn, name)
    return found


@contextmanager
def computing(dtype: str) -> Iterator[None]:
    """Compute on the CPU, in float64 only if that is the dtype; the settings come back afterwards."""
    import jax

    with jax.enable_x64(dtype == "float64"), jax.default_device(jax.devices("cpu")[0]):
        yield


def nested(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """Return ``{"ir": {"kernel": ...}, ...}`` for ``{"ir/kernel": ...}``."""
    tree: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in arrays.items():
        module, _, parameter = name.partition("/")
        tree.setdefault(module, {})[parameter] = values
    return tree
