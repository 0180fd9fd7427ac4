"""A layer of any implementation as source that goes through the backend protocol, and so needs gruspec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.backend.script import (
    call_source,
    changed_arguments,
    changed_settings,
    dictionary_source,
    keywords,
    results_source,
    weight_names,
)

if TYPE_CHECKING:
    from gruspec.backend import ScriptedCall
    from gruspec.spec import GRUSpec, WeightSettings

_NEEDS = "# This script needs gruspec, which loads the implementation by its name."

_WORKING_FOLDER = """\
import sys

sys.path.insert(0, "")  # modules of the folder in which the script is run
"""
"""What lets a reference be imported as ``gruspec`` on the command line imports it."""


@dataclass(frozen=True)
class ProtocolScript:
    """A layer as :class:`gruspec.backend.LayerScript`; ``implementation`` is a registered name or a reference."""

    implementation: str
    spec: GRUSpec
    dtype: str
    device: str
    settings: WeightSettings | None = None

    @property
    def imports(self) -> str:
        """The registry and the specification; for a reference the working folder is made importable first."""
        specification = "GRUSpec" if self.settings is None else "GRUSpec, WeightSettings"
        lines = [
            *([_WORKING_FOLDER] if ":" in self.implementation else []),
            _NEEDS,
            "from gruspec.backend import Registry",
            f"from gruspec.spec import {specification}",
            *(["import ml_dtypes"] if self.dtype == "bfloat16" else []),
        ]
        return "\n".join(lines)

    @property
    def construction(self) -> str:
        """The implementation and the layer that it prepares."""
        spec = call_source("spec = GRUSpec", keywords(changed_arguments(self.spec)))
        weights = f"weights = {dictionary_source({name: name for name in weight_names(self.spec)})}"
        given = ["spec", "weights", *keywords({"dtype": self.dtype, "device": self.device})]
        if self.settings is not None:
            given.append(call_source("settings=WeightSettings", keywords(changed_settings(self.settings))))
        loaded = f"layer = Registry().get({self.implementation!r}).load().prepare"
        return "\n".join([spec, weights, call_source(loaded, given)])

    def call(self, call: ScriptedCall) -> str:
        """Return a call, of ``vjp`` if it is differentiated."""
        given = ["inputs", *(f"{name}={name}" for name in call.optional)]
        if call.training:
            given += ["training=True", "dropout_masks=dropout_masks"]
        if call.cotangents is None:
            lines = [call_source("returned = layer", given)]
        else:
            lines = [
                call_source("differentiated = layer.vjp", [*given, "cotangents=cotangents"]),
                "returned, gradients = differentiated.output, differentiated.gradients",
            ]
        results = results_source(self.spec)
        lines.append(f"{results} = {', '.join(f'returned.{name}' for name in results.split(', '))}")
        return "\n".join([*lines, *(["losses = layer.losses"] if self.settings is not None else [])])

    def reset_states(self, *, stated: bool) -> str:
        """Return what sets the recorded state."""
        return f"layer.reset_states({'states' if stated else ''})"
