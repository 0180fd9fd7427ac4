"""A model made of GRU operators alone, one for each GRU that is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.errors import RefusedFile, listed
from gruspec.layouts.operators import ONNX_SEPARATOR

from .activations import DEFAULTS, PARAMETERS, Activation, activation_named
from .model import IR_VERSION, OPSET
from .model_tensors import kind_of, known_dtypes
from .operators import WEIGHTS
from .storing import Numbers, save

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

    from gruspec.files import Contents, WrittenGRU

_NEWER = {"bfloat16": (22, 10)}
"""The opset and the version of files from which the operator takes a dtype, where that is not :data:`OPSET`."""
_LAYOUT = "onnx"
_FORWARD = "forward"


def write_new(path: Path, contents: Contents) -> None:
    """Write a model with one operator for each GRU, side by side; other tensors are initialisers that nothing takes.

    A GRU at ``PATH`` has the inputs ``PATH/X`` (T, B, D) and ``PATH/initial_h`` (directions, B, u), and
    ``PATH/sequence_lens`` (B,) where the GRU that was read had it, and the outputs ``PATH/Y`` (T, directions, B, u) and
    ``PATH/Y_h`` (directions, B, u).

    Raises
    ------
    RefusedFile
        If a GRU is in another layout, or has what the operator has not, or two values have one name.
    """
    import onnx

    check_layouts(path, contents)
    opset, version = OPSET, IR_VERSION
    for dtype in {entry.dtype.name for gru in contents.grus for entry in gru.arrays.values()}:
        opset, version = max((opset, version), _NEWER.get(dtype, (opset, version)))
    if opset > onnx.defs.onnx_opset_version():
        raise RefusedFile(f"{path}: GRUs of bfloat16 need onnx 1.17 or newer, with opset {opset}")
    numbers = Numbers()
    graph = onnx.GraphProto(name="gruspec")
    for gru in contents.grus:
        _add(graph, gru, path)
    for entry in contents.entries:
        numbers.give(graph.initializer.add(name=entry.name), entry)
    _check_names(path, graph)
    model = onnx.helper.make_model(
        graph, producer_name="gruspec", opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=version
    )
    save(path, model, numbers)
    onnx.checker.check_model(str(path))


def check_layouts(path: Path, contents: Contents) -> None:
    """Refuse what no model can hold.

    Raises
    ------
    RefusedFile
        If a GRU is in another layout, or a tensor has a dtype that ONNX has not.
    """
    others = [gru for gru in contents.grus if gru.layout != _LAYOUT]
    if others:
        named = listed(f"{gru.path or 'the GRU'} ({gru.layout})" for gru in others)
        raise RefusedFile(f"{path}: a model holds GRUs in the layout {_LAYOUT}, and these are in others: {named}")
    strange = [f"{entry.name} ({entry.dtype})" for entry in contents.entries if kind_of(entry.dtype) is None]
    if strange:
        raise RefusedFile(f"{path}: ONNX has the dtypes {listed(known_dtypes())}, and not those of {listed(strange)}")


def assumed(gru: WrittenGRU) -> Iterator[str]:
    """Yield what a new operator says of a GRU although nobody has told it."""
    names = (gru.recurrent_activation, gru.activation)
    written = [default for name, default in zip(names, DEFAULTS, strict=True) if name is None]
    if written and gru.sizes.directions == 1 and "go_backwards" not in gru.options:
        written.append(_FORWARD)
    if written:
        *first, last = written
        text = f"{listed(first)} and {last} were" if first else f"{last} was"
        yield f"activations are not told: {text} written"


def _add(graph: onnx.GraphProto, gru: WrittenGRU, path: Path) -> None:
    """Add an operator, its inputs and its outputs to a graph."""
    import onnx

    prefix = f"{gru.path}/" if gru.path else ""
    directions, units = gru.sizes.directions, gru.sizes.units
    real = onnx.TensorProto.DataType.Value(str(kind_of(next(iter(gru.arrays.values())).dtype)))
    steps, batch = f"{prefix}T", f"{prefix}B"
    lengths = bool(gru.options.get("sequence_lens"))
    places: tuple[tuple[str, int, list[str | int]], ...] = (
        ("X", real, [steps, batch, gru.sizes.input_size]),
        *((("sequence_lens", onnx.TensorProto.INT32, [batch]),) if lengths else ()),
        ("initial_h", real, [directions, batch, units]),
    )
    results: tuple[tuple[str, int, list[str | int]], ...] = (
        ("Y", real, [steps, directions, batch, units]),
        ("Y_h", real, [directions, batch, units]),
    )
    for values, declared in ((graph.input, places), (graph.output, results)):
        values.extend(onnx.helper.make_tensor_value_info(prefix + name, kind, shape) for name, kind, shape in declared)
    inputs = [
        f"{prefix}X",
        *(gru.arrays[name].name if name in gru.arrays else "" for name in WEIGHTS),
        f"{prefix}sequence_lens" if lengths else "",
        f"{prefix}initial_h",
    ]
    outputs = [prefix + name for name, *_ in results]
    graph.node.append(onnx.helper.make_node("GRU", inputs, outputs, name=gru.path or "GRU", **_attributes(gru, path)))


def _attributes(gru: WrittenGRU, path: Path) -> dict[str, Any]:
    directions = ("reverse" if gru.options.get("go_backwards") else _FORWARD, "bidirectional")
    return {
        "hidden_size": gru.sizes.units,
        "direction": directions[gru.sizes.directions - 1],
        "linear_before_reset": int(gru.reset_after),
        **_activation_attributes(gru, path),
    }


def _activation_attributes(gru: WrittenGRU, path: Path) -> dict[str, Any]:
    """Return the attributes that say the activations of a GRU; those that are not known are the operator's own.

    Raises
    ------
    RefusedFile
        If the operator has no such activation.
    """
    stated = list(_stated(gru, path))
    clips = {activation.clip for activation in stated}
    if len(clips) > 1:
        raise RefusedFile(f"{path}: {gru.path or 'the GRU'}: the operator has one clip for all activations")
    found: dict[str, Any] = {"activations": [activation.name for activation in stated]}
    for key in ("alpha", "beta"):
        values = [each.parameters[key] for each in stated if key in PARAMETERS.get(each.name, {})]
        if values:
            found[f"activation_{key}"] = values
    (clip,) = clips
    return found if clip is None else {**found, "clip": clip}


def _stated(gru: WrittenGRU, path: Path) -> Iterator[Activation]:
    """Yield the activation of the gates and that of the candidate, for each direction."""
    for direction in range(gru.sizes.directions):
        names = {"recurrent_activation": gru.recurrent_activation, "activation": gru.activation}
        for (key, name), default in zip(names.items(), DEFAULTS, strict=True):
            each = default if name is None else name.split(ONNX_SEPARATOR)[direction % (name.count(ONNX_SEPARATOR) + 1)]
            activation = activation_named(each)
            if activation is None or None in activation.parameters.values():
                raise RefusedFile(f"{path}: {gru.path or 'the GRU'}: the operator has no {key}={each!r}")
            yield activation


def _check_names(path: Path, graph: onnx.GraphProto) -> None:
    """Refuse two values of one name.

    Raises
    ------
    RefusedFile
        If there are two.
    """
    seen: set[str] = set()
    for value in (*graph.initializer, *graph.input, *graph.output):
        if value.name in seen or not value.name:
            raise RefusedFile(f"{path}: two values of the graph have the name {value.name!r}; rename one")
        seen.add(value.name)
