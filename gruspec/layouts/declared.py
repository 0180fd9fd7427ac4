"""Every layout that gruspec knows, each in a few lines."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

from gruspec.errors import UsageError, listed
from gruspec.layouts.layout import (
    INPUT_BIAS,
    KERNEL,
    RECURRENT_BIAS,
    RECURRENT_KERNEL,
    SUMMED_BIAS,
    Array,
    Form,
    Layout,
    Piece,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEFORE, _AFTER, _BOTH = (False,), (True,), (False, True)
_TANH, _SIGMOID = ("tanh",), ("sigmoid",)
_TORCH_NAMES = "https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html"


def _array(name: str, *pieces: Piece, axis: int = 0, leading: tuple[str, ...] = ()) -> Array:
    return Array(name, (pieces,), axis, leading)


def _pieces(gates: str, *parts_and_axes: tuple[str, str]) -> tuple[Piece, ...]:
    return tuple(Piece(part, gates, axes) for part, axes in parts_and_axes)


def _columns(kernel: str, recurrent_kernel: str, gates: str) -> tuple[Array, ...]:
    """Kernels (D, 3u) and (u, 3u)."""
    return (
        _array(kernel, Piece(KERNEL, gates, "input (gate unit)")),
        _array(recurrent_kernel, Piece(RECURRENT_KERNEL, gates, "state (gate unit)")),
    )


def _rows(kernel: str, recurrent_kernel: str, gates: str, leading: tuple[str, ...] = ()) -> tuple[Array, ...]:
    """Kernels (3u, D) and (3u, u)."""
    return (
        _array(kernel, Piece(KERNEL, gates, "(gate unit) input"), leading=leading),
        _array(recurrent_kernel, Piece(RECURRENT_KERNEL, gates, "(gate unit) state"), leading=leading),
    )


def _vector(name: str, *parts: tuple[str, str], leading: tuple[str, ...] = ()) -> Array:
    """A vector of biases: parts and their gates, one after another."""
    return _array(name, *(Piece(part, gates, "(gate unit)") for part, gates in parts), leading=leading)


def _with_and_without(kernels: tuple[Array, ...], *biases: Array, reset_after: tuple[bool, ...]) -> tuple[Form, Form]:
    return Form((*kernels, *biases), reset_after), Form(kernels, reset_after)


_KERAS = _columns("kernel", "recurrent_kernel", "zrh")
_TORCH = _rows("weight_ih_l{layer}{direction}", "weight_hh_l{layer}{direction}", "rzh")
_TORCH_FORMS = _with_and_without(
    _TORCH,
    _vector("bias_ih_l{layer}{direction}", (INPUT_BIAS, "rzh")),
    _vector("bias_hh_l{layer}{direction}", (RECURRENT_BIAS, "rzh")),
    reset_after=_AFTER,
)
_ONNX = _rows("W", "R", "zrh", leading=("direction",))


def _webnn(gates: str) -> tuple[Form, ...]:
    kernels = _rows("weight", "recurrentWeight", gates, leading=("direction",))
    bias = _vector("bias", (INPUT_BIAS, gates), leading=("direction",))
    recurrent = _vector("recurrentBias", (RECURRENT_BIAS, gates), leading=("direction",))
    return tuple(Form((*kernels, *biases), _BOTH) for biases in ((bias, recurrent), (bias,), (recurrent,), ()))


_ROW_BLOCKS = (Piece(KERNEL, "rzh", "(gate unit input)"), Piece(RECURRENT_KERNEL, "rzh", "(gate unit state)"))

_DECLARED = (
    Layout(
        "keras",
        "GRU of tf_keras and Keras 3",
        (
            Form((*_KERAS, _vector("bias", (SUMMED_BIAS, "zrh"))), _BEFORE),
            Form(
                (
                    *_KERAS,
                    _array("bias", *_pieces("zrh", (INPUT_BIAS, "1 (gate unit)"), (RECURRENT_BIAS, "1 (gate unit)"))),
                ),
                _AFTER,
            ),
            Form(_KERAS, _BOTH),
        ),
        source="https://www.tensorflow.org/api_docs/python/tf/keras/layers/GRU; tf_keras/src/layers/rnn/gru.py, GRUCell.build",
    ),
    Layout(
        "cudnn-gru",
        "CuDNNGRU of tf_keras",
        (
            Form(
                (
                    _array(
                        "kernel",
                        Piece(
                            KERNEL,
                            "zrh",
                            "input (gate unit)",
                            through=("input unit -> (input unit)", "(unit input) -> input unit"),
                        ),
                    ),
                    _array("recurrent_kernel", Piece(RECURRENT_KERNEL, "zrh", "unit (gate state)")),
                    _vector("bias", (INPUT_BIAS, "zrh"), (RECURRENT_BIAS, "zrh")),
                ),
                _AFTER,
            ),
        ),
        source="tf_keras/src/saving/legacy/hdf5_format.py, _convert_rnn_weights",
        activations=_TANH,
        recurrent_activations=_SIGMOID,
    ),
    Layout(
        "cudnn",
        "the flat parameter buffer of cuDNN",
        (
            Form(
                (
                    Array(
                        "params",
                        (
                            _ROW_BLOCKS,
                            _pieces("rzh", (INPUT_BIAS, "(gate unit)"), (RECURRENT_BIAS, "(gate unit)")),
                        ),
                    ),
                ),
                _AFTER,
            ),
        ),
        source="https://docs.nvidia.com/deeplearning/cudnn/latest/api/cudnn-adv-library.html, cudnnGetRNNWeightParams",
        activations=_TANH,
        recurrent_activations=_SIGMOID,
        stacked=True,
        bidirectional=True,
    ),
    Layout(
        "torch",
        "torch.nn.GRU",
        _TORCH_FORMS,
        source=_TORCH_NAMES,
        activations=_TANH,
        recurrent_activations=_SIGMOID,
        stacked=True,
        bidirectional=True,
        directions=("", "_reverse"),
    ),
    Layout(
        "torch-cell",
        "torch.nn.GRUCell",
        _with_and_without(
            _rows("weight_ih", "weight_hh", "rzh"),
            _vector("bias_ih", (INPUT_BIAS, "rzh")),
            _vector("bias_hh", (RECURRENT_BIAS, "rzh")),
            reset_after=_AFTER,
        ),
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html",
        activations=_TANH,
        recurrent_activations=_SIGMOID,
    ),
    Layout(
        "onnx",
        "the GRU operator of ONNX",
        _with_and_without(
            _ONNX,
            _vector("B", (INPUT_BIAS, "zrh"), (RECURRENT_BIAS, "zrh"), leading=("direction",)),
            reset_after=_BOTH,
        ),
        source="https://onnx.ai/onnx/operators/onnx__GRU.html",
        bidirectional=True,
    ),
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in _DECLARED})
"""Every layout by name."""


def layout_named(name: str) -> Layout:
    """Return a layout by name.

    Raises
    ------
    UsageError
        If there is none. The message lists those there are.
    """
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{name}: no such layout; {hint}there are {listed(LAYOUTS)}")
    return LAYOUTS[name]
