"""A whole layer as an ONNX model, with the weights in it.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units. Batch and timesteps stay free.

================  ============================  ===================================================================
name              shape                         meaning
================  ============================  ===================================================================
inputs            (B, T, D)                     inputs; (T, B, D) under ``time_major``
sequence_lens     (B,) int32                    timesteps that count, from the first on: 0 to T
initial_state     (B, u)                        state before the first processed timestep
outputs           (B, u), (B, T, u), (T, B, u)  as the layer returns them, a sequence in processing order
state             (B, u)                        final state
================  ============================  ===================================================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec import __version__
from gruspec.backend import MASKS
from gruspec.errors import Unsupported, UsageError, listed

from .layer_graph import LayerGraph
from .model import IR_VERSION, OPSET, Structure
from .weights import gru_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx
    from numpy.typing import NDArray

    from gruspec.backend import Weights
    from gruspec.spec import GRUSpec

SPEC_KEY = "gruspec.spec"
"""Key of the metadata that has the layer's arguments as JSON."""

_ELEMENTS = {"float16": "float16", "bfloat16": "bfloat16", "float32": "float", "float64": "double"}
"""What ONNX calls a dtype."""


def layer_model(
    spec: GRUSpec,
    weights: Weights,
    *,
    mask: str = "none",
    initial_state: bool = False,
    opset: int = OPSET,
    name: str = "gru",
) -> onnx.ModelProto:
    """Return a checked model that computes what a layer computes outside training.

    Parameters
    ----------
    spec
        The layer.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and perhaps ``bias``. The model has their dtype.
    mask
        ``"none"``, or ``"lengths"`` for a model that takes ``sequence_lens``.
    initial_state
        Whether the model takes ``initial_state``; that of a stateful layer always does. One that does gives ``state``,
        and so does one with ``return_state``.
    opset
        Version of the operators, 14 or later.
    name
        Of the graph.

    Raises
    ------
    UsageError
        If the installed onnx does not have the opset, or there is no such kind of mask.
    Unsupported
        If the operator does not have the dtype, the kind of mask, or inputs without features.

    Examples
    --------
    >>> import numpy as np
    >>> from gruspec.spec import GRUSpec
    >>> weights = {"kernel": np.zeros((2, 12)), "recurrent_kernel": np.zeros((4, 12))}
    >>> model = layer_model(GRUSpec(units=4, use_bias=False, stateful=True), weights, mask="lengths")
    >>> [value.name for value in model.graph.input], [value.name for value in model.graph.output]
    (['inputs', 'sequence_lens', 'initial_state'], ['outputs', 'state'])
    """
    from onnx import TensorProto, checker, helper

    if reasons := [*_refusals(weights, mask, opset)]:
        raise Unsupported(*reasons)
    taken = Structure.of(spec, lengths=mask == "lengths", initial_state=initial_state or spec.stateful)
    arrays = gru_weights(weights)
    graph = LayerGraph(spec, taken, arrays["W"].dtype)
    graph.give_outputs()
    if gives_state := spec.return_state or taken.initial_state:
        graph.give_state()

    real = _element_type(arrays["W"])
    axes: list[str | int] = ["T", "B"] if spec.time_major else ["B", "T"]
    places: tuple[tuple[str, bool, int, list[str | int]], ...] = (
        ("inputs", True, real, [*axes, weights["kernel"].shape[0]]),
        ("sequence_lens", taken.lengths, TensorProto.INT32, ["B"]),
        ("initial_state", taken.initial_state, real, ["B", spec.units]),
    )
    results: tuple[tuple[str, bool, int, list[str | int]], ...] = (
        ("outputs", True, real, [*axes, spec.units] if spec.return_sequences else ["B", spec.units]),
        ("state", gives_state, real, ["B", spec.units]),
    )
    inputs, outputs = (
        [helper.make_tensor_value_info(name, kind, shape) for name, used, kind, shape in values if used]
        for values in (places, results)
    )
    initializers = [_tensor(name, array) for name, array in (arrays | graph.constants).items()]
    versions = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, name, inputs, outputs, initializers),
        producer_name="gruspec",
        producer_version=__version__,
        opset_imports=versions,
        ir_version=max(IR_VERSION, helper.find_min_ir_version_for(versions)),
    )
    helper.set_model_props(model, {SPEC_KEY: json.dumps(spec.to_dict())})
    checker.check_model(model, full_check=True)
    return model


def _refusals(weights: Weights, mask: str, opset: int) -> Iterator[str]:
    """Yield what the operator does not have.

    Raises
    ------
    UsageError
        If the opset or the kind of mask is none.
    """
    from onnx import defs

    newest = defs.onnx_opset_version()
    if not OPSET <= opset <= newest:
        raise UsageError(f"opset={opset}: expected one from {OPSET} to {newest}, the newest of the installed onnx")
    if mask not in MASKS:
        raise UsageError(f"mask={mask!r}: expected 'none' or 'lengths'")
    if mask == "any":
        yield "mask='any': the GRU operator takes lengths, mask='lengths', and no other padding [mask-shape]"
    kernel = weights["kernel"]
    has = _element_types(opset)
    if kernel.dtype.name not in has:
        later = [number for number in range(opset, newest + 1) if kernel.dtype.name in _element_types(number)]
        hint = f"; from opset={later[0]} on it has" if later else ""
        yield f"dtype {kernel.dtype.name}: the GRU operator of opset {opset} has {listed(has)}{hint}"
    if kernel.shape[0] == 0:
        yield "inputs of size 0: ONNX Runtime ends the process on them [zero-input-size]"


def _element_types(opset: int) -> list[str]:
    """Return the dtypes that the operator has in a version, as its schema says."""
    from onnx import defs

    (allowed,) = (
        constraint.allowed_type_strs
        for constraint in defs.get_schema("GRU", opset).type_constraints
        if constraint.type_param_str == "T"
    )
    return [dtype for dtype, element in _ELEMENTS.items() if f"tensor({element})" in allowed]


def _element_type(array: NDArray[Any]) -> int:
    from onnx import TensorProto, helper

    if array.dtype.name == "bfloat16":  # not a dtype of NumPy
        return int(TensorProto.BFLOAT16)
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def _tensor(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    from onnx import helper

    little = np.ascontiguousarray(array)
    return helper.make_tensor(name, _element_type(array), array.shape, little.tobytes(), raw=True)
