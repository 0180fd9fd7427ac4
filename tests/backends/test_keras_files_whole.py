"""Whole models: templates with new weights, archives written from nothing, whole layers, and hostile archives."""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from keras_models import (
    FLAVOURS,
    contents,
    keras_named,
    live_arrays,
    nested_model,
    one_layer,
    quiet,
    randomised,
    read_arrays,
    saved,
    written_gru,
)

from gruspec.errors import FileError, RefusedFile, SpecError, UsageError
from gruspec.files import format_for_writing, open_file
from gruspec.files.keras_archive import KerasArchiveFormat
from gruspec.files.keras_layers import keras_gru
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("model.h5", "model.keras", "all.weights.h5", "weights.h5")


@pytest.fixture(scope="module", params=FLAVOURS)
def k(request: pytest.FixtureRequest) -> Any:
    return keras_named(request.param)


@pytest.fixture(scope="module")
def model(k: Any) -> Any:
    return nested_model(k)


def weights_of(path: Path) -> dict[str, bytes]:
    with open_file(path) as opened:
        return {name: tensor.read().tobytes() for name, tensor in opened.tensors.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_template_keeps_everything_but_the_weights_of_the_gru(name: str, k: Any, model: Any, tmp_path: Path) -> None:
    if name == "weights.h5" and k.__name__ == "keras":
        pytest.skip("Keras 3 writes weights in the other format alone")
    old, new = saved(model, tmp_path / name), tmp_path / f"new-{name}"
    if name == "weights.h5":
        new = tmp_path / "weights-new.h5"
    with open_file(old) as template:
        gru = next(gru for gru in template.grus if gru.sizes and gru.sizes.units == 2 and gru.use_bias)
        arrays = {array: values + np.float32(1) for array, values in read_arrays(template, gru).items()}
        target = format_for_writing(new, format=template.format)
        target.write(new, contents(written_gru(target, gru.path, arrays, "keras", "keras"), template=template))
    before, after = weights_of(old), weights_of(new)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == set(gru.names.values())
    assert {array: after[name] for array, name in gru.names.items()} == {
        array: values.tobytes() for array, values in arrays.items()
    }
    if name == "model.keras":
        with zipfile.ZipFile(old) as first, zipfile.ZipFile(new) as second:
            assert first.namelist() == second.namelist()
            assert all(first.read(member) == second.read(member) for member in ("config.json", "metadata.json"))
    else:
        one, other = old.read_bytes(), new.read_bytes()
        assert len(one) == len(other)
        assert sum(a != b for a, b in zip(one, other, strict=True)) <= sum(values.nbytes for values in arrays.values())
    kept = model.get_weights()
    if name.startswith("model"):
        with quiet():
            found = k.models.load_model(str(new), compile=False).get_weights()
    else:
        model.load_weights(str(new))
        found = model.get_weights()
        model.set_weights(kept)
    differing = [values.tobytes() for values, old in zip(found, kept, strict=True) if (values != old).any()]
    assert sorted(differing) == sorted(values.tobytes() for values in arrays.values())


def test_a_template_that_does_not_fit_is_refused(k: Any, tmp_path: Path) -> None:
    old = saved(one_layer(k, name="rnn"), tmp_path / "model.keras")
    with open_file(old) as template:
        (gru,) = template.grus
        arrays = read_arrays(template, gru)
    target = KerasArchiveFormat()
    wrong: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "reset_after is False": ("rnn", {**arrays, "bias": arrays["bias"][0]}, {}),
        "use_bias is False": (
            "rnn",
            {name: arrays[name] for name in ("kernel", "recurrent_kernel")},
            {"reset_after": True},
        ),
        r"kernel is float32 \(2, 12\), in the template float32 \(3, 12\)": (
            "rnn",
            {**arrays, "kernel": arrays["kernel"][:2]},
            {},
        ),
        "kernel is float64": ("rnn", {name: values.astype(np.float64) for name, values in arrays.items()}, {}),
        "recurrent_activation is hard_sigmoid, in the template sigmoid": (
            "rnn",
            arrays,
            {"recurrent_activation": "hard_sigmoid"},
        ),
    }
    with open_file(old) as template:
        for message, (path, given, told) in wrong.items():
            new = contents(written_gru(target, path, given, "keras", "keras", **told), template=template)
            with pytest.raises(RefusedFile, match=message):
                target.write(tmp_path / "new.keras", new)
        two = [written_gru(target, path, arrays, "keras", "keras") for path in ("rnn", "other")]
        with pytest.raises(RefusedFile, match="other: no GRU of that path is in the template, which has rnn"):
            target.write(tmp_path / "new.keras", contents(*two, template=template))
    assert not (tmp_path / "new.keras").exists()


