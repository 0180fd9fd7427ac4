"""Simpler cases with the same arrays: fewer calls, fewer arguments, default options, shorter axes, zeros.

A case is simplified by answers to questions that are asked in a fixed order: whether to keep this.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.cases import Call, ResetStates
from gruspec.generate.arrays import changed
from gruspec.generate.random_cases import free_case
from gruspec.spec import DROPOUT_RATES, GRUSpec
from gruspec.sweep.axes import axes, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gruspec.cases import Case, Operation

    Keep = Callable[[], bool]
    Array = NDArray[Any]

_INDEPENDENT = ("go_backwards", "unroll", "zero_output_for_mask", "activation", "recurrent_activation")
"""Options on which the shape of no array depends."""

_DEFAULTS = {field.name: field.default for field in fields(GRUSpec)}
_KEPT_WHOLE = ("mask", "dropout_masks/inputs", "dropout_masks/recurrent")
"""Arrays for which zeros are not simpler."""


@dataclass(frozen=True)
class _Parts:
    """What a case consists of."""

    spec: GRUSpec
    weights: Mapping[str, Array]
    operations: tuple[Operation, ...]

    @property
    def calls(self) -> list[Call]:
        return [operation for operation in self.operations if isinstance(operation, Call)]

    def with_options(self, **options: Any) -> _Parts:
        return replace(self, spec=replace(self.spec, **options))

    def with_arrays(self, change: Callable[[str, Array], Array]) -> _Parts:
        """Change every array, by its name in the layer or the operation."""
        return replace(
            self,
            weights={name: change(name, array) for name, array in self.weights.items()},
            operations=tuple(changed(operation, change) for operation in self.operations),
        )

    def with_calls(self, change: Callable[[Call], Call]) -> _Parts:
        found = (change(operation) if isinstance(operation, Call) else operation for operation in self.operations)
        return replace(self, operations=tuple(found))


def simpler_structure(case: Case, keep: Keep) -> Case:
    """Return a case without expected values that has only those features of another which are kept.

    Parameters
    ----------
    case
        The case to simplify.
    keep
        Answers each question whether to keep something. If it always holds, the case itself comes out. The questions
        depend on the case alone, not on earlier answers, so that each answer can be changed by itself.
    """
    parts = _Parts(case.spec, case.weights, case.calls)
    for simplified in (_zeroed, _arguments, _dropout, _options, _returned, _layout, _axes, _operations):
        parts = simplified(parts, keep)
    return free_case(case.id, parts.spec, parts.weights, parts.operations)


def _zeroed(parts: _Parts, keep: Keep) -> _Parts:
    return parts.with_arrays(lambda name, array: array if name in _KEPT_WHOLE or keep() else np.zeros_like(array))


def _arguments(parts: _Parts, keep: Keep) -> _Parts:
    """Drop what calls and resets can do without."""

    def plainer(operation: Operation) -> Operation:
        if isinstance(operation, ResetStates):
            return operation if keep() else ResetStates()
        return replace(
            operation,
            mask=operation.mask if keep() else None,
            initial_state=operation.initial_state if keep() else None,
            training=operation.training and keep(),
            cotangents=operation.cotangents if keep() else None,
        )

    return replace(parts, operations=tuple(map(plainer, parts.operations)))


def _dropout(parts: _Parts, keep: Keep) -> _Parts:
    """Drop rates with their masks, and masks of calls for inputs that a single one serves."""
    dropped = {kind: name for kind, name in DROPOUT_RATES.items() if not keep()}

    def undropped(call: Call) -> Call:
        masks = {kind: mask for kind, mask in (call.dropout_masks or {}).items() if kind not in dropped}
        return replace(call, dropout_masks=masks or None)

    parts = parts.with_calls(undropped).with_options(**dict.fromkeys(dropped.values(), 0.0))
    if keep() or parts.spec.implementation == 1:
        return parts
    parts = parts.with_options(implementation=1)
    return parts.with_arrays(
        lambda name, array: np.repeat(array, 3, axis=0) if name == "dropout_masks/inputs" else array
    )


def _options(parts: _Parts, keep: Keep) -> _Parts:
    return parts.with_options(**{name: _DEFAULTS[name] for name in _INDEPENDENT if not keep()})


def _returned(parts: _Parts, keep: Keep) -> _Parts:
    """Return less: the last output alone, with the cotangent of the last, and no state."""
    sequences, state = parts.spec.return_sequences and keep(), parts.spec.return_state and keep()
    time = axes(parts.spec)["cotangents/outputs"].find("T")

    def fewer(call: Call) -> Call:
        if call.cotangents is None:
            return call
        found = {name: array for name, array in call.cotangents.items() if state or name != "state"}
        if not sequences and time >= 0:
            outputs = found["outputs"]
            found["outputs"] = outputs[(slice(None),) * time + (-1,)] if outputs.shape[time] else outputs.sum(axis=time)
        return replace(call, cotangents=found)

    return parts.with_calls(fewer).with_options(return_sequences=sequences, return_state=state)


def _layout(parts: _Parts, keep: Keep) -> _Parts:
    """Lay arrays out as by default, and drop the bias, or that of the recurrent product."""
    if parts.spec.time_major and not keep():
        names = axes(parts.spec)
        parts = parts.with_arrays(lambda name, array: array.swapaxes(0, 1) if names[name][:2] == "TB" else array)
        parts = parts.with_options(time_major=False)
    if parts.spec.reset_after and not keep():
        parts = parts.with_arrays(lambda name, array: array[0] if name == "bias" else array)
        parts = parts.with_options(reset_after=False)
    if parts.spec.use_bias and not keep():
        weights = {name: array for name, array in parts.weights.items() if name != "bias"}
        parts = replace(parts, weights=weights).with_options(use_bias=False)
    return parts


def _axes(parts: _Parts, keep: Keep) -> _Parts:
    """Keep some of the rows, features and units, and some of the timesteps of each call."""
    names = axes(parts.spec)

    def some(length: int) -> NDArray[np.intp]:
        found = [index for index in range(length) if keep()]
        return np.array(found or range(min(length, 1)), dtype=np.intp)

    sizes = dict(zip(names["inputs"], parts.calls[0].inputs.shape, strict=True)) | {"u": parts.spec.units}
    kept = {letter: some(sizes[letter]) for letter in "BDu"}
    parts = parts.with_arrays(lambda name, array: taken(array, names[name], kept))

    def shorter(operation: Operation) -> Operation:
        if not isinstance(operation, Call):
            return operation
        steps = {"T": some(operation.inputs.shape[names["inputs"].index("T")])}
        return changed(operation, lambda name, array: taken(array, names[name], steps))

    return replace(parts, operations=tuple(map(shorter, parts.operations))).with_options(units=len(kept["u"]))


def _operations(parts: _Parts, keep: Keep) -> _Parts:
    """Drop calls and resets; a reset needs a call before it, and a single call no state to carry."""
    kept = [operation for operation in parts.operations if keep()]
    while kept and isinstance(kept[0], ResetStates):
        del kept[0]
    kept = kept or [*parts.calls[:1]]
    stateful = parts.spec.stateful and (keep() or len(kept) > 1)
    return replace(parts, operations=tuple(kept)).with_options(stateful=stateful)
