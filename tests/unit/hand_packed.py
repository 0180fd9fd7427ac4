"""The weights of a GRU in every layout, written out by hand: one function for each, with nothing of gruspec."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Arrays = dict[str, Array]
    Gates = Mapping[str, Array]


@dataclass(frozen=True)
class Cell:
    """Weights by gate: ``w`` (D, u), ``v`` (u, u), ``b`` and ``c`` (u,), input and recurrent bias; None for no bias."""

    w: Gates
    v: Gates
    b: Gates | None
    c: Gates | None


@dataclass(frozen=True)
class GRU:
    """A cell for each layer and direction, directions of a layer together."""

    reset_after: bool
    directions: int
    cells: tuple[Cell, ...]

    @property
    def layers(self) -> list[tuple[Cell, ...]]:
        return [self.cells[start : start + self.directions] for start in range(0, len(self.cells), self.directions)]

    @property
    def units(self) -> int:
        return int(self.cells[0].v["z"].shape[0])

    def with_biases(self, change: Callable[[Gates, Gates], tuple[Gates, Gates]]) -> GRU:
        cells = []
        for cell in self.cells:
            assert cell.b is not None
            assert cell.c is not None
            b, c = change(cell.b, cell.c)
            cells.append(replace(cell, b=b, c=c))
        return replace(self, cells=tuple(cells))

    def with_zero_biases(self) -> GRU:
        zeros = {gate: np.zeros_like(values[:, 0]) for gate, values in self.cells[0].v.items()}
        return replace(self, cells=tuple(replace(cell, b=zeros, c=zeros) for cell in self.cells))


def _beside(gates: Gates, order: str) -> Array:
    return np.concatenate([gates[gate] for gate in order], axis=-1)


def _below(gates: Gates, order: str) -> Array:
    return np.concatenate([gates[gate].T for gate in order], axis=0)


def _flipped(values: Array) -> Array:
    bits = np.dtype(f"u{values.itemsize}")
    return np.asarray((values.view(bits) ^ bits.type(1 << (8 * values.itemsize - 1))).view(values.dtype))


def _one(gru: GRU) -> Cell:
    (cell,) = gru.cells
    return cell


def keras(gru: GRU) -> Arrays:
    cell = _one(gru)
    arrays = {"kernel": _beside(cell.w, "zrh"), "recurrent_kernel": _beside(cell.v, "zrh")}
    if cell.b is not None and cell.c is not None:
        both = [_beside(cell.b, "zrh"), _beside(cell.c, "zrh")]
        arrays["bias"] = np.stack(both) if gru.reset_after else both[0]
    return arrays


def cudnn_gru(gru: GRU) -> Arrays:
    cell = _one(gru)
    assert cell.b is not None
    assert cell.c is not None
    return {
        "kernel": _beside({gate: w.T.reshape(w.shape) for gate, w in cell.w.items()}, "zrh"),
        "recurrent_kernel": _beside({gate: v.T for gate, v in cell.v.items()}, "zrh"),
        "bias": np.concatenate([_beside(cell.b, "zrh"), _beside(cell.c, "zrh")]),
    }


def torch(gru: GRU) -> Arrays:
    arrays = {}
    for number, cells in enumerate(gru.layers):
        for cell, ending in zip(cells, ("", "_reverse"), strict=False):
            arrays[f"weight_ih_l{number}{ending}"] = _below(cell.w, "rzh")
            arrays[f"weight_hh_l{number}{ending}"] = _below(cell.v, "rzh")
            if cell.b is not None and cell.c is not None:
                arrays[f"bias_ih_l{number}{ending}"] = _beside(cell.b, "rzh")
                arrays[f"bias_hh_l{number}{ending}"] = _beside(cell.c, "rzh")
    return arrays


def torch_cell(gru: GRU) -> Arrays:
    return {name.removesuffix("_l0"): values for name, values in torch(gru).items()}


def flat(gru: GRU) -> Array:
    kernels = [np.concatenate([_below(cell.w, "rzh").ravel(), _below(cell.v, "rzh").ravel()]) for cell in gru.cells]
    biases = [_beside(gates, "rzh") for cell in gru.cells for gates in (cell.b, cell.c) if gates is not None]
    return np.concatenate(kernels + biases)


def gru_cell(gru: GRU) -> list[Array]:
    cell = _one(gru)
    assert cell.b is not None
    both = {gate: np.concatenate([cell.w[gate], cell.v[gate]], axis=0) for gate in "zrh"}
    return [_beside(both, "rz"), both["h"], _beside(cell.b, "rz"), cell.b["h"]]


def linen(gru: GRU) -> Arrays:
    cell = _one(gru)
    assert cell.b is not None
    assert cell.c is not None
    kernels = {f"i{name}/kernel": cell.w[gate] for name, gate in zip("rzn", "rzh", strict=True)}
    recurrent = {f"h{name}/kernel": cell.v[gate] for name, gate in zip("rzn", "rzh", strict=True)}
    biases = {"ir/bias": cell.b["r"], "iz/bias": cell.b["z"], "in/bias": cell.b["h"], "hn/bias": cell.c["h"]}
    return kernels | recurrent | biases


def haiku(gru: GRU) -> Arrays:
    cell = _one(gru)
    assert cell.b is not None
    w, v, b = ({**gates, "z": _flipped(gates["z"])} for gates in (cell.w, cell.v, cell.b))
    return {"w_i": _beside(w, "zrh"), "w_h": _beside(v, "zrh"), "b": _beside(b, "zrh")}


def rows(gru: GRU, names: tuple[str, ...], order: str = "rzh") -> Arrays:
    """Kernels by rows; one bias for each gate, then the recurrent bias of the candidate, as far as there are names."""
    cell = _one(gru)
    arrays = [_below(cell.w, order), _below(cell.v, order)]
    if cell.b is not None and cell.c is not None:
        arrays += [_beside(cell.b, order), cell.c["h"]]
    return dict(zip(names, arrays, strict=False))


def by_direction(gru: GRU, order: str) -> tuple[Array, Array, Array | None, Array | None]:
    cells = gru.cells
    b, c = (
        np.stack([_beside(getattr(cell, name), order) for cell in cells])
        if getattr(cells[0], name) is not None
        else None
        for name in "bc"
    )
    return (
        np.stack([_below(cell.w, order) for cell in cells]),
        np.stack([_below(cell.v, order) for cell in cells]),
        b,
        c,
    )


def onnx(gru: GRU) -> Arrays:
    w, r, b, c = by_direction(gru, "zrh")
    return {"W": w, "R": r} | ({} if b is None or c is None else {"B": np.concatenate([b, c], axis=1)})


def openvino(gru: GRU) -> Arrays:
    w, r, b, c = by_direction(gru, "zrh")
    assert b is not None
    assert c is not None
    return {"W": w, "R": r, "B": np.concatenate([b, c[:, -gru.units :]], axis=1) if gru.reset_after else b}


def webnn(gru: GRU, order: str) -> Arrays:
    w, r, b, c = by_direction(gru, order)
    arrays = {"weight": w, "recurrentWeight": r, "bias": b, "recurrentBias": c}
    return {name: values for name, values in arrays.items() if values is not None}


def onednn(gru: GRU) -> Arrays:
    arrays = {}
    for name, part in (("weights_layer", "w"), ("weights_iter", "v")):
        layers = [[np.stack([getattr(cell, part)[g] for g in "zrh"], axis=1) for cell in cells] for cells in gru.layers]
        arrays[name] = np.stack([np.stack(directions) for directions in layers])
    biases = [
        np.stack([cell.b[g] for g in "zrh"] + ([cell.c["h"]] if gru.reset_after else []))
        for cell in gru.cells
        if cell.b is not None and cell.c is not None
    ]
    if biases:
        arrays["bias"] = np.stack(biases).reshape(len(gru.layers), gru.directions, *biases[0].shape)
    return arrays


PACKED: dict[str, Callable[[GRU], Arrays]] = {
    "keras": keras,
    "torch": torch,
    "torch-cell": torch_cell,
    "cudnn-gru": cudnn_gru,
    "cudnn": lambda gru: {"params": flat(gru)},
    "tf-gru-cell": lambda gru: dict(
        zip(("gates/kernel", "candidate/kernel", "gates/bias", "candidate/bias"), gru_cell(gru), strict=True)
    ),
    "tf-gru-block-cell": lambda gru: dict(zip(("w_ru", "w_c", "b_ru", "b_c"), gru_cell(gru), strict=True)),
    "linen": linen,
    "nnx": lambda gru: {
        "dense_i/kernel": _beside(_one(gru).w, "rzh"),
        "dense_h/kernel": _beside(_one(gru).v, "rzh"),
        "dense_i/bias": rows(gru, ("", "", "b"))["b"],
    },
    "haiku": haiku,
    "equinox": lambda gru: rows(gru, ("weight_ih", "weight_hh", "bias", "bias_n")),
    "onnx": onnx,
    "openvino": openvino,
    "webnn-zrn": lambda gru: webnn(gru, "zrh"),
    "webnn-rzn": lambda gru: webnn(gru, "rzh"),
    "coreml": lambda gru: rows(gru, ("weight_ih", "weight_hh", "bias"), "rhz"),
    "paddle": torch,
    "mlx": lambda gru: rows(gru, ("Wx", "Wh", "b", "bhn")),
    "mxnet": lambda gru: {"parameters": flat(gru)},
    "onednn": onednn,
}
