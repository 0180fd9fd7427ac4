"""The graph of a layer: one GRU operator, and around it what brings its results into the layer's form.

Symbols: ``B`` batch, ``T`` timesteps, ``u`` units. Around the operator elements are moved, chosen or replaced by zero;
nothing is computed. The standard does not say what the operator gives at padded timesteps and for rows of length 0, and
runtimes differ in it: none of that reaches a result here [mask-output, mask-all].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .model import attributes

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    from .model import Structure

_FIRST, _SECOND, _LAST = (("first_axis", [0]), ("second_axis", [1]), ("last_axis", [-1]))


class LayerGraph:
    """Nodes and constants of a layer, in the order in which they are needed.

    Parameters
    ----------
    spec
        The layer.
    taken
        Which inputs the graph has beside ``inputs``: ``sequence_lens`` (B,), ``initial_state`` (B, u).
    dtype
        Of inputs and weights, which are the initializers ``W``, ``R`` and ``B``.

    Attributes
    ----------
    nodes
        The operators.
    constants
        Arrays that they need, by name.
    """

    def __init__(self, spec: GRUSpec, taken: Structure, dtype: np.dtype[Any]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._spec, self._taken, self._dtype = spec, taken, dtype
        self._run_operator()

    def give_outputs(self) -> None:
        """Give ``outputs``: the last one or the sequence of all, in processing order."""
        found = self._sequence() if self._spec.return_sequences else self._last()
        self._add("Identity", found, gives="outputs")

    def give_state(self) -> None:
        """Give ``state``; that of a row of length 0 is the one it started from."""
        found = self._final()
        if self._taken.lengths:
            start = "initial_state" if self._taken.initial_state else self._zero()
            found = self._add("Where", self._any_valid(), found, start, gives="carried")
        self._add("Identity", found, gives="state")

    def _run_operator(self) -> None:
        """Give ``Y`` (T, 1, B, u), in order of time, and ``Y_h`` (1, B, u)."""
        spec, taken = self._spec, self._taken
        steps = "inputs" if spec.time_major else self._add("Transpose", "inputs", gives="X", perm=[1, 0, 2])
        places = [steps, "W", "R", "B" * taken.use_bias, "sequence_lens" * taken.lengths]
        if taken.initial_state:
            places.append(self._add("Unsqueeze", "initial_state", self._constant(*_FIRST), gives="initial_h"))
        while not places[-1]:
            places.pop()
        self._add("GRU", *places, gives=("Y" * spec.return_sequences, "Y_h"), **attributes(taken))

    def _last(self) -> str:
        """Return the last output (B, u) [last-output]."""
        spec = self._spec
        if not self._taken.lengths:
            return self._final()
        # Backwards the first timestep comes last, and that only a row of length 0 does not have.
        if spec.go_backwards or not spec.zero_output_for_mask:
            return self._held()
        whole = self._add("Equal", "sequence_lens", self._timesteps(), gives="whole")
        valid = self._add("Unsqueeze", whole, self._constant(*_SECOND), gives="last_valid")
        return self._add("Where", valid, self._final(), self._zero(), gives="last")

    def _sequence(self) -> str:
        """Return all outputs, (B, T, u) or (T, B, u), in processing order [return-sequences]."""
        spec = self._spec
        found = self._add("Squeeze", "Y", self._constant(*_SECOND), gives="sequence")
        if self._taken.lengths:
            # Backwards padding comes before the first valid step, where there is no output to hold.
            holds = not (spec.go_backwards or spec.zero_output_for_mask)
            filler = self._held() if holds else self._zero()
            found = self._add("Where", self._valid(), found, filler, gives="padded")
        if spec.go_backwards:
            found = self._add("Slice", found, *self._backwards(), gives="reversed")
        return found if spec.time_major else self._add("Transpose", found, gives="batch_major", perm=[1, 0, 2])

    def _final(self) -> str:
        """Return the state after the last step (B, u); of a row of length 0 it can be anything."""
        return self._add("Squeeze", "Y_h", self._constant(*_FIRST), gives="final")

    def _any_valid(self) -> str:
        """Return whether a row has any timestep that counts, (B, 1)."""
        found = self._add("Greater", "sequence_lens", self._constant("none", 0, np.int32), gives="not_empty")
        return self._add("Unsqueeze", found, self._constant(*_SECOND), gives="any_valid")

    def _held(self) -> str:
        """Return the last valid output of a row (B, u), zero if there is none."""
        return self._add("Where", self._any_valid(), self._final(), self._zero(), gives="held")

    def _timesteps(self) -> str:
        """Return T, a scalar of int32."""
        from onnx import TensorProto

        sizes = self._add("Shape", "inputs", gives="sizes")
        axis = self._constant("time_axis", 0 if self._spec.time_major else 1)
        return self._add(
            "Cast", self._add("Gather", sizes, axis, gives="counted"), gives="timesteps", to=TensorProto.INT32
        )

    def _valid(self) -> str:
        """Return which timesteps of which rows count, (T, B, 1)."""
        first, step = self._constant("none", 0, np.int32), self._constant("one", 1, np.int32)
        steps = self._add("Range", first, self._timesteps(), step, gives="steps")
        column = self._add("Unsqueeze", steps, self._constant(*_SECOND), gives="column")
        counts = self._add("Less", column, "sequence_lens", gives="counts")
        return self._add("Unsqueeze", counts, self._constant(*_LAST), gives="valid")

    def _backwards(self) -> tuple[str, ...]:
        """Return what a Slice needs to reverse the first axis."""
        start = self._constant("from_last", [-1])
        end = self._constant("to_first", [np.iinfo(np.int64).min])
        return start, end, self._constant(*_FIRST), self._constant("by_minus_one", [-1])

    def _zero(self) -> str:
        return self._constant("zero", 0, self._dtype)

    def _constant(self, name: str, value: Any, dtype: Any = np.int64) -> str:
        self.constants[name] = np.array(value, dtype)
        return name

    def _add(self, operator: str, *inputs: str, gives: str | tuple[str, ...], **named: Any) -> str:
        """Append a node, unless its outputs are there already, and return the name of the first."""
        from onnx import helper

        outputs = (gives,) if isinstance(gives, str) else gives
        if not any(list(outputs) == list(node.output) for node in self.nodes):
            self.nodes.append(helper.make_node(operator, inputs, outputs, **named))
        return outputs[0]
