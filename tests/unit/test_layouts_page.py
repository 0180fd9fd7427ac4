"""The page about layouts has a row for each, made from its declaration, and its examples run."""

from __future__ import annotations

import doctest
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gruspec.errors import SpecError
from gruspec.layouts import LAYOUTS, Layout
from gruspec.layouts.layout import (
    INPUT_BIAS,
    KERNEL,
    RECURRENT_BIAS,
    RECURRENT_KERNEL,
    SUMMED_BIAS,
    Array,
    Form,
    Piece,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "layouts.md"
WORDS = {SUMMED_BIAS: "one", INPUT_BIAS: "input", RECURRENT_BIAS: "recurrent"}


def arrays(layout: Layout) -> str:
    """Return the names of the first form; those that another form has not in parentheses."""
    always = set.intersection(*({array.name for array in form.arrays} for form in layout.forms))
    names = {array.name: None for form in layout.forms for array in form.arrays}
    return ", ".join(f"`{name}`" if name in always else f"(`{name}`)" for name in names)


def gates(layout: Layout) -> str:
    pieces = [piece for array in layout.forms[0].arrays for piece in array.all_pieces]
    return " \\| ".join(dict.fromkeys(piece.gates for piece in pieces if piece.part == KERNEL))


def bias(form: Form) -> str:
    held: dict[str, str] = defaultdict(str)
    for array in form.arrays:
        for piece in array.all_pieces:
            if piece.part in WORDS:
                held[WORDS[piece.part]] += piece.gates
    return ", ".join(f"{word} {gates}" for word, gates in held.items()) or "none"


def biases(layout: Layout) -> str:
    """Return the biases of the fullest form of each variant."""
    fullest = {
        variant: bias(next(form for form in layout.forms if variant in form.reset_after))
        for variant in layout.reset_after
    }
    if len(set(fullest.values())) == 1:
        return fullest.popitem()[1]
    return "; ".join(f"{variant_name(variant)}: {words}" for variant, words in fullest.items())


def variant_name(reset_after: bool) -> str:  # noqa: FBT001  what is named
    return "after" if reset_after else "before"


def holds(layout: Layout) -> str:
    words = [name for name, given in (("layers", layout.stacked), ("directions", layout.bidirectional)) if given]
    return (", " if layout.bidirectional_stacks else " or ").join(words) or "one cell"


def rows() -> Iterator[str]:
    yield "| name | what has it | arrays | gates | biases | reset gate | holds |"
    yield "|---|---|---|---|---|---|---|"
    for name, layout in LAYOUTS.items():
        cells = (arrays(layout), gates(layout), biases(layout), ", ".join(map(variant_name, layout.reset_after)))
        yield f"| `{name}` | {layout.title} | {' | '.join(cells)} | {holds(layout)} |"


def sources() -> Iterator[str]:
    for name, layout in LAYOUTS.items():
        yield f"- `{name}`: {'; '.join(linked(part) for part in layout.source.split('; '))}"


def linked(source: str) -> str:
    address, comma, rest = source.partition(", ")
    return f"<{address}>{comma}{rest}" if address.startswith("https://") else f"`{address}`{comma}{rest}"


def test_the_table_is_made_from_the_declarations() -> None:
    written = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    assert written == list(rows())


def test_every_source_is_given() -> None:
    written = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("- `")]
    assert written == list(sources())


def test_the_examples_run() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried > 5
    assert failed == 0


KERNELS = (
    Array("a", ((Piece(KERNEL, "zrh", "input (gate unit)"),),)),
    Array("b", ((Piece(RECURRENT_KERNEL, "zrh", "state (gate unit)"),),)),
)
MISTAKES = {
    "no place for": (KERNELS[:1], r"no place for \[\('recurrent_kernel', 'h'\)"),
    "two places": ((*KERNELS, KERNELS[0]), r"two places for \[\('kernel', 'h'\)"),
    "sum and part": (
        (*KERNELS, Array("c", ((Piece(SUMMED_BIAS, "z", "unit"), Piece(INPUT_BIAS, "zr", "(gate unit)")),))),
        r"a place beside the sum of both biases for \[\('input_bias', 'z'\)\]",
    ),
    "part": ((*KERNELS, Array("c", ((Piece("biases", "z", "unit"),),))), r"that is none for \[\('biases', 'z'\)\]"),
    "gate": (
        (*KERNELS, Array("c", ((Piece(INPUT_BIAS, "n", "unit"),),))),
        r"that is none for \[\('input_bias', 'n'\)\]",
    ),
    "axis": (
        (*KERNELS[1:], Array("a", ((Piece(KERNEL, "zrh", "state (gate unit)"),),))),
        r"array 'a': axes='state \(gate unit\)': expected each of gate, input, unit once",
    ),
    "no gate": (
        (*KERNELS[1:], Array("a", ((Piece(KERNEL, "zrh", "input unit"),),))),
        r"array 'a': axes='input unit': expected each of gate, input, unit once",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_declaration_that_means_nothing_is_refused(mistake: str) -> None:
    declared, message = MISTAKES[mistake]
    with pytest.raises(SpecError, match=message):
        Form(declared, (True,))
