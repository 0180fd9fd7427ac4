"""The ONNX operator: its graph, its weights, what it computes, and everything that it must refuse."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gruspec_numpy
import gruspec_onnx
from gruspec.errors import DeviceUnavailable, NotStatefulError, SpecError, SpecTypeError, Unsupported
from gruspec.spec import ACTIVATIONS, GRUSpec, weight_shapes

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from gruspec_onnx import session as sessions  # noqa: E402  after the frameworks are known to be there
from gruspec_onnx.model import ACTIVATIONS as ONNX_ACTIVATIONS  # noqa: E402

if TYPE_CHECKING:
    from gruspec.backend import Layer

    Array = np.ndarray[Any, np.dtype[Any]]
    Weights = dict[str, Array]

BACKEND = gruspec_onnx.backend()


def prepare(spec: GRUSpec, weights: Weights, **where: str) -> Layer:
    return BACKEND.prepare(spec, weights, **{"dtype": "float32", "device": "cpu"} | where)


def draw(
    spec: GRUSpec, batch: int = 3, timesteps: int = 5, size: int = 2, seed: int = 0
) -> tuple[Weights, dict[str, Any]]:
    """Draw weights and the arguments of one call; its mask is right padding, and the first row has none."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.uniform(-0.8, 0.8, s).astype("float32") for name, s in weight_shapes(spec, size).items()}
    lengths = rng.integers(1, timesteps, (batch, 1), endpoint=True)
    lengths[0], lengths[-1] = timesteps, 1
    arguments = {
        "inputs": rng.uniform(-2, 2, (batch, timesteps, size)).astype("float32"),
        "mask": np.arange(timesteps) < lengths,
        "initial_state": rng.uniform(-1, 1, (batch, spec.units)).astype("float32"),
    }
    if spec.time_major:
        arguments |= {name: arguments[name].swapaxes(0, 1) for name in ("inputs", "mask")}
    return weights, arguments


