"""A recurrent layer: a cell run over a batch of sequences, forwards and backwards, with a state that it may record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import numpy as np

from gruspec.errors import SpecError, SpecTypeError
from gruspec.spec import (
    call_dimensions,
    check_carry,
    check_cotangents,
    check_reset,
    outputs_shape,
    state_shape,
    weight_shapes,
)

from .arguments import as_inputs, as_mask, as_real, as_shape, as_training, first_mask, only_state, split_call
from .attributes import Switch
from .backward import backward
from .dropout import masks_of_call
from .equations import Equations
from .forward import forward
from .weighted import Weighted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from gruspec.spec import Dimensions, GRUSpec

    from .arguments import PartialShape
    from .cell import GRUCell
    from .forward import Result

    Array: TypeAlias = NDArray[Any]
    Cotangents: TypeAlias = Mapping[str, ArrayLike]


class InputSpec(NamedTuple):
    """What a built layer takes: ``shape`` has None where any size will do."""

    shape: PartialShape
    ndim: int = 3


class Call(NamedTuple):
    """One call as the passes take it: timesteps first, all in the layer's dtype.

    ``start`` (B, u) is the state that it starts from; ``stated`` says whether the caller has given it.
    """

    equations: Equations
    sizes: Dimensions
    inputs: Array
    start: Array
    mask: Array | None
    stated: bool


class Recurrent(Weighted):
    """A recurrent layer.

    Parameters
    ----------
    spec
        Its arguments.
    cell
        Its cell, which agrees with them.
    weights
        Initial weights, or None.
    **described
        Name, trainability and activity regularizer: see :class:`~gruspec_numpy.weighted.Weighted`.
    """

    supports_masking = True

    return_sequences = Switch()
    return_state = Switch()
    go_backwards = Switch()
    stateful = Switch()
    unroll = Switch()
    time_major = Switch()
    zero_output_for_mask = Switch()

    def __init__(self, spec: GRUSpec, cell: GRUCell, *, weights: Sequence[ArrayLike] | None, **described: Any) -> None:
        super().__init__(cell, **described)
        self.spec = spec
        self.random = np.random.default_rng()
        self._initial_weights = weights
        self._recorded: Array | None = None

    def __call__(
        self,
        inputs: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = None,
        *,
        dropout_masks: Mapping[str, ArrayLike] | None = None,
    ) -> Any:
        """Run the layer over a batch of sequences; its first call builds it.

        Parameters
        ----------
        inputs
            (B, T, D), or (T, B, D) under ``time_major``, of a floating dtype; or the list ``[inputs, initial_state]``.
        initial_state
            (B, u), or a list or tuple of one such array. Without it a stateful layer starts from its recorded state,
            and any other from zeros.
        mask
            (B, T) or (B, T, 1), timesteps first under ``time_major``; zero or False marks a timestep to skip, whose
            inputs are never looked at. Of a list of masks the first counts.
        training
            Whether dropout acts; None is False.
        dropout_masks
            ``{"inputs": (3, B, D), "recurrent": (3, B, u)}``, already scaled, in place of masks drawn from ``random``;
            (1, B, D) where ``implementation`` is not 1 [dropout-masks].

        Returns
        -------
        numpy.ndarray or list
            The outputs: (B, u), or under ``return_sequences`` (B, T, u), timesteps first under ``time_major``. Under
            ``return_state`` the list of them and the final state (B, u). New arrays in the layer's dtype.

        Raises
        ------
        SpecError
            If a shape does not fit, a mask or a state is not real, a stateful layer is called with another batch size
            than before, or a dropout rate is 1 in training.
        SpecTypeError
            If the inputs are not floating.
        """
        call = self._prepare(inputs, initial_state, mask, training, dropout_masks)
        result = forward(call.equations, call.inputs, call.start, call.mask)
        return self._finish(result, self._returned(result))

    def vjp(
        self,
        inputs: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = None,
        *,
        cotangents: Cotangents | Callable[[Any], Cotangents],
        dropout_masks: Mapping[str, ArrayLike] | None = None,
        losses: bool = False,
    ) -> tuple[Any, dict[str, Array]]:
        """Run the layer as a call does, recorded state and losses included, and pull cotangents back through it.

        Parameters
        ----------
        inputs, initial_state, mask, training, dropout_masks
            As for a call.
        cotangents
            ``outputs``, shaped like the outputs, and, under ``return_state``, ``state`` (B, u): the derivatives of some
            number by what the call returns. One that is absent is zero. Or a function that is given what the call
            returns and returns them, so that what follows the layer can be differentiated within the one call.
        losses
            Whether ``sum(layer.losses)`` is added to that number.

        Returns
        -------
        tuple
            What the call returns, and the derivatives of the number by name: ``inputs``, ``initial_state`` where one is
            given, ``kernel``, ``recurrent_kernel`` and, where there is one, ``bias``; new arrays in the layer's dtype.
            Nothing at a masked timestep reaches them, dropout masks are constants, and no derivative crosses into an
            earlier call [gradients].

        Raises
        ------
        SpecError, SpecTypeError
            As for a call; if a cotangent is unknown, of another shape or not real; if an activation or a regularizer
            is a callable without derivative.
        """
        call = self._prepare(inputs, initial_state, mask, training, dropout_masks)
        result = forward(call.equations, call.inputs, call.start, call.mask, taped=True)
        returned = self._returned(result)
        given = cotangents(self._alone(returned)) if callable(cotangents) else cotangents
        pulled = {name: as_real(f"cotangents[{name!r}]", each, self.dtype) for name, each in given.items()}
        check_cotangents(self.spec, call.sizes, pulled)
        if losses:
            for name, slope in zip(("outputs", "state"), self._activity_gradients(returned), strict=False):
                if slope is not None:
                    pulled[name] = pulled[name] + slope if name in pulled else slope
        gradients = backward(call.equations, result.tape, pulled)
        if losses:
            for name, gradient in self.cell.loss_gradients().items():
                gradients[name] += gradient
        if not call.stated:
            del gradients["initial_state"]
        by_time = gradients["inputs"]
        gradients["inputs"] = np.ascontiguousarray(by_time if self.spec.time_major else by_time.swapaxes(0, 1))
        return self._finish(result, returned), gradients

    @property
    def built(self) -> bool:
        """Whether the weights are there and, if the layer is stateful, the state."""
        return self.cell.built and not (self.spec.stateful and self._recorded is None)

    def build(self, input_shape: Any) -> None:
        """Fill the weights, unless they are there, and set the state of a stateful layer to zeros.

        Parameters
        ----------
        input_shape
            Of the inputs; B and T may be None, but B only if the layer is not stateful. Of a list of shapes the first
            counts.

        Raises
        ------
        SpecError
            If the shape does not have three axes; if the layer is stateful and B is not known or another than before;
            if D is another than that of the weights, or the initial weights do not fit.
        SpecTypeError
            If D is None, or the shape no sequence of integers and None.
        """
        shape = as_shape("input_shape", input_shape)
        batch, input_size = shape[1 if self.spec.time_major else 0], shape[2]
        if input_size is None:
            raise SpecTypeError(f"input_shape={shape}: the last size must be known; expected an integer")
        if self.cell.built and input_size != self.cell.input_size:
            raise SpecError(f"input_shape={shape}: the weights are there for input size {self.cell.input_size}")
        if self.spec.stateful:
            if batch is None:
                raise SpecError(f"input_shape={shape}: a stateful layer needs to know its batch size; give an integer")
            check_carry(None if self._recorded is None else len(self._recorded), batch)
        if not self.cell.built:
            self.cell.build(input_size)
            if self._initial_weights is not None:
                self._set_initial(self._initial_weights)
        if self.spec.stateful:
            self._recorded = np.zeros(state_shape(self.spec, cast("int", batch)), self.dtype)

    @property
    def states(self) -> list[Array | None]:
        """The recorded state (B, u) of a stateful layer, read-only, in a list of one; None in it before it is built.

        Assigning to it is :meth:`reset_states`.
        """
        if not self.spec.stateful or self._recorded is None:
            return [None]
        shown = self._recorded.view()
        shown.flags.writeable = False
        return [shown]

    @states.setter
    def states(self, states: Any) -> None:
        self.reset_states(states)

    def reset_states(self, states: Any = None) -> None:
        """Set the recorded state.

        Parameters
        ----------
        states
            (B, u) of any real dtype, or a list or tuple of one such array; None for zeros.

        Raises
        ------
        NotStatefulError
            If the layer is not stateful.
        SpecError
            If its batch size is not known yet, or the state has another shape or is not real.
        """
        batch = None if self._recorded is None else len(self._recorded)
        check_reset(self.spec, batch, None)
        state = only_state("states", states)
        given = np.zeros(state_shape(self.spec, batch or 0)) if state is None else state
        taken = as_real("states", given, self.dtype)
        check_reset(self.spec, batch, taken.shape)
        self._recorded = taken.copy()

    @property
    def input_spec(self) -> list[InputSpec] | None:
        """What the layer takes as inputs, in a list of one; None before it is built."""
        if not self.built:
            return None
        batch = None if self._recorded is None or not self.spec.stateful else len(self._recorded)
        leading = (None, batch) if self.spec.time_major else (batch, None)
        return [InputSpec((*leading, self.cell.input_size))]

    def compute_output_shape(self, input_shape: Any) -> PartialShape | list[PartialShape]:
        """Return the shape of the outputs and, under ``return_state``, of the state, in a list.

        Parameters
        ----------
        input_shape
            Of the inputs; a size that is None stays None. Of a list of shapes the first counts.

        Raises
        ------
        SpecError, SpecTypeError
            If it does not have three axes, or is no sequence of integers and None.
        """
        first, second, _ = as_shape("input_shape", input_shape)
        batch, timesteps = (second, first) if self.spec.time_major else (first, second)
        known = cast("tuple[int, int]", (batch, timesteps))
        outputs = outputs_shape(self.spec, *known)
        return [outputs, state_shape(self.spec, known[0])] if self.spec.return_state else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:  # noqa: ARG002  a parameter of the reference layer
        """Return the mask of the outputs: that of the inputs under ``return_sequences``, else None.

        Under ``return_state`` a list of it and None. Of a list of masks the first counts.
        """
        passed = first_mask(mask) if self.spec.return_sequences else None
        return [passed, None] if self.spec.return_state else passed

    def _prepare(
        self, inputs: Any, initial_state: Any, mask: Any, training: Any, masks: Mapping[str, ArrayLike] | None
    ) -> Call:
        """Check the arguments of a call, and build the layer if it is the first."""
        spec, dtype = self.spec, self.dtype
        inputs, initial_state = split_call(inputs, initial_state)
        x, m = as_inputs(inputs, dtype), as_mask(mask)
        given = None if initial_state is None else as_real("initial_state", initial_state, dtype)
        shapes = {name: weight.shape for name, weight in self.cell.arrays.items()}
        sizes = call_dimensions(
            spec,
            shapes or weight_shapes(spec, x.shape[-1] if x.ndim else 0),
            x.shape,
            None if m is None else m.shape,
            None if given is None else given.shape,
        )
        if spec.stateful:
            check_carry(None if self._recorded is None else len(self._recorded), sizes.batch)
        acting = masks_of_call(spec, masks, self.random, training=as_training(training), sizes=sizes, dtype=dtype)
        if not self.built:
            self.build(x.shape)
        cell = self.cell
        equations = Equations(spec, cell.activation, cell.recurrent_activation, cell.arrays, acting)
        if m is not None:
            m = m.reshape(x.shape[:2])
        if not spec.time_major:
            x, m = x.swapaxes(0, 1), None if m is None else m.T
        recorded = self._recorded if spec.stateful else None
        start = given if given is not None else recorded
        if start is None:
            start = np.zeros(state_shape(spec, sizes.batch), dtype)
        return Call(equations, sizes, x, start, m, given is not None)

    def _returned(self, result: Result) -> list[Array]:
        """Return what a call returns, as a list also where it is one array."""
        return [result.outputs, result.state] if self.spec.return_state else [result.outputs]

    def _finish(self, result: Result, returned: list[Array]) -> Any:
        """Record what a call leaves behind, and return what it returns."""
        self._regularize(returned)
        if self.spec.stateful:
            self._recorded = result.state.copy()
        return self._alone(returned)

    def _alone(self, returned: list[Array]) -> Any:
        """Return a list, or the one array in it where the layer returns no state."""
        return returned if self.spec.return_state else returned[0]

    def _set_initial(self, weights: Sequence[ArrayLike]) -> None:
        """Set the initial weights; if they do not fit, the layer is not built."""
        try:
            self.set_weights(weights)
        except (SpecError, SpecTypeError):
            self.cell.arrays.clear()
            raise
