"""A wrong GRU as data: what it does, which clause it breaks, where that shows, and what it changes of the reference.

The reference is never copied. A fault replaces seams of it, each by a function that is given the object, the usual seam
to call or not, and the arguments of the seam; or it changes what goes in and what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

Replacement: TypeAlias = Callable[..., Any]
"""``replacement(self, usual, *arguments)`` in the place of ``self.seam(*arguments)``; ``usual(*arguments)`` is that."""

Seams: TypeAlias = Mapping[str, Replacement]

BOTH = ("reset-before", "reset-after")
DTYPES = ("float32", "float64")


@dataclass(frozen=True, kw_only=True, eq=False)
class Fault:
    """A wrong GRU.

    Parameters
    ----------
    id
        ``<family>/<name>``.
    does
        What it does, as the end of the sentence "The implementation ...".
    clause
        The clause of the specification that it breaks first.
    variants
        The variants in which it can be observed.
    where
        Traits, of :mod:`gruspec.faults.traits`, that a case must have for the fault to show in it; ``"a|b"`` asks for
        one of several. In a case without them the fault computes what the reference computes.
    dtypes
        The dtypes in which it can be observed: errors that the arithmetic contract permits in a dtype are no fault in
        it.
    reports
        Where it happened: reports of real bugs.
    spec
        Changes the layer's arguments.
    weights
        Changes weights (in the layout of the reference layer) by moving elements; gradients move back.
    arguments
        Changes the arguments of a call.
    definition, layer, numbers
        Replaced seams of :class:`~gruspec.reference.Definition`, :class:`~gruspec.reference.ReferenceLayer` and
        :class:`~gruspec.reference.ieee.IEEENumbers`.
    returned
        Changes the arrays that a call returns, by name.
    computes_in
        The dtype of all arithmetic, if it is not that of the layer.
    """

    id: str
    does: str
    clause: str
    variants: tuple[str, ...] = BOTH
    where: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = DTYPES
    reports: tuple[str, ...] = ()
    spec: Callable[[GRUSpec], GRUSpec] | None = None
    weights: Callable[[GRUSpec, dict[str, NDArray[Any]]], dict[str, NDArray[Any]]] | None = None
    arguments: Callable[[GRUSpec, Arguments], Arguments] | None = None
    definition: Seams = field(default_factory=dict)
    layer: Seams = field(default_factory=dict)
    numbers: Seams = field(default_factory=dict)
    returned: Callable[[GRUSpec, dict[str, NDArray[Any]]], dict[str, NDArray[Any]]] | None = None
    computes_in: type[np.floating[Any]] | None = None

    @property
    def family(self) -> str:
        """The first part of the id."""
        return self.id.partition("/")[0]

    def shows_in(self, traits: frozenset[str]) -> bool:
        """Return whether the fault shows in cases with these traits."""
        variant = any(variant in traits for variant in self.variants)
        return variant and all(any(trait in traits for trait in wanted.split("|")) for wanted in self.where)
