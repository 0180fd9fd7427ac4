"""The original, ``tf.compat.v1.keras.layers.GRU`` of tf_keras, driven by operations."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from driver import Driver

from gruspec.spec import acting_dropout
from gruspec_tensorflow.adapter import V1
from gruspec_tensorflow.dropout import injected
from gruspec_tensorflow.framework import load_tensorflow
from gruspec_tensorflow.gradients import pull_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from examples import Call, Example

WEIGHTS = ("kernel", "recurrent_kernel", "bias")

SEED = 1
"""Of what an original layer draws."""

CACHES = {"inputs": "_dropout_mask_cache", "recurrent": "_recurrent_dropout_mask_cache"}
"""Where the cell keeps the dropout masks of its last call (``layers/rnn/dropout_rnn_cell_mixin.py`` of tf_keras)."""


@contextmanager
def observed() -> Iterator[None]:
    """Keep TensorFlow's logger silent, and tracebacks whole: their last line tells a refusal from an accident."""
    tf = load_tensorflow()
    logger = logging.getLogger("tensorflow")
    level, filtered = logger.level, tf.debugging.is_traceback_filtering_enabled()
    logger.setLevel(logging.CRITICAL + 1)
    tf.debugging.disable_traceback_filtering()
    try:
        yield
    finally:
        logger.setLevel(level)
        if filtered:
            tf.debugging.enable_traceback_filtering()


class Original(Driver):
    """The original layer; what it warns of is ignored, and what it draws is the same each time."""

    warned: ClassVar[Literal["error", "ignore"]] = "ignore"

    def __init__(self, example: Example) -> None:
        super().__init__(example)
        load_tensorflow().random.set_seed(SEED)

    @staticmethod
    def layer_class() -> Any:
        """Return the class of the layer."""
        return V1.resolve()

    @staticmethod
    def plain_shape(shape: Any) -> tuple[int | None, ...]:
        """Return a ``TensorShape`` as a tuple."""
        return tuple(shape.as_list())

    @staticmethod
    def lifted(values: Any) -> Any:
        """Return a tensor."""
        return load_tensorflow().constant(values)

    def called(self, call: Call) -> tuple[Any, Mapping[str, Any]]:
        """Call the layer, on tensors unless the call says otherwise; differentiate it where the call has cotangents."""
        tf = load_tensorflow()
        inputs, state = call.inputs, call.initial_state
        if call.cotangents is not None or call.state_form == "inputs":
            inputs = tf.constant(inputs)
        if state is not None and not call.numpy_state:
            state = [tf.constant(each) for each in state] if isinstance(state, list) else tf.constant(state)
        with injected(self.layer, call.dropout_masks or {}, shared=False):
            if call.cotangents is None:
                return self._result(call, inputs, state), {}
            with tf.GradientTape() as tape:
                sources = {"inputs": inputs, "initial_state": state}
                sources |= {name: getattr(self.layer.cell, name) for name in WEIGHTS}
                sources = {name: source for name, source in sources.items() if source is not None}
                tape.watch(sources)
                result = self._result(call, inputs, state)
                losses = self.layer.losses if call.losses else []
                loss = tf.add_n(losses) if losses else None
            flat = dict(zip(("outputs", "state"), result if isinstance(result, list) else [result], strict=False))
            cotangents = {name: tf.constant(array) for name, array in call.cotangents.items()}
            if loss is not None:
                flat["loss"], cotangents["loss"] = loss, tf.ones_like(loss)
            return result, pull_back(tape, flat, cotangents, sources)

    def drawn_masks(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the dropout masks that the last call has drawn; one for the inputs where the gates are fused."""
        spec = self._example.spec()
        found = {}
        for kind in acting_dropout(spec, training=True):
            gates = 1 if kind == "inputs" and spec.implementation != 1 else 3
            drawn = getattr(self.layer.cell, CACHES[kind]).setdefault(kwargs={})
            found[kind] = np.stack([np.asarray(mask) for mask in drawn[:gates]])
        return found

    def apply_constraints(self) -> None:
        """Apply the constraints to the weights, as an optimizer does after an update."""
        for variable in self.layer.trainable_weights:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))

    def _result(self, call: Call, inputs: Any, state: Any) -> Any:
        named = dict(call.extra)
        named |= {} if call.mask is None else {"mask": call.passed_mask()}
        named |= {} if call.training is None else {"training": call.training}
        if state is not None:
            inputs, state = call.passed(inputs, state)
        return self.layer(inputs, state, **named)
