"""Layers of Keras as ONNX models, run by ONNX Runtime: real layers, both sides within the bounds that are proven."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gruspec_onnx
from gruspec.cases import Call
from gruspec.errors import RefusedFile, SpecError, SpecTypeError, Unsupported, UsageError
from gruspec.spec import GRUSpec, weight_shapes

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
tf_keras = pytest.importorskip("tf_keras")
pytest.importorskip("flint")

from whole_layers import cases, failures, live_layer, results, running, saved_models  # noqa: E402  needs all of them

if TYPE_CHECKING:
    from pathlib import Path

    from gruspec.cases import Case

V1 = import_module("gruspec_tensorflow.adapter").V1.resolve()
INFERENCE: dict[str, Any] = {"mask": ("none", "right-padded"), "training": (False,), "gradients": (False,)}
ACTIVATIONS: dict[str, Any] = {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)}
CASES = [case for key in ("onnx/1", "onnx/2") for case in cases(key, **INFERENCE)]
HALF = cases("half/", "float16", **INFERENCE, timesteps=(2,))
DOUBLE = cases("double/", **INFERENCE | {"mask": ("none",), **ACTIVATIONS})
X = np.random.default_rng(3).uniform(-2, 2, (3, 5, 3)).astype("float32")
EVERY_LENGTH = np.array([0, 2, 5], np.int32)


def built(**arguments: Any) -> Any:
    """Return a layer of ``tf.compat.v1.keras`` with random weights, biases too, for inputs with three features."""
    layer = V1(4, bias_initializer="uniform", **arguments)
    layer(X)
    return layer


def close(computed: Any, expected: Any) -> None:
    np.testing.assert_allclose(computed, np.asarray(expected), rtol=0, atol=1e-6)


def open_session(model: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Exported:
    """A model behind the protocol; the state of a stateful layer is handed from run to run."""

    def __init__(self, spec: GRUSpec, model: Any, session: Any) -> None:
        self.spec, self.session = spec, session
        self.inputs = [value.name for value in model.graph.input]
        self.outputs = [value.name for value in model.graph.output]
        self.state: Any = None

    def __call__(self, inputs: Any, *, mask: Any, initial_state: Any, **_: Any) -> Any:
        start = self.state if initial_state is None else initial_state
        batch = inputs.shape[1 if self.spec.time_major else 0]
        feeds = {"inputs": inputs}
        if "initial_state" in self.inputs:
            feeds["initial_state"] = np.zeros((batch, self.spec.units), inputs.dtype) if start is None else start
        if mask is not None:
            feeds["sequence_lens"] = mask.sum(axis=0 if self.spec.time_major else 1, dtype=np.int32)
        found = dict(zip(self.outputs, self.session.run(self.outputs, feeds), strict=True))
        if self.spec.stateful:
            self.state = found["state"]
        return Result(found)

    def reset_states(self, states: Any) -> None:
        self.state = states


class Result:
    """Results by name, as the protocol has them."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found

    def _asdict(self) -> dict[str, Any]:
        return self.found