def assert_agrees(spec: GRUSpec, weights: Weights, arguments: dict[str, Any]) -> None:
    """Compare with the NumPy implementation in float64, which has loops over numbers for a judge."""
    layer = gruspec_numpy.GRU.from_weights(spec, weights, dtype="float64")
    returned = layer(**arguments)
    expected = returned if spec.return_state else [returned]
    computed = prepare(spec, weights)(**arguments)
    for got, want in zip(computed, expected, strict=spec.return_state):
        assert got is not None
        assert want is not None
        assert got.dtype == np.float32
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, want, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("given", [(), ("initial_state",), ("mask",), ("mask", "initial_state")])
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize(("go_backwards", "return_sequences"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize(("reset_after", "use_bias"), list(itertools.product([False, True], repeat=2)))
def test_agrees_inside_the_claim(
    given: tuple[str, ...],
    *,
    reset_after: bool,
    use_bias: bool,
    go_backwards: bool,
    return_sequences: bool,
    time_major: bool,
) -> None:
    for zero_output in {return_sequences, True}:
        spec = GRUSpec(
            units=3,
            reset_after=reset_after,
            use_bias=use_bias,
            go_backwards=go_backwards,
            return_sequences=return_sequences,
            time_major=time_major,
            zero_output_for_mask=zero_output,
            unroll=zero_output,
        )
        weights, arguments = draw(spec)
        assert_agrees(spec, weights, {name: arguments[name] for name in ("inputs", *given)})


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize(("activation", "recurrent"), list(itertools.product(ACTIVATIONS, repeat=2)))
def test_every_pair_of_activations(activation: str, recurrent: str, *, reset_after: bool) -> None:
    spec = GRUSpec(units=4, activation=activation, recurrent_activation=recurrent, reset_after=reset_after)
    weights, arguments = draw(spec, timesteps=2)
    assert_agrees(spec, weights, arguments)


@pytest.mark.parametrize(("batch", "timesteps", "size", "units"), [(1, 1, 1, 1), (5, 33, 5, 17), (4, 2, 1, 8)])
def test_other_sizes(batch: int, timesteps: int, size: int, units: int) -> None:
    for reset_after, use_bias in itertools.product([False, True], repeat=2):
        spec = GRUSpec(units=units, reset_after=reset_after, use_bias=use_bias)
        weights, arguments = draw(spec, batch, timesteps, size)
        assert_agrees(spec, weights, arguments)


def halving(**arguments: Any) -> tuple[GRUSpec, Weights]:
    """Return a layer whose every step is (h + x) / 2."""
    weights = {"kernel": [[0, 0, 1]], "recurrent_kernel": [[0, 0, 0]], "bias": [0, 0, 0]}
    arrays = {name: np.array(values, "float32") for name, values in weights.items()}
    return GRUSpec(units=1, activation="linear", **arguments), arrays


def halve(x: list[float], mask: list[bool] | None = None, **arguments: Any) -> tuple[list[float], float]:
    spec, weights = halving(**arguments)
    inputs, state = np.array(x, "float32").reshape(1, -1, 1), np.array([[8.0]], "float32")
    valid = None if mask is None else np.array([mask])
    outputs, final = prepare(spec, weights)(inputs, mask=valid, initial_state=state)
    assert final is not None
    return outputs.ravel().tolist(), final.item()


def test_padding_by_hand() -> None:
    x, padding = [1.0, 2.0, 3.0, 4.0], [True, True, False, False]
    assert halve(x) == ([3.5625], 3.5625)
    assert halve(x, return_sequences=True) == ([4.5, 3.25, 3.125, 3.5625], 3.5625)
    assert halve(x, padding) == ([3.25], 3.25)
    assert halve(x, padding, zero_output_for_mask=True) == ([0.0], 3.25)
    assert halve(x, padding, zero_output_for_mask=True, return_sequences=True) == ([4.5, 3.25, 0.0, 0.0], 3.25)
    assert halve(x, padding, go_backwards=True) == ([3.0], 3.0)
    assert halve(x, padding, go_backwards=True, zero_output_for_mask=True) == ([3.0], 3.0)


def test_reset_variants_by_hand() -> None:
    exchange = np.array([[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]], "float32")
    bias = np.array([-2.5, -2.5, -2.5, 2.5, 0, 0], "float32")  # z = (0, 0), r = (0, 1)
    weights = {"kernel": np.zeros((1, 6), "float32"), "recurrent_kernel": exchange}
    both = np.stack([bias, np.array([0, 0, 0, 0, 0, 0.5], "float32")])
    x, h = np.ones((1, 1, 1), "float32"), np.array([[1, 3]], "float32")
    before = prepare(GRUSpec(units=2, activation="linear"), weights | {"bias": bias})
    after = prepare(GRUSpec(units=2, activation="linear", reset_after=True), weights | {"bias": both})
    assert before(x, initial_state=h).outputs.tolist() == [[3.0, 0.0]]
    assert after(x, initial_state=h).outputs.tolist() == [[0.0, 1.5]]


@pytest.mark.parametrize("go_backwards", [False, True])
def test_nothing_at_padded_steps_enters(*, go_backwards: bool) -> None:
    spec = GRUSpec(units=3, go_backwards=go_backwards)
    weights, arguments = draw(spec)
    clean = prepare(spec, weights)(**arguments)
    arguments["inputs"][~arguments["mask"]] = np.nan
    dirty = prepare(spec, weights)(**arguments)
    np.testing.assert_array_equal(dirty.outputs, clean.outputs)
    np.testing.assert_array_equal(dirty.state, clean.state)


def test_masks_of_other_shapes_and_dtypes() -> None:
    for time_major in (False, True):
        spec = GRUSpec(units=2, time_major=time_major)
        weights, arguments = draw(spec)
        wanted = prepare(spec, weights)(**arguments).outputs
        mask = arguments["mask"]
        for same in (mask[..., None], mask.astype(int), np.where(mask, np.nan, 0.0)):
            np.testing.assert_array_equal(prepare(spec, weights)(**arguments | {"mask": same}).outputs, wanted)
    spec = GRUSpec(units=2, return_sequences=True)
    weights, arguments = draw(spec)
    nothing_padded = arguments | {"mask": np.ones((3, 5), bool)}
    assert_agrees(spec, weights, nothing_padded)


def reasons(spec: GRUSpec, change: dict[str, Any] | None = None, **where: str) -> str:
    """Return why a layer or a call is refused."""
    weights, arguments = draw(spec)
    with pytest.raises(Unsupported) as caught:
        prepare(spec, weights, **where)(**arguments | (change or {}))
    return str(caught.value)


def test_refuses_what_the_operator_does_not_have() -> None:
    gap = np.array([[True, False, True, True, True]] * 3)
    left = gap[:, ::-1] ^ True
    plain = GRUSpec(units=2)
    assert "stateful" in reasons(GRUSpec(units=2, stateful=True))
    assert "go_backwards" in reasons(GRUSpec(units=2, go_backwards=True, return_sequences=True))
    assert "0 at padded timesteps" in reasons(GRUSpec(units=2, return_sequences=True))
    assert "mask of kind 'any'" in reasons(plain, {"mask": gap})
    assert "mask of kind 'any'" in reasons(plain, {"mask": left})
    assert "mask of kind 'any'" in reasons(plain, {"mask": np.zeros((3, 5), bool)})
    assert "float64" in reasons(plain, dtype="float64")
    assert "float16" in reasons(plain, dtype="float16")


def test_refuses_dropout_where_it_would_act() -> None:
    spec = GRUSpec(units=2, dropout=0.5)
    weights, arguments = draw(spec)
    layer, masks = prepare(spec, weights), {"inputs": np.zeros((3, 3, 2), "float32")}
    assert "dropout=0.5 in training" in reasons(spec, {"training": True, "dropout_masks": masks})
    expected = layer(**arguments).outputs
    np.testing.assert_array_equal(layer(**arguments, dropout_masks=masks).outputs, expected)
    with pytest.raises(SpecError, match="dropout_masks: unknown state; known are inputs, recurrent"):
        layer(**arguments, dropout_masks={"state": masks["inputs"]})
    capabilities = gruspec_onnx.backend().capabilities()
    assert not capabilities.dropout
    assert not capabilities.gradients
    assert not hasattr(layer, "vjp")


def test_refuses_sizes_of_zero() -> None:
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    layer = prepare(spec, weights)
    with pytest.raises(Unsupported, match="zero timesteps"):
        layer(np.zeros((2, 0, 2), "float32"))
    with pytest.raises(Unsupported, match="zero batch"):
        layer(np.zeros((0, 4, 2), "float32"), mask=np.ones((0, 4), bool))
    with pytest.raises(Unsupported, match="size 0"):
        prepare(spec, weights | {"kernel": np.zeros((0, 6), "float32")})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"inputs": np.zeros((3, 5), "float32")}, SpecError, "inputs: shape"),
        ({"inputs": np.zeros((3, 5, 4), "float32")}, SpecError, "kernel: shape"),
        ({"inputs": np.zeros((3, 5, 2))}, SpecTypeError, "inputs: dtype float64"),
        ({"mask": np.ones((3, 4), bool)}, SpecError, "mask: shape"),
        ({"mask": np.full((3, 5), "a")}, SpecError, "mask: dtype"),
        ({"initial_state": np.zeros((1, 2), "float32")}, SpecError, "initial_state: shape"),
        ({"initial_state": np.zeros((3, 2))}, SpecTypeError, "initial_state: dtype float64"),
    ],
)
def test_invalid_calls(change: dict[str, Any], error: type[Exception], message: str) -> None:
    spec = GRUSpec(units=2)
    weights, arguments = draw(spec)
    with pytest.raises(error, match=message):
        prepare(spec, weights)(**arguments | change)


