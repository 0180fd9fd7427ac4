"""GRU operators of a model as GRUs: https://onnx.ai/onnx/operators/onnx__GRU.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.files import FoundGRU
from gruspec.layouts import Sizes
from gruspec.layouts.operators import ONNX_SEPARATOR

from .activations import DEFAULTS, activations_read
from .constants import Computed, source_of
from .scopes import ONNX_DOMAINS, label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

    from .constants import Source
    from .model_tensors import ModelTensors
    from .scopes import Scope

WEIGHTS = ("W", "R", "B")
FIRST_WEIGHT = 1
"""Which input of the operator is W."""
SEQUENCE_LENS, INITIAL_H = 4, 5
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


class Unfit(Exception):
    """Why a GRU operator is none that has weights."""


def found_gru(node: onnx.NodeProto, scope: Scope, tensors: ModelTensors) -> tuple[FoundGRU, dict[str, Source]]:
    """Return the GRU that an operator is, and where its weights come from, by array.

    Raises
    ------
    Unfit
        If a weight is not stored, or shapes do not fit one another.
    FileError
        If a stored tensor is damaged.
    """
    sources = _sources(node, scope, tensors)
    attributes = {attribute.name: attribute for attribute in node.attribute}
    direction = attributes["direction"].s.decode("latin-1") if "direction" in attributes else "forward"
    sizes = _sizes({array: source.tensor.shape for array, source in sources.items()}, direction)
    hidden = attributes["hidden_size"].i if "hidden_size" in attributes else sizes.units
    dtypes = {source.tensor.dtype for source in sources.values()}
    if hidden != sizes.units or len(dtypes) != 1:
        raise Unfit(f"hidden_size={hidden} and the dtypes {sorted(map(str, dtypes))} do not fit its weights")
    gates, candidate = _activations(attributes, sizes.directions)
    gru = FoundGRU(
        f"{scope.prefix}{label(node)}",
        ("onnx",),
        {array: source.tensor.name for array, source in sources.items()},
        bool(attributes["linear_before_reset"].i) if "linear_before_reset" in attributes else False,
        sizes,
        "B" in sources,
        dtypes.pop().name,
        candidate,
        gates,
        dict(_options(node, attributes, direction)),
    )
    return gru, sources


def is_gru(node: onnx.NodeProto) -> bool:
    """Return whether a node is the operator."""
    return node.op_type == "GRU" and node.domain in ONNX_DOMAINS


def _input(node: onnx.NodeProto, number: int) -> str:
    return node.input[number] if number < len(node.input) else ""


def _sources(node: onnx.NodeProto, scope: Scope, tensors: ModelTensors) -> dict[str, Source]:
    sources = {}
    for number, array in enumerate(WEIGHTS, FIRST_WEIGHT):
        name = _input(node, number)
        if name:
            try:
                sources[array] = source_of(name, scope, tensors)
            except Computed as reason:
                raise Unfit(f"is a GRU whose {array} {reason}") from reason
        elif array != "B":
            raise Unfit(f"is a GRU without {array}")
    return sources


def _sizes(shapes: Mapping[str, tuple[int, ...]], direction: str) -> Sizes:
    match shapes["W"]:
        case (directions, rows, input_size):
            units = rows // 3
            expected: dict[str, tuple[int, ...]] = {
                "W": (directions, 3 * units, input_size),
                "R": (directions, 3 * units, units),
                "B": (directions, 6 * units),
            }
            if shapes == {name: expected[name] for name in shapes} and directions == DIRECTIONS.get(direction):
                return Sizes(input_size, units, 1, directions)
    raise Unfit(f"is a GRU whose weights of shapes {dict(shapes)} do not fit one another and direction={direction!r}")


def _activations(attributes: Mapping[str, onnx.AttributeProto], directions: int) -> tuple[str, str]:
    """Return the activation of the gates and that of the candidate, in both directions where these differ."""
    names = (
        [name.decode("latin-1") for name in attributes["activations"].strings] if "activations" in attributes else []
    )
    if names and len(names) != 2 * directions:
        raise Unfit(f"is a GRU with {len(names)} activations for {directions} directions")
    alphas, betas = (
        attributes[f"activation_{key}"].floats if f"activation_{key}" in attributes else () for key in ("alpha", "beta")
    )
    clip = attributes["clip"].f if "clip" in attributes else None
    found = [each.text for each in activations_read(names or DEFAULTS * directions, alphas, betas, clip)]
    gates, candidates = (list(dict.fromkeys(found[first::2])) for first in (0, 1))
    return ONNX_SEPARATOR.join(gates), ONNX_SEPARATOR.join(candidates)


def _options(
    node: onnx.NodeProto, attributes: Mapping[str, onnx.AttributeProto], direction: str
) -> Iterator[tuple[str, Any]]:
    yield "go_backwards", direction == "reverse"
    yield "return_sequences", bool(node.output and node.output[0])
    yield "return_state", len(node.output) > 1 and bool(node.output[1])
    yield "time_major", not (attributes["layout"].i if "layout" in attributes else 0)
    yield "sequence_lens", bool(_input(node, SEQUENCE_LENS))
    yield "initial_h", bool(_input(node, INITIAL_H))
