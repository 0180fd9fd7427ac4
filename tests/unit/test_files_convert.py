import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import gruspec
from gruspec.errors import FileError, GruspecError, RefusedConversion, RefusedFile, SpecTypeError, UsageError
from gruspec.files import (
    Checkpoint,
    Contents,
    Format,
    FormatRegistry,
    Told,
    WrittenGRU,
    certificate,
    convert_file,
    inspect_file,
    open_file,
    write_certificate,
)
from gruspec.files.certificate import schema
from gruspec.files.format import GROUP
from gruspec.files.planning import Wish, plan_file
from gruspec.files.renaming import Renames
from gruspec.files.safetensors import SafetensorsFormat
from gruspec.layouts import Exactness, layout_named

Arrays = dict[str, np.ndarray[Any, Any]]
RNG = np.random.default_rng(11)


def bits(*shape: int) -> np.ndarray[Any, Any]:
    """Return float32 values of every kind: NaN with payloads, infinities, zeros of both signs, subnormal numbers."""
    return RNG.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)


def keras(inputs: int, units: int, draw: Callable[..., np.ndarray[Any, Any]] = bits) -> Arrays:
    return {
        "kernel": draw(inputs, 3 * units),
        "recurrent_kernel": draw(units, 3 * units),
        "bias": draw(2, 3 * units),
    }


def normal(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.standard_normal(shape).astype(np.float32)


def as_torch(weights: Arrays) -> Arrays:
    """Write what people write: split z, r, h, swap, transpose, concatenate."""

    def moved(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        update, reset, candidate = np.split(values, 3, -1)
        return np.ascontiguousarray(np.concatenate([part.T for part in (reset, update, candidate)]))

    return {
        "weight_ih_l0": moved(weights["kernel"]),
        "weight_hh_l0": moved(weights["recurrent_kernel"]),
        "bias_ih_l0": moved(weights["bias"][0]),
        "bias_hh_l0": moved(weights["bias"][1]),
    }


def below(path: str, arrays: Arrays) -> Arrays:
    return {path + name: values for name, values in arrays.items()}


def same(one: Arrays, other: Arrays) -> bool:
    return set(one) == set(other) and all(
        (one[name].dtype, one[name].shape, one[name].tobytes())
        == (other[name].dtype, other[name].shape, other[name].tobytes())
        for name in one
    )


ENCODER, DECODER = keras(3, 4), keras(100, 70)
OTHERS = {"head/w": normal(4, 5), "head/empty": np.zeros((0, 2)), "step": np.array(7, np.int64)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "keras.safetensors"
    save_file(below("model/enc/", ENCODER) | OTHERS | below("model/dec/", DECODER), path, {"format": "np"})
    return path


def test_grus_are_converted_bit_for_bit_and_the_rest_is_carried_over(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "torch.safetensors"
    result = convert_file(source, target, "torch")
    expected = below("model/enc.", as_torch(ENCODER)) | below("model/dec.", as_torch(DECODER)) | OTHERS
    assert same(load_file(target), expected)
    with safe_open(target, "np") as opened:
        assert opened.metadata() == {"format": "np"}
    assert [gru.exactness for gru in result.grus] == [Exactness.EXACT] * 2
    assert [(gru.source_path, gru.path) for gru in result.grus] == [("model/dec",) * 2, ("model/enc",) * 2]
    assert set(result.carried) == set(OTHERS)
    assert not result.left
    assert result.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert result.target_sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keras.safetensors", "torch.safetensors"]


@pytest.mark.parametrize("layout", ["torch", "onnx", "cudnn-gru", "webnn-rzn", "cudnn", "paddle"])
@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_there_and_back_is_the_same_file(source: Path, tmp_path: Path, layout: str, ending: str) -> None:
    there, back = tmp_path / f"there.{ending}", tmp_path / "back.safetensors"
    convert_file(source, there, layout, layers=["model/enc"])
    grus = inspect_file(there)
    names = [each.gru.path for each in grus if layout in each.gru.layouts]
    convert_file(
        there,
        back,
        "keras",
        layers=names,
        source_layout=layout,
        units=4,
        reset_after=True if layout != "torch" else None,
    )
    assert same(load_file(back), load_file(source))


def test_torch_loads_what_was_converted(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save_file(below("rnn/", keras(3, 4, normal)), tmp_path / "keras.safetensors")
    convert_file(tmp_path / "keras.safetensors", tmp_path / "torch.safetensors", "torch")
    layer = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 4)})
    arrays = load_file(tmp_path / "torch.safetensors")
    layer.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()}, strict=True)


