"""What a layer is apart from its calls: a name, weights that can be trained, and losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.errors import SpecError, SpecTypeError

from .arguments import as_flag
from .cell import resolve
from .naming import automatic_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .cell import GRUCell

    Array: TypeAlias = NDArray[Any]


class Weighted:
    """A layer with a cell that holds its weights.

    Parameters
    ----------
    cell
        The cell.
    name
        Of the layer; None for an automatic one.
    trainable
        Whether its weights are trained.
    activity_regularizer
        What is added to a loss for outputs: anything that :func:`gruspec_numpy.regularizers.get` takes.

    Raises
    ------
    SpecTypeError
        If ``name`` is not a string or ``trainable`` not a bool.
    """

    def __init__(self, cell: GRUCell, *, name: str | None, trainable: bool, activity_regularizer: Any) -> None:
        self.cell = cell
        self.trainable = trainable
        self.activity_regularizer = activity_regularizer
        self._activity_losses: list[Array] = []
        if name is not None and not isinstance(name, str):
            raise SpecTypeError(f"name={name!r}: expected a string, or None for an automatic name")
        self._name = automatic_name(type(self).__name__) if name is None else name

    @property
    def name(self) -> str:
        """The layer's name."""
        return self._name

    @property
    def dtype(self) -> str:
        """The name of the dtype of weights, intermediates and results."""
        return self.cell.dtype

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; may be assigned to.

        Raises
        ------
        SpecTypeError
            If it is assigned anything but True or False.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = as_flag("trainable", value)

    @property
    def activity_regularizer(self) -> Any:
        """The regularizer of outputs and returned states, or None; may be assigned all that the argument may be."""
        return self._activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, value: Any) -> None:
        self._activity_regularizer = resolve("activity_regularizer", value)

    @property
    def weights(self) -> list[Array]:
        """Kernel, recurrent kernel and, where there is one, bias: the arrays themselves. Empty before they are built.

        An optimizer updates them in place, as in ``weight -= rate * gradient``.
        """
        return self.cell.weights

    @property
    def trainable_weights(self) -> list[Array]:
        """The weights, if the layer is trainable."""
        return self.weights if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weights, if the layer is not trainable."""
        return [] if self.trainable else self.weights

    variables = weights
    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    def get_weights(self) -> list[Array]:
        """Return copies of the weights."""
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Overwrite all weights.

        Parameters
        ----------
        weights
            As :meth:`get_weights` gives them, of any real dtype.

        Raises
        ------
        SpecError
            If they are more or fewer than the layer has, none before it is built, or one has another shape or is not
            real. Then none is changed.
        SpecTypeError
            If they are no list or tuple.
        """
        if not isinstance(weights, list | tuple):
            raise SpecTypeError(f"weights: expected a list of arrays, got {type(weights).__name__}")
        expected = len(self.weights)
        if len(weights) != expected:
            hint = "" if expected else "; the layer is not built yet: call it, or build it, first"
            raise SpecError(f"weights: {len(weights)} given; layer {self.name!r} expects {expected}{hint}")
        self.cell.assign(weights)

    def count_params(self) -> int:
        """Return the number of all elements of the weights.

        Raises
        ------
        SpecError
            If the layer is not built yet.
        """
        if not self.cell.built:
            raise SpecError(f"count_params: layer {self.name!r} is not built yet; call it, or build it, first")
        return sum(weight.size for weight in self.weights)

    def apply_constraints(self) -> None:
        """Project the trainable weights that have a constraint, in place; to be called after each update."""
        if self.trainable:
            self.cell.apply_constraints()

    @property
    def losses(self) -> list[Array]:
        """What the regularizers add to a loss, each of shape () and the layer's dtype [losses].

        First those of the outputs and of the returned state of the last call, each over the length of its first axis;
        then those of kernel, recurrent kernel and bias as they are now. What has no regularizer is left out.
        """
        return [*self._activity_losses, *self.cell.losses()]

    def _regularize(self, returned: Sequence[Array]) -> None:
        """Record the losses of what a call returns."""
        regularizer = self.activity_regularizer
        kept = () if regularizer is None else returned
        self._activity_losses = [np.asarray(regularizer(each) / max(1, len(each)), each.dtype) for each in kept]

    def _activity_gradients(self, returned: Sequence[Array]) -> list[Array | None]:
        """Return the derivative of those losses by each array; None where there is none."""
        regularizer = self.activity_regularizer
        if regularizer is None:
            return [None for _ in returned]
        return [np.asarray(regularizer.gradient(each) / max(1, len(each)), each.dtype) for each in returned]
