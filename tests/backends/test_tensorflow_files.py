"""Checkpoints and SavedModels that TensorFlow writes are read, and TensorFlow loads what is written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from file_mutations import damaged_reads
from numpy.testing import assert_array_equal

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, WrittenGRU, find_grus, open_file
from gruspec.files.conversion import convert_file
from gruspec.layouts import Sizes, convert
from gruspec_tensorflow.bundle_writing import write_bundle
from gruspec_tensorflow.files import CheckpointFormat, SavedModelFormat
from gruspec_tensorflow.records import Record, record
from gruspec_tensorflow.table import read_table, table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")
torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.numpy")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*legacy_cells.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*GRUCell. is deprecated.*:UserWarning"),
]

TIMESTEPS, FEATURES, UNITS = 5, 3, 4
SMALLEST_BOUND = 1e-13
"""Of outputs in float64 that differ in the order of sums alone, of up to seven terms over five timesteps."""


def _inputs() -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(0).standard_normal((2, TIMESTEPS, FEATURES))


def _random_weights(layer: Any, seed: int) -> None:
    chance = np.random.default_rng(seed)
    layer.set_weights([chance.standard_normal(values.shape) for values in layer.get_weights()])


def _keras_layer(name: str, *, seed: int = 1, **arguments: Any) -> Any:
    layer = tf_keras.layers.GRU(UNITS, name=name, dtype="float64", return_sequences=True, **arguments)
    layer.build((None, TIMESTEPS, FEATURES))
    _random_weights(layer, seed)
    return layer


def _model() -> Any:
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((TIMESTEPS, FEATURES), dtype="float64"),
            layers.GRU(UNITS, return_sequences=True, name="first", dtype="float64"),
            layers.Bidirectional(
                layers.GRU(
                    UNITS, reset_after=False, recurrent_activation="hard_sigmoid", name="second", dtype="float64"
                ),
                name="both",
                dtype="float64",
            ),
            layers.Dense(2, name="top", dtype="float64"),
        ]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    for seed, layer in enumerate(model.layers):
        _random_weights(layer, seed)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return _model()


@pytest.fixture(scope="module")
def saved_weights(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("weights") / "model.ckpt"
    model.save_weights(path)
    return path


@pytest.fixture(scope="module")
def saved_model(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("saved") / "model"
    model.save(path, save_format="tf", save_traces=False)
    return path


def _saver(variables: dict[str, np.ndarray[Any, Any]], path: Path) -> Path:
    """Write variables as ``tf.compat.v1.train.Saver`` does."""
    with tf.Graph().as_default():
        for name, values in variables.items():
            tf.compat.v1.get_variable(name, initializer=values, use_resource=False)
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver().save(session, str(path))
    return path


def _restored(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "float64") -> dict[str, Any]:
    """Read variables as ``tf.compat.v1.train.Saver`` does."""
    with tf.Graph().as_default():
        variables = {name: tf.compat.v1.get_variable(name, shape, dtype) for name, shape in shapes.items()}
        with tf.compat.v1.Session() as session:
            tf.compat.v1.train.Saver().restore(session, str(path))
            found: dict[str, Any] = session.run(variables)
    return found


def _torch_state(prefix: str = "") -> dict[str, np.ndarray[Any, Any]]:
    torch.manual_seed(3)
    layer = torch.nn.GRU(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    return {f"{prefix}{name}": values.numpy() for name, values in layer.state_dict().items()}


def _torch_outputs(state: dict[str, Any], inputs: Any) -> Any:
    layer = torch.nn.GRU(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    layer.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in state.items()}, strict=True)
    with torch.no_grad():
        return layer(torch.from_numpy(inputs))[0].numpy()


def _arrays(opened: Any, gru: Any) -> dict[str, Any]:
    return {array: opened.tensors[name].read() for array, name in gru.names.items()}


def test_keras_layer_of_a_saver_becomes_torch(tmp_path: Path) -> None:
    layer = _keras_layer("encoder")
    named = {
        weight.name.partition(":")[0]: values for weight, values in zip(layer.weights, layer.get_weights(), strict=True)
    }
    path = _saver({"encoder/" + name: values for name, values in named.items()} | {"step": np.int64(7)}, tmp_path / "m")
    with open_file(path) as opened:
        (gru,) = opened.grus
        assert (opened.format, gru.layout, gru.reset_after) == ("tf-checkpoint", "keras", True)
        assert opened.tensors["step"].read() == 7
        result = convert(_arrays(opened, gru), "keras", "torch")
    assert np.max(np.abs(_torch_outputs(result.arrays, _inputs()) - layer(_inputs()).numpy())) < SMALLEST_BOUND


def test_gru_cell_of_a_saver_becomes_keras(tmp_path: Path) -> None:
    cell = import_module("tf_keras.api._v1.keras.__internal__.legacy.rnn_cell").GRUCell(
        UNITS, dtype=tf.float64, name="gru_cell"
    )
    state, outputs = tf.zeros((2, UNITS), tf.float64), []
    for step in range(TIMESTEPS):
        _, state = cell(tf.constant(_inputs()[:, step]), state)
        outputs.append(state.numpy())
    variables = {weight.name.partition(":")[0]: weight.numpy() for weight in cell.weights}
    path = _saver({f"rnn/{name}": values for name, values in variables.items()}, tmp_path / "model.ckpt")
    with open_file(path) as opened:
        (gru,) = opened.grus
        assert (gru.path, gru.layout, gru.reset_after) == ("rnn/gru_cell", "tf-gru-cell", False)
        result = convert(_arrays(opened, gru), gru.layout, "keras")
    layer = _keras_layer("target", reset_after=False, recurrent_activation="sigmoid")
    layer.set_weights([result.arrays[name] for name in ("kernel", "recurrent_kernel", "bias")])
    assert np.max(np.abs(layer(_inputs()).numpy() - np.stack(outputs, 1))) < SMALLEST_BOUND


@pytest.mark.parametrize("partitions", [(3, 1), (1, 2)])
def test_partitioned_variable_is_joined(tmp_path: Path, partitions: tuple[int, int]) -> None:
    with tf.Graph().as_default():
        start = tf.compat.v1.random_uniform_initializer(seed=1)
        named = {
            "partitioner": lambda **_: list(partitions),
            "initializer": start,
            "use_resource": False,
        }
        variable = tf.compat.v1.get_variable("table", (7, 4), **named)
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            values = session.run(tf.convert_to_tensor(variable))
            tf.compat.v1.train.Saver().save(session, str(tmp_path / "m"))
    with open_file(tmp_path) as opened:
        assert_array_equal(opened.tensors["table"].read(), values)


def test_objects_of_legacy_keras(model: Any, saved_weights: Path) -> None:
    with open_file(saved_weights) as opened:
        paths = {gru.path: gru for gru in opened.grus}
        assert set(paths) == {
            "layer_with_weights-0/cell",
            "layer_with_weights-1/forward_layer/cell",
            "layer_with_weights-1/backward_layer/cell",
        }
        assert "_CHECKPOINTABLE_OBJECT_GRAPH" in opened.left
        for path, layer in (
            ("layer_with_weights-0/cell", model.layers[0]),
            ("layer_with_weights-1/backward_layer/cell", model.layers[1].backward_layer),
        ):
            arrays = _arrays(opened, paths[path])
            for array, values in zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights(), strict=True):
                assert_array_equal(arrays[array], values)


def test_objects_of_keras_3(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras", minversion="3")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras 3 runs on another backend here")
    layers = [keras.layers.GRU(UNITS, name="only"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.layers.Input((TIMESTEPS, FEATURES)), *layers])
    tf.train.Checkpoint(model=model).save(str(tmp_path / "ck"))
    model.export(tmp_path / "exported", verbose=False)
    for path in (tmp_path, tmp_path / "exported"):
        with open_file(path) as opened:
            (gru,) = opened.grus
            arrays = _arrays(opened, gru)
            for array, values in zip(("kernel", "recurrent_kernel", "bias"), layers[0].get_weights(), strict=True):
                assert_array_equal(arrays[array], values)
    state = {f"only.{name}": values.astype(np.float32) for name, values in _torch_state().items()}
    safetensors.save_file(state, tmp_path / "t.safetensors")
    new = tmp_path / "new"
    rename = [f"only={gru.path}"]
    exported = tmp_path / "exported"
    convert_file(
        tmp_path / "t.safetensors", new, "keras", rename=rename, template=exported, target_format="saved-model"
    )
    with open_file(exported) as old, open_file(new) as written:
        kernel = old.tensors[gru.names["kernel"]].read()
        copies = [name for name, tensor in old.tensors.items() if np.array_equal(tensor.read(), kernel)]
        assert len(copies) == 2
        changed = {
            name
            for name, tensor in old.tensors.items()
            if not np.array_equal(tensor.read(), written.tensors[name].read())
        }
        assert set(copies) < changed
        assert len(changed) == 2 * len(gru.names)


def test_saved_model_tells_variants_and_activations(saved_model: Path) -> None:
    with open_file(saved_model) as opened:
        assert opened.format == "saved-model"
        said = {
            gru.options["name"]: (
                gru.reset_after,
                gru.activation,
                gru.recurrent_activation,
                gru.options["go_backwards"],
            )
            for gru in opened.grus
        }
    assert said == {
        "first": (True, "tanh", "sigmoid", False),
        "forward_second": (False, "tanh", "hard_sigmoid", False),
        "backward_second": (False, "tanh", "hard_sigmoid", True),
    }


def test_saved_model_keeps_metadata_of_older_releases(saved_model: Path, tmp_path: Path) -> None:
    protos = pytest.importorskip("tensorflow.core.protobuf.saved_model_pb2")
    metadata = pytest.importorskip("tf_keras.protobuf.saved_metadata_pb2")
    kept = metadata.SavedMetadata.FromString((saved_model / "keras_metadata.pb").read_bytes())
    whole = protos.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    for node in kept.nodes:
        whole.meta_graphs[0].object_graph_def.nodes[node.node_id].user_object.metadata = node.metadata
    (tmp_path / "variables").mkdir()
    for file in (saved_model / "variables").iterdir():
        (tmp_path / "variables" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "saved_model.pb").write_bytes(whole.SerializeToString())
    with open_file(tmp_path) as older, open_file(saved_model) as newer:
        assert older.grus == newer.grus
        assert older.grus[1].recurrent_activation == "hard_sigmoid"


def test_torch_becomes_a_checkpoint_that_a_saver_restores(tmp_path: Path) -> None:
    state = _torch_state("rnn.")
    safetensors.save_file({**state, "top": np.arange(6, dtype=np.float32)}, tmp_path / "t.safetensors")
    convert_file(tmp_path / "t.safetensors", tmp_path / "out.index", "keras")
    assert sorted(file.name for file in tmp_path.glob("out*")) == ["out.data-00000-of-00001", "out.index"]
    shapes = {"rnn/kernel": (3, 12), "rnn/recurrent_kernel": (4, 12), "rnn/bias": (2, 12)}
    restored = _restored(tmp_path / "out", shapes)
    layer = _keras_layer("target")
    layer.set_weights([restored[name] for name in shapes])
    expected = _torch_outputs(_torch_state(), _inputs())
    assert np.max(np.abs(layer(_inputs()).numpy() - expected)) < SMALLEST_BOUND
    for parts, name in ((("ir", "iz", "in"), "weight_ih_l0"),):
        columns = dict(zip(parts, np.split(state[f"rnn.{name}"], 3), strict=True))
        by_hand = np.concatenate([columns["iz"].T, columns["ir"].T, columns["in"].T], axis=1)
        assert_array_equal(restored["rnn/kernel"].view(np.uint64), by_hand.view(np.uint64))
    assert_array_equal(tf.train.load_checkpoint(str(tmp_path / "out")).get_tensor("top"), np.arange(6))


def test_no_file_of_a_checkpoint_is_replaced_unasked(tmp_path: Path) -> None:
    safetensors.save_file(_torch_state("rnn."), tmp_path / "t.safetensors")
    (tmp_path / "out.index").write_bytes(b"mine")
    with pytest.raises(RefusedFile, match=r"out\.index: exists already"):
        convert_file(tmp_path / "t.safetensors", tmp_path / "out", "keras", target_format="tf-checkpoint")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.index", "t.safetensors"]
    convert_file(tmp_path / "t.safetensors", tmp_path / "out", "keras", target_format="tf-checkpoint", force=True)
    with open_file(tmp_path / "out") as opened:
        assert [gru.path for gru in opened.grus] == ["rnn"]


def test_every_dtype_is_read_by_tensorflow(tmp_path: Path) -> None:
    names: tuple[str, ...] = ("float16", "float32", "float64", "bool", "complex64", "complex128")
    names += tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
    arrays = {name: np.arange(5).astype(name) for name in names}
    arrays |= {"bfloat16": np.arange(5).astype(tf.bfloat16.as_numpy_dtype), "none": np.empty((0, 3), np.float32)}
    write_bundle(tmp_path / "m", [_entry(name, values) for name, values in arrays.items()])
    reader = tf.train.load_checkpoint(str(tmp_path / "m"))
    with open_file(tmp_path / "m") as opened:
        for name, values in arrays.items():
            assert reader.get_tensor(name).dtype == opened.tensors[name].dtype == values.dtype
            assert_array_equal(reader.get_tensor(name), values)
            assert_array_equal(opened.tensors[name].read(), values)


def _entry(name: str, values: Any) -> Entry:
    return Entry(name, values.shape, values.dtype, partial(np.copyto, src=values))


def test_large_checkpoint_of_many_blocks_is_read_by_tensorflow(tmp_path: Path) -> None:
    arrays = {f"{'scope/' * 20}variable_{number}": np.float32(number) for number in range(3000)}
    big = np.random.default_rng(0).integers(0, 255, 9_000_001, np.uint8)
    write_bundle(tmp_path / "m", [_entry(name, np.asarray(value)) for name, value in {**arrays, "big": big}.items()])
    assert (tmp_path / "m.index").stat().st_size > 1 << 18
    reader = tf.train.load_checkpoint(str(tmp_path / "m"))
    assert_array_equal(reader.get_tensor("big"), big)
    assert all(reader.get_tensor(name) == value for name, value in list(arrays.items())[::97])


def test_template_is_loaded_by_keras(model: Any, saved_weights: Path, tmp_path: Path) -> None:
    safetensors.save_file(_torch_state("first."), tmp_path / "t.safetensors")
    convert_file(
        tmp_path / "t.safetensors",
        tmp_path / "new.index",
        "keras",
        rename=["first=layer_with_weights-0/cell"],
        template=saved_weights,
    )
    other = _model()
    other.load_weights(tmp_path / "new").assert_existing_objects_matched()
    expected = _torch_outputs(_torch_state(), _inputs())
    assert np.max(np.abs(other.layers[0](_inputs()).numpy() - expected)) < SMALLEST_BOUND
    for old, new in zip(model.layers[1:], other.layers[1:], strict=True):
        for values, same in zip(old.get_weights(), new.get_weights(), strict=True):
            assert_array_equal(values, same)


def test_saved_model_is_written_from_a_template(tmp_path: Path) -> None:
    layer = _keras_layer("served")

    signature = [tf.TensorSpec((None, TIMESTEPS, FEATURES), tf.float64)]
    outputs = tf.function(layer.call, input_signature=signature)
    served = tf.Module()
    served.layer, served.outputs = layer, outputs
    tf.saved_model.save(served, str(tmp_path / "old"), signatures=outputs)
    state = _torch_state("served.")
    safetensors.save_file(state, tmp_path / "t.safetensors")
    convert_file(
        tmp_path / "t.safetensors",
        tmp_path / "new",
        "keras",
        rename=["served=layer/cell"],
        template=tmp_path / "old",
        target_format="saved-model",
    )
    signature = tf.saved_model.load(str(tmp_path / "new")).signatures["serving_default"]
    (found,) = signature(tf.constant(_inputs())).values()
    assert np.max(np.abs(found.numpy() - _torch_outputs(_torch_state(), _inputs()))) < SMALLEST_BOUND
    assert np.max(np.abs(found.numpy() - layer(_inputs()).numpy())) > SMALLEST_BOUND
    assert (tmp_path / "old" / "fingerprint.pb").exists()
    assert not (tmp_path / "new" / "fingerprint.pb").exists()


@pytest.mark.parametrize(
    ("layer", "told", "said"),
    [
        ({"activation": "relu"}, {}, "activation is tanh, in the template relu"),
        (
            {"recurrent_activation": "hard_sigmoid"},
            {},
            "recurrent_activation is sigmoid, in the template hard_sigmoid",
        ),
        ({"reset_after": False, "use_bias": False}, {"bias": False}, "reset_after is True, in the template False"),
    ],
)
def test_saved_model_of_another_gru_is_no_template(
    layer: dict[str, Any], told: dict[str, Any], said: str, tmp_path: Path
) -> None:
    model = tf_keras.Sequential([tf_keras.layers.Input((TIMESTEPS, FEATURES), dtype="float64")])
    model.add(tf_keras.layers.GRU(UNITS, name="served", dtype="float64", **layer))
    model.save(tmp_path / "old", save_format="tf", save_traces=False)
    torch.save(torch.nn.GRU(FEATURES, UNITS, dtype=torch.float64, **told).state_dict(), tmp_path / "t.pt")
    with pytest.raises(RefusedFile, match=said):
        convert_file(
            tmp_path / "t.pt", tmp_path / "new", "keras", template=tmp_path / "old", target_format="saved-model"
        )
    assert not (tmp_path / "new").exists()


def test_saved_model_without_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile, match="template"):
        SavedModelFormat().write(tmp_path / "new", Contents((), ()))


def _written(path: str, shape: tuple[int, ...], dtype: str = "float64") -> WrittenGRU:
    shapes = {
        "kernel": (shape[0], 3 * shape[1]),
        "recurrent_kernel": (shape[1], 3 * shape[1]),
        "bias": (2, 3 * shape[1]),
    }
    arrays = {name: _entry(f"{path}/{name}", np.ones(axes, dtype)) for name, axes in shapes.items()}
    return WrittenGRU(path, "keras", arrays, True, Sizes(*shape), True)  # noqa: FBT003  in the order of its fields


@pytest.mark.parametrize(
    ("gru", "said"),
    [
        (_written("elsewhere", (FEATURES, UNITS)), "no GRU of that path"),
        (_written("layer_with_weights-0/cell", (FEATURES, 5)), "kernel is float64"),
        (_written("layer_with_weights-0/cell", (FEATURES, UNITS), "float32"), "kernel is float32"),
    ],
)
def test_template_that_does_not_fit_is_refused(saved_weights: Path, tmp_path: Path, gru: WrittenGRU, said: str) -> None:
    with open_file(saved_weights) as template, pytest.raises(RefusedFile, match=said):
        CheckpointFormat().write(tmp_path / "new", Contents((), (gru,), template=template))
    assert not list(tmp_path.iterdir())


def test_what_a_checkpoint_cannot_hold_is_refused(tmp_path: Path) -> None:
    entries = [
        _entry("a", np.array(["text"])),
        _entry("b", np.ones(1)),
        _entry("b", np.ones(2)),
        _entry("", np.ones(1)),
    ]
    with pytest.raises(RefusedFile, match=r"is no name .*, a: TensorFlow has no dtype .*, b: is there twice"):
        write_bundle(tmp_path / "m", entries)
    assert not list(tmp_path.iterdir())


def test_reading_needs_no_tensorflow(saved_weights: Path, saved_model: Path) -> None:
    script = (
        "import sys; from gruspec.files import open_file\n"
        "for path in sys.argv[1:]:\n"
        "    with open_file(path) as opened: [tensor.read() for tensor in opened.tensors.values()]\n"
        "sys.exit(int('tensorflow' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script, saved_weights, saved_model], check=False).returncode == 0


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Return the prefix of a checkpoint that a Saver wrote."""
    arrays = convert(_torch_state(), "torch", "keras").arrays
    return _saver({f"rnn/{name}": values for name, values in arrays.items()}, tmp_path / "m")


