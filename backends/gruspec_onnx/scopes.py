"""The graphs of a model, one in the other, and what the names in them mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

ONNX_DOMAINS = ("", "ai.onnx")


@dataclass(eq=False)
class Scope:
    """A graph, or the body of a function.

    Parameters
    ----------
    prefix
        Put before the names of its tensors; ends with ``"/"``, or is empty for the main graph.
    graph
        The graph; None for a function.
    nodes
        Of the graph.
    opset
        The version of ONNX's operators.
    outer
        The graph around it.
    stored
        Tensors by name: initialisers, and constants.
    producers
        The node that computes each value.
    """

    prefix: str
    graph: onnx.GraphProto | None
    nodes: list[onnx.NodeProto]
    opset: int
    outer: Scope | None = None
    stored: dict[str, onnx.TensorProto] = field(default_factory=dict)
    producers: dict[str, onnx.NodeProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for proto in self.graph.initializer if self.graph is not None else ():
            self.stored.setdefault(proto.name, proto)
        for node in self.nodes:
            value = constant_value(node)
            if value is not None:
                self.stored.setdefault(node.output[0], value)
            for output in node.output:
                self.producers.setdefault(output, node)

    def home(self, name: str) -> Scope | None:
        """Return the innermost graph, from this one outwards, in which a value is kept or computed."""
        scope: Scope | None = self
        while scope is not None and name not in scope.stored and name not in scope.producers:
            scope = scope.outer
        return scope


def constant_value(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """Return the tensor that a node gives, or None."""
    if node.op_type != "Constant" or node.domain not in ONNX_DOMAINS or len(node.output) != 1:
        return None
    return next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)


def label(node: onnx.NodeProto) -> str:
    """Return what a node is called by: its name, or that of its first output; without slashes at the ends."""
    return (node.name or next(filter(None, node.output), "") or node.op_type).strip("/") or node.op_type


def scopes(model: onnx.ModelProto) -> Iterator[Scope]:
    """Yield the main graph, the functions, and the graphs in attributes of nodes, outer ones first."""
    waiting = [
        Scope("", model.graph, list(model.graph.node), _opset(model.opset_import)),
        *(
            Scope(f"{function.domain}.{function.name}/", None, list(function.node), _opset(function.opset_import))
            for function in model.functions
        ),
    ]
    while waiting:
        scope = waiting.pop(0)
        yield scope
        for node in scope.nodes:
            for attribute in node.attribute:
                inner = [*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs]
                for number, graph in enumerate(inner):
                    name = attribute.name if len(inner) == 1 else f"{attribute.name}_{number}"
                    prefix = f"{scope.prefix}{label(node)}/{name}/"
                    waiting.append(Scope(prefix, graph, list(graph.node), scope.opset, scope))


def _opset(imported: list[onnx.OperatorSetIdProto]) -> int:
    return max((entry.version for entry in imported if entry.domain in ONNX_DOMAINS), default=1)


def references(model: onnx.ModelProto) -> dict[str, set[str]]:
    """Return which nodes, by their first outputs, take each value; graphs that give it out count under ``""``."""
    taken: dict[str, set[str]] = {}
    for scope in scopes(model):
        for node in scope.nodes:
            for name in node.input:
                taken.setdefault(name, set()).add(node.output[0] if node.output else label(node))
        for output in scope.graph.output if scope.graph is not None else ():
            taken.setdefault(output.name, set()).add("")
    return taken
