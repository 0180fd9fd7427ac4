"""A model with the graph of another, and other weights in its GRU operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.errors import RefusedFile, listed
from gruspec.files.mapping import MappedFile

from .files import parsed
from .model_tensors import ModelTensors
from .new_model import activation_attributes, check_layouts
from .operators import FIRST_WEIGHT, WEIGHTS, Unfit, found_gru, is_gru
from .scopes import ONNX_DOMAINS, constant_value, references, scopes
from .storing import Numbers, save

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from gruspec.files import Checkpoint, Contents, Entry, FoundGRU, WrittenGRU

    from .constants import Source
    from .scopes import Scope


def write_like(path: Path, contents: Contents, template: Checkpoint) -> None:
    """Write the model of a template with new weights.

    A GRU goes to the operator with its path. Other tensors replace those of the same name, and where the template has
    none they are added as initialisers that nothing takes.

    Raises
    ------
    RefusedFile
        If the template has no GRU of a path, or one of other sizes, or a tensor of a name with another shape or dtype.
    """
    check_layouts(path, contents)
    data = MappedFile(template.path)
    tensors = ModelTensors(data)
    try:
        model, numbers = parsed(data), Numbers()
        operators = _Operators(model, tensors)
        before = references(model)
        for gru in contents.grus:
            operators.replace(path, gru, numbers)
        _prune(model, before)
        _carry(path, model, contents.carried, numbers)
        save(path, model, numbers, tensors)
    finally:
        tensors.close()


class _Operators:
    """The GRU operators of a model by path."""

    def __init__(self, model: onnx.ModelProto, tensors: ModelTensors) -> None:
        self._found: dict[str, tuple[onnx.NodeProto, Scope, FoundGRU, dict[str, Source]]] = {}
        self._names = {name for scope in scopes(model) for name in (*scope.stored, *scope.producers)}
        for scope in scopes(model):
            for node in filter(is_gru, scope.nodes):
                try:
                    gru, sources = found_gru(node, scope, tensors)
                except Unfit:
                    continue
                self._found[gru.path] = (node, scope, gru, sources)

    def replace(self, path: Path, gru: WrittenGRU, numbers: Numbers) -> None:
        """Give an operator new weights, and what else they need of it."""
        if gru.path not in self._found:
            raise RefusedFile(f"{path}: the template has no GRU {gru.path!r}; it has {listed(self._found)}")
        node, scope, found, _ = self._found[gru.path]
        if gru.sizes != found.sizes:
            raise RefusedFile(f"{path}: {gru.path!r} has {gru.sizes}, and in the template it has {found.sizes}")
        if scope.graph is None:
            raise RefusedFile(f"{path}: {gru.path!r} is in a function of the template, which keeps no weights")
        inputs = list(node.input) + [""] * (FIRST_WEIGHT + len(WEIGHTS) - len(node.input))
        for number, array in enumerate(WEIGHTS, FIRST_WEIGHT):
            inputs[number] = ""
            if array in gru.arrays:
                proto = scope.graph.initializer.add(name=self._new_name(gru.arrays[array].name))
                numbers.give(proto, gru.arrays[array])
                inputs[number] = proto.name
        while not inputs[-1]:
            inputs.pop()
        del node.input[:]
        node.input.extend(inputs)
        stated = {"linear_before_reset": int(gru.reset_after)}
        if (gru.activation, gru.recurrent_activation) not in (
            (None, None),
            (found.activation, found.recurrent_activation),
        ):
            stated |= activation_attributes(gru, path)
        _state(node, stated)

    def _new_name(self, name: str) -> str:
        number, new = 1, name
        while new in self._names:
            number, new = number + 1, f"{name}_{number}"
        self._names.add(new)
        return new


def _state(node: onnx.NodeProto, stated: dict[str, Any]) -> None:
    """Set attributes of a node; those of activations go together."""
    import onnx

    parameters = ("activation_alpha", "activation_beta", "clip") if "activations" in stated else ()
    kept = [attribute for attribute in node.attribute if attribute.name not in (*stated, *parameters)]
    new = [onnx.helper.make_attribute(name, value) for name, value in stated.items()]
    del node.attribute[:]
    node.attribute.extend([*kept, *new])


def _prune(model: onnx.ModelProto, before: dict[str, set[str]]) -> None:
    """Take out what nothing takes any more: stored weights, and the operators that put them together."""
    while gone := before.keys() - references(model).keys():
        before = references(model)
        for scope in scopes(model):
            if scope.graph is None:
                continue
            for stored in [stored for stored in scope.graph.initializer if stored.name in gone]:
                scope.graph.initializer.remove(stored)
                _remove_named(scope.graph.input, stored.name)
            for node in [node for node in scope.graph.node if node.output and set(node.output) <= gone]:
                scope.graph.node.remove(node)


def _remove_named(values: Any, name: str) -> None:
    for value in [value for value in values if value.name == name]:
        values.remove(value)


def _carry(path: Path, model: onnx.ModelProto, carried: tuple[Entry, ...], numbers: Numbers) -> None:
    """Give tensors their values by name."""
    places = {scope.prefix + name: proto for scope in scopes(model) for name, proto in _stored(scope).items()}
    for entry in carried:
        proto = places.get(entry.name)
        if proto is None:
            proto = model.graph.initializer.add(name=entry.name)
        else:
            _check_alike(path, proto, entry)
        numbers.give(proto, entry)


def _stored(scope: Scope) -> dict[str, onnx.TensorProto]:
    """Return the stored tensors of a graph as they are in the model, to be changed."""
    found = {proto.name: proto for proto in (scope.graph.initializer if scope.graph is not None else ())}
    for node in scope.nodes:
        value = constant_value(node) if node.domain in ONNX_DOMAINS else None
        if value is not None:
            found[node.output[0]] = value
    return found


def _check_alike(path: Path, proto: onnx.TensorProto, entry: Entry) -> None:
    import onnx

    from .model_tensors import kind_of

    kind = onnx.TensorProto.DataType.Name(proto.data_type)
    if tuple(proto.dims) != entry.shape or kind != kind_of(entry.dtype):
        raise RefusedFile(
            f"{path}: tensor {entry.name!r} is {entry.dtype} {entry.shape}, and in the template it is {kind} "
            f"{tuple(proto.dims)}"
        )
