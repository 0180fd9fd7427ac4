"""Faults of the rebuilt layer, each a subclass of it that does one thing wrong."""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import gruspec_numpy
from gruspec.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping


RETURNING_SEQUENCE = {"return_sequences": True, "return_state": False}


class Undivided(gruspec_numpy.GRU):
    """The activity loss is not divided by the batch size."""

    @property
    def losses(self) -> list[Any]:
        first, *others = super().losses
        return [first * 2, *others]


class PoisonedByMasked(gruspec_numpy.GRU):
    """Gradients do not know the mask."""

    def vjp(self, inputs: Any, initial_state: Any = None, mask: Any = None, training: Any = None, **named: Any) -> Any:
        _, poisoned = super().vjp(inputs, initial_state, None, training, **named)
        result, _ = super().vjp(inputs, initial_state, mask, training, **named)
        return result, poisoned


class WithoutLossGradients(gruspec_numpy.GRU):
    """Gradients of the losses are left out."""

    def vjp(self, *arguments: Any, losses: bool = False, **named: Any) -> Any:
        del losses
        return super().vjp(*arguments, **named)


class Forgetful(gruspec_numpy.GRU):
    """The recorded state is lost after each call."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = super().__call__(*arguments, **named)
        self.reset_states()
        return result


class DeafToReset(gruspec_numpy.GRU):
    """A reset to given states is one to zeros."""

    def reset_states(self, states: Any = None) -> None:
        del states
        super().reset_states()


class WrongClassOfError(gruspec_numpy.GRU):
    """A reset of a layer that is not stateful raises ValueError."""

    def reset_states(self, states: Any = None) -> None:
        if not self.stateful:
            raise SpecError("reset_states: no state")
        super().reset_states(states)


class WithoutKey(gruspec_numpy.GRU):
    """The configuration lacks an argument."""

    def get_config(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config().items() if name != "reset_after"}


class Unclipped(gruspec_numpy.GRU):
    """A rate is kept as it is given."""

    def __init__(self, units: int, **named: Any) -> None:
        super().__init__(units, **named)
        self.given = named["dropout"]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.given}


class Tupled(gruspec_numpy.GRU):
    """Outputs and state come in a tuple."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = super().__call__(*arguments, **named)
        return tuple(result) if isinstance(result, list) else result


class StateForOutput(gruspec_numpy.GRU):
    """The last output is the state, also under a mask."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        outputs, state = super().__call__(*arguments, **named)
        return [outputs if self.return_sequences else state, state]


class Imprecise(gruspec_numpy.GRU):
    """Results of double precision are rounded to single precision."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = super().__call__(*arguments, **named)
        return np.asarray(result, np.float32).astype(np.float64)


class Widened(gruspec_numpy.GRU):
    """Results of single precision come in double precision."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = super().__call__(*arguments, **named)
        return np.asarray(result, np.float64)


class Reordered(gruspec_numpy.GRU):
    """Outputs of backward processing come in the order of time."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return super().__call__(*arguments, **named)[:, ::-1]


class Unconstrained(gruspec_numpy.GRU):
    """Constraints do nothing."""

    def apply_constraints(self) -> None:
        pass


class ExchangedMasks(gruspec_numpy.GRU):
    """The dropout masks of update and reset gate are exchanged."""

    def __call__(self, *arguments: Any, dropout_masks: Mapping[str, Any] | None = None, **named: Any) -> Any:
        exchanged = {kind: mask[[1, 0, 2][: len(mask)]] for kind, mask in (dropout_masks or {}).items()}
        return super().__call__(*arguments, dropout_masks=exchanged, **named)


class Talkative(gruspec_numpy.GRU):
    """A call warns."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        warnings.warn("called", RuntimeWarning, stacklevel=2)
        return super().__call__(*arguments, **named)


class Indulgent(gruspec_numpy.GRU):
    """A mask of one row serves all."""

    def __call__(self, inputs: Any, initial_state: Any = None, mask: Any = None, *others: Any, **named: Any) -> Any:
        if mask is not None and len(mask) == 1:
            mask = np.repeat(mask, len(inputs), axis=0)
        return super().__call__(inputs, initial_state, mask, *others, **named)


class Miscounting(gruspec_numpy.GRU):
    """The shape of the state has the units of another layer."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        outputs, state = super().compute_output_shape(input_shape)
        return [outputs, (state, 1)]


class Fault(NamedTuple):
    """A faulty layer, what the difference must be found in, and constructor arguments with which to look for it."""

    layer: type[gruspec_numpy.GRU]
    found_in: str
    arguments: Mapping[str, Any] = MappingProxyType({})


FAULTS = (
    Fault(Undivided, "losses/0", {"activity_regularizer": "l2"}),
    Fault(PoisonedByMasked, "gradients/", {"stateful": False}),
    Fault(WithoutLossGradients, "gradients/", {"bias_regularizer": "l1", "use_bias": True}),
    Fault(Forgetful, "recorded", {"stateful": True}),
    Fault(DeafToReset, "recorded", {"stateful": True}),
    Fault(WithoutKey, "configuration: keys"),
    Fault(Unclipped, "configuration, dropout", {"dropout": 1.5}),
    Fault(Tupled, "layout", {"return_state": True}),
    Fault(StateForOutput, "outputs[", {"return_state": True, "return_sequences": False}),
    Fault(Imprecise, "outputs[", {"dtype": "float64", "return_state": False}),
    Fault(Widened, "ours float64", {"dtype": "float32", "return_state": False}),
    Fault(Reordered, "outputs[", {**RETURNING_SEQUENCE, "go_backwards": True, "time_major": False}),
    Fault(Unconstrained, "weights/0 constrained", {"kernel_constraint": "unit_norm", "trainable": True}),
    Fault(ExchangedMasks, "outputs[", {"dropout": 0.5, "implementation": 1}),
    Fault(Talkative, "RuntimeWarning: called"),
    Fault(Miscounting, "shape", {"return_state": True}),
)
"""Those that right use finds; :class:`WrongClassOfError` and :class:`Indulgent` need wrong use."""