@pytest.mark.parametrize(("use_bias", "reset_after"), [(True, True), (True, False), (False, False)])
def test_an_archive_of_one_gru_needs_no_template(k: Any, tmp_path: Path, *, use_bias: bool, reset_after: bool) -> None:
    layer = one_layer(k, use_bias=use_bias, reset_after=reset_after, recurrent_activation="sigmoid", dtype="float64")
    arrays = live_arrays(layer)
    told = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "options": {"return_sequences": True, "go_backwards": True},
    }
    target, place = KerasArchiveFormat(), tmp_path / "new.keras"
    gru = written_gru(target, "encoder/rnn", arrays, "keras", "keras", reset_after=reset_after, **told)
    target.write(place, contents(gru))
    with quiet():
        loaded = k.models.load_model(str(place), compile=False)
    assert {name: values.tobytes() for name, values in live_arrays(loaded).items()} == {
        name: values.tobytes() for name, values in arrays.items()
    }
    inputs = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(layer(inputs[:, ::-1])))
    found = keras_gru(place)
    assert (found.spec.reset_after, found.spec.use_bias, found.spec.go_backwards) == (reset_after, use_bias, True)
    assert all((found.weights[name] == values).all() for name, values in arrays.items())


def test_an_archive_that_not_every_keras_loads_alike_is_refused(k: Any, tmp_path: Path) -> None:
    arrays, target = live_arrays(one_layer(k)), KerasArchiveFormat()
    known = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    wrong: dict[str, dict[str, Any]] = {
        "recurrent_activation is hard_sigmoid": {**known, "recurrent_activation": "hard_sigmoid"},
        "activation is not known": {},
        "stateful is set": {**known, "options": {"stateful": True}},
    }
    for message, told in wrong.items():
        with pytest.raises(RefusedFile, match=f"{message}.*give the model"):
            target.write(tmp_path / "new.keras", contents(written_gru(target, "a", arrays, "keras", "keras", **told)))
    gru = written_gru(target, "a", arrays, "keras", "keras", **known)
    for several in (contents(gru, gru), contents(gru, others={"other": np.ones(3)})):
        with pytest.raises(RefusedFile, match="there are "):
            target.write(tmp_path / "new.keras", several)
    assert not (tmp_path / "new.keras").exists()


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "before": {"reset_after": False, "recurrent_activation": "sigmoid"},
    "none": {"use_bias": False, "activation": "relu", "return_state": True},
    "turned": {"go_backwards": True, "dropout": 0.25, "recurrent_dropout": 0.5},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_layer_in_memory_and_the_same_in_files_are_one_spec_with_one_set_of_weights(
    setting: str, k: Any, tmp_path: Path
) -> None:
    inputs = k.Input((5, 3))
    layer = k.layers.GRU(4, return_sequences=True, name="rnn", **SETTINGS[setting])
    outputs = layer(inputs)
    model = randomised(k.Model(inputs, outputs if setting != "none" else outputs[0]))
    config = layer.get_config()
    arguments = {name: config[name] for name in GRUSpec(units=1).to_dict() if name in config}
    expected = GRUSpec(**{"implementation": 2, **arguments})
    for found in (
        keras_gru(layer),
        keras_gru(model),
        *(keras_gru(saved(model, tmp_path / name)) for name in NAMES[:2]),
    ):
        assert found.spec == expected
        assert found.name == "rnn"
        assert list(found.weights) == list(live_arrays(layer))
        assert all((found.weights[name] == values).all() for name, values in live_arrays(layer).items())


def test_the_hard_sigmoid_of_keras_3_is_none_of_the_specification(k: Any, tmp_path: Path) -> None:
    model = one_layer(k, recurrent_activation="hard_sigmoid", name="rnn")
    sources = (model, *(saved(model, tmp_path / name) for name in NAMES[:2]))
    for source in sources:
        if k.__name__ == "keras":
            with pytest.raises(SpecError, match=r"rnn: recurrent_activation is the hard_sigmoid of Keras 3, x / 6"):
                keras_gru(source)
        else:
            assert keras_gru(source).spec.recurrent_activation == "hard_sigmoid"


def test_which_of_several_is_meant_must_be_said(k: Any, model: Any, tmp_path: Path) -> None:
    path = saved(model, tmp_path / "model.keras")
    for source in (model, path):
        assert keras_gru(source, "inner/last").spec.units == 2
        assert keras_gru(source, "inner/cells").spec.return_sequences is True
        assert keras_gru(source, "upper").name == "stack/upper"
        assert keras_gru(source, model.get_layer("both").backward_layer.name).spec.go_backwards is True
        with pytest.raises(UsageError, match=r"several GRUs; name one: first, both/forward_gru"):
            keras_gru(source)
        with pytest.raises(UsageError, match=r"layer='nowhere': 0 GRUs .* have that name; there are first"):
            keras_gru(source, "nowhere")
    with pytest.raises(FileError, match="no GRU layer"):
        keras_gru(saved(k.Sequential([k.Input((3,)), k.layers.Dense(2)]), tmp_path / "dense.keras"))
    with pytest.raises(FileError, match="does not tell what its layers compute"):
        keras_gru(saved(one_layer(k), tmp_path / "one.weights.h5"))
    with pytest.raises(UsageError, match="0 weights of 3; build it"):
        keras_gru(k.layers.GRU(3))
    with pytest.raises(UsageError, match="expected the path of a model file"):
        keras_gru(object())


