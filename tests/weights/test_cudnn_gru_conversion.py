"""tf_keras converts between CuDNNGRU and GRU when it loads weights; so does gruspec, to the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gruspec.layouts import convert

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("kernel", "recurrent_kernel", "bias")
pytest.importorskip("tf_keras", reason="tf_keras is not importable")


def built(kind: str, input_size: int, units: int) -> Any:
    from tf_keras.api._v1.keras import layers

    options = {"reset_after": True, "recurrent_activation": "sigmoid"} if kind == "GRU" else {}
    layer = getattr(layers, kind)(units, **options)
    layer.build((None, None, input_size))
    return layer


@pytest.mark.parametrize(
    ("input_size", "units"), [(1, 1), (3, 4), (4, 3), (5, 5), (2, 16), (16, 2), (7, 1), (1, 7), (31, 33)]
)
@pytest.mark.parametrize(("source", "target"), [("CuDNNGRU", "GRU"), ("GRU", "CuDNNGRU")])
def test_keras_and_gruspec_convert_to_the_same_bits(source: str, target: str, input_size: int, units: int) -> None:
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    layouts = {"GRU": "keras", "CuDNNGRU": "cudnn-gru"}
    rng = np.random.default_rng(units)
    shapes = [tuple(variable.shape) for variable in built(source, input_size, units).weights]
    given: list[NDArray[Any]] = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    theirs = preprocess_weights_for_loading(built(target, input_size, units), given, original_keras_version="2")
    ours = convert(dict(zip(NAMES, given, strict=True)), layouts[source], layouts[target]).arrays
    for name, values in zip(NAMES, theirs, strict=True):
        assert ours[name].shape == values.shape
        assert ours[name].tobytes() == np.ascontiguousarray(values).tobytes(), name
    layer = built(target, input_size, units)
    layer.set_weights([ours[name] for name in NAMES])