def _with_record(prefix: Path, name: str, **changes: Any) -> None:
    """Give a tensor of a checkpoint another record, in an index whose checksums are right."""
    index = prefix.with_name(f"{prefix.name}.index")
    entries = read_table(memoryview(index.read_bytes()))
    entries[name.encode()] = replace(record(entries[name.encode()]), **changes).encoded()
    index.write_bytes(table(entries))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"offset": 1 << 40}, "needs 192 bytes"),
        ({"size": 1 << 62}, "needs"),
        ({"shape": (2, 13)}, "does not make"),
        ({"shape": (1 << 61, 1 << 61)}, "no shape"),
        ({"shape": (1,) * 40}, "no shape"),
        ({"shard": 3}, "file 3 of 1"),
        ({"offset": 8}, "share the bytes"),
        ({"checksum": 5}, "checksum"),
    ],
)
def test_hostile_records_are_refused(named: Path, changes: dict[str, Any], said: str) -> None:
    _with_record(named, "rnn/bias", **changes)
    with pytest.raises(FileError, match=said) as caught, open_file(named) as opened:
        opened.tensors["rnn/bias"].read()
    assert named.name in str(caught.value)


def test_latest_checkpoint_is_looked_for_in_its_folder_alone(named: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "checkpoint").write_text(f'model_checkpoint_path: "../{named.name}"\n', encoding="utf-8")
    with pytest.raises(FileError):
        open_file(inner)
    with open_file(tmp_path) as opened:
        assert opened.grus[0].path == "rnn"


