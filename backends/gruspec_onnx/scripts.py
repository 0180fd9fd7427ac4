"""The operator as source that needs onnx and onnxruntime alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.backend.script import call_source, keywords

from .model import IR_VERSION, OPSET, Structure, attributes
from .session import PROVIDERS, THREADS

if TYPE_CHECKING:
    from gruspec.backend import ScriptedCall
    from gruspec.spec import GRUSpec

_IMPORTS = f"""\
import onnxruntime
from onnx import helper
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = {THREADS}"""

_RUN = f"""\
given = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()]
results = [helper.make_tensor_value_info(name, given[0].type.tensor_type.elem_type, None) for name in ("Y", "Y_h")]
graph = helper.make_graph([node], "gru", given, results)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", {OPSET})], ir_version={IR_VERSION})"""


@dataclass(frozen=True)
class OperatorScript:
    """A layer as :class:`gruspec.backend.LayerScript`; every call makes a model of one operator."""

    spec: GRUSpec
    dtype: str
    device: str

    @property
    def imports(self) -> str:
        """The two packages, and the options of every session."""
        return _IMPORTS

    @property
    def construction(self) -> str:
        """The weights in the layout of the operator."""
        lines = ['weights = {"W": kernel.T[None].copy(), "R": recurrent_kernel.T[None].copy()}']
        if self.spec.use_bias:
            both = "bias" if self.spec.reset_after else "[bias, np.zeros_like(bias)]"
            lines.append(f'weights["B"] = np.array({both}).reshape(1, -1)')
        return "\n".join(lines)

    def call(self, call: ScriptedCall) -> str:
        """Return the model, a session and its run."""
        spec = self.spec
        structure = Structure.of(spec, lengths=call.mask is not None, initial_state=call.initial_state is not None)
        places = ["X", "W", "R", "B" if spec.use_bias else "", "", ""]
        lines = [f'feeds = {{"X": {"inputs" if spec.time_major else "inputs.swapaxes(0, 1).copy()"}}} | weights']
        if structure.lengths:
            places[4] = "sequence_lens"
            counted = f"{call.valid}.sum(axis={0 if spec.time_major else 1}, dtype=np.int32)"
            lines.append(f'feeds["sequence_lens"] = {counted}')
        if structure.initial_state:
            places[5] = "initial_h"
            lines.append('feeds["initial_h"] = initial_state[None]')
        node = ['"GRU"', repr(places), '["Y", "Y_h"]', *keywords(attributes(structure))]
        session = call_source(
            "session = onnxruntime.InferenceSession",
            ["model.SerializeToString()", "options", f"providers={[PROVIDERS[self.device]]!r}"],
        )
        run = 'sequence, states = session.run(["Y", "Y_h"], feeds)'
        lines += [call_source("node = helper.make_node", node), _RUN, session, run]
        return "\n".join([*lines, *self._chosen(call)])

    def reset_states(self, *, stated: bool) -> str:
        """Return a call of a method that a session does not have: AttributeError, as for any layer without state."""
        return f"onnxruntime.InferenceSession.reset_states({'states' if stated else ''})"

    def _chosen(self, call: ScriptedCall) -> list[str]:
        spec = self.spec
        outputs = "state"
        if spec.return_sequences:
            outputs = "sequence[:, 0]" if spec.time_major else "sequence[:, 0].swapaxes(0, 1)"
        elif call.mask is not None and spec.zero_output_for_mask and not spec.go_backwards:
            outputs = "sequence[-1, 0]"
        return ["state = states[0]", f"outputs = {outputs}"]
