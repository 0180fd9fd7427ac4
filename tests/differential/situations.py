"""Which operations meet a known difference, and how the original must be asked there so that it does what it should."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
from examples import ApplyConstraints, Build, Call, Construct, Inspect, Reset, SetWeights

from gruspec.spec import mask_shapes
from gruspec_tensorflow.framework import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from examples import Example, Operation
    from numpy.typing import NDArray
    from original import Original

    CallTest: TypeAlias = Callable[["Situation", Call], bool]
    Test: TypeAlias = Callable[["Situation"], bool]
    Mend: TypeAlias = Callable[["Situation", ExitStack], Operation]


FLAGS = (
    "use_bias",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "reset_after",
    "time_major",
    "zero_output_for_mask",
)


@dataclass(frozen=True)
class Situation:
    """An operation about to be performed.

    Parameters
    ----------
    example
        What it is part of.
    operation
        The operation.
    original
        The original layer, after the operations before.
    """

    example: Example
    operation: Operation
    original: Original

    def argument(self, name: str) -> Any:
        """Return a constructor argument."""
        return self.example.argument(name)

    @property
    def built(self) -> bool:
        """Whether the original is built."""
        return self.original.layer is not None and bool(self.original.layer.built)

    def sizes(self, inputs: Any) -> tuple[int, int]:
        """Return batch size and timesteps of inputs with three axes."""
        first, second, _ = inputs.shape
        return (second, first) if self.argument("time_major") else (first, second)


def on_call(test: CallTest) -> Test:
    """Return a test of calls on arrays with three axes."""

    def applies(situation: Situation) -> bool:
        call = situation.operation
        right = isinstance(call, Call) and isinstance(call.inputs, np.ndarray) and call.inputs.ndim == 3
        return right and isinstance(call, Call) and test(situation, call)

    return applies


def on_argument(name: str, test: Callable[[Any], bool]) -> Test:
    """Return a test of a constructor argument."""
    return lambda situation: isinstance(situation.operation, Construct) and test(situation.argument(name))


def changed(change: Callable[[Situation, Call], Call]) -> Mend:
    """Return a mend that only changes the call."""

    def mend(situation: Situation, _: ExitStack) -> Operation:
        call = situation.operation
        return change(situation, call) if isinstance(call, Call) else call

    return mend


def with_attribute(situation: Situation, stack: ExitStack, owner: Any, name: str, value: Any) -> Operation:
    """Set an attribute until the stack unwinds; return the operation as it is."""
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)
    return situation.operation


def has_state_shape(situation: Situation, call: Call) -> bool:
    shape = (situation.sizes(call.inputs)[0], situation.argument("units"))
    return is_array(call.initial_state) and call.initial_state.shape == shape


def overrules_recorded(situation: Situation, call: Call) -> bool:
    if not situation.argument("stateful") or call.initial_state is None:
        return False
    return any(np.any(state) for state in situation.original.recorded().values())


def forget_recorded(situation: Situation, _: ExitStack) -> Operation:
    situation.original.layer.reset_states()
    return situation.operation


def zeroes_unrolled(situation: Situation, call: Call) -> bool:
    return bool(situation.argument("unroll") and situation.argument("zero_output_for_mask") and call.mask is not None)


def fails_unrolled(situation: Situation, call: Call) -> bool:
    last = not situation.argument("return_sequences") and situation.sizes(call.inputs)[1] > 1
    return zeroes_unrolled(situation, call) and last


def misplaces_unrolled(situation: Situation, call: Call) -> bool:
    backwards = situation.argument("return_sequences") and situation.argument("go_backwards")
    return bool(zeroes_unrolled(situation, call) and backwards)


def loop(situation: Situation, stack: ExitStack) -> Operation:
    return with_attribute(situation, stack, situation.original.layer, "unroll", value=False)


def is_array(value: Any) -> TypeGuard[NDArray[Any]]:
    return isinstance(value, np.ndarray)


def needs_cast(situation: Situation, call: Call) -> bool:
    if situation.argument("stateful") or not has_state_shape(situation, call):
        return False
    return bool(call.initial_state.dtype.kind in "biuf" and call.initial_state.dtype != situation.example.dtype)


def broadcasts_state(situation: Situation, call: Call) -> bool:
    batch, _ = situation.sizes(call.inputs)
    units = situation.argument("units")
    if not is_array(call.initial_state):
        return False
    if batch == 1:
        single = situation.built and not situation.argument("stateful")
        return single and bool(call.initial_state.shape == (1, 1, units))
    return bool(call.initial_state.shape == (1, units) and situation.argument("unroll"))


def cast(situation: Situation, call: Call) -> Call:
    return replace(call, initial_state=call.initial_state.astype(situation.example.dtype))


def masked(call: Call) -> Any:
    """Return where inputs (B, T, D) or (T, B, D) are masked, (.., .., 1)."""
    return ~call.mask.astype(bool).reshape((*call.inputs.shape[:2], 1))


def has_masked_nonfinite(_: Situation, call: Call) -> bool:
    if call.cotangents is None or not is_array(call.mask):
        return False
    return bool((masked(call) & ~np.isfinite(call.inputs)).any())


def without_masked(_: Situation, call: Call) -> Call:
    return replace(call, inputs=np.where(masked(call), call.inputs.dtype.type(0), call.inputs))


def is_empty_stateful(situation: Situation) -> bool:
    if not situation.argument("stateful") or situation.built:
        return False
    shape = getattr(situation.operation, "shape", getattr(getattr(situation.operation, "inputs", None), "shape", None))
    return isinstance(shape, tuple) and len(shape) == 3 and shape[1 if situation.argument("time_major") else 0] == 0


def uses(name: str) -> Test:
    """Return a test of what computes an activation in double precision."""

    def applies(situation: Situation) -> bool:
        used = name in (situation.argument("activation"), situation.argument("recurrent_activation"))
        return isinstance(situation.operation, Call | Inspect) and used and situation.example.dtype == "float64"

    return applies


def exactly(name: str, function: Callable[[Any, Any], Any]) -> Mend:
    """Return a mend that computes an activation by a function of TensorFlow and of an argument."""

    def mend(situation: Situation, stack: ExitStack) -> Operation:
        for attribute in ("activation", "recurrent_activation"):
            if situation.argument(attribute) == name:
                cell = situation.original.layer.cell
                with_attribute(situation, stack, cell, attribute, lambda x: function(load_tensorflow(), x))
        return situation.operation

    return mend


def has_built_activation(situation: Situation) -> bool:
    used = (situation.argument("activation"), situation.argument("recurrent_activation"))
    return isinstance(situation.operation, Inspect) and any(isinstance(each, dict) for each in used)


def needs_double_precision(situation: Situation) -> bool:
    constraints = (situation.argument(f"{weight}_constraint") for weight in ("kernel", "recurrent", "bias"))
    used = any(constraint in ("non_neg", "NonNeg") for constraint in constraints)
    return isinstance(situation.operation, ApplyConstraints) and situation.example.dtype == "float64" and used


def in_double_precision(situation: Situation, stack: ExitStack) -> Operation:
    backend = import_module("tf_keras.backend")
    stack.callback(backend.set_floatx, backend.floatx())
    backend.set_floatx("float64")
    return situation.operation


def has_single_row(situation: Situation, call: Call) -> bool:
    return bool(situation.argument("kernel_regularizer") == "orthogonal_regularizer" and call.inputs.shape[2] <= 1)


def is_flag_of_another_type(situation: Situation) -> bool:
    wrong = any(not isinstance(situation.argument(name), bool) for name in FLAGS)
    return isinstance(situation.operation, Construct) and wrong


def is_setting_of_another_type(situation: Situation) -> bool:
    kinds = ("_initializer", "_regularizer", "_constraint")
    settings = [value for name, value in situation.example.arguments.items() if name.endswith(kinds)]
    wrong = any(not isinstance(value, str | dict | None) for value in settings)
    return isinstance(situation.operation, Construct) and wrong


def lies_alone(situation: Situation) -> bool:
    given = situation.example.arguments
    shaped = any(name in given for name in ("input_shape", "input_dim", "input_length"))
    return isinstance(situation.operation, Construct) and "batch_size" in given and not shaped


def mask_shape(test: Callable[[Situation, Call, tuple[int, ...], tuple[int, ...]], bool]) -> Test:
    """Return a test of masks whose shape no mask may have; it sees the shape and (B, T) in the layout of the layer."""

    def applies(situation: Situation, call: Call) -> bool:
        if not is_array(call.mask):
            return False
        allowed = mask_shapes(situation.example.spec(), *situation.sizes(call.inputs))
        return call.mask.shape not in allowed and test(situation, call, call.mask.shape, allowed[0])

    return on_call(applies)


def time_first(situation: Situation, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if situation.argument("time_major") else (shape[1], shape[0], *shape[2:])


def broadcasts(situation: Situation, _: Call, shape: tuple[int, ...], right: tuple[int, ...]) -> bool:
    if situation.argument("time_major") and shape == right[:1]:
        return True
    if len(shape) not in (2, 3) or shape[2:] not in ((), (1,)):
        return False
    return time_first(situation, shape)[:2] == (time_first(situation, right)[0], 1)


def goes_by_unit(situation: Situation, _: Call, shape: tuple[int, ...], right: tuple[int, ...]) -> bool:
    return shape == (*right, situation.argument("units")) and not situation.argument("unroll")


def is_cut(situation: Situation, _: Call, shape: tuple[int, ...], right: tuple[int, ...]) -> bool:
    if len(shape) != 2 or not situation.argument("unroll"):
        return False
    time, batch = time_first(situation, shape)
    return batch == time_first(situation, right)[1] and time > time_first(situation, right)[0]


def is_complex(value: Any) -> bool:
    return is_array(value) and bool(value.dtype.kind == "c")


def odd_state(situation: Situation) -> bool:
    if not situation.argument("stateful"):
        return False
    operation = situation.operation
    if isinstance(operation, Reset) and situation.built:
        given = operation.states
        shape = situation.original.recorded()["recorded"].shape
        return is_array(given) and given.dtype.kind in "cU" and given.shape == shape
    return on_call(lambda _, call: is_complex(call.initial_state) and has_state_shape(situation, call))(situation)


def odd_weights(situation: Situation) -> bool:
    operation = situation.operation
    if not isinstance(operation, SetWeights) or not situation.built:
        return False
    return bool(operation.weights) and all(is_array(each) and each.dtype.kind in "cU" for each in operation.weights)


def odd_shape(situation: Situation) -> bool:
    operation = situation.operation
    if not isinstance(operation, Build) or not isinstance(operation.shape, tuple):
        return False
    return len(operation.shape) in (2, 4)


def odd_training(situation: Situation, call: Call) -> bool:
    if isinstance(call.training, bool | None) or call.training in (0, 1):
        return False
    return bool(max(situation.argument("dropout"), situation.argument("recurrent_dropout")) <= 0)
