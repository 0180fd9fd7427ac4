"""Words for what several layouts have in common, so that each is declared in a few lines."""

from __future__ import annotations

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

BEFORE, AFTER, BOTH = (False,), (True,), (False, True)
"""Values of ``reset_after`` that arrays can hold."""
TANH, SIGMOID = ("tanh",), ("sigmoid",)

GATE_SUMS = tuple((SUMMED_BIAS, gate) for gate in "rz")
CANDIDATE_APART = ((INPUT_BIAS, "h"), (RECURRENT_BIAS, "h"))
"""Biases of a layout that adds up those of the gates, where only the sum matters, and keeps two for the candidate."""


def array(name: str, *pieces: Piece, axis: int = 0, leading: tuple[str, ...] = ()) -> Array:
    """Return an array whose pieces of one cell lie together."""
    return Array(name, (pieces,), axis, leading)


def columns(kernel: str, recurrent_kernel: str, gates: str) -> tuple[Array, ...]:
    """Return kernels (D, 3u) and (u, 3u)."""
    return (
        array(kernel, Piece(KERNEL, gates, "input (gate unit)")),
        array(recurrent_kernel, Piece(RECURRENT_KERNEL, gates, "state (gate unit)")),
    )


def rows(kernel: str, recurrent_kernel: str, gates: str, leading: tuple[str, ...] = ()) -> tuple[Array, ...]:
    """Return kernels (3u, D) and (3u, u)."""
    return (
        array(kernel, Piece(KERNEL, gates, "(gate unit) input"), leading=leading),
        array(recurrent_kernel, Piece(RECURRENT_KERNEL, gates, "(gate unit) state"), leading=leading),
    )


def vector(name: str, *parts: tuple[str, str], leading: tuple[str, ...] = ()) -> Array:
    """Return a vector of biases: parts and their gates, one after another."""
    return array(name, *(Piece(part, gates, "(gate unit)") for part, gates in parts), leading=leading)


def stacked_kernels(gates: str, candidate: str) -> tuple[Array, ...]:
    """Return kernels (D + u, 2u) of reset and update gate and (D + u, u) of the candidate."""
    return tuple(
        array(
            name,
            Piece(KERNEL, wanted, "input (gate unit)"),
            Piece(RECURRENT_KERNEL, wanted, "state (gate unit)"),
        )
        for name, wanted in ((gates, "rz"), (candidate, "h"))
    )


def flat(name: str) -> Array:
    """Return one vector: kernels of every cell by rows and gate, then biases of every cell."""
    kernels = (Piece(KERNEL, "rzh", "(gate unit input)"), Piece(RECURRENT_KERNEL, "rzh", "(gate unit state)"))
    biases = (Piece(INPUT_BIAS, "rzh", "(gate unit)"), Piece(RECURRENT_BIAS, "rzh", "(gate unit)"))
    return Array(name, (kernels, biases))


def with_and_without(kernels: tuple[Array, ...], *biases: Array, reset_after: tuple[bool, ...]) -> tuple[Form, Form]:
    """Return the form with biases and the form without."""
    return Form((*kernels, *biases), reset_after), Form(kernels, reset_after)


def with_either(
    kernels: tuple[Array, ...], first: Array, second: Array, *, reset_after: tuple[bool, ...]
) -> tuple[Form, ...]:
    """Return the forms of a layout in which each of two biases can be left out."""
    return tuple(Form((*kernels, *biases), reset_after) for biases in ((first, second), (first,), (second,), ()))
