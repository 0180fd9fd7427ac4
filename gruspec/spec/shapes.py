"""Shapes of a GRU, written once.

Symbols: ``B`` batch, ``T`` timesteps, ``D`` input size, ``u`` units. Under ``time_major`` inputs are (T, B, D), masks
(T, B) and output sequences (T, B, u); states are always (B, u).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from gruspec.errors import NotStatefulError, SpecError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gruspec.spec.arguments import GRUSpec

GATES = ("z", "r", "h")
"""Order of the update gate, the reset gate and the candidate along every axis of length 3u [gate-order]."""


class Shaped(Protocol):
    """An array of any library."""

    @property
    def shape(self) -> Sequence[int]:
        """Axis lengths."""
        ...


class Dimensions(NamedTuple):
    """The sizes that one call of a GRU is made of."""

    batch: int
    timesteps: int
    input_size: int
    units: int


def weight_shapes(spec: GRUSpec, input_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight by name [weights].

    >>> from gruspec.spec import GRUSpec
    >>> weight_shapes(GRUSpec(units=2, reset_after=True), 5)
    {'kernel': (5, 6), 'recurrent_kernel': (2, 6), 'bias': (2, 6)}
    """
    width = 3 * spec.units
    shapes: dict[str, tuple[int, ...]] = {"kernel": (input_size, width), "recurrent_kernel": (spec.units, width)}
    if spec.use_bias:
        shapes["bias"] = (2, width) if spec.reset_after else (width,)
    return shapes


def state_shape(spec: GRUSpec, batch: int) -> tuple[int, int]:
    """Return the shape of an initial or final state."""
    return (batch, spec.units)


def mask_shapes(spec: GRUSpec, batch: int, timesteps: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that a mask may have [mask-shape]."""
    leading = (timesteps, batch) if spec.time_major else (batch, timesteps)
    return (leading, (*leading, 1))


def outputs_shape(spec: GRUSpec, batch: int, timesteps: int) -> tuple[int, ...]:
    """Return the shape of the outputs: a sequence or the last output [return-sequences]."""
    if not spec.return_sequences:
        return (batch, spec.units)
    return (timesteps, batch, spec.units) if spec.time_major else (batch, timesteps, spec.units)


def call_dimensions(
    spec: GRUSpec,
    weights: Mapping[str, Sequence[int]],
    inputs: Sequence[int],
    mask: Sequence[int] | None = None,
    initial_state: Sequence[int] | None = None,
) -> Dimensions:
    """Check the shapes of one call against each other and return its sizes.

    Parameters
    ----------
    spec
        The layer.
    weights
        Shape of each weight by name.
    inputs, mask, initial_state
        Shapes of the arguments of the call; None where the argument is absent.

    Raises
    ------
    SpecError
        If any shape does not fit. The message names the argument, its shape and the shape that would.

    Examples
    --------
    >>> from gruspec.spec import GRUSpec
    >>> spec = GRUSpec(units=2)
    >>> call_dimensions(spec, weight_shapes(spec, 3), (4, 7, 3), mask=(4, 7))
    Dimensions(batch=4, timesteps=7, input_size=3, units=2)
    """
    axes = "(timesteps, batch, input size)" if spec.time_major else "(batch, timesteps, input size)"
    if len(inputs) != 3:
        raise SpecError(f"inputs: shape {tuple(inputs)} has {len(inputs)} axes; expected 3: {axes}")
    timesteps, batch = (inputs[0], inputs[1]) if spec.time_major else (inputs[1], inputs[0])
    dimensions = Dimensions(batch, timesteps, inputs[2], spec.units)
    expected = weight_shapes(spec, dimensions.input_size)
    _check_shapes(spec, weights, expected, f" for inputs {tuple(inputs)}")
    allowed = mask_shapes(spec, batch, timesteps)
    if mask is not None and tuple(mask) not in allowed:
        raise SpecError(f"mask: shape {tuple(mask)}; expected {allowed[0]} or {allowed[1]}")
    wanted = state_shape(spec, batch)
    if initial_state is not None and tuple(initial_state) != wanted:
        raise SpecError(f"initial_state: shape {tuple(initial_state)}; expected {wanted}")
    return dimensions


def check_weights(spec: GRUSpec, weights: Mapping[str, Sequence[int]]) -> None:
    """Check the shapes of weights against each other, whatever the input size [weights, bias].

    Parameters
    ----------
    spec
        The layer.
    weights
        Shape of each weight by name.

    Raises
    ------
    SpecError
        If one is missing, has no place, or another shape.
    """
    kernel = tuple(weights.get("kernel", ()))
    _check_shapes(spec, weights, weight_shapes(spec, kernel[0] if len(kernel) == 2 else 1))


def _check_shapes(
    spec: GRUSpec, weights: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]], inputs: str = ""
) -> None:
    for name, shape in expected.items():
        if name not in weights:
            raise SpecError(f"{name}: missing; expected shape {shape}")
        if tuple(weights[name]) != shape:
            raise SpecError(f"{name}: shape {tuple(weights[name])}; expected {shape}{inputs}")
    for name in weights:
        if name not in expected:
            raise SpecError(f"{name}: given, but use_bias={spec.use_bias} leaves no place for it")


def check_reset(spec: GRUSpec, batch: int | None, states: Sequence[int] | None) -> None:
    """Check a request to reset the recorded state [reset-states].

    Parameters
    ----------
    spec
        The layer.
    batch
        Batch size of the recorded state, or None if the layer has not been called yet.
    states
        Shape of the new state, or None to reset it to zeros.

    Raises
    ------
    NotStatefulError
        If the layer is not stateful.
    SpecError
        If the batch size is not known yet, or the shape is not (batch, units).
    """
    if not spec.stateful:
        raise NotStatefulError("reset_states: this layer keeps no state; build it with stateful=True")
    if batch is None:
        raise SpecError("reset_states: the batch size is not known yet; call the layer once first")
    wanted = state_shape(spec, batch)
    if states is not None and tuple(states) != wanted:
        raise SpecError(f"states: shape {tuple(states)}; expected {wanted}")


def check_carry(recorded: int | None, batch: int) -> None:
    """Check that a stateful layer is called with the batch size of the state it has recorded [stateful].

    Parameters
    ----------
    recorded
        Batch size of the recorded state, or None if there is none.
    batch
        Batch size of the call.

    Raises
    ------
    SpecError
        If they differ.
    """
    if recorded is not None and recorded != batch:
        raise SpecError(f"inputs: batch size {batch}; this stateful layer keeps a state for {recorded} sequences")


def check_cotangents(spec: GRUSpec, sizes: Dimensions, cotangents: Mapping[str, Shaped]) -> None:
    """Check the shapes of cotangents against what a call returns; one that is absent is zero [gradients].

    Parameters
    ----------
    spec
        The layer.
    sizes
        Of the call.
    cotangents
        Arrays by name.

    Raises
    ------
    SpecError
        If a cotangent is of something that the layer does not return, or a shape does not fit.
    """
    wanted: dict[str, tuple[int, ...]] = {"outputs": outputs_shape(spec, sizes.batch, sizes.timesteps)}
    if spec.return_state:
        wanted["state"] = state_shape(spec, sizes.batch)
    for name, shape in ((name, tuple(array.shape)) for name, array in cotangents.items()):
        if name not in wanted:
            raise SpecError(f"cotangents: {name!r} is not returned by this layer; it returns {listed(wanted)}")
        if shape != wanted[name]:
            raise SpecError(f"cotangents: {name!r} has shape {shape}; expected {wanted[name]}")
