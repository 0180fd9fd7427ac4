"""Values at which implementations go wrong, scattered among drawn ones.

Zeros of both signs, ones, powers of two, values that saturate, tiny ones, equal ones, the corners of the hard sigmoid
and their neighbours. Every value is a number of float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.generate.arrays import changed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gruspec.cases import Operation
    from gruspec.generate.draws import Draw
    from gruspec.spec import GRUSpec

    Floats = NDArray[np.float64]

CORNER = 2.5
"""Where the hard sigmoid has its corners, with either sign [hard-sigmoid]."""

_BESIDE = 2.0**-22
"""The distance of float32 numbers at the corner."""

_PALETTES = (
    ("usual", "zero"),
    ("usual", "negative-zero"),
    ("usual", "one", "zero"),
    ("one", "zero"),
    ("power",),
    ("power", "zero"),
    ("repeated",),
    ("precise",),
    ("usual", "tiny"),
    ("corner", "zero", "one"),
    ("corner", "one"),
    ("zero",),
)
_SATURATING = (("usual", "large"), ("large",))
"""Only between activations that are bounded; others would let errors grow with the values."""

_UNBOUNDED = ("relu", "linear")
_PLAIN_SHARE = 2
"""One case in so many has none of these values."""

_TOUCHED_SHARE = 2
"""In the others, one array in so many has some."""

_UNTOUCHED = ("mask", "dropout_masks/inputs", "dropout_masks/recurrent")


def with_edge_values(
    draw: Draw, spec: GRUSpec, weights: dict[str, Floats], operations: Sequence[Operation]
) -> tuple[dict[str, Floats], list[Operation]]:
    """Return weights and operations with edge values in some of their arrays, and in half of all cases in none."""
    if draw.choice("plain", _PLAIN_SHARE) == 0:
        return weights, list(operations)
    bounded = not {spec.activation, spec.recurrent_activation} & set(_UNBOUNDED)
    palettes = _PALETTES + (_SATURATING if bounded else ())

    def touched(name: str, array: NDArray[Any]) -> NDArray[Any]:
        if draw.choice(f"{name}/touched", _TOUCHED_SHARE):
            return array
        palette = palettes[draw.choice(f"{name}/palette", len(palettes))]
        kinds = draw.integers(f"{name}/kinds", array.shape, len(palette))
        return np.choose(kinds, [_KINDS[kind](draw, name, array) for kind in palette])

    return {name: touched(name, array) for name, array in weights.items()}, [
        changed(
            operation,
            lambda name, array, i=i: array if name in _UNTOUCHED else touched(f"{i}/{name}", array),  # type: ignore[misc]
        )
        for i, operation in enumerate(operations)
    ]


def _signs(draw: Draw, name: str, shape: tuple[int, ...]) -> Floats:
    return (2 * draw.integers(f"{name}/signs", shape, 2) - 1).astype(np.float64)


def _powers(draw: Draw, name: str, array: Floats) -> Floats:
    exponents = draw.integers(f"{name}/exponents", array.shape, 10) - 6
    return np.ldexp(_signs(draw, name, array.shape), exponents)


def _corners(draw: Draw, name: str, array: Floats) -> Floats:
    beside = _BESIDE * (draw.integers(f"{name}/beside", array.shape, 4) // 2 - draw.integers(name, array.shape, 2))
    return _signs(draw, name, array.shape) * (CORNER + beside)


def _repeated(draw: Draw, name: str, array: Floats) -> Floats:
    return np.full_like(array, array.flat[draw.choice(f"{name}/repeated", array.size)] if array.size else 0.0)


_KINDS: dict[str, Callable[[Draw, str, Floats], Floats]] = {
    "usual": lambda _draw, _name, array: array,
    "zero": lambda _draw, _name, array: np.zeros_like(array),
    "negative-zero": lambda _draw, _name, array: -np.zeros_like(array),
    "one": lambda draw, name, array: _signs(draw, name, array.shape),
    "power": _powers,
    "precise": lambda draw, name, array: draw.full_precision(f"{name}/precise", array.shape, bits=24, top=-1),
    "tiny": lambda draw, name, array: array * 2.0 ** -(20 + draw.choice(f"{name}/tiny", 60)),
    "large": lambda draw, name, array: array * 2.0 ** (3 + draw.choice(f"{name}/large", 5)),
    "corner": _corners,
    "repeated": _repeated,
}
"""Arrays of each kind by name, from an array that was drawn as usual."""
