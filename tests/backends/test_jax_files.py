"""Files of flax, haiku and orbax, written by them, are read; they load what is written."""

from __future__ import annotations

import json
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from file_mutations import damaged_reads
from numpy.testing import assert_array_equal

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, open_file
from gruspec.files.conversion import convert_file
from gruspec.layouts import convert
from gruspec_jax.files import OrbaxFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.numpy")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning")

TIMESTEPS, FEATURES, UNITS = 5, 3, 4
BOUND = 1e-13
"""Of outputs in float64 that differ in the order of sums alone, of up to seven terms over five timesteps."""


@pytest.fixture(autouse=True)
def _doubles() -> Iterator[None]:
    jax.config.update("jax_enable_x64", val=True)
    yield
    jax.config.update("jax_enable_x64", val=False)


def _inputs() -> Any:
    return np.random.default_rng(0).standard_normal((2, TIMESTEPS, FEATURES))


def _random(tree: Any) -> Any:
    chance = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jax.numpy.asarray(chance.standard_normal(leaf.shape)), tree)


def _torch(state: dict[str, Any]) -> Any:
    layer = torch.nn.GRU(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    layer.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in state.items()}, strict=True)
    with torch.no_grad():
        return layer(torch.from_numpy(_inputs()))[0].numpy()


def _torch_state() -> dict[str, Any]:
    """Return weights whose recurrent biases, but that of the candidate, are zero, as linen has them."""
    torch.manual_seed(3)
    layer = torch.nn.GRU(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
    state = {name: values.numpy().copy() for name, values in layer.state_dict().items()}
    state["bias_hh_l0"][: 2 * UNITS] = 0
    return state


def _linen() -> Any:
    linen = pytest.importorskip("flax.linen")
    return linen.RNN(linen.GRUCell(UNITS, param_dtype=np.float64))


def _linen_params() -> Any:
    return _random(_linen().init(jax.random.key(0), _inputs()))


def _as_torch(path: Path) -> tuple[Any, Any]:
    """Return the only GRU of a file, and what torch computes with its weights."""
    with open_file(path) as opened:
        (gru,) = opened.grus
        arrays = {array: opened.tensors[name].read() for array, name in gru.names.items()}
        return gru, _torch(convert(arrays, gru.layout, "torch").arrays)


def test_linen_msgpack_becomes_torch(tmp_path: Path) -> None:
    serialization = pytest.importorskip("flax.serialization")
    params = _linen_params()
    (tmp_path / "params.msgpack").write_bytes(serialization.to_bytes(params))
    gru, outputs = _as_torch(tmp_path / "params.msgpack")
    assert (gru.path, gru.layouts) == ("params/cell", ("linen",))
    assert np.max(np.abs(outputs - _linen().apply(params, _inputs()))) < BOUND


def test_training_state_keeps_everything(tmp_path: Path) -> None:
    serialization = pytest.importorskip("flax.serialization")
    train_state = pytest.importorskip("flax.training.train_state")
    optax = pytest.importorskip("optax")
    params = _linen_params()["params"]
    state = train_state.TrainState.create(apply_fn=None, params=params, tx=optax.adam(1e-3))
    state = state.apply_gradients(grads=params)
    (tmp_path / "state.msgpack").write_bytes(serialization.to_bytes(state))
    convert_file(tmp_path / "state.msgpack", tmp_path / "new.msgpack", "linen")
    with open_file(tmp_path / "new.msgpack") as opened:
        assert [gru.path for gru in opened.grus] == ["params/cell"]
    restored = serialization.from_bytes(state, (tmp_path / "new.msgpack").read_bytes())
    assert restored.step == 1
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    jax.tree.map(assert_array_equal, restored, state)


def test_chunks_of_flax_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serialization = pytest.importorskip("flax.serialization")
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 64)
    values = np.arange(60.0).reshape(3, 20)
    (tmp_path / "a.msgpack").write_bytes(serialization.msgpack_serialize({"a": values}))
    with open_file(tmp_path / "a.msgpack") as opened:
        assert_array_equal(opened.tensors["a"].read(), values)


