"""The GRUs among what JAX's libraries save: training states, and variables that flax keeps in boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gruspec.files.finding import find_grus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.files.checkpoint import FoundGRU, Tensor

_BOX = "/value"
"""What names of boxed variables end in: ``nnx.State`` with its variables, ``nn.Partitioned`` of linen."""
_OPTIMIZER = "opt_state"
"""The member of ``flax.training.train_state.TrainState`` that has moments in the shapes of the weights."""


def find_flax_grus(tensors: Mapping[str, Tensor]) -> tuple[FoundGRU, ...]:
    """Return the GRUs among tensors whose names are keys joined by slashes; what an optimizer keeps is none.

    Parameters
    ----------
    tensors
        By name.
    """
    names: dict[str, str] = {}
    for name in tensors:
        if _OPTIMIZER not in name.split("/"):
            names.setdefault(name.removesuffix(_BOX), name)
    found = find_grus({plain: tensors[name] for plain, name in names.items()})
    return tuple(replace(gru, names={array: names[plain] for array, plain in gru.names.items()}) for gru in found)