def test_names_choose_grus_and_the_others_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    convert_file(source, tmp_path / "one.safetensors", "torch", layers=["*/dec"])
    expected = below("model/enc/", ENCODER) | below("model/dec.", as_torch(DECODER)) | OTHERS
    assert same(load_file(tmp_path / "one.safetensors"), expected)
    with pytest.raises(UsageError, match=r"layers='model/other'.*'model/dec', 'model/enc'"):
        convert_file(source, tmp_path / "two.safetensors", "torch", layers=["model/enc", "model/other"])


def test_paths_and_names_are_renamed(source: Path, tmp_path: Path) -> None:
    rules = ["model/enc=encoder.rnn", "model/=", "head=out", "step=count"]
    result = convert_file(source, tmp_path / "a.safetensors", "torch", rename=rules)
    expected = below("encoder.rnn.", as_torch(ENCODER)) | below("dec.", as_torch(DECODER))
    expected |= {"out/w": OTHERS["head/w"], "out/empty": OTHERS["head/empty"], "count": OTHERS["step"]}
    assert same(load_file(tmp_path / "a.safetensors"), expected)
    assert result.carried == {"head/w": "out/w", "head/empty": "out/empty", "step": "count"}


@pytest.mark.parametrize("rule", ["nothing=x", "ste=x", "head", "=x"])
def test_rules_that_fit_nothing_are_refused(source: Path, tmp_path: Path, rule: str) -> None:
    with pytest.raises(UsageError, match="rename="):
        convert_file(source, tmp_path / "a.safetensors", "torch", rename=[rule])


@pytest.mark.parametrize("rules", [["model/enc=x", "model/dec=x"], ["head/w=model/enc.bias_ih_l0"]])
def test_no_name_is_written_twice(source: Path, tmp_path: Path, rules: list[str]) -> None:
    with pytest.raises(RefusedFile, match=r"bias_ih_l0.*: would be written twice"):
        convert_file(source, tmp_path / "a.safetensors", "torch", rename=rules)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_refusals_of_all_grus_are_told_together_and_nothing_is_written(tmp_path: Path) -> None:
    grus = below("a/", keras(2, 3, normal)) | below("b/", keras(2, 3, normal))
    harmless = keras(2, 3, normal) | {"bias": np.zeros((2, 9), np.float32)}
    save_file(grus | below("c/", harmless), tmp_path / "a.safetensors")
    with pytest.raises(RefusedConversion) as raised:
        convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "nnx", allow_folding=True)
    assert {reason.partition(":")[0] for reason in raised.value.reasons} == {"a", "b"}
    assert "candidate" in str(raised.value)
    assert "torch" in raised.value.could
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_different_errors_are_told_together(tmp_path: Path) -> None:
    without = {name: values for name, values in keras(2, 3).items() if name != "bias"}
    save_file(below("a/", without) | below("b/", keras(2, 3, normal)), tmp_path / "a.safetensors")
    with pytest.raises(GruspecError, match=r"a: reset_after=None.*; b: haiku cannot hold"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "haiku")


def stacked(path: Path) -> Arrays:
    arrays: Arrays = {}
    for layer in range(2):
        for suffix in ("", "_reverse"):
            cell = as_torch(keras(8 if layer else 3, 4))
            arrays |= {name.replace("l0", f"l{layer}{suffix}"): values for name, values in cell.items()}
    save_file(below("rnn.", arrays), path)
    return arrays


