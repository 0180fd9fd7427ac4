"""What a caller gives as the weights of a GRU, as NumPy arrays; or what to give instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import SpecTypeError
from gruspec.layouts.printing import printable
from gruspec.layouts.recognition import expected_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gruspec.layouts.layout import Layout


def given_arrays(arrays: object, layout: Layout) -> dict[str, NDArray[Any]]:
    """Return what a caller gives as NumPy arrays by name.

    Raises
    ------
    SpecTypeError
        If it is not a mapping from names, or NumPy cannot take one of its values. The message says what to give.
    """
    if not isinstance(arrays, Mapping):
        raise SpecTypeError(
            f"arrays={type(arrays).__name__}: expected a dict of arrays by name, {expected_names(layout)} in layout "
            f"{layout.name}; {_advice(arrays)}"
        )
    return {name: _array(name, values) for name, values in arrays.items()}


def _advice(arrays: object) -> str:
    if isinstance(arrays, (list, tuple)):
        return (
            "a list has no names; of get_weights() of Keras it is "
            "dict(zip(('kernel', 'recurrent_kernel', 'bias'), layer.get_weights()))"
        )
    return (
        "of a torch module it is {name: tensor.numpy() for name, tensor in module.state_dict().items()}, of a Keras "
        "layer dict(zip(('kernel', 'recurrent_kernel', 'bias'), layer.get_weights()))"
    )


def _array(name: object, values: object) -> NDArray[Any]:
    if not isinstance(name, str):
        raise SpecTypeError(f"arrays: {name!r} is no name of an array; expected a str")
    try:
        return np.asarray(values)
    except Exception as error:
        # What a framework's tensor raises here is its own affair: a TypeError, RuntimeError, BufferError ...
        dtype = str(getattr(values, "dtype", ""))
        wanted = "tensor.detach().cpu().numpy()"
        if "bfloat16" in dtype:
            wanted = "tensor.detach().cpu().view(torch.int16).numpy().view(ml_dtypes.bfloat16)"
        title = f"{type(values).__name__}{f' of {dtype}' if dtype else ''}"
        raise SpecTypeError(f"{printable(name)}: NumPy cannot take this {title}; give an array, as {wanted}") from error
