"""What a layer answers to one call: arrays by name, or what is wrong with the kind of thing that it returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gruspec.cases.model import GRADIENTS
from gruspec.conformance.arrays import STORABLE
from gruspec.conformance.replies import Step
from gruspec.errors import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gruspec.backend import DifferentiableLayer, Layer

    Arrays = dict[str, NDArray[Any]]

OUTPUTS = ("outputs", "state")


def answer(
    layer: Layer,
    operation: Mapping[str, Any],
    given: Mapping[str, NDArray[Any]],
    weights: Iterable[str],
    *,
    losses: bool,
) -> tuple[Step, Arrays]:
    """Call a layer, or its ``vjp`` where the call has cotangents, and sort what comes back.

    Parameters
    ----------
    layer
        The layer.
    operation, given
        The call and its arrays.
    weights
        Names of the layer's weights, whose gradients are expected.
    losses
        Whether the layer has regularizers.
    """
    masks, cotangents = (_named(given, operation, name) for name in ("dropout_masks", "cotangents"))
    arguments: dict[str, Any] = {name: given.get(name) for name in ("mask", "initial_state")}
    arguments |= {"training": operation["training"], "dropout_masks": masks}
    gradients: Mapping[str, Any] = {}
    if cotangents is None:
        output: Any = layer(given["inputs"], **arguments)
    elif not hasattr(layer, "vjp"):
        return Step("unsupported", ("gradients",)), {}
    else:
        both: Any = cast("DifferentiableLayer", layer).vjp(given["inputs"], cotangents=cotangents, **arguments)
        if not (hasattr(both, "output") and hasattr(both, "gradients")):
            return _misfit("vjp returned", both, "gruspec.backend.Differentiated"), {}
        if not isinstance(both.gradients, Mapping):
            return _misfit("gradients:", both.gradients, "a mapping from names to arrays"), {}
        output, gradients = both.output, both.gradients
    if not all(hasattr(output, name) for name in OUTPUTS):
        return _misfit("returned", output, "gruspec.backend.Output"), {}
    arguments_of = ("inputs", *(["initial_state"] if "initial_state" in given else []), *weights)
    if unknown := [name for name in gradients if name not in arguments_of]:
        return Step("returned", text=f"gradients: unknown {listed(unknown)}; expected {listed(arguments_of)}"), {}
    found = {name: getattr(output, name) for name in OUTPUTS}
    found |= {f"{GRADIENTS}{name}": array for name, array in gradients.items()}
    if losses:
        found["losses"] = getattr(layer, "losses", None)
    return _sorted(found)


def _sorted(found: Mapping[str, Any]) -> tuple[Step, Arrays]:
    """Part arrays that can be judged from everything else; what is None is absent."""
    arrays, wrong = {}, []
    for name, array in found.items():
        if isinstance(array, np.ndarray) and array.dtype.name in STORABLE:
            arrays[name] = np.array(array)
        elif array is not None:
            kind = f"array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            wrong.append(f"{name}: {kind}, expected a NumPy array in the dtype of the layer")
    return Step("returned", text="; ".join(wrong)), arrays


def _misfit(what: str, found: object, expected: str) -> Step:
    return Step("returned", text=f"{what} {type(found).__name__}, expected {expected}")


def _named(
    given: Mapping[str, NDArray[Any]], operation: Mapping[str, Any], name: str
) -> dict[str, NDArray[Any]] | None:
    names = operation[name]
    return None if names is None else {key: given[f"{name}/{key}"] for key in names}