def test_invalid_weights() -> None:
    spec = GRUSpec(units=2)
    weights, _ = draw(spec)
    with pytest.raises(SpecError, match="bias: shape"):
        prepare(spec, weights | {"bias": np.zeros((2, 6), "float32")})
    with pytest.raises(SpecError, match="recurrent_kernel: missing"):
        prepare(spec, {name: weights[name] for name in ("kernel", "bias")})
    with pytest.raises(SpecTypeError, match="bias: dtype float64"):
        prepare(spec, weights | {"bias": np.zeros(6)})
    with pytest.raises(NotStatefulError):
        prepare(spec, weights).reset_states()


def test_arguments_are_not_written_to_and_weights_are_copied() -> None:
    spec = GRUSpec(units=2)
    weights, arguments = draw(spec)
    kept = {name: a.copy() for name, a in (weights | arguments).items()}
    layer = prepare(spec, weights)
    first = layer(**arguments)
    for name, array in (weights | arguments).items():
        np.testing.assert_array_equal(array, kept[name])
    assert not np.shares_memory(first.outputs, first.state)
    for array in weights.values():
        array[:] = 0
    np.testing.assert_array_equal(layer(**arguments).outputs, first.outputs)


def structure(**change: Any) -> gruspec_onnx.Structure:
    arguments: dict[str, Any] = {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid"}
    return gruspec_onnx.Structure(**arguments | {"use_bias": True, "reset_after": True} | change)


def attributes(model: Any) -> dict[str, Any]:
    (node,) = model.graph.node
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def test_model() -> None:
    model = gruspec_onnx.gru_model(structure(reverse=True))
    assert [i.name for i in model.graph.input] == ["X", "W", "R", "B"]
    assert [o.name for o in model.graph.output] == ["Y", "Y_h"]
    assert attributes(model) == {
        "hidden_size": 3,
        "direction": b"reverse",
        "linear_before_reset": 1,
        "activations": [b"Sigmoid", b"Tanh"],
    }
    model = gruspec_onnx.gru_model(structure(use_bias=False, lengths=True, initial_state=True, reset_after=False))
    assert list(model.graph.node[0].input) == ["X", "W", "R", "", "sequence_lens", "initial_h"]
    assert attributes(model)["linear_before_reset"] == 0
    shapes = {i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    assert shapes["X"] == ["T", "B", "D"]
    assert shapes["W"] == [1, 9, "D"]
    assert shapes["initial_h"] == [1, "B", 3]


def test_parameters_of_activations_are_listed_in_order() -> None:
    assert set(ONNX_ACTIVATIONS) == set(ACTIVATIONS)
    found = attributes(gruspec_onnx.gru_model(structure(recurrent_activation="hard_sigmoid", activation="linear")))
    assert found["activations"] == [b"HardSigmoid", b"Affine"]
    assert found["activation_alpha"] == pytest.approx([0.2, 1.0])
    assert found["activation_beta"] == pytest.approx([0.5, 0.0])
    found = attributes(gruspec_onnx.gru_model(structure(recurrent_activation="relu", activation="hard_sigmoid")))
    assert found["activation_alpha"] == pytest.approx([0.2])
    assert found["activation_beta"] == pytest.approx([0.5])


def test_weights() -> None:
    kernel, recurrent = np.arange(12.0).reshape(2, 6), np.arange(12.0, 24).reshape(2, 6)
    found = gruspec_onnx.gru_weights({"kernel": kernel, "recurrent_kernel": recurrent})
    assert set(found) == {"W", "R"}
    assert found["W"].tolist() == [[[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]]
    assert found["R"].shape == (1, 6, 2)
    single = gruspec_onnx.gru_weights({"kernel": kernel, "recurrent_kernel": recurrent, "bias": np.arange(6.0)})
    assert single["B"].tolist() == [[*range(6), *[0] * 6]]
    both = np.arange(12.0).reshape(2, 6)
    found = gruspec_onnx.gru_weights({"kernel": kernel, "recurrent_kernel": recurrent, "bias": both})
    assert found["B"].tolist() == [list(range(12))]
    assert not any(np.shares_memory(a, b) for a in found.values() for b in (kernel, recurrent, both))


def test_sessions_are_shared() -> None:
    spec, weights = halving()
    one = np.ones((1, 1, 1), "float32")
    prepare(spec, weights)(one)
    before = sessions.session.cache_info()
    prepare(spec, weights)(np.ones((4, 9, 1), "float32"))
    after = sessions.session.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


CUDNN = GRUSpec(units=2, recurrent_activation="sigmoid", reset_after=True)


def test_cuda_without_its_provider_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, _ = draw(CUDNN)
    monkeypatch.setattr(sessions, "available_providers", lambda: ["AzureExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(DeviceUnavailable, match="no CUDAExecutionProvider, only Azure"):
        prepare(CUDNN, weights, device="cuda")


def test_cuda_takes_what_cudnn_computes_only() -> None:
    assert "reset_after=False" in reasons(GRUSpec(units=2, recurrent_activation="sigmoid"), device="cuda")
    assert "hard_sigmoid" in reasons(GRUSpec(units=2, reset_after=True), device="cuda")
    relu = GRUSpec(units=2, reset_after=True, activation="relu", recurrent_activation="sigmoid")
    assert "relu" in reasons(relu, device="cuda")


class FakeSession:
    """A session that records what it is asked for, and runs on the providers that ``started`` names."""

    started: tuple[str, ...] = ("CUDAExecutionProvider", "CPUExecutionProvider")
    error: Exception | None = None
    refuses_alone = False

    def __init__(self, model: bytes, options: Any, *, providers: list[Any], enable_fallback: int) -> None:
        assert model
        assert enable_fallback == 0
        self.providers = providers
        try:
            self.alone = options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
        except RuntimeError:
            self.alone = False
        if self.error:
            raise self.error
        if self.alone and self.refuses_alone:
            raise RuntimeError("nodes are assigned to the default CPU EP")

    def get_providers(self) -> list[str]:
        return list(self.started)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    class Fake(FakeSession):
        pass

    monkeypatch.setattr(onnxruntime, "InferenceSession", Fake)
    monkeypatch.setattr(sessions, "available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    return Fake


def open_on_cuda() -> Any:
    return sessions.session.__wrapped__(structure(), "cuda")


def test_cuda_runs_alone_and_without_tf32(fake: type[FakeSession]) -> None:
    opened = open_on_cuda()
    assert isinstance(opened, fake)
    assert opened.alone
    assert opened.providers == [("CUDAExecutionProvider", {"use_tf32": "0"})]


def test_cuda_never_falls_back(fake: type[FakeSession]) -> None:
    fake.refuses_alone = True
    with pytest.raises(Unsupported, match="leaves this GRU to the CPU"):
        open_on_cuda()
    fake.started = ("CPUExecutionProvider",)
    with pytest.raises(DeviceUnavailable, match="does not start; what does is CPUExecutionProvider"):
        open_on_cuda()
    fake.error = RuntimeError("no driver")
    with pytest.raises(DeviceUnavailable, match="does not start: no driver"):
        open_on_cuda()


def test_declaration_and_versions() -> None:
    capabilities = BACKEND.capabilities()
    assert capabilities.kind == "native"
    assert capabilities.dtypes == ("float32",)
    versions = BACKEND.versions()
    assert versions["onnxruntime"] == onnxruntime.__version__
    assert versions["use_tf32"] == "0"
    assert not hasattr(gruspec_onnx, "no_such_name")


def test_importing_it_imports_no_framework() -> None:
    code = (
        "import sys, gruspec_onnx; gruspec_onnx.backend().capabilities(); "
        "print([m for m in ('numpy', 'onnx', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
