"""Whole files of every format, written by the frameworks themselves; small, so that damage hits what matters."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"

UNITS, INPUTS = 2, 3


class Left(Exception):
    """Why there are no files of a format."""


def written(name: str, folder: Path) -> list[Path]:
    """Write whole files of a format, each in a folder of its own; return their paths.

    Raises
    ------
    Left
        If what writes them is not installed.
    """
    modules, write = WRITERS[name]
    if missing := [module for module in modules if not _importable(module)]:
        raise Left(f"{', '.join(missing)} cannot be imported")
    place = iter(range(1000))

    def new() -> Path:
        found = folder / str(next(place))
        found.mkdir(parents=True)
        return found

    return list(write(new))


def _importable(module: str) -> bool:
    package = module.partition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None


def _arrays() -> dict[str, NDArray[np.float32]]:
    """Return a GRU as tf_keras names it, and another tensor."""
    rng = np.random.default_rng(0)
    shapes = {
        "rnn/kernel": (INPUTS, 3 * UNITS),
        "rnn/recurrent_kernel": (UNITS, 3 * UNITS),
        "rnn/bias": (2, 3 * UNITS),
        "head/weight": (UNITS, 2),
    }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _torch_state() -> dict[str, Any]:
    import torch

    torch.manual_seed(0)
    return dict(
        torch.nn.ModuleDict({"rnn": torch.nn.GRU(INPUTS, UNITS), "head": torch.nn.Linear(UNITS, 2)}).state_dict()
    )


def _safetensors(new: Callable[[], Path]) -> Iterator[Path]:
    from safetensors.numpy import save_file
    from safetensors.torch import save_file as save_torch

    path = new() / "torch.safetensors"
    save_torch(_torch_state(), path, metadata={"format": "pt"})
    yield path
    path = new() / "halves.safetensors"
    save_torch({name: tensor.bfloat16() for name, tensor in _torch_state().items()}, path)
    yield path
    path = new() / "keras.safetensors"
    save_file(_arrays(), path)
    yield path


def _npz(new: Callable[[], Path]) -> Iterator[Path]:
    arrays: dict[str, Any] = _arrays()
    for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
        path = new() / f"{name}.npz"
        save(path, **arrays)
        yield path


def _legacy_model() -> Any:
    import tf_keras

    return tf_keras.Sequential(
        [
            tf_keras.layers.Input((None, INPUTS)),
            tf_keras.layers.Bidirectional(tf_keras.layers.GRU(UNITS, return_sequences=True)),
            tf_keras.layers.GRU(UNITS, reset_after=False, recurrent_activation="hard_sigmoid"),
            tf_keras.layers.Dense(2),
        ]
    )


def _new_model() -> Any:
    import keras

    return keras.Sequential([keras.layers.Input((None, INPUTS)), keras.layers.GRU(UNITS), keras.layers.Dense(2)])


def _saved(*names: str) -> Callable[[Callable[[], Path]], Iterator[Path]]:
    """Return a writer of models, or of their weights where a name says so, by tf_keras and Keras 3."""

    def write(new: Callable[[], Path]) -> Iterator[Path]:
        for model in (_legacy_model(), _new_model()):
            for name in names:
                path = new() / name
                (model.save_weights if "weights" in name else model.save)(path)
                yield path

    return write


def _msgpack(new: Callable[[], Path]) -> Iterator[Path]:
    import flax.linen
    import jax
    from flax.serialization import to_bytes

    cell = flax.linen.GRUCell(features=UNITS)
    carry = np.zeros((1, UNITS), np.float32)
    params = cell.init(jax.random.key(0), carry, np.zeros((1, INPUTS), np.float32))
    for name, tree in {
        "linen": params,
        "haiku": {"gru": {"w_i": _arrays()["rnn/kernel"], "step": 3, "rate": 0.5}},
    }.items():
        path = new() / f"{name}.msgpack"
        path.write_bytes(to_bytes(tree))
        yield path


def _torch(new: Callable[[], Path]) -> Iterator[Path]:
    import torch

    state = _torch_state()
    files = {"state.pt": state, "nested.ckpt": {"state_dict": state, "epoch": 3, "rates": [0.1, 0.2]}}
    for name, content in files.items():
        path = new() / name
        torch.save(content, path)
        yield path
    path = new() / "old.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    yield path


def _tf_checkpoint(new: Callable[[], Path]) -> Iterator[Path]:
    import tensorflow as tf

    path = new() / "saver"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, values in _arrays().items():
            tf.compat.v1.Variable(values, name=name)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(path), write_meta_graph=False, write_state=False)
    yield path.with_name("saver.index")
    path = new() / "objects"
    yield type(path)(tf.train.Checkpoint(model=_legacy_model()).write(str(path)) + ".index")


def _saved_model(new: Callable[[], Path]) -> Iterator[Path]:
    import tensorflow as tf

    path = new() / "model"
    _legacy_model().save(path, save_format="tf")
    yield path
    module = tf.Module()
    module.rnn = tf.Module()
    for name, values in _arrays().items():
        setattr(module.rnn, name.partition("/")[2], tf.Variable(values))
    for _ in range(3):
        path = new() / "module"
        tf.saved_model.save(module, path)
        yield path


def _orbax(new: Callable[[], Path]) -> Iterator[Path]:
    import orbax.checkpoint

    path = new() / "checkpoint"
    checkpointer = orbax.checkpoint.PyTreeCheckpointer()
    checkpointer.save(path, {"params": {"gru": {"w_i": _arrays()["rnn/kernel"], "b": _arrays()["rnn/bias"][0]}}})
    yield path


def _onnx(new: Callable[[], Path]) -> Iterator[Path]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {"W": (2, 3 * UNITS, INPUTS), "R": (2, 3 * UNITS, UNITS), "B": (2, 6 * UNITS)}
    weights = [numpy_helper.from_array(rng.standard_normal(shape).astype("f4"), name) for name, shape in shapes.items()]
    node = helper.make_node(
        "GRU", ["X", "W", "R", "B"], ["Y"], "rnn", hidden_size=UNITS, direction="bidirectional", linear_before_reset=1,
        activations=["HardSigmoid", "Tanh"] * 2, activation_alpha=[0.2, 0.2], activation_beta=[0.5, 0.5],
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "model",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ("T", "B", INPUTS))],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = new() / "whole.onnx"
    onnx.save(model, path)
    yield path
    path = new() / "beside.onnx"
    onnx.save(model, path, save_as_external_data=True, location="beside.onnx.data", size_threshold=0)
    yield path


WRITERS: dict[str, tuple[tuple[str, ...], Callable[[Callable[[], Path]], Iterator[Path]]]] = {
    "safetensors": (("safetensors", "torch"), _safetensors),
    "npz": ((), _npz),
    "keras-h5": (("h5py", "tf_keras", "keras"), _saved("model.h5")),
    "keras-weights": (("h5py", "tf_keras", "keras"), _saved("model.weights.h5")),
    "keras": (("h5py", "tf_keras", "keras"), _saved("model.keras")),
    "flax-msgpack": (("flax", "msgpack"), _msgpack),
    "torch": (("torch",), _torch),
    "tf-checkpoint": (("tensorflow", "tf_keras"), _tf_checkpoint),
    "saved-model": (("tensorflow", "tf_keras"), _saved_model),
    "orbax": (("orbax.checkpoint",), _orbax),
    "onnx": (("onnx",), _onnx),
}
"""By format: modules that must be importable, and what writes the files."""

_USUAL_SHARE = 10
_SHARES = {"keras-h5": 3, "keras-weights": 3, "keras": 3, "orbax": 1}
"""Fewer of the mutations are for formats of which every file is read in a process of its own, which has to start."""


def shared(mutations: int, names: Iterable[str]) -> dict[str, int]:
    """Return how many mutations each format gets."""
    shares = {name: _SHARES.get(name, _USUAL_SHARE) for name in names}
    return {name: -(-mutations * share // sum(shares.values())) for name, share in shares.items()}
