"""Weights as each framework makes them: by its own initialisation, under its own names.

Operators have no initialisation of their own. Theirs are drawn, in the shapes that the operator takes.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gruspec.layouts import LAYOUTS, plan, unpack
from gruspec.layouts.shapes import form_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gruspec.layouts import Sizes, Weights
    from gruspec.layouts.layout import Form

    Arrays = dict[str, NDArray[Any]]

NONE, INPUT, BOTH = "no bias", "input bias", "both biases"
BIASES = (NONE, INPUT, BOTH)
"""Which biases are not zero. Where there is one for a gate, as in most of the variant before, it is the input bias."""


class Wanted(NamedTuple):
    """A GRU to be made by a framework."""

    layout: str
    reset_after: bool
    biases: str
    sizes: Sizes

    def __str__(self) -> str:
        variant = "after" if self.reset_after else "before"
        return "-".join([self.layout, variant, self.biases, *map(str, self.sizes)])


def form_of(wanted: Wanted) -> Form | None:
    """Return the form in which a layout holds these biases, each for itself."""
    for form in LAYOUTS[wanted.layout].forms:
        parts = {part for part, _ in form.parts}
        has = BOTH if "recurrent_bias" in parts else INPUT if form.has_bias else NONE
        if wanted.reset_after in form.reset_after and (wanted.biases == NONE) == (has == NONE):
            return None if wanted.biases == BOTH and has == INPUT else form
    return None


@cache
def made(wanted: Wanted) -> Arrays:
    """Return weights of a framework in float32, with the biases wanted."""
    rng = np.random.default_rng(list(str(wanted).encode()))
    maker = _MAKERS.get(wanted.layout, _drawn)
    layout = LAYOUTS[wanted.layout]
    arrays = {name: np.array(values, np.float32) for name, values in maker(wanted, rng).items()}
    weights = unpack(
        arrays,
        layout,
        reset_after=wanted.reset_after,
        units=wanted.sizes.units,
        layers=wanted.sizes.layers,
        directions=wanted.sizes.directions,
    )
    return packed(_with_biases(weights, wanted, rng), wanted.layout)


def packed(weights: Weights, layout: str) -> Arrays:
    """Return weights in a layout that holds them exactly."""
    planned = plan(weights, LAYOUTS[layout])
    arrays = {name: np.empty(shape, planned.dtype) for name, shape in planned.shapes.items()}
    planned.write(arrays)
    return arrays


def _with_biases(weights: Weights, wanted: Wanted, rng: np.random.Generator) -> Weights:
    """Draw the biases that are to be there, since most frameworks begin with zeros.

    Where two biases are summed before anything else happens, they have few bits, so that the sum is exact.
    """
    blocks = dict(weights.blocks)
    for block, values in weights.blocks.items():
        if block.part in ("input_bias", "recurrent_bias"):
            drawn = rng.uniform(-1, 1, values.shape)
            if not wanted.reset_after:
                drawn = (2 * np.floor(drawn * 32) + 1) / 64
            there = block.part == "input_bias" or wanted.biases == BOTH
            blocks[block] = drawn.astype(values.dtype) if there else np.zeros_like(values)
    return replace(weights, blocks=blocks)


def _drawn(wanted: Wanted, rng: np.random.Generator) -> Arrays:
    form = form_of(wanted)
    assert form is not None
    shapes = form_shapes(LAYOUTS[wanted.layout], form, wanted.sizes)
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def _keras(wanted: Wanted, _: np.random.Generator) -> Arrays:
    if find_spec("tf_keras") is None:
        return _keras_layer(import_module("keras"), import_module("keras"), wanted)
    keras = import_module("tf_keras")
    return _keras_layer(keras if wanted.reset_after else import_module("tf_keras.api._v1.keras"), keras, wanted)


def _keras_layer(keras: Any, seeded: Any, wanted: Wanted) -> Arrays:
    seeded.utils.set_random_seed(0)
    layer = keras.layers.GRU(wanted.sizes.units, use_bias=wanted.biases != NONE, reset_after=wanted.reset_after)
    layer.build((None, None, wanted.sizes.input_size))
    names = [variable.name.rpartition("/")[2].partition(":")[0] for variable in layer.weights]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on JAX, Keras 3 reads its variables in a way that NumPy 2 deprecates
        return dict(zip(names, layer.get_weights(), strict=True))


def _cudnn_gru(wanted: Wanted, _: np.random.Generator) -> Arrays:
    import_module("tf_keras.utils").set_random_seed(0)
    layer = import_module("tf_keras.api._v1.keras.layers").CuDNNGRU(wanted.sizes.units)
    layer.build((None, None, wanted.sizes.input_size))
    names = [variable.name.rpartition("/")[2].partition(":")[0] for variable in layer.weights]
    return dict(zip(names, layer.get_weights(), strict=True))


def _tf_gru_cell(wanted: Wanted, _: np.random.Generator) -> Arrays:
    tf = import_module("tensorflow")
    cells = import_module("tf_keras.api._v1.keras.__internal__.legacy.rnn_cell")
    with warnings.catch_warnings(), tf.Graph().as_default(), tf.compat.v1.Session() as session:
        warnings.simplefilter("ignore")
        import_module("tf_keras.utils").set_random_seed(0)
        cell = cells.GRUCell(wanted.sizes.units)
        cell.build((None, wanted.sizes.input_size))
        session.run(tf.compat.v1.global_variables_initializer())
        return {
            variable.name.removeprefix("gru_cell/").removesuffix(":0"): session.run(variable)
            for variable in cell.weights
        }


def _torch(wanted: Wanted, _: np.random.Generator) -> Arrays:
    torch = import_module("torch")
    torch.manual_seed(0)
    sizes = wanted.sizes
    module = torch.nn.GRU(
        sizes.input_size,
        sizes.units,
        num_layers=sizes.layers,
        bidirectional=sizes.directions == 2,
        bias=wanted.biases != NONE,
    )
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def _torch_cell(wanted: Wanted, _: np.random.Generator) -> Arrays:
    torch = import_module("torch")
    torch.manual_seed(0)
    module = torch.nn.GRUCell(wanted.sizes.input_size, wanted.sizes.units, bias=wanted.biases != NONE)
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def _linen(wanted: Wanted, _: np.random.Generator) -> Arrays:
    jax, linen = import_module("jax"), import_module("flax.linen")
    cell = linen.GRUCell(wanted.sizes.units)
    inputs, state = np.zeros((1, wanted.sizes.input_size)), np.zeros((1, wanted.sizes.units))
    return _by_path(cell.init(jax.random.key(0), state, inputs)["params"])


def _nnx(wanted: Wanted, _: np.random.Generator) -> Arrays:
    nnx = import_module("flax.nnx")
    cell = nnx.GRUCell(wanted.sizes.input_size, wanted.sizes.units, rngs=nnx.Rngs(0))
    return _by_path(nnx.to_pure_dict(nnx.state(cell, nnx.Param)))


def _by_path(tree: Mapping[str, Mapping[str, Any]]) -> Arrays:
    return {f"{module}/{name}": values for module, parameters in tree.items() for name, values in parameters.items()}


def _haiku(wanted: Wanted, _: np.random.Generator) -> Arrays:
    jax, haiku = import_module("jax"), import_module("haiku")

    def step(inputs: Any, state: Any) -> Any:
        return haiku.GRU(wanted.sizes.units)(inputs, state)

    cell = haiku.transform(step)
    inputs, state = np.zeros((1, wanted.sizes.input_size)), np.zeros((1, wanted.sizes.units))
    parameters: Arrays = cell.init(jax.random.key(0), inputs, state)["gru"]
    return parameters


def _equinox(wanted: Wanted, _: np.random.Generator) -> Arrays:
    jax, equinox = import_module("jax"), import_module("equinox")
    cell = equinox.nn.GRUCell(
        wanted.sizes.input_size, wanted.sizes.units, use_bias=wanted.biases != NONE, key=jax.random.key(0)
    )
    named = {field: getattr(cell, field) for field in ("weight_ih", "weight_hh", "bias", "bias_n")}
    return {name: values for name, values in named.items() if values is not None}


def _paddle(wanted: Wanted, _: np.random.Generator) -> Arrays:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paddle = import_module("paddle")
    paddle.seed(0)
    sizes = wanted.sizes
    direction = "bidirect" if sizes.directions == 2 else "forward"
    module = paddle.nn.GRU(sizes.input_size, sizes.units, num_layers=sizes.layers, direction=direction)
    return {name: tensor.numpy() for name, tensor in module.named_parameters()}


def _mlx(wanted: Wanted, _: np.random.Generator) -> Arrays:
    import_module("mlx.core").random.seed(0)
    module = import_module("mlx.nn").GRU(wanted.sizes.input_size, wanted.sizes.units, bias=wanted.biases != NONE)
    return {name: np.array(values) for name, values in module.parameters().items()}


def _mxnet(wanted: Wanted, rng: np.random.Generator) -> Arrays:
    """Let the initializer of fused cells fill a vector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mx = import_module("mxnet")
    mx.random.seed(0)
    sizes = wanted.sizes
    vector = mx.nd.zeros(_drawn(wanted, rng)["parameters"].shape)
    initializer = mx.init.FusedRNN(
        mx.init.Uniform(1.0), sizes.units, sizes.layers, mode="gru", bidirectional=sizes.directions == 2
    )
    initializer(mx.init.InitDesc("weight"), vector)
    return {"parameters": vector.asnumpy()}


_MAKERS: dict[str, Callable[[Wanted, np.random.Generator], Arrays]] = {
    "keras": _keras,
    "cudnn-gru": _cudnn_gru,
    "tf-gru-cell": _tf_gru_cell,
    "torch": _torch,
    "torch-cell": _torch_cell,
    "linen": _linen,
    "nnx": _nnx,
    "haiku": _haiku,
    "equinox": _equinox,
    "paddle": _paddle,
    "mlx": _mlx,
    "mxnet": _mxnet,
}
