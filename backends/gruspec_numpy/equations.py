"""What one call of a layer computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gruspec.spec import GRUSpec

    from .activations import Activation

    Array: TypeAlias = NDArray[Any]


class Equations(NamedTuple):
    """The equations of a layer, with the numbers that stand in them during a call.

    Parameters
    ----------
    spec
        The layer's arguments. The names of its activations do not count.
    candidate, gates
        The activations that do.
    weights
        ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and perhaps ``bias`` (3u,) or (2, 3u), all of one dtype, with
        the blocks of update gate, reset gate and candidate in this order.
    dropout_masks
        Those that act, already scaled and of the same dtype: ``inputs`` (3, B, D) or (1, B, D) and ``recurrent``
        (3, B, u) [dropout-masks].
    """

    spec: GRUSpec
    candidate: Activation
    gates: Activation
    weights: Mapping[str, Array]
    dropout_masks: Mapping[str, Array]

    @property
    def entering(self) -> Array | None:
        """The mask of the inputs, if one acts."""
        return self.dropout_masks.get("inputs")

    @property
    def recurrent(self) -> Array | None:
        """The mask of the state, if one acts."""
        return self.dropout_masks.get("recurrent")
