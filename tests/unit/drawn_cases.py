"""Random small cases without expected values, whose numbers are unkind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec import GRUSpec
from gruspec.cases import Call, Case
from gruspec.spec import ACTIVATIONS, Dimensions, dropout_mask_shapes, outputs_shape, state_shape, weight_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PALETTES = (
    ("full",), ("short",), ("short", "full"), ("zero", "full"), ("full", "large"), ("corner", "full", "zero"),
    ("one", "zero"), ("one", "corner", "zero"), ("short", "one", "corner"), ("tiny", "full"), ("tiny", "one", "zero"),
    ("small", "one"),
)  # fmt: skip
RATES = (0.0, 0.5, 0.75)


class Drawn:
    """Small layers whose values meet corners, cancel, underflow and are exact far more often than random ones."""

    def __init__(self, seed: int, bits: int | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.bits = self.one_of(24, 24, 24, 53) if bits is None else bits
        self.seed = seed

    def one_of(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def value(self, kind: str) -> float:
        significand = int(self.rng.integers(2 ** (self.bits - 1), 2**self.bits)) * 2.0**-self.bits
        few_bits = int(self.rng.integers(1, 2**10)) * 2.0 ** int(self.rng.integers(30))
        sign = self.one_of(1, -1)
        kinds = {
            "zero": 0.0,
            "one": sign * self.one_of(0.5, 1.0, 2.0),
            "short": int(self.rng.integers(-8, 9)) / 4,
            "corner": sign * 2.5 + self.one_of(0, 0, 1, -1, 3, -5) * 2.0 ** (2 - self.bits),
            "full": sign * significand * 2.0 ** int(self.rng.integers(-3, 2)),
            "large": sign * significand * 2.0 ** int(self.rng.integers(3, 8)),
            "small": sign * few_bits * 2.0**-90,
            "tiny": sign * few_bits * 2.0**-149,
        }
        return float(kinds[kind])

    def values(self, shape: tuple[int, ...], palette: tuple[str, ...]) -> Floats:
        count = int(np.prod(shape))
        return np.array([self.value(self.one_of(*palette)) for _ in range(count)]).reshape(shape)

    def case(self, **arguments: Any) -> Case:
        """Return a case whose options are drawn where they are not given."""
        batch, timesteps = self.one_of(1, 1, 2), self.one_of(1, 1, 2, 3)
        input_size, units = self.one_of(0, 1, 1, 2, 3), self.one_of(1, 1, 2, 3)
        flags = ("use_bias", "reset_after", "go_backwards", "zero_output_for_mask", "stateful")
        options: dict[str, Any] = {name: self.rng.random() < 0.5 for name in flags}
        options |= {name: self.one_of(*ACTIVATIONS) for name in ("activation", "recurrent_activation")}
        options |= {"units": units, "return_sequences": True, "return_state": True}
        spec = GRUSpec(**options | arguments)
        palettes = [self.one_of(*PALETTES) for _ in range(5)]
        shapes = weight_shapes(spec, input_size).items()
        weights = {name: self.values(shape, palettes[i]) for i, (name, shape) in enumerate(shapes)}
        calls: list[Call] = []
        for _ in range(1 + spec.stateful):
            mask = self.one_of(None, self.rng.random((batch, timesteps)) < 0.6)
            state = None if calls else self.one_of(None, self.values(state_shape(spec, batch), palettes[3]))
            calls.append(Call(self.values((batch, timesteps, input_size), palettes[4]), mask, state))
        subnormal = ("Subnormal",) if any("tiny" in palette for palette in palettes) else ()
        return Case(f"drawn/{self.seed}", "drawn", "arithmetic-update", subnormal, (), spec, weights, tuple(calls))

    def differentiated(self, **arguments: Any) -> Case:
        """Return a case with cotangents in every call and, as often as not, dropout."""
        drawn = {name: self.rng.random() < 0.5 for name in ("return_sequences", "return_state")}
        if self.rng.random() < 0.5:
            drawn |= {name: self.one_of(*RATES) for name in ("dropout", "recurrent_dropout")}
            drawn["implementation"] = self.one_of(1, 2)
        case = self.case(**drawn | arguments)
        palette = self.one_of(*PALETTES)
        calls = tuple(self._trained(case.spec, call, palette) for call in case.calls if isinstance(call, Call))
        return replace(case, calls=calls, flags=("Subnormal",) if case.flags or "tiny" in palette else ())

    def _trained(self, spec: GRUSpec, call: Call, palette: tuple[str, ...]) -> Call:
        batch, timesteps, input_size = call.inputs.shape
        cotangents = {"outputs": self.values(outputs_shape(spec, batch, timesteps), palette)}
        if spec.return_state:
            cotangents["state"] = self.values(state_shape(spec, batch), palette)
        shapes = dropout_mask_shapes(spec, Dimensions(batch, timesteps, input_size, spec.units))
        kept = self.one_of(("one", "zero"), ("full", "zero"), ("short",))
        masks = {name: self.values(shape, kept) for name, shape in shapes.items()}
        return replace(call, cotangents=cotangents, training=True, dropout_masks=masks)


def drawn(seeds: range, bits: int | None = None, **arguments: Any) -> Iterator[Case]:
    """Yield cases of single calls, or of two of a stateful layer."""
    return (Drawn(seed, bits).case(**arguments) for seed in seeds)


def differentiated(seeds: range, bits: int | None = None, **arguments: Any) -> Iterator[Case]:
    """Yield such cases with cotangents."""
    return (Drawn(seed, bits).differentiated(**arguments) for seed in seeds)
