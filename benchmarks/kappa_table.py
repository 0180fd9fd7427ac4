"""Kappa, the bound in units of the unit roundoff, after 64 timesteps with the weights of a fresh PyTorch layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gruspec.cases import Call
from gruspec.certify import bounded
from gruspec.generate.draws import Draw
from gruspec.generate.layers import arranged_call, make_case
from gruspec.spec import GRUSpec, weight_shapes

ALLOWED_KAPPA = {8: 100, 32: 300}
"""Largest kappa of torch.nn.GRU by number of units: what the bound must not exceed."""

LAYERS = ((True, "sigmoid"), (False, "sigmoid"), (False, "hard_sigmoid"))
"""reset_after and recurrent_activation; the first is torch.nn.GRU."""


class Row(NamedTuple):
    """One layer; ``allowed`` is None where nothing is promised."""

    units: int
    layer: str
    median: float
    largest: float
    allowed: int | None

    @property
    def too_wide(self) -> bool:
        """Whether the bound exceeds what is allowed."""
        return self.allowed is not None and self.largest > self.allowed


def kappa_rows() -> list[Row]:
    """Return the kappa of every layer over five draws."""
    rows = []
    for units, allowed in ALLOWED_KAPPA.items():
        for reset_after, recurrent_activation in LAYERS:
            spec = GRUSpec(
                units=units,
                reset_after=reset_after,
                recurrent_activation=recurrent_activation,
                return_sequences=True,
            )
            kappa = np.stack([kappa_of(spec, seed) for seed in range(5)])
            layer = f"{spec.variant}, {recurrent_activation}"
            limit = allowed if reset_after else None
            rows.append(Row(units, layer, float(np.median(kappa)), float(kappa.max()), limit))
    return rows


def kappa_of(spec: GRUSpec, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return kappa of every output of a layer with PyTorch's initial weights on inputs of unit size."""
    draw = Draw(f"kappa/{spec.variant}/{spec.units}/{seed}")
    input_size = spec.units // 2
    weights = {
        name: ((draw.integers(name, shape, 2**25) / 2.0**24 - 1) / np.sqrt(spec.units)).astype(np.float32).astype(float)
        for name, shape in weight_shapes(spec, input_size).items()
    }
    call = arranged_call(
        spec, normal(draw, "inputs", (2, 64, input_size)), None, normal(draw, "state", (2, spec.units)) / 2
    )
    case = bounded(make_case(f"kappa/{spec.variant}/{seed}", "verdict", (), spec, weights, [call]))
    (kappa,) = (done.expected["outputs"].kappa for done in case.calls if isinstance(done, Call))
    return kappa


def normal(draw: Draw, name: str, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return values distributed nearly like a standard normal: sums of twelve uniform ones."""
    total: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.sum(draw.integers(name, (12, *shape), 2**20), axis=0)
    return total / 2.0**20 - 6