def _nnx_cell(nnx: Any) -> Any:
    cell = nnx.GRUCell(FEATURES, UNITS, param_dtype=np.float64, dtype=np.float64, rngs=nnx.Rngs(0))
    nnx.update(cell, _random(nnx.state(cell)))
    return cell


def _nnx_outputs(cell: Any) -> Any:
    state = jax.numpy.zeros((2, UNITS))
    outputs = []
    for step in range(TIMESTEPS):
        state, output = cell(state, _inputs()[:, step])
        outputs.append(output)
    return np.stack(outputs, 1)


def test_nnx_becomes_torch(tmp_path: Path) -> None:
    nnx = pytest.importorskip("flax.nnx")
    serialization = pytest.importorskip("flax.serialization")
    cell = _nnx_cell(nnx)
    pure = {"encoder": nnx.to_pure_dict(nnx.state(cell, nnx.Param))}
    (tmp_path / "cell.msgpack").write_bytes(serialization.msgpack_serialize(pure))
    gru, outputs = _as_torch(tmp_path / "cell.msgpack")
    assert (gru.path, gru.layouts) == ("encoder", ("nnx",))
    assert np.max(np.abs(outputs - _nnx_outputs(cell))) < BOUND


def test_haiku_goes_to_keras_and_back(tmp_path: Path) -> None:
    haiku = pytest.importorskip("haiku")
    serialization = pytest.importorskip("flax.serialization")
    from gruspec_numpy import GRU

    def forward(inputs: Any) -> Any:
        core = haiku.GRU(UNITS, name="core")
        return haiku.dynamic_unroll(core, inputs, core.initial_state(2), time_major=False)[0]

    def encoder(inputs: Any) -> Any:
        return haiku.to_module(forward)("encoder")(inputs)

    network = haiku.without_apply_rng(haiku.transform(encoder))
    params = _random(network.init(jax.random.key(0), _inputs()))
    (tmp_path / "h.msgpack").write_bytes(serialization.to_bytes(params))
    with open_file(tmp_path / "h.msgpack") as opened:
        (gru,) = opened.grus
        assert (gru.path, gru.layout) == ("encoder/core", "haiku")
        arrays = {array: opened.tensors[name].read() for array, name in gru.names.items()}
        weights = convert(arrays, "haiku", "keras").arrays
    layer = GRU(UNITS, recurrent_activation="sigmoid", return_sequences=True, dtype="float64")
    layer.build(_inputs().shape)
    layer.set_weights([weights[name] for name in ("kernel", "recurrent_kernel", "bias")])
    expected = network.apply(params, _inputs())
    assert np.max(np.abs(np.asarray(layer(_inputs())) - expected)) < BOUND
    safetensors.save_file(
        {f"encoder/core/{name}": values for name, values in weights.items()}, tmp_path / "k.safetensors"
    )
    convert_file(tmp_path / "k.safetensors", tmp_path / "back.msgpack", "haiku")
    back = serialization.from_bytes(params, (tmp_path / "back.msgpack").read_bytes())
    jax.tree.map(assert_array_equal, back, params)


def test_torch_becomes_linen(tmp_path: Path) -> None:
    serialization = pytest.importorskip("flax.serialization")
    state = _torch_state()
    safetensors.save_file({f"cell.{name}": values for name, values in state.items()}, tmp_path / "t.safetensors")
    convert_file(tmp_path / "t.safetensors", tmp_path / "p.msgpack", "linen", rename=["cell=params/cell"])
    params = serialization.from_bytes(_linen_params(), (tmp_path / "p.msgpack").read_bytes())
    assert np.max(np.abs(_linen().apply(params, _inputs()) - _torch(state))) < BOUND
    kernel = np.asarray(params["params"]["cell"]["iz"]["kernel"])
    assert_array_equal(kernel.view(np.uint64), state["weight_ih_l0"][UNITS : 2 * UNITS].T.copy().view(np.uint64))