def test_a_v1_layer_and_a_cudnn_layer_are_whole_layers_too() -> None:
    k = keras_named("tf_keras")
    module: Any = import_module("tf_keras.src.layers.rnn.gru_v1")
    cudnn: Any = import_module("tf_keras.src.layers.rnn.cudnn_gru")
    before = module.GRU(4, name="rnn")
    before.build((None, None, 3))
    found = keras_gru(before)
    assert (found.spec, found.module) == (GRUSpec(units=4), "tf_keras")
    fast = randomised(k.Sequential([k.Input((None, 3)), cudnn.CuDNNGRU(4)]))
    plain = one_layer(k)
    weights = keras_gru(fast).weights
    assert keras_gru(fast).spec == GRUSpec(units=4, recurrent_activation="sigmoid", reset_after=True, implementation=2)
    with quiet():
        preprocess: Any = import_module("tf_keras.src.saving.legacy.hdf5_format").preprocess_weights_for_loading
        expected = preprocess(plain.layers[0], fast.get_weights())
    assert all((ours == theirs).all() for ours, theirs in zip(weights.values(), expected, strict=True))


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = saved(one_layer(keras_named("tf_keras")), tmp_path_factory.mktemp("archive") / "model.keras")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_compressed_archive_is_read_and_serves_as_template(members: dict[str, bytes], tmp_path: Path) -> None:
    packed = archive_of(tmp_path / "packed.keras", members, zipfile.ZIP_DEFLATED)
    plain = archive_of(tmp_path / "plain.keras", members)
    assert weights_of(packed) == weights_of(plain)
    target = KerasArchiveFormat()
    with open_file(packed) as template:
        arrays = {name: -values for name, values in read_arrays(template, template.grus[0]).items()}
        new = contents(written_gru(target, "any", arrays, "keras", "keras"), template=template)
        target.write(tmp_path / "new.keras", new)
    found = keras_gru(tmp_path / "new.keras")
    assert all((found.weights[name] == values).all() for name, values in arrays.items())


HOSTILE: dict[str, tuple[str, Any]] = {
    "metadata.json is missing": ("metadata.json", None),
    "leaves the archive": ("../../etc/x", b""),
    "has a name that leaves": ("/etc/x", b""),
    "more than the 2097152 bytes": ("config.json", b" " * (3 << 20)),
    r"model\.weights\.h5 has 134217728 bytes": ("model.weights.h5", bytes(1 << 27)),
    "config.json: not JSON": ("config.json", b'{"class_name": '),
    "config.json: not JSON that": ("config.json", b"[" * 100_000),
    "in place of a layer": ("config.json", b'{"class_name": 3}'),
    "keras_version is None": ("metadata.json", b"{}"),
    "units='many', expected a positive integer": ("units", "many"),
    "says units=7, its weights units=4": ("units", 7),
    "return_sequences='yes', expected true or false": ("return_sequences", "yes"),
    "nested deeper than 32": ("nested", None),
    "damaged: OSError": ("model.weights.h5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 2000),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_a_hostile_archive_is_refused_with_its_name(message: str, members: dict[str, bytes], tmp_path: Path) -> None:
    name, value = HOSTILE[message]
    changed = dict(members)
    if name in ("units", "return_sequences"):
        config = json.loads(members["config.json"])
        config["config"]["layers"][1]["config"][name] = value
        changed["config.json"] = json.dumps(config).encode()
    elif name == "nested":
        around, behind = b'{"class_name": "Sequential", "config": {"layers": [', b"]}}"
        changed["config.json"] = around * 40 + members["config.json"] + behind * 40
    elif value is None:
        del changed[name]
    else:
        changed[name] = value
    path = archive_of(tmp_path / "bad.keras", changed, zipfile.ZIP_DEFLATED)
    with pytest.raises(FileError, match=message) as caught:
        open_file(path, format="keras")
    assert str(path) in str(caught.value)


def test_a_changed_byte_of_a_stored_weight_is_noticed(members: dict[str, bytes], tmp_path: Path) -> None:
    path = archive_of(tmp_path / "bad.keras", members)
    data = bytearray(path.read_bytes())
    with open_file(path) as opened:
        kernel = opened.tensors[opened.grus[0].names["kernel"]].read().tobytes()
    data[data.index(kernel)] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"Bad CRC-32 for file 'model\.weights\.h5'"):
        open_file(path)
