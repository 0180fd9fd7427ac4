"""Models of tf_keras and of Keras 3, as users build them, with weights that tell every array from every other."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.files import Contents, Entry, WrittenGRU
from gruspec.layouts import layout_named, plan, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gruspec.files import Checkpoint, Format, FoundGRU
    from gruspec.layouts import Plan

    Arrays = dict[str, NDArray[Any]]

FLAVOURS = ("tf_keras", "keras")
ARRAYS = ("kernel", "recurrent_kernel", "bias")


def keras_named(flavour: str) -> Any:
    """Return tf_keras, or Keras 3 where it is installed."""
    pytest.importorskip("tensorflow")
    module = pytest.importorskip(flavour)
    if flavour == "keras" and module.__version__.startswith("2."):
        pytest.skip("keras is Keras 2 here")
    return module


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what both say about HDF5 being the older format, and models that are not compiled."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def nested_model(k: Any) -> Any:
    """Return a model with a GRU in every place where Keras can have one."""
    layers = k.layers
    before = {"reset_after": False, "recurrent_activation": "sigmoid"}
    inputs = k.Input((5, 3))
    x = layers.GRU(4, return_sequences=True, go_backwards=True, name="first", **before)(inputs)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(6))(x)
    x = layers.TimeDistributed(layers.Reshape((2, 3)))(x)
    x = layers.TimeDistributed(layers.GRU(4, use_bias=False), name="each")(x)
    inner = k.Sequential(
        [
            k.Input((5, 4)),
            layers.RNN(layers.GRUCell(3), return_sequences=True, name="cells"),
            layers.Dense(3),
            layers.GRU(2, return_sequences=True, name="last"),
        ],
        name="inner",
    )
    x = layers.LSTM(2, return_sequences=True)(inner(x))
    outputs = layers.RNN([layers.GRUCell(3, name="lower"), layers.GRUCell(2, name="upper")], name="stack")(x)
    return randomised(k.Model(inputs, outputs))


PATHS = (
    "first",
    "both/forward_gru",
    "both/backward_gru",
    "each/gru_1",
    "inner/cells",
    "inner/last",
    "stack/lower",
    "stack/upper",
)


def one_layer(k: Any, units: int = 4, input_size: int = 3, **arguments: Any) -> Any:
    """Return a model that is one GRU."""
    layer = k.layers.GRU(units, return_sequences=True, **arguments)
    return randomised(k.Sequential([k.Input((None, input_size)), layer]))


def randomised(model: Any) -> Any:
    """Return a model with random weights, biases included."""
    rng = np.random.default_rng(11)
    model.set_weights([rng.uniform(-1, 1, values.shape).astype(values.dtype) for values in model.get_weights()])
    return model


def saved(model: Any, path: Path) -> Path:
    """Save weights or the whole model, as the ending of the name says."""
    with quiet():
        if path.name.startswith("weights") or path.name.endswith(".weights.h5"):
            model.save_weights(str(path))
        else:
            model.save(str(path))
    return path


def read_arrays(checkpoint: Checkpoint, gru: FoundGRU) -> Arrays:
    """Return the arrays of a GRU of an open file, in new memory."""
    return {array: np.array(checkpoint.tensors[name].read()) for array, name in gru.names.items()}


def live_arrays(layer: Any) -> Arrays:
    """Return the arrays of a GRU layer or cell in memory."""
    return dict(zip(ARRAYS, layer.get_weights(), strict=False))


def written_gru(
    target: Format, path: str, arrays: Mapping[str, NDArray[Any]], source: str, layout: str, **told: Any
) -> WrittenGRU:
    """Return a GRU to write, converted from another layout."""
    options = told.pop("options", {})
    weights = unpack(arrays, layout_named(source), reset_after=told.pop("reset_after", None))
    planned = plan(weights, layout_named(layout))
    entries = {
        array: Entry(
            target.array_name(path, layout, array),
            shape,
            planned.dtype,
            _planned(planned, array),
        )
        for array, shape in planned.shapes.items()
    }
    return WrittenGRU(
        path, layout, entries, weights.reset_after, weights.sizes, planned.form.has_bias, options=options, **told
    )


def contents(
    *grus: WrittenGRU, template: Checkpoint | None = None, others: Mapping[str, NDArray[Any]] | None = None
) -> Contents:
    """Return what to write: GRUs, and other tensors by name."""
    carried = tuple(
        Entry(name, values.shape, values.dtype, _filling(values)) for name, values in (others or {}).items()
    )
    return Contents(carried, grus, template=template)


def _planned(planned: Plan, array: str) -> Callable[[NDArray[Any]], None]:
    return lambda values: planned.write({array: values})


def _filling(values: NDArray[Any]) -> Callable[[NDArray[Any]], None]:
    def fill(target: NDArray[Any]) -> None:
        target[...] = values

    return fill


def torch_gru(arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return ``torch.nn.GRU`` with weights, loaded strictly."""
    torch: Any = import_module("torch")
    rows, columns = arrays["weight_ih_l0"].shape
    module = torch.nn.GRU(columns, rows // 3, batch_first=True, bias="bias_ih_l0" in arrays, dtype=torch.float64)
    module.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()}, strict=True)
    return module
