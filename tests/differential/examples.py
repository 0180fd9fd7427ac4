"""An example: a layer's constructor arguments and what is done with the layer, as plain data that prints as code.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.spec import GRUSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POSITIONAL = (
    "units",
    "activation",
    "recurrent_activation",
    "use_bias",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "reset_after",
)
"""The order of the reference layer's positional arguments."""

DEFAULTS: dict[str, Any] = {
    "activation": "tanh",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    **dict.fromkeys((name for name in POSITIONAL if name.endswith(("_regularizer", "_constraint"))), None),
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    **dict.fromkeys(POSITIONAL[POSITIONAL.index("return_sequences") :], False),
    "implementation": 1,
    "time_major": False,
    "zero_output_for_mask": False,
    "dtype": None,
    "name": None,
    "trainable": True,
    "weights": None,
}
"""What an argument is that is not given."""


DTYPES = {None: "float32", "float32": "float32", "float": "float32", "float64": "float64", "double": "float64"}
"""The dtype that a valid argument means."""


@dataclass(frozen=True, eq=False)
class Build:
    """Build the layer for inputs of a shape, whose unknown sizes are None."""

    shape: Any


@dataclass(frozen=True, eq=False)
class SetWeights:
    """Give the layer weights, in the order kernel, recurrent kernel, bias."""

    weights: Any


@dataclass(frozen=True, eq=False)
class Call:
    """Call the layer, or differentiate the call if it has cotangents.

    Parameters
    ----------
    inputs
        (B, T, D), or (T, B, D) under ``time_major``.
    initial_state
        (B, u), or None.
    state_form
        How the state is passed: ``"array"``, ``"list"`` and ``"tuple"`` of one, ``"inputs"`` for the list of inputs and
        state in the place of the inputs, ``"both"`` for this list and the state once more, which is one too many.
    numpy_state
        Whether the original too gets the state as a NumPy array; otherwise it gets a tensor.
    mask
        (B, T) or (B, T, 1), time-major like the inputs; or None.
    mask_form
        How the mask is passed: ``"array"``, ``"list"`` of one, ``"pair"`` of it and None.
    training
        Passed on.
    dropout_masks
        ``inputs`` (3, B, D) or (1, B, D) and ``recurrent`` (3, B, u), already scaled; those that act. Without them the
        original draws its own, and the rebuilt layer gets these.
    cotangents
        Of ``outputs`` and perhaps ``state``.
    losses
        Whether the gradient of the layer's losses is added.
    extra
        Further keyword arguments, which no layer has.
    """

    inputs: Any
    initial_state: Any = None
    state_form: str = "array"
    numpy_state: bool = False
    mask: Any = None
    mask_form: str = "array"
    training: Any = None
    dropout_masks: Mapping[str, Any] | None = None
    cotangents: Mapping[str, Any] | None = None
    losses: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def passed_mask(self) -> Any:
        """Return the mask in the form in which it is passed."""
        return {"array": self.mask, "list": [self.mask], "pair": [self.mask, None]}[self.mask_form]

    def passed(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Return inputs and state in the form in which they are passed."""
        match self.state_form:
            case "inputs":
                return [inputs, state], None
            case "both":
                return [inputs, state], state
            case "list":
                return inputs, [state]
            case "tuple":
                return inputs, (state,)
            case _:
                return inputs, state


@dataclass(frozen=True, eq=False)
class Reset:
    """Reset the recorded state, to zeros if ``states`` is None."""

    states: Any = None


@dataclass(frozen=True, eq=False)
class ApplyConstraints:
    """Apply the constraints to the weights, as an optimizer does after an update."""


@dataclass(frozen=True, eq=False)
class Assign:
    """Assign to an attribute."""

    name: str
    value: Any


@dataclass(frozen=True, eq=False)
class Inspect:
    """Ask the layer what it is: its configuration, in both directions, attributes, masks, shapes and activations.

    Parameters
    ----------
    mask
        For ``compute_mask``.
    shape
        For ``compute_output_shape``; unknown sizes are None.
    values
        (B, u), for the activations.
    """

    mask: Any
    shape: tuple[int | None, ...]
    values: Any


@dataclass(frozen=True, eq=False)
class Construct:
    """Construct the layer, which comes before all other operations."""


Operation: TypeAlias = Construct | Build | SetWeights | Call | Reset | ApplyConstraints | Assign | Inspect


@dataclass(frozen=True, eq=False)
class Example:
    """A layer and what is done with it.

    Parameters
    ----------
    arguments
        Constructor arguments by name.
    operations
        In order, after the construction.
    positional
        How many arguments are passed by position, those not in ``arguments`` with their defaults.
    """

    arguments: Mapping[str, Any]
    operations: Sequence[Operation]
    positional: int = 0

    def argument(self, name: str) -> Any:
        """Return a constructor argument, given or by default."""
        return self.arguments.get(name, DEFAULTS.get(name))

    @property
    def dtype(self) -> str:
        """The name of the layer's dtype."""
        return DTYPES[self.argument("dtype")]

    def spec(self) -> GRUSpec:
        """Return the specification of a layer with valid arguments, whose activations are left at their defaults."""
        return GRUSpec(**{name: self.argument(name) for name in _SPECIFIED})

    def constructor(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the constructor's arguments by position and by name."""
        names = POSITIONAL[: self.positional]
        given = {name: value for name, value in self.arguments.items() if name not in names}
        return [self.argument(name) for name in names], given

    def source(self) -> str:
        """Return Python code that builds the example, with NumPy as ``np`` and its names as in :data:`NAMES`."""
        operations = "".join(f"\n        {_shown(operation)}," for operation in self.operations)
        positional = f"\n    positional={self.positional}," if self.positional else ""
        return f"Example(\n    {_shown(dict(self.arguments))},\n    [{operations}\n    ],{positional}\n)"


_SPECIFIED = (
    "units",
    "use_bias",
    "dropout",
    "recurrent_dropout",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "time_major",
    "reset_after",
    "zero_output_for_mask",
    "implementation",
)

NAMES = ("array", "bool", "int64", "float16", "float32", "float64", "complex64", "nan", "inf")
"""Names of NumPy that printed arrays use."""


def _shown(value: object) -> str:
    """Return a value as code; of an operation, without what has its default."""
    if isinstance(value, np.ndarray):
        if value.size == 0 or value.dtype.kind in "OUV":
            return f"np.array({value.tolist()!r}, {value.dtype.str!r}).reshape({value.shape})"
        with np.printoptions(threshold=2**31 - 1, floatmode="unique", linewidth=100):
            return repr(value)
    if isinstance(value, list | tuple):
        shown = ", ".join(map(_shown, value))
        return f"[{shown}]" if isinstance(value, list) else f"({shown}{',' * (len(value) == 1)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {_shown(each)}" for name, each in value.items()) + "}"
    if is_dataclass(value):
        arguments = (
            f"{each.name}={_shown(getattr(value, each.name))}" for each in fields(value) if _given(value, each)
        )
        return f"{type(value).__name__}({', '.join(arguments)})"
    return repr(value)


def _given(operation: object, each: Field[Any]) -> bool:
    value = getattr(operation, each.name)
    default = {} if each.default_factory is not MISSING else each.default
    return isinstance(value, np.ndarray) or (value is not default and value != default)
