"""Arrays as NumPy source that gives the same arrays back, and comments."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.backend.script import WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def array_source(array: NDArray[Any], dtype: str, indent: int = 0) -> str:
    """Return an array as source.

    Parameters
    ----------
    array
        Of any shape: float64, float32, float16, bfloat16 or bool.
    dtype
        The second argument of ``np.array`` in the source, without which it gives float64 and bool; empty for none.
    indent
        Columns that stand before it on its first line.

    Examples
    --------
    >>> array_source(np.array([[0.5, -0.0, np.nan]]), "")
    'np.array([[0.5, -0.0, np.nan]])'
    >>> array_source(np.zeros((0, 3), np.float32), "dtype")
    'np.zeros((0, 3), dtype)'
    """
    second = f", {dtype}" if dtype else ""
    if array.dtype != np.bool_ and not array.any() and not np.signbit(array).any():
        return f"np.zeros({array.shape}{second})"
    if not array.size:
        return f"np.zeros({array.shape}, bool)"
    prefix = "np.array("
    rows = np.array2string(
        array.astype(object),
        max_line_width=WIDTH - indent - len(f"{second})"),
        separator=", ",
        prefix=prefix,
        threshold=array.size,
        formatter={"all": lambda value: number_source(value, array.dtype)},
    )
    lines = textwrap.indent(rows.replace("\n\n", "\n"), " " * indent).strip()
    return f"{prefix}{lines}{second})"


def number_source(value: Any, dtype: np.dtype[Any]) -> str:
    """Return the shortest decimal that gives a number of a dtype back, or the name of what is not a number.

    >>> number_source(np.float32(0.1), np.dtype(np.float32)), number_source(-np.inf, np.dtype(np.float64))
    ('0.1', '-np.inf')
    """
    if dtype == np.bool_:
        return str(bool(value))
    number = float(value)
    if not np.isfinite(number):
        return {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}[str(number)]
    shortest = float(str(dtype.type(number)))
    return repr(shortest) if float(dtype.type(shortest)) == number else repr(number)


def arrays_source(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a dictionary of arrays in the dtype of the script as source."""
    items = (f'"{name}": {array_source(array, "dtype", len(name) + 8)}' for name, array in arrays.items())
    return "{\n" + "".join(f"    {item},\n" for item in items) + "}"


def bound_array(name: str, array: NDArray[Any]) -> str:
    """Return what binds a name to an array: in the dtype of the script, unless it is a mask.

    >>> bound_array("mask", np.array([[True]]))
    'mask = np.array([[True]])'
    """
    return f"{name} = {array_source(array, '' if array.dtype == np.bool_ else 'dtype', len(name) + 3)}"


def comment(text: str) -> str:
    """Return text as lines of a comment."""
    lines = (
        line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
    )
    return "\n".join(f"# {line}" for line in lines)
