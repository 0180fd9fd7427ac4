"""Layers of legacy Keras in memory, built as users build them, and what is proven of their calls."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gruspec.cases import Call, judged_outputs
from gruspec.certify import certify
from gruspec.conformance.verdict import judge_array
from gruspec.generate.covering import covering_array
from gruspec.generate.draws import Draw
from gruspec.generate.finish import finished
from gruspec.generate.masks import MASK_KINDS, MINIMAL_TIMESTEPS
from gruspec.generate.options import option_case, row_words
from gruspec.generate.training_calls import trained
from gruspec.spec import weight_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gruspec.backend import Layer
    from gruspec.cases import Case

    Row = dict[str, Any]

OPTIONS: dict[str, Sequence[Any]] = {
    "reset_after": (False, True),
    "use_bias": (True, False),
    "activation": ("tanh", "relu", "linear", "hard_sigmoid"),
    "recurrent_activation": ("hard_sigmoid", "sigmoid", "tanh"),
    "return_sequences": (True, False),
    "return_state": (True, False),
    "go_backwards": (False, True),
    "time_major": (False, True),
    "unroll": (False, True),
    "zero_output_for_mask": (False, True),
    "implementation": (1, 2),
    "calls": ("one", "two", "reset-values"),
    "mask": MASK_KINDS,
    "initial_state": ("none", "non-zero"),
    "dropout": (0.0, 0.5),
    "recurrent_dropout": (0.0, 0.75),
    "training": (False, True),
    "gradients": (False, True),
    "batch": (1, 3),
    "timesteps": (1, 4),
    "input_size": (1, 3),
    "units": (1, 4),
}


def allowed(row: Mapping[str, Any]) -> bool:
    """Return whether a row makes sense, and the reference layer has no known divergence in it [unroll]."""
    diverges = row.get("unroll") and row.get("zero_output_for_mask") and row.get("mask", "none") != "none"
    return not diverges and row.get("timesteps", 4) >= MINIMAL_TIMESTEPS.get(row.get("mask", "none"), 1)


@cache
def cases(key: str, dtype: str | None = None, **narrower: Sequence[Any]) -> tuple[Case, ...]:
    """Return certified cases in which every two values of every two options stand together."""
    rows = covering_array(OPTIONS | narrower, 2, allowed, key)
    return tuple(_case(f"{key}{number}", row, dtype) for number, row in enumerate(rows))


def _case(key: str, row: Row, dtype: str | None) -> Case:
    def drawn(attempt: int) -> Case:
        case = option_case(key, row, reset_after=row["reset_after"], attempt=attempt)
        options: Row = {name: row[name] for name in ("training", "gradients")}
        calls = (trained(Draw(f"{key}/{i}"), case.spec, call, **options) for i, call in enumerate(case.calls))
        return replace(case, id=f"{key}-{row_words(row)}", calls=tuple(calls))

    return finished(drawn, lambda case: certify(case, dtype=dtype))


def live_layer(case: Case, dtype: str) -> Any:
    """Return a layer of ``tf.compat.v1.keras`` in a model, with the weights of a case."""
    tf_keras = import_module("tf_keras")
    gru = import_module("gruspec_tensorflow.adapter").V1.resolve()
    call = next(call for call in case.calls if isinstance(call, Call))
    with import_module("gruspec_tensorflow.framework").without_warnings():
        layer = gru(dtype=dtype, name="recurrent", **case.spec.to_dict())
    shape = [*call.inputs.shape]
    if not case.spec.unroll:
        shape[0 if case.spec.time_major else 1] = None
    inputs = tf_keras.Input(batch_shape=shape, dtype=dtype)
    tf_keras.Model(inputs, layer(inputs))
    layer.set_weights([case.weights[name].astype(dtype) for name in weight_shapes(case.spec, 0)])
    return layer


def saved_models(folder: Path, suffix: str, inputs: Any) -> Iterator[tuple[Path, str, Any]]:
    """Write whole models of each Keras that is there; yield the file, the name of a GRU in it, and that layer."""
    v1 = import_module("gruspec_tensorflow.adapter").V1.resolve()
    sequence = {"return_sequences": True, "bias_initializer": "uniform"}
    kinds: dict[str, list[Any]] = {
        "tf_keras": [v1(4, name="default", **sequence), v1(4, name="after", reset_after=True, go_backwards=True)],
        "keras": [],
    }
    keras = import_module("keras")
    if keras.__version__.startswith("3"):
        kinds["keras"] = [keras.layers.GRU(4, name="default", **sequence), keras.layers.GRU(2, name="after")]
    for package, layers in kinds.items():
        framework = import_module(package)
        source = framework.Input(inputs.shape[1:])
        path = folder / f"{package}{suffix}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both advise against .h5
            framework.Model(source, [layer(source) for layer in layers]).save(path)
        yield from ((path, layer.name, layer) for layer in layers)


def running(layer: Any, case: Case) -> Layer:
    """Return a layer of Keras behind the protocol."""
    v1 = import_module("gruspec_tensorflow").v1()
    bound: Layer = import_module("gruspec_tensorflow.layer").NativeLayer(
        case.spec, layer, capabilities=v1.capabilities(), device="cpu"
    )
    return bound


def results(case: Case, layer: Any, dtype: str) -> list[dict[str, Any]]:
    """Perform the operations of a case by a layer behind the protocol; return what each gives, by name."""
    found: list[dict[str, Any]] = []
    for operation in case.calls:
        if not isinstance(operation, Call):
            layer.reset_states(None if operation.states is None else operation.states.astype(dtype))
            found.append({})
            continue
        cast = casting(dtype)
        arguments = {
            "mask": operation.mask,
            "initial_state": cast(operation.initial_state),
            "training": operation.training,
            "dropout_masks": cast(operation.dropout_masks),
        }
        if operation.cotangents is None:
            found.append(layer(cast(operation.inputs), **arguments)._asdict())
        else:
            differentiated = layer.vjp(cast(operation.inputs), cotangents=cast(operation.cotangents), **arguments)
            gradients = {f"gradients/{name}": array for name, array in differentiated.gradients.items()}
            found.append(differentiated.output._asdict() | gradients)
    return found


def casting(dtype: str) -> Callable[[Any], Any]:
    """Return a function that casts arrays, and those of a dictionary, to a dtype."""

    def cast(given: Any) -> Any:
        if given is None:
            return None
        if isinstance(given, dict):
            return {name: cast(array) for name, array in given.items()}
        return given.astype(dtype)

    return cast


def failures(case: Case, found: Sequence[Mapping[str, Any]], dtype: str) -> list[str]:
    """Return what is outside its bound, one sentence each."""
    judged = ((i, name, judge_array(found[i].get(name), expected, dtype)) for i, name, expected in judged_outputs(case))
    return [
        f"{case.id}, call {i}, {name}: {verdict.message or verdict.worst}"
        for i, name, verdict in judged
        if not verdict.passed
    ]
