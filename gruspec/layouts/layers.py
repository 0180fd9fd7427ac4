"""Layouts of the layers and cells of frameworks, the likeliest first."""

from __future__ import annotations

from gruspec.layouts.layout import (
    INPUT_BIAS,
    KERNEL,
    RECURRENT_BIAS,
    RECURRENT_KERNEL,
    SUMMED_BIAS,
    Form,
    Layout,
    Piece,
)
from gruspec.layouts.shorthand import (
    AFTER,
    BEFORE,
    BOTH,
    GATE_SUMS,
    SIGMOID,
    TANH,
    array,
    columns,
    rows,
    stacked_kernels,
    vector,
    with_and_without,
    with_either,
)

_KERAS = columns("kernel", "recurrent_kernel", "zrh")
_TORCH = rows("weight_ih_l{layer}{direction}", "weight_hh_l{layer}{direction}", "rzh")
_TORCH_BIASES = (
    vector("bias_ih_l{layer}{direction}", (INPUT_BIAS, "rzh")),
    vector("bias_hh_l{layer}{direction}", (RECURRENT_BIAS, "rzh")),
)
_FLAX_GATES = (("r", "r"), ("z", "z"), ("n", "h"))

LAYERS = (
    Layout(
        "keras",
        "GRU of tf_keras and Keras 3",
        (
            Form((*_KERAS, vector("bias", (SUMMED_BIAS, "zrh"))), BEFORE),
            Form(
                (
                    *_KERAS,
                    array("bias", *(Piece(part, "zrh", "1 (gate unit)") for part in (INPUT_BIAS, RECURRENT_BIAS))),
                ),
                AFTER,
            ),
            Form(_KERAS, BOTH),
        ),
        source="https://www.tensorflow.org/api_docs/python/tf/keras/layers/GRU; tf_keras/src/layers/rnn/gru.py",
    ),
    Layout(
        "torch",
        "torch.nn.GRU",
        with_and_without(_TORCH, *_TORCH_BIASES, reset_after=AFTER),
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html",
        activations=TANH,
        recurrent_activations=SIGMOID,
        stacked=True,
        bidirectional=True,
        directions=("", "_reverse"),
        separator=".",
    ),
    Layout(
        "torch-cell",
        "torch.nn.GRUCell",
        with_and_without(
            rows("weight_ih", "weight_hh", "rzh"),
            vector("bias_ih", (INPUT_BIAS, "rzh")),
            vector("bias_hh", (RECURRENT_BIAS, "rzh")),
            reset_after=AFTER,
        ),
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html",
        activations=TANH,
        recurrent_activations=SIGMOID,
        separator=".",
    ),
    Layout(
        "cudnn-gru",
        "CuDNNGRU of tf_keras",
        (
            Form(
                (
                    array(
                        "kernel",
                        Piece(
                            KERNEL,
                            "zrh",
                            "input (gate unit)",
                            through=("input unit -> (input unit)", "(unit input) -> input unit"),
                        ),
                    ),
                    array("recurrent_kernel", Piece(RECURRENT_KERNEL, "zrh", "unit (gate state)")),
                    vector("bias", (INPUT_BIAS, "zrh"), (RECURRENT_BIAS, "zrh")),
                ),
                AFTER,
            ),
        ),
        source="tf_keras/src/saving/legacy/hdf5_format.py, _convert_rnn_weights; tf_keras/src/layers/rnn/cudnn_gru.py",
        activations=TANH,
        recurrent_activations=SIGMOID,
    ),
    Layout(
        "tf-gru-cell",
        "tf.compat.v1.nn.rnn_cell.GRUCell",
        (
            Form(
                (
                    *stacked_kernels("gates/kernel", "candidate/kernel"),
                    vector("gates/bias", (SUMMED_BIAS, "rz")),
                    vector("candidate/bias", (SUMMED_BIAS, "h")),
                ),
                BEFORE,
            ),
        ),
        source="https://www.tensorflow.org/api_docs/python/tf/compat/v1/nn/rnn_cell/GRUCell; "
        "tf_keras/src/layers/rnn/legacy_cells.py, GRUCell.build",
        recurrent_activations=SIGMOID,
    ),
    Layout(
        "tf-gru-block-cell",
        "tf.raw_ops.GRUBlockCell",
        (
            Form(
                (
                    *stacked_kernels("w_ru", "w_c"),
                    vector("b_ru", (SUMMED_BIAS, "rz")),
                    vector("b_c", (SUMMED_BIAS, "h")),
                ),
                BEFORE,
            ),
        ),
        source="https://www.tensorflow.org/api_docs/python/tf/raw_ops/GRUBlockCell",
        activations=TANH,
        recurrent_activations=SIGMOID,
    ),
    Layout(
        "linen",
        "flax.linen.GRUCell",
        (
            Form(
                (
                    *(array(f"i{name}/kernel", Piece(KERNEL, gate, "input unit")) for name, gate in _FLAX_GATES),
                    *(
                        array(f"h{name}/kernel", Piece(RECURRENT_KERNEL, gate, "state unit"))
                        for name, gate in _FLAX_GATES
                    ),
                    vector("ir/bias", (SUMMED_BIAS, "r")),
                    vector("iz/bias", (SUMMED_BIAS, "z")),
                    vector("in/bias", (INPUT_BIAS, "h")),
                    vector("hn/bias", (RECURRENT_BIAS, "h")),
                ),
                AFTER,
            ),
        ),
        source="https://flax-linen.readthedocs.io/en/latest/api_reference/flax.linen/layers.html; "
        "flax/linen/recurrent.py",
    ),
    Layout(
        "nnx",
        "flax.nnx.GRUCell",
        (
            Form(
                (
                    *columns("dense_i/kernel", "dense_h/kernel", "rzh"),
                    vector("dense_i/bias", *GATE_SUMS, (INPUT_BIAS, "h")),
                ),
                AFTER,
            ),
        ),
        source="https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/recurrent.html; "
        "flax/nnx/nn/recurrent.py",
    ),
    Layout(
        "haiku",
        "haiku.GRU",
        (Form((*columns("w_i", "w_h", "zrh"), vector("b", (SUMMED_BIAS, "zrh"))), BEFORE),),
        source="https://dm-haiku.readthedocs.io/en/latest/api.html#gru; haiku/_src/recurrent.py",
        activations=TANH,
        recurrent_activations=SIGMOID,
        complement=True,
    ),
    Layout(
        "equinox",
        "equinox.nn.GRUCell",
        with_and_without(
            rows("weight_ih", "weight_hh", "rzh"),
            vector("bias", *GATE_SUMS, (INPUT_BIAS, "h")),
            vector("bias_n", (RECURRENT_BIAS, "h")),
            reset_after=AFTER,
        ),
        source="https://docs.kidger.site/equinox/api/nn/rnn/; equinox/nn/_rnn.py, GRUCell",
        activations=TANH,
        recurrent_activations=SIGMOID,
        separator=".",
    ),
    Layout(
        "paddle",
        "paddle.nn.GRU",
        with_either(_TORCH, *_TORCH_BIASES, reset_after=AFTER),
        source="https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/GRU_en.html; "
        "paddle/nn/layer/rnn.py, RNNBase",
        activations=TANH,
        recurrent_activations=SIGMOID,
        stacked=True,
        bidirectional=True,
        directions=("", "_reverse"),
        separator=".",
    ),
    Layout(
        "mlx",
        "mlx.nn.GRU",
        with_and_without(
            rows("Wx", "Wh", "rzh"),
            vector("b", *GATE_SUMS, (INPUT_BIAS, "h")),
            vector("bhn", (RECURRENT_BIAS, "h")),
            reset_after=AFTER,
        ),
        source="https://ml-explore.github.io/mlx/build/html/python/nn/_autosummary/mlx.nn.GRU.html; "
        "mlx/nn/layers/recurrent.py",
        activations=TANH,
        recurrent_activations=SIGMOID,
        separator=".",
    ),
)