@pytest.fixture(scope="module")
def orbax() -> Any:
    return pytest.importorskip("orbax.checkpoint")


def _saved(orbax: Any, path: Path, tree: Any) -> Path:
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, tree)
    return path


def test_orbax_becomes_torch(orbax: Any, tmp_path: Path) -> None:
    params = _linen_params()
    gru, outputs = _as_torch(_saved(orbax, tmp_path / "standard", params))
    assert (gru.path, gru.layouts) == ("params/cell", ("linen",))
    assert np.max(np.abs(outputs - _linen().apply(params, _inputs()))) < BOUND


def test_large_checkpoints_of_orbax_are_unpacked_when_asked_for(
    orbax: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gruspec_jax.files._AT_ONCE", 100)
    tree = {"a": np.arange(40.0), "b": np.arange(7, dtype=np.int16)}
    path = _saved(orbax, tmp_path / "large", tree)
    with open_file(path) as opened:
        (path / "manifest.ocdbt").rename(tmp_path / "manifest")
        with pytest.raises(FileError):
            opened.tensors["b"].read()
        (tmp_path / "manifest").rename(path / "manifest.ocdbt")
        for name, values in tree.items():
            assert_array_equal(opened.tensors[name].read(), values)


def test_orbax_with_files_of_zarr(orbax: Any, tmp_path: Path) -> None:
    params = _linen_params()
    with orbax.PyTreeCheckpointer(use_ocdbt=False) as checkpointer:
        checkpointer.save(tmp_path / "zarr", params)
    _, outputs = _as_torch(tmp_path / "zarr")
    assert np.max(np.abs(outputs - _linen().apply(params, _inputs()))) < BOUND


def test_latest_step_of_a_checkpoint_manager(orbax: Any, tmp_path: Path) -> None:
    with orbax.CheckpointManager(tmp_path / "steps") as manager:
        for step in (0, 9, 10):
            manager.save(step, args=orbax.args.StandardSave({"step": np.full(2, step)}))
        manager.wait_until_finished()
    with open_file(tmp_path / "steps") as opened:
        assert_array_equal(opened.tensors["step"].read(), [10, 10])


def test_nnx_state_of_orbax(orbax: Any, tmp_path: Path) -> None:
    nnx = pytest.importorskip("flax.nnx")
    cell = _nnx_cell(nnx)
    gru, outputs = _as_torch(_saved(orbax, tmp_path / "nnx", nnx.state(cell, nnx.Param)))
    assert gru.layouts == ("nnx",)
    assert np.max(np.abs(outputs - _nnx_outputs(cell))) < BOUND


def test_torch_becomes_orbax(orbax: Any, tmp_path: Path) -> None:
    state = _torch_state()
    other = {"scale": np.arange(3, dtype=np.float32), "half": np.ones(2, jax.numpy.bfloat16)}
    safetensors.save_file(
        {**{f"cell.{name}": values for name, values in state.items()}, **other}, tmp_path / "t.safetensors"
    )
    convert_file(
        tmp_path / "t.safetensors", tmp_path / "new", "linen", rename=["cell=params/cell"], target_format="orbax"
    )
    params = _linen_params()
    like = {**params, **other}
    with orbax.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "new", jax.tree.map(jax.numpy.asarray, like))
    assert restored["half"].dtype == jax.numpy.bfloat16
    assert_array_equal(restored["scale"], other["scale"])
    outputs = _linen().apply({"params": restored["params"]}, _inputs())
    assert np.max(np.abs(outputs - _torch(state))) < BOUND
    kernel = np.asarray(restored["params"]["cell"]["hn"]["kernel"])
    assert_array_equal(kernel.view(np.uint64), state["weight_hh_l0"][2 * UNITS :].T.copy().view(np.uint64))


