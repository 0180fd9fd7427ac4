"""Files that tf_keras and Keras 3 write are read, and files that are written load into both."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from keras_models import (
    FLAVOURS,
    PATHS,
    contents,
    keras_named,
    live_arrays,
    nested_model,
    one_layer,
    randomised,
    read_arrays,
    saved,
    torch_gru,
    written_gru,
)

from gruspec.files import open_file
from gruspec.files.keras_h5 import KerasH5Format
from gruspec.files.keras_weights import KerasWeightsFormat
from gruspec.layouts import convert

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WHOLE = ("model.h5", "model.keras")
WEIGHTS = ("weights.h5", "all.weights.h5")
FORMATS = {"weights.h5": "keras-h5", "model.h5": "keras-h5", "all.weights.h5": "keras-weights", "model.keras": "keras"}


@pytest.fixture(scope="module", params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    keras_named(request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def k(flavour: str) -> Any:
    return keras_named(flavour)


@pytest.fixture(scope="module")
def model(k: Any) -> Any:
    k.backend.clear_session()
    return nested_model(k)


@pytest.fixture(scope="module")
def files(model: Any, flavour: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp(flavour)
    names = [name for name in FORMATS if not (flavour == "keras" and name == "weights.h5")]
    return {name: saved(model, folder / name) for name in names}


def layers_of(model: Any) -> dict[str, Any]:
    both, inner, cells = model.get_layer("both"), model.get_layer("inner"), model.get_layer("stack").cell.cells
    layers = (
        model.get_layer("first"),
        both.forward_layer,
        both.backward_layer,
        model.get_layer("each").layer,
        inner.get_layer("cells").cell,
        inner.get_layer("last"),
        *cells,
    )
    return dict(zip(PATHS, layers, strict=True))


def same(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> bool:
    return found.keys() == expected.keys() and all(found[name].tobytes() == expected[name].tobytes() for name in found)


@pytest.mark.parametrize("name", WHOLE)
def test_every_gru_of_a_whole_model_is_found_with_its_weights_and_arguments(
    name: str, files: dict[str, Path], model: Any
) -> None:
    with open_file(files[name]) as opened:
        found = {gru.path: gru for gru in opened.grus}
        assert opened.format == FORMATS[name]
        assert {path.rpartition("/")[0] for path in found} == {path.rpartition("/")[0] for path in PATHS}
        assert len(found) == len(PATHS)
        for (path, layer), gru in zip(layers_of(model).items(), (found_at(found, path) for path in PATHS), strict=True):
            config = layer.get_config()
            assert same(read_arrays(opened, gru), live_arrays(layer)), path
            assert (gru.reset_after, gru.use_bias) == (config["reset_after"], config["use_bias"]), path
            assert (gru.activation, gru.recurrent_activation) == ("tanh", "sigmoid"), path
        assert found["first"].options["go_backwards"] is True
        assert found["both/backward_gru"].options["go_backwards"] is True
        assert found["both/forward_gru"].options["zero_output_for_mask"] is True
        assert found["inner/cells"].options["return_sequences"] is True


def found_at(found: dict[str, Any], path: str) -> Any:
    """Return the GRU at a path; Keras numbers a layer without a name by how many were made before."""
    around = path.rpartition("/")[0]
    return found[path] if path in found else next(gru for name, gru in found.items() if name.startswith(f"{around}/"))


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_gru_of_a_weights_file_is_found_by_names_and_shapes(
    name: str, files: dict[str, Path], model: Any
) -> None:
    if name not in files:
        pytest.skip("Keras 3 writes weights in the other format alone")
    expected = [live_arrays(layer) for layer in layers_of(model).values()]
    with open_file(files[name]) as opened:
        found = [read_arrays(opened, gru) for gru in opened.grus]
        assert opened.format == FORMATS[name]
        assert len(found) == len(expected)
        assert all(any(same(one, other) for other in found) for one in expected)
        assert {(gru.activation, gru.recurrent_activation) for gru in opened.grus} == {(None, None)}
        assert [gru.reset_after for gru in opened.grus if gru.sizes and gru.sizes.input_size == 3].count(False) == 1
        assert [gru.reset_after for gru in opened.grus if not gru.use_bias] == [None]


def test_a_plain_weights_file_under_the_other_name_is_read_as_what_it_is(
    files: dict[str, Path], tmp_path: Path
) -> None:
    if "weights.h5" not in files:
        pytest.skip("Keras 3 writes weights in the other format alone")
    shutil.copy(files["weights.h5"], tmp_path / "plain.weights.h5")
    shutil.copy(files["all.weights.h5"], tmp_path / "numbered.h5")
    with open_file(tmp_path / "plain.weights.h5") as plain, open_file(tmp_path / "numbered.h5") as numbered:
        assert (plain.format, numbered.format) == ("keras-h5", "keras-weights")


def inputs_in_float32() -> NDArray[np.float64]:
    """Return inputs that the input layer, which is float32, keeps."""
    return np.random.default_rng(3).normal(size=(2, 6, 3)).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(("name", "use_bias"), [*((name, True) for name in FORMATS), ("model.keras", False)])
def test_a_saved_layer_computes_the_same_in_torch(
    name: str, k: Any, flavour: str, tmp_path: Path, *, use_bias: bool
) -> None:
    if flavour == "keras" and name == "weights.h5":
        pytest.skip("Keras 3 writes weights in the other format alone")
    torch: Any = pytest.importorskip("torch")
    model = one_layer(k, use_bias=use_bias, reset_after=True, dtype="float64")
    with open_file(saved(model, tmp_path / name)) as opened:
        (gru,) = opened.grus
        arrays = convert(read_arrays(opened, gru), gru.layout, "torch", reset_after=True).arrays
    inputs = inputs_in_float32()
    outputs, _ = torch_gru(arrays)(torch.from_numpy(inputs))
    np.testing.assert_allclose(outputs.detach().numpy(), np.asarray(model(inputs)), rtol=0, atol=1e-14)


def torch_module(units: int = 4, *, bias: bool = True) -> Any:
    torch: Any = pytest.importorskip("torch")
    torch.manual_seed(5)
    return torch.nn.GRU(3, units, batch_first=True, bias=bias, dtype=torch.float64)


def arrays_of(module: Any) -> dict[str, NDArray[Any]]:
    return {name: values.numpy() for name, values in module.state_dict().items()}


def check_same(model: Any, module: Any, expected: dict[str, NDArray[Any]]) -> None:
    torch: Any = import_module("torch")
    assert same(live_arrays(model), expected)
    inputs = inputs_in_float32()
    outputs, _ = module(torch.from_numpy(inputs))
    np.testing.assert_allclose(np.asarray(model(inputs)), outputs.detach().numpy(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_torch_weights_load_by_order_and_by_name(k: Any, tmp_path: Path, *, bias: bool) -> None:
    module, path, written = torch_module(bias=bias), tmp_path / "new.h5", KerasH5Format()
    written.write(path, contents(written_gru(written, "rnn", arrays_of(module), "torch", "keras")))
    expected = convert(arrays_of(module), "torch", "keras").arrays
    for name, by_name in (("rnn", True), ("other", False)):
        model = one_layer(k, use_bias=bias, dtype="float64", name=name)
        model.load_weights(str(path), by_name=by_name)
        check_same(model, module, expected)


@pytest.mark.parametrize("bias", [True, False])
def test_torch_weights_load_into_every_keras_from_numbered_variables(k: Any, tmp_path: Path, *, bias: bool) -> None:
    module, path, written = torch_module(bias=bias), tmp_path / "new.weights.h5", KerasWeightsFormat()
    written.write(path, contents(written_gru(written, "gru", arrays_of(module), "torch", "keras")))
    model = one_layer(k, use_bias=bias, dtype="float64")
    model.load_weights(str(path))
    check_same(model, module, convert(arrays_of(module), "torch", "keras").arrays)


PLACES = {"keras-h5": "bidirectional/{}_gru", "keras-weights": "bidirectional/{}_layer"}


@pytest.mark.parametrize("written", [KerasH5Format(), KerasWeightsFormat()], ids=lambda written: written.name)
def test_two_directions_a_layer_between_and_another_gru_load_into_their_places(
    written: Any, k: Any, tmp_path: Path
) -> None:
    layers = k.layers
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True, name="gru"), name="bidirectional")
    dense, last = layers.Dense(3), layers.GRU(4, name="last")
    model = k.Sequential([k.Input((None, 3)), both, dense, last])
    kept = dense.get_weights()
    arrays = {name: values.astype("float32") for name, values in arrays_of(torch_module()).items()}
    paths = [PLACES[written.name].format(direction) for direction in ("forward", "backward")]
    paths.append("last" if written.name == "keras-h5" else "gru")
    grus = []
    for number, path in enumerate(paths, 1):
        scaled = {name: values * np.float32(number) for name, values in arrays.items()}
        grus.append(written_gru(written, path, scaled, "torch", "keras"))
    place = tmp_path / f"new{written.suffixes[0]}"
    if written.name == "keras-h5":
        written.write(place, contents(*grus))
        model.load_weights(str(place), by_name=True)
    else:
        others = {f"layers/dense/vars/{number}": values for number, values in enumerate(kept)}
        written.write(place, contents(*grus, others=others))
        model.load_weights(str(place))
    for layer, gru in zip((both.forward_layer, both.backward_layer, last), grus, strict=True):
        assert same(live_arrays(layer), {array: entry.array() for array, entry in gru.arrays.items()})
    assert all((now == then).all() for now, then in zip(dense.get_weights(), kept, strict=True))


def test_weights_of_a_whole_model_go_on_in_the_order_of_its_layers(k: Any, tmp_path: Path) -> None:
    model = k.Sequential(
        [k.Input((None, 3)), k.layers.LSTM(2, return_sequences=True), k.layers.GRU(4), k.layers.Dense(2)]
    )
    written, place = KerasH5Format(), tmp_path / "new.h5"
    with open_file(saved(model, tmp_path / "model.h5")) as opened:
        (gru,) = opened.grus
        doubled = {array: values * 2 for array, values in read_arrays(opened, gru).items()}
        taken = set(gru.names.values())
        others = {name: tensor.read() for name, tensor in opened.tensors.items() if name not in taken}
        new = written_gru(written, gru.path, doubled, "keras", "keras")
        written.write(place, replace(contents(new, others=others), metadata=opened.metadata))
    before = model.get_weights()
    model.set_weights([values * 0 for values in before])
    model.load_weights(str(place))
    factors = [1, 1, 1, 2, 2, 2, 1, 1]
    assert all((a == b * factor).all() for a, b, factor in zip(model.get_weights(), before, factors, strict=True))


@pytest.mark.parametrize("kind", ["weights.h5", "model.h5"])
def test_cudnn_weights_are_told_from_others_and_compute_the_same_in_torch(kind: str, tmp_path: Path) -> None:
    k = keras_named("tf_keras")
    cudnn: Any = import_module("tf_keras.src.layers.rnn.cudnn_gru").CuDNNGRU
    model = randomised(
        k.Sequential([k.Input((None, 3)), cudnn(4, return_sequences=True, dtype="float64", name="fast")])
    )
    with open_file(saved(model, tmp_path / kind)) as opened:
        (gru,) = opened.grus
        assert (gru.path, gru.layouts, gru.reset_after) == ("fast", ("cudnn-gru",), True)
        assert gru.recurrent_activation == ("sigmoid" if kind == "model.h5" else None)
        arrays = read_arrays(opened, gru)
    plain = one_layer(k, name="fast", dtype="float64")
    plain.load_weights(str(tmp_path / kind))
    check_same(
        plain, torch_gru(convert(arrays, "cudnn-gru", "torch").arrays), convert(arrays, "cudnn-gru", "keras").arrays
    )


def test_cudnn_weights_that_are_written_load_into_tf_keras(tmp_path: Path) -> None:
    k = keras_named("tf_keras")
    module, written, place = torch_module(), KerasH5Format(), tmp_path / "new.h5"
    written.write(place, contents(written_gru(written, "fast", arrays_of(module), "torch", "cudnn-gru")))
    model = one_layer(k, name="fast", dtype="float64")
    model.load_weights(str(place))
    check_same(model, module, convert(arrays_of(module), "torch", "keras").arrays)
