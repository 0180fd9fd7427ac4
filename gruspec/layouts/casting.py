"""Other dtypes for weights: which values survive, and which cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import SpecTypeError, UsageError, listed
from gruspec.layouts.weights import DTYPES, bits_of, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from gruspec.layouts.layout import Form
    from gruspec.layouts.weights import Weights

    Values = NDArray[Any]

_PANEL = 1 << 20
"""Values that are looked at together."""


def named_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return a dtype of weights by name, or by what NumPy takes for one; bfloat16 needs ml_dtypes.

    Raises
    ------
    UsageError
        If there are no weights of that dtype.
    """
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in DTYPES:
        raise UsageError(f"dtype={dtype!r}: expected one of {listed(DTYPES)}")
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


def keeps_every_bit(weights: Weights, form: Form, dtype: np.dtype[Any]) -> bool:
    """Return whether everything that a form stores of weights comes back from a dtype bit for bit.

    Raises
    ------
    SpecTypeError
        If a finite value becomes infinite. The message names the layer, the part and the value.
    """
    if dtype == weights.dtype:
        return True
    kept = True
    for cell in weights.sizes.cells():
        for part, gate in sorted(form.parts):
            values = stored(weights, cell, part, gate)
            for panel in () if values is None else panels(values):
                with np.errstate(all="ignore"):
                    cast = panel.astype(dtype)
                    back = cast.astype(weights.dtype)
                lost = np.isfinite(panel) & ~np.isfinite(cast)
                if lost.any():
                    raise SpecTypeError(
                        f"dtype={dtype.name!r}: {part} of gate {gate} of layer {cell.layer} holds {panel[lost][0]!s}, "
                        f"which is infinite there; keep {weights.dtype.name}"
                    )
                kept = kept and bool(np.array_equal(bits_of(back), bits_of(panel)))
    return kept


def panels(values: Values) -> Iterator[Values]:
    """Yield the rows of a block, many together, in order."""
    rows = max(1, _PANEL // max(1, values[:1].size))
    return (values[start : start + rows] for start in range(0, len(values), rows))
