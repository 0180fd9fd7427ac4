"""Native GRUs for tests: one that computes what its layout says, and wrong ones."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gruspec import GRUSpec
from gruspec.backend.native import NATIVES_GROUP, NativeGRU, NativeResult
from gruspec.errors import MissingDependency, Unsupported
from gruspec.layouts import Block, Weights, layout_named, unpack
from gruspec.reference import evaluate
from gruspec.verification import Natives

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def natives(**by_layout: str) -> Natives:
    """Return natives of this module by layout; ``_`` stands for ``-`` in its name."""
    return Natives(
        EntryPoint(name.replace("_", "-"), f"sample_natives:{native}", NATIVES_GROUP)
        for name, native in by_layout.items()
    )


def reference_weights(weights: Weights, layer: int, direction: int) -> dict[str, NDArray[np.float64]]:
    """Return a cell in the layout of the reference layer."""

    def joined(part: str) -> NDArray[np.float64]:
        blocks = [weights.blocks.get(Block((layer, direction), part, gate)) for gate in "zrh"]  # type: ignore[arg-type]  # a tuple is equal
        units = weights.sizes.units
        return np.concatenate([np.zeros(units) if b is None else b.astype(np.float64) for b in blocks], axis=-1)

    bias = joined("input_bias")
    return {
        "kernel": joined("kernel"),
        "recurrent_kernel": joined("recurrent_kernel"),
        "bias": np.stack([bias, joined("recurrent_bias")]) if weights.reset_after else bias,
    }


class Evaluated(NativeGRU):
    """Computes in float64 what the arrays mean in their layout, and rounds."""

    layout: ClassVar[str] = "torch"
    title = "a sample GRU"
    modules: ClassVar[tuple[str, ...]] = ()

    def versions(self) -> Mapping[str, str]:
        return {"sample": "1.0"}

    def read(self, arrays: Mapping[str, NDArray[Any]], **sizes: Any) -> Weights:
        return unpack(arrays, layout_named(self.layout), **sizes)

    def run(
        self,
        arrays: Mapping[str, NDArray[Any]],
        inputs: NDArray[Any],
        *,
        reset_after: bool,
        layers: int = 1,
        directions: int = 1,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        initial_state: NDArray[Any] | None = None,
    ) -> NativeResult:
        weights = self.read(arrays, reset_after=reset_after)
        states: list[NDArray[np.float64]] = []
        outputs = inputs.astype(np.float64)
        assert initial_state is not None
        for layer in range(layers):
            found = []
            for direction in range(directions):
                spec = GRUSpec(
                    units=weights.sizes.units,
                    reset_after=reset_after,
                    activation=activation,
                    recurrent_activation=recurrent_activation,
                    return_sequences=True,
                    go_backwards=bool(direction),
                )
                each = reference_weights(weights, layer, direction)
                out, state = evaluate(spec, each, outputs, initial_state=initial_state[len(states)].astype(np.float64))
                found.append(out[:, ::-1] if direction else out)
                states.append(state)
            outputs = np.concatenate(found, axis=-1)
        return self.rounded(outputs, np.stack(states), inputs.dtype)

    def rounded(self, outputs: NDArray[Any], state: NDArray[Any], dtype: Any) -> NativeResult:
        return NativeResult(outputs.astype(dtype), state.astype(dtype))


class Keras(Evaluated):
    """The same for Keras."""

    layout = "keras"


class TorchCell(Evaluated):
    """The same for a single cell."""

    layout = "torch-cell"


class Linen(Evaluated):
    """The same for a layout that sums biases."""

    layout = "linen"


class SwappedGates(Evaluated):
    """Takes the update gate for the reset gate."""

    def read(self, arrays: Mapping[str, NDArray[Any]], **sizes: Any) -> Weights:
        read = super().read(arrays, **sizes)
        other = {"z": "r", "r": "z", "h": "h"}
        blocks = {Block(block.cell, block.part, other[block.gate]): values for block, values in read.blocks.items()}
        return Weights(read.sizes, read.reset_after, blocks, read.dtype)


class SwappedDirections(Evaluated):
    """Right for each cell alone; of both directions, takes one for the other."""

    def read(self, arrays: Mapping[str, NDArray[Any]], **sizes: Any) -> Weights:
        read = super().read(arrays, **sizes)
        last = read.sizes.directions - 1
        blocks = {
            Block(block.cell._replace(direction=last - block.cell.direction), block.part, block.gate): values
            for block, values in read.blocks.items()
        }
        return Weights(read.sizes, read.reset_after, blocks, read.dtype)


class Coarse(Evaluated):
    """Computes with three bits fewer."""

    def rounded(self, outputs: NDArray[Any], state: NDArray[Any], dtype: Any) -> NativeResult:
        mantissa, exponent = np.frexp(outputs)
        bits = np.finfo(dtype).nmant - 5
        return NativeResult(
            np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits).astype(dtype), state.astype(dtype)
        )


class WrongState(Evaluated):
    """Returns the initial state as the final one."""

    def rounded(self, outputs: NDArray[Any], state: NDArray[Any], dtype: Any) -> NativeResult:
        return NativeResult(outputs.astype(dtype), np.zeros_like(state).astype(dtype))


class Declining(Evaluated):
    """Can do nothing."""

    def run(self, *_: Any, **__: Any) -> NativeResult:
        raise Unsupported("device='cpu': only on a GPU")


class Unlinked(Evaluated):
    """Lacks a library that is no module."""

    def run(self, *_: Any, **__: Any) -> NativeResult:
        raise MissingDependency("no library of version 3 is found")


class Failing(Evaluated):
    """Goes wrong as frameworks do."""

    def run(self, *_: Any, **__: Any) -> NativeResult:
        raise RuntimeError("kernel not found")


class OneDirection(Evaluated):
    """Can do one direction."""

    def run(self, arrays: Any, inputs: Any, *, directions: int = 1, **rest: Any) -> NativeResult:
        if directions > 1:
            raise Unsupported("directions=2: only one")
        return super().run(arrays, inputs, directions=directions, **rest)


class Missing(Evaluated):
    """Needs what is not there."""

    title = "nowhere.GRU"
    modules = ("not_a_module",)
    extra = "torch"
