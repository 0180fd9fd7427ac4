"""Every layout that gruspec knows, by name, and the other names that callers give."""

from __future__ import annotations

import difflib
from types import MappingProxyType
from typing import TYPE_CHECKING

from gruspec.errors import SpecTypeError, UsageError, listed
from gruspec.layouts.activations import HARD_SIGMOID_6, KNOWN
from gruspec.layouts.layers import LAYERS
from gruspec.layouts.operators import OPERATORS
from gruspec.spec import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.layouts.layout import Layout

LAYOUTS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in (*LAYERS, *OPERATORS)})
"""Every layout by name, the likeliest first where arrays can be in several."""


def layout_named(name: str) -> Layout:
    """Return a layout by name.

    Raises
    ------
    UsageError
        If there is none. The message lists those there are.
    SpecTypeError
        If it is not a name.
    """
    if not isinstance(name, str):
        raise SpecTypeError(f"{name!r}: expected the name of a layout; there are {listed(LAYOUTS)}")
    if name not in LAYOUTS:
        near = difflib.get_close_matches(name, LAYOUTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{name}: no such layout; {hint}there are {listed(LAYOUTS)}")
    return LAYOUTS[name]


def check_activation(argument: str, name: object) -> None:
    """Check that a caller's name of an activation means one; None is for one that is not known.

    What a file says is not checked: layers may have functions of their own.

    Parameters
    ----------
    argument
        For the message, as ``"recurrent_activation"``.
    name
        Its value.

    Raises
    ------
    SpecTypeError
        If it is not a name.
    UsageError
        If there is no such activation. The message names a near one, and lists those of the specification.

    Examples
    --------
    >>> check_activation("activation", "gelu")
    >>> check_activation("activation", "HardSigmoid(alpha=0.25, beta=0.5)")
    >>> check_activation("activation", "Tnah")
    Traceback (most recent call last):
    ...
    gruspec.errors.UsageError: activation='Tnah': no such activation; did you mean tanh? ...
    """
    if name is None:
        return
    if not isinstance(name, str):
        raise SpecTypeError(f"{argument}={name!r}: expected a name, as {ACTIVATIONS[0]!r}, or None if it is not known")
    owners = (allowed for layout in LAYOUTS.values() for allowed in (layout.activations, layout.recurrent_activations))
    if name in KNOWN or any(name in allowed for allowed in owners):
        return
    near = difflib.get_close_matches(name.lower(), KNOWN, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"{argument}={name!r}: no such activation; {hint}known are {listed((*ACTIVATIONS, HARD_SIGMOID_6))}, "
        "and others by the names that Keras or ONNX gives them; leave it out if none is meant"
    )
