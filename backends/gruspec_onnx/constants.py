"""Weights that a few operators put together from stored tensors, as exporters write them.

``torch.onnx.export`` without constant folding slices, joins and reshapes PyTorch's arrays in front of every GRU. Only
operators that move numbers, and change none, are followed; they are computed by ``onnx.reference``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gruspec.errors import FileError
from gruspec.files import Tensor

from .scopes import ONNX_DOMAINS, label

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from .model_tensors import ModelTensors
    from .scopes import Scope

MOVING = ("Identity", "Concat", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that move numbers and change none."""
_DEEPEST = 48


class Computed(Exception):
    """A value that is not made of stored tensors alone: says what computes it."""


@dataclass(frozen=True)
class Source:
    """Where a value comes from.

    Parameters
    ----------
    tensor
        The values.
    stored
        The names of the stored tensors in it: one, its own, where nothing is put together.
    nodes
        The first outputs of the nodes that put it together.
    """

    tensor: Tensor
    stored: tuple[str, ...]
    nodes: tuple[str, ...] = ()


def source_of(name: str, scope: Scope, tensors: ModelTensors) -> Source:
    """Return the tensor that a value is.

    Raises
    ------
    Computed
        If it is an input of a graph, or computed from one, or by other operators.
    FileError
        If a stored tensor is damaged.
    """
    home = scope.home(name)
    if home is not None and name in home.stored:
        return Source(_stored(name, home, tensors), (home.prefix + name,))
    chain = _Chain(tensors)
    values = chain.value(name, scope, 0)
    path = f"{home.prefix if home else ''}{name}"
    tensor = Tensor(path, values.shape, values.dtype, lambda: _Chain(tensors).value(name, scope, 0))
    return Source(tensor, tuple(chain.stored), tuple(chain.nodes))


def _stored(name: str, home: Scope, tensors: ModelTensors) -> Tensor:
    found = tensors.tensor(home.stored[name], home.prefix + name)
    if isinstance(found, str):
        raise Computed(found)
    return found


class _Chain:
    """Values on the way to one, each computed once."""

    def __init__(self, tensors: ModelTensors) -> None:
        self._tensors = tensors
        self._values: dict[tuple[str, str], NDArray[Any]] = {}
        self.stored: dict[str, None] = {}
        self.nodes: dict[str, None] = {}
        self._left = 8 * tensors.size + 16 * 2**20

    def value(self, name: str, scope: Scope, depth: int) -> NDArray[Any]:
        """Return a value that is kept in a graph, or put together there."""
        home = scope.home(name)
        if home is None:
            raise Computed(f"is {name!r}, an input of the graph")
        key = (home.prefix, name)
        if key not in self._values:
            if name in home.stored:
                self._values[key] = _stored(name, home, self._tensors).read()
                self.stored[home.prefix + name] = None
            else:
                self._compute(home.producers[name], home, depth)
        return self._values[key]

    def _compute(self, node: onnx.NodeProto, home: Scope, depth: int) -> None:
        if node.op_type not in MOVING or node.domain not in ONNX_DOMAINS:
            raise Computed(f"is computed by {node.op_type} {label(node)!r}")
        if depth > _DEEPEST:
            raise Computed(f"is computed by more than {_DEEPEST} operators, one after another")
        inputs = {name: self.value(name, home, depth + 1) for name in node.input if name}
        self._left -= sum(values.nbytes for values in inputs.values())
        if self._left < 0:
            raise FileError(f"{self._tensors.files[0]}: {label(node)!r} would make far more than the file has bytes")
        self._values.update(((home.prefix, name), values) for name, values in _run(node, home.opset, inputs).items())
        self.nodes[node.output[0]] = None


def _run(node: onnx.NodeProto, opset: int, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    try:
        results = ReferenceEvaluator(node, opsets={"": opset}).run(None, inputs)
        return {name: np.asarray(values) for name, values in zip(node.output, results, strict=True)}
    except Exception as error:  # whatever operators raise for attributes and shapes that do not fit
        raise Computed(f"cannot be computed by {node.op_type} {label(node)!r}: {error}") from error
