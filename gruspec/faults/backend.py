"""Faults behind the public protocol: implementations that are wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec import __version__
from gruspec.backend import Capabilities, Differentiated, Output
from gruspec.faults.planting import moved, planted
from gruspec.reference import Arguments, Definition, ReferenceLayer
from gruspec.reference.ieee import IEEENumbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gruspec.backend import Weights
    from gruspec.faults.fault import Fault
    from gruspec.spec import GRUSpec, WeightSettings

    Arrays = dict[str, NDArray[Any]]

_GRADIENTS = "gradients/"


class FaultyBackend:
    """The reference with faults planted in it; with none, the reference itself.

    Parameters
    ----------
    faults
        Planted in this order: a later one sees what an earlier one has made of the reference.
    """

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        self._definition: type[Definition[Any]] = Definition
        self._layer: type[ReferenceLayer[Any]] = ReferenceLayer
        self._numbers: type[IEEENumbers] = IEEENumbers
        for fault in faults:
            self._definition = planted(self._definition, fault.definition)
            self._layer = planted(self._layer, fault.layer)
            self._numbers = planted(self._numbers, fault.numbers)

    def capabilities(self) -> Capabilities:
        """Return that everything is declared."""
        names = " and ".join(fault.id for fault in self.faults) or "no fault"
        return Capabilities(summary=f"the reference with {names}", losses=True)

    def versions(self) -> dict[str, str]:
        """Return the version of gruspec."""
        return {"gruspec": __version__}

    def prepare(
        self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str, settings: WeightSettings | None = None
    ) -> FaultyLayer:
        """Bind a layer."""
        self.capabilities().require(spec, dtype=dtype, device=device)
        kinds = [fault.computes_in for fault in self.faults if fault.computes_in is not None]
        return FaultyLayer(self, spec, weights, self._numbers(kinds[0] if kinds else dtype), dtype, settings)

    def bind(
        self, numbers: IEEENumbers, spec: GRUSpec, weights: Mapping[str, NDArray[Any]], settings: WeightSettings | None
    ) -> ReferenceLayer[Any]:
        """Return the layer of the reference with the faults in it."""
        return self._layer(numbers, spec, weights, settings=settings, definition=self._definition)


class FaultyLayer:
    """A layer with faults."""

    def __init__(
        self,
        backend: FaultyBackend,
        spec: GRUSpec,
        weights: Weights,
        numbers: IEEENumbers,
        dtype: str,
        settings: WeightSettings | None,
    ) -> None:
        self.faults: Sequence[Fault] = backend.faults
        self.spec = spec
        self.losses: NDArray[Any] = np.zeros(0, dtype)
        self._dtype = np.dtype(dtype)
        taken = {name: np.asarray(array) for name, array in weights.items()}
        self._back: list[Callable[[Arrays], Arrays]] = []
        given = spec
        for fault in self.faults:
            if fault.spec is not None:
                given = fault.spec(given)
            if (change := fault.weights) is not None:
                taken, back = moved(lambda arrays, change=change: change(spec, arrays), taken)  # type: ignore[misc]
                self._back.insert(0, back)
        self._layer = backend.bind(numbers, given, taken, settings)

    def __call__(
        self,
        inputs: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Run the layer; see :class:`gruspec.backend.Layer`."""
        return self._run(Arguments(inputs, mask, initial_state, training, dropout_masks)).output

    def vjp(
        self,
        inputs: NDArray[Any],
        *,
        cotangents: Mapping[str, NDArray[Any]],
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Differentiated:
        """Run the layer and pull cotangents back; see :class:`gruspec.backend.DifferentiableLayer`."""
        return self._run(Arguments(inputs, mask, initial_state, training, dropout_masks, cotangents))

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros."""
        self._layer.reset_states(states)

    def _run(self, arguments: Arguments) -> Differentiated:
        for fault in self.faults:
            if fault.arguments is not None:
                arguments = fault.arguments(self.spec, arguments)
        with np.errstate(all="ignore"):
            arrays = self._layer.call(arguments).arranged(np.asarray)
            arrays = {name: array.astype(self._dtype) for name, array in arrays.items()}
        gradients = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_GRADIENTS)}
        arrays |= self._moved_back(gradients)
        for fault in self.faults:
            if fault.returned is not None:
                arrays = fault.returned(self.spec, arrays)
        self.losses = arrays.pop("losses", self.losses)
        found = {name.removeprefix(_GRADIENTS): array for name, array in arrays.items() if name.startswith(_GRADIENTS)}
        return Differentiated(Output(arrays["outputs"], arrays.get("state")), found)

    def _moved_back(self, gradients: Arrays) -> Arrays:
        for back in self._back:
            names = [f"{_GRADIENTS}{name}" for name in ("kernel", "recurrent_kernel", "bias")]
            of_weights = {name.removeprefix(_GRADIENTS): gradients[name] for name in names if name in gradients}
            if of_weights:
                gradients = gradients | {f"{_GRADIENTS}{name}": array for name, array in back(of_weights).items()}
        return gradients
