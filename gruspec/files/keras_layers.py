"""Whole GRU layers of Keras, from model files and from layers in memory: arguments and weights, no framework needed."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.errors import FileError, SpecError, UsageError, listed
from gruspec.files.keras_arguments import FLAGS, gru_arguments
from gruspec.files.keras_config import major_version
from gruspec.files.registry import open_file
from gruspec.layouts import convert
from gruspec.layouts.activations import HARD_SIGMOID_6
from gruspec.spec import ACTIVATIONS, GRUSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    from gruspec.files.checkpoint import FoundGRU

    Source: TypeAlias = str | os.PathLike[str] | Any

FORMATS = ("keras", "keras-h5")
"""Formats that can hold whole models."""

_ARRAYS = ("kernel", "recurrent_kernel", "bias")
_LAYERS = ("CuDNNGRU", "GRU")
_PACKAGES = ("tf_keras", "keras", "tensorflow")
_CUDNN_IMPLEMENTATION = 2
_NOT_OF_THE_SPEC = ("name", "trainable")


@dataclass(frozen=True, eq=False)
class KerasGRU:
    """A GRU layer of Keras.

    Parameters
    ----------
    name
        Its path in the model, or the name of the layer.
    spec
        Its arguments.
    weights
        In the reference layer's layout: ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u), and with a bias ``bias``
        (3u,) or (2, 3u). New arrays.
    module
        Which Keras it comes from: ``"tf_keras"``, ``"keras"`` and its major version for a file.
    """

    name: str
    spec: GRUSpec
    weights: dict[str, NDArray[Any]]
    module: str


class _Live(NamedTuple):
    """A GRU in memory: its class, its configuration, and the layer or cell that has its weights."""

    class_name: str
    config: dict[str, Any]
    owner: Any


def keras_gru(source: Source, layer: str | None = None) -> KerasGRU:
    """Return a GRU layer of a Keras model.

    Parameters
    ----------
    source
        A model file (``.keras``, or ``.h5`` with the whole model), or a layer or model of tf_keras, tf.compat.v1.keras
        or Keras 3 in memory, which has weights already. CuDNNGRU, RNN(GRUCell) and both layers of Bidirectional count.
    layer
        Its name, or its path in the model such as ``"encoder/gru_1"``. Needed where there are several.

    Raises
    ------
    UsageError
        If the source has several GRUs and none is named, or the name fits none; or the layer has no weights yet.
    FileError
        If the file is damaged, has no GRU, or does not tell what the layer computes.
    SpecError, SpecTypeError
        If the layer is none of the specification, as with an activation of your own, or the hard_sigmoid of Keras 3.
    """
    if isinstance(source, str | os.PathLike):
        return _of_file(source, layer)
    return _of_layer(source, layer)


def _of_file(path: str | os.PathLike[str], layer: str | None) -> KerasGRU:
    with open_file(path) as opened:
        if opened.format not in FORMATS:
            raise FileError(
                f"{path}: a {opened.format} file does not tell what its layers compute; give a whole model, as "
                "model.save() writes it with the ending .keras or .h5"
            )
        found = {gru.path: gru for gru in opened.grus}
        gru = found[_named_or_only(found, layer, str(path))]
        arrays = {array: np.array(opened.tensors[name].read()) for array, name in gru.names.items()}
        keras = major_version(opened.metadata.get("keras_version"))
        module = f"keras {opened.metadata.get('keras_version', 'unknown')}"
        return _keras_gru(
            f"{path}, layer {gru.path}", gru.path, _told(gru, str(path)), gru.layout, arrays, keras, module
        )


def _told(gru: FoundGRU, path: str) -> dict[str, Any]:
    """Return the arguments of a GRU of a file.

    Raises
    ------
    FileError
        If the file does not tell them.
    """
    arguments = {
        "reset_after": gru.reset_after,
        "activation": gru.activation,
        "recurrent_activation": gru.recurrent_activation,
    }
    unknown = [name for name, value in arguments.items() if value is None]
    if unknown or gru.sizes is None:
        raise FileError(
            f"{path}, layer {gru.path}: the file does not tell {listed(unknown)}: it has weights alone; give a whole "
            "model, as model.save() writes it with the ending .keras or .h5"
        )
    return {**gru.options, **arguments, "units": gru.sizes.units, "use_bias": gru.use_bias}


def _keras_gru(
    where: str,
    name: str,
    arguments: Mapping[str, Any],
    layout: str,
    arrays: Mapping[str, NDArray[Any]],
    keras: int,
    module: str,
) -> KerasGRU:
    given = {key: value for key, value in arguments.items() if key not in _NOT_OF_THE_SPEC}
    for key in ("activation", "recurrent_activation"):
        _check_activation(where, key, given[key])
    if keras >= 3 or layout == "cudnn-gru":
        given.setdefault("implementation", _CUDNN_IMPLEMENTATION)
    weights = {array: np.array(values) for array, values in arrays.items()}
    if layout != "keras":
        weights = convert(weights, layout, "keras", reset_after=given["reset_after"]).arrays
    return KerasGRU(name, GRUSpec.from_dict(given), weights, module)


def _check_activation(where: str, argument: str, value: str) -> None:
    if value == HARD_SIGMOID_6:
        raise SpecError(
            f"{where}: {argument} is the hard_sigmoid of Keras 3, x / 6 + 0.5 between 0 and 1, where the specification "
            "and tf_keras have 0.2 x + 0.5: the layer is none of the specification"
        )
    if value not in ACTIVATIONS:
        raise SpecError(f"{where}: {argument}={value!r}; those of the specification are {listed(ACTIVATIONS)}")


def _of_layer(source: Source, layer: str | None) -> KerasGRU:
    if not callable(getattr(source, "get_config", None)):
        raise UsageError(
            f"source={source!r}: expected the path of a model file, or a layer or model of tf_keras or Keras"
        )
    found = dict(_live(source, ()))
    path = _named_or_only(found, layer, f"source {getattr(source, 'name', source)}")
    class_name, config, cell = found[path]
    module = _package(cell)
    keras = 3 if module == "keras" and major_version(getattr(sys.modules.get("keras"), "__version__", None)) == 3 else 2
    where = f"layer {path}"
    gru = gru_arguments(class_name, config, keras=keras, where=where)
    arrays = dict(zip(_ARRAYS, (np.asarray(values) for values in cell.get_weights()), strict=False))
    expected = 3 if gru.use_bias else 2
    if len(arrays) != expected:
        raise UsageError(f"{where}: it has {len(arrays)} weights of {expected}; build it, or call it once, first")
    arguments = {
        **gru.options,
        "units": gru.units,
        "reset_after": gru.reset_after,
        "use_bias": gru.use_bias,
        "activation": gru.activation,
        "recurrent_activation": gru.recurrent_activation,
    }
    return _keras_gru(where, path, arguments, gru.layout, arrays, keras, module)


def _live(layer: Any, around: tuple[str, ...], *, root: bool = True) -> Iterator[tuple[str, _Live]]:
    """Yield every GRU in a layer or model, by its path."""
    own = (*around, str(layer.name))
    kind = next((name for name in _LAYERS if _is_a(layer, name)), None)
    if kind is not None:
        yield "/".join(own), _Live(kind, layer.get_config(), layer)
    elif getattr(layer, "cell", None) is not None:
        yield from _live_cells(layer, own)
    else:
        for inner in _inner_layers(layer):
            model = root and hasattr(layer, "layers")
            yield from _live(inner, around if model else own, root=False)


def _live_cells(layer: Any, own: tuple[str, ...]) -> Iterator[tuple[str, _Live]]:
    """Yield the GRU cells of an RNN, each with what the RNN says about time."""
    stacked = getattr(layer.cell, "cells", None)
    for cell in [layer.cell] if stacked is None else stacked:
        if _is_a(cell, "GRUCell"):
            path = own if stacked is None else (*own, str(cell.name))
            flags = {name: getattr(layer, name) for name in FLAGS if isinstance(getattr(layer, name, None), bool)}
            yield "/".join(path), _Live("GRUCell", {**cell.get_config(), **flags, "name": path[-1]}, cell)


def _inner_layers(layer: Any) -> list[Any]:
    """Return the layers in a Bidirectional, a model, or another wrapper."""
    if hasattr(layer, "forward_layer") and hasattr(layer, "backward_layer"):
        return [layer.forward_layer, layer.backward_layer]
    if isinstance(getattr(layer, "layers", None), list):
        return list(layer.layers)
    inner = getattr(layer, "layer", None)
    return [inner] if hasattr(inner, "get_config") else []


def _is_a(layer: Any, class_name: str) -> bool:
    """Return whether a layer is of a class that some Keras ships under a name, or derived from it."""
    return any(
        kind.__name__ == class_name and kind.__module__.partition(".")[0] in _PACKAGES for kind in type(layer).__mro__
    )


def _package(layer: Any) -> str:
    """Return the package of the Keras that a layer comes from."""
    roots = (kind.__module__.partition(".")[0] for kind in type(layer).__mro__)
    return next(root for root in roots if root in _PACKAGES)


def _named_or_only(grus: Mapping[str, Any], name: str | None, where: str) -> str:
    """Return the path of the GRU that is meant.

    Parameters
    ----------
    grus
        By path.
    name
        A path, or the last part of one where only one ends so; None for the only one.
    where
        What has them, for messages.

    Raises
    ------
    FileError
        If there is none.
    UsageError
        If none is named and there are several, or the name fits none or several.
    """
    if not grus:
        raise FileError(f"{where}: no GRU layer in it")
    if name is None:
        if len(grus) > 1:
            raise UsageError(f"layer=None: {where} has several GRUs; name one: {listed(grus)}")
        return next(iter(grus))
    fitting = [path for path in grus if path == name] or [path for path in grus if path.endswith(f"/{name}")]
    if len(fitting) != 1:
        raise UsageError(f"layer={name!r}: {len(fitting)} GRUs of {where} have that name; there are {listed(grus)}")
    return fitting[0]
