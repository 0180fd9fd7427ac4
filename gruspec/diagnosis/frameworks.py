"""Which frameworks keep the weights of a GRU in which layout: one row for each of their layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gruspec.diagnosis.readings import BY_GATE, COLUMNS, FLAT, MEMORY, PER_GATE, ROWS, STACKED, WHOLE

if TYPE_CHECKING:
    from gruspec.diagnosis.readings import Layout

_BEFORE, _AFTER, _BOTH = (False,), (True,), (False, True)


class _Row(NamedTuple):
    """A layout of a framework; ``sigmoid`` says whether its gates can have no other activation."""

    name: str
    arrangement: str
    orientation: str
    order: str
    biases: tuple[str, ...]
    reset_after: tuple[bool, ...]
    sigmoid: bool = True
    complement: bool = False
    packing: str = BY_GATE


_ROWS = (
    _Row("keras", WHOLE, COLUMNS, "zrh", ("none", "3u"), _BEFORE, sigmoid=False),
    _Row("keras", WHOLE, COLUMNS, "zrh", ("none", "2x3u"), _AFTER, sigmoid=False),
    _Row("cudnn-gru", WHOLE, COLUMNS, "zrh", ("6u",), _AFTER, packing=MEMORY),
    _Row("cudnn", FLAT, ROWS, "rzh", ("flat-6u",), _AFTER),
    _Row("tf-gru-cell", STACKED, COLUMNS, "rzh", ("2u+u",), _BEFORE),
    _Row("torch", WHOLE, ROWS, "rzh", ("none", "3u+3u"), _AFTER),
    _Row("linen", PER_GATE, COLUMNS, "", ("u+u+u+u",), _AFTER, sigmoid=False),
    _Row("nnx", WHOLE, COLUMNS, "rzh", ("3u",), _AFTER, sigmoid=False),
    _Row("haiku", WHOLE, COLUMNS, "zrh", ("3u",), _BEFORE, complement=True),
    _Row("equinox", WHOLE, ROWS, "rzh", ("none", "3u+u"), _AFTER),
    _Row("onnx", WHOLE, ROWS, "zrh", ("none", "6u"), _BOTH, sigmoid=False),
    _Row("openvino", WHOLE, ROWS, "zrh", ("3u",), _BEFORE),
    _Row("openvino", WHOLE, ROWS, "zrh", ("4u",), _AFTER),
    _Row("webnn-zrn", WHOLE, ROWS, "zrh", ("none", "3u+3u"), _BOTH),
    _Row("webnn-rzn", WHOLE, ROWS, "rzh", ("none", "3u+3u"), _BOTH),
    _Row("paddle", WHOLE, ROWS, "rzh", ("none", "3u+3u"), _AFTER),
    _Row("mlx", WHOLE, ROWS, "rzh", ("none", "3u+u"), _AFTER),
)


def frameworks_with(layout: Layout, *, reset_after: bool, complement: bool, sigmoid: bool) -> tuple[str, ...]:
    """Return the names of the frameworks that have a layout for a function.

    Parameters
    ----------
    layout
        Where the weights are.
    reset_after, complement
        The variant, and whether the update gate weights the candidate.
    sigmoid
        Whether the activation of the gates is sigmoid.
    """
    return tuple(
        row.name
        for row in _ROWS
        if (row.arrangement, row.orientation, row.order, row.packing)
        == (layout.arrangement, layout.orientation, layout.order, layout.packing)
        and layout.bias in row.biases
        and reset_after in row.reset_after
        and complement == row.complement
        and (sigmoid or not row.sigmoid)
    )
