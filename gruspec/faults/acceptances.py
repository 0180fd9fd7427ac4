"""Family ``acceptance``: what must be refused is accepted, and what must be accepted is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gruspec.errors import NotStatefulError, SpecError
from gruspec.faults.fault import Fault
from gruspec.spec import state_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gruspec.faults.fault import Replacement
    from gruspec.reference import Arguments
    from gruspec.spec import GRUSpec

    Change = Callable[[GRUSpec, Arguments], Arguments]


def acceptance_faults() -> Iterator[Fault]:
    """Yield the faults of the family."""
    yield from _masks_accepted()
    yield from _inputs_accepted()
    yield from _states_accepted()
    yield from _settings_accepted()
    yield from _resets_accepted()
    yield from _refused()


def _accepted(name: str, does: str, clause: str, **more: Any) -> Fault:
    return Fault(id=f"acceptance/{name}", does=does, clause=clause, where=("invalid",), **more)


def _fitted(array: NDArray[Any], shape: tuple[int, ...], fill: float = 0) -> NDArray[Any]:
    """Return what fits of an array, and ``fill`` where nothing does."""
    found = np.full(shape, fill, array.dtype)
    common = tuple(slice(min(have, want)) for have, want in zip(array.shape, shape, strict=True))
    found[common] = array[common]
    return found


def _batch(spec: GRUSpec, given: Arguments) -> int:
    batch: int = given.inputs.shape[1 if spec.time_major else 0]
    return batch


def _masks_accepted() -> Iterator[Fault]:
    changes: dict[str, tuple[str, Callable[[NDArray[Any], tuple[int, ...]], NDArray[Any] | None]]] = {
        "mask-timesteps": (
            "takes timesteps that a mask is too short for as valid ones, and cuts off what it has too many",
            lambda mask, shape: _fitted(mask, shape, 1) if mask.ndim == 2 and len(mask) == shape[0] else mask,
        ),
        "mask-rows": (
            "uses of a mask with another number of rows those that there are",
            lambda mask, shape: _fitted(mask, shape, 1) if mask.shape[1:] == shape[1:] else mask,
        ),
        "mask-turned": (
            "exchanges the axes of a mask that fits only then",
            lambda mask, shape: mask.T if mask.shape == shape[::-1] else mask,
        ),
        "mask-per-unit": (
            "takes of a mask for each unit that for the first",
            lambda mask, _: mask[..., :1] if mask.ndim == 3 else mask,
        ),
        "mask-ignored": ("ignores a mask of a shape that does not fit", lambda _, __: None),
    }
    for name, (does, change) in changes.items():
        yield _accepted(name, does, "mask-shape", arguments=_mask_repaired(change))


def _mask_repaired(change: Callable[[NDArray[Any], tuple[int, ...]], NDArray[Any] | None]) -> Change:
    def arguments(_: GRUSpec, given: Arguments) -> Arguments:
        shape = given.inputs.shape[:2]
        if given.mask is None or given.mask.shape in (shape, (*shape, 1)):
            return given
        return replace(given, mask=change(given.mask, shape))

    return arguments


def _inputs_accepted() -> Iterator[Fault]:
    def one_timestep(spec: GRUSpec, given: Arguments) -> Arguments:
        axis = 0 if spec.time_major else 1
        return replace(given, inputs=np.expand_dims(given.inputs, axis)) if given.inputs.ndim == 2 else given

    yield _accepted(
        "inputs-of-rank-2",
        "takes inputs of two axes for one timestep",
        "invalid-arguments",
        arguments=one_timestep,
    )
    yield _accepted(
        "inputs-too-wide",
        "ignores inputs for which the kernel has no rows",
        "invalid-arguments",
        layer={"call": _inputs_cut},
    )


def _inputs_cut(self: Any, usual: Any, given: Arguments) -> Any:
    size = len(self.weights["kernel"])
    return usual(replace(given, inputs=given.inputs[..., :size]) if given.inputs.ndim == 3 else given)


def _states_accepted() -> Iterator[Fault]:
    def wide(spec: GRUSpec, given: Arguments, state: NDArray[Any]) -> NDArray[Any] | None:
        rows = len(state) == _batch(spec, given)
        return _fitted(state, state_shape(spec, len(state))) if rows else state

    def broadcast(spec: GRUSpec, given: Arguments, state: NDArray[Any]) -> NDArray[Any] | None:
        return np.repeat(state, _batch(spec, given), axis=0) if state.shape == (1, spec.units) else state

    changes: dict[str, tuple[str, Callable[[GRUSpec, Arguments, NDArray[Any]], NDArray[Any] | None]]] = {
        "state-units": ("cuts off what an initial state has too many units, and takes zeros for those missing", wide),
        "state-broadcast": ("uses an initial state of one row for all rows", broadcast),
        "state-ignored": ("ignores an initial state of a shape that does not fit", lambda _, __, ___: None),
    }
    for name, (does, change) in changes.items():
        yield _accepted(name, does, "initial-state", arguments=_state_repaired(change))


def _state_repaired(change: Callable[[GRUSpec, Arguments, NDArray[Any]], NDArray[Any] | None]) -> Change:
    def arguments(spec: GRUSpec, given: Arguments) -> Arguments:
        state = given.initial_state
        if state is None or state.shape == state_shape(spec, _batch(spec, given)):
            return given
        return replace(given, initial_state=change(spec, given, state))

    return arguments


def _settings_accepted() -> Iterator[Fault]:
    def without_rate_1(spec: GRUSpec) -> GRUSpec:
        return replace(spec, dropout=spec.dropout % 1, recurrent_dropout=spec.recurrent_dropout % 1)

    yield _accepted(
        "rate-1",
        "drops nothing in training at a rate of 1, and does not refuse it",
        "dropout-masks",
        spec=without_rate_1,
    )
    yield _accepted(
        "bias-ignored",
        "ignores a bias that is given though use_bias is False",
        "weights",
        weights=lambda spec, arrays: {name: array for name, array in arrays.items() if spec.use_bias or name != "bias"},
    )


def _resets_accepted() -> Iterator[Fault]:
    resets: dict[str, tuple[str, Replacement]] = {
        "reset-not-stateful": ("lets a layer that is not stateful be reset, which does nothing", _unless_stateless),
        "reset-before-call": ("lets a layer be reset before its batch size is known, which does nothing", _unless_new),
        "reset-fitted": ("takes of states to reset to what fits, and zeros for the rest", _states_fitted),
        "reset-errors-ignored": ("does nothing where a reset must be refused", _unless_refused),
    }
    for name, (does, reset) in resets.items():
        yield _accepted(name, does, "reset-states", layer={"reset_states": reset})
    yield _accepted(
        "stateful-batch",
        "forgets the recorded state where a call has another number of rows",
        "stateful",
        layer={"call": _forgetting},
    )
    yield _accepted(
        "other-error",
        "refuses with RuntimeError what must be refused with ValueError",
        "invalid-arguments",
        layer={"call": _with_other_error, "reset_states": _with_other_error},
    )


def _unless_stateless(self: Any, usual: Any, states: Any) -> None:
    if self.spec.stateful:
        usual(states)


def _unless_new(self: Any, usual: Any, states: Any) -> None:
    if not self.spec.stateful or self.recorded is not None:
        usual(states)


def _states_fitted(self: Any, usual: Any, states: Any) -> None:
    known = self.spec.stateful and self.recorded is not None and states is not None
    usual(_fitted(states, state_shape(self.spec, len(self.recorded))) if known else states)


def _unless_refused(_: Any, usual: Any, states: Any) -> None:
    try:
        usual(states)
    except (SpecError, NotStatefulError):
        return


def _forgetting(self: Any, usual: Any, given: Arguments) -> Any:
    if self.recorded is not None and len(self.recorded) != _batch(self.spec, given):
        self.recorded = None
    return usual(given)


def _with_other_error(_: Any, usual: Any, given: Any) -> Any:
    try:
        return usual(given)
    except SpecError as error:
        raise RuntimeError(str(error)) from error


def _refused() -> Iterator[Fault]:
    """Yield refusals of what is valid; each is a condition on a call."""

    def masked(given: Arguments) -> bool:
        return given.mask is not None and not given.mask.all()

    def axis(spec: GRUSpec) -> int:
        return 0 if spec.time_major else 1

    def with_masked_row(spec: GRUSpec, given: Arguments) -> bool:
        if given.mask is None or not masked(given):
            return False
        return not given.mask.any(axis=axis(spec)).all()

    def with_gaps(spec: GRUSpec, given: Arguments) -> bool:
        if given.mask is None or not masked(given):
            return False
        rows = np.moveaxis(given.mask.reshape(given.mask.shape[:2]), axis(spec), 1)
        return bool((np.diff(rows.astype(int), axis=1) > 0).any() or not rows.any(axis=1).all())

    refusals: tuple[
        tuple[str, str, str, tuple[str, ...], Callable[[GRUSpec, Arguments], bool], tuple[str, ...]], ...
    ] = (
        (
            "no-steps",
            "refuses sequences without timesteps",
            "zero-timesteps",
            ("no-steps",),
            lambda spec, given: given.inputs.shape[axis(spec)] == 0,
            ("pytorch#50192",),
        ),
        (
            "no-rows",
            "refuses batches without rows",
            "empty-batch",
            ("no-rows",),
            lambda spec, given: _batch(spec, given) == 0,
            (),
        ),
        (
            "no-inputs",
            "refuses inputs without features",
            "zero-input-size",
            ("no-inputs",),
            lambda _, given: given.inputs.shape[-1] == 0,
            (),
        ),
        (
            "masked-row",
            "refuses a mask that leaves a row without a valid timestep",
            "mask-all",
            ("masked-row",),
            with_masked_row,
            ("pytorch#4582", "jax#17966"),
        ),
        (
            "gaps",
            "refuses masks other than right padding after one valid timestep at least",
            "mask-shape",
            ("irregular|masked-row",),
            with_gaps,
            (),
        ),
        (
            "unrolled-zero-output",
            "refuses zero_output_for_mask with a mask in an unrolled layer that returns the last output",
            "unroll",
            ("unroll", "zero-output", "mask", "last", "several-steps"),
            lambda spec, given: (
                spec.unroll
                and spec.zero_output_for_mask
                and not spec.return_sequences
                and masked(given)
                and given.inputs.shape[axis(spec)] > 1
            ),
            (),
        ),
        (
            "unrolled-backwards-mask",
            "refuses a mask in an unrolled layer that goes backwards",
            "unroll",
            ("unroll", "backwards", "mask"),
            lambda spec, given: spec.unroll and spec.go_backwards and masked(given),
            (),
        ),
        (
            "stateful-initial-state",
            "refuses an explicit state on a stateful layer",
            "stateful-initial-state",
            ("stateful", "given-state"),
            lambda spec, given: spec.stateful and given.initial_state is not None,
            (),
        ),
    )
    for name, does, clause, where, condition, reports in refusals:
        yield Fault(
            id=f"acceptance/refuses-{name}",
            does=does,
            clause=clause,
            where=where,
            reports=reports,
            arguments=_refusing(does, condition),
        )


def _refusing(does: str, condition: Callable[[GRUSpec, Arguments], bool]) -> Change:
    def arguments(spec: GRUSpec, given: Arguments) -> Arguments:
        if given.inputs.ndim == 3 and condition(spec, given):
            raise SpecError(f"inputs: this implementation {does}")
        return given

    return arguments
