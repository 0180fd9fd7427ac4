"""Faults planted from outside: none is in the catalogue, and all know the public protocol only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outside_gru import OutsideBackend
from outside_inventions import INVENTED
from outside_reports import REPLAYED
from outside_survivors import SURVIVED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outside_planting import OutsideFault

FAULTS: Mapping[str, OutsideFault] = {**REPLAYED, **INVENTED, **SURVIVED}
"""By name."""

unfaulted = OutsideBackend
"""The implementation in which they are planted."""
