"""A layer of TensorFlow as source that needs TensorFlow alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gruspec.backend.script import (
    call_source,
    changed_arguments,
    changed_settings,
    dictionary_source,
    keywords,
    results_source,
    weight_names,
)

from .dropout import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gruspec.backend import ScriptedCall
    from gruspec.spec import GRUSpec, WeightSettings

_IMPORTS = """\
import os
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tensorflow as tf"""
_DEVICES = {
    "cpu": 'tf.config.set_visible_devices([], "GPU")',
    "cuda": "tf.config.experimental.enable_tensor_float_32_execution(False)",
}


@dataclass(frozen=True)
class PublicClass:
    """A layer class as users write it.

    Parameters
    ----------
    name
        Where they find it, under ``TF_USE_LEGACY_KERAS=1``.
    defaults
        Where its arguments have other defaults than those of the reference layer.
    may_use_cudnn
        Whether it takes the cuDNN kernel where its arguments allow it, and then has one dropout mask for the inputs of
        all gates (``tf_keras/src/layers/rnn/gru.py``).
    """

    name: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    may_use_cudnn: bool = False


@dataclass(frozen=True)
class KerasScript:
    """A layer as :class:`gruspec.backend.LayerScript`."""

    public_class: PublicClass
    spec: GRUSpec
    dtype: str
    device: str
    settings: WeightSettings | None = None

    @property
    def imports(self) -> str:
        """Legacy Keras in TensorFlow, on one device."""
        return f"{_IMPORTS}\n{_DEVICES[self.device]}"

    @property
    def construction(self) -> str:
        """The layer, which sets its weights when its first call builds it."""
        given = (
            changed_arguments(self.spec, self.public_class.defaults)
            | {"dtype": self.dtype}
            | changed_settings(self.settings)
        )
        if self.dtype == "bfloat16":
            given["recurrent_initializer"] = "zeros"
        return call_source(
            f"layer = {self.public_class.name}", [*keywords(given), f"weights=[{', '.join(weight_names(self.spec))}]"]
        )

    def call(self, call: ScriptedCall) -> str:
        """Return a call, under a gradient tape if it is differentiated."""
        lines = [self._injected(kind) for kind in call.dropout_masks]
        lines += self._plain(call) if call.cotangents is None else self._differentiated(call, tuple(call.cotangents))
        lines.append(
            "outputs, state = outputs.numpy(), state.numpy()" if self.spec.return_state else "outputs = outputs.numpy()"
        )
        if self.settings is not None:
            lines.append("losses = tf.convert_to_tensor(layer.losses).numpy()")
        return "\n".join(lines)

    def reset_states(self, *, stated: bool) -> str:
        """Return what sets the recorded state."""
        return f"layer.reset_states({'states' if stated else ''})"

    def _plain(self, call: ScriptedCall) -> list[str]:
        optional = [f"{name}=tf.constant({name})" for name in call.optional]
        return [self._called("tf.constant(inputs)", *optional, training=call.training)]

    def _differentiated(self, call: ScriptedCall, kinds: tuple[str, ...]) -> list[str]:
        mask = ["mask=tf.constant(mask)"] if call.mask is not None else []
        cotangents = ", ".join(f'tf.constant(cotangents["{kind}"])' for kind in kinds)
        sources = dictionary_source({name: f"layer.cell.{name}" for name in weight_names(self.spec)})
        return [
            f"given = {dictionary_source({name: f'tf.constant({name})' for name in call.differentiable})}",
            "with tf.GradientTape() as tape:",
            "    tape.watch(given)",
            f"    {self._called('**given', *mask, training=call.training)}",
            f"sources = given | {sources}",
            call_source("gradients = tape.gradient", [f"[{', '.join(kinds)}]", "sources", f"[{cotangents}]", '"zero"']),
            "gradients = {name: tf.convert_to_tensor(gradient).numpy() for name, gradient in gradients.items()}",
        ]

    def _called(self, *arguments: str, training: bool) -> str:
        chosen = ["training=True"] if training else []
        return call_source(f"{results_source(self.spec)} = layer", [*arguments, *chosen])

    def _injected(self, kind: str) -> str:
        """Return what gives the layer the masks of one kind in the place of those that it would draw."""
        owner, mask = "layer.cell", "mask"
        if self.public_class.may_use_cudnn and self._suits_cudnn:
            owner, mask = "layer", "mask[None]" if self.spec.time_major else "mask[:, None]"
        masks = f'[tf.constant({mask}) for mask in dropout_masks["{kind}"]]'
        return f"{owner}.{METHODS[kind]} = (\n    lambda inputs, training, count=1: {masks} if training else None\n)"

    @property
    def _suits_cudnn(self) -> bool:
        spec = self.spec
        functions = (spec.activation, spec.recurrent_activation) == ("tanh", "sigmoid")
        return functions and spec.use_bias and spec.reset_after and not (spec.unroll or spec.recurrent_dropout)
