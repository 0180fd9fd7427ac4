"""Which declared layouts arrays are in, told in the words of readings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from gruspec.diagnosis.readings import BY_GATE, COLUMNS, FLAT, MEMORY, PER_GATE, ROWS, STACKED, WHOLE
from gruspec.layouts import LAYOUTS
from gruspec.layouts.layout import KERNEL, RECURRENT_KERNEL

if TYPE_CHECKING:
    from gruspec import layouts
    from gruspec.diagnosis.readings import Layout


class _Words(NamedTuple):
    """A form of a layout in words, and which functions its owner can compute with it."""

    name: str
    arrangement: str
    orientation: str
    packing: str
    order: str
    bias: str
    reset_after: tuple[bool, ...]
    sigmoid: bool
    complement: bool


def frameworks_with(layout: Layout, *, reset_after: bool, complement: bool, sigmoid: bool) -> tuple[str, ...]:
    """Return the names of the declared layouts that a layout is, for a function.

    Parameters
    ----------
    layout
        Where the weights are.
    reset_after, complement
        The variant, and whether the update gate weights the candidate.
    sigmoid
        Whether the activation of the gates is sigmoid.
    """
    found = (
        words.name
        for words in _declared()
        if (words.arrangement, words.orientation, words.packing, words.order, words.bias)
        == (layout.arrangement, layout.orientation, layout.packing, layout.order, layout.bias)
        and reset_after in words.reset_after
        and complement == words.complement
        and (sigmoid or not words.sigmoid)
    )
    return tuple(dict.fromkeys(found))


@cache
def _declared() -> tuple[_Words, ...]:
    """Return the forms in which a layer is written: with all biases, or with none.

    Forms whose blocks do not lie in matrices (D, 3u) or (3u, D), or one vector, are left out.
    """
    return tuple(
        _in_words(declared, form)
        for declared in LAYOUTS.values()
        for form in declared.forms
        if not (form.has_bias and any(form is not other and _extends(other, form) for other in declared.forms))
        and all("gate unit" not in piece.axes.split("(")[0] for piece in _pieces(form))
    )


def _extends(other: layouts.Form, form: layouts.Form) -> bool:
    """Whether another form for the same variants has more biases."""
    return other.reset_after == form.reset_after and other.parts > form.parts


def _pieces(form: layouts.Form, part: str | None = None) -> list[layouts.Piece]:
    return [piece for array in form.arrays for piece in array.all_pieces if part in (None, piece.part)]


def _in_words(declared: layouts.Layout, form: layouts.Form) -> _Words:
    kernels = _pieces(form, KERNEL)
    arrangement = _arrangement(form)
    moved = any(piece.through or piece.axes == "unit (gate state)" for piece in _pieces(form))
    return _Words(
        declared.name,
        arrangement,
        COLUMNS if kernels[0].axes.startswith("input") else ROWS,
        MEMORY if moved else BY_GATE,
        "" if arrangement == PER_GATE else "".join(piece.gates for piece in kernels),
        _biases(form, arrangement),
        form.reset_after,
        bool(declared.recurrent_activations) and "hard_sigmoid" not in declared.recurrent_activations,
        declared.complement,
    )


def _arrangement(form: layouts.Form) -> str:
    if len(form.arrays) == 1:
        return FLAT
    if any({KERNEL, RECURRENT_KERNEL} <= {piece.part for piece in array.all_pieces} for array in form.arrays):
        return STACKED
    return PER_GATE if len(_pieces(form, KERNEL)) == 3 else WHOLE


def _biases(form: layouts.Form, arrangement: str) -> str:
    """Return the id of the form of biases: how many vectors of ``u`` each array has."""
    if arrangement == FLAT:
        return "flat-6u"
    ids = []
    for array in form.arrays:
        gates = [len(piece.gates) for piece in array.all_pieces if piece.part not in (KERNEL, RECURRENT_KERNEL)]
        if gates and array.all_pieces[0].axes.startswith("1 "):
            ids.append(f"{len(gates)}x{gates[0]}u")
        elif gates:
            ids.append(f"{sum(gates)}u" if sum(gates) > 1 else "u")
    return "+".join(ids) or "none"