def test_a_stack_is_split_for_a_layout_of_one_layer(tmp_path: Path) -> None:
    arrays = stacked(tmp_path / "a.safetensors")
    result = convert_file(tmp_path / "a.safetensors", tmp_path / "b.npz", "keras")
    assert [gru.path for gru in result.grus] == ["rnn_l0", "rnn_l0_reverse", "rnn_l1", "rnn_l1_reverse"]
    assert [gru.cells for gru in result.grus] == [((0, 0),), ((0, 1),), ((1, 0),), ((1, 1),)]
    assert "keras holds one layer in one direction: rnn was split into 4" in result.grus[0].notes
    with np.load(tmp_path / "b.npz") as written:
        for gru in result.grus:
            cell = as_torch({name: written[f"{gru.path}/{name}"] for name in ("kernel", "recurrent_kernel", "bias")})
            suffix = gru.path.removeprefix("rnn_")
            assert same(cell, {name: arrays[name.replace("l0", suffix)] for name in cell})


def test_a_stack_is_split_by_layers_for_a_layout_of_both_directions(tmp_path: Path) -> None:
    arrays = stacked(tmp_path / "a.safetensors")
    result = convert_file(tmp_path / "a.safetensors", tmp_path / "b.npz", "onnx")
    assert [gru.path for gru in result.grus] == ["rnn_l0", "rnn_l1"]
    assert result.grus[1].sizes == (8, 4, 1, 2)
    with np.load(tmp_path / "b.npz") as written:
        reset, update, candidate = np.split(arrays["weight_hh_l1_reverse"], 3)
        assert np.array_equal(written["rnn_l1/R"][1].view("u4"), np.concatenate([update, reset, candidate]).view("u4"))


def test_a_gru_without_a_path_is_split_under_a_name(tmp_path: Path) -> None:
    stacked(tmp_path / "a.safetensors")
    convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "torch", rename=["rnn="])
    result = convert_file(tmp_path / "b.safetensors", tmp_path / "c.npz", "keras", layers=[""])
    assert [gru.path for gru in result.grus][:2] == ["gru_l0", "gru_l0_reverse"]


def test_what_the_file_does_not_tell_has_to_be_given(tmp_path: Path) -> None:
    weights = {name: values for name, values in keras(2, 3, normal).items() if name != "bias"}
    save_file(below("a/", weights), tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="reset_after=None"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "torch")
    result = convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "torch", reset_after=True)
    assert not result.grus[0].use_bias
    with pytest.raises(RefusedConversion, match="reset_after=False"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "c.safetensors", "torch", reset_after=False)


def test_what_the_file_tells_is_not_to_be_contradicted(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reset_after=False: the file says True for model/enc"):
        convert_file(source, tmp_path / "a.safetensors", "torch", reset_after=False, layers=["model/enc"])
    with pytest.raises(UsageError, match="source_layout='onnx': model/enc is in keras"):
        convert_file(source, tmp_path / "a.safetensors", "torch", source_layout="onnx", layers=["model/enc"])


def test_one_vector_needs_its_sizes(tmp_path: Path) -> None:
    arrays = stacked(tmp_path / "a.safetensors")
    convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "cudnn")
    (vector,) = load_file(tmp_path / "b.safetensors").values()
    np.savez(tmp_path / "b.npz", params=vector)
    with pytest.raises(UsageError, match="units=None"):
        convert_file(tmp_path / "b.npz", tmp_path / "c.safetensors", "torch")
    convert_file(tmp_path / "b.npz", tmp_path / "c.safetensors", "torch", units=4, stack=(2, 2))
    assert same(load_file(tmp_path / "c.safetensors"), arrays)


def test_activations_that_the_layout_cannot_have_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedConversion, match="recurrent_activation='hard_sigmoid'"):
        convert_file(source, tmp_path / "a.safetensors", "torch", recurrent_activation="hard_sigmoid")


