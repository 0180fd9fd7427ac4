"""What a fault planted from outside is: a layer that is wrong, and where that has happened."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from outside_gru import OutsideBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from outside_gru import GRU


class Report(NamedTuple):
    """A report of a real bug: ``owner/repository#number`` of an issue or a pull request, and its title."""

    reference: str
    title: str


@dataclass(frozen=True)
class OutsideFault:
    """A fault.

    Parameters
    ----------
    layer
        The layer with the fault in it; its docstring is ``does``.
    reports
        Those whose mechanism it replays; none of an invention.
    says
        What the reports say, in short words of our own; nothing for an invention.
    """

    layer: type[GRU]
    reports: tuple[Report, ...] = ()
    says: str = ""

    @property
    def does(self) -> str:
        """What the layer does, as the end of the sentence "The layer ..."."""
        return inspect.getdoc(self.layer) or ""

    def backend(self) -> OutsideBackend:
        """Return the implementation whose layers have the fault."""
        return OutsideBackend(self.layer)


class Planting(dict[str, OutsideFault]):
    """Faults by the name of their class, in the order in which they are planted by decorators."""

    def replays(self, *reports: tuple[str, str], says: str) -> Callable[[type[GRU]], type[GRU]]:
        """Plant a class that replays reports, each a reference and a title, which say the same."""

        def plant(layer: type[GRU]) -> type[GRU]:
            self[layer.__name__] = OutsideFault(layer, tuple(Report(*report) for report in reports), says)
            return layer

        return plant

    def invention(self, layer: type[GRU]) -> type[GRU]:
        """Plant a class that replays nothing."""
        self[layer.__name__] = OutsideFault(layer)
        return layer
