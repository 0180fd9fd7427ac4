"""Layers of Keras as ONNX models and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gruspec.errors import RefusedFile
from gruspec.files.keras_layers import keras_gru
from gruspec.files.writing import appearing
from gruspec.layouts import convert

from .model import OPSET
from .whole_model import layer_model

if TYPE_CHECKING:
    import os

    import onnx

LARGEST = 2**31 - 1
"""Bytes of the largest message that can be serialized."""


def export(
    source: Any,
    path: str | os.PathLike[str] | None = None,
    layer: str | None = None,
    *,
    mask: str = "none",
    initial_state: bool = False,
    opset: int = OPSET,
    dtype: str | None = None,
    force: bool = False,
) -> onnx.ModelProto:
    """Return an ONNX model that computes what a GRU layer of Keras computes outside training, and write it.

    The model has one GRU operator. It takes ``inputs`` and gives ``outputs`` as the layer does, sequences in processing
    order. That of a stateful layer takes ``initial_state`` and gives ``state``: what it gives in one run is what the
    next one takes, and zeros come first.

    Parameters
    ----------
    source
        A live layer that has its weights, a live model, or the path of a file with a whole model: ``.keras`` or
        ``.h5``. Of ``tf.compat.v1.keras``, ``tf_keras`` or Keras 3.
    path
        The file to write; None for none.
    layer
        The name of the layer, where there are several GRUs.
    mask
        ``"lengths"`` for a model that takes ``sequence_lens`` (B,) int32, the timesteps of each row that count, from
        the first on, 0 to T.
    initial_state
        Whether the model takes ``initial_state`` (B, u) even if the layer is not stateful.
    opset
        Version of the operators, 14 or later; bfloat16 needs 22.
    dtype
        Of the model; by default that of the weights. ONNX Runtime has no float64 on the CPU.
    force
        Whether a file at ``path`` may be replaced.

    Returns
    -------
    onnx.ModelProto
        Checked, with the layer's arguments as JSON in its metadata under ``gruspec.spec``.

    Raises
    ------
    Unsupported
        If the operator cannot do this: other masks than lengths, a dtype that it does not have, inputs of size 0.
    UsageError
        If there is no such layer, opset, dtype or kind of mask.
    FileError
        If the file of the model is damaged.
    RefusedFile
        If there is a file at ``path``, or the model is larger than one file can be.
    SpecTypeError
        If the dtype cannot hold a weight.
    """
    found = keras_gru(source, layer)
    arrays = convert(found.weights, "keras", "keras", reset_after=found.spec.reset_after, dtype=dtype).arrays
    model = layer_model(found.spec, arrays, mask=mask, initial_state=initial_state, opset=opset, name=found.name)
    if path is not None:
        _write(model, Path(path), force=force)
    return model


def _write(model: onnx.ModelProto, path: Path, *, force: bool) -> None:
    if model.ByteSize() > LARGEST:
        raise RefusedFile(f"{path}: {model.ByteSize()} bytes; an ONNX file holds {LARGEST} at most")
    with appearing(path, force=force) as place:
        place.write_bytes(model.SerializeToString(deterministic=True))
