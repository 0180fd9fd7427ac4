"""The node tests of ONNX: their data, their tolerances and their comparison, on layers of the specification.

A node becomes the layers that compute it. Both have the gates in the order z, r, h; the operator's weights are
transposed, its candidate without ``linear_before_reset`` adds up both biases, and its reverse direction gives the
outputs back in the order of time. Shapes of the operator: X (T, B, D), W (directions, 3u, D), R (directions, 3u, u),
B (directions, 6u), sequence_lens (B,), initial_h (directions, B, u), Y (T, directions, B, u), Y_h (directions, B, u);
with ``layout`` 1 the batch comes first in X, initial_h, Y and Y_h.

Source: https://onnx.ai/onnx/operators/onnx__GRU.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peer_suites.suite import NotExpressible, TestSuite
from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.faults import FaultyBackend

    Arrays = Mapping[str, NDArray[Any]]

_DEFAULTS = {"hidden_size": 0, "direction": b"forward", "linear_before_reset": 0, "layout": 0}
_BACKWARDS = {b"forward": (False,), b"reverse": (True,), b"bidirectional": (False, True)}


def suite() -> TestSuite:
    """Return the node tests of the operator GRU.

    Raises
    ------
    ImportError
        If onnx is not installed.
    """
    onnx = import_module("onnx")
    import_module("onnx.backend.test.case.node.gru")
    known = import_module("onnx.backend.test.case.node")._NodeTestCases  # noqa: SLF001  it has no public name
    similar = import_module("onnx.backend.test.runner").Runner.assert_similar_outputs
    tests, left_out = {}, {}
    for case in known:
        (node, *others) = case.model.graph.node
        if node.op_type == "GRU" and not others:
            try:
                tests[case.name] = partial(_check, case, Node.read(node, onnx.helper.get_attribute_value), similar)
            except NotExpressible as reason:
                left_out[case.name] = str(reason)
    return TestSuite("onnx", "ONNX node tests", onnx.__version__, tests, left_out)


def _check(case: Any, node: Node, similar: Any, backend: FaultyBackend) -> None:
    names = [name for name in node.inputs if name]
    for inputs, outputs in case.data_sets:
        found = node.run(backend, dict(zip(names, inputs, strict=True)))
        similar(outputs, [found[name] for name in node.outputs if name], rtol=case.rtol, atol=case.atol)


@dataclass(frozen=True)
class Node:
    """A node of the operator GRU.

    Parameters
    ----------
    inputs, outputs
        Names in the operator's order, ``""`` where one is left out; they must be those of the operator.
    units
        ``hidden_size``.
    backwards
        Of each direction, whether it goes backwards.
    reset_after
        ``linear_before_reset``.
    batch_major
        ``layout``.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    units: int
    backwards: tuple[bool, ...]
    reset_after: bool
    batch_major: bool

    @classmethod
    def read(cls, node: Any, value_of: Any) -> Node:
        """Return what a node asks for.

        Parameters
        ----------
        node
            An ``onnx.NodeProto``.
        value_of
            ``onnx.helper.get_attribute_value``.

        Raises
        ------
        NotExpressible
            If it has another attribute, such as ``clip``.
        """
        given = {attribute.name: value_of(attribute) for attribute in node.attribute}
        if unknown := sorted(given.keys() - _DEFAULTS):
            raise NotExpressible(f"attribute {', '.join(unknown)}")
        asked = _DEFAULTS | given
        return cls(
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            units=asked["hidden_size"],
            backwards=_BACKWARDS[asked["direction"]],
            reset_after=bool(asked["linear_before_reset"]),
            batch_major=bool(asked["layout"]),
        )

    def run(self, backend: FaultyBackend, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Return the outputs Y and Y_h, as far as the node has them, computed by an implementation of the layer.

        Parameters
        ----------
        backend
            The implementation.
        arrays
            The node's inputs by name, in one floating-point dtype but for sequence_lens.
        """
        found = [self._direction(backend, arrays, index) for index in range(len(self.backwards))]
        results = {"Y_h": np.stack([state for _, state in found], axis=1 if self.batch_major else 0)}
        if "Y" in self.outputs:
            time = 1 if self.batch_major else 0
            in_time = [
                np.flip(sequence, time) if backwards else sequence
                for (sequence, _), backwards in zip(found, self.backwards, strict=True)
            ]
            results["Y"] = np.stack(in_time, axis=2 if self.batch_major else 1)
        return results

    def _direction(self, backend: FaultyBackend, arrays: Arrays, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return outputs in the order of processing, and the state, of one direction."""
        spec = GRUSpec(
            units=self.units,
            recurrent_activation="sigmoid",
            use_bias="B" in arrays,
            return_sequences="Y" in self.outputs,
            return_state=True,
            go_backwards=self.backwards[index],
            time_major=not self.batch_major,
            reset_after=self.reset_after,
            zero_output_for_mask=True,
        )
        weights = {"kernel": arrays["W"][index].T, "recurrent_kernel": arrays["R"][index].T}
        if "B" in arrays:
            both = arrays["B"][index].reshape(2, 3 * self.units)
            weights["bias"] = both if self.reset_after else both[0] + both[1]
        initial = arrays.get("initial_h")
        layer = backend.prepare(spec, weights, dtype=arrays["X"].dtype.name, device="cpu")
        output = layer(
            arrays["X"],
            mask=self._mask(arrays),
            initial_state=None if initial is None else np.take(initial, index, axis=1 if self.batch_major else 0),
        )
        if output.state is None:
            raise ValueError("no state is returned")
        return output.outputs, output.state

    def _mask(self, arrays: Arrays) -> NDArray[np.bool_] | None:
        if "sequence_lens" not in arrays:
            return None
        timesteps = arrays["X"].shape[1 if self.batch_major else 0]
        mask = np.arange(timesteps) < arrays["sequence_lens"][:, None]
        return mask if self.batch_major else mask.T
