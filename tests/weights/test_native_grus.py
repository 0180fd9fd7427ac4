"""What native GRUs admit and refuse, whatever framework is behind them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from certified_cells import expected_of, judge
from framework_weights import BOTH, INPUT, NONE, Wanted, form_of, made
from native_grus import ABSENT, PRESENT, REGISTERED, declared

from gruspec.errors import MissingDependency, SpecError, Unsupported
from gruspec.layouts import LAYOUTS, Cell, Sizes, unpack

if TYPE_CHECKING:
    from gruspec.backend import NativeResult
    from gruspec_natives.admission import DeclaredGRU

ONE, CELL = Sizes(input_size=3, units=4), Cell(0, 0)
PACKAGE = Path(__file__).parents[2] / "backends" / "gruspec_natives"
FRAMEWORKS = {"tensorflow", "tf_keras", "keras", "torch", "jax", "flax", "haiku", "equinox", "onnx", "onnxruntime"} | {
    "openvino", "paddle", "mlx", "mxnet",
}  # fmt: skip
NEEDS_GPU = {"cudnn-gru", "cudnn"}
RUNNING = [layout for layout in PRESENT if layout not in NEEDS_GPU]


def made_for(layout: str) -> tuple[dict[str, Any], bool]:
    """Return weights in a variant that a layout has, with bias, and which."""
    for reset_after in LAYOUTS[layout].reset_after:
        for biases in (BOTH, INPUT):
            wanted = Wanted(layout, reset_after, biases, ONE)
            if form_of(wanted):
                return made(wanted), reset_after
    raise AssertionError(layout)


def inputs_of(dtype: str = "float32", size: int = ONE.input_size) -> Any:
    return np.linspace(-1, 1, 2 * 3 * size).reshape(2, 3, size).astype(dtype)


def test_modules_import_no_framework() -> None:
    modules = sorted(f"gruspec_natives.{path.stem}" for path in PACKAGE.glob("[a-z]*.py"))
    assert len(modules) > 12
    script = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "gruspec_natives" in imported
    assert not imported & FRAMEWORKS


@pytest.mark.parametrize("layout", REGISTERED)
def test_a_native_is_registered_by_its_layout(layout: str) -> None:
    assert declared(layout).layout == layout
    assert declared(layout).title


@pytest.mark.parametrize("layout", ABSENT)
def test_an_absent_framework_is_named(layout: str) -> None:
    with pytest.raises(MissingDependency, match=r"not importable here|no libdnnl|^keras: "):
        declared(layout).run({}, inputs_of(), reset_after=True)


UNDECLARED: tuple[tuple[str, Any], ...] = (
    ("activation", "softsign"),
    ("recurrent_activation", "softsign"),
    ("layers", 0),
    ("directions", 3),
    ("dtype", "int32"),
)


@pytest.mark.parametrize(("argument", "value"), UNDECLARED)
@pytest.mark.parametrize("layout", PRESENT)
def test_what_is_not_declared_is_refused_by_name(layout: str, argument: str, value: Any) -> None:
    arrays, reset_after = made_for(layout)
    question = {} if argument == "dtype" else {argument: value}
    inputs = inputs_of(value) if argument == "dtype" else inputs_of()
    with pytest.raises(Unsupported, match=f"(^|; ){argument}="):
        declared(layout).run(arrays, inputs, reset_after=reset_after, **question)


@pytest.mark.parametrize("layout", [layout for layout in PRESENT if len(LAYOUTS[layout].reset_after) == 1])
def test_the_other_variant_is_refused(layout: str) -> None:
    arrays, reset_after = made_for(layout)
    with pytest.raises(Unsupported, match=f"reset_after={not reset_after}"):
        declared(layout).run(arrays, inputs_of(), reset_after=not reset_after)


@pytest.mark.parametrize("layout", PRESENT)
def test_arrays_inputs_and_state_must_fit(layout: str) -> None:
    arrays, reset_after = made_for(layout)
    name = next(iter(arrays))
    native = declared(layout)
    state = np.zeros((1, 2, ONE.units), np.float32)
    for wrong, question in (
        ("inputs" if len(arrays) > 1 else name, {"inputs": inputs_of(size=2)}),
        ("initial_state", {"initial_state": state[0]}),
        ("initial_state", {"initial_state": state.astype("float64")}),
        (name, {"arrays": arrays | {name: arrays[name].astype("float64")}}),
        ("|".join([*arrays, "inputs"]), {"arrays": arrays | {name: arrays[name][:-1]}}),
        (layout, {"arrays": {f"{name}x": values for name, values in arrays.items()}}),
    ):
        given: dict[str, Any] = {"arrays": arrays, "inputs": inputs_of(), "initial_state": state} | question
        with pytest.raises(SpecError, match=wrong):
            native.run(**given, reset_after=reset_after)


@pytest.mark.parametrize("layout", RUNNING)
def test_no_initial_state_is_zeros(layout: str) -> None:
    arrays, reset_after = made_for(layout)
    zeros = np.zeros((1, 2, ONE.units), np.float32)
    without = declared(layout).run(arrays, inputs_of(), reset_after=reset_after)
    given = declared(layout).run(arrays, inputs_of(), reset_after=reset_after, initial_state=zeros)
    assert without.outputs.tobytes() == given.outputs.tobytes()
    assert np.abs(without.outputs).max() > 0


@pytest.mark.parametrize("layout", RUNNING)
def test_arrays_are_left_as_they_are(layout: str) -> None:
    arrays, reset_after = made_for(layout)
    inputs, before = inputs_of(), {name: values.tobytes() for name, values in arrays.items()}
    for values in (*arrays.values(), inputs):
        values.setflags(write=False)
    declared(layout).run(arrays, inputs, reset_after=reset_after)
    assert {name: values.tobytes() for name, values in arrays.items()} == before


def activations_of(layout: str) -> list[tuple[str, str]]:
    fixed, native = LAYOUTS[layout], declared(layout)
    candidates = fixed.activations or native.activations
    gates = fixed.recurrent_activations or native.recurrent_activations
    return sorted({*((candidate, "sigmoid") for candidate in candidates), *(("tanh", gate) for gate in gates)})


@pytest.mark.parametrize(
    ("layout", "activation", "recurrent_activation"),
    [(layout, *pair) for layout in RUNNING for pair in activations_of(layout)],
)
@pytest.mark.parametrize("variant", ["before", "after"])
def test_every_declared_activation_is_computed(
    layout: str, activation: str, recurrent_activation: str, variant: str
) -> None:
    reset_after = variant == "after"
    if reset_after not in LAYOUTS[layout].reset_after:
        pytest.skip(f"{layout} has the other variant alone")
    result, wanted = computed(
        declared(layout), Wanted(layout, reset_after, INPUT, ONE), activation, recurrent_activation
    )
    assert_certified(result, wanted, activation, recurrent_activation)


def computed(
    native: DeclaredGRU, wanted: Wanted, activation: str, recurrent_activation: str
) -> tuple[NativeResult, Wanted]:
    result = native.run(
        made(wanted),
        inputs_of() / 2,
        reset_after=wanted.reset_after,
        activation=activation,
        recurrent_activation=recurrent_activation,
        initial_state=np.full((1, 2, ONE.units), 0.25, np.float32),
    )
    return result, wanted


def assert_certified(result: NativeResult, wanted: Wanted, activation: str, recurrent_activation: str) -> None:
    weights = unpack(made(wanted), LAYOUTS[wanted.layout], reset_after=wanted.reset_after, units=ONE.units)
    expected = expected_of(
        weights,
        CELL,
        inputs_of() / 2,
        np.full((2, ONE.units), 0.25),
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    judge(result, expected, cell=CELL, directions=1, dtype="float32")


@pytest.mark.skipif(find_spec("keras") is None or "keras" in ABSENT, reason="Keras 3 is not importable")
@pytest.mark.parametrize("biases", [NONE, BOTH])
@pytest.mark.parametrize("variant", ["before", "after"])
def test_keras_3_computes_the_same_from_the_same_layout(variant: str, biases: str) -> None:
    native = import_module("gruspec_natives.keras").Keras3GRU()
    reset_after = variant == "after"
    wanted = Wanted("keras", reset_after, biases if reset_after or biases == NONE else INPUT, ONE)
    for activation, gates in (("tanh", "sigmoid"), ("relu", "tanh"), ("linear", "relu")):
        result, _ = computed(native, wanted, activation, gates)
        assert_certified(result, wanted, activation, gates)
    with pytest.raises(Unsupported, match="recurrent_activation='hard_sigmoid'"):
        computed(native, wanted, "tanh", "hard_sigmoid")


@pytest.mark.skipif("onednn" in ABSENT, reason="oneDNN is not found")
def test_directions_of_onednn_are_stacks_of_their_own() -> None:
    onednn = import_module("gruspec_natives.onednn")
    rng = np.random.default_rng(3)
    units, cells = 4, (2, 2)
    given = {
        "src_layer": rng.normal(size=(3, 2, units)),
        "src_iter": rng.normal(size=(*cells, 2, units)),
        "weights_layer": rng.normal(size=(*cells, units, 3, units)),
        "weights_iter": rng.normal(size=(*cells, units, 3, units)),
        "bias": rng.normal(size=(*cells, 4, units)),
        "dst_layer": np.zeros((3, 2, 2 * units)),
        "dst_iter": np.zeros((*cells, 2, units)),
    }
    both = {name: values.astype(np.float32) for name, values in given.items()}
    onednn.execute("lbr_gru", 3, both)
    forward = {name: np.ascontiguousarray(values[:, :1]) for name, values in both.items() if "layer" not in name}
    forward["weights_layer"] = np.ascontiguousarray(both["weights_layer"][:, :1])
    forward |= {"src_layer": both["src_layer"], "dst_layer": np.zeros((3, 2, units), np.float32)}
    onednn.execute("lbr_gru", 1, forward)
    assert forward["dst_layer"].tobytes() == np.ascontiguousarray(both["dst_layer"][..., :units]).tobytes()
    with pytest.raises(Unsupported, match="layers=2 with directions=2"):
        declared("onednn").run({}, inputs_of(size=8), reset_after=True, layers=2, directions=2)


@pytest.mark.skipif("openvino" in ABSENT, reason="OpenVINO is not importable")
def test_openvino_is_imported_without_its_telemetry() -> None:
    script = (
        "from gruspec_natives.openvino import _load_openvino; import os, sys\n"
        "os.register_at_fork(before=lambda: print('FORKED'))\n"
        "_load_openvino()\n"
        "print('openvino' in sys.modules, 'openvino_telemetry' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
