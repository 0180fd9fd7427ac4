"""The reference over error arrays, following what is done with a layer: values, and how far they may be off.

A bound is ``kappa`` in units of the dtype's unit roundoff: no implementation within the arithmetic contract is further
from the exact value, so that two of them are at most twice as far from each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from activation_bounds import CANDIDATE, GATE, ActivationNumbers
from regularizer_bounds import Penalty, activity_definition, orthogonal_loss, penalty, with_weight_slope

from gruspec.numerics import FORMATS
from gruspec.reference import run_operations, split_weights
from gruspec.reference.error_arrays import ErrorArray, Precision
from gruspec.spec import WeightSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from examples import Call, Example
    from numpy.typing import NDArray

    from gruspec.reference import Result

WEIGHTS = {
    "kernel": "kernel_regularizer",
    "recurrent_kernel": "recurrent_regularizer",
    "bias": "bias_regularizer",
}
"""Weights in the order of the layer, with the arguments that regularize them."""

_WEIGHT_OF_BLOCK = {**{name: name for name in WEIGHTS}, "recurrent_bias": "bias"}


class Bounded(NamedTuple):
    """Exact values, to float64 accuracy, and bounds in units of the unit roundoff; both of one shape."""

    value: NDArray[np.float64]
    kappa: NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """What a call must give.

    Parameters
    ----------
    arrays
        ``outputs``, ``state``, ``losses`` (n,) and, of a differentiated call, ``gradients/...`` by name.
    overflows
        Whether an intermediate result may be beyond the largest number of the dtype: nothing can then be judged.
    """

    arrays: Mapping[str, Bounded]
    overflows: bool


class BoundedLayer:
    """A layer of the reference.

    Parameters
    ----------
    example
        Its constructor arguments count, which must be valid.
    """

    def __init__(self, example: Example) -> None:
        self.spec = example.spec()
        self.format = FORMATS[example.dtype]
        roles = {CANDIDATE: example.argument("activation"), GATE: example.argument("recurrent_activation")}
        self._precision = Precision(self.format)
        self._numbers = ActivationNumbers(self._precision, roles)
        self._activity = penalty(example.argument("activity_regularizer"))
        self._penalties = {name: penalty(example.argument(argument)) for name, argument in WEIGHTS.items()}
        self._weights: dict[str, NDArray[np.float64]] = {}
        self._start: NDArray[np.float64] | None = None
        self._operation: Any = None
        self._run: Iterator[Result[ErrorArray] | None] = iter(())
        self._called = False
        self._is_empty = False

    def set_weights(self, weights: Sequence[NDArray[Any]]) -> None:
        """Take weights, in the order of the layer; a recorded state is forgotten."""
        self._weights = {name: array.astype(np.float64) for name, array in zip(WEIGHTS, weights, strict=False)}
        self._start = None
        self._run = run_operations(
            self._numbers,
            self.spec,
            self._weights,
            self._operations(),
            settings=self._settings(),
            definition=activity_definition(self._acting_activity),
        )
        self._called = False

    def reset(self, states: NDArray[np.float64] | None) -> None:
        """Take a recorded state (B, u), or zeros."""
        if self._called:
            self._perform(SimpleNamespace(states=states))
        else:
            self._start = states

    def call(self, call: Call) -> Bounds:
        """Return what a valid call must give."""
        explicit = call.initial_state is not None
        initial = call.initial_state if explicit else self._start
        self._start = None
        self._is_empty = 0 in call.inputs.shape[:2]
        result = self._perform(
            SimpleNamespace(
                inputs=call.inputs.astype(np.float64),
                mask=None if call.mask is None else call.mask.astype(bool),
                initial_state=None if initial is None else initial.astype(np.float64),
                training=bool(call.training),
                dropout_masks=call.dropout_masks,
                cotangents=self._cotangents(call),
                losses=call.losses,
            )
        )
        self._called = True
        if result is None:
            raise TypeError("a call gave no result")
        return Bounds(self._arranged(result, explicit=explicit, losses=call.losses), self._overflows())

    def activated(self, values: NDArray[Any]) -> dict[str, Bounded]:
        """Return both activations of values (B, u), by the names of the arguments."""
        lifted = self._numbers.lift(values.astype(np.float64)[:, None])
        roles = {"activation": CANDIDATE, "recurrent_activation": GATE}
        found = {name: self._numbers.activation(role, lifted).settled() for name, role in roles.items()}
        return {name: Bounded(array.value[:, 0], array.error[:, 0]) for name, array in found.items()}

    def _operations(self) -> Iterator[Any]:
        while True:
            yield self._operation

    def _perform(self, operation: Any) -> Result[ErrorArray] | None:
        self._operation = operation
        with np.errstate(all="ignore"):
            return next(self._run)

    def _acting_activity(self) -> Penalty | None:
        return self._activity if self._operation.losses else None

    def _cotangents(self, call: Call) -> dict[str, NDArray[np.float64]] | None:
        if call.cotangents is None:
            return None
        given = {name: array.astype(np.float64) for name, array in call.cotangents.items()}
        if self.spec.return_state and "state" not in given:
            batch = call.inputs.shape[1 if self.spec.time_major else 0]
            given["state"] = np.zeros((batch, self.spec.units))
        return given

    def _settings(self) -> WeightSettings:
        found = {"activity_regularizer": self._activity} | {WEIGHTS[name]: self._penalties[name] for name in WEIGHTS}
        return WeightSettings(
            **{
                name: {"class_name": "L1L2", "config": {"l1": each.l1, "l2": each.l2}}
                for name, each in found.items()
                if each is not None
            }
        )

    def _overflows(self) -> bool:
        return self._precision.peak >= self.format.largest / 2

    def _arranged(self, result: Result[ErrorArray], *, explicit: bool, losses: bool) -> dict[str, Bounded]:
        if losses and result.gradients is not None:
            blocks = self._regularized(result.gradients.blocks)
            result = replace(result, gradients=result.gradients._replace(blocks=blocks))
        with np.errstate(all="ignore"):
            values = result.arranged(lambda array: array.value)
            kappas = result.arranged(lambda array: array.settled().error)
        if not explicit:
            values.pop("gradients/initial_state", None)
        if "losses" in values:
            self._set_losses(values["losses"], kappas["losses"])
        return {name: Bounded(value, kappas[name]) for name, value in values.items()}

    def _regularized(self, blocks: Mapping[str, ErrorArray]) -> dict[str, ErrorArray]:
        """Return the gradients of weights with those of their regularizers added."""
        found = dict(blocks)
        for name, weight in split_weights(self.spec, self._weights).items():
            penalized = self._penalties[_WEIGHT_OF_BLOCK[name.rpartition("_")[0]]]
            if penalized is not None:
                found[name] = with_weight_slope(penalized, found[name], weight)
        return found

    def _set_losses(self, values: NDArray[np.float64], kappas: NDArray[np.float64]) -> None:
        """Set what the reference leaves open: the mean over no rows, which is 0, and the orthogonal regularizer."""
        regularized = [name for name in self._weights if self._penalties[name] is not None]
        of_outputs = slice(0, values.size - len(regularized))
        if self._is_empty:
            values[of_outputs] = kappas[of_outputs] = 0.0
        for position, name in enumerate(regularized, start=values.size - len(regularized)):
            found = self._penalties[name]
            if found is not None and found.orthogonal:
                values[position], kappas[position] = orthogonal_loss(found.orthogonal, self._weights[name])
