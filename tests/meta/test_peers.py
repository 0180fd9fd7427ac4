"""The tests of other projects are run on wrong GRUs as they would be on any: the translation changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

from benchmarks.peer_suites import golden_cases, onnx_nodes, tables
from benchmarks.peer_suites.onnx_nodes import Node
from benchmarks.peer_suites.suite import NotExpressible, TestSuite
from benchmarks.peers import judged, main
from gruspec.faults import CATALOGUE, Fault, FaultyBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

ROOT = Path(__file__).parents[2]
SIZES = {"timesteps": 4, "batch": 3, "features": 2, "units": 5}


@pytest.fixture(scope="module")
def nodes() -> TestSuite:
    return onnx_nodes.suite()


def test_all_node_tests_are_run_and_the_reference_passes_them(nodes: TestSuite) -> None:
    assert len(nodes.tests) == 6
    assert not nodes.left_out
    assert nodes.first_failure(FaultyBackend()) is None


def test_a_swap_of_gates_in_the_kernel_is_caught(nodes: TestSuite) -> None:
    failure = nodes.first_failure(FaultyBackend(CATALOGUE["gate-order/kernel-rzh"]))
    assert failure is not None
    assert failure[0] == "test_gru_seq_length"
    assert "Not equal to tolerance rtol=0.001, atol=1e-07" in str(failure[1])


def without_mask(_: GRUSpec, arguments: Arguments) -> Arguments:
    return replace(arguments, mask=None)


def test_a_fault_that_no_node_shows_survives_there_and_not_here(nodes: TestSuite) -> None:
    backend = FaultyBackend(Fault(id="test/mask", does="ignores masks", clause="mask-state", arguments=without_mask))
    assert nodes.first_failure(backend) is None
    failure = golden_cases.suite().first_failure(backend)
    assert failure is not None
    assert failure[0].startswith("masking/") or "mask" in failure[0]


def arrays_of(directions: int) -> dict[str, NDArray[Any]]:
    timesteps, batch, features, units = SIZES.values()
    shapes = {
        "X": (timesteps, batch, features),
        "W": (directions, 3 * units, features),
        "R": (directions, 3 * units, units),
        "B": (directions, 6 * units),
        "initial_h": (directions, batch, units),
    }
    generator = np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]] = {
        name: generator.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()
    }
    return arrays | {"sequence_lens": np.array([4, 1, 3], np.int32)}


def gru_node(**attributes: Any) -> Any:
    inputs = ["X", "W", "R", "B", "sequence_lens", "initial_h"]
    return onnx.helper.make_node("GRU", inputs, ["Y", "Y_h"], hidden_size=SIZES["units"], **attributes)


def run_by_onnxruntime(node: Any, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    elements = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in arrays.items()}
    inputs = [onnx.helper.make_tensor_value_info(name, elements[name], arrays[name].shape) for name in node.input]
    outputs = [onnx.helper.make_tensor_value_info(name, elements["X"], None) for name in node.output]
    graph = onnx.helper.make_graph([node], "gru", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_operatorsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(list(node.output), dict(arrays))
    return found


def read(node: Any) -> Node:
    return Node.read(node, onnx.helper.get_attribute_value)


@pytest.mark.parametrize("linear_before_reset", [0, 1])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_node_computes_what_onnxruntime_computes(direction: str, linear_before_reset: int) -> None:
    arrays = arrays_of(2 if direction == "bidirectional" else 1)
    node = gru_node(direction=direction, linear_before_reset=linear_before_reset)
    found = read(node).run(FaultyBackend(), arrays)
    for name, expected in zip(node.output, run_by_onnxruntime(node, arrays), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_layout_of_a_node_moves_axes_and_nothing_else() -> None:
    arrays = arrays_of(2)
    time_major = read(gru_node(direction="bidirectional")).run(FaultyBackend(), arrays)
    moved = arrays | {name: arrays[name].swapaxes(0, 1) for name in ("X", "initial_h")}
    batch_major = read(gru_node(direction="bidirectional", layout=1)).run(FaultyBackend(), moved)
    np.testing.assert_array_equal(batch_major["Y"], time_major["Y"].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(batch_major["Y_h"], time_major["Y_h"].swapaxes(0, 1))


def test_a_node_that_no_layer_can_be_is_not_expressible() -> None:
    with pytest.raises(NotExpressible, match="clip"):
        read(gru_node(clip=1.0))


def test_a_suite_that_fails_without_a_fault_is_refused() -> None:
    def refuse(_: FaultyBackend) -> None:
        raise AssertionError("never right")

    suite = TestSuite("always", "always red", "1", {"test_red": refuse})
    with pytest.raises(click.ClickException, match="test_red fails without any fault: never right"):
        judged([suite], ["gate-order/kernel-rzh"])


def test_the_table_counts_what_is_caught_in_each_family() -> None:
    suite = TestSuite("some", "Some tests", "1", {})
    first, second, *_ = (fault.id for fault in CATALOGUE.values() if fault.family == "gate-order")
    other = next(fault for fault in CATALOGUE.values() if fault.family != "gate-order")
    caught: tables.Caught = {first: {"some": "test_a"}, second: {"some": None}, other.id: {"some": "test_b"}}
    assert tables.markdown(caught, [suite]).split("\n\n")[0].splitlines() == [
        "| family | faults | Some tests |",
        "| --- | ---: | ---: |",
        "| gate-order | 2 | 1 |",
        f"| {other.family} | 1 | 1 |",
        "| all | 3 | 2 |",
    ]


def test_the_command_says_which_test_caught_a_fault() -> None:
    done = CliRunner().invoke(main, ["--suite", "onnx", "--json", "gate-order/kernel-*"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["suites"]["onnx"] == {"version": onnx.__version__, "tests": 6, "left_out": {}}
    assert document["caught_by"]["gate-order/kernel-rzh"] == {"onnx": "test_gru_seq_length"}
    assert all(name.startswith("gate-order/kernel-") for name in document["caught_by"])


def test_the_tests_of_keras_meet_the_faults() -> None:
    faults = {
        "update/complement": "test_correctness0",
        "mask/ignored": "test_masking",
        "stateful/lost": "test_statefulness",
        "gate-order/all-rzh": None,
    }
    command = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), "--suite", "keras", "--json", *faults]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["suites"]["keras"]["tests"] == 8
    assert {fault: found["keras"] for fault, found in document["caught_by"].items()} == faults


def test_the_command_refuses_faults_that_do_not_exist() -> None:
    done = CliRunner().invoke(main, ["--suite", "onnx", "gate-order/kernel-abc"])
    assert done.exit_code == 2
    assert "gate-order/kernel-abc: no such fault" in done.output


def test_the_famous_faults_are_in_the_catalogue() -> None:
    assert set(tables.FAMOUS.values()) <= set(CATALOGUE)


def test_the_documented_table_is_that_of_the_catalogue(nodes: TestSuite) -> None:
    found = list(tables.rows(judged([nodes], list(CATALOGUE)), [nodes]))
    lines = (ROOT / "docs" / "strength.md").read_text(encoding="utf-8").splitlines()
    documented = [[cell.strip() for cell in line.strip("|").split("|")][:3] for line in lines if line.startswith("| ")]
    start = documented.index(["family", "faults", nodes.heading])
    assert documented[start + 2 : start + 2 + len(found)] == [row.cells() for row in found]
