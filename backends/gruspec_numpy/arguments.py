"""What callers may pass, and how it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gruspec.errors import SpecError, SpecTypeError, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    PartialShape: TypeAlias = tuple[int | None, ...]

DTYPES = ("float16", "float32", "float64")
"""What a layer can compute in."""

_NOT_NUMPY = ("bfloat16", "mixed_float16", "mixed_bfloat16")


def as_dtype(dtype: Any) -> str:
    """Return the name of a layer's dtype; None and ``float``, type or word, are float32, as for the reference layer.

    Raises
    ------
    SpecError
        If it is another dtype than those of :data:`DTYPES`.
    SpecTypeError
        If it is no dtype.
    """
    if dtype is None or dtype is float or (isinstance(dtype, str) and dtype == "float"):
        return "float32"
    expected = f"dtype={dtype!r}: expected one of {listed(DTYPES)}"
    if isinstance(dtype, str) and dtype in _NOT_NUMPY:
        raise SpecError(expected)
    try:
        name: str = np.dtype(dtype).name
    except (TypeError, ValueError) as error:
        raise SpecTypeError(expected) from error
    if name not in DTYPES:
        raise SpecError(expected)
    return name


def as_flag(name: str, value: Any) -> bool:
    """Return True or False.

    Raises
    ------
    SpecTypeError
        If the value is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise SpecTypeError(f"{name}={value!r}: expected True or False")
    return bool(value)


def as_training(training: Any) -> bool:
    """Return whether a call is one in training: None is False, and 0 and 1 count as False and True.

    Raises
    ------
    SpecError
        If it is another number.
    SpecTypeError
        If it is no number.
    """
    expected = f"training={training!r}: expected True, False or None"
    if training is None:
        return False
    if np.ndim(training) or np.asarray(training).dtype.kind not in "biuf":
        raise SpecTypeError(expected)
    if training not in (0, 1):
        raise SpecError(expected)
    return bool(training)


def as_shape(name: str, shape: Any) -> PartialShape:
    """Return the shape of inputs, in which a size may be None; of a list of shapes the first.

    Raises
    ------
    SpecError
        If it does not have three axes, or a size is negative.
    SpecTypeError
        If it is no sequence of integers and None.
    """
    if isinstance(shape, list) and shape and isinstance(shape[0], list | tuple):
        shape = shape[0]
    try:
        sizes = tuple(None if size is None else size.__index__() for size in shape)
    except (TypeError, AttributeError) as error:
        raise SpecTypeError(f"{name}={shape!r}: expected a tuple of three integers or None") from error
    if len(sizes) != 3 or any(size is not None and size < 0 for size in sizes):
        raise SpecError(f"{name}={shape!r}: expected three sizes of at least 0, or None where unknown")
    return sizes


def as_batch_input_shape(
    *, batch_input_shape: Any, input_shape: Any, batch_size: Any, input_dim: Any, input_length: Any
) -> PartialShape | None:
    """Return the shape of inputs that a layer's arguments state, or None if they state none.

    Raises
    ------
    SpecError
        If it does not have three axes, or a size is negative.
    SpecTypeError
        If it is stated in more than one way, or not by integers and None.
    """
    last = {"input_dim": input_dim, "input_length": input_length}
    given = [name for name, value in last.items() if value is not None]
    if input_shape is not None:
        given.insert(0, "input_shape")
    if batch_input_shape is not None:
        if given or batch_size is not None:
            raise SpecTypeError(f"batch_input_shape={batch_input_shape!r}: says all; omit {listed(given or last)}")
        return as_shape("batch_input_shape", batch_input_shape)
    if input_shape is not None:
        if len(given) > 1:
            raise SpecTypeError(f"input_shape={input_shape!r}: says all but batch_size; omit {listed(given[1:])}")
        sizes = input_shape if isinstance(input_shape, list | tuple) else [input_shape]
        return as_shape("input_shape with batch_size", (batch_size, *sizes))
    if not given:
        if batch_size is not None:
            raise SpecTypeError(f"batch_size={batch_size!r}: only beside input_shape, input_dim or input_length")
        return None
    return as_shape("batch_size, input_length and input_dim", (batch_size, input_length, input_dim))


def split_call(inputs: Any, initial_state: Any) -> tuple[Any, Any]:
    """Return inputs and initial state of a call, which may be given as ``[inputs, initial_state]``.

    Raises
    ------
    SpecError
        If several inputs or states are given, or a state in two ways.
    """
    if isinstance(inputs, list | tuple) and inputs and getattr(inputs[0], "ndim", None) == 3:
        if isinstance(inputs, tuple):
            raise SpecError(f"inputs: a tuple of {len(inputs)} arrays; expected an array or [inputs, initial_state]")
        if inputs[1:] and initial_state is not None:
            raise SpecError("initial_state: given twice, in the list of inputs too; give it once")
        inputs, initial_state = inputs[0], inputs[1:] or initial_state
    return inputs, only_state("initial_state", initial_state)


def only_state(name: str, states: Any) -> Any:
    """Return the only item of a list or tuple of states (B, u); any other value as it is.

    Raises
    ------
    SpecError
        If there are more states or none.
    """
    if not isinstance(states, list | tuple) or any(getattr(state, "ndim", None) != 2 for state in states):
        return states
    if len(states) != 1:
        raise SpecError(f"{name}: {len(states)} states; a GRU has one")
    return states[0]


def as_inputs(values: Any, dtype: str) -> Array:
    """Return inputs in ``dtype``.

    Raises
    ------
    SpecTypeError
        If they are not of a floating dtype.
    SpecError
        If they are ragged.
    """
    inputs = _array("inputs", values)
    if inputs.dtype.kind != "f":
        raise SpecTypeError(f"inputs: dtype {inputs.dtype}; expected a floating dtype, which is cast to {dtype}")
    return _cast(inputs, dtype)


def as_real(name: str, values: Any, dtype: str) -> Array:
    """Return a state, weight, cotangent or dropout mask in ``dtype`` [initial-state].

    Raises
    ------
    SpecError
        If it is of neither a real nor the boolean dtype, or ragged.
    """
    array = _array(name, values)
    if array.dtype.kind not in "biuf":
        raise SpecError(f"{name}: dtype {array.dtype}; expected a real dtype, which is cast to {dtype}")
    return _cast(array, dtype)


def as_mask(values: Any) -> Array | None:
    """Return a mask as bool; a number counts as True unless it is zero, so NaN does [mask-dtype].

    Of a list of masks, one for each input, the first counts.

    Raises
    ------
    SpecError
        If its dtype is neither boolean nor real, or it is ragged.
    """
    values = first_mask(values)
    if values is None:
        return None
    mask = _array("mask", values)
    if mask.dtype.kind not in "biuf":
        raise SpecError(f"mask: dtype {mask.dtype}; expected bool or a real dtype")
    return mask if mask.dtype.kind == "b" else mask != 0


def first_mask(values: Any) -> Any:
    """Return the first of a list of masks, each an array or None; any other value as it is."""
    if isinstance(values, list | tuple) and values and (values[0] is None or getattr(values[0], "ndim", 0) > 1):
        return values[0]
    return values


def _array(name: str, values: Any) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise SpecError(f"{name}: cannot be made an array: {error}") from error


def _cast(array: Array, dtype: str) -> Array:
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype)
