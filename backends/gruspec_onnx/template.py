"""A model with the graph of another, and other weights in its GRU operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.errors import RefusedFile
from gruspec.files.mapping import MappedFile
from gruspec.files.templates import check_fits, other_activations, placed

from .files import parsed
from .model_tensors import ModelTensors
from .new_model import check_layouts
from .operators import FIRST_WEIGHT, WEIGHTS, Unfit, found_gru, is_gru
from .scopes import references, scopes
from .storing import Numbers, save

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from gruspec.files import Checkpoint, Contents, FoundGRU, WrittenGRU

    from .scopes import Scope


def write_like(path: Path, contents: Contents, template: Checkpoint) -> None:
    """Write the model of a template with new weights.

    A GRU goes to the operator with its path, or to the only one. That states the variant anew; its activations stay as
    they are.

    Raises
    ------
    RefusedFile
        If the template has no GRU of a path, or one of other activations or sizes.
    """
    check_layouts(path, contents)
    data = MappedFile(template.path)
    tensors = ModelTensors(data)
    try:
        model, numbers = parsed(data), Numbers()
        operators = _Operators(model, tensors)
        before = references(model)
        pairs = placed(path, contents, template)
        differences = [f"{gru.path}: {other}" for gru, own in pairs for other in other_activations(gru, own)]
        check_fits(path, template, differences)
        for gru, own in pairs:
            operators.replace(path, gru, own, numbers)
        _prune(model, before)
        save(path, model, numbers, tensors)
    finally:
        tensors.close()


class _Operators:
    """The GRU operators of a model by path."""

    def __init__(self, model: onnx.ModelProto, tensors: ModelTensors) -> None:
        self._found: dict[str, tuple[onnx.NodeProto, Scope]] = {}
        self._names = {name for scope in scopes(model) for name in (*scope.stored, *scope.producers)}
        for scope in scopes(model):
            for node in filter(is_gru, scope.nodes):
                try:
                    gru, _ = found_gru(node, scope, tensors)
                except Unfit:
                    continue
                self._found[gru.path] = (node, scope)

    def replace(self, path: Path, gru: WrittenGRU, own: FoundGRU, numbers: Numbers) -> None:
        """Give an operator new weights, and the variant that they are of."""
        node, scope = self._found[own.path]
        if gru.sizes != own.sizes:
            raise RefusedFile(f"{path}: {gru.path!r} has {gru.sizes}, and in the template it has {own.sizes}")
        if scope.graph is None:
            raise RefusedFile(f"{path}: {own.path!r} is in a function of the template, which keeps no weights")
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
        _state_variant(node, reset_after=gru.reset_after)

    def _new_name(self, name: str) -> str:
        number, new = 1, name
        while new in self._names:
            number, new = number + 1, f"{name}_{number}"
        self._names.add(new)
        return new


def _state_variant(node: onnx.NodeProto, *, reset_after: bool) -> None:
    import onnx

    name = "linear_before_reset"
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, int(reset_after))])


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
