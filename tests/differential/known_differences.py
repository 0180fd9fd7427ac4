"""Where the rebuilt layer means to differ from the original, each difference with a demonstration that it still exists.

In a *mended* one the original fails or computes something else, and does what it should when it
is asked in another way: it is asked so, and everything is compared. Where the rebuilt layer stands *alone* no way of
asking helps: what it gives is compared with the reference. Where it is *stricter* the original takes, now or for good,
what no GRU can have: the rebuilt layer must refuse it. What is *reclassed* both refuse, by different classes of errors,
and what is *omitted* only the original writes down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import demonstrations
import situations

if TYPE_CHECKING:
    from collections.abc import Callable

    from situations import Mend, Test


@dataclass(frozen=True)
class KnownDifference:
    """A difference, in the operations to which its test applies.

    Parameters
    ----------
    name
        Short and unique.
    clause
        Of the specification, which says what is right.
    why
        What the original does.
    applies
        Whether an operation meets the difference.
    demonstrate
        Fails with an AssertionError if the original, whose class it takes, no longer differs.
    """

    name: str
    clause: str
    why: str
    applies: Test
    demonstrate: Callable[[Any], None]


@dataclass(frozen=True)
class Mended(KnownDifference):
    """A difference that goes away when the original is asked in another way.

    Parameters
    ----------
    mend
        Returns the operation to give to the original, and may change the original until the stack unwinds.
    """

    mend: Mend


@dataclass(frozen=True)
class Alone(KnownDifference):
    """A difference that leaves nothing to compare with but the reference.

    Parameters
    ----------
    arrays
        Beginning of the names of the results that differ; None if the original refuses the operation.
    """

    arrays: str | None


@dataclass(frozen=True)
class Omitted(KnownDifference):
    """What only the original writes into the configurations of what a layer is made of.

    Parameters
    ----------
    key
        Of such a configuration.
    """

    key: str


@dataclass(frozen=True)
class Reclassed(KnownDifference):
    """What both refuse, but by errors of different classes.

    Parameters
    ----------
    refusal
        The class of the rebuilt layer's error.
    """

    refusal: type[Exception]


@dataclass(frozen=True)
class Stricter(KnownDifference):
    """What the original takes and the rebuilt layer refuses.

    Parameters
    ----------
    refusal
        The class of the error, or several.
    """

    refusal: type[Exception] | tuple[type[Exception], ...]


KNOWN_DIFFERENCES: tuple[KnownDifference, ...] = (
    Mended(
        "recorded-state-wins",
        "stateful-initial-state",
        "a recorded state that is not zero overrules an explicit initial state",
        situations.on_call(situations.overrules_recorded),
        demonstrations.recorded_state_wins,
        situations.forget_recorded,
    ),
    Mended(
        "unrolled-zero-output-fails",
        "unroll",
        "unrolled with zero_output_for_mask and a mask, the last output of several timesteps raises",
        situations.on_call(situations.fails_unrolled),
        demonstrations.unrolled_zero_output_fails,
        situations.loop,
    ),
    Mended(
        "unrolled-zero-output-misplaced",
        "unroll",
        "unrolled backwards with zero_output_for_mask, outputs are zeroed by a mask that is not reversed",
        situations.on_call(situations.misplaces_unrolled),
        demonstrations.unrolled_zero_output_misplaced,
        situations.loop,
    ),
    Mended(
        "numpy-state",
        "initial-state",
        "a NumPy array as initial state is refused",
        situations.on_call(lambda _, call: call.numpy_state and call.initial_state is not None),
        demonstrations.numpy_state_refused,
        situations.changed(lambda _, call: replace(call, numpy_state=False)),
    ),
    Mended(
        "state-not-cast",
        "initial-state",
        "an initial state of another real dtype is refused, unless the layer is stateful",
        situations.on_call(situations.needs_cast),
        demonstrations.state_not_cast,
        situations.changed(situations.cast),
    ),
    Mended(
        "masked-nonfinite-gradients",
        "masked-nonfinite",
        "NaN and infinities at masked timesteps turn gradients into NaN",
        situations.on_call(situations.has_masked_nonfinite),
        demonstrations.masked_nan_in_gradients,
        situations.changed(situations.without_masked),
    ),
    Mended(
        "gelu-float64",
        "activations",
        "gelu divides by a root of 2 in single precision whatever the dtype",
        situations.uses("gelu"),
        demonstrations.gelu_of_single_precision,
        situations.exactly("gelu", lambda tf, x: 0.5 * x * tf.math.erfc(-x * math.sqrt(0.5))),
    ),
    Mended(
        "leaky-relu-float64",
        "activations",
        "leaky_relu has a slope of 0.2 in single precision whatever the dtype",
        situations.uses("leaky_relu"),
        demonstrations.leaky_relu_of_single_precision,
        situations.exactly("leaky_relu", lambda tf, x: tf.where(x > 0, x, 0.2 * x)),
    ),
    Mended(
        "non-negative-float64",
        "invalid-arguments",
        "the constraint to non-negative weights multiplies by float32 whatever the dtype, which raises",
        situations.needs_double_precision,
        demonstrations.non_negative_of_single_precision,
        situations.in_double_precision,
    ),
    Alone(
        "no-timesteps",
        "zero-timesteps",
        "inputs of no timesteps are refused",
        situations.on_call(lambda situation, call: situation.sizes(call.inputs)[1] == 0),
        demonstrations.no_timesteps_refused,
        None,
    ),
    Alone(
        "no-rows-stateful",
        "empty-batch",
        "a stateful layer takes a batch size of 0 for an unknown one",
        situations.is_empty_stateful,
        demonstrations.no_rows_refused_if_stateful,
        None,
    ),
    Alone(
        "penalty-of-a-single-row",
        "losses",
        "the orthogonal regularizer divides by the number of pairs of rows, which is 0 for a single row",
        situations.on_call(situations.has_single_row),
        demonstrations.single_row_penalty,
        "losses",
    ),
    Omitted(
        "activation-build",
        "activations",
        "once an activation layer is called, its configuration has the shape that it was called with",
        situations.has_built_activation,
        demonstrations.activation_remembers_shape,
        "build_config",
    ),
    Reclassed(
        "setting-type",
        "invalid-arguments",
        "an initializer, regularizer or constraint of a wrong type raises ValueError",
        situations.is_setting_of_another_type,
        demonstrations.setting_of_wrong_type_is_a_value_error,
        TypeError,
    ),
    Stricter(
        "units-type",
        "invalid-arguments",
        "units that are not an integer are refused only when the layer is built",
        situations.on_argument("units", lambda units: isinstance(units, bool | float) and units > 0),
        demonstrations.units_refused_late,
        TypeError,
    ),
    Stricter(
        "activation-weight",
        "weights",
        "an activation may have a weight, which then is one of the layer's",
        situations.on_argument("activation", lambda name: name == "PReLU"),
        demonstrations.activation_with_weight_taken,
        ValueError,
    ),
    Stricter(
        "regularizer-name",
        "invalid-arguments",
        "the name of an unknown regularizer is refused only when a loss is computed",
        situations.on_argument("kernel_regularizer", lambda name: name == "l3"),
        demonstrations.regularizer_refused_late,
        ValueError,
    ),
    Stricter(
        "dtype-late",
        "invalid-arguments",
        "a dtype that is not floating is refused only when the layer is built",
        situations.on_argument("dtype", lambda dtype: dtype in ("int32", "bool", "complex64")),
        demonstrations.dtype_refused_late,
        ValueError,
    ),
    Stricter(
        "rate-nan",
        "invalid-arguments",
        "a rate of NaN is taken for 0",
        situations.on_argument("dropout", lambda rate: isinstance(rate, float) and math.isnan(rate)),
        demonstrations.rate_taken,
        ValueError,
    ),
    Stricter(
        "rate-type",
        "invalid-arguments",
        "a rate of True is taken for 1",
        situations.on_argument("dropout", lambda rate: isinstance(rate, bool)),
        demonstrations.rate_taken,
        TypeError,
    ),
    Stricter(
        "implementation-type",
        "invalid-arguments",
        "an implementation may be anything",
        situations.on_argument("implementation", lambda number: not isinstance(number, int)),
        demonstrations.any_implementation_taken,
        TypeError,
    ),
    Stricter(
        "flag-type",
        "invalid-arguments",
        "a flag may be anything",
        situations.is_flag_of_another_type,
        demonstrations.any_flag_taken,
        TypeError,
    ),
    Stricter(
        "batch-size-alone",
        "invalid-arguments",
        "a batch size without an input shape is ignored",
        situations.lies_alone,
        demonstrations.batch_size_ignored,
        TypeError,
    ),
    Stricter(
        "mask-broadcast",
        "mask-shape",
        "a mask of one row serves all rows, and so does a vector under time_major",
        situations.mask_shape(situations.broadcasts),
        demonstrations.mask_broadcast,
        ValueError,
    ),
    Stricter(
        "mask-by-unit",
        "mask-shape",
        "a mask (B, T, u) masks unit by unit",
        situations.mask_shape(situations.goes_by_unit),
        demonstrations.mask_by_unit,
        ValueError,
    ),
    Stricter(
        "mask-cut",
        "mask-shape",
        "unrolled, a mask that is too long is cut",
        situations.mask_shape(situations.is_cut),
        demonstrations.mask_cut,
        ValueError,
    ),
    Stricter(
        "mask-complex",
        "mask-dtype",
        "a mask may be complex",
        situations.on_call(lambda _, call: situations.is_complex(call.mask)),
        demonstrations.complex_mask_taken,
        ValueError,
    ),
    Stricter(
        "state-dtype",
        "initial-state",
        "a stateful layer drops the imaginary part of a state, and its reset reads numbers from strings",
        situations.odd_state,
        demonstrations.odd_state_taken,
        ValueError,
    ),
    Stricter(
        "state-broadcast",
        "initial-state",
        "unrolled, an initial state of one row serves all rows; that of a single row may have an axis too many",
        situations.on_call(situations.broadcasts_state),
        demonstrations.state_broadcast,
        ValueError,
    ),
    Stricter(
        "weights-dtype",
        "weights",
        "weights may be complex, or strings",
        situations.odd_weights,
        demonstrations.weights_of_any_dtype_taken,
        ValueError,
    ),
    Stricter(
        "build-axes",
        "symbols",
        "a layer is built for inputs of two or four axes, which it then refuses",
        situations.odd_shape,
        demonstrations.built_for_any_axes,
        ValueError,
    ),
    Stricter(
        "training-type",
        "dropout-masks",
        "training may be anything where no dropout can act",
        situations.on_call(situations.odd_training),
        demonstrations.training_not_checked,
        (ValueError, TypeError),
    ),
)
