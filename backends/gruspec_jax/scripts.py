"""The function of this package as source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.backend.script import call_source, changed_arguments, dictionary_source, keywords, weight_names

if TYPE_CHECKING:
    from gruspec.backend import ScriptedCall
    from gruspec.spec import GRUSpec

_IMPORTS = """\
import jax
from gruspec.spec import GRUSpec
from gruspec_jax import gru"""
_SETTINGS = {"cpu": 'jax.config.update("jax_platforms", "cpu")', "cuda": 'jax.config.update("jax_platforms", "cuda")'}
_FLOAT64 = 'jax.config.update("jax_enable_x64", True)'


@dataclass(frozen=True)
class FunctionScript:
    """A layer as :class:`gruspec.backend.LayerScript`.

    The function keeps no state: for a stateful layer the script hands it from call to call.
    """

    spec: GRUSpec
    dtype: str
    device: str

    @property
    def imports(self) -> str:
        """JAX and the function, on one device."""
        return "\n".join([_IMPORTS, _SETTINGS[self.device], *([_FLOAT64] if self.dtype == "float64" else [])])

    @property
    def construction(self) -> str:
        """The compiled function, the specification and the weights."""
        lines = [
            'run = jax.jit(gru, static_argnames="spec")',
            call_source("spec = GRUSpec", keywords(changed_arguments(self.spec))),
            f"params = {dictionary_source({name: name for name in weight_names(self.spec)})}",
        ]
        return "\n".join([*lines, *(["recorded = None"] if self.spec.stateful else [])])

    def call(self, call: ScriptedCall) -> str:
        """Return a call, by ``jax.vjp`` if it is differentiated."""
        chosen = ["mask=mask"] if call.mask is not None else []
        if call.training:
            chosen.append("dropout_masks=dropout_masks")
        stated = call.initial_state is not None
        if self.spec.stateful and not stated:
            chosen.append("initial_state=recorded")
        if call.cotangents is None:
            start = ["initial_state=initial_state"] if stated else []
            lines = [call_source("outputs, state = run", ["params", "inputs", "spec=spec", *start, *chosen])]
        else:
            state = 'cotangents["state"]' if "state" in call.cotangents else "np.zeros_like(state)"
            names = ["params", *call.differentiable]
            given = [*names[:2], "spec=spec", *(f"{name}={name}" for name in names[2:]), *chosen]
            lines = [
                call_source("call = lambda " + ", ".join(names) + ": run", given),
                f"(outputs, state), pull_back = jax.vjp(call, {', '.join(names)})",
                f'pulled, *others = pull_back((cotangents["outputs"], {state}))',
                f"gradients = pulled | dict(zip({call.differentiable!r}, others))",
                "gradients = {name: np.array(gradient) for name, gradient in gradients.items()}",
            ]
        lines.append("outputs, state = np.array(outputs), np.array(state)")
        return "\n".join([*lines, *(["recorded = state"] if self.spec.stateful else [])])

    def reset_states(self, *, stated: bool) -> str:
        """Return what sets the state that the script hands on."""
        return f"recorded = {'states' if stated else 'None'}"