def export(case: Case, layer: Any, **options: Any) -> Any:
    calls = [call for call in case.calls if isinstance(call, Call)]
    mask = "none" if calls[0].mask is None else "lengths"
    started = any(call.initial_state is not None for call in calls)
    return gruspec_onnx.export(layer, mask=mask, initial_state=started, **options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layer_and_model_are_within_the_bounds(case: Case) -> None:
    layer = live_layer(case, "float32")
    model = export(case, layer)
    exported = Exported(case.spec, model, open_session(model))
    assert [node.op_type for node in model.graph.node].count("GRU") == 1
    assert failures(case, results(case, running(layer, case), "float32"), "float32") == []
    assert failures(case, results(case, exported, "float32"), "float32") == []


def test_the_bounds_are_not_blind() -> None:
    case = next(case for case in CASES if case.spec.use_bias and case.spec.return_sequences)
    layer = live_layer(case, "float32")
    layer.set_weights([weight * np.float32(1.001) for weight in layer.get_weights()])
    model = export(case, layer)
    exported = Exported(case.spec, model, open_session(model))
    assert failures(case, results(case, exported, "float32"), "float32")


@pytest.mark.parametrize("case", HALF, ids=lambda case: case.id)
def test_float16_is_within_its_own_bounds(case: Case) -> None:
    model = export(case, live_layer(case, "float16" if case.spec.use_bias else "float32"), dtype="float16")
    exported = Exported(case.spec, model, open_session(model))
    assert failures(case, results(case, exported, "float16"), "float16") == []


@pytest.mark.parametrize("case", DOUBLE, ids=lambda case: case.id)
def test_float64_is_within_the_bounds_where_something_runs_it(case: Case) -> None:
    model = export(case, live_layer(case, "float64"))
    evaluator = import_module("onnx.reference").ReferenceEvaluator(model)
    assert failures(case, results(case, Exported(case.spec, model, evaluator), "float64"), "float64") == []


@pytest.mark.parametrize("initial_state", [False, True])
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_every_length_from_none_to_all(
    *, go_backwards: bool, return_sequences: bool, zero_output_for_mask: bool, initial_state: bool
) -> None:
    layer = built(
        go_backwards=go_backwards,
        return_sequences=return_sequences,
        zero_output_for_mask=zero_output_for_mask,
        return_state=True,
    )
    session = open_session(gruspec_onnx.export(layer, mask="lengths", initial_state=initial_state))
    state = {"initial_state": np.full((3, 4), 0.5, "float32")} if initial_state else {}
    computed = session.run(["outputs", "state"], {"inputs": X, "sequence_lens": EVERY_LENGTH, **state})
    mask = np.arange(5) < EVERY_LENGTH[:, None]
    tensors = {name: import_module("tensorflow").constant(array) for name, array in state.items()}
    for ours, theirs in zip(computed, layer(X, mask=mask, **tensors), strict=True):
        close(ours, theirs)


@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_what_a_runtime_leaves_at_padding_reaches_no_result(
    *, go_backwards: bool, return_sequences: bool, zero_output_for_mask: bool
) -> None:
    layer = built(
        go_backwards=go_backwards,
        return_sequences=return_sequences,
        zero_output_for_mask=zero_output_for_mask,
        return_state=True,
    )
    model = gruspec_onnx.export(layer, mask="lengths")
    names = leave_at_padding(model)
    noise = {
        "Y": np.where(np.arange(5)[:, None] < EVERY_LENGTH, 0, 7)[:, None, :, None].astype("float32"),
        "Y_h": np.where(EVERY_LENGTH > 0, 0, 7)[None, :, None].astype("float32"),
    }
    feeds = {"inputs": X, "sequence_lens": EVERY_LENGTH} | {f"at_padding_{name}": noise[name] for name in names}
    computed = open_session(model).run(["outputs", "state"], feeds)
    mask = np.arange(5) < EVERY_LENGTH[:, None]
    for ours, theirs in zip(computed, layer(X, mask=mask), strict=True):
        close(ours, theirs)


def leave_at_padding(model: Any) -> list[str]:
    """Add new inputs to the results of the operator; return the names of these results."""
    nodes = list(model.graph.node)
    place, operator = next((i, node) for i, node in enumerate(nodes) if node.op_type == "GRU")
    names = [name for name in operator.output if name]
    operator.output[:] = [name and f"raw_{name}" for name in operator.output]
    added = [onnx.helper.make_node("Add", [f"raw_{name}", f"at_padding_{name}"], [name]) for name in names]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[: place + 1], *added, *nodes[place + 1 :]])
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(
            f"at_padding_{name}", onnx.TensorProto.FLOAT, [None] * (4 if name == "Y" else 3)
        )
        for name in names
    )
    return names


def test_one_model_runs_any_batch_and_any_number_of_timesteps() -> None:
    layer = built(return_sequences=True, go_backwards=True)
    session = open_session(gruspec_onnx.export(layer, mask="lengths"))
    random = np.random.default_rng(0)
    for batch, timesteps in ((1, 1), (4, 33), (7, 2)):
        inputs = random.uniform(-2, 2, (batch, timesteps, 3)).astype("float32")
        lengths = random.integers(0, timesteps + 1, batch).astype(np.int32)
        (outputs,) = session.run(None, {"inputs": inputs, "sequence_lens": lengths})
        close(outputs, layer(inputs, mask=np.arange(timesteps) < lengths[:, None]))


@pytest.mark.parametrize(
    ("options", "arguments", "inputs", "outputs"),
    [
        ({}, {}, ["inputs"], ["outputs"]),
        ({}, {"return_state": True}, ["inputs"], ["outputs", "state"]),
        ({}, {"stateful": True}, ["inputs", "initial_state"], ["outputs", "state"]),
        ({"mask": "lengths"}, {}, ["inputs", "sequence_lens"], ["outputs"]),
        ({"initial_state": True}, {}, ["inputs", "initial_state"], ["outputs", "state"]),
    ],
)
def test_names_of_inputs_and_outputs(
    options: dict[str, Any], arguments: dict[str, Any], inputs: list[str], outputs: list[str]
) -> None:
    layer = V1(4, **arguments)
    layer(tf_keras.Input(batch_shape=X.shape))
    graph = gruspec_onnx.export(layer, **options).graph
    assert [value.name for value in graph.input] == inputs
    assert [value.name for value in graph.output] == outputs


@pytest.mark.parametrize(("time_major", "leading"), [(False, ["B", "T"]), (True, ["T", "B"])])
def test_shapes_of_inputs_and_outputs(*, time_major: bool, leading: list[str]) -> None:
    layer = built(time_major=time_major, return_sequences=True)
    graph = gruspec_onnx.export(layer, mask="lengths", initial_state=True).graph
    assert {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    } == {
        "inputs": [*leading, 3],
        "sequence_lens": ["B"],
        "initial_state": ["B", 4],
        "outputs": [*leading, 4],
        "state": ["B", 4],
    }