def test_links_out_of_the_folder_are_not_followed(named: Path, saved_model: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    shutil.copytree(saved_model, linked)
    data = next((linked / "variables").glob("*.data-*"))
    (outside := tmp_path / "outside").write_bytes(data.read_bytes())
    data.unlink()
    data.symlink_to(outside)
    with pytest.raises(FileError, match=r"linked: has links \(variables.variables\.data-.*not followed"):
        open_file(linked)
    (inner := tmp_path / "inner").mkdir()
    for end in (".index", ".data-00000-of-00001"):
        (inner / f"both{end}").symlink_to(named.with_name(f"{named.name}{end}"))
    with open_file(inner / "both") as opened:
        assert opened.grus[0].path == "rnn"
    (inner / "both.index").unlink()
    (inner / "both.index").write_bytes(named.with_name(f"{named.name}.index").read_bytes())
    with pytest.raises(FileError, match=r"both\.data-00000-of-00001: leads into another folder"):
        open_file(inner / "both")


def test_missing_data_is_named(named: Path) -> None:
    named.with_name("m.data-00000-of-00001").unlink()
    with pytest.raises(FileError, match=r"m\.data-00000-of-00001: is missing"):
        open_file(named)


def test_names_with_dots_stay_names(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", [_entry("../../outside", np.ones(2)), _entry("/root", np.ones(1))])
    with open_file(tmp_path / "m") as opened:
        assert set(opened.tensors) == {"../../outside", "/root"}
        assert not find_grus(opened.tensors)


def test_encoded_records_are_those_of_tensorflow(named: Path) -> None:
    entries = read_table(memoryview(named.with_name("m.index").read_bytes()))
    for key, encoded in entries.items():
        if key:
            assert record(record(encoded).encoded()) == record(encoded)
            assert isinstance(record(encoded), Record)
    assert read_table(memoryview(table(entries))) == entries


@pytest.mark.parametrize("kind", ["names", "objects", "saved"])
def test_damage_is_refused_or_harmless(kind: str, named: Path, saved_weights: Path, saved_model: Path) -> None:
    path, form = {
        "names": (named, "tf-checkpoint"),
        "objects": (saved_weights, "tf-checkpoint"),
        "saved": (saved_model, "saved-model"),
    }[kind]
    report = damaged_reads(path, form, 170, seed=1)
    assert report["wrong"] == []
    assert report["imported"] == []
    assert report["refused"] > 50, json.dumps(report)