def test_orbax_keeps_what_is_no_array(orbax: Any, tmp_path: Path) -> None:
    tree = {"name": "grü", "nothing": None, "step": 5, "list": [np.ones(2), np.zeros(1)], "a/b": {"c": np.ones(1)}}
    with orbax.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "old", tree)
    with open_file(tmp_path / "old") as opened:
        assert set(opened.tensors) == {"step", "list/0", "list/1", "a/b/c"}
        assert opened.tensors["step"].read() == 5
        assert json.loads(opened.metadata["name"]) == "grü"
        entries = tuple(
            Entry(name, tensor.shape, tensor.dtype, partial(np.copyto, src=tensor.read()))
            for name, tensor in opened.tensors.items()
        )
        OrbaxFormat().write(tmp_path / "new", Contents(entries, (), opened.metadata))
    with orbax.PyTreeCheckpointer() as checkpointer:
        again = checkpointer.restore(tmp_path / "new")
    assert (again["name"], again["nothing"], int(again["step"])) == ("grü", None, 5)
    assert_array_equal(again["a/b"]["c"], np.ones(1))


def test_what_orbax_does_not_write_is_refused(tmp_path: Path) -> None:
    for values, said in ((np.empty(0), "no empty arrays"), (np.array(["text"]), "no dtype"), (None, "without tensors")):
        entries = () if values is None else (Entry("a", values.shape, values.dtype, lambda _: None),)
        with pytest.raises(RefusedFile, match=said):
            OrbaxFormat().write(tmp_path / "new", Contents(entries, ()))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def zarr(orbax: Any, tmp_path: Path) -> Path:
    with orbax.PyTreeCheckpointer(use_ocdbt=False) as checkpointer:
        checkpointer.save(tmp_path / "zarr", {"a": np.ones(1000), "b": np.ones(2)})
    return tmp_path / "zarr"


def _refused(path: Path, said: str) -> None:
    with pytest.raises(FileError, match=said) as caught, open_file(path) as opened:
        opened.tensors["a"].read()
    assert str(path) in str(caught.value)


def test_declared_size_is_checked_first(zarr: Path) -> None:
    declared = json.loads((zarr / "a" / ".zarray").read_text())
    for changes in ({"shape": [1 << 40]}, {"chunks": [1 << 40]}, {"shape": [1 << 62]}):
        (zarr / "a" / ".zarray").write_text(json.dumps(declared | changes))
        _refused(zarr, "more than the|NVALID|damaged")


def test_missing_chunk_is_refused(zarr: Path) -> None:
    (zarr / "a" / "0").unlink()
    _refused(zarr, "missing")


def test_paths_and_links_that_lead_out_are_refused(zarr: Path, tmp_path: Path) -> None:
    whole = (zarr / "_METADATA").read_text()
    shutil.move(zarr / "a", tmp_path / "a")
    (zarr / "_METADATA").write_text(whole.replace('"key": "a"', '"key": "../a"'))
    _refused(zarr, "leads out")
    (zarr / "_METADATA").write_text(whole)
    (zarr / "a").symlink_to(tmp_path / "a")
    _refused(zarr, "links")


def test_several_trees_are_named(zarr: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(zarr, tmp_path / "items" / name)
    with pytest.raises(FileError, match="one, two"):
        open_file(tmp_path / "items")


@pytest.mark.parametrize("kind", ["msgpack", "orbax"])
def test_damage_is_refused_or_harmless(kind: str, tmp_path: Path) -> None:
    serialization = pytest.importorskip("flax.serialization")
    params = _linen_params()
    path = tmp_path / "kept" / "file.msgpack"
    path.parent.mkdir()
    if kind == "msgpack":
        path.write_bytes(serialization.to_bytes(params))
        report = damaged_reads(path, "flax-msgpack", 500, seed=1, checked=False)
    else:
        path = _saved(pytest.importorskip("orbax.checkpoint"), tmp_path / "kept" / "tree", params)
        report = damaged_reads(path, "orbax", 8, seed=1, checked=False)
    assert report["refused"] > 1
    assert report["wrong"] == []
    assert report["imported"] == []
