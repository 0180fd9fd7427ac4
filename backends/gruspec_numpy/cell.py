"""The cell of a layer: the arguments that decide about a single step, and the weights."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.errors import SpecError
from gruspec.spec import GRUSpec, weight_shapes

from . import activations, constraints, initializers, regularizers
from .arguments import as_real

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .activations import Activation

    Array: TypeAlias = NDArray[Any]

KINDS: Mapping[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
"""By the last word of an argument's name: the module that has ``get`` and ``serialize`` for it."""

PREFIXES = {"kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias"}
"""By weight: what the names of its initializer, regularizer and constraint begin with."""


def resolve(name: str, value: Any) -> Any:
    """Return what a layer keeps of an argument: the object that a name or a configuration stands for."""
    kind = name.rpartition("_")[2]
    return KINDS[kind].get(name, value) if kind in KINDS else value


def serialize(name: str, value: Any) -> Any:
    """Return what stands in a layer's configuration for what it keeps of an argument."""
    kind = name.rpartition("_")[2]
    return KINDS[kind].serialize(value) if kind in KINDS else value


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GRUCell:
    """What the reference layer holds in ``layer.cell``. Its attributes are read-only; weights change in place.

    Parameters
    ----------
    units, use_bias, dropout, recurrent_dropout, implementation, reset_after
        As checked by :class:`gruspec.spec.GRUSpec`.
    activation, recurrent_activation
        Of the candidate, and of both gates.
    kernel_initializer, recurrent_initializer, bias_initializer
        What fills the weights; None is Glorot uniform.
    kernel_regularizer, recurrent_regularizer, bias_regularizer
        What they add to a loss, or None.
    kernel_constraint, recurrent_constraint, bias_constraint
        What they are projected to after an update, or None.
    dtype
        Of the weights.
    """

    units: int
    activation: Activation
    recurrent_activation: Activation
    use_bias: bool
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any
    dropout: float
    recurrent_dropout: float
    implementation: int
    reset_after: bool
    dtype: str
    arrays: dict[str, Array] = field(default_factory=dict, init=False)
    name: str = field(default="gru_cell", init=False)

    @property
    def state_size(self) -> int:
        """Number of units."""
        return self.units

    @property
    def output_size(self) -> int:
        """Number of units."""
        return self.units

    @property
    def built(self) -> bool:
        """Whether the weights are there."""
        return bool(self.arrays)

    @property
    def weights(self) -> list[Array]:
        """The weights in their order; empty before they are built."""
        return list(self.arrays.values())

    @property
    def kernel(self) -> Array:
        """The input kernel (D, 3u), with the gates in the order z, r, h."""
        return self._weight("kernel")

    @property
    def recurrent_kernel(self) -> Array:
        """The recurrent kernel (u, 3u)."""
        return self._weight("recurrent_kernel")

    @property
    def bias(self) -> Array | None:
        """The bias (3u,), or (2, 3u) under ``reset_after``: of the inputs, of the state. None without ``use_bias``."""
        return self._weight("bias") if self.use_bias else None

    @property
    def input_size(self) -> int:
        """Size ``D`` of the last axis of the inputs."""
        return len(self.kernel)

    def build(self, input_size: int) -> None:
        """Fill new weights by their initializers.

        Raises
        ------
        SpecError
            If an initializer returns another shape, or what is not real.
        """
        spec = GRUSpec(units=self.units, use_bias=self.use_bias, reset_after=self.reset_after)
        self.adopt({name: self._initial(name, shape) for name, shape in weight_shapes(spec, input_size).items()})

    def adopt(self, weights: Mapping[str, Array]) -> None:
        """Take copies of all weights, of the right shapes and dtype, by name."""
        self.arrays.update({name: weights[name].copy() for name in PREFIXES if name in weights})

    def assign(self, weights: Sequence[ArrayLike]) -> None:
        """Overwrite the weights, which are all given, in their order.

        Raises
        ------
        SpecError
            If one has another shape, or is not real. Then none is changed.
        """
        taken = []
        for (name, weight), values in zip(self.arrays.items(), weights, strict=True):
            array = as_real(name, values, self.dtype)
            if array.shape != weight.shape:
                raise SpecError(f"weights: {name} has shape {array.shape}; expected {weight.shape}")
            taken.append(array)
        for weight, array in zip(self.arrays.values(), taken, strict=True):
            weight[...] = array

    def losses(self) -> list[Array]:
        """Return what the regularizers of the weights add to a loss, each of shape ()."""
        found = ((weight, self._rule(name, "regularizer")) for name, weight in self.arrays.items())
        return [np.asarray(regularizer(weight), self.dtype) for weight, regularizer in found if regularizer is not None]

    def loss_gradients(self) -> dict[str, Array]:
        """Return the derivatives of those losses, by the names of the weights that have one.

        Raises
        ------
        SpecError
            If a regularizer is a callable without derivative.
        """
        found = ((name, weight, self._rule(name, "regularizer")) for name, weight in self.arrays.items())
        return {name: rule.gradient(weight) for name, weight, rule in found if rule is not None}

    def apply_constraints(self) -> None:
        """Project the weights that have a constraint, in place."""
        for name, weight in self.arrays.items():
            constraint = self._rule(name, "constraint")
            if constraint is not None:
                weight[...] = as_real(f"{name}, constrained", constraint(weight), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name, in the order and the form of the reference layer's configuration."""
        names = (each.name for each in fields(self) if each.init and each.name != "dtype")
        return {name: serialize(name, getattr(self, name)) for name in names}

    def _weight(self, name: str) -> Array:
        if name not in self.arrays:
            raise AttributeError(f"{name}: not there yet; call the layer, or build it, first")
        return self.arrays[name]

    def _rule(self, weight: str, kind: str) -> Any:
        return getattr(self, f"{PREFIXES[weight]}_{kind}")

    def _initial(self, name: str, shape: tuple[int, ...]) -> Array:
        initializer = self._rule(name, "initializer") or initializers.GlorotUniform()
        values = as_real(f"{name}, initialized", initializer(shape, self.dtype), self.dtype)
        if values.shape != shape:
            raise SpecError(f"{PREFIXES[name]}_initializer: returned shape {values.shape}; expected {shape}")
        return values