def test_folding_is_asked_for_and_bounded(tmp_path: Path) -> None:
    small = {name: values / 8 for name, values in keras(2, 3, normal).items()}
    save_file(small, tmp_path / "a.safetensors")
    with pytest.raises(RefusedConversion, match="allow_folding"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "linen")
    result = convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "linen", allow_folding=True)
    assert result.grus[0].exactness is Exactness.FOLDED
    bounds = list(result.grus[0].folding.values())
    assert list(result.grus[0].folding) == [1, 16, 256]
    assert 0 < bounds[0] <= bounds[1] <= bounds[2]
    written = load_file(tmp_path / "b.safetensors")
    assert np.array_equal(written["ir/bias"], small["bias"][0, 3:6] + small["bias"][1, 3:6])


def test_another_dtype_is_for_grus_alone(tmp_path: Path) -> None:
    weights = keras(2, 3, normal)
    save_file(below("a/", weights) | {"x": weights["kernel"]}, tmp_path / "a.safetensors")
    result = convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "torch", dtype="float16")
    assert result.grus[0].exactness is Exactness.ROUNDED
    written = load_file(tmp_path / "b.safetensors")
    assert written["x"].tobytes() == weights["kernel"].tobytes()
    expected = {name: values.astype(np.float16) for name, values in below("a.", as_torch(weights)).items()}
    assert same({name: written[name] for name in expected}, expected)
    weights["kernel"][0, 0] = 1e6
    save_file(weights, tmp_path / "c.safetensors")
    with pytest.raises(SpecTypeError, match="infinite"):
        convert_file(tmp_path / "c.safetensors", tmp_path / "d.safetensors", "torch", dtype="float16")


def test_what_the_target_cannot_hold_is_left_and_named(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"text": np.array(["a"]), "gru/x": np.ones(2), **below("gru/", keras(2, 3))}
    np.savez(tmp_path / "a.npz", **arrays)
    result = convert_file(tmp_path / "a.npz", tmp_path / "b.safetensors", "torch")
    assert result.left == {"text": "safetensors has no dtype <U1"}
    assert "text" not in load_file(tmp_path / "b.safetensors")
    back = convert_file(tmp_path / "b.safetensors", tmp_path / "c.npz", "keras")
    assert not back.left


@pytest.mark.parametrize("kind", ["same", "link", "hard link"])
def test_a_file_is_not_converted_onto_itself(source: Path, tmp_path: Path, kind: str) -> None:
    before = source.read_bytes()
    target = source if kind == "same" else tmp_path / "other.safetensors"
    if kind == "link":
        target.symlink_to(source)
    if kind == "hard link":
        os.link(source, target)
    with pytest.raises(RefusedFile, match="is the source"):
        convert_file(source, target, "torch", force=True)
    assert source.read_bytes() == before


def test_no_file_of_a_source_of_several_is_replaced(source: Path, tmp_path: Path, checkpoint: type[Format]) -> None:
    target = tmp_path / "several" / "data"
    before = target.read_bytes()
    assert checkpoint().recognises(target.parent)
    for path in (target, target.parent):
        with pytest.raises(RefusedFile, match="the source"):
            convert_file(target.parent, path, "torch", source_format="several", target_format="safetensors", force=True)
    with pytest.raises(RefusedFile, match="is the template"):
        convert_file(source, target.parent, "torch", target_format="several", template=target.parent, force=True)
    with pytest.raises(RefusedFile, match="the source is in this folder"):
        convert_file(source, tmp_path, "torch", target_format="several", force=True)
    assert target.read_bytes() == before


def test_only_folders_of_the_format_are_replaced(source: Path, tmp_path: Path, checkpoint: type[Format]) -> None:
    precious, old, empty = (tmp_path / name for name in ("precious", "several", "empty"))
    precious.mkdir()
    (precious / "thesis.tex").touch()
    empty.mkdir()
    for name in ("several", "safetensors"):
        with pytest.raises(RefusedFile, match="is a folder, and no checkpoint of format"):
            convert_file(source, precious, "torch", target_format=name, force=True)
    assert [path.name for path in precious.iterdir()] == ["thesis.tex"]
    for path in (old, empty):
        convert_file(source, path, "torch", target_format=checkpoint.name, force=True)
        assert "model/enc.bias_ih_l0" in load_file(path / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["precious", "several", "empty", source.name])


