"""Both sides of a conversion are run, and judged by proven values."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from sample_natives import Evaluated, natives, reference_weights

from gruspec import GRUSpec
from gruspec.backend.native import NATIVES_GROUP
from gruspec.cases import Call, Case
from gruspec.errors import MissingDependency, PluginError, RefusedConversion
from gruspec.layouts import Block, Cell, Sizes, Weights, layout_named
from gruspec.verification import Natives, verify
from gruspec.verification.questions import CASES, questions
from gruspec.verification.samples import cast, finite, sample

TORCH = layout_named("torch")
LINEN = layout_named("linen")
CELL = layout_named("torch-cell")
PARTS = {"kernel": 2, "recurrent_kernel": 2, "input_bias": 1, "recurrent_bias": 1}


def drawn(
    sizes: Sizes, *, reset_after: bool = True, dtype: str = "float32", seed: int = 0, scale: float = 0.5
) -> Weights:
    rng = np.random.default_rng(seed)
    blocks = {}
    for cell in sizes.cells():
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (sizes.inputs_of(cell.layer), sizes.units),
            "recurrent_kernel": (sizes.units, sizes.units),
            "input_bias": (sizes.units,),
            "recurrent_bias": (sizes.units,),
        }
        if not reset_after:
            del shapes["recurrent_bias"]
        for part, shape in shapes.items():
            for gate in "zrh":
                blocks[Block(cell, part, gate)] = (scale * rng.standard_normal(shape)).astype(dtype)
    return Weights(sizes, reset_after, blocks, np.dtype(dtype))


def certified(weights: Weights, inputs: Any, state: Any, dtype: str, recurrent: str) -> Case:
    from gruspec.certify import certify

    spec = GRUSpec(
        units=weights.sizes.units,
        reset_after=weights.reset_after,
        recurrent_activation=recurrent,
        return_sequences=True,
        return_state=True,
    )
    call = Call(inputs, initial_state=state)
    case = Case("x/x/x", "x", "update", (), (), spec, reference_weights(weights, 0, 0), (call,))
    return certify(case, dtype=dtype)


@pytest.mark.parametrize("recurrent", ["sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_one_cell_is_proven_as_certify_does(dtype: str, recurrent: str, *, reset_after: bool) -> None:
    pytest.importorskip("flint")
    from gruspec.verification.proof import proven

    weights = drawn(Sizes(3, 4), reset_after=reset_after, dtype=dtype)
    weights = sample(weights, units=4, inputs=3)
    for question in questions(weights.sizes, batch=2, timesteps=3):
        found = proven(weights, question, activation="tanh", recurrent_activation=recurrent, dtype=dtype)
        (call,) = certified(weights, question.inputs, question.initial_state[0], dtype, recurrent).calls
        assert isinstance(call, Call)
        for name, expected in call.expected.items():
            value, kappa = found[name].value, found[name].kappa
            assert value is not None
            assert expected.value is not None
            np.testing.assert_array_equal(value.reshape(expected.value.shape), expected.value)
            np.testing.assert_array_equal(kappa.reshape(expected.kappa.shape), expected.kappa)


@pytest.mark.parametrize("directions", [1, 2])
def test_stack_is_proven_layer_upon_layer(directions: int) -> None:
    pytest.importorskip("flint")
    from gruspec.verification.proof import proven

    weights = drawn(Sizes(3, 4, 3, directions))
    (question, *_) = questions(weights.sizes, batch=2, timesteps=4)
    found = proven(weights, question, activation="tanh", recurrent_activation="sigmoid", dtype="float32")
    arrays = packed(weights)
    result = Evaluated().run(
        arrays, question.inputs, reset_after=True, layers=3, directions=directions, initial_state=question.initial_state
    )
    for computed, expected in zip(result, (found["outputs"], found["state"]), strict=True):
        assert computed is not None
        assert expected.value is not None
        np.testing.assert_allclose(computed, expected.value, rtol=0, atol=1e-14)
    first = proven(
        replace_layers(weights, 1), question_of(weights, 1), activation="tanh", recurrent_activation="sigmoid",
        dtype="float32",
    )  # fmt: skip
    assert found["outputs"].kappa.max() > first["outputs"].kappa.max()


def packed(weights: Weights) -> dict[str, Any]:
    from gruspec.layouts import plan

    planned = plan(weights, TORCH)
    arrays = {name: np.empty(shape, planned.dtype) for name, shape in planned.shapes.items()}
    planned.write(arrays)
    return arrays


def replace_layers(weights: Weights, layers: int) -> Weights:
    blocks = {block: values for block, values in weights.blocks.items() if block.cell.layer < layers}
    return replace(weights, sizes=weights.sizes._replace(layers=layers), blocks=blocks)


def question_of(weights: Weights, layers: int) -> Any:
    return questions(weights.sizes._replace(layers=layers), batch=2, timesteps=4)[0]


def test_stack_bound_holds_for_every_layer_perturbed() -> None:
    """Outputs of each layer moved by a whole bound of that layer stay within the bound of the stack."""
    pytest.importorskip("flint")
    from gruspec.verification.proof import proven

    weights = drawn(Sizes(3, 4, 2, 2))
    (question, *_) = questions(weights.sizes, batch=2, timesteps=4)
    activations = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    whole = proven(weights, question, **activations, dtype="float32")
    below = proven(replace_layers(weights, 1), question_of(weights, 1), **activations, dtype="float32")
    assert below["outputs"].value is not None
    assert whole["outputs"].value is not None
    unit = 2.0**-24
    rng = np.random.default_rng(1)
    upper = replace(
        weights,
        sizes=Sizes(8, 4, 1, 2),
        blocks={
            Block(Cell(0, block.cell.direction), block.part, block.gate): values
            for block, values in weights.blocks.items()
            if block.cell.layer == 1
        },
    )
    for _ in range(20):
        signs = rng.choice([-1.0, 1.0], below["outputs"].value.shape)
        moved = below["outputs"].value + signs * below["outputs"].kappa * unit
        result = Evaluated().run(
            packed(upper), moved, reset_after=True, directions=2, initial_state=question.initial_state[2:]
        )
        assert (np.abs(result.outputs - whole["outputs"].value) <= whole["outputs"].kappa * unit).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [Sizes(3, 4), Sizes(30, 40, 2, 2)])
def test_right_sides_are_verified(sizes: Sizes, dtype: str) -> None:
    pytest.importorskip("flint")
    found = verify(drawn(sizes, dtype=dtype), TORCH, TORCH, natives=natives(torch="Evaluated"))
    assert found.status == "verified"
    assert found.reasons == ()
    assert {run.part for run in found.target.runs} == set(found.parts)
    assert ("whole" in found.parts) == (sizes.layers > 1)
    assert all(run.units <= 24 and run.input_size <= 24 for run in found.source.runs)
    assert 0 < found.target.error < 1
    (elements,) = {run.elements for run in found.target.runs if run.part.startswith("layer")}
    run = found.target.runs[0]
    assert elements == len(CASES) * 3 * (run.timesteps + 1) * run.units
    assert found.target.versions == {"sample": "1.0"}


@pytest.mark.parametrize("native", ["SwappedGates", "Coarse", "WrongState"])
def test_wrong_side_differs(native: str) -> None:
    pytest.importorskip("flint")
    found = verify(drawn(Sizes(3, 4)), CELL, TORCH, natives=natives(torch_cell="TorchCell", torch=native))
    assert found.status == "differs"
    assert not found.source.problems
    (problem,) = found.target.problems
    assert problem.startswith(f"layer 0: {'state' if native == 'WrongState' else 'outputs'}[")
    assert "expected" in problem
    assert found.target.error > 1


def test_what_only_the_whole_shows_differs() -> None:
    pytest.importorskip("flint")
    found = verify(drawn(Sizes(3, 4, 1, 2)), TORCH, TORCH, natives=natives(torch="SwappedDirections"))
    assert [problem.partition(":")[0] for problem in found.target.problems] == ["whole"]


def test_folded_biases_stay_within_the_bound() -> None:
    pytest.importorskip("flint")
    weights = drawn(Sizes(3, 4))
    sides = natives(torch="Evaluated", linen="Linen")
    with pytest.raises(RefusedConversion, match="linen"):
        verify(weights, TORCH, LINEN, natives=sides)
    for scale in (0.01, 0.5, 8.0):
        found = verify(drawn(Sizes(3, 4), scale=scale), TORCH, LINEN, natives=sides, allow_folding=True)
        assert found.status == "verified"
    wrong = verify(weights, TORCH, LINEN, natives=natives(torch="Coarse", linen="Linen"), allow_folding=True)
    assert wrong.status == "differs"


def test_target_of_another_dtype_is_judged_by_what_it_holds() -> None:
    pytest.importorskip("flint")
    weights = drawn(Sizes(3, 4))
    found = verify(weights, TORCH, TORCH, natives=natives(torch="Evaluated"), dtype="float16")
    assert found.status == "verified"
    assert (found.source.dtype, found.target.dtype) == ("float32", "float16")


def test_unsupported_part_is_told() -> None:
    pytest.importorskip("flint")
    found = verify(drawn(Sizes(3, 4, 1, 2)), TORCH, TORCH, natives=natives(torch="OneDirection"))
    assert found.status == "not run"
    assert [run.part for run in found.target.runs] == ["layer 0", "layer 0 backward"]
    assert found.reasons == ("a sample GRU: directions=2: only one",)


def test_one_side_alone_is_run_only_if_that_is_wanted() -> None:
    pytest.importorskip("flint")
    weights = drawn(Sizes(3, 4))
    found = verify(weights, TORCH, CELL, natives=natives(torch="Evaluated"))
    assert (found.status, found.source.elements > 0, found.target.elements) == ("not run", True, 0)
    found = verify(weights, TORCH, CELL, natives=natives(torch="Evaluated"), one_side=False)
    assert (found.status, found.source.elements, found.target.elements) == ("not run", 0, 0)


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        ({}, "no framework is known here that runs weights of layout torch"),
        (
            {"torch": "Missing"},
            "nowhere.GRU needs not_a_module, which cannot be imported; pip install 'gruspec[torch]'",
        ),
        ({"torch": "Declining"}, "a sample GRU: device='cpu': only on a GPU"),
        ({"torch": "Unlinked"}, "a sample GRU: no library of version 3 is found"),
        ({"torch": "Failing"}, "a sample GRU: raised RuntimeError: kernel not found"),
        ({"torch": "Absent"}, "torch: sample_natives:Absent cannot be loaded"),
    ],
)
def test_side_that_cannot_run_is_told(sides: dict[str, str], reason: str) -> None:
    found = verify(drawn(Sizes(3, 4)), TORCH, TORCH, natives=natives(**sides))
    assert found.status == "not run"
    assert found.reasons[0].startswith(reason)
    assert found.target.elements == 0


def test_without_flint_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "gruspec.verification.verifying.find_spec", lambda name: None if name == "flint" else find(name)
    )
    found = verify(drawn(Sizes(3, 4)), TORCH, TORCH, natives=natives(torch="Evaluated"))
    assert found.status == "not run"
    assert found.reasons == ("proven values need python-flint; pip install 'gruspec[reference]'",)


def test_activation_without_a_clause_is_told() -> None:
    onnx = layout_named("onnx")
    found = verify(drawn(Sizes(3, 4)), onnx, onnx, natives=natives(onnx="Evaluated"), activation="softplus")
    assert found.status == "not run"
    assert found.reasons[0].startswith("activation='softplus': values are proven for tanh")


def test_weights_that_are_not_finite_are_told() -> None:
    weights = drawn(Sizes(3, 4))
    next(iter(weights.blocks.values()))[0, 0] = np.nan
    assert not finite(weights)
    found = verify(weights, TORCH, TORCH, natives=natives(torch="Evaluated"))
    assert found.status == "not run"
    assert found.reasons == ("a sample GRU: the weights have NaN or infinities",)


def test_weights_too_large_to_judge_are_told() -> None:
    pytest.importorskip("flint")
    found = verify(drawn(Sizes(3, 4), scale=1e30), TORCH, TORCH, natives=natives(torch="Evaluated"))
    assert found.status == "not run"
    assert found.reasons[0].startswith("layer 0: ")


def test_layouts_of_one_layer_are_run_cell_by_cell() -> None:
    pytest.importorskip("flint")
    weights = drawn(Sizes(3, 4, 2))
    found = verify(weights, TORCH, LINEN, natives=natives(torch="Evaluated", linen="Linen"), allow_folding=True)
    assert found.parts == ("layer 0", "layer 1")
    assert found.status == "verified"


def test_sample_is_the_leading_part() -> None:
    weights = drawn(Sizes(30, 40, 2, 2))
    part = sample(weights, units=24, inputs=24)
    assert part.sizes == Sizes(24, 24, 2, 2)
    block, lower = Block(Cell(0, 1), "kernel", "r"), Block(Cell(1, 1), "kernel", "r")
    np.testing.assert_array_equal(part.blocks[block], weights.blocks[block][:24, :24])
    whole = weights.blocks[lower]
    np.testing.assert_array_equal(part.blocks[lower], np.concatenate([whole[:24, :24], whole[40:64, :24]]))
    one = sample(weights, units=24, inputs=24, cell=Cell(1, 1))
    assert one.sizes == Sizes(24, 24)
    np.testing.assert_array_equal(one.blocks[Block(Cell(0, 0), "kernel", "r")], whole[:24, :24])


def test_sample_keeps_equal_input_sizes() -> None:
    assert sample(drawn(Sizes(80, 40, 2, 2)), units=24, inputs=24).sizes == Sizes(48, 24, 2, 2)


def test_subnormal_weights_become_zero() -> None:
    weights = drawn(Sizes(3, 4))
    block = Block(Cell(0, 0), "kernel", "z")
    weights.blocks[block][0, 0] = 1e-40
    weights.blocks[block][0, 1] = 1e-6
    part = sample(weights, units=4, inputs=3)
    assert part.blocks[block][0, 0] == 0
    assert weights.blocks[block][0, 0] != 0
    half = cast(part, np.dtype("float16"))
    assert half.blocks[block].dtype == np.float16
    assert half.blocks[block][0, 1] == 0


def test_questions_fill_shapes_with_golden_values() -> None:
    for question in questions(Sizes(7, 5, 2, 2), batch=3, timesteps=4):
        assert question.inputs.shape == (3, 4, 7)
        assert question.initial_state.shape == (4, 3, 5)
        assert len(np.unique(question.inputs)) > 20
        assert (np.abs(question.initial_state) <= 1).all()
        assert question.initial_state.any()


def test_natives_are_listed_and_checked() -> None:
    assert natives(torch_cell="Evaluated", torch="Evaluated").names() == ["torch", "torch-cell"]
    with pytest.raises(MissingDependency, match="no framework is known here"):
        natives().get("torch")
    with pytest.raises(PluginError, match="both registered"):
        Natives([EntryPoint("torch", f"sample_natives:{name}", NATIVES_GROUP) for name in ("Evaluated", "Linen")])
    with pytest.raises(PluginError, match="not a NativeGRU"):
        Natives([EntryPoint("torch", "builtins:dict", NATIVES_GROUP)]).get("torch")
