"""The layer of this package as source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.backend.script import (
    call_source,
    changed_arguments,
    changed_settings,
    keywords,
    results_source,
    weight_names,
)

if TYPE_CHECKING:
    from gruspec.backend import ScriptedCall
    from gruspec.spec import GRUSpec, WeightSettings


@dataclass(frozen=True)
class LayerSource:
    """A layer as :class:`gruspec.backend.LayerScript`."""

    spec: GRUSpec
    dtype: str
    settings: WeightSettings | None = None

    @property
    def imports(self) -> str:
        """The layer's class."""
        return "from gruspec_numpy import GRU"

    @property
    def construction(self) -> str:
        """The layer, which sets its weights when its first call builds it."""
        given = changed_arguments(self.spec) | {"dtype": self.dtype} | changed_settings(self.settings)
        return call_source("layer = GRU", [*keywords(given), f"weights=[{', '.join(weight_names(self.spec))}]"])

    def call(self, call: ScriptedCall) -> str:
        """Return a call, by ``vjp`` if it is differentiated."""
        given = ["inputs", *(f"{name}={name}" for name in call.optional)]
        if call.training:
            given += ["training=True", "dropout_masks=dropout_masks"]
        results = results_source(self.spec)
        if call.cotangents is None:
            line = call_source(f"{results} = layer", given)
        else:
            returned = f"({results})" if self.spec.return_state else results
            line = call_source(f"{returned}, gradients = layer.vjp", [*given, "cotangents=cotangents"])
        return line if self.settings is None else f"{line}\nlosses = np.array(layer.losses, layer.dtype)"

    def reset_states(self, *, stated: bool) -> str:
        """Return what sets the recorded state."""
        return f"layer.reset_states({'states' if stated else ''})"