def test_folder_comes_back_where_the_new_one_cannot_take_its_place(
    source: Path, tmp_path: Path, checkpoint: type[Format], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "several"
    before = (old / "data").read_bytes()
    move = Path.replace

    def failing(path: Path, target: Path) -> Path:
        if path.parent.name.endswith(".unfinished"):
            raise OSError(5, "Input/output error")
        return move(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(FileError, match="cannot be written"):
        convert_file(source, old, "torch", target_format=checkpoint.name, force=True)
    assert (old / "data").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["several", source.name])


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Format]:
    """A format of folders, and a checkpoint of it, ``several``."""

    class Several(SafetensorsFormat):
        name = "several"
        suffixes = ()
        folder = True
        sequential = False
        states = frozenset({"reset_after"})

        def recognises(self, path: Path) -> bool:
            return (path / "data").is_file()

        def read(self, path: Path) -> Checkpoint:
            return replace(super().read(path / "data"), path=path, format=self.name, files=(path / "data",))

        def write(self, path: Path, contents: Contents) -> None:
            path.mkdir()
            super().write(path / "data", replace(contents, template=None))

        def stated(self, gru: WrittenGRU) -> tuple[str, ...]:
            return (f"tanh was written for {gru.path}",)

    registered = FormatRegistry([EntryPoint("several", f"{__name__}:Several", GROUP)])
    monkeypatch.setitem(globals(), "Several", Several)
    for module in ("registry", "conversion"):
        monkeypatch.setattr(f"gruspec.files.{module}.formats", lambda: registered)
    (tmp_path / "several").mkdir()
    save_file(below("gru/", keras(2, 3)), tmp_path / "several" / "data")
    return Several


def test_what_a_format_states_needs_no_note_and_what_it_makes_up_does(
    source: Path, tmp_path: Path, checkpoint: type[Format]
) -> None:
    told = convert_file(source, tmp_path / "a", "onnx", target_format=checkpoint.name, layers=["model/enc"])
    assert "tanh was written for model/enc" in told.grus[0].notes
    assert not any("variant" in note for note in told.grus[0].notes)
    kept = convert_file(
        source, tmp_path / "b", "onnx", target_format=checkpoint.name, template=tmp_path / "a", layers=["model/enc"]
    )
    assert "tanh was written for model/enc" not in kept.grus[0].notes
    untold = convert_file(source, tmp_path / "a.npz", "onnx", layers=["model/enc"])
    assert any("do not tell the variant" in note for note in untold.grus[0].notes)