def test_every_node_is_needed() -> None:
    for case in CASES:
        graph = export(case, live_layer(case, "float32")).graph
        used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        assert all(used & set(node.output) for node in graph.node), case.id
        assert ("Y" in used) == any("Y" in node.output for node in graph.node), case.id
        assert all(tensor.name in used for tensor in graph.initializer), case.id


def test_metadata_has_the_arguments() -> None:
    layer = built(reset_after=True, dropout=0.5, zero_output_for_mask=True)
    properties = {entry.key: entry.value for entry in gruspec_onnx.export(layer).metadata_props}
    spec = GRUSpec(units=4, reset_after=True, dropout=0.5, zero_output_for_mask=True)
    assert GRUSpec.from_dict(json.loads(properties["gruspec.spec"])) == spec


def test_weights_keep_every_bit() -> None:
    layer = built(reset_after=True)
    kernel = layer.get_weights()[0]
    kernel[0, :3] = np.array([-0.0, np.nan, np.inf], "float32")
    layer.set_weights([kernel, *layer.get_weights()[1:]])
    tensors = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in gruspec_onnx.export(layer).graph.initializer
    }
    assert tensors["W"][0].T.tobytes() == kernel.tobytes()
    assert tensors["R"][0].T.tobytes() == layer.get_weights()[1].tobytes()
    assert tensors["B"].tobytes() == layer.get_weights()[2].tobytes()


def test_the_file_is_the_model_and_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "layer.onnx"
    first, second = built(), built(go_backwards=True)
    model = gruspec_onnx.export(first, path)
    assert onnx.load(path) == model
    with pytest.raises(RefusedFile, match="exists already"):
        gruspec_onnx.export(second, str(path))
    assert onnx.load(path) == model
    assert gruspec_onnx.export(second, path, force=True) == onnx.load(path) != model
    assert [entry.name for entry in tmp_path.iterdir()] == ["layer.onnx"]
    close(onnxruntime.InferenceSession(path).run(None, {"inputs": X})[0], second(X))


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_not_replaced(tmp_path: Path, *, force: bool) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RefusedFile, match="folder"):
        gruspec_onnx.export(built(), tmp_path / "folder", force=force)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["folder"]


def test_what_is_too_large_for_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gruspec_onnx.keras_export.LARGEST", 100)
    with pytest.raises(RefusedFile, match="100 at most"):
        gruspec_onnx.export(built(), tmp_path / "layer.onnx")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_model_files(suffix: str, tmp_path: Path) -> None:
    for path, name, layer in saved_models(tmp_path, suffix, X):
        session = open_session(gruspec_onnx.export(path, layer=name))
        close(session.run(None, {"inputs": X})[0], layer(X))


@pytest.mark.parametrize("opset", [14, 17, 22, 24])
def test_opsets(opset: int) -> None:
    layer = built(go_backwards=True, return_sequences=True)
    model = gruspec_onnx.export(layer, mask="lengths", opset=opset)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    (outputs,) = open_session(model).run(None, {"inputs": X, "sequence_lens": EVERY_LENGTH})
    close(outputs, layer(X, mask=np.arange(5) < EVERY_LENGTH[:, None]))


def test_bfloat16_needs_a_later_opset() -> None:
    layer = built()
    with pytest.raises(Unsupported, match="opset 14 has float16, float32, float64; from opset=22 on it has"):
        gruspec_onnx.export(layer, dtype="bfloat16")
    model = gruspec_onnx.export(layer, dtype="bfloat16", opset=22)
    assert {value.type.tensor_type.elem_type for value in model.graph.input} == {onnx.TensorProto.BFLOAT16}


def test_what_the_operator_cannot_do_is_named() -> None:
    layer = built()
    with pytest.raises(Unsupported, match=r"mask='any'.*lengths"):
        gruspec_onnx.export(layer, mask="any")
    for options, message in (
        ({"mask": "padding"}, "mask='padding'"),
        ({"opset": 13}, "opset=13: expected one from 14"),
        ({"opset": 10**6}, "opset=1000000"),
        ({"dtype": "int8"}, "dtype='int8'"),
    ):
        with pytest.raises(UsageError, match=message):
            gruspec_onnx.export(layer, **options)
    with pytest.raises(SpecError, match="activation='swish'"):
        gruspec_onnx.export(built(activation="swish"))
    layer.set_weights([1e6 * weight for weight in layer.get_weights()])
    with pytest.raises(SpecTypeError, match="float16"):
        gruspec_onnx.export(layer, dtype="float16")


def test_inputs_without_features_are_refused() -> None:
    spec = GRUSpec(units=2)
    weights = {name: np.zeros(shape, "float32") for name, shape in weight_shapes(spec, 0).items()}
    with pytest.raises(Unsupported, match="size 0"):
        gruspec_onnx.layer_model(spec, weights)
