"""Planting faults: classes of the reference with some of their seams replaced."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement, Seams

T = TypeVar("T")


def planted(cls: type[T], seams: Seams) -> type[T]:
    """Return a subclass in which each of these methods is replaced.

    Raises
    ------
    AttributeError
        If the class has no such seam.
    """
    if not seams:
        return cls
    methods = {name: _replaced(getattr(cls, name), replacement) for name, replacement in seams.items()}
    return type(cls.__name__, (cls,), methods)


def _replaced(usual: Callable[..., Any], replacement: Replacement) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        return replacement(self, partial(usual, self), *arguments)

    return method


def moved(
    change: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]], weights: dict[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]]:
    """Move elements of weights, and return how their gradients move back.

    Parameters
    ----------
    change
        Moves elements, whatever their values.
    weights
        By name.
    """
    starts = np.cumsum([0, *(array.size for array in weights.values())])
    places = {
        name: np.arange(start, start + array.size).reshape(array.shape)
        for (name, array), start in zip(weights.items(), starts, strict=False)
    }
    sources = change(places)

    def back(gradients: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        total = np.zeros(starts[-1], next(iter(gradients.values())).dtype)
        for name, source in sources.items():
            np.add.at(total, source, gradients[name])
        return {name: total[place] for name, place in places.items()}

    return change(weights), back
