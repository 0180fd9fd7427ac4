"""The GRU layer in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.backend import Output, refuse_dropout
from gruspec.errors import SpecError
from gruspec.spec import call_dimensions, check_carry, check_reset

from .arguments import as_inputs, as_mask, as_real
from .forward import forward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from gruspec.spec import Dimensions, GRUSpec

    Array: TypeAlias = NDArray[Any]


DTYPES = ("float32", "float64")


class GRU:
    """A GRU layer: a specification bound to weights and a dtype.

    Parameters
    ----------
    spec
        The layer's arguments.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``: (3u,), or (2, 3u) under
        ``reset_after``. Gates are in the order z, r, h. Copied.
    dtype
        ``"float32"`` or ``"float64"``: of the weights, of every intermediate and of the results.

    Raises
    ------
    SpecError
        If a weight is missing, unexpected, of a wrong shape or not real, or the dtype is another one.

    Examples
    --------
    >>> import numpy as np
    >>> from gruspec.spec import GRUSpec
    >>> weights = {"kernel": np.zeros((1, 3)), "recurrent_kernel": np.zeros((1, 3)), "bias": np.array([0.0, 0.0, 8.0])}
    >>> layer = GRU(GRUSpec(units=1, activation="relu"), weights)
    >>> layer(np.zeros((1, 2, 1))).outputs
    array([[6.]], dtype=float32)
    """

    def __init__(self, spec: GRUSpec, weights: Mapping[str, ArrayLike], *, dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise SpecError(f"dtype={dtype!r}: expected {' or '.join(DTYPES)}")
        self.spec = spec
        self.dtype = dtype
        self._weights = {name: as_real(name, values, dtype).copy() for name, values in weights.items()}
        self._state: Array | None = None
        kernel = self._weights.get("kernel")
        self._dimensions((0, 0, kernel.shape[0] if kernel is not None and kernel.ndim else 0))

    def __call__(
        self,
        inputs: ArrayLike,
        initial_state: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        *,
        training: bool = False,
        dropout_masks: Mapping[str, ArrayLike] | None = None,
    ) -> Output:
        """Run the layer over a batch of sequences.

        Parameters
        ----------
        inputs
            (B, T, D), or (T, B, D) under ``time_major``, of a floating dtype.
        initial_state
            (B, u). Without it a stateful layer starts from its recorded state, and any other from zeros.
        mask
            (B, T) or (B, T, 1), timesteps first under ``time_major``; zero or False marks a timestep to skip. Its
            inputs are never looked at.
        training, dropout_masks
            Whether dropout acts, and its masks; a call in which it would act is refused.

        Returns
        -------
        Output
            ``outputs`` and the final ``state``, which is always given, as new arrays in the layer's dtype.

        Raises
        ------
        SpecError
            If a shape does not fit, the mask or the state is not real, or a stateful layer is called with another
            batch size than before.
        SpecTypeError
            If the inputs are not floating.
        Unsupported
            If dropout would act.
        """
        spec = self.spec
        refuse_dropout(spec, training=training, dropout_masks=dropout_masks)
        x = as_inputs(inputs, self.dtype)
        m = None if mask is None else as_mask(mask)
        h = None if initial_state is None else as_real("initial_state", initial_state, self.dtype)
        dimensions = self._dimensions(x.shape, None if m is None else m.shape, None if h is None else h.shape)
        if m is not None:
            m = m.reshape(x.shape[:2])
        if not spec.time_major:
            x, m = x.swapaxes(0, 1), None if m is None else m.T
        outputs, last, state = forward(spec, self._weights, x, self._start(dimensions.batch, h), m)
        if spec.stateful:
            self._state = state
        if outputs is None:
            return Output(last, state.copy())
        return Output(outputs if spec.time_major else np.ascontiguousarray(outputs.swapaxes(0, 1)), state.copy())

    def reset_states(self, states: ArrayLike | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros.

        Raises
        ------
        NotStatefulError
            If the layer is not stateful.
        SpecError
            If the layer has not been called yet, or ``states`` has another shape or is not real.
        """
        recorded = self._state
        given = None if states is None else as_real("states", states, self.dtype)
        check_reset(self.spec, None if recorded is None else len(recorded), None if given is None else given.shape)
        if recorded is not None:
            self._state = np.zeros_like(recorded) if given is None else given.copy()

    def _dimensions(
        self,
        inputs: tuple[int, ...],
        mask: tuple[int, ...] | None = None,
        state: tuple[int, ...] | None = None,
    ) -> Dimensions:
        shapes = {name: array.shape for name, array in self._weights.items()}
        return call_dimensions(self.spec, shapes, inputs, mask, state)

    def _start(self, batch: int, initial_state: Array | None) -> Array:
        """Return the state that a call starts from: the given, the recorded, or zeros [initial-state]."""
        recorded = self._state
        check_carry(None if recorded is None else len(recorded), batch)
        if initial_state is not None:
            return initial_state
        return np.zeros((batch, self.spec.units), self.dtype) if recorded is None else recorded
