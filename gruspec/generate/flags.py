"""Flags: what a case catches, and what failing it means for somebody who uses the implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gruspec.backend import batch_major_mask, lengths_from_mask
from gruspec.cases import Call, Flag, ResetStates
from gruspec.generate.finish import VISIBLE, explicit_state_effect, explicit_state_effect_on_gradients
from gruspec.spec import acting_dropout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gruspec.cases import Operation
    from gruspec.spec import GRUSpec

_EXPLICIT_STATE_EFFECTS = (explicit_state_effect, explicit_state_effect_on_gradients)
_UNROLLING = "unrolling changes the answer"

FLAGS = {
    flag.name: flag
    for flag in (
        Flag("Scan", "an activation that is off by 1e-6 somewhere", "every output carries an avoidable error"),
        Flag("FullPrecision", "products in lower precision, as TF32", "results are less exact than the dtype"),
        Flag("Saturated", "overflow and clipping far from zero", "unscaled inputs give wrong or infinite values"),
        Flag("Kink", "a wrong value exactly at a corner", "saturated gates leak"),
        Flag("NaN", "NaN that is swallowed or spread to other rows", "a diverging model goes unnoticed"),
        Flag("Infinity", "infinities that do not saturate an activation", "one overflow spoils a sequence"),
        Flag("MaskedNonFinite", "padding that reaches the result", "whatever stands in the padding changes the answer"),
        Flag("SignedZero", "a zero that is treated as missing", "special values of inputs change results"),
        Flag("Subnormal", "subnormal numbers that are flushed to zero", "gradual underflow is lost"),
        Flag("ZeroTimesteps", "an empty sequence", "a batch of empty sequences stops a program"),
        Flag("EmptyBatch", "a batch without rows", "the last, empty batch of a data set stops a program"),
        Flag("StatefulEmptyBatch", "a stateful layer called without rows", "an empty batch stops a continued sequence"),
        Flag("NoFeatures", "inputs without features", "a model that is driven by its state alone stops"),
        Flag(
            "Large", "sizes beyond those that a kernel handles at a time", "the last rows, units or steps are garbage"
        ),
        Flag("RightPadded", "padding after the sequence", "the same sequence gives another answer in a padded batch"),
        Flag("ArbitraryMask", "masks that are not right padding", "gaps and left padding give wrong answers"),
        Flag("AllMaskedRow", "a row with no valid timestep", "empty sequences in a batch give garbage"),
        Flag("MaskedStart", "masked steps before the first valid one", "the initial state leaks into outputs"),
        Flag("HeldOutput", "the output at masked timesteps", "padded positions of the output sequence differ"),
        Flag("ZeroOutput", "zero_output_for_mask", "padded positions of the output sequence are not zero"),
        Flag("UnrollZeroLast", "zero_output_for_mask with the last output of an unrolled layer", _UNROLLING),
        Flag("UnrollZeroBackwards", "zero_output_for_mask in an unrolled backward layer", _UNROLLING),
        Flag("Backwards", "go_backwards", "bidirectional layers combine the wrong timesteps"),
        Flag("InitialState", "a given initial state", "decoders and continued sequences start from the wrong state"),
        Flag("TimeMajor", "the time-major layout", "batch and time are confused"),
        Flag("Stateful", "the state that is carried to the next call", "continued sequences are wrong"),
        Flag("ResetStates", "reset_states", "one sequence leaks into the next"),
        Flag("ExplicitState", "an initial state given to a layer that has recorded one", "the given state is ignored"),
        Flag("Dropout", "dropout masks", "training differs from the layer it was written for"),
        Flag("DropoutInactive", "masks that are applied although they do not act", "inference is disturbed by dropout"),
        Flag("Gradient", "gradients of a single call", "training goes another way"),
        Flag("StatefulGradient", "gradients that cross into an earlier call", "truncated training is not truncated"),
        Flag("GradientKink", "a wrong slope at a corner", "saturated gates learn, or do not, against the definition"),
        Flag("MaskedNonFiniteGradient", "padding that reaches gradients", "what stands in the padding spoils training"),
        Flag("Losses", "losses of regularizers", "regularized training is weighted otherwise"),
        Flag("Invalid", "arguments that no GRU can have", "mistakes go unnoticed"),
    )
}


def observed_flags(spec: GRUSpec, weights: Mapping[str, NDArray[np.float64]], calls: Sequence[Operation]) -> list[str]:
    """Return the flags that follow from what a case does."""
    made = [call for call in calls if isinstance(call, Call)]
    acting = [acting_dropout(spec, training=call.training) for call in made]
    masks = [batch_major_mask(call.mask, time_major=spec.time_major) for call in made if call.mask is not None]
    found = [flag for mask in masks for flag in _mask_flags(mask, spec)]
    unrolled_zeros = bool(masks) and spec.zero_output_for_mask and spec.unroll
    symmetric = all((mask == mask[:, ::-1]).all() for mask in masks)
    conditions = (
        (bool(masks) and spec.zero_output_for_mask, "ZeroOutput"),
        (unrolled_zeros and not spec.return_sequences and any(mask.shape[1] > 1 for mask in masks), "UnrollZeroLast"),
        (unrolled_zeros and spec.return_sequences and spec.go_backwards and not symmetric, "UnrollZeroBackwards"),
        (bool(masks) and spec.return_sequences and not spec.zero_output_for_mask, "HeldOutput"),
        (spec.go_backwards, "Backwards"),
        (any(call.initial_state is not None for call in made), "InitialState"),
        (spec.time_major, "TimeMajor"),
        (spec.stateful, "Stateful"),
        (spec.stateful and any(0 in _rows(spec, call) for call in made), "StatefulEmptyBatch"),
        (any(isinstance(call, ResetStates) for call in calls), "ResetStates"),
        (any(acting), "Dropout"),
        (any(call.dropout_masks and not kinds for call, kinds in zip(made, acting, strict=True)), "DropoutInactive"),
        (any(call.cotangents for call in made), "StatefulGradient" if spec.stateful else "Gradient"),
        (max(effect(spec, weights, calls) for effect in _EXPLICIT_STATE_EFFECTS) > VISIBLE, "ExplicitState"),
    )
    return [*dict.fromkeys(found), *(flag for holds, flag in conditions if holds)]


def _rows(spec: GRUSpec, call: Call) -> tuple[int, ...]:
    """Return the number of rows of a call, if its inputs tell."""
    axis = 1 if spec.time_major else 0
    return call.inputs.shape[axis : axis + 1]


def _mask_flags(mask: NDArray[np.bool_], spec: GRUSpec) -> Iterator[str]:
    if mask.size == 0:
        return
    yield "ArbitraryMask" if lengths_from_mask(mask) is None else "RightPadded"
    if not mask.any(axis=1).all():
        yield "AllMaskedRow"
    if not mask[:, -1 if spec.go_backwards else 0].all():
        yield "MaskedStart"
