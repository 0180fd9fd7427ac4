from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from file_mutations import damaged_reads
from memory_peak import peak, reset_peak

from gruspec.errors import FileError, RefusedFile
from gruspec.files import Contents, Entry, WrittenGRU
from gruspec.layouts import Sizes, convert, layout_named
from gruspec.spec import ACTIVATIONS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
ml_dtypes = pytest.importorskip("ml_dtypes")

from gruspec_onnx import storing  # noqa: E402  after what may be missing
from gruspec_onnx.files import OnnxFormat  # noqa: E402
from gruspec_onnx.model import Structure, gru_model  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = OnnxFormat()
make_node, make_tensor = onnx.helper.make_node, onnx.helper.make_tensor
SIZES = Sizes(3, 4)


def weights(
    sizes: Sizes = SIZES, *, bias: bool = True, dtype: Any = np.float32, seed: int = 0
) -> dict[str, np.ndarray[Any, Any]]:
    """Return arrays in the layout of the operator."""
    values = np.random.default_rng(seed)
    d, u = sizes.directions, sizes.units
    shapes = {"W": (d, 3 * u, sizes.input_size), "R": (d, 3 * u, u), **({"B": (d, 6 * u)} if bias else {})}
    return {name: values.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def entry(name: str, values: np.ndarray[Any, Any]) -> Entry:
    return Entry(name, values.shape, values.dtype, lambda written: np.copyto(written, values))


def written(
    arrays: Mapping[str, np.ndarray[Any, Any]], path: str = "encoder/gru", sizes: Sizes = SIZES, **facts: Any
) -> WrittenGRU:
    named = {name: entry(f"{path}/{name}" if path else name, values) for name, values in arrays.items()}
    known: dict[str, Any] = {"layout": "onnx", "reset_after": True, "use_bias": "B" in arrays} | facts
    return WrittenGRU(path=path, arrays=named, sizes=sizes, **known)


def run(path: Path, feeds: Mapping[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found: list[np.ndarray[Any, Any]] = session.run(None, dict(feeds))
    return found


def operator(arrays: Mapping[str, np.ndarray[Any, Any]], feeds: Mapping[str, Any], folder: Path, **facts: Any) -> Any:
    """Run the bare operator in one direction, with weights as inputs."""
    lengths = "sequence_lens" in feeds
    structure = Structure(units=4, use_bias="B" in arrays, lengths=lengths, initial_state=True, **facts)
    onnx.save(gru_model(structure), folder / "operator.onnx")
    return run(folder / "operator.onnx", {**arrays, **feeds})


def saved(path: Path, nodes: list[Any], initialisers: Mapping[str, np.ndarray[Any, Any]], **more: Any) -> Path:
    """Write a model with onnx itself: inputs ``X`` and ``flag``, output ``Y`` of the last node."""
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "made",
        [
            onnx.helper.make_tensor_value_info("X", real, ["T", "B", 3]),
            onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, []),
        ],
        [onnx.helper.make_tensor_value_info("Y", real, ["T", "directions", "B", "u"])],
        [onnx.numpy_helper.from_array(values, name) for name, values in initialisers.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("local", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8, **more), path)
    return path


def exported(path: Path, seed: int, *, fold: bool = True, as_inputs: bool = False, **arguments: Any) -> Any:
    """Export a GRU behind a linear layer of PyTorch, which the seed leaves as it is; return the module."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)

    class Model(torch.nn.Module):  # type: ignore[name-defined,misc]  # it may be missing
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Linear(3, 3)
            torch.manual_seed(seed)
            self.rnn = torch.nn.GRU(3, 4, **arguments)

        def forward(self, inputs: Any) -> Any:
            return self.rnn(self.first(inputs))[0]

    module = Model().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no other package is deprecated
        torch.onnx.export(
            module,
            (torch.zeros(5, 1, 3),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["X"],
            do_constant_folding=fold,
            keep_initializers_as_inputs=as_inputs,
        )
    return module


@pytest.mark.parametrize(
    ("fold", "arguments"),
    [
        (True, {"num_layers": 2, "bidirectional": True}),
        (False, {"num_layers": 2, "bidirectional": True}),
        (True, {"bias": False, "batch_first": True}),
        (True, {"as_inputs": True}),
    ],
)
def test_what_pytorch_exports_has_the_weights_of_the_module(
    tmp_path: Path, *, fold: bool, arguments: dict[str, Any]
) -> None:
    module = exported(tmp_path / "model.onnx", 0, fold=fold, **arguments)
    assert FORMAT.recognises(tmp_path / "model.onnx")
    layers = arguments.get("num_layers", 1)
    with FORMAT.read(tmp_path / "model.onnx") as checkpoint:
        assert [gru.path for gru in checkpoint.grus] == ["rnn/GRU", "rnn/GRU_1"][:layers]
        for layer, gru in enumerate(checkpoint.grus):
            assert (gru.layouts, gru.reset_after, gru.dtype) == (("onnx",), True, "float32")
            assert (gru.activation, gru.recurrent_activation) == ("tanh", "sigmoid")
            arrays = {array: checkpoint.tensors[name].read() for array, name in gru.names.items()}
            found = convert(arrays, "onnx", "torch", reset_after=True).arrays
            expected = {
                name.replace(f"_l{layer}", "_l0"): values.detach().numpy()
                for name, values in module.rnn.named_parameters()
                if f"_l{layer}" in name
            }
            assert {name: values.tobytes() for name, values in found.items()} == {
                name: values.tobytes() for name, values in expected.items()
            }
        assert ("rnn.weight_ih_l0" in checkpoint.left) is not fold
        assert not any(name.startswith("rnn.weight") for name in checkpoint.tensors)
        assert ("first.bias" in checkpoint.tensors) is True


CASES = [
    {"reset_after": True, "activation": "tanh", "recurrent_activation": "sigmoid"},
    {"reset_after": False, "activation": "tanh", "recurrent_activation": "hard_sigmoid"},
    {"reset_after": False, "activation": "relu", "recurrent_activation": "sigmoid", "bias": False},
    {"reset_after": True, "activation": "linear", "recurrent_activation": "hard_sigmoid", "lengths": True},
    {"reset_after": True, "activation": "tanh", "recurrent_activation": "sigmoid", "reverse": True, "lengths": True},
]


@pytest.mark.parametrize("case", CASES)
def test_written_models_compute_what_the_bare_operator_does(tmp_path: Path, case: dict[str, Any]) -> None:
    facts = {key: case[key] for key in ("reset_after", "activation", "recurrent_activation")}
    arrays = weights(bias=case.get("bias", True))
    options = {"go_backwards": case.get("reverse", False), "sequence_lens": case.get("lengths", False)}
    path = tmp_path / "gru.onnx"
    FORMAT.write(path, Contents((), (written(arrays, **facts, options=options),)))
    values = np.random.default_rng(1)
    feeds: dict[str, Any] = {
        "X": values.normal(size=(5, 2, 3)).astype(np.float32),
        "initial_h": values.normal(size=(1, 2, 4)).astype(np.float32),
    }
    if case.get("lengths"):
        feeds["sequence_lens"] = np.array([5, 2], np.int32)
    found = run(path, {f"encoder/gru/{name}": each for name, each in feeds.items()})
    expected = operator(arrays, feeds, tmp_path, reverse=case.get("reverse", False), **facts)
    assert [each.tobytes() for each in found] == [each.tobytes() for each in expected]
    with FORMAT.read(path) as checkpoint:
        (gru,) = checkpoint.grus
    assert (gru.path, gru.sizes, gru.use_bias) == ("encoder/gru", SIZES, case.get("bias", True))
    assert {key: getattr(gru, key) for key in facts} == facts
    assert (gru.options["go_backwards"], gru.options["sequence_lens"]) == tuple(options.values())


def test_both_directions_and_several_grus_are_written_side_by_side(tmp_path: Path) -> None:
    sizes = SIZES._replace(directions=2)
    both, single = weights(sizes), weights(seed=5)
    path = tmp_path / "grus.onnx"
    carried = entry("other/weight", np.arange(6, dtype=np.int64))
    FORMAT.write(path, Contents((carried,), (written(both, "a", sizes), written(single, "b", reset_after=False))))
    values = np.random.default_rng(1)
    inputs = values.normal(size=(5, 2, 3)).astype(np.float32)
    state = values.normal(size=(2, 2, 4)).astype(np.float32)
    feeds = {"a/X": inputs, "a/initial_h": state, "b/X": inputs, "b/initial_h": state[:1]}
    outputs, _, alone, _ = run(path, feeds)
    known = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for direction in (0, 1):
        one = {name: each[direction : direction + 1] for name, each in both.items()}
        feeds = {"X": inputs, "initial_h": state[direction : direction + 1]}
        expected = operator(one, feeds, tmp_path, reset_after=True, reverse=bool(direction), **known)[0]
        assert np.array_equal(outputs[:, direction], expected[:, 0])
    expected = operator(single, {"X": inputs, "initial_h": state[:1]}, tmp_path, reset_after=False, **known)[0]
    assert np.array_equal(alone, expected)
    with FORMAT.read(path) as checkpoint:
        assert [gru.sizes for gru in checkpoint.grus] == [sizes, SIZES]
        assert checkpoint.tensors["other/weight"].read().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_dtype_stays_as_it_is(tmp_path: Path, dtype: str) -> None:
    arrays = weights(dtype=getattr(ml_dtypes, dtype, dtype))
    FORMAT.write(tmp_path / "gru.onnx", Contents((), (written(arrays, ""),)))
    onnx.checker.check_model(str(tmp_path / "gru.onnx"), full_check=True)
    with FORMAT.read(tmp_path / "gru.onnx") as checkpoint:
        (gru,) = checkpoint.grus
        assert (gru.path, gru.dtype) == ("GRU", dtype)
        assert {array: checkpoint.tensors[name].read().tobytes() for array, name in gru.names.items()} == {
            array: values.tobytes() for array, values in arrays.items()
        }


@pytest.mark.parametrize(
    ("attributes", "gates", "candidate"),
    [
        ({}, "sigmoid", "tanh"),
        ({"activations": ["HardSigmoid", "Tanh"]}, "hard_sigmoid", "tanh"),
        (
            {"activations": ["hardsigmoid", "tanh"], "activation_alpha": [0.2], "activation_beta": [0.5]},
            "hard_sigmoid",
            "tanh",
        ),
        (
            {"activations": ["HardSigmoid", "LeakyRelu"], "activation_alpha": [0.25, 0.5], "activation_beta": [0.5]},
            "HardSigmoid(alpha=0.25, beta=0.5)",
            "LeakyRelu(alpha=0.5)",
        ),
        (
            {"activations": ["Sigmoid", "ScaledTanh"], "activation_alpha": [1.5], "activation_beta": [0.25]},
            "sigmoid",
            "ScaledTanh(alpha=1.5, beta=0.25)",
        ),
        (
            {"activations": ["Sigmoid", "Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]},
            "sigmoid",
            "linear",
        ),
        ({"activations": ["Softsign", "Softplus"]}, "Softsign", "Softplus"),
        ({"clip": 3.0}, "Sigmoid(clip=3)", "Tanh(clip=3)"),
    ],
)
def test_activations_are_named_with_what_they_are_given(
    tmp_path: Path, attributes: dict[str, Any], gates: str, candidate: str
) -> None:
    node = make_node("GRU", ["X", "W", "R", "B"], ["Y"], hidden_size=4, **attributes)
    path = saved(tmp_path / "made.onnx", [node], weights())
    with FORMAT.read(path) as checkpoint:
        (gru,) = checkpoint.grus
        assert (gru.recurrent_activation, gru.activation, gru.reset_after) == (gates, candidate, False)
        new = written(weights(), "gru", activation=candidate, recurrent_activation=gates, reset_after=False)
    FORMAT.write(tmp_path / "again.onnx", Contents((), (new,)))
    with FORMAT.read(tmp_path / "again.onnx") as checkpoint:
        (gru,) = checkpoint.grus
        assert (gru.recurrent_activation, gru.activation, gru.reset_after) == (gates, candidate, False)
    inputs = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    first = run(path, {"X": inputs, "flag": np.ones((), bool)})[0]
    second = run(tmp_path / "again.onnx", {"gru/X": inputs, "gru/initial_h": np.zeros((1, 2, 4), np.float32)})[0]
    assert np.array_equal(first, second)


def test_parameters_that_are_not_given_and_not_agreed_on_are_unknown(tmp_path: Path) -> None:
    node = make_node("GRU", ["X", "W", "R", "B"], ["Y"], hidden_size=4, activations=["Sigmoid", "Affine"])
    path = saved(tmp_path / "made.onnx", [node], weights())
    with FORMAT.read(path) as checkpoint:
        (gru,) = checkpoint.grus
    assert gru.activation == "Affine(alpha=unknown, beta=unknown)"
    with pytest.raises(RefusedFile, match="no activation='Affine"):
        FORMAT.write(tmp_path / "again.onnx", Contents((), (written(weights(), activation=gru.activation),)))


def test_directions_that_differ_are_told_apart(tmp_path: Path) -> None:
    sizes = SIZES._replace(directions=2)
    activations = ["Sigmoid", "Tanh", "HardSigmoid", "Relu"]
    node = make_node("GRU", ["X", "W", "R"], ["Y"], hidden_size=4, direction="bidirectional", activations=activations)
    with FORMAT.read(saved(tmp_path / "made.onnx", [node], weights(sizes, bias=False))) as checkpoint:
        (gru,) = checkpoint.grus
    assert (gru.recurrent_activation, gru.activation) == ("sigmoid | hard_sigmoid", "tanh | relu")
    again = written(
        weights(sizes), "g", sizes, activation=gru.activation, recurrent_activation=gru.recurrent_activation
    )
    FORMAT.write(tmp_path / "again.onnx", Contents((), (again,)))
    stated = {attribute.name: attribute for attribute in onnx.load(tmp_path / "again.onnx").graph.node[0].attribute}
    assert [name.decode() for name in stated["activations"].strings] == activations


def test_grus_in_branches_and_functions_are_found(tmp_path: Path) -> None:
    arrays = weights(bias=False)
    constants = [
        make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(values, name))
        for name, values in arrays.items()
    ]
    inner = make_node("GRU", ["X", "W", "R"], ["inner_Y"], name="deep", hidden_size=4, direction="reverse")
    output = onnx.helper.make_tensor_value_info("inner_Y", onnx.TensorProto.FLOAT, ["T", 1, "B", 4])
    other = make_node("GRU", ["X", "W", "S"], ["inner_Y"], name="/deep/GRU", hidden_size=4)
    branches = {
        "then_branch": onnx.helper.make_graph([inner], "then", [], [output]),
        "else_branch": onnx.helper.make_graph(
            [other], "else", [], [output], [onnx.numpy_helper.from_array(arrays["R"], "S")]
        ),
    }
    body = onnx.helper.make_function(
        "local",
        "Layer",
        ["V"],
        ["Z"],
        [*constants, make_node("GRU", ["V", "W", "R"], ["Z"], name="called", hidden_size=4)],
        [onnx.helper.make_opsetid("", 17)],
    )
    nodes = [
        make_node("Layer", ["X"], ["Z"], domain="local"),
        make_node("If", ["flag"], ["Y"], name="choose", **branches),
    ]
    path = saved(tmp_path / "made.onnx", nodes, arrays, functions=[body])
    onnx.checker.check_model(str(path), full_check=True)
    with FORMAT.read(path) as checkpoint:
        found = {gru.path: gru for gru in checkpoint.grus}
        names = {gru.path: dict(gru.names) for gru in checkpoint.grus}
    assert set(found) == {"local.Layer/called", "choose/then_branch/deep", "choose/else_branch/deep/GRU"}
    assert found["choose/then_branch/deep"].options["go_backwards"] is True
    assert names["choose/then_branch/deep"] == {"W": "W", "R": "R"}
    assert names["choose/else_branch/deep/GRU"] == {"W": "W", "R": "choose/else_branch/S"}
    assert names["local.Layer/called"] == {"W": "local.Layer/W", "R": "local.Layer/R"}


def test_weights_that_are_computed_are_named_and_left(tmp_path: Path) -> None:
    arrays = weights(bias=False)
    nodes = [
        make_node("Mul", ["W", "W"], ["squared"], name="square"),
        make_node("GRU", ["X", "squared", "R"], ["Y"], name="computed", hidden_size=4),
        make_node("GRU", ["X", "W", "flag"], ["Y2"], name="given", hidden_size=4),
        make_node("GRU", ["X", "W", "R"], ["Y3"], name="other", hidden_size=5),
        make_node("LSTM", ["X", "W", "R"], ["Y4"], name="lstm", hidden_size=4),
    ]
    with FORMAT.read(saved(tmp_path / "made.onnx", nodes, arrays)) as checkpoint:
        assert not checkpoint.grus
        assert set(checkpoint.tensors) == {"W", "R"}
        assert "computed by Mul 'square'" in checkpoint.left["computed"]
        assert "an input of the graph" in checkpoint.left["given"]
        assert "hidden_size=5" in checkpoint.left["other"]
        assert "lstm" not in checkpoint.left


def test_typed_and_raw_tensors_of_every_dtype_are_read(tmp_path: Path) -> None:
    kinds = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "COMPLEX64", "COMPLEX128", "BOOL", "FLOAT8E4M3FN", "FLOAT8E5M2"]
    kinds += [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
    model = onnx.load(saved(tmp_path / "made.onnx", [make_node("Identity", ["X"], ["Y"])], {}))
    for kind in kinds:
        number = getattr(onnx.TensorProto, kind)
        values = [0, 1, 0, 1, 1, 0] if kind == "BOOL" else [0, 1, 2, 3, 4, 5]
        typed = make_tensor(f"{kind} typed", number, (2, 3), values)
        raw = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(typed), f"{kind} raw")
        model.graph.initializer.extend([typed, raw])
    model.graph.initializer.append(make_tensor("text", onnx.TensorProto.STRING, (1,), [b"a"]))
    model.graph.initializer.append(make_tensor("packed", onnx.TensorProto.INT4, (2,), [1, -1]))
    onnx.save(model, tmp_path / "all.onnx")
    with FORMAT.read(tmp_path / "all.onnx") as checkpoint:
        assert set(checkpoint.left) == {"text", "packed"}
        for proto in model.graph.initializer:
            if proto.name not in checkpoint.left:
                expected, found = onnx.numpy_helper.to_array(proto), checkpoint.tensors[proto.name].read()
                assert (found.dtype.name, found.tobytes()) == (expected.dtype.name, expected.tobytes()), proto.name


def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "large.onnx", [make_node("Identity", ["X"], ["Y"])], {"large": np.zeros(2**23, np.float32)})
    with FORMAT.read(path) as checkpoint:
        checkpoint.tensors["large"].read()
    tracemalloc.start()
    try:
        with FORMAT.read(path) as checkpoint:
            assert checkpoint.mapped
            assert checkpoint.tensors["large"].read().shape == (2**23,)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def external(folder: Path, change: Any = lambda given: given) -> Path:
    """Write a model with external data by onnx itself, then change what it says of each tensor."""
    node = make_node("GRU", ["X", "W", "R", "B"], ["Y"], hidden_size=4)
    path = saved(folder / "model.onnx", [node], weights())
    model = onnx.load(path)
    path.unlink()
    onnx.save(model, path, save_as_external_data=True, location="numbers.bin", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for proto in model.graph.initializer:
        given = change({pair.key: pair.value for pair in proto.external_data})
        del proto.external_data[:]
        for key, value in given.items():
            proto.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_is_read_from_the_folder_of_the_model(tmp_path: Path) -> None:
    with FORMAT.read(external(tmp_path)) as checkpoint:
        assert checkpoint.files == (tmp_path / "model.onnx", tmp_path / "numbers.bin")
        (gru,) = checkpoint.grus
        for array, values in weights().items():
            assert checkpoint.tensors[gru.names[array]].read().tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"location": "../numbers.bin"}, "no file in the folder"),
        ({"location": "/etc/passwd"}, "no file in the folder"),
        ({"location": ""}, "no file in the folder"),
        ({"location": "a\\..\\..\\numbers.bin"}, "no file in the folder"),
        ({"location": "link.bin"}, "a link to .* outside"),
        ({"location": "absent.bin"}, "no such file"),
        ({"location": "."}, "no (such )?file"),
        ({"offset": "-1"}, "offset='-1'"),
        ({"offset": "99999999"}, "which has 432"),
        ({"length": "9"}, "9 bytes"),
    ],
)
def test_external_data_elsewhere_or_cut_off_is_refused(tmp_path: Path, said: dict[str, str], message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = external(folder, lambda given: given | said)
    (tmp_path / "numbers.bin").write_bytes((folder / "numbers.bin").read_bytes())
    (folder / "link.bin").symlink_to(tmp_path / "numbers.bin")
    with pytest.raises(FileError, match=message):
        FORMAT.read(path)


def test_many_numbers_are_written_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = weights(Sizes(3, 64))
    contents = Contents((), (written(arrays, sizes=Sizes(3, 64)),))
    FORMAT.write(tmp_path / "inside.onnx", contents)
    monkeypatch.setattr(storing, "LARGEST_MODEL", 1000)
    FORMAT.write(tmp_path / "beside.onnx", contents)
    assert (tmp_path / "beside.onnx").stat().st_size < 2000
    values = np.random.default_rng(1)
    feeds = {
        "encoder/gru/X": values.normal(size=(5, 2, 3)).astype(np.float32),
        "encoder/gru/initial_h": values.normal(size=(1, 2, 64)).astype(np.float32),
    }
    results = [run(tmp_path / name, feeds)[0].tobytes() for name in ("inside.onnx", "beside.onnx")]
    assert results[0] == results[1]
    with FORMAT.read(tmp_path / "beside.onnx") as checkpoint:
        assert checkpoint.files[1].name == "beside.onnx.data"
        FORMAT.write(tmp_path / "again.onnx", Contents((), contents.grus, template=checkpoint))
    assert run(tmp_path / "again.onnx", feeds)[0].tobytes() == results[0]


@pytest.mark.parametrize("fold", [True, False])
def test_a_template_keeps_its_graph_and_gets_other_weights(tmp_path: Path, *, fold: bool) -> None:
    shape: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    exported(tmp_path / "template.onnx", 0, fold=fold, **shape)
    exported(tmp_path / "wanted.onnx", 1, fold=fold, **shape)
    with FORMAT.read(tmp_path / "template.onnx") as template, FORMAT.read(tmp_path / "wanted.onnx") as wanted:
        grus = tuple(
            written(
                {array: wanted.tensors[name].read() for array, name in gru.names.items()},
                gru.path,
                gru.sizes or SIZES,
                activation="tanh",
                recurrent_activation="sigmoid",
            )
            for gru in wanted.grus
        )
        FORMAT.write(tmp_path / "new.onnx", Contents((), grus, template=template))
        old = {name for gru in template.grus for name in gru.names.values()}
    inputs = np.random.default_rng(0).normal(size=(5, 1, 3)).astype(np.float32)
    expected = run(tmp_path / "wanted.onnx", {"X": inputs})[0]
    assert not np.array_equal(run(tmp_path / "template.onnx", {"X": inputs})[0], expected)
    assert np.array_equal(run(tmp_path / "new.onnx", {"X": inputs})[0], expected)
    onnx.checker.check_model(str(tmp_path / "new.onnx"), full_check=True)
    model = onnx.load(tmp_path / "new.onnx")
    names = {proto.name for proto in model.graph.initializer} | {
        name for node in model.graph.node for name in node.output
    }
    assert not names & old
    assert not any(name.startswith("rnn.weight") for name in names)


@pytest.mark.parametrize("told", [{}, {"activation": "relu"}])
def test_a_template_takes_the_variant_and_keeps_its_activations(tmp_path: Path, told: dict[str, Any]) -> None:
    node = make_node("GRU", ["X", "W", "R", "B"], ["Y"], name="gru", hidden_size=4, linear_before_reset=1)
    node.attribute.append(onnx.helper.make_attribute("activations", ["HardSigmoid", "Relu"]))
    with FORMAT.read(saved(tmp_path / "made.onnx", [node], weights())) as template:
        new = written(weights(bias=False, seed=3), "elsewhere", reset_after=False, **told)
        FORMAT.write(tmp_path / "new.onnx", Contents((), (new,), template=template))
    with FORMAT.read(tmp_path / "new.onnx") as checkpoint:
        (gru,) = checkpoint.grus
        assert (gru.path, gru.reset_after, gru.use_bias) == ("gru", False, False)
        assert (gru.activation, gru.recurrent_activation) == ("relu", "hard_sigmoid")
        assert set(checkpoint.tensors) == set(gru.names.values())
    inputs = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    found = run(tmp_path / "new.onnx", {"X": inputs, "flag": np.ones((), bool)})[0]
    facts = {"reset_after": False, "activation": "relu", "recurrent_activation": "hard_sigmoid"}
    feeds = {"X": inputs, "initial_h": np.zeros((1, 2, 4), np.float32)}
    assert np.array_equal(found, operator(weights(bias=False, seed=3), feeds, tmp_path, **facts)[0])


def test_a_template_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    nodes = [
        make_node("GRU", ["X", "W", "R", "B"], [output], name=name, hidden_size=4)
        for name, output in (("gru", "Y"), ("second", "Y2"))
    ]
    nodes.append(make_node("GRU", ["X", "W", "R", "B"], ["Y3"], name="third", activations=["Sigmoid", "Relu"]))
    with FORMAT.read(saved(tmp_path / "made.onnx", [*nodes[1:], nodes[0]], weights())) as template:
        wide = Sizes(3, 5)
        for wrong, message in (
            (
                written(weights(), "other"),
                "other: no GRU of that path is in the template, which has second, third, gru",
            ),
            (written(weights(wide), "gru", wide), "units=5"),
            (written(weights(), "gru", activation="relu"), "gru: activation is relu, in the template tanh"),
            (
                written(weights(), "third", recurrent_activation="hard_sigmoid"),
                "third: recurrent_activation is hard_sigmoid, in the template sigmoid",
            ),
        ):
            with pytest.raises(RefusedFile, match=message):
                FORMAT.write(tmp_path / "wrong.onnx", Contents((), (wrong,), template=template))
    assert not (tmp_path / "wrong.onnx").exists()


def test_what_a_new_operator_states_untold_is_noted() -> None:
    known: dict[str, Any] = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    both = Sizes(3, 4, directions=2)
    assert FORMAT.stated(written(weights())) == ("activations are not told: Sigmoid, Tanh and forward were written",)
    assert FORMAT.stated(written(weights(), options={"go_backwards": True}, activation="tanh")) == (
        "activations are not told: Sigmoid was written",
    )
    assert FORMAT.stated(written(weights(both), sizes=both)) == (
        "activations are not told: Sigmoid and Tanh were written",
    )
    assert FORMAT.stated(written(weights(), **known)) == ()
    assert {"reset_after", "go_backwards", "time_major"} <= FORMAT.states


def test_the_layout_has_the_activations_of_the_operator(tmp_path: Path) -> None:
    onnx_layout = layout_named("onnx")
    both = Sizes(3, 4, directions=2)
    arrays = weights(both)
    known = (*ACTIVATIONS, "LeakyRelu(alpha=0.125)", "HardSigmoid(alpha=0.25, beta=0.5)", "sigmoid | Softplus")
    for number, name in enumerate(known):
        assert name in onnx_layout.activations
        assert name in onnx_layout.recurrent_activations
        gru = written(arrays, sizes=both, activation=name, recurrent_activation=name)
        FORMAT.write(tmp_path / f"{number}.onnx", Contents((), (gru,)))
        with FORMAT.read(tmp_path / f"{number}.onnx") as checkpoint:
            assert (checkpoint.grus[0].activation, checkpoint.grus[0].recurrent_activation) == (name, name)
    for name in ("gelu", "hard_sigmoid_6", "Custom", "sigmoid | gelu", "", "Tnah(alpha=1)"):
        with pytest.raises(RefusedFile, match="the operator has no activation"):
            FORMAT.write(tmp_path / "no.onnx", Contents((), (written(arrays, sizes=both, activation=name),)))
        assert name not in onnx_layout.activations
        assert name not in onnx_layout.recurrent_activations


def test_what_the_operator_has_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gru.onnx"
    torch = {"weight_ih_l0": np.zeros((12, 3), np.float32)}
    for contents, message in (
        (Contents((), (written(weights(), activation="gelu"),)), "no activation='gelu'"),
        (Contents((), (written(torch, layout="torch"),)), r"encoder/gru \(torch\)"),
        (Contents((entry("a", np.array(["b"])),), ()), r"a \(<U1\)"),
        (
            Contents((entry("a/X", np.ones(2)),), (written(weights(), "a"),)),
            "two values of the graph have the name 'a/X'",
        ),
    ):
        with pytest.raises(RefusedFile, match=message):
            FORMAT.write(path, contents)
        assert not path.exists()


def nested(depth: int) -> bytes:
    """Return a model with graphs in attributes of nodes, one in the other."""
    inner = b""
    for tag in [0x3A, *(0x0A, 0x2A, 0x32) * depth][::-1]:
        length, head = len(inner), bytearray([tag])
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        inner = bytes([*head, length]) + inner
    return b"\x08\x08" + inner


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x08\x08\x3a\x80\x80\x80\x01" + b"\x0a\x00" * 2**20, "far more memory"),
        (nested(200), "nested deeper"),
        (b"\x08\x08\x3a\x05\x0a", "reaches beyond"),
        (b"\x08\x08\x3a\x03\x12\x01\xff", "no text"),
        (b"\x08\x08\x3a\x0e\x2a\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x10\x01", "no array can have"),
        (b"\x08\x08\x12\x01a", "no graph"),
        (b"\x0b\x0c", "unknown type"),
        (b"{}", "reaches|cut off|unknown"),
    ],
)
def test_models_that_are_none_take_no_memory(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bomb.onnx"
    path.write_bytes(data)
    reset_peak()
    before = peak()
    with pytest.raises(FileError, match=message):
        FORMAT.read(path)
    assert peak() - before <= 10 * len(data) + 64 * 2**20


def test_shapes_that_the_bytes_do_not_have_are_refused(tmp_path: Path) -> None:
    model = onnx.load(saved(tmp_path / "made.onnx", [make_node("Identity", ["X"], ["Y"])], {"a": np.zeros((4, 3))}))
    typed = make_tensor("b", onnx.TensorProto.INT16, (4, 3), list(range(12)))
    model.graph.initializer.append(typed)
    for proto, message in zip(model.graph.initializer, ("96 bytes", "12 numbers in int32_data"), strict=True):
        proto.dims[1] = 2
        onnx.save(model, tmp_path / "made.onnx")
        with pytest.raises(FileError, match=message):
            FORMAT.read(tmp_path / "made.onnx")
        proto.dims[1] = 3


def test_models_that_are_cut_off_are_refused_wherever(tmp_path: Path) -> None:
    node = make_node("GRU", ["X", "W", "R", "B"], ["Y"], hidden_size=4)
    data = saved(tmp_path / "whole.onnx", [node], weights()).read_bytes()
    behind_the_graph = onnx.load_from_string(data)
    behind_the_graph.ClearField("graph")
    last = len(data) - len(behind_the_graph.SerializeToString())
    for length in [*range(0, last, 11), last]:
        (tmp_path / "cut.onnx").write_bytes(data[:length])
        with pytest.raises(FileError, match=r"cut\.onnx"):
            FORMAT.read(tmp_path / "cut.onnx")


def test_importing_the_format_imports_no_framework() -> None:
    code = "import sys; from gruspec_onnx.files import OnnxFormat; OnnxFormat(); print('onnx' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False"]


def test_mutated_files_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    exported(tmp_path / "unfolded.onnx", 0, fold=False, bidirectional=True)
    exported(tmp_path / "folded.onnx", 0, num_layers=2)
    FORMAT.write(tmp_path / "own.onnx", Contents((), (written(weights()),)))
    for file in sorted(tmp_path.glob("*.onnx")):
        alone = tmp_path / file.stem / file.name
        alone.parent.mkdir()
        file.rename(alone)
        report = damaged_reads(alone, "onnx", 125, seed=1, checked=False)
        assert report["wrong"] == []
        assert report["refused"] > 50