def test_time_major_is_no_news_of_an_operator_of_onnx(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    convert_file(source, tmp_path / "a.onnx", "onnx", layers=["model/enc"])
    result = convert_file(tmp_path / "a.onnx", tmp_path / "a.npz", "keras", layers=["model/enc"])
    assert not any("time_major" in note for note in result.grus[0].notes)


def test_certificate_of_what_is_replaced_is_removed(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    write_certificate(convert_file(source, target, "torch"))
    convert_file(source, target, "torch", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.safetensors", source.name])


def test_tensors_that_another_gru_shares_are_carried_over(tmp_path: Path) -> None:
    weights = keras(3, 4)
    arrays = below("a/", weights) | below("b/", weights)
    save_file(arrays, tmp_path / "a.safetensors")
    with open_file(tmp_path / "a.safetensors") as read:
        first, second = read.grus
        shared = replace(second, names={**second.names, "kernel": first.names["kernel"]})
        plan = plan_file(
            replace(read, grus=(first, shared)),
            SafetensorsFormat(),
            Wish(layout_named("torch"), Told()),
            layers=["a"],
            renames=Renames([]),
            template=None,
        )
        assert "a/kernel" in plan.carried
        assert "a/bias" not in plan.carried


def test_gate_order_that_no_name_tells_has_to_be_given(tmp_path: Path) -> None:
    keras_weights = keras(3, 4, normal)
    save_file(below("g/", keras_weights), tmp_path / "a.safetensors")
    convert_file(tmp_path / "a.safetensors", tmp_path / "b.npz", "webnn-rzn")
    with pytest.raises(UsageError, match=r"source_layout=None: .* g can be in webnn-zrn or webnn-rzn, and are another"):
        convert_file(tmp_path / "b.npz", tmp_path / "c.safetensors", "keras", reset_after=True)
    convert_file(
        tmp_path / "b.npz", tmp_path / "c.safetensors", "keras", source_layout="webnn-rzn", reset_after=True
    )  # fmt: skip
    assert same(load_file(tmp_path / "c.safetensors"), below("g/", keras_weights))


def test_cell_without_bias_has_to_be_told(tmp_path: Path) -> None:
    torch = {name: values for name, values in as_torch(keras(3, 4, normal)).items() if name.startswith("weight")}
    save_file({name.removesuffix("_l0"): values for name, values in torch.items()}, tmp_path / "a.safetensors")
    (gru,) = inspect_file(tmp_path / "a.safetensors")
    assert {"torch-cell", "equinox", "coreml"} <= set(gru.gru.layouts)
    with pytest.raises(UsageError, match=r"torch-cell or .*coreml"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "b.npz", "keras")
    convert_file(tmp_path / "a.safetensors", tmp_path / "b.npz", "keras", source_layout="torch-cell")


def test_layouts_that_are_one_gru_need_not_be_told(tmp_path: Path) -> None:
    save_file(below("g.", as_torch(keras(3, 4))), tmp_path / "a.safetensors")
    (gru,) = inspect_file(tmp_path / "a.safetensors")
    assert set(gru.gru.layouts) == {"torch", "paddle"}
    convert_file(tmp_path / "a.safetensors", tmp_path / "b.npz", "keras")


def test_vector_that_may_be_a_gru_is_taken_for_one_only_if_asked(tmp_path: Path) -> None:
    save_file(below("g/", keras(3, 4)) | {"head/params": normal(54)}, tmp_path / "a.safetensors")
    result = convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "torch")
    assert [gru.path for gru in result.grus] == ["g"]
    assert "head/params" in result.carried
    assert any(note.startswith("head/params may hold a GRU of layout") for note in result.grus[0].notes)
    with pytest.raises(UsageError, match="units=None"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "c.safetensors", "torch", layers=["head"])
    vector = inspect_file(tmp_path / "a.safetensors")[-1].gru
    asked = convert_file(
        tmp_path / "a.safetensors", tmp_path / "c.safetensors", "torch",
        layers=["head"], units=3, source_layout=vector.layout,
    )  # fmt: skip
    assert [gru.path for gru in asked.grus] == ["head"]


def test_nothing_is_overwritten_unasked(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    target.write_bytes(b"precious")
    with pytest.raises(RefusedFile, match="exists already"):
        convert_file(source, target, "torch")
    assert target.read_bytes() == b"precious"
    convert_file(source, target, "torch", force=True)
    assert "model/enc.bias_ih_l0" in load_file(target)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("after", [0.0, 0.4, 0.99])
def test_an_interruption_leaves_nothing(
    source: Path, tmp_path: Path, interruption: type[BaseException], after: float
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done >= after * total:
            raise interruption

    with pytest.raises(interruption):
        convert_file(source, tmp_path / "a.safetensors", "torch", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_progress_counts_what_is_written_and_read_back(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert_file(source, tmp_path / "a.safetensors", "torch", progress=lambda *step: seen.append(step))
    total = 2 * sum(values.nbytes for values in load_file(source).values())
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", ["model/enc.weight_hh_l0", "model/dec.bias_hh_l0", "head/w", "step"])
def test_a_file_that_does_not_read_back_as_it_was_meant_does_not_appear(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write = SafetensorsFormat.write

    def damaging(self: SafetensorsFormat, path: Path, contents: Contents) -> None:
        write(self, path, contents)
        data = bytearray(path.read_bytes())
        with open_file(path) as checkpoint:
            values = checkpoint.tensors[name].read().tobytes()
        data[data.index(values) + len(values) - 1] ^= 1
        path.write_bytes(data)

    monkeypatch.setattr(SafetensorsFormat, "write", damaging)
    with pytest.raises(FileError, match="is not what was written") as raised:
        convert_file(source, tmp_path / "a.safetensors", "torch")
    assert str(tmp_path / "a.safetensors") in str(raised.value)
    assert "unfinished" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_full_disk_is_an_error_that_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: SafetensorsFormat, path: Path, _contents: Contents) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(SafetensorsFormat, "write", full)
    with pytest.raises(FileError, match=r"a\.safetensors: cannot be written: .*No space left"):
        convert_file(source, tmp_path / "a.safetensors", "torch")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_name_that_no_file_can_have_is_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / ("a" * 250 + ".safetensors")
    with pytest.raises(FileError, match=r"cannot be written: .*name too long"):
        convert_file(source, target, "torch")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_source_that_changes_meanwhile_is_refused(source: Path, tmp_path: Path) -> None:
    touched = iter([True])

    def change(_done: int, _total: int) -> None:
        if next(touched, False):
            os.utime(source, (1, 1))

    with pytest.raises(FileError, match="changed while it was read"):
        convert_file(source, tmp_path / "a.safetensors", "torch", progress=change)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_file_without_grus_says_what_is_in_it(tmp_path: Path) -> None:
    save_file({"x": np.ones(2)}, tmp_path / "a.safetensors")
    with pytest.raises(RefusedFile, match="no GRU is in it; its tensors are x"):
        convert_file(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "torch")


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_formats_without_structure_need_no_template(source: Path, tmp_path: Path, ending: str) -> None:
    convert_file(source, tmp_path / f"a.{ending}", "torch")
    with pytest.raises(RefusedFile, match="no template is needed"):
        convert_file(source, tmp_path / f"b.{ending}", "torch", template=tmp_path / f"a.{ending}")
    assert not (tmp_path / f"b.{ending}").exists()


def test_certificates_are_what_their_schema_says(source: Path, tmp_path: Path) -> None:
    result = convert_file(source, tmp_path / "a.safetensors", "torch", rename=["step=count"])
    path = write_certificate(result, {"status": "verified"})
    assert path == tmp_path / "a.safetensors.gruspec.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written == certificate(result, {"status": "verified"})
    check = jsonschema.Draft202012Validator(schema())
    check.check_schema(schema())
    check.validate(written)
    assert written["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert written["carried"]["step"] == "count"
    assert written["versions"]["gruspec"] == gruspec.__version__
    with pytest.raises(RefusedFile, match="exists already"):
        write_certificate(result)
    for damaged in ({**written, "read_back": "roughly"}, {**written, "more": 1}, {**written, "grus": []}):
        assert not check.is_valid(damaged)


def test_inspection_tells_what_grus_can_become(tmp_path: Path) -> None:
    before = keras(2, 3, normal) | {"bias": normal(9)}
    without = {name: values for name, values in keras(2, 3, normal).items() if name != "bias"}
    arrays = below("a/", before) | below("b/", without) | below("c/", keras(2, 3, normal))
    save_file(arrays, tmp_path / "a.safetensors")
    told = {each.gru.path: each for each in inspect_file(tmp_path / "a.safetensors")}
    assert told["a"].becomes["haiku"] == "exact"
    assert told["a"].becomes["torch"] == "reset_after=False: it has reset_after=True only"
    assert told["b"].becomes["torch"] == (
        "reset_after=True: exact; reset_after=False: reset_after=False: it has reset_after=True only"
    )
    assert told["b"].becomes["onnx"] == "exact"
    assert told["c"].becomes["linen"] == "folded"
    assert "candidate is not zero" in told["c"].becomes["nnx"]
    known = inspect_file(tmp_path / "a.safetensors", told=Told(recurrent_activation="hard_sigmoid"))
    assert "recurrent_activation='hard_sigmoid'" in known[2].becomes["torch"]


def test_the_package_has_the_calls() -> None:
    assert gruspec.convert_file is convert_file
    result = gruspec.convert(keras(2, 3), "keras", "torch")
    assert sorted(result.arrays) == ["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"]
