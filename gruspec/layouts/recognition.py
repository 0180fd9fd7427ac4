"""Which form of a layout arrays have, and of which sizes; or what is wrong with them."""

from __future__ import annotations

from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING, Any

from gruspec.errors import SpecError, UsageError, listed
from gruspec.layouts.layout import Sizes
from gruspec.layouts.printing import printable
from gruspec.layouts.shapes import MOST_DIRECTIONS, MOST_LAYERS, form_shapes, nearest_misfits, possible_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.layouts.layout import Form, Layout

    Shapes = Mapping[str, tuple[int, ...]]

_NAMED = 8
"""How many arrays a message names."""
_EXPLAINED = 500
"""Of more arrays than these, the message does not say which have the wrong shape: finding out takes long."""


def recognise(
    layout: Layout,
    shapes: Shapes,
    *,
    reset_after: bool | None = None,
    units: int | None = None,
    layers: int | None = None,
    directions: int | None = None,
) -> tuple[Form, Sizes]:
    """Return the form and the sizes that arrays of these names and shapes have in a layout.

    Parameters
    ----------
    layout
        Which they are in.
    shapes
        By name.
    reset_after
        The variant, if it is known.
    units, layers, directions
        What is known; needed where one vector holds everything.

    Raises
    ------
    SpecError
        If names or shapes are not those of the layout, or the variant is not one that they can hold. The message names
        the arrays whose shapes do not fit the others.
    UsageError
        If ``units`` is needed, or a number is not one that a GRU can have.
    """
    known = {"units": units, "layers": layers, "directions": directions}
    _check_known(layout, known)
    found = [
        (form, sizes)
        for form in layout.forms
        for sizes in possible_sizes(layout, form, shapes, units=units, layers=layers, directions=directions)
    ]
    if not found:
        raise _misfit(layout, shapes, known)
    fitting = [(form, sizes) for form, sizes in found if reset_after is None or reset_after in form.reset_after]
    if not fitting:
        raise SpecError(
            f"reset_after={reset_after}: arrays of layout {layout.name} with these shapes hold "
            f"reset_after={not reset_after}"
        )
    return fitting[0]


def expected_names(layout: Layout) -> str:
    """Write the names of the arrays of a layout, form by form, for a message."""
    forms = {
        listed(array.name.format(layer="<layer>", direction=layout.directions[0]) for array in form.arrays): None
        for form in layout.forms
    }
    return ", or ".join(forms)


def described(shapes: Shapes) -> str:
    """Write names and shapes for a message, the first of many; characters that cannot be printed are written out."""
    shown = [f"{printable(name)} {shape}" for name, shape in islice(sorted(shapes.items(), key=str), _NAMED)]
    return listed(shown) + (f" and {len(shapes) - _NAMED} more" if len(shapes) > _NAMED else "")


def _check_known(layout: Layout, known: Mapping[str, Any]) -> None:
    """Raise a UsageError for a number that no GRU has, or not in this layout."""
    for name, most, holds_more in (
        ("units", None, True),
        ("layers", MOST_LAYERS, layout.stacked),
        ("directions", MOST_DIRECTIONS, layout.bidirectional),
    ):
        value = known[name]
        if value is None:
            continue
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < 1 or (most is not None and value > most):
            raise UsageError(f"{name}={value!r}: expected a whole number from 1" + (f" to {most}" if most else ""))
        if value > 1 and not holds_more:
            raise UsageError(f"{name}={value}: layout {layout.name} holds one")


def _misfit(layout: Layout, shapes: Shapes, known: Mapping[str, int | None]) -> SpecError | UsageError:
    given = described(shapes)
    empty = {name: shape for name, shape in shapes.items() if 0 in shape}
    if empty:
        return SpecError(f"{described(empty)}: an axis of length 0; a GRU has at least one unit and one input")
    if known["units"] is None and shapes.keys() in [
        {array.name for array in form.arrays} for form in layout.forms if len(form.arrays) == 1
    ]:
        return UsageError(f"units=None: one vector ({given}) does not tell its units; give units")
    beside = listed(f"{name}={value}" for name, value in known.items() if value is not None)
    beside = "" if beside == "none" else f" with {beside}"
    forms = layout.forms if len(shapes) <= _EXPLAINED else ()
    judged = (nearest_misfits(layout, form, shapes, **known) for form in forms)
    nearest = min((entry for entry in judged if entry), key=lambda entry: _distance(entry[1], shapes), default=None)
    if nearest is None:
        axes = _wrong_axes(layout, shapes)
        if axes:
            return SpecError(f"{axes} in layout {layout.name}")
        return SpecError(
            f"these are not arrays of layout {layout.name}{beside}: {given}; it has {expected_names(layout)}"
        )
    sizes, right = nearest
    wrong = described({name: shapes[name] for name in right})
    others = ", as the other arrays say" if len(right) < len(shapes) else ""
    return SpecError(
        f"{wrong}: in layout {layout.name}{beside}, expected {described(right)}{others} (input size "
        f"{sizes.input_size}, units {sizes.units}, layers {sizes.layers}, directions {sizes.directions})"
    )


def _wrong_axes(layout: Layout, shapes: Shapes) -> str:
    """Describe arrays with another number of axes than in the likeliest form of these names; empty where all fit."""
    wrong = []
    for form in layout.forms:
        right = form_shapes(layout, form, Sizes(1, 1))
        if right.keys() == shapes.keys():
            wrong.append({name: len(right[name]) for name, shape in shapes.items() if len(shape) != len(right[name])})
    fewest = min(wrong, key=len, default={})
    return "; ".join(f"{name} {shapes[name]}: expected {number} axes" for name, number in fewest.items())


def _distance(right: Shapes, shapes: Shapes) -> tuple[int, int]:
    """Return how many shapes are wrong, and how many have not even the right number of axes."""
    return len(right), sum(len(shape) != len(shapes[name]) for name, shape in right.items())
